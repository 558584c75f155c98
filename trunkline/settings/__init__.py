"""The configuration: LiteLLM's `config.yaml`, read, checked and typed."""

from .load import load
from .schema import Settings

__all__ = ["Settings", "load"]
