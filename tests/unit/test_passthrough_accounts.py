"""Where requests of a prefix go, and with whose credentials."""

from __future__ import annotations

from typing import Any

import pytest

from trunkline.call import Deployment
from trunkline.errors import NoDeployment, NotFound
from trunkline.providers.passthrough.accounts import account_of, first_account, lends
from trunkline.providers.passthrough.aws import model_id
from trunkline.providers.passthrough.table import BY_PREFIX, ROWS

AWS = {"AWS_REGION": "eu-central-1"}
VERTEX = {"DEFAULT_VERTEXAI_PROJECT": "p", "DEFAULT_VERTEXAI_LOCATION": "us-east5"}


def deployment(identity: str, provider: str = "openai", **params: Any) -> Deployment:
    missing = tuple(params.pop("missing", ()))
    return Deployment(identity, "group", f"{provider}/x", provider, "x", params, {}, missing)


@pytest.mark.parametrize(
    ("prefix", "path", "environ", "base"),
    [
        ("openai", "/v1/x", {"OPENAI_API_KEY": "k"}, "https://api.openai.com/v1"),
        ("anthropic", "/v1/x", {"ANTHROPIC_API_KEY": "k"}, "https://api.anthropic.com"),
        ("gemini", "/x", {"GEMINI_API_KEY": "k"}, "https://generativelanguage.googleapis.com"),
        ("cohere", "/v2/x", {"COHERE_API_KEY": "k"}, "https://api.cohere.com"),
        ("mistral", "/v1/x", {"MISTRAL_API_KEY": "k"}, "https://api.mistral.ai/v1"),
        ("openrouter", "/v1/x", {"OPENROUTER_API_KEY": "k"}, "https://openrouter.ai/api/v1"),
        ("assemblyai", "/v2/x", {"ASSEMBLYAI_API_KEY": "k"}, "https://api.assemblyai.com"),
        ("eu.assemblyai", "/v2/x", {"ASSEMBLYAI_API_KEY": "k"}, "https://api.eu.assemblyai.com"),
        ("deepgram", "/v1/x", {"DEEPGRAM_API_KEY": "k"}, "https://api.deepgram.com/v1"),
        ("fal_ai", "/x", {"FAL_AI_API_KEY": "k"}, "https://queue.fal.run"),
        ("bedrock", "/model/x/converse", AWS, "https://bedrock-runtime.eu-central-1.amazonaws.com"),
        (
            "bedrock",
            "/knowledgebases/x/retrieve",
            AWS,
            "https://bedrock-agent-runtime.eu-central-1.amazonaws.com",
        ),
        (
            "bedrock",
            "/model/x/invoke",
            {"AWS_REGION": "cn-north-1"},
            "https://bedrock-runtime.cn-north-1.amazonaws.com.cn",
        ),
        (
            "comprehendmedical",
            "/DetectEntitiesV2",
            AWS,
            "https://comprehendmedical.eu-central-1.amazonaws.com",
        ),
        ("vertex_ai", "/v1/x", VERTEX, "https://us-east5-aiplatform.googleapis.com"),
        (
            "vertex-ai",
            "/v1/x",
            VERTEX | {"DEFAULT_VERTEXAI_LOCATION": "global"},
            "https://aiplatform.googleapis.com",
        ),
        (
            "vertex_ai",
            "/v1/x",
            VERTEX | {"DEFAULT_VERTEXAI_LOCATION": "eu"},
            "https://aiplatform.eu.rep.googleapis.com",
        ),
        (
            "vertex_ai",
            "/v1/projects/p/locations/asia-east1/x",
            {},
            "https://asia-east1-aiplatform.googleapis.com",
        ),
        ("vertex_ai", "/discovery/v1/x", VERTEX, "https://discoveryengine.googleapis.com"),
        (
            "azure_speech",
            "/speech/recognition/x",
            {"AZURE_SPEECH_API_KEY": "k", "AZURE_SPEECH_REGION": "westeurope"},
            "https://westeurope.stt.speech.microsoft.com",
        ),
        (
            "azure_speech",
            "/speechtotext/transcriptions:transcribe",
            {"AZURE_SPEECH_API_KEY": "k", "AZURE_SPEECH_REGION": "westeurope"},
            "https://westeurope.api.cognitive.microsoft.com",
        ),
        (
            "azure",
            "/openai/x",
            {"AZURE_API_KEY": "k", "AZURE_API_BASE": "https://a.b"},
            "https://a.b",
        ),
        (
            "langfuse",
            "/x",
            {"LANGFUSE_SECRET_KEY": "k", "LANGFUSE_HOST": "lf.example"},
            "https://lf.example",
        ),
        ("laya", "/v1/systemone", {"LAYA_API_BASE": "http://laya:8000"}, "http://laya:8000"),
    ],
)
def test_the_environments_account_leads_where_litellms_does(
    prefix: str, path: str, environ: dict[str, str], base: str
) -> None:
    assert account_of(BY_PREFIX[prefix], path, environ).base == base


