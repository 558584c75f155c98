"""Real traffic becomes training data: from a gateway's records, from traces, from S3."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psycopg
import pytest

from tests.support.bundles import knn_files, mock, routed, write
from tests.support.gateway import Gateways
from tests.support.mlops import Mlops, done, read_rows
from tests.support.postgres import PostgresServer
from tests.support.s3 import S3, moto
from trunkline.routing.embedding.known import embedder
from trunkline.store.database import address
from trunkline.store.routing_records import RoutingRecords
from trunkline.store.routing_tables import Tables
from trunkline.store.rows import Feedback
from trunkline.store.schema import upgrade

EASY, HARD = "What is the capital of France?", "Prove that the square root of 2 is irrational."
MODELS = [mock("easy", "I am easy"), mock("hard", "I am hard")]
JUDGED = {EASY: {"thumbs": "up"}, HARD: {"score": 0.25, "comment": "half a proof"}}


def traffic(
    gateway: Gateways, folder: Path, *, content: bool, **general: str
) -> tuple[Path, dict[str, str]]:
    """The folder of a gateway that answered and was told how well; call ids by question."""
    config = routed(
        MODELS,
        "llmrouter-knn",
        model_path=str(write(knn_files({EASY: "easy", HARD: "hard"}), folder / "router.tar")),
    )
    config["general_settings"] = {
        "routing_records": True,
        "store_prompts_in_spend_logs": content,
        **general,
    }
    config["litellm_settings"] = {"json_logs": True}
    server = gateway(config)
    calls = {}
    for text in (EASY, HARD, "Nobody judges this."):
        messages = [{"role": "user", "content": text}]
        answer = httpx.post(
            f"{server.url}/v1/chat/completions",
            json={"model": "auto", "messages": messages, "user": "ada"},
            timeout=30,
        )
        assert answer.status_code == 200, answer.text
        calls[text] = answer.headers["x-trunkline-call-id"]
    for text, judgement in JUDGED.items():
        body = {"call_id": calls[text], **judgement}
        assert httpx.post(f"{server.url}/v1/feedback", json=body, timeout=30).status_code == 200
    server.stop()
    return server.folder, calls


@pytest.mark.criterion("R5.6")
def test_records_and_feedback_become_rows_where_content_is_captured(
    mlops: Mlops, gateway: Gateways, tmp_path: Path
) -> None:
    folder, _ = traffic(gateway, tmp_path, content=True)
    output = tmp_path / "rows.jsonl"

    told = done(mlops("collect", folder / ".trunkline", "--output", output))

    assert "2 rows of 3 calls, 1 without feedback" in told
    rows = {row["query"]: row for row in read_rows(output)}
    assert {
        text: (row["model_name"], row["performance"], row["user_id"]) for text, row in rows.items()
    } == {EASY: ("easy", 1.0, "ada"), HARD: ("hard", 0.25, "ada")}
    assert all(row["output_tokens"] > 0 for row in rows.values())
    done(mlops("prepare", output, "--output", tmp_path / "prepared", "--test-share", "0"))


@pytest.mark.criterion("R5.6")
def test_gateways_that_share_a_database_keep_their_records_there_together(
    mlops: Mlops, gateway: Gateways, postgres: PostgresServer, tmp_path: Path
) -> None:
    url = postgres.database()
    output = tmp_path / "rows.jsonl"
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        folder, _ = traffic(gateway, tmp_path / name, content=True, database_url=url)
        assert not (folder / ".trunkline" / "routing.db").exists()

    told = done(mlops("collect", url, "--output", output))

    assert "4 rows of 6 calls, 2 without feedback" in told
    rows = read_rows(output)
    assert {(row["query"], row["model_name"], row["performance"]) for row in rows} == {
        (EASY, "easy", 1.0),
        (HARD, "hard", 0.25),
    }
    assert all(row["output_tokens"] > 0 and row["user_id"] == "ada" for row in rows)


def test_records_are_written_once_postgresql_is_back_whatever_they_hold(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    url = postgres.database()
    where = address(url, tmp_path)
    records = RoutingRecords(Tables(where))
    odd = Feedback("call-1", "2030-01-01T00:00:00.000+00:00", 0.5, "odd \0 \ud800", "somebody")
    records.add(odd)
    time.sleep(1.0)  # it can't be written: there are no tables yet
    upgrade(where, patience=10)
    records.add(replace(odd, score=1.0))
    records.close(20)
    with psycopg.connect(url) as connection:
        query = "SELECT call_id, score, comment FROM trunkline_routing_feedback"
        assert connection.execute(query).fetchall() == [("call-1", 1.0, "odd  ?")]


@pytest.mark.criterion("R5.6")
def test_without_content_capture_rows_have_embeddings_that_can_be_trained_on(
    mlops: Mlops, gateway: Gateways, tmp_path: Path
) -> None:
    folder, _ = traffic(gateway, tmp_path, content=False)
    output = tmp_path / "rows.jsonl"
    source = f"sqlite:///{folder / '.trunkline' / 'routing.db'}"

    done(mlops("collect", source, "--output", output))

    rows = {row["model_name"]: row for row in read_rows(output)}
    static = embedder("static")
    for model, text in (("easy", EASY), ("hard", HARD)):
        assert text not in output.read_text("utf-8")
        assert rows[model]["embedder_sha256"] == static.sha256
        assert np.allclose(rows[model]["embedding"], static.embed(text), atol=1e-3)
    done(mlops("prepare", output, "--output", tmp_path / "prepared", "--test-share", "0"))
    prepared = read_rows(tmp_path / "prepared" / "train.jsonl")
    assert {row["model_name"] for row in prepared} == {"easy", "hard"}


def attribute(key: str, value: Any) -> dict[str, Any]:
    kinds = {str: "stringValue", float: "doubleValue", int: "intValue"}
    # Whole numbers are text in OTLP's JSON.
    written = str(value) if isinstance(value, int) else value
    return {"key": key, "value": {kinds[type(value)]: written}}


def span(
    number: int,
    attributes: dict[str, Any],
    score: float | None = None,
    status: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """A span, with an evaluation of the answer as OpenTelemetry's conventions have it."""
    events = (
        []
        if score is None
        else [
            {
                "name": "gen_ai.evaluation.result",
                "attributes": [attribute("gen_ai.evaluation.score.value", score)],
            }
        ]
    )
    return {
        "traceId": "5b8efff798038103d269b633813fc60c",
        "spanId": f"{number:016x}",
        "name": "chat",
        "attributes": [attribute(key, value) for key, value in attributes.items()],
        "events": events,
        "status": status or {},
    }


