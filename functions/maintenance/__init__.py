"""What the database and the ledger need from time to time. See `handler.py`."""
