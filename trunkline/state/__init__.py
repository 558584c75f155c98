"""What processes share about calls that are under way: counters, reservations, messages."""
