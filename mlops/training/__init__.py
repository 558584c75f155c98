"""One trainer a strategy: from a dataset to what its bundle holds."""
