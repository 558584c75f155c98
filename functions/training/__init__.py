"""The steps of a training but the training itself. See `handler.py`."""
