"""Paths below which requests are passed on to a provider as they come.

Neither the models nor the budgets of a key hold there, so a key may use them only where its
`allowed_routes` name them (see `api/passing.py`), and only whoever may do so can let a key do so.
"""

from __future__ import annotations

PREFIXES = frozenset(
    """
    anthropic assemblyai azure azure_ai azure_speech bedrock bespoke cohere comprehendmedical cursor
    deepgram eu.assemblyai fal_ai gemini gigachat langfuse laya mistral nvidia_nim openai
    openai_passthrough openrouter tinyfish transcribe typesafe vertex-ai vertex_ai vllm watsonx
    """.split()
)
"""Their first segments: those of `providers/passthrough/table.py`."""


def names_passing(route: str) -> bool:
    """Whether an entry of `allowed_routes` names such paths, be it among others."""
    if route.endswith("*"):
        beginning = route[:-1]
        roots = [f"/{prefix}/" for prefix in PREFIXES]
        return any(root.startswith(beginning) or beginning.startswith(root) for root in roots)
    return route.removeprefix("/").partition("/")[0] in PREFIXES
