"""gmt and ts by the formulas of their networks, written out; and what their bundles must hold."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from trunkline.errors import BundleError
from trunkline.routing.bundles.manifest import EmbedderUsed, Label, Training, parse
from trunkline.routing.bundles.reading import Bundle
from trunkline.routing.bundles.weights import Weights
from trunkline.routing.bundles.writing import bundle_files
from trunkline.routing.heads.head import Head, HeadArgs, Query
from trunkline.routing.heads.table import head

DIMENSION, WIDTH, HEADS, LABELS, POINTS, TASKS = 6, 8, 2, 3, 20, 2
PART = WIDTH // HEADS
USERS = ["ana", "bo"]
STARTS = [0, 3, 5]

Tensors = Mapping[str, np.ndarray]


def drawn(shapes: Mapping[str, tuple[int, ...]], seed: int) -> dict[str, np.ndarray]:
    draw = np.random.default_rng(seed)
    return {name: draw.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


GMT = drawn(
    {
        "model_queries": (LABELS, WIDTH),
        "user_states": (len(USERS) + 1, 2 * WIDTH),
        "query_weight": (2 * WIDTH, DIMENSION),
        "query_bias": (2 * WIDTH,),
        "output_weight": (WIDTH, WIDTH),
        "output_bias": (WIDTH,),
        "score_weight": (WIDTH,),
        "model_bias": (LABELS,),
    },
    1,
)
TS = drawn(
    {
        "own_weight": (WIDTH, DIMENSION),
        "own_bias": (WIDTH,),
        "ask_weight": (WIDTH, DIMENSION),
        "ask_bias": (WIDTH,),
        "points": (POINTS, DIMENSION),
        "task_keys": (TASKS, WIDTH),
        "task_values": (TASKS, WIDTH),
        "neighbour_keys": (POINTS, WIDTH),
        "neighbour_values": (POINTS, WIDTH),
        "history_keys": (STARTS[-1], WIDTH),
        "history_values": (STARTS[-1], WIDTH),
        "update_weight": (WIDTH, WIDTH),
        "update_bias": (WIDTH,),
        "kept": (1,),
        "hidden_weight": (WIDTH, WIDTH),
        "hidden_models": (LABELS, WIDTH),
        "score_weight": (WIDTH,),
    },
    2,
) | {"history_starts": np.array(STARTS, np.int32)}
PARAMETERS: dict[str, dict[str, Any]] = {
    "gmt": {"users": USERS, "heads": HEADS},
    "ts": {"users": USERS, "heads": HEADS, "neighbours": 4},
}
TENSORS: dict[str, Tensors] = {"gmt": GMT, "ts": TS}


def bundle(
    strategy: str, tensors: Tensors | None = None, parameters: Mapping[str, Any] | None = None
) -> Bundle:
    """A bundle with some of its tensors and parameters replaced; None as a tensor removes it."""
    replaced = TENSORS[strategy] | (tensors or {})
    held = {name: each for name, each in replaced.items() if each is not None}
    files = bundle_files(
        strategy=f"llmrouter-{strategy}",
        labels=[Label(name=f"model-{number}") for number in range(LABELS)],
        tensors=held,
        parameters=PARAMETERS[strategy] | (parameters or {}),
        training=Training(sha256="0" * 64, queries=1, rows=1),
        created="2026-01-01",
        embedder=EmbedderUsed(id="static", sha256="0" * 64, max_tokens=64, dimension=DIMENSION),
    )
    weights = Weights(held, {"labels": LABELS, "dimension": DIMENSION})
    return Bundle(parse(files["manifest.json"]), weights, "")


def made(strategy: str) -> Head:
    return head(bundle(strategy), HeadArgs())


def queries(count: int) -> np.ndarray:
    found = np.random.default_rng(3).normal(size=(count, DIMENSION))
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


def softmax(logits: list[float]) -> list[float]:
    raised = [math.exp(each - max(logits)) for each in logits]
    return [each / sum(raised) for each in raised]


def gmt_by_hand(embedding: np.ndarray, row: int) -> list[float]:
    query = GMT["query_weight"] @ embedding + GMT["query_bias"]
    context = [GMT["user_states"][row], query]
    scores = []
    for asked, bias in zip(GMT["model_queries"], GMT["model_bias"], strict=True):
        attended = np.zeros(WIDTH)
        for one in range(HEADS):
            part = slice(one * PART, (one + 1) * PART)
            weights = softmax([float(each[:WIDTH][part] @ asked[part]) for each in context])
            for weight, each in zip(weights, context, strict=True):
                attended[part] += weight * each[WIDTH:][part]
        hidden = np.maximum(GMT["output_weight"] @ attended + GMT["output_bias"], 0)
        scores.append(float(hidden @ GMT["score_weight"] + bias))
    return scores


def ts_by_hand(embedding: np.ndarray, past: range) -> list[float]:
    near = sorted(range(POINTS), key=lambda point: -float(TS["points"][point] @ embedding))[:4]
    told = [(TS["task_keys"][n], TS["task_values"][n]) for n in range(TASKS)]
    told += [(TS["neighbour_keys"][n], TS["neighbour_values"][n]) for n in near]
    told += [(TS["history_keys"][n], TS["history_values"][n]) for n in past]
    asked = TS["ask_weight"] @ embedding + TS["ask_bias"]
    attended = np.zeros(WIDTH)
    for one in range(HEADS):
        part = slice(one * PART, (one + 1) * PART)
        weights = softmax([float(key[part] @ asked[part]) for key, _ in told])
        for weight, (_, value) in zip(weights, told, strict=True):
            attended[part] += weight * value[part]
    curved = [
        0.5 * x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))) for x in attended
    ]
    state = TS["own_weight"] @ embedding + TS["own_bias"]
    moved = TS["update_weight"] @ np.array(curved) + TS["update_bias"] + TS["kept"][0] * state
    normal = (moved - moved.mean()) / math.sqrt(moved.var() + 1e-5)
    return [
        float(np.maximum(TS["hidden_weight"] @ normal + model, 0) @ TS["score_weight"])
        for model in TS["hidden_models"]
    ]


@pytest.mark.criterion("R2.1", "R2.5")
@pytest.mark.parametrize(("user", "row"), [("ana", 0), ("bo", 1), ("unknown", 2), ("", 2)])
def test_gmt_scores_by_the_user_s_state_and_the_query(user: str, row: int) -> None:
    one = made("gmt")
    for embedding in queries(20):
        found = one.scores(Query("", embedding, user))
        np.testing.assert_allclose(found, gmt_by_hand(embedding, row), rtol=1e-4, atol=1e-4)


@pytest.mark.criterion("R2.1", "R2.5")
@pytest.mark.parametrize(
    ("user", "past"), [("ana", range(3)), ("bo", range(3, 5)), ("unknown", range(0))]
)
def test_ts_scores_by_tasks_neighbours_and_the_user_s_past(user: str, past: range) -> None:
    one = made("ts")
    for embedding in queries(20):
        found = one.scores(Query("", embedding, user))
        np.testing.assert_allclose(found, ts_by_hand(embedding, past), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("strategy", ["gmt", "ts"])
def test_the_query_and_the_user_change_the_decision(strategy: str) -> None:
    one = made(strategy)
    assert one.embeds
    assert not one.blocking
    picked = {
        user: [int(np.argmax(one.scores(Query("", each, user)))) for each in queries(200)]
        for user in (*USERS, "unknown")
    }
    assert all(len(set(each)) > 1 for each in picked.values())
    assert len({tuple(each) for each in picked.values()}) == 3


def test_a_bundle_without_users_serves_everyone_alike() -> None:
    without = {"history_keys": None, "history_values": None, "history_starts": None}
    one = head(bundle("ts", without, {"users": []}), HeadArgs())
    embedding = queries(1)[0]
    np.testing.assert_array_equal(
        one.scores(Query("", embedding, "ana")), one.scores(Query("", embedding, "bo"))
    )


@pytest.mark.parametrize("strategy", ["gmt", "ts"])
def test_the_embedding_of_an_empty_text_is_scored(strategy: str) -> None:
    scores = made(strategy).scores(Query("", np.zeros(DIMENSION, np.float32)))
    assert np.isfinite(scores).all()


@pytest.mark.parametrize(
    ("strategy", "tensors", "parameters", "told"),
    [
        ("gmt", {"user_states": None}, {}, "'user_states' is missing"),
        ("gmt", {"user_states": GMT["user_states"][:2]}, {}, "'user_states' must have the shape"),
        ("gmt", {"model_bias": np.full(LABELS, np.nan, np.float32)}, {}, "'model_bias' holds"),
        ("gmt", {}, {"users": "ana"}, "parameters.users"),
        ("gmt", {}, {"heads": 0}, "parameters.heads"),
        ("gmt", {}, {"heads": 3}, "must divide the width, 8"),
        ("ts", {}, {"heads": 3}, "must divide the width, 8"),
        ("ts", {}, {"neighbours": POINTS + 1}, "parameters.neighbours"),
        ("ts", {"history_starts": np.array([0, 5, 3])}, {}, "must rise from 0 to 5"),
        ("ts", {"history_starts": np.array([1, 3, 5])}, {}, "must rise from 0 to 5"),
        ("ts", {"history_starts": np.array([0, 5])}, {}, "'history_starts' must have the shape"),
        ("ts", {"points": TS["points"][:5]}, {}, "must have the shape"),
        ("ts", {"hidden_models": TS["hidden_models"][:2]}, {}, "'hidden_models' must have"),
    ],
)
def test_a_bundle_that_does_not_fit_is_refused(
    strategy: str, tensors: Tensors, parameters: Mapping[str, Any], told: str
) -> None:
    with pytest.raises(BundleError, match=told):
        head(bundle(strategy, tensors, parameters), HeadArgs())
