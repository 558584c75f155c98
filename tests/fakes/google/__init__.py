"""Google's generateContent API: the Gemini API with keys, Vertex AI with OAuth tokens."""

from .gemini import FakeGemini
from .vertex import FakeVertex

__all__ = ["FakeGemini", "FakeVertex"]
