"""Cohere's API."""

from .server import FakeCohere

__all__ = ["FakeCohere"]
