"""Google's Live API, in which a WebSocket's first message names the model.

Source: https://ai.google.dev/api/live and Vertex AI's `LlmBidiService`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ... import json_text
from . import vertex

Rename = Callable[[str], str]


def naming(
    upstream: Callable[[str], str], params: Mapping[str, Any], environ: Mapping[str, str]
) -> Rename:
    """Gives the setup message of a session with Vertex AI the model's full name.

    upstream: the provider's name of a model group; any other name as it is.
    """
    return _in_setup(lambda model: vertex.resource(upstream(_bare(model)), params, environ))


def naming_models(upstream: Callable[[str], str]) -> Rename:
    """Gives the setup message of a session with Gemini the provider's name of the model."""
    return _in_setup(lambda model: f"models/{upstream(_bare(model))}")


def _bare(model: str) -> str:
    """A name without what Google's SDK puts before it."""
    return model.removeprefix("models/")


def _in_setup(rename: Rename) -> Rename:
    def said(text: str) -> str:
        if '"setup"' not in text:
            return text
        try:
            message = json_text.loads(text.encode("utf-8", "surrogatepass"))
            setup = message["setup"]
            model = setup["model"]
        except (ValueError, KeyError, TypeError):
            return text
        if not isinstance(model, str):
            return text
        return json_text.dumps({**message, "setup": {**setup, "model": rename(model)}}).decode()

    return said
