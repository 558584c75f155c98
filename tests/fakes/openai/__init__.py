"""OpenAI's API, and what speaks like it."""

from .server import FakeCompatible, FakeOpenAI

__all__ = ["FakeCompatible", "FakeOpenAI"]
