"""The lists of models: what a caller may use, and what is known about it."""

from __future__ import annotations

import json

import httpx
import pytest
from anthropic import Anthropic
from openai import NotFoundError, OpenAI

from tests.support.gateway import Gateways

KEY = "sk-gateway-master-key"
AUTH = {"authorization": f"Bearer {KEY}"}
SECRETS = [
    "sk-first-secret-value",
    "sk-second-secret-value",
    "secret-in-header",
    "hidden-user",
    "session-token-value",
    "-----BEGIN PRIVATE KEY-----",
]
CONFIG = {
    "general_settings": {"master_key": KEY},
    "router_settings": {"model_group_alias": {"smart": "gpt"}},
    "model_list": [
        {
            "model_name": "gpt",
            "litellm_params": {
                "model": "openai/gpt-4o",
                "api_key": SECRETS[0],
                "api_base": f"https://example.com/v1?key={SECRETS[0]}",
                "extra_headers": {"x-token": SECRETS[2]},
                "rpm": 5,
                "tpm": 1000,
            },
            "model_info": {"id": "first", "team": "search", "supports_vision": False},
        },
        {
            "model_name": "gpt",
            "litellm_params": {
                "model": "azure/gpt-4o-mini",
                "api_key": SECRETS[1],
                "api_base": "https://our.openai.azure.com",
                "azure_ad_token": SECRETS[4],
                "rpm": 7,
            },
            "model_info": {"input_cost_per_token": 0.5},
        },
        {
            "model_name": "embed",
            "litellm_params": {
                "model": "vertex_ai/text-embedding-005",
                "vertex_credentials": json.dumps({"private_key": SECRETS[5]}),
            },
        },
        {
            "model_name": "own",
            "litellm_params": {
                "model": "openai/our-own-model",
                "api_base": f"https://{SECRETS[3]}:{SECRETS[1]}@example.com/v1",
                "mock_response": "hi",
            },
        },
        {
            "model_name": "anthropic/*",
            "litellm_params": {"model": "anthropic/*", "api_key": SECRETS[0]},
        },
    ],
}


@pytest.fixture(scope="module")
def server(module_gateway: Gateways):
    return module_gateway(CONFIG)


def get(server, path: str, **query: object) -> httpx.Response:
    return httpx.get(server.url + path, headers=AUTH, params=query)


@pytest.mark.criterion("R1.1", "R11.1")
@pytest.mark.parametrize(
    "path",
    [
        "/v1/models",
        "/models",
        "/v1/models/gpt",
        "/model/info",
        "/v1/model/info",
        "/v2/model/info",
        "/model_group/info",
    ],
)
def test_nothing_is_told_of_the_models_without_a_key(server, path):
    assert httpx.get(server.url + path).status_code == 401
    assert get(server, path).status_code == 200


@pytest.mark.criterion("R1.1", "R11.1")
@pytest.mark.parametrize("path", ["/model/info", "/v2/model/info", "/model_group/info"])
def test_no_credential_is_ever_shown(server, path):
    text = get(server, path, size=1000).text if "v2" in path else get(server, path).text
    assert "gpt" in text
    assert not [secret for secret in SECRETS if secret in text]


@pytest.mark.criterion("R1.1")
def test_openais_sdk_lists_and_finds_models(server):
    client = OpenAI(base_url=f"{server.url}/v1", api_key=KEY)
    names = [model.id for model in client.models.list()]
    assert {"gpt", "smart", "embed", "own"} <= set(names)
    assert any(name.startswith("anthropic/claude-") for name in names)
    assert "anthropic/*" not in names
    found = client.models.retrieve("gpt")
    assert (found.id, found.object, found.owned_by) == ("gpt", "model", "openai")
    assert client.models.retrieve("anthropic/claude-x").id == "anthropic/claude-x"
    with pytest.raises(NotFoundError) as missing:
        client.models.retrieve("nothing-of-ours")
    assert missing.value.code == "model_not_found"


