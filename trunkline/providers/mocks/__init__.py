"""The bodies of mocked answers: one builder per operation, whole and streamed.

Each makes what the API of its wire answers to a plain request (OpenAI's API reference, Anthropic's
Messages API, Google's generateContent), with as many tokens counted as the texts plausibly have.
"""

from __future__ import annotations

from collections.abc import Mapping

from .answer import Builder, Mocked
from .anthropic import MESSAGES
from .google import CONTENT
from .openai import CHAT, COMPLETIONS, EMBEDDINGS, IMAGES
from .responses import RESPONSES

__all__ = ["BUILDERS", "Mocked"]

BUILDERS: Mapping[str, Builder] = {
    "acompletion": CHAT,
    "atext_completion": COMPLETIONS,
    "aembedding": EMBEDDINGS,
    "aimage_generation": IMAGES,
    "aresponses": RESPONSES,
    "anthropic_messages": MESSAGES,
    "agenerate_content": CONTENT,
    "agenerate_content_stream": CONTENT,
}
"""By LiteLLM's function of the operation."""
