"""Why a call goes where it does: whatever it asks, however it weighs costs, and by any key."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.bundles import knn_files, mock, quality_files, routed, write
from tests.support.gateway import Gateway, Gateways
from tests.support.management import MASTER, Management

SMALL, MIDDLE, LARGE = "small", "middle", "large"
QUALITY = {SMALL: 0.5, MIDDLE: 0.7, LARGE: 0.9}
PRICES = {SMALL: 0.1, MIDDLE: 1.0, LARGE: 10.0}
WEIGHT = "x-trunkline-cost-weight"
HELLO = [{"role": "user", "content": "Hello"}]


@pytest.fixture(scope="module")
def server(module_gateway: Gateways, tmp_path_factory: pytest.TempPathFactory) -> Gateway:
    """Expects most of the dearest model; has another model that no label stands for."""
    path = write(quality_files(QUALITY, PRICES), tmp_path_factory.mktemp("quality") / "bundle.tar")
    models = [mock("vectors", "none"), *(mock(name, name) for name in QUALITY)]
    config = routed(models, "trunkline-cluster", model_path=str(path))
    config["general_settings"] = {"master_key": MASTER}
    return module_gateway(config)


def post(
    server: Gateway, path: str, content: Any, key: str = MASTER, **headers: str
) -> httpx.Response:
    return httpx.post(
        f"{server.url}{path}",
        content=content if isinstance(content, bytes | Iterator) else json.dumps(content),
        headers={"authorization": f"Bearer {key}", "content-type": "application/json", **headers},
        timeout=60,
    )


def explain(server: Gateway, content: Any, key: str = MASTER, **headers: str) -> httpx.Response:
    return post(server, "/routing/explain", content, key, **headers)


def answered(server: Gateway, key: str = MASTER, model: str = "auto", **headers: str) -> str:
    """The model that answers a call; of one that is refused, the error's code."""
    body = {"model": model, "messages": HELLO}
    answer = post(server, "/v1/chat/completions", body, key, **headers).json()
    found = answer["error"]["code"] if "error" in answer else answer["choices"][0]
    return str(found if isinstance(found, str) else found["message"]["content"])


def ranking(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [each["label"] for each in answer.json()["ranking"]]


# Whatever is asked


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"model": None}, "model"),
        ({"model": 5}, "model"),
        ({"model": ""}, "model"),
        ({"messages": None}, "messages"),
        ({"messages": "Hello"}, "messages"),
        ({"messages": ["Hello"]}, "messages[0]"),
        ({"messages": [{"role": ["user"], "content": "Hello"}]}, "messages[0].role"),
        ({"stream": "yes"}, "stream"),
        ({"tags": "free"}, "tags"),
        ({"api_base": "http://elsewhere"}, "api_base"),
    ],
)
def test_what_no_call_may_be_is_told_as_of_a_call(
    server: Gateway, fields: dict[str, Any], param: str
) -> None:
    body = {"model": "auto", "messages": HELLO, **fields}
    refusals = [post(server, path, body) for path in ("/routing/explain", "/v1/chat/completions")]
    assert [each.status_code for each in refusals] == [400, 400]
    assert [each.json()["error"]["param"] for each in refusals] == [param, param]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b'{"model": NaN}', b"[" * 100_000])
def test_what_is_no_object_is_told(server: Gateway, content: bytes) -> None:
    answer = explain(server, content)
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    "messages",
    [
        [],
        [{"role": "assistant", "content": "Hello"}],
        [{"role": "user", "content": None}],
        [{"role": "user", "content": 7}],
        [{"role": "user", "content": [None, 5, {"type": ["text"], "text": "x"}, {"text": {}}]}],
    ],
)
def test_without_a_text_there_is_no_ranking(server: Gateway, messages: list[Any]) -> None:
    answer = explain(server, {"model": "auto", "messages": messages})
    assert ranking(answer) == []
    told = answer.json()
    assert (told["decision"], told["chosen"]["label"]) == ("no_query", None)
    assert {each["model_group"] for each in told["chosen"]["deployments"]} == set(QUALITY)


@pytest.mark.parametrize("text", ["🙂", "\u202e\x00", "مرحبا", "\ud800", "a" * 5_000_000])
def test_any_text_is_ranked(server: Gateway, text: str) -> None:
    body = {"model": "auto", "messages": [{"role": "user", "content": text}], "stream": True}
    assert ranking(explain(server, body)) == [LARGE, MIDDLE, SMALL]