@pytest.mark.parametrize(
    "row", [row for row in ROWS if not row.group_first], ids=lambda row: row.name
)
def test_no_prefix_works_without_anything_configured(row) -> None:
    with pytest.raises((NoDeployment, NotFound)) as refused:
        account_of(row, "/v1/x", {})
    assert refused.value.status in {404, 503}


@pytest.mark.parametrize(
    "path",
    [
        "/v1/projects/p/locations/evil.example#/x",
        "/v1/projects/p/locations/evil.example%2f/x",
        "/v1/projects/p/locations/user@evil/x",
        "/v1/projects/p/locations/UPPER/x",
        "/v1/projects/p/locations/../x",
    ],
)
def test_a_location_in_the_path_is_a_name_and_no_host(path: str) -> None:
    with pytest.raises(NoDeployment):
        account_of(BY_PREFIX["vertex_ai"], path, {})


def test_a_region_that_is_none_is_refused() -> None:
    with pytest.raises(NoDeployment):
        account_of(BY_PREFIX["bedrock"], "/model/x/converse", {"AWS_REGION": "evil.example/"})


def test_only_deployments_of_the_provider_that_can_be_called_lend_credentials() -> None:
    row = BY_PREFIX["openai"]
    assert lends(row, deployment("own", api_key="k"))
    assert not lends(row, deployment("other", "anthropic", api_key="k"))
    assert not lends(row, deployment("unset", api_key="", missing=["A"]))
    assert not lends(row, deployment("mock", api_key="k", mock_response="hi"))


def test_the_deployment_that_is_meant_for_it_comes_first_then_one_of_the_usual_address() -> None:
    row = BY_PREFIX["openai"]
    elsewhere = deployment("elsewhere", api_key="k1", api_base="http://elsewhere/v1")
    usual = deployment("usual", api_key="k2")
    meant = deployment("meant", api_key="k3", api_base="http://m/v1", use_in_pass_through=True)
    environ = {"OPENAI_API_KEY": "k4"}

    def key(*deployments: Deployment) -> tuple[str, str]:
        account = first_account(row, "/v1/x", environ, deployments)
        return account.key, account.base

    assert key(elsewhere, usual, meant) == ("k3", "http://m/v1")
    assert key(elsewhere, usual) == ("k2", "https://api.openai.com/v1")
    assert key(elsewhere) == ("k1", "http://elsewhere/v1")
    assert key(deployment("other", "anthropic", api_key="k")) == ("k4", "https://api.openai.com/v1")


@pytest.mark.parametrize(
    ("prefix", "configured", "base"),
    [
        ("azure", "https://a.openai.azure.com/openai/deployments/x", "https://a.openai.azure.com"),
        ("azure", "https://a.openai.azure.com", "https://a.openai.azure.com"),
        ("anthropic", "https://proxy.example/v1/messages", "https://proxy.example"),
        ("cohere", "https://api.cohere.ai/v1/rerank", "https://api.cohere.ai"),
        ("openai", "https://proxy.example/openai/v1", "https://proxy.example/openai/v1"),
    ],
)
def test_a_deployments_address_is_cut_to_the_providers_base(
    prefix: str, configured: str, base: str
) -> None:
    params = {"api_key": "k", "api_base": configured}
    assert account_of(BY_PREFIX[prefix], "/x", {}, params).base == base


@pytest.mark.parametrize(
    ("upstream", "name"),
    [
        ("anthropic.claude-sonnet-4-5-v1:0", "anthropic.claude-sonnet-4-5-v1:0"),
        ("converse/us.amazon.nova-lite-v1:0", "us.amazon.nova-lite-v1:0"),
        ("us-west-2/mistral.mistral-7b", "mistral.mistral-7b"),
        ("invoke/eu-west-1/cohere.embed", "cohere.embed"),
        (
            "arn:aws:bedrock:us-east-1:1:inference-profile/x",
            "arn:aws:bedrock:us-east-1:1:inference-profile/x",
        ),
    ],
)
def test_bedrocks_id_of_a_model_is_told_from_what_is_meant_for_litellm(
    upstream: str, name: str
) -> None:
    assert model_id(upstream) == name
