"""How tests start and stop what they test."""