def test_a_body_may_come_in_pieces(server: Gateway) -> None:
    body = json.dumps({"model": "auto", "messages": HELLO}).encode()
    assert ranking(explain(server, iter([body[:9], body[9:]]))) == [LARGE, MIDDLE, SMALL]


def test_a_model_that_nobody_has_is_told(server: Gateway) -> None:
    answer = explain(server, {"model": "nobody's", "messages": HELLO})
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "model_not_found"


# However costs are weighed


@pytest.mark.parametrize(
    ("weight", "first"), [("0", LARGE), ("-0", LARGE), ("5e-324", LARGE), ("0.3", MIDDLE)]
)
def test_a_request_weighs_costs_for_itself(server: Gateway, weight: str, first: str) -> None:
    body = {"model": "auto", "messages": HELLO}
    assert ranking(explain(server, body, **{WEIGHT: weight}))[0] == first
    assert answered(server, **{WEIGHT: weight}) == first


def test_the_heaviest_weight_still_tells_models_apart(server: Gateway) -> None:
    answer = explain(server, {"model": "auto", "messages": HELLO}, **{WEIGHT: "1e3"})
    assert ranking(answer) == [SMALL, MIDDLE, LARGE]
    scores = [each["score"] for each in answer.json()["ranking"]]
    assert scores == sorted(scores, reverse=True)
    assert answered(server, **{WEIGHT: "1e3"}) == SMALL


@pytest.mark.parametrize(
    "weight",
    ["", "dear", "NaN", "inf", "-Infinity", "-1", "1000.1", "1e308", "1e400", "0x1", "1_0", "1,5"],
)
def test_what_is_no_weight_is_refused(server: Gateway, weight: str) -> None:
    for path in ("/routing/explain", "/v1/chat/completions"):
        answer = post(server, path, {"model": "auto", "messages": HELLO}, **{WEIGHT: weight})
        assert answer.status_code == 400
        told = answer.json()["error"]
        assert told["param"] == WEIGHT
        assert told["message"].endswith("must be a number from 0 to 1000.")


# By any key


@pytest.fixture(scope="module")
def admin(server: Gateway) -> Management:
    return Management(server.url)


@pytest.mark.criterion("R11.2")
@pytest.mark.parametrize(
    ("models", "first"),
    [
        (["auto"], LARGE),
        (["auto", SMALL], SMALL),
        (["auto", SMALL, MIDDLE], MIDDLE),
        # Of these, routing knows one, or none: then the key's `auto` is what it is for everybody.
        (["auto", SMALL, "vectors"], SMALL),
        (["auto", "vectors"], LARGE),
    ],
)
def test_a_key_is_led_to_the_models_that_it_may_call(
    server: Gateway, admin: Management, models: list[str], first: str
) -> None:
    key = admin.key(models=models)
    told = explain(server, {"model": "auto", "messages": HELLO}, key).json()
    assert {each["model_group"] for each in told["chosen"]["deployments"]} == {first}
    assert [answered(server, key) for _ in range(8)] == [first] * 8


@pytest.mark.criterion("R11.2")
def test_what_a_key_may_not_call_is_not_explained_to_it(server: Gateway, admin: Management) -> None:
    key = admin.key(models=[SMALL])
    for model in ("auto", LARGE):
        answer = explain(server, {"model": model, "messages": HELLO}, key)
        assert answer.status_code == 403
        assert answer.json()["error"]["code"] == answered(server, key, model)
        assert "deployments" not in answer.text
    assert explain(server, {"model": SMALL, "messages": HELLO}, key).status_code == 200
    assert explain(server, {"model": SMALL, "messages": HELLO}, "sk-nobody's").status_code == 401


def test_a_key_s_own_names_are_explained(server: Gateway, admin: Management) -> None:
    key = admin.key(aliases={"mine": SMALL})
    told = explain(server, {"model": "mine", "messages": HELLO}, key).json()
    assert [each["model_group"] for each in told["chosen"]["deployments"]] == [SMALL]


def test_what_the_configuration_demands_of_calls_holds(gateway: Gateways, tmp_path: Path) -> None:
    path = write(knn_files({"Hello": SMALL, "Prove it.": LARGE}), tmp_path / "bundle.tar")
    config = routed([mock(SMALL, ""), mock(LARGE, "")], "llmrouter-knn", model_path=str(path))
    config["general_settings"] = {"master_key": MASTER, "enforce_user_param": True}
    server = gateway(config)
    body = {"model": "auto", "messages": HELLO}
    refused = explain(server, body)
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "user")
    assert ranking(explain(server, {**body, "user": "ada"})) == [SMALL, LARGE]
