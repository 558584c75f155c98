"""Builds the layers of the functions on Lambda. See `building.py`; `python -m layers build`."""
