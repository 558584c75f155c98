"""Prices and usage: what calls cost."""
