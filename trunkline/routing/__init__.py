"""Which deployment answers a call: strategies, the health of deployments, retries and fallbacks."""
