"""Judges what is uploaded, and watches what is on trial. See `handler.py`."""
