"""Models that a workflow asks, what they say to its prompts, and configurations for tests of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.fakes import FakeAnthropic, FakeOpenAI, Recorded

SMALL, LARGE, EXPERT = "small", "large", "expert: history"
"""Models by size; the expert's name holds the colon that ends names in prompts."""

SIZES: Mapping[str, Mapping[str, Any]] = {
    SMALL: {"size": "7B", "feature": "Answers quickly."},
    EXPERT: {"size": "30B", "feature": "Knows the past."},
    LARGE: {"size": "70B", "feature": "Reasons well."},
    "nobody": {"size": "1B", "feature": "Is not deployed."},
}
PRICES = {"input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6}

When = Callable[[Recorded], bool]


def openai_entry(fake: FakeOpenAI, name: str, group: str = "", **params: Any) -> dict[str, Any]:
    """A model of that name, in a group of its own or in the given one."""
    base = {"model": f"openai/{name}", "api_base": f"{fake.url}/v1", "api_key": "sk-none"}
    info = {"id": f"{group}-{name}" if group else name, "llmrouter_name": name}
    return {
        "model_name": group or name,
        "litellm_params": base | PRICES | params,
        "model_info": info,
    }


def anthropic_entry(fake: FakeAnthropic, name: str) -> dict[str, Any]:
    base = {"model": f"anthropic/{name}", "api_base": fake.url, "api_key": "sk-none"}
    return {"model_name": name, "litellm_params": base, "model_info": {"id": name}}


def candidates(folder: Path, sizes: Mapping[str, Any] = SIZES) -> str:
    """A file of candidates, for `llm_data_path`."""
    path = folder / "candidates.json"
    path.write_text(json.dumps(sizes), "utf-8")
    return str(path)


def prompt_of(request: Recorded) -> str:
    """What a request of OpenAI's chat says last."""
    content = request.json["messages"][-1]["content"]
    return content if isinstance(content, str) else json.dumps(content)


def to(model: str, holding: str = "") -> When:
    """Chats with a model whose prompt holds a text."""
    return lambda request: request.json["model"] == model and holding in prompt_of(request)


def is_check(request: Recorded) -> bool:
    return "Verdict:" in prompt_of(request)


def is_split(request: Recorded) -> bool:
    return "<part>" in prompt_of(request)


def is_reasoning(request: Recorded) -> bool:
    return "<search>" in prompt_of(request)


def is_noted(request: Recorded) -> bool:
    return "Notes from an assistant" in prompt_of(request)
