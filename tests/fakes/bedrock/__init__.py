"""Amazon Bedrock's runtime."""

from .server import FakeBedrock

__all__ = ["FakeBedrock"]
