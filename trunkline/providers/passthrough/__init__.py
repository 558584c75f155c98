"""Providers' own APIs under a prefix: requests go on as they came, with our credentials."""