def traces(*spans: dict[str, Any]) -> bytes:
    scopes = [{"scope": {"name": "trunkline"}, "spans": list(spans)}]
    return json.dumps({"resourceSpans": [{"resource": {}, "scopeSpans": scopes}]}).encode()


def messages(text: str) -> str:
    return json.dumps(
        [
            {"role": "system", "parts": [{"type": "text", "content": "Be brief."}]},
            {"role": "user", "parts": [{"type": "text", "content": text}]},
        ]
    )


CAPTURED = {
    "gen_ai.request.model": "small",
    "gen_ai.response.model": "small-2026-01-01",
    "gen_ai.usage.output_tokens": 12,
    "gen_ai.input.messages": messages("How high is the tower?"),
    "user.id": "ada",
}


@pytest.mark.criterion("R5.6")
def test_spans_become_rows_where_they_hold_prompts(mlops: Mlops, tmp_path: Path) -> None:
    ours = CAPTURED | {"trunkline.call_id": "abcdefgh", "trunkline.label": "small"}
    plain = {name: value for name, value in CAPTURED.items() if name != "gen_ai.input.messages"}
    exported = tmp_path / "traces.jsonl"
    exported.write_bytes(
        b"\n".join(
            [
                traces(span(1, ours)),
                traces(span(2, CAPTURED, score=0.5), span(3, plain, score=1.0)),
                traces(span(4, CAPTURED, score=1.0, status={"code": 2})),
                traces(span(5, CAPTURED), span(6, {"http.request.method": "GET"})),
            ]
        )
    )
    feedback = {"message": "feedback", "logger": "trunkline.feedback", "call_id": "abcdefgh"}
    logs = tmp_path / "gateway.log"
    logs.write_text(f"Trunkline listening\n{json.dumps(feedback | {'score': 0.75})}\n")
    output = tmp_path / "rows.jsonl"

    told = done(mlops("collect", exported, logs, "--output", output))

    assert read_rows(output) == [
        {
            "task_name": "",
            "query": "How high is the tower?",
            "model_name": model,
            "performance": score,
            "output_tokens": 12,
            "user_id": "ada",
        }
        for model, score in (("small", 0.75), ("small-2026-01-01", 0.5))
    ]
    assert "2 rows of 5 calls" in told
    assert "1 that failed, 1 with neither prompt nor embedding, 1 without feedback" in told


@pytest.fixture
def s3(tmp_path: Path) -> Iterator[S3]:
    with moto(tmp_path) as running:
        yield running


@pytest.mark.criterion("R5.6")
def test_what_a_gateway_left_on_s3_is_collected(
    mlops: Mlops, gateway: Gateways, s3: S3, tmp_path: Path
) -> None:
    folder, calls = traffic(gateway, tmp_path, content=True)
    s3.put("records", "2026/routing.db", (folder / ".trunkline" / "routing.db").read_bytes())
    late = {"message": "feedback", "call_id": calls[EASY], "score": 0.5}
    s3.put("records", "2026/z.log.gz", gzip.compress(json.dumps(late).encode()))
    s3.put("records", "2025/other.log", b"")
    output = tmp_path / "rows.jsonl"

    done(mlops("collect", "s3://records/2026/", "--output", output, env=s3.environment()))

    scores = {row["query"]: row["performance"] for row in read_rows(output)}
    assert scores == {EASY: 0.5, HARD: 0.25}
    missing = mlops("collect", "s3://nowhere/", "--output", output, env=s3.environment())
    assert missing.returncode == 2
    assert "s3://nowhere/: " in missing.stderr
    assert "Traceback" not in missing.stderr


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("nowhere.jsonl", "there is no such file"),
        ("mongodb://host/records", "sources are files"),
        ("empty.jsonl", "no call can be learned from: 0 calls"),
    ],
)
def test_sources_that_hold_nothing_are_told(
    mlops: Mlops, tmp_path: Path, source: str, told: str
) -> None:
    (tmp_path / "empty.jsonl").touch()

    ran = mlops("collect", source, "--output", "rows.jsonl", folder=tmp_path)

    assert ran.returncode == 2
    assert told in ran.stderr
    assert not (tmp_path / "rows.jsonl").exists()
