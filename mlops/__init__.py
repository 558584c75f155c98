"""Trains routers with LLMRouter and with methods of our own, and evaluates them as they serve.

What comes out is a bundle (`trunkline/routing/bundles`), which the gateway loads as it is.
"""