@pytest.mark.criterion("R1.1")
def test_the_list_tells_mode_and_limits_where_they_are_known(server):
    listed = {model["id"]: model for model in get(server, "/v1/models").json()["data"]}
    assert listed["gpt"]["mode"] == "chat"
    assert listed["gpt"]["max_input_tokens"] == 128_000
    assert listed["embed"]["mode"] == "embedding"
    assert "mode" not in listed["own"]


@pytest.mark.criterion("R1.1")
def test_anthropics_sdk_lists_models_in_its_own_shape(server):
    client = Anthropic(base_url=server.url, api_key=KEY)
    page = client.models.list()
    assert page.data[0].type == "model"
    assert {"gpt", "own"} <= {model.id for model in page}
    assert client.models.retrieve("gpt").display_name == "gpt"


@pytest.mark.criterion("R1.1")
def test_model_info_describes_each_deployment(server):
    entries = get(server, "/model/info").json()["data"]
    first = next(entry for entry in entries if entry["model_info"]["id"] == "first")
    assert first["model_name"] == "gpt"
    assert first["litellm_params"]["model"] == "openai/gpt-4o"
    assert first["litellm_params"]["rpm"] == 5
    assert first["litellm_params"]["api_base"] == "https://example.com/v1"
    assert first["litellm_params"]["extra_headers"] == {"x-token": "[redacted]"}
    assert "api_key" not in first["litellm_params"]
    info = first["model_info"]
    assert (info["mode"], info["max_input_tokens"]) == ("chat", 128_000)
    assert info["input_cost_per_token"] == pytest.approx(2.5e-06)
    assert info["litellm_provider"] == "openai"
    assert info["team"] == "search"
    assert info["supports_vision"] is False
    assert info["supports_function_calling"] is True
    assert info["db_model"] is False
    own = next(entry for entry in entries if entry["model_name"] == "own")
    assert own["model_info"]["max_tokens"] is None
    assert own["model_info"]["litellm_provider"] == "openai"


@pytest.mark.criterion("R1.1")
def test_one_deployment_is_found_by_the_id_of_an_answers_header(server):
    asked = {"model": "own", "messages": [{"role": "user", "content": "hi"}]}
    answer = httpx.post(f"{server.url}/v1/chat/completions", headers=AUTH, json=asked)
    identity = answer.headers["x-litellm-model-id"]
    found = get(server, "/model/info", litellm_model_id=identity).json()["data"]
    assert [entry["model_name"] for entry in found] == ["own"]
    missing = get(server, "/model/info", litellm_model_id="nothing")
    assert missing.status_code == 400
    assert missing.json()["error"]["param"] == "litellm_model_id"


@pytest.mark.criterion("R1.1")
def test_model_info_comes_in_pages(server):
    first = get(server, "/v2/model/info", size=2).json()
    second = get(server, "/v2/model/info", size=2, page=2).json()
    assert (len(first["data"]), first["current_page"]) == (2, 1)
    assert first["total_pages"] == -(-first["total_count"] // 2)
    assert first["data"] != second["data"]
    found = get(server, "/v2/model/info", search="MBE").json()
    assert [entry["model_name"] for entry in found["data"]] == ["embed"]
    assert get(server, "/v2/model/info", page=0).status_code == 400
    assert get(server, "/v2/model/info", size="many").json()["error"]["param"] == "size"


@pytest.mark.criterion("R1.1")
def test_a_model_groups_deployments_are_summed_up(server):
    (group,) = get(server, "/model_group/info", model_group="gpt").json()["data"]
    assert group["providers"] == ["openai", "azure"]
    assert group["input_cost_per_token"] == 0.5
    assert (group["max_input_tokens"], group["max_output_tokens"]) == (128_000, 16_384)
    assert (group["rpm"], group["tpm"]) == (12, 1000)
    assert group["supports_vision"] is True
    assert group["mode"] == "chat"
    (wild,) = get(server, "/model_group/info", model_group="anthropic/claude-x").json()["data"]
    assert wild["providers"] == ["anthropic"]
    assert get(server, "/model_group/info", model_group="nothing").json() == {"data": []}
    names = [each["model_group"] for each in get(server, "/model_group/info").json()["data"]]
    assert {"gpt", "smart", "own"} <= set(names)
