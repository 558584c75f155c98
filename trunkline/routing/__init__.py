"""Which deployment answers a call: strategies, the health of deployments, retries and fallbacks."""

import os

# Vectors of a few hundred numbers are no work for threads, which wait for each other far longer.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
