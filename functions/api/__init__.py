"""The gateway on Lambda, for whatever needs no stream. See `handler.py`."""
