"""The steps, each from one schema to the next."""
