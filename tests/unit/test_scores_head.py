"""Expected quality less weighted cost: how the weight moves decisions, and what is refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from trunkline.errors import BundleError
from trunkline.routing.bundles.manifest import EmbedderUsed, Label, Training
from trunkline.routing.bundles.reading import Bundle, parse_bundle
from trunkline.routing.bundles.writing import bundle_files, tar
from trunkline.routing.heads.features import SHAPE, shape
from trunkline.routing.heads.head import Head, HeadArgs, Query
from trunkline.routing.heads.table import head

DIMENSION = 4
FEATURES = DIMENSION + SHAPE
PRICES = {"cheap": (0.1, 0.3), "middle": (0.5, 1.5), "dear": (2.0, 6.0)}
LABELS = tuple(
    Label(name=name, input_price=prices[0], output_price=prices[1])
    for name, prices in PRICES.items()
)
RELATIVE = {"cheap": 0.05, "middle": 0.25, "dear": 1.0}
UNPRICED = (*LABELS[:2], Label(name="dear", input_price=2.0))
STRATEGIES = ("trunkline-scores", "trunkline-cluster")
ODD_TEXTS = ("", "\x00", "🙂" * 9000, "\ud800", "مرحبا، كيف حالك؟", "word " * 100_000, " \n ")


def floats(*shape: int) -> np.ndarray:
    drawn = np.random.default_rng(sum(shape)).standard_normal(shape)
    return (0.3 * drawn).astype(np.float32)


SHAPING: Mapping[str, Any] = {
    "shape_mean": np.zeros(SHAPE, np.float32),
    "shape_scale": np.full(SHAPE, 0.1, np.float32),
}
SCORES: Mapping[str, Any] = {
    "mean_quality": np.array([0.4, 0.5, 0.6], np.float32),
    "ridge_weights": floats(3, FEATURES),
    "ridge_bias": np.array([0.4, 0.5, 0.6], np.float32),
    "near_centre": floats(FEATURES),
    "near_axes": floats(2, FEATURES),
    "near_points": np.array([[1, 0], [0, 1], [-1, 0], [0, -1]], np.float32),
    "near_quality": np.abs(floats(4, 3)),
    "net_hidden": floats(5, FEATURES),
    "net_hidden_bias": floats(5),
    "net_tasks": floats(6, 5),
    "net_tasks_bias": floats(6),
    "net_labels": floats(3, 5),
    "net_labels_bias": floats(3),
    "net_task_labels": floats(3, 6),
    "task_quality": np.abs(floats(3, 6)),
}
CLUSTER: Mapping[str, Any] = {
    "centres": floats(7, FEATURES),
    "cluster_quality": np.abs(floats(7, 3)),
}
SHARES = {
    "share_ridge": 0.2,
    "share_neighbours": 0.3,
    "share_network": 0.3,
    "share_tasks": 0.1,
}
PARAMETERS: Mapping[str, Any] = {"cost_weight": 0.0, "neighbours": 2, **SHARES}


def bundle(
    strategy: str,
    tensors: Mapping[str, Any] | None = None,
    parameters: Mapping[str, Any] | None = None,
    labels: tuple[Label, ...] = LABELS,
    dimension: int | None = DIMENSION,
) -> Bundle:
    """A bundle with some of its tensors and parameters replaced; None takes one out."""
    own = SCORES if strategy == "trunkline-scores" else CLUSTER
    held = {**SHAPING, **own, **(tensors or {})}
    chosen = {**PARAMETERS, **(parameters or {})}
    embedder = EmbedderUsed(id="e", sha256="0" * 64, max_tokens=8, dimension=dimension or 1)
    files = bundle_files(
        strategy=strategy,
        labels=labels,
        tensors={name: each for name, each in held.items() if each is not None},
        parameters={name: each for name, each in chosen.items() if each is not None},
        training=Training(sha256="0" * 64, queries=1, rows=1),
        created="2026-01-02",
        embedder=embedder if dimension else None,
    )
    return parse_bundle("it", tar(files))


def built(strategy: str, *changes: Any, weight: float | None = None, **more: Any) -> Head:
    return head(bundle(strategy, *changes, **more), HeadArgs(cost_weight=weight))


def query(text: str = "What is it?", weight: float | None = None, seed: int = 0) -> Query:
    drawn = np.random.default_rng(seed).standard_normal(DIMENSION).astype(np.float32)
    return Query(text, drawn / np.linalg.norm(drawn), cost_weight=weight)


def queries(weight: float | None = None) -> list[Query]:
    return [query(f"Question {seed}: why?", weight, seed) for seed in range(200)]


def mean_cost(made: Head, weight: float | None) -> float:
    costs = list(RELATIVE.values())
    return float(np.mean([costs[int(np.argmax(made.scores(each)))] for each in queries(weight)]))


def refused(strategy: str, *changes: Any, **more: Any) -> str:
    with pytest.raises(BundleError) as error:
        built(strategy, *changes, **more)
    return str(error.value)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_cost_of_decisions_falls_with_the_weight(strategy):
    made = built(strategy)
    costs = [mean_cost(made, weight) for weight in (0.0, 0.05, 0.1, 0.2, 0.4, 0.8, 1.5, 100.0)]
    assert costs == sorted(costs, reverse=True)
    assert costs[0] > 2 * costs[-1]
    assert costs[-1] == RELATIVE["cheap"]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_weight_takes_off_its_share_of_each_relative_cost(strategy):
    free, weighed = (built(strategy).scores(query(weight=weight)) for weight in (0.0, 0.3))
    assert free - weighed == pytest.approx(0.3 * np.array(list(RELATIVE.values())), abs=1e-6)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_weight_of_a_query_counts_before_the_configured_and_this_before_the_bundles(strategy):
    plain = built(strategy).scores(query())
    taken = [
        built(strategy, {}, {"cost_weight": 0.1}).scores(query()),
        built(strategy, {}, {"cost_weight": 0.1}, weight=0.2).scores(query()),
        built(strategy, {}, {"cost_weight": 0.1}, weight=0.2).scores(query(weight=0.4)),
        built(strategy, {}, {"cost_weight": 0.1}, weight=0.2).scores(query(weight=0.0)),
    ]
    dear = [plain[2] - each[2] for each in taken]
    assert dear == pytest.approx([0.1, 0.2, 0.4, 0.0], abs=1e-6)


def test_where_tokens_are_known_a_longer_query_makes_input_prices_count_for_more():
    labels = (
        Label(name="cheap", input_price=1.0, output_price=1.0, output_tokens=100.0),
        Label(name="middle", input_price=1.0, output_price=8.0, output_tokens=50.0),
        Label(name="dear", input_price=2.0, output_price=8.0, output_tokens=100.0),
    )
    made = built("trunkline-scores", labels=labels)
    for text, costs in (("", [100, 400, 800]), ("x" * 4000, [1100, 1400, 2800])):
        free, weighed = (made.scores(query(text, weight)) for weight in (0.0, 1.0))
        assert free - weighed == pytest.approx(np.array(costs) / costs[-1], abs=1e-5)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_without_all_prices_only_quality_decides(strategy):
    made = built(strategy, labels=UNPRICED)
    assert (made.scores(query(weight=0.5)) == made.scores(query())).all()
    said = refused(strategy, labels=UNPRICED, weight=0.1)
    assert "'dear' needs input_price and output_price, because the cost weight is 0.1" in said
    assert "'dear' needs" in refused(strategy, {}, {"cost_weight": 0.1}, labels=UNPRICED)
    assert built(strategy, {}, {"cost_weight": 0.1}, labels=UNPRICED, weight=0.0)


def test_the_expected_quality_is_the_blend_of_the_parts():
    alone = {
        part: built(
            "trunkline-scores",
            {},
            {name: float(name == part) for name in SHARES},
        ).scores(query(seed=3))
        for part in SHARES
    }
    mean = SCORES["mean_quality"]
    expected = mean + sum(share * (alone[part] - mean) for part, share in SHARES.items())
    assert built("trunkline-scores").scores(query(seed=3)) == pytest.approx(expected, abs=1e-5)
    assert len({tuple(each.round(4)) for each in alone.values()}) == 4


def test_neighbours_are_the_nearest_by_direction():
    axes = np.zeros((2, FEATURES), np.float32)
    axes[0, 0] = axes[1, 1] = 1.0
    quality = np.array([[0.1, 0, 0], [0, 0.2, 0], [0, 0, 0.3], [0.4, 0, 0]], np.float32)
    made = built(
        "trunkline-scores",
        {"near_axes": axes, "near_centre": np.zeros(FEATURES, np.float32), "near_quality": quality},
        {"neighbours": 1, **dict.fromkeys(SHARES, 0.0), "share_neighbours": 1.0},
    )
    for point, expected in zip(SCORES["near_points"], quality, strict=True):
        embedding = np.array([*point, 0, 0], np.float32) + 0.1
        assert made.scores(Query("", embedding)) == pytest.approx(expected, abs=1e-3)


def test_a_query_belongs_to_the_nearest_cluster():
    centres = np.zeros((3, FEATURES), np.float32)
    centres[:, 0] = [0.0, 2.0, 9.0]
    quality = np.eye(3, dtype=np.float32)
    tensors = {"centres": centres, "cluster_quality": quality}
    tensors |= {"shape_scale": np.zeros(SHAPE, np.float32)}
    made = built("trunkline-cluster", tensors)
    # Embeddings count five times.
    for first, cluster in ((0.1, 0), (0.3, 1), (1.0, 1), (1.2, 2)):
        scores = made.scores(Query("", np.array([first, 0, 0, 0], np.float32)))
        assert int(np.argmax(scores)) == cluster


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("text", ODD_TEXTS, ids=range(len(ODD_TEXTS)))
def test_any_text_has_finite_scores(strategy, text):
    scores = built(strategy, {}, {"cost_weight": 0.1}).scores(query(text))
    assert scores.shape == (3,)
    assert np.isfinite(scores).all()


def test_a_shape_tells_lengths_marks_and_how_a_text_begins_and_ends():
    def tells(text: str, other: str) -> int:
        """How many numbers differ."""
        return int((shape(text) != shape(other)).sum())

    assert tells("Cats chase dogs", "Dogs chase cats") == 0
    assert tells("Cats chase dogs", "Cats chase dogs?") > 0
    assert tells("Is it so?", "It is so?") == 1  # the word that it begins with
    assert tells("Is it so", "It is 50") > 1
    assert tells("a" * 10_000, "a" * 20_000) == 1  # of a long text, only how long it is
    assert shape("").shape == (SHAPE,)


def test_a_network_expects_what_its_tensors_say():
    shares = {**dict.fromkeys(SHARES, 0.0), "share_network": 0.7, "share_tasks": 0.4}
    made = built("trunkline-scores", {}, shares)
    for asked in queries()[:20]:
        assert asked.embedding is not None
        shaped = np.clip(0.1 * shape(asked.text), -4, 4)
        features = np.concatenate((5.0 * asked.embedding, 0.5 * shaped))
        net = {name.removeprefix("net_"): each.astype(float) for name, each in SCORES.items()}
        hidden = np.maximum(net["hidden"] @ features + net["hidden_bias"], 0)
        tasks = np.exp(net["tasks"] @ hidden + net["tasks_bias"])
        tasks /= tasks.sum()
        logits = net["labels"] @ hidden + net["labels_bias"] + net["task_labels"] @ tasks
        expected = 0.7 / (1 + np.exp(-logits)) + 0.4 * net["task_quality"] @ tasks
        expected += (1 - 0.7 - 0.4) * net["mean_quality"]
        assert made.scores(asked) == pytest.approx(expected, abs=1e-5)


def test_parts_that_count_for_nothing_need_no_tensors():
    without = {name: None for name in SCORES if name.startswith(("net_", "near_", "task_"))}
    shares = {**dict.fromkeys(SHARES, 0.0), "share_ridge": 1.0}
    made = built("trunkline-scores", without, {"neighbours": None, **shares})
    assert made.scores(query()).shape == (3,)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (({"ridge_weights": None}, {}), "the tensor 'ridge_weights' is missing"),
        (({"ridge_weights": floats(3, 9)}, {}), "'ridge_weights' must have the shape"),
        (({"net_tasks": floats(6, 4)}, {}), "'net_labels' must have the shape"),
        (({"shape_mean": floats(9)}, {}), "'shape_mean' must have the shape"),
        (({"near_quality": np.full((4, 3), np.nan)}, {}), "'near_quality' must be float"),
        (({"mean_quality": np.full(3, np.inf, np.float32)}, {}), "'mean_quality' holds numbers"),
        (({}, {"share_tasks": None}), "parameters.share_tasks is missing"),
        (({}, {"share_tasks": "much"}), "parameters.share_tasks must be a number"),
        (({}, dict.fromkeys(SHARES, 0.0)), "one of parameters.share_… must be above 0"),
        (({}, {"neighbours": 5}), "parameters.neighbours must be a whole number from 1 to 4"),
        (({}, {"cost_weight": -0.1}), "parameters.cost_weight must be from 0"),
    ],
)
def test_a_bundle_that_does_not_fit_is_refused(change, said):
    assert said in refused("trunkline-scores", *change)


def test_a_negative_weight_and_a_bundle_without_an_embedder_are_refused():
    assert "cost_weight must be 0 or more" in refused("trunkline-scores", weight=-1.0)
    assert "embedder is missing" in refused("trunkline-scores", dimension=None)
    assert "'centres' must have the shape" in refused(
        "trunkline-cluster", {"centres": floats(7, 9)}
    )
