"""Heads that are arithmetic: what they decide, and which bundles they refuse in which words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import combinations
from typing import Any

import numpy as np
import pytest

from trunkline.errors import BundleError
from trunkline.routing.bundles.manifest import EmbedderUsed, Label, Training
from trunkline.routing.bundles.reading import Bundle, parse_bundle
from trunkline.routing.bundles.writing import bundle_files, tar
from trunkline.routing.heads.head import Head, HeadArgs, Query
from trunkline.routing.heads.table import head
from trunkline.routing.sizes import billions

LABELS = ("zebra", "ant", "monkey")
DIMENSION = 4


def floats(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


POINTS = np.eye(6, DIMENSION, dtype=np.float32) + 1.0
KNN: tuple[dict[str, Any], dict[str, Any]] = (
    {"points": POINTS, "point_labels": np.array([0, 1, 2, 0, 1, 2])},
    {"n_neighbors": 3, "weights": "uniform", "metric": "euclidean"},
)
SVM = (
    {
        "classes": np.array([1, 2, 0]),
        "support_vectors": floats(5, DIMENSION),
        "support_counts": np.array([2, 1, 2]),
        "dual_coefficients": floats(2, 5),
        "intercepts": floats(3),
    },
    {"kernel": "rbf", "gamma": 0.5, "coef0": 0.0, "degree": 3, "break_ties": False},
)
MLP = (
    {
        "weight_0": floats(5, DIMENSION),
        "bias_0": floats(5),
        "weight_1": floats(3, 5),
        "bias_1": floats(3),
    },
    {"layers": 2, "activation": "relu"},
)
HYBRID = (
    {
        "weight_0": np.array([[1.0, 0.0, 0.0, 0.0]], np.float32),
        "bias_0": np.zeros(1, np.float32),
    },
    {
        "layers": 1,
        "activation": "relu",
        "small": "monkey",
        "large": "zebra",
        "threshold": 0.5,
    },
)
LINEAR = ({"weights": floats(3, DIMENSION), "bias": floats(3)}, {})
PERSONALIZED = (
    {
        "weights": np.zeros((3, 3, DIMENSION), np.float32),
        "bias": np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1]], np.float32),
    },
    {"users": ["ada", "bob"]},
)
ELO = ({"ratings": floats(3)}, {})
WHOLE: Mapping[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "llmrouter-knn": KNN,
    "llmrouter-svm": SVM,
    "llmrouter-mlp": MLP,
    "llmrouter-hybrid": HYBRID,
    "llmrouter-mf": LINEAR,
    "llmrouter-graph": LINEAR,
    "llmrouter-personalized": PERSONALIZED,
    "llmrouter-elo": ELO,
}


def bundle(
    strategy: str,
    tensors: Mapping[str, np.ndarray] | None = None,
    parameters: Mapping[str, Any] | None = None,
    labels: tuple[Label, ...] = tuple(Label(name=name) for name in LABELS),
) -> Bundle:
    """A bundle of a strategy, with some of its tensors and parameters replaced; None takes out."""
    whole = WHOLE.get(strategy, ({}, {}))
    held = {
        name: each for name, each in (whole[0] | dict(tensors or {})).items() if each is not None
    }
    chosen = whole[1] | dict(parameters or {})
    files = bundle_files(
        strategy=strategy,
        labels=labels,
        tensors=held,
        parameters={name: each for name, each in chosen.items() if each is not None},
        training=Training(sha256="0" * 64, queries=1, rows=1),
        created="2026-01-02",
        embedder=EmbedderUsed(id="e", sha256="0" * 64, max_tokens=8, dimension=DIMENSION),
    )
    return parse_bundle("it", tar(files))


def built(strategy: str, *changes: Any, **labels: Any) -> Head:
    return head(bundle(strategy, *changes, **labels), HeadArgs())


def decided(made: Head, embedding: Any = None, user: str = "") -> str:
    given = None if embedding is None else np.array(embedding, np.float32)
    return LABELS[int(np.argmax(made.scores(Query("", given, user))))]


def refused(strategy: str, *changes: Any, **labels: Any) -> str:
    with pytest.raises(BundleError) as error:
        built(strategy, *changes, **labels)
    return str(error.value)


# --- what is decided


@pytest.mark.criterion("R2.1")
@pytest.mark.parametrize("strategy", WHOLE)
def test_every_label_has_a_finite_score_also_for_a_query_that_says_nothing(strategy: str) -> None:
    made = built(strategy)
    for embedding in (np.zeros(DIMENSION, np.float32), floats(DIMENSION), POINTS[2]):
        scores = made.scores(Query("", embedding))
        assert scores.shape == (len(LABELS),)
        assert np.isfinite(scores).all()


@pytest.mark.criterion("R2.1")
def test_neighbours_with_as_many_votes_yield_to_the_name_that_sorts_first() -> None:
    assert decided(built("llmrouter-knn", {}, {"n_neighbors": 6}), [1, 1, 1, 1]) == "ant"
    two = {"points": POINTS[:2], "point_labels": np.array([0, 2])}
    assert decided(built("llmrouter-knn", two, {"n_neighbors": 2}), [1, 1, 1, 1]) == "monkey"


@pytest.mark.criterion("R2.1")
def test_of_points_as_near_the_first_are_neighbours() -> None:
    same = {"points": np.ones((4, DIMENSION), np.float32), "point_labels": np.array([0, 0, 1, 1])}
    assert decided(built("llmrouter-knn", same, {"n_neighbors": 2}), [2, 2, 2, 2]) == "zebra"


@pytest.mark.criterion("R2.1")
def test_weighted_by_distance_the_nearest_outvotes_two_that_are_far() -> None:
    points = np.array([[0.1, 0, 0, 0], [9, 0, 0, 0], [-9, 0, 0, 0]], np.float32)
    tensors = {"points": points, "point_labels": np.array([0, 1, 1])}
    assert decided(built("llmrouter-knn", tensors), [0, 0, 0, 0]) == "ant"
    near = built("llmrouter-knn", tensors, {"weights": "distance"})
    assert decided(near, [0, 0, 0, 0]) == "zebra"
    assert decided(near, points[0]) == "zebra"


@pytest.mark.criterion("R2.1")
def test_by_angle_length_does_not_count() -> None:
    points = np.array([[100, 1, 0, 0], [0, 1, 0, 0]], np.float32)
    tensors = {"points": points, "point_labels": np.array([0, 1])}
    query = [1, 0.1, 0, 0]
    assert decided(built("llmrouter-knn", tensors, {"n_neighbors": 1}), query) == "ant"
    angle = {"n_neighbors": 1, "metric": "cosine"}
    assert decided(built("llmrouter-knn", tensors, angle), query) == "zebra"


def spread(count: int, dimension: int = DIMENSION) -> np.ndarray:
    """Points of length 1."""
    points = floats(count, dimension)
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    return points


CLOUDS = {
    "spread": spread(300),
    "long": spread(300) * 1000,
    "on a grid": np.round(floats(300, DIMENSION)),
    "each five times": np.repeat(spread(60), 5, axis=0),
    "one": spread(1),
    "of as many axes as points": np.eye(DIMENSION, dtype=np.float32),
}


def asked(points: np.ndarray) -> list[np.ndarray]:
    """Queries: nothing, points, what lies between them, and others."""
    between = (points[:6] + points[-6:]) / 2
    return [np.zeros(DIMENSION, np.float32), *points[:9], *between, *spread(20), *spread(5) * 3]


def neighbours_scores(
    points: np.ndarray, labels: np.ndarray, query: np.ndarray, k: int
) -> list[float]:
    """The share of each label among the k nearest points, by the formula."""
    distances = [math.dist(point, query) for point in points.tolist()]
    nearest = sorted(range(len(points)), key=distances.__getitem__)[:k]
    return [sum(labels[near] == label for near in nearest) / k for label in range(len(LABELS))]


@pytest.mark.criterion("R2.1")
@pytest.mark.parametrize("cloud", CLOUDS)
def test_neighbours_are_those_of_the_plain_formula(cloud: str) -> None:
    points = CLOUDS[cloud]
    labels = np.arange(len(points)) * 7 % 5 % 3
    for k in {1, min(5, len(points))}:
        tensors = {"points": points, "point_labels": labels}
        made = built("llmrouter-knn", tensors, {"n_neighbors": k})
        for query in asked(points):
            expected = neighbours_scores(points, labels, query, k)
            assert made.scores(Query("", query)) == pytest.approx(expected, abs=1e-9)


@pytest.mark.criterion("R2.1")
@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_nearer_neighbours_weigh_more_as_the_plain_formula_has_it(metric: str) -> None:
    points = CLOUDS["spread"] * np.linspace(0.5, 2, 300, dtype=np.float32)[:, np.newaxis]
    labels = np.arange(300) % 3
    tensors = {"points": points, "point_labels": labels}
    made = built(
        "llmrouter-knn", tensors, {"n_neighbors": 9, "weights": "distance"} | {"metric": metric}
    )
    for query in spread(40):
        there, here = points.astype(float), query.astype(float)
        distances = np.linalg.norm(there - here, axis=1)
        if metric == "cosine":
            distances = 1 - there @ here / np.linalg.norm(there, axis=1) / np.linalg.norm(here)
        nearest = np.argsort(distances)[:9]
        votes = [np.sum(1 / distances[nearest[labels[nearest] == label]]) for label in range(3)]
        assert made.scores(Query("", query)) == pytest.approx(votes / np.sum(votes))


@pytest.mark.criterion("R2.1")
@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_of_neighbours_that_are_the_query_itself_each_weighs_the_same(metric: str) -> None:
    points = CLOUDS["each five times"]
    tensors = {"points": points, "point_labels": np.tile([0, 1, 1, 2, 2], 60)}
    chosen = {"n_neighbors": 5, "weights": "distance", "metric": metric}
    made = built("llmrouter-knn", tensors, chosen)
    for point in points[::5]:
        assert made.scores(Query("", point)) == pytest.approx([0.2, 0.4, 0.4], abs=1e-9)


def voted(intercepts: list[float], **parameters: Any) -> str:
    """By a machine whose decisions are its intercepts: ant-monkey, ant-zebra, monkey-zebra."""
    tensors = {
        "dual_coefficients": np.zeros((2, 5), np.float32),
        "intercepts": np.array(intercepts, np.float32),
    }
    return decided(built("llmrouter-svm", tensors, parameters), [1, 0, 0, 0])


@pytest.mark.criterion("R2.1")
def test_pairs_of_classes_vote_and_a_tie_goes_to_the_name_that_sorts_first() -> None:
    assert voted([1, -1, -1]) == "zebra"
    assert voted([-1, -1, 1]) == "monkey"
    assert voted([1, -1, 1]) == "ant"
    assert voted([0, -1, 1]) == "monkey"


@pytest.mark.criterion("R2.1")
def test_with_break_ties_the_surest_of_the_tied_classes_wins() -> None:
    assert voted([1, -5, 1], break_ties=True) == "zebra"


def machine(*counts: int) -> dict[str, np.ndarray]:
    """Tensors of a machine as training leaves it: no strength is below 0; some are."""
    classes, own = len(counts), np.repeat(np.arange(len(counts)), counts)
    strengths = np.maximum(floats(classes - 1, len(own)), 0) / np.array(counts, np.float32)[own]
    later = np.arange(classes - 1)[:, np.newaxis] >= own
    return {
        "classes": np.array([1, 2, 0])[:classes],
        "support_vectors": spread(len(own)),
        "support_counts": np.array(counts),
        "dual_coefficients": np.where(later, strengths, -strengths),
        "intercepts": floats(classes * (classes - 1) // 2) / 9,
    }


def machine_votes(tensors: dict[str, np.ndarray], kernel: str, query: np.ndarray) -> list[int]:
    """The votes for each label, pair by pair, by the formula."""
    vectors, here = tensors["support_vectors"].astype(float), query.astype(float)
    similar = {
        "rbf": lambda vector: math.exp(-0.5 * math.dist(vector, here) ** 2),
        "linear": lambda vector: vector @ here,
        "poly": lambda vector: (0.5 * vector @ here) ** 3,
        "sigmoid": lambda vector: math.tanh(0.5 * vector @ here),
    }[kernel]
    own = np.repeat(np.arange(len(tensors["support_counts"])), tensors["support_counts"])
    votes = [-1] * len(LABELS)
    for label in tensors["classes"]:
        votes[label] = 0
    for intercept, (one, other) in zip(
        tensors["intercepts"], combinations(range(len(tensors["classes"])), 2), strict=True
    ):
        decision = float(intercept)
        for vector, held, coefficients in zip(
            vectors, own, tensors["dual_coefficients"].T, strict=True
        ):
            if held in (one, other):
                row = other - 1 if held == one else one
                decision += float(coefficients[row]) * similar(vector)
        votes[tensors["classes"][one if decision > 0 else other]] += 1
    return votes


@pytest.mark.criterion("R2.1")
@pytest.mark.parametrize("kernel", ["rbf", "linear", "poly", "sigmoid"])
@pytest.mark.parametrize(
    "counts", [(4, 3, 5), (300, 4, 5), (4, 300, 5), (4, 5, 300), (200, 5), (5, 200)]
)
def test_machines_vote_as_the_plain_formula_does(counts: tuple[int, ...], kernel: str) -> None:
    tensors = machine(*counts)
    made = built("llmrouter-svm", tensors, {"kernel": kernel})
    for query in asked(tensors["support_vectors"]):
        votes = machine_votes(tensors, kernel, query)
        assert made.scores(Query("", query)) == pytest.approx(votes, abs=1e-9)


@pytest.mark.criterion("R2.1")
@pytest.mark.parametrize(
    ("number", "chosen", "last"),
    [(0.5, "monkey", "ant"), (7.0, "monkey", "ant"), (0.49, "zebra", "ant"), (-3, "zebra", "ant")],
)
def test_hybrid_takes_the_small_model_from_the_threshold_on(
    number: float, chosen: str, last: str
) -> None:
    made = built("llmrouter-hybrid")
    assert decided(made, [number, 0, 0, 0]) == chosen
    scores = made.scores(Query("", np.array([number, 0, 0, 0], np.float32)))
    assert LABELS[int(np.argmin(scores))] == last


@pytest.mark.criterion("R2.1")
def test_users_are_routed_each_by_their_own_and_strangers_by_the_mean() -> None:
    made = built("llmrouter-personalized")
    query = [1, 1, 1, 1]
    assert [decided(made, query, user) for user in ("ada", "bob", "eve", "")] == [
        "zebra",
        "ant",
        "monkey",
        "monkey",
    ]


def sized(*sizes: str | None) -> dict[str, Any]:
    named = zip(LABELS, sizes, strict=True)
    return {"labels": tuple(Label(name=name, size=size) for name, size in named)}


@pytest.mark.criterion("R2.1", "R2.4")
def test_smallest_and_largest_need_only_sizes() -> None:
    assert decided(built("llmrouter-smallest", **sized("7B", "8x7B", "450M"))) == "monkey"
    assert decided(built("llmrouter-largest", **sized("7B", "8x7B", "450M"))) == "ant"
    for strategy in ("llmrouter-smallest", "llmrouter-largest"):
        assert decided(built(strategy, **sized(None, "7B", "7B"))) == "ant"
        assert not built(strategy, **sized("7B", None, None)).embeds


@pytest.mark.criterion("R2.1")
@pytest.mark.parametrize(
    ("written", "size"),
    [
        ("7B", 7),
        ("0.5b", 0.5),
        ("8x7B", 56),
        ("8X22B", 176),
        (" 450M ", 0.45),
        ("1.5T", 1500),
        ("30K", 3e-5),
        ("70", 70),
    ],
)
def test_sizes_are_read_as_their_makers_write_them(written: str, size: float) -> None:
    assert billions(written) == pytest.approx(size)


@pytest.mark.parametrize(
    "written", ["", "B", "big", "7 billion", "-7B", "7BB", "x7B", "1e9", "7" * 99]
)
def test_what_is_no_size_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match="is not like"):
        billions(written)


@pytest.mark.criterion("R2.1")
@pytest.mark.parametrize("strategy", ["llmrouter-elo", "llmrouter-largest", "llmrouter-hybrid"])
def test_who_alters_scores_alters_no_later_ones(strategy: str) -> None:
    made = built(strategy, **sized("7B", "8B", "9B"))
    query = Query("", np.ones(DIMENSION, np.float32))
    first = made.scores(query)
    kept = first.copy()
    first[:] = 0
    assert made.scores(query).tolist() == kept.tolist()


# --- what is refused


@pytest.mark.criterion("R2.3")
@pytest.mark.parametrize("strategy", WHOLE)
def test_a_tensor_that_is_missing_is_named(strategy: str) -> None:
    for name in WHOLE[strategy][0]:
        assert f"the tensor {name!r} is missing" in refused(strategy, {name: None})


@pytest.mark.criterion("R2.3")
@pytest.mark.parametrize("strategy", WHOLE)
def test_a_tensor_of_a_wrong_shape_or_type_is_named(strategy: str) -> None:
    for name, tensor in WHOLE[strategy][0].items():
        assert f"{name!r} must have the shape" in refused(strategy, {name: tensor[np.newaxis]})
        other = tensor.astype(np.int32 if tensor.dtype.kind == "f" else np.float32)
        assert f"{name!r} must be" in refused(strategy, {name: other})
        if tensor.dtype.kind == "f":
            broken = tensor.copy()
            broken.flat[-1] = np.nan
            assert f"{name!r} holds numbers that are not finite" in refused(
                strategy, {name: broken}
            )


@pytest.mark.criterion("R2.3")
@pytest.mark.parametrize("strategy", WHOLE)
def test_a_parameter_that_is_missing_or_wrong_is_named(strategy: str) -> None:
    for name in WHOLE[strategy][1]:
        assert f"parameters.{name} is missing" in refused(strategy, {}, {name: None})
        for wrong in ([1], {"a": 1}, "nonsense" * 20):
            assert f"parameters.{name} must be" in refused(strategy, {}, {name: wrong})


@pytest.mark.criterion("R2.3")
@pytest.mark.parametrize(
    ("strategy", "tensors", "parameters", "told"),
    [
        ("llmrouter-knn", {"point_labels": np.array([0, 1, 2, 0, 1, 3])}, {},
         "'point_labels' must hold numbers from 0 to 2"),
        ("llmrouter-knn", {"point_labels": np.array([0, 1, 2, 0, 1, -1])}, {},
         "'point_labels' must hold numbers from 0 to 2"),
        ("llmrouter-knn", {"point_labels": np.array([0, 1])}, {}, "'point_labels' must have the"),
        ("llmrouter-knn", {}, {"n_neighbors": 7}, "n_neighbors must be a whole number from 1 to 6"),
        ("llmrouter-knn", {}, {"n_neighbors": 0}, "n_neighbors must be a whole number from 1 to 6"),
        ("llmrouter-svm", {"classes": np.array([1, 1, 0])}, {}, "'classes' must name two labels"),
        ("llmrouter-svm", {"support_counts": np.array([2, 0, 3])}, {}, "'support_counts' must be"),
        ("llmrouter-svm", {"support_counts": np.array([2, 1, 1])}, {}, "'support_counts' must be"),
        ("llmrouter-svm", {"intercepts": floats(2)}, {}, "'intercepts' must have the shape (3)"),
        ("llmrouter-mlp", {"weight_1": floats(2, 5)}, {}, "'weight_1' must have the shape"),
        ("llmrouter-mlp", {}, {"layers": 3}, "the tensor 'weight_2' is missing"),
        ("llmrouter-hybrid", {}, {"small": "lion"}, "small must be one of ant, monkey, zebra"),
        ("llmrouter-personalized", {}, {"users": ["ada"]}, "'weights' must have the shape (2,"),
        ("llmrouter-personalized", {}, {"users": ["ada", "ada"]}, "users holds a text twice"),
    ],
)  # fmt: skip
def test_what_does_not_fit_together_is_refused(
    strategy: str, tensors: dict[str, Any], parameters: dict[str, Any], told: str
) -> None:
    assert told in refused(strategy, tensors, parameters)


@pytest.mark.criterion("R2.3")
def test_a_size_that_can_not_be_read_names_its_label_and_some_size_is_needed() -> None:
    assert "'ant': the size 'big' is not like" in refused(
        "llmrouter-smallest", **sized("7B", "big", "1B")
    )
    assert "needs a label with a size" in refused("llmrouter-largest", **sized(None, None, None))


@pytest.mark.criterion("R2.1")
def test_a_strategy_that_no_one_knows_has_no_head() -> None:
    assert "'llmrouter-oracle' scores no labels; these do: " in refused("llmrouter-oracle")
