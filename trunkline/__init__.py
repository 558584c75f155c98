"""Trunkline: an AI gateway that a company runs as its own."""

__version__ = "0.1.0"
