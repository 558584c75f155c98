"""Who may call: the master key, in every header that a client of a known API sends it in."""

from __future__ import annotations

import httpx
import pytest

from tests.support.gateway import Gateways

KEY = "sk-master-1234"
CONFIG = {
    "general_settings": {"master_key": KEY, "max_request_size_mb": 1},
    "model_list": [
        {
            "model_name": "fast",
            "litellm_params": {"model": "openai/gpt-4o-mini", "mock_response": "Hello!"},
        }
    ],
}
ASK = {"model": "fast", "max_tokens": 5, "messages": [{"role": "user", "content": "Hi"}]}
GOOGLE_ASK = {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}


@pytest.fixture(scope="module")
def server(module_gateway: Gateways):
    return module_gateway(CONFIG)


@pytest.mark.criterion("R1.3", "R11.1")
@pytest.mark.parametrize(
    ("path", "header", "body"),
    [
        ("/v1/chat/completions", {"authorization": f"Bearer {KEY}"}, ASK),
        ("/v1/chat/completions", {"authorization": f"bearer  {KEY}"}, ASK),
        ("/openai/deployments/fast/chat/completions?api-version=2024-10-21", {"api-key": KEY}, ASK),
        ("/v1/messages", {"x-api-key": KEY}, ASK),
        ("/v1beta/models/fast:generateContent", {"x-goog-api-key": KEY}, GOOGLE_ASK),
    ],
)
def test_the_master_key_opens_every_api(server, path, header, body):
    assert httpx.post(server.url + path, headers=header, json=body).status_code == 200


@pytest.mark.criterion("R11.1")
@pytest.mark.parametrize(
    "header",
    [
        {},
        {"authorization": "Bearer wrong"},
        {"authorization": "Bearer"},
        {"authorization": KEY[:-1]},
        {"authorization": f"Basic {KEY}"},
        {"x-api-key": KEY + "0"},
        {"authorization": "Bearer \xe9\xe9"},
    ],
)
def test_any_other_key_is_refused_in_the_shape_of_the_api(server, header):
    encoded = {name: value.encode("latin-1") for name, value in header.items()}
    openai = httpx.post(f"{server.url}/v1/chat/completions", headers=encoded, json=ASK)
    assert openai.status_code == 401
    assert openai.json()["error"]["type"] == "authentication_error"
    assert openai.json()["error"]["code"] in {"missing_api_key", "invalid_api_key"}
    anthropic = httpx.post(f"{server.url}/v1/messages", headers=encoded, json=ASK)
    assert anthropic.status_code == 401
    assert anthropic.json()["type"] == "error"
    assert anthropic.json()["error"]["type"] == "authentication_error"
    google = httpx.post(
        f"{server.url}/v1beta/models/fast:generateContent", headers=encoded, json=GOOGLE_ASK
    )
    assert google.status_code == 401
    assert google.json()["error"]["status"] == "UNAUTHENTICATED"
    for answer in (openai, anthropic, google):
        assert KEY not in answer.text


@pytest.mark.criterion("R11.1")
@pytest.mark.parametrize("path", ["/v1/models", "/model/info", "/model_group/info", "/health"])
def test_what_the_gateway_knows_needs_a_key_too(server, path):
    assert httpx.get(server.url + path).status_code == 401
    answer = httpx.get(server.url + path, headers={"authorization": f"Bearer {KEY}"})
    assert answer.status_code == 200
    assert KEY not in answer.text


def test_a_body_over_the_limit_is_413(server):
    headers = {"authorization": f"Bearer {KEY}"}
    large = {**ASK, "messages": [{"role": "user", "content": "x" * 2_000_000}]}
    answer = httpx.post(f"{server.url}/v1/chat/completions", headers=headers, json=large)
    assert answer.status_code == 413
    assert "max_request_size_mb" in answer.json()["error"]["message"]

    def endless():
        for _ in range(64):
            yield b"x" * 65536

    answer = httpx.post(f"{server.url}/v1/messages", headers=headers, content=endless())
    assert answer.status_code == 413
    assert answer.json()["error"]["type"] == "request_too_large"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"", None),
        (b"{", None),
        (b"[]", None),
        (b'{"model": "fast", "messages": [], "temperature": NaN}', None),
        (b'{"messages": []}', "model"),
        (b'{"model": 7, "messages": []}', "model"),
        (b'{"model": "", "messages": []}', "model"),
        (b'{"model": "fast"}', "messages"),
        (b'{"model": "fast", "messages": "hi"}', "messages"),
        (b'{"model": "fast", "messages": ["hi"]}', "messages[0]"),
        (b'{"model": "fast", "messages": [{"content": "hi"}]}', "messages[0].role"),
        (b'{"model": "fast", "messages": [], "stream": "yes"}', "stream"),
        (b'{"model": "fast", "messages": [], "timeout": "soon"}', "timeout"),
        (b'{"model": "fast", "messages": [], "num_retries": -1}', "num_retries"),
        (b'{"model": "fast", "messages": [], "api_base": "http://127.0.0.1"}', "api_base"),
        (b'{"model": "fast", "messages": [], "api_key": "sk-mine"}', "api_key"),
    ],
)
def test_a_body_that_is_wrong_names_what_is_wrong(server, body, param):
    answer = httpx.post(
        f"{server.url}/v1/chat/completions",
        headers={"authorization": f"Bearer {KEY}", "content-type": "application/json"},
        content=body,
    )
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["type"] == "invalid_request_error"
    assert error["param"] == param
    assert "Traceback" not in answer.text


def test_an_unknown_model_is_named(server):
    answer = httpx.post(
        f"{server.url}/v1/chat/completions",
        headers={"authorization": f"Bearer {KEY}"},
        json={**ASK, "model": "gpt-99"},
    )
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "model_not_found"
    assert "gpt-99" in answer.json()["error"]["message"]


def test_a_path_or_method_that_is_none_of_ours_is_an_error_object(server):
    assert httpx.get(f"{server.url}/nothing/here").json()["error"]["code"] == "unknown_url"
    wrong_method = httpx.get(f"{server.url}/v1/chat/completions")
    assert wrong_method.status_code == 405
    assert "POST" in wrong_method.json()["error"]["message"]
