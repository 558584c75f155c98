"""Requests of every kind that the OpenAPI document allows and forbids: none breaks the gateway.

`SCHEMATHESIS_REQUESTS` says how many are sent at least (5000).
"""

from __future__ import annotations

import contextlib
import json
import math
import os
from collections import Counter

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.core.result import Ok

from tests.support.gateway import Gateways

REQUESTS = int(os.environ.get("SCHEMATHESIS_REQUESTS", "5000"))
SECONDS = 30
"""An answer that takes longer counts as a hang: everything is on this machine."""

KEY = "sk-gateway-master-key"
MODELS = ("talk", "vector", "limited", "tools", "mock/any")
CONFIG = {
    "general_settings": {"master_key": KEY, "max_request_size_mb": 1},
    "router_settings": {"num_retries": 0, "disable_cooldowns": True},
    "model_list": [
        {"model_name": name, "litellm_params": {"model": "openai/any", **params}}
        for name, params in {
            "talk": {"mock_response": "Hello!"},
            "vector": {"mock_response": [0.5, 0.25]},
            "limited": {"mock_response": "litellm.RateLimitError"},
            "tools": {
                "mock_response": "",
                "mock_tool_calls": [
                    {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
                ],
            },
            "mock/*": {"mock_response": "Hello!"},
        }.items()
    ],
}
BODIES = {
    "nothing": b"",
    "no JSON": b"{",
    "no text": b"\xff\xfe\x00",
    "a list": b"[]",
    "a text": b'"x"',
    "null": b"null",
    "not a number": b'{"model": "talk", "temperature": NaN}',
    "a large number": b'{"model": "talk", "n": 123456789012345678901234567890}',
    "half a character": b'{"model": "talk", "input": "\\ud800", "prompt": "\\ud800"}',
    "a key twice": b'{"model": "talk", "model": 5}',
    "nested deeply": b'{"model": "talk", "input": ' + b"[" * 50_000 + b"]" * 50_000 + b"}",
    "large": b'{"model": "talk", "input": "' + b"x" * 2_000_000 + b'"}',
    "a model of another type": b'{"model": {"a": 1}}',
    "nulls": b'{"model": "talk", "messages": null, "input": null, "prompt": null, "stream": null}',
    "wrong types": b'{"model": "talk", "messages": [1, null, []], "stream": "yes", "tools": 5}',
    "controls of wrong types": b'{"model": "talk", "timeout": "x", "num_retries": [], "tags": 1}',
}


@pytest.fixture(scope="module")
def server(module_gateway: Gateways):
    return module_gateway(CONFIG)


@pytest.fixture(scope="module")
def schema(server):
    found = schemathesis.openapi.from_url(f"{server.url}/openapi.json")
    return found


@pytest.fixture(scope="module")
def http():
    with requests.Session() as session:
        session.headers["authorization"] = f"Bearer {KEY}"
        yield session


def holds(response: requests.Response) -> str:
    """What is wrong with an answer; nothing for one that is as it may be.

    A fault of the gateway's own is 500; 503 is its word that nothing can take the call. 431 is the
    server's own answer to a head that is too large.
    """
    if response.status_code == 431:
        return ""
    if response.status_code >= 500 and response.status_code != 503:
        return f"{response.status_code}: {response.text[:300]}"
    if response.status_code >= 400 and response.request.method != "HEAD":
        try:
            message = response.json()["error"]["message"]
        except (ValueError, KeyError, TypeError):
            return f"{response.status_code} without an error object: {response.text[:300]}"
        if not message or "Traceback" in message:
            return f"{response.status_code} without words: {response.text[:300]}"
    return ""


@pytest.mark.criterion("R1.1")
@pytest.mark.timeout(900)
def test_no_request_breaks_the_gateway(server, schema, http):
    operations = [result.ok() for result in schema.get_all_operations() if isinstance(result, Ok)]
    each = math.ceil(REQUESTS / len(operations) / 2)
    statuses: Counter[int] = Counter()
    broken: dict[str, str] = {}

    for operation in operations:
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            cases = operation.as_strategy(generation_mode=mode)

            @settings(
                max_examples=each,
                derandomize=True,
                database=None,
                deadline=None,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            @given(case=cases, model=st.sampled_from((*MODELS, None)))
            def send(case: schemathesis.Case, model: str | None) -> None:
                if model is not None:
                    if "model" in (case.path_parameters or {}):
                        case.path_parameters["model"] = model
                    if isinstance(case.body, dict) and "model" in case.body:
                        case.body["model"] = model
                try:
                    response = case.call(session=http, timeout=SECONDS)
                    statuses[response.status_code] += 1
                    problem = holds(response)
                except requests.RequestException as error:
                    problem = repr(error)
                if problem:
                    broken.setdefault(f"{case.method} {case.formatted_path}", problem)

            # There is nothing wrong to send where nothing is to be sent.
            with contextlib.suppress(Unsatisfiable):
                send()

    assert not broken, json.dumps(broken, indent=2)
    assert statuses.total() >= REQUESTS
    assert statuses[200] > REQUESTS / 50
    assert server.process.poll() is None


@pytest.mark.criterion("R1.1")
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
def test_no_body_breaks_the_gateway(server, schema, http, body):
    broken: dict[str, str] = {}
    for result in schema.get_all_operations():
        operation = result.ok()
        if operation.method.upper() not in {"POST", "PUT", "PATCH"}:
            continue
        path = operation.path.replace("{provider}", "openai").replace("{model}", "talk")
        path = path.replace("{", "").replace("}", "")
        for kind in ("application/json", "multipart/form-data; boundary=x"):
            try:
                response = http.request(
                    operation.method,
                    server.url + path,
                    data=body,
                    headers={"content-type": kind},
                    timeout=SECONDS,
                )
                problem = holds(response)
            except requests.RequestException as error:
                problem = repr(error)
            if problem:
                broken.setdefault(f"{operation.method} {path} as {kind}", problem)
    assert not broken, json.dumps(broken, indent=2)
