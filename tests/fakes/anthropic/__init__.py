"""Anthropic's API."""

from .server import FakeAnthropic

__all__ = ["FakeAnthropic"]
