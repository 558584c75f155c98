"""Arguments for counting tokens, which LiteLLM takes in one shape for all three wires."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from ..call import Call, Deployment, Wire
from .litellm_sdk import Sdk

_TAKEN = ("api_key", "api_base")


def counting_arguments(sdk: Sdk, call: Call, deployment: Deployment) -> dict[str, Any]:
    """Keyword arguments for LiteLLM's `acount_tokens`."""
    body = call.body
    named: dict[str, Any] = {name: deployment.params.get(name) for name in _TAKEN}
    named["model"] = deployment.model
    if call.operation.wire is Wire.GOOGLE:
        return named | _of_google(deployment.model, body)
    prompt = body.get("prompt")
    messages = body.get("messages")
    if messages is None and prompt is not None:
        messages = [{"role": "user", "content": prompt if isinstance(prompt, str) else str(prompt)}]
    return named | {"messages": messages, "tools": body.get("tools"), "system": body.get("system")}


def _of_google(model: str, body: dict[str, Any]) -> dict[str, Any]:
    request = body.get("generateContentRequest")
    asked = request if isinstance(request, dict) else body
    adapter = import_module("litellm.google_genai.adapters.transformation").GoogleGenAIAdapter()
    translated = adapter.translate_generate_content_to_completion(
        model=model,
        contents=asked.get("contents") or [],
        config=None,
        system_instruction=asked.get("systemInstruction"),
    )
    return {"messages": translated.get("messages", [])}
