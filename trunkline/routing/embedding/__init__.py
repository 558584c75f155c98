"""Turns a query into numbers that a learned strategy can compare: a static table, or MiniLM."""
