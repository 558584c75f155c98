"""Which provider a model belongs to, by LiteLLM's rules and without importing LiteLLM."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

PROVIDERS = frozenset(
    """
    a2a a2a_agent abliteration ai21 ai21_chat aihubmix aiml aiohttp_openai amazon_nova anthropic
    anthropic_text apertis assemblyai auto_router aws_polly aws_textract azure azure_ai
    azure_speech azure_text baseten bedrock bedrock_mantle black_forest_labs bytez cerebras
    charity_engine chatgpt chutes clarifai cloudflare codestral cognition cohere cohere_chat
    cometapi compactifai cortecs crusoe cursor custom custom_openai darkbloom dashscope
    databricks datarobot deepgram deepinfra deepseek docker_model_runner dotprompt edenai
    elevenlabs empiriolabs empower fal_ai featherless_ai fireworks_ai friendliai galadriel gdc
    gemini gigachat github github_copilot gmi gradient_ai groq helicone heroku hosted_vllm
    huggingface humanloop hyperbolic inception infinity jina_ai lambda_ai langflow langfuse
    langgraph lemonade libertai litellm_agent litellm_proxy llamafile llamagate lm_studio manus
    maritalk meta meta_llama milvus minimax mistral modelscope mongodb moonshot morph nadir
    nano-gpt nebius neosantara nlp_cloud novita nscale nvidia_nim nvidia_riva oci ollama
    ollama_chat oobabooga openai openai_like openrouter ovhcloud parasail perplexity petals
    pg_vector pinstripes poe predibase prism publicai qwen_ai_platform qwencloud ragflow recraft
    reducto reka replicate runwayml s3_vectors sagemaker sagemaker_chat sagemaker_nova sail
    sambanova sap sarvam scaleway scx-ai snowflake soniox stability strands_decider synthetic
    tencent tensormesh text-completion-codestral text-completion-inception
    text-completion-openai together_ai topaz transcribe triton typesafe v0 valkey veniceai
    vercel_ai_gateway vertex_ai vertex_ai_beta vllm volcengine voyage wandb watsonx watsonx_text
    xai xiaomi_mimo xinference zai
    """.split()
)
"""All providers that LiteLLM knows as a prefix of a model's name."""

ENDPOINT_HOSTS = frozenset(
    """
    ai-gateway.helicone.ai ai-gateway.vercel.sh api-inference.modelscope.cn api.clarifai.com
    api.cognition.ai api.cortecs.ai api.deepinfra.com api.deepseek.com api.edenai.run
    api.endpoints.anyscale.com api.featherless.ai api.friendli.ai api.galadriel.ai
    api.getnadir.com api.groq.com api.hyperbolic.xyz api.inceptionlabs.ai api.inference.wandb.ai
    api.lambda.ai api.libertai.io api.llama.com api.meta.ai api.mistral.ai api.moonshot.ai
    api.morphllm.com api.perplexity.ai api.poe.com api.prisminference.com api.publicai.co
    api.reka.ai api.sailresearch.com api.sambanova.ai api.scx.ai api.stima.tech
    api.studio.nebius.ai api.synthetic.new api.together.ai api.together.xyz api.v0.dev api.x.ai
    app.empower.dev codestral.mistral.ai dashscope-intl.aliyuncs.com dashscope.aliyuncs.com
    gigachat.devices.sberbank.ru inference.api.nscale.com integrate.api.nvidia.com llm.chutes.ai
    nano-gpt.com ollama.com pinstripes.io serverless.tensormesh.ai
    """.split()
)
"""Hosts by which LiteLLM knows the provider of a model that is named without one."""

_BY_PRICE_MAP = {
    "openai": "openai",
    "text-completion-openai": "text-completion-openai",
    "anthropic": "anthropic",
    "cohere": "cohere",
    "cohere_chat": "cohere_chat",
    "bedrock": "bedrock",
    "bedrock_converse": "bedrock",
    "vertex_ai-language-models": "vertex_ai",
    "vertex_ai-text-models": "vertex_ai",
    "vertex_ai-embedding-models": "vertex_ai",
    "ai21": "ai21_chat",
    "nlp_cloud": "nlp_cloud",
}
"""Providers of models that LiteLLM knows by their bare names, by the price map's word for them."""

_FINE_TUNED = ("ft:gpt-3.5-turbo", "ft:gpt-4")

Facts = Callable[[str], Mapping[str, Any] | None]
"""The price map's entry for a model."""


def split_model(
    model: str,
    custom_llm_provider: str | None = None,
    *,
    api_base: str | None = None,
    known: Facts = lambda model: None,
) -> tuple[str, str]:
    """The provider of a model, and the model's name as that provider knows it.

    model: `litellm_params.model`. The provider is empty where only LiteLLM can tell it.
    """
    prefix, slash, rest = model.partition("/")
    if custom_llm_provider:
        upstream = rest if slash and prefix == custom_llm_provider else model
        if custom_llm_provider == "openrouter" and "/" not in upstream:
            return "openrouter", f"openrouter/{upstream}"
        return _refined(custom_llm_provider, upstream, model, known)
    if slash and prefix in PROVIDERS:
        return _refined(prefix, rest, model, known)
    if api_base and _host(api_base) in ENDPOINT_HOSTS:
        return "", model
    return provider_of_name(model, known), model


def provider_of_name(model: str, known: Facts) -> str:
    """The provider of a model that is named without one; empty where only LiteLLM can tell."""
    if model.startswith(_FINE_TUNED) or model.startswith("gpt-image"):
        return "openai"
    entry = known(model)
    if entry is None or "/" in model:
        return ""
    provider = _BY_PRICE_MAP.get(str(entry.get("litellm_provider")), "")
    return "" if provider == "openai" and model.startswith("ft:") else provider


def lookups(model: str, custom_llm_provider: str | None) -> tuple[str, ...]:
    """The names that `split_model` may ask the price map for."""
    prefix, slash, rest = model.partition("/")
    if slash and (custom_llm_provider or prefix in PROVIDERS):
        return (rest, f"mistral/{rest}")
    return (model,)


def _host(url: str) -> str | None:
    try:
        return urlsplit(url if "//" in url else f"//{url}").hostname
    except ValueError:
        return None


def _refined(provider: str, upstream: str, model: str, known: Facts) -> tuple[str, str]:
    """Models for which LiteLLM takes another provider than the one that is written."""
    if provider == "azure" and (_is_cohere_chat(upstream, known) or known(f"mistral/{upstream}")):
        return "", model
    if provider == "cohere" and _is_cohere_chat(upstream, known):
        return "cohere_chat", upstream
    if provider == "anthropic" and upstream.startswith(("claude-2", "claude-instant")):
        return "anthropic_text", upstream
    return provider, upstream


def _is_cohere_chat(model: str, known: Facts) -> bool:
    return (known(model) or {}).get("litellm_provider") == "cohere_chat"
