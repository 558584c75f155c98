"""One gateway for all clients: OpenAI, Anthropic and Gemini behind it."""

from __future__ import annotations

import pytest

from tests.fakes import FakeAnthropic, FakeGemini, FakeOpenAI
from tests.support.gateway import Gateway, Gateways
from tests.support.providers import Providers

KEY = "sk-client-tests"


@pytest.fixture(scope="module")
def openai_fake(fakes: Providers) -> FakeOpenAI:
    return fakes(FakeOpenAI, keys=["sk-openai"])


@pytest.fixture(scope="module")
def anthropic_fake(fakes: Providers) -> FakeAnthropic:
    return fakes(FakeAnthropic, keys=["sk-anthropic"])


@pytest.fixture(scope="module")
def gemini_fake(fakes: Providers) -> FakeGemini:
    return fakes(FakeGemini, keys=["gemini-key"])


@pytest.fixture(scope="module")
def server(
    module_gateway: Gateways,
    openai_fake: FakeOpenAI,
    anthropic_fake: FakeAnthropic,
    gemini_fake: FakeGemini,
) -> Gateway:
    openai = {"api_base": f"{openai_fake.url}/v1", "api_key": "sk-openai"}
    claude = {"api_base": anthropic_fake.url, "api_key": "sk-anthropic"}
    gemini = {"api_base": f"{gemini_fake.url}/v1beta", "api_key": "gemini-key"}
    models = {
        "gpt": {"model": "openai/gpt-4o-mini", **openai},
        "embedder": {"model": "openai/text-embedding-3-small", **openai},
        "painter": {"model": "openai/gpt-image-1", **openai},
        "ear": {"model": "openai/whisper-1", **openai},
        "voice": {"model": "openai/gpt-4o-mini-tts", **openai},
        "judge": {"model": "openai/omni-moderation-latest", **openai},
        "live": {"model": "openai/gpt-realtime", **openai},
        "claude": {"model": "anthropic/claude-sonnet-4-5", **claude},
        "gemini": {"model": "gemini/gemini-2.5-flash", **gemini},
    }
    return module_gateway(
        {
            "general_settings": {"master_key": KEY},
            "model_list": [
                {"model_name": name, "litellm_params": params} for name, params in models.items()
            ],
        }
    )
