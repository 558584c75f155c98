"""Deployments of the providers that the litellm lane is tested against."""

from __future__ import annotations

import json
from typing import Any

from tests.fakes import (
    FakeAnthropic,
    FakeAzure,
    FakeBedrock,
    FakeCohere,
    FakeGemini,
    FakeOpenAI,
    FakeProvider,
    FakeVertex,
)
from trunkline.call import Deployment

from .lanes import KEY, deployment
from .providers import Providers

KINDS: dict[str, type[FakeProvider]] = {
    "openai": FakeOpenAI,
    "anthropic": FakeAnthropic,
    "azure": FakeAzure,
    "bedrock": FakeBedrock,
    "gemini": FakeGemini,
    "vertex": FakeVertex,
    "cohere": FakeCohere,
}
CLAUDE = "bedrock/anthropic.claude-3-5-sonnet-20240620-v1:0"
MODELS = {
    "openai": "openai/gpt-4o",
    "anthropic": "anthropic/claude-sonnet-4-5",
    "azure": "azure/gpt-4o",
    "bedrock": CLAUDE,
    "gemini": "gemini/gemini-2.0-flash",
    "vertex": "vertex_ai/gemini-2.0-flash",
    "cohere": "cohere_chat/command-r",
}


def target(fakes: Providers, name: str, model: str = "", **params: Any) -> tuple[Any, Deployment]:
    """A fake of the provider, started or found, and a deployment of one of its models."""
    fake = next((one for one in fakes.started if type(one) is KINDS[name]), None)
    fake = fake or fakes(KINDS[name])
    return fake, deployment(model or MODELS[name], **{**_params(name, fake), **params})


def _params(name: str, fake: Any) -> dict[str, Any]:
    match name:
        case "azure":
            return {"api_base": fake.url, "api_key": KEY, "api_version": "2024-10-21"}
        case "bedrock":
            return {
                "aws_access_key_id": fake.access_key,
                "aws_secret_access_key": fake.secret_key,
                "aws_region_name": "us-east-1",
                "aws_bedrock_runtime_endpoint": fake.url,
            }
        case "vertex":
            return {
                "api_base": fake.url,
                "vertex_project": "fake-project",
                "vertex_location": "us-central1",
                "vertex_credentials": json.dumps(fake.service_account()),
            }
    return {"api_base": fake.base_url, "api_key": KEY}
