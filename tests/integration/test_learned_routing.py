"""Learned strategies through the gateway's door: which model answers, and what is told of it."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from anthropic import Anthropic
from openai import OpenAI

from tests.fakes.faults import Status
from tests.fakes.openai import FakeOpenAI
from tests.support import bundles
from tests.support.bundles import knn_files, mock, routed, write
from tests.support.gateway import Gateway, Gateways, trunkline
from tests.support.providers import Providers
from trunkline.routing.bundles.signing import generate
from trunkline.settings.strategies import LEARNED

EASY, HARD = "What is the capital of France?", "Prove that the square root of 2 is irrational."
TEXTS = {EASY: "easy", HARD: "hard"}
MODELS = [mock("easy", "I am easy"), mock("hard", "I am hard")]


def ask(url: str, text: Any, model: str = "auto", **fields: Any) -> httpx.Response:
    headers = fields.pop("headers", {})
    path = fields.pop("path", "/v1/chat/completions")
    messages = text if isinstance(text, list) else [{"role": "user", "content": text}]
    body = {"model": model, "messages": messages, **fields}
    return httpx.post(url + path, json=body, headers=headers, timeout=30)


def said(answer: httpx.Response) -> str:
    assert answer.status_code == 200, answer.text
    return str(answer.json()["choices"][0]["message"]["content"])


@pytest.fixture(scope="module")
def server(module_gateway: Gateways, tmp_path_factory: pytest.TempPathFactory) -> Gateway:
    """Routes by knn between `easy` and `hard`, also within the group `mixed`."""
    folder = tmp_path_factory.mktemp("knn")
    mixed = [
        {**mock("mixed", "easy of mixed"), "model_info": {"llmrouter_name": "easy"}},
        {**mock("mixed", "hard of mixed"), "model_info": {"llmrouter_name": "hard"}},
    ]
    own = [{**each, "model_info": {"llmrouter_name": each["model_name"]}} for each in MODELS]
    narrow = {**mock("narrow", "narrow"), "model_info": {"llmrouter_name": "narrow"}}
    config = routed(
        [*own, *mixed, narrow],
        "llmrouter-knn",
        model_path=str(write(knn_files(TEXTS), folder / "bundle")),
    )
    config["general_settings"] = {"routing_records": True}
    return module_gateway(config)


@pytest.fixture(scope="module")
def alone(module_gateway: Gateways, tmp_path_factory: pytest.TempPathFactory) -> Gateway:
    """Routes by knn between `easy` and `hard`, and has nothing else."""
    path = write(knn_files(TEXTS), tmp_path_factory.mktemp("knn") / "bundle.tar")
    return module_gateway(routed(MODELS, "llmrouter-knn", model_path=str(path)))


# --- which model answers


@pytest.mark.criterion("R2.2", "R2.3", "R2.5")
@pytest.mark.parametrize(("text", "model"), [(EASY, "easy"), (HARD, "hard")])
def test_the_query_decides_which_model_answers_auto(alone: Gateway, text: str, model: str) -> None:
    answer = ask(alone.url, text)
    assert said(answer) == f"I am {model}"
    assert answer.headers["x-trunkline-strategy"] == "llmrouter-knn"
    assert answer.headers["x-trunkline-model"] == f"openai/{model}"
    assert answer.headers["x-trunkline-bundle"].startswith("2026-01-02-")


@pytest.mark.criterion("R2.5")
def test_the_last_text_of_the_user_is_what_is_routed(alone: Gateway) -> None:
    turns = [
        {"role": "system", "content": EASY},
        {"role": "user", "content": EASY},
        {"role": "assistant", "content": EASY},
        {"role": "user", "content": [{"type": "text", "text": HARD}]},
        {"role": "assistant", "content": EASY},
    ]
    assert said(ask(alone.url, turns)) == "I am hard"


@pytest.mark.criterion("R2.2")
def test_streams_and_the_other_apis_are_routed_too(alone: Gateway) -> None:
    openai = OpenAI(base_url=f"{alone.url}/v1", api_key="any")
    anthropic = Anthropic(base_url=alone.url, api_key="any")
    for text, model in ((EASY, "easy"), (HARD, "hard")):
        message = [{"role": "user", "content": text}]
        chunks = openai.chat.completions.create(model="auto", messages=message, stream=True)
        streamed = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
        whole = anthropic.messages.create(model="auto", max_tokens=9, messages=message)
        responses = openai.responses.create(model="auto", input=text)
        contents = {"contents": [{"parts": [{"text": text}]}]}
        google = httpx.post(f"{alone.url}/v1beta/models/auto:generateContent", json=contents)
        found = google.json()["candidates"][0]["content"]["parts"][0]["text"]
        expected = f"I am {model}"
        assert [streamed, whole.content[0].text, responses.output_text, found] == [expected] * 4


@pytest.mark.criterion("R2.2")
def test_within_a_group_the_strategy_chooses_among_its_models(server: Gateway) -> None:
    assert said(ask(server.url, HARD, "mixed")) == "hard of mixed"
    assert said(ask(server.url, EASY, "mixed")) == "easy of mixed"


def test_a_model_that_is_asked_for_by_its_name_answers(server: Gateway) -> None:
    answer = ask(server.url, HARD, "easy")
    assert said(answer) == "I am easy"
    assert "x-trunkline-strategy" not in answer.headers


def test_models_without_a_label_never_answer_auto(server: Gateway) -> None:
    assert "narrow" not in {said(ask(server.url, f"{n} {EASY}")) for n in range(5)}


def test_auto_is_listed_as_a_model(alone: Gateway) -> None:
    listed = httpx.get(f"{alone.url}/v1/models").json()["data"]
    assert [each["id"] for each in listed] == ["easy", "hard", "auto"]


@pytest.mark.parametrize(
    "messages",
    [
        [{"role": "user", "content": ""}],
        [{"role": "assistant", "content": EASY}],
        [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}],
        [],
    ],
)
def test_without_a_text_the_built_in_default_picks(alone: Gateway, messages: list[Any]) -> None:
    answer = ask(alone.url, messages)
    assert said(answer) in {"I am easy", "I am hard"}
    assert answer.headers["x-trunkline-decision-missing"] == "no_query"


@pytest.mark.parametrize(
    "text", ["\x00", "🙂" * 1000, "מה קורה " * 50, "word " * 100_000, "\ud800"]
)
def test_any_text_is_routed(alone: Gateway, text: str) -> None:
    body = json.dumps({"model": "auto", "messages": [{"role": "user", "content": text}]})
    answer = httpx.post(f"{alone.url}/v1/chat/completions", content=body, timeout=30)
    assert said(answer) in {"I am easy", "I am hard"}
    assert "x-trunkline-decision-missing" not in answer.headers


# --- who can't serve a call is never chosen


@pytest.fixture(scope="module")
def openai(fakes: Providers) -> Any:
    return fakes(FakeOpenAI)


def _on(openai: Any, name: str, **info: Any) -> dict[str, Any]:
    params = {"model": f"openai/{name}", "api_base": f"{openai.url}/v1", "api_key": "k"}
    return {"model_name": name, "litellm_params": params, "model_info": info}


@pytest.fixture(scope="module")
def limited(
    module_gateway: Gateways, openai: Any, tmp_path_factory: pytest.TempPathFactory
) -> Gateway:
    """`hard` has a small context and no eyes."""
    models = [
        _on(openai, "easy"),
        _on(openai, "hard", max_input_tokens=200, supports_vision=False),
    ]
    path = write(knn_files(TEXTS), tmp_path_factory.mktemp("knn") / "bundle")
    config = routed(models, "llmrouter-knn", model_path=str(path))
    config["router_settings"] |= {"num_retries": 1, "cooldown_time": 60}
    return module_gateway(config)


def test_a_model_that_would_fail_is_passed_over(limited: Gateway) -> None:
    model = "x-trunkline-model"
    assert ask(limited.url, HARD).headers[model] == "openai/hard"
    long = [{"role": "system", "content": "word " * 1000}, {"role": "user", "content": HARD}]
    assert ask(limited.url, long).headers[model] == "openai/easy"
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
    seen = [{"role": "user", "content": [{"type": "text", "text": HARD}, image]}]
    assert ask(limited.url, seen).headers[model] == "openai/easy"


def test_an_explanation_says_who_was_taken_out_and_why(limited: Gateway) -> None:
    long = [{"role": "system", "content": "word " * 1000}, {"role": "user", "content": HARD}]
    body = {"model": "auto", "messages": long}
    found = httpx.post(f"{limited.url}/routing/explain", json=body).json()
    assert [each["label"] for each in found["ranking"]] == ["hard", "easy"]
    assert [(each["label"], each["rule"]) for each in found["excluded"]] == [
        ("hard", "context_window")
    ]
    assert found["chosen"]["label"] == "easy"
    assert found["milliseconds"] > 0
    assert found["decision"] == "decided"


def test_what_fails_is_tried_again_on_the_next_best_model(limited: Gateway, openai: Any) -> None:
    openai.fault(Status(500))
    answer = ask(limited.url, HARD)
    assert answer.status_code == 200
    assert answer.headers["x-trunkline-model"] == "openai/easy"
    assert answer.headers["x-trunkline-retries"] == "1"


# --- a strategy that fails never fails a call


@pytest.mark.criterion("R15.2")
def test_a_decision_that_takes_too_long_is_left_and_told(gateway: Gateways, tmp_path: Path) -> None:
    path = write(knn_files(TEXTS), tmp_path / "bundle")
    config = routed(MODELS, "llmrouter-knn", model_path=str(path), timeout_ms=0.0001)
    config["litellm_settings"] = {"callbacks": ["prometheus"]}
    server = gateway(config)
    answer = ask(server.url, HARD)
    assert said(answer) in {"I am easy", "I am hard"}
    assert answer.headers["x-trunkline-decision-missing"] == "timeout"
    server.wait_until_said("routing decision missing")
    counted = httpx.get(f"{server.url}/metrics").text
    assert 'outcome="timeout",strategy="llmrouter-knn"} 1.0' in counted


# --- the knob


@pytest.fixture(scope="module")
def scores(module_gateway: Gateways, tmp_path_factory: pytest.TempPathFactory) -> Gateway:
    """`hard` is always better, and dear."""
    files = bundles.quality_files({"easy": 0.5, "hard": 0.9}, {"easy": 0.1, "hard": 1.0})
    path = write(files, tmp_path_factory.mktemp("scores") / "bundle")
    return module_gateway(routed(MODELS, "trunkline-cluster", model_path=str(path)))


def test_a_request_weighs_cost_against_quality_by_a_header(scores: Gateway) -> None:
    weight = "x-trunkline-cost-weight"
    assert said(ask(scores.url, EASY)) == "I am hard"
    assert said(ask(scores.url, EASY, headers={weight: "0.1"})) == "I am hard"
    assert said(ask(scores.url, EASY, headers={weight: "1"})) == "I am easy"
    for wrong in ("-1", "nan", "much", "inf"):
        refused = ask(scores.url, EASY, headers={weight: wrong})
        assert refused.status_code == 400
        assert refused.json()["error"]["param"] == weight


# --- what is told


@pytest.mark.criterion("R15.2")
def test_every_decision_is_one_log_line_without_the_prompt(
    gateway: Gateways, tmp_path: Path
) -> None:
    path = write(knn_files(TEXTS), tmp_path / "bundle")
    config = routed(MODELS, "llmrouter-knn", model_path=str(path))
    config["litellm_settings"] = {"json_logs": True}
    server = gateway(config)
    answer = ask(server.url, "A canary: prove that the square root of 5 is irrational")
    call_id = answer.headers["x-trunkline-call-id"]
    server.wait_until_said(call_id)
    lines = [json.loads(line) for line in server.log().splitlines() if call_id in line]
    assert len(lines) == 1
    assert lines[0]["message"] == "routed"
    assert {name: lines[0][name] for name in ("strategy", "label", "asked", "bundle")} == {
        "strategy": "llmrouter-knn",
        "label": "hard",
        "asked": "auto",
        "bundle": answer.headers["x-trunkline-bundle"],
    }
    assert "canary" not in server.log()


@pytest.mark.criterion("R15.2")
def test_what_a_built_in_strategy_picks_among_several_is_logged(gateway: Gateways) -> None:
    server = gateway({"model_list": [mock("one", "a"), mock("one", "b")]})
    answer = ask(server.url, EASY, "one")
    server.wait_until_said(answer.headers["x-trunkline-call-id"])
    assert "strategy=simple-shuffle group=one model=openai/one" in server.log()


@pytest.mark.criterion("R15.6")
def test_the_start_up_log_names_the_strategy_and_the_bundle(alone: Gateway) -> None:
    log = alone.log()
    assert "in force: llmrouter-knn" in log
    assert all(name in log for name in LEARNED)
    assert "loaded watched=bundle" in log
    assert "version=2026-01-02-" in log


@pytest.mark.criterion("R2.1")
def test_all_strategies_are_listed_with_what_each_needs(alone: Gateway) -> None:
    found = httpx.get(f"{alone.url}/routing/strategies").json()
    names = {each["name"]: each for each in found["data"]}
    assert set(LEARNED) < set(names)
    assert len([name for name in names if name.startswith("llmrouter-")]) == 18
    assert names["llmrouter-knn"]["needs"] == {"model_path": "required"}
    assert "knnrouter" in names["llmrouter-knn"]["aliases"]
    assert found["configured"] == found["loaded"]["strategy"] == "llmrouter-knn"
    assert [each["name"] for each in found["loaded"]["labels"]] == ["easy", "hard"]


# --- feedback and records


@pytest.mark.criterion("R5.6")
def test_decisions_and_feedback_are_kept_without_the_prompt(server: Gateway) -> None:
    answer = ask(server.url, HARD, user="somebody")
    call_id = answer.headers["x-trunkline-call-id"]
    body = {"call_id": call_id, "score": 0.25, "comment": "so so"}
    given = httpx.post(f"{server.url}/v1/feedback", json=body)
    assert given.json() == {"call_id": call_id, "score": 0.25, "stored": True}

    path = server.folder / ".trunkline" / "routing.db"

    def row(table: str) -> dict[str, Any] | None:
        with sqlite3.connect(path) as connection:
            connection.row_factory = sqlite3.Row
            query = f"SELECT * FROM {table} WHERE call_id = ?"
            found = connection.execute(query, (call_id,)).fetchone()
        return dict(found) if found else None

    record = _eventually(lambda: row("routing_records"))
    assert record["query_text"] is None
    assert len(record["embedding"]) == 2 * 256
    assert (record["model"], record["user_id"], record["status"]) == ("hard", "somebody", "ok")
    assert set(json.loads(record["scores"])) == {"easy", "hard"}
    assert record["output_tokens"] > 0
    assert _eventually(lambda: row("feedback"))["score"] == 0.25
    assert HARD.encode() not in path.read_bytes()


def _eventually(look: Callable[[], Any], seconds: float = 20) -> Any:
    until = time.monotonic() + seconds
    while (found := look()) is None:
        assert time.monotonic() < until
        time.sleep(0.05)
    return found


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"score": 1}, "call_id"),
        ({"call_id": "x y", "score": 1}, "call_id"),
        ({"call_id": "a" * 32}, "score"),
        ({"call_id": "a" * 32, "score": 1, "thumbs": "up"}, "score"),
        ({"call_id": "a" * 32, "score": 1.5}, "score"),
        ({"call_id": "a" * 32, "score": True}, "score"),
        ({"call_id": "a" * 32, "score": "1"}, "score"),
        ({"call_id": "a" * 32, "thumbs": "sideways"}, "thumbs"),
        ({"call_id": "a" * 32, "score": 1, "comment": 5}, "comment"),
        ({"call_id": "a" * 32, "score": 1, "comment": "x" * 4001}, "comment"),
        ({"call_id": "a" * 32, "score": 1, "user": "x"}, "user"),
        ([], None),
        (None, None),
    ],
)
def test_feedback_with_a_fault_is_refused_by_its_name(
    alone: Gateway, body: Any, param: str | None
) -> None:
    refused = httpx.post(f"{alone.url}/v1/feedback", json=body)
    assert refused.status_code == 400
    assert refused.json()["error"]["param"] == param


# --- what can't be served


def _refused(tmp_path: Path, config: dict[str, Any]) -> str:
    """What `trunkline serve` says of a configuration that it ends on."""
    (tmp_path / "c.yaml").write_text(json.dumps(config))
    ended = trunkline("serve", "--config", "c.yaml", "--port", "1", folder=tmp_path)
    assert ended.returncode == 2, ended.stdout
    return ended.stderr


@pytest.mark.criterion("R2.1", "R2.3")
def test_a_configuration_that_can_not_be_routed_ends_the_start(tmp_path: Path) -> None:
    write(knn_files(TEXTS), tmp_path / "good")
    _, public = generate()
    other, _ = generate()
    write(knn_files({EASY: "easy", HARD: "unknown"}), tmp_path / "labels")
    write(knn_files(TEXTS, signing_key=other), tmp_path / "signed")
    bad = np.full((2, 256), np.nan, np.float32)
    tensors = {"points": bad, "point_labels": np.array([0, 1])}
    write(knn_files(TEXTS, tensors=tensors), tmp_path / "nan")
    stranger = bundles.used().model_copy(update={"sha256": "1" * 64})
    write(knn_files(TEXTS, embedder=stranger), tmp_path / "embedder")
    (tmp_path / "junk").write_bytes(b"junk")
    keys = {"bundle_public_keys": [public.decode()]}
    small = {"bundle_size_limit_mb": 0.001}
    for strategy, args, general, words in (
        ("llmrouter-best", {}, {}, "expected one of simple-shuffle"),
        ("llmrouter-knn", {}, {}, "llmrouter-knn needs routing_strategy_args.model_path"),
        ("llmrouter-knn", {"model_path": "nothing"}, {}, "there is nothing at nothing"),
        ("llmrouter-knn", {"model_path": "junk"}, {}, "not a bundle"),
        ("llmrouter-knn", {"model_path": "labels"}, {}, "no deployment is called 'unknown'"),
        ("llmrouter-svm", {"model_path": "good"}, {}, "it is a bundle of llmrouter-knn"),
        ("llmrouter-knn", {"model_path": "good"}, keys, "the bundle is not signed"),
        ("llmrouter-knn", {"model_path": "signed"}, keys, "is trusted"),
        ("llmrouter-knn", {"model_path": "good"}, small, "that it may have"),
        ("llmrouter-knn", {"model_path": "nan"}, {}, "'points' holds numbers that are not finite"),
        ("llmrouter-knn", {"model_path": "embedder"}, {}, "it was trained with the embedder"),
        ("llmrouter-knn", {"model_path": "good", "virtual_model": "easy"}, {}, "virtual_model"),
        ("llmrouter-knn", {"model_path": "good", "llm_data_path": "no"}, {}, "nothing at no"),
        ("llmrouter-knn", {"model_path": "good", "llm_data_path": "junk"}, {}, "not JSON"),
        ("llmrouter-knn", {"model_path": "good", "timeout_ms": 0}, {}, "for timeout_ms"),
        ("llmrouter-knn", {"model_path": "good", "cost_weight": -1}, {}, "for cost_weight"),
        ("llmrouter-knn", {"model_s3_bucket": "b"}, {}, "model_s3_bucket and model_s3_key"),
        ("llmrouter-knn", {"model_path": "s3://b"}, {}, "expected s3://bucket/key"),
    ):
        config = routed(MODELS, strategy, **args) | {"general_settings": general}
        assert words in _refused(tmp_path, config), (strategy, args)


@pytest.mark.criterion("R2.4")
def test_the_candidates_file_gives_sizes_to_the_strategies_that_go_by_them(
    gateway: Gateways, tmp_path: Path
) -> None:
    sizes = {"easy": {"size": "7B"}, "hard": {"size": "0.5T"}, "not-here": {"size": "1B"}}
    path = tmp_path / "llm.json"
    path.write_text(json.dumps(sizes))
    for strategy, model in (("llmrouter-smallest", "easy"), ("llmrouter-largest_llm", "hard")):
        server = gateway(routed(MODELS, strategy, llm_data_path=str(path)))
        assert said(ask(server.url, HARD)) == f"I am {model}"


@pytest.mark.criterion("R2.1")
@pytest.mark.parametrize("name", ["knnrouter", "llmrouter-knnrouter", "knn"])
def test_the_librarys_spellings_select_the_same_strategies(tmp_path: Path, name: str) -> None:
    write(knn_files(TEXTS), tmp_path / "bundle")
    config = routed(MODELS, name, model_path="bundle")
    (tmp_path / "c.yaml").write_text(json.dumps(config))
    checked = trunkline("config", "check", "c.yaml", folder=tmp_path)
    assert checked.returncode == 0, checked.stderr


def test_arguments_that_no_strategy_has_are_told(tmp_path: Path) -> None:
    write(knn_files(TEXTS), tmp_path / "bundle")
    config = routed(MODELS, "llmrouter-knn", model_path="bundle", cost_wieght=1)
    (tmp_path / "c.yaml").write_text(json.dumps(config))
    checked = trunkline("config", "check", "c.yaml", folder=tmp_path)
    assert "cost_wieght: unknown; it has no effect (did you mean cost_weight?)" in checked.stdout
