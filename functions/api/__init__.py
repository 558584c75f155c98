"""The gateway on Lambda, for whatever needs no stream. See `handler.py`."""

import gc

# Until all is imported and built, nothing of it is garbage: looking takes a tenth of a cold start.
gc.disable()
