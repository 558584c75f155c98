"""`compare A B`: whether bundle B may replace bundle A, by what both decide for the same queries.

It may where it isn't worse by more than a margin, with confidence (a one-sided test of
non-inferiority on paired differences), and doesn't cost more than is allowed.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from trunkline.routing.bundles.reading import Bundle

from . import frontier
from .costs import costs
from .dataset import Dataset
from .load import Reading, load
from .places import exists, write
from .report import rounded
from .serving import decide, load_bundle, load_files, serve

MAY, MAY_NOT = 0, 1


@dataclass(frozen=True, slots=True)
class Terms:
    """What B is held to.

    margin: of mean quality that it may be worse by. cost_margin: share that it may cost more.
    level: confidence, one-sided. resamples: of the bootstrap and of the permutation test.
    """

    margin: float
    cost_margin: float
    level: float
    resamples: int
    seed: int


def run(options: argparse.Namespace) -> int:
    """0: B may replace A. 1: it may not."""
    how = Reading(options.llm_data, options.embedder or "static", options.embedder_path)
    dataset = load(options.data, options.split, how)
    found_b, bundle = load_files(options.b, options.public_key)
    b = _choice(options, bundle, dataset)
    if options.replace and not exists(options.a):
        print(f"{options.a}: nothing is there to compare with")
        return _replace(options, found_b)
    terms = Terms(
        options.margin, options.cost_margin, options.level, options.resamples, options.seed
    )
    a = _choice(options, load_bundle(options.a, options.public_key), dataset)
    found = compared(dataset, a, b, terms)
    print(json.dumps(found, indent=2) if options.json else _told(found))
    if not found["may_replace"]:
        return MAY_NOT
    return _replace(options, found_b) if options.replace else MAY


def _choice(options: argparse.Namespace, bundle: Bundle, dataset: Dataset) -> np.ndarray:
    served = serve(
        bundle,
        embedder=options.embedder,
        folder=options.embedder_path,
        cost_weight=options.cost_weight,
    )
    return decide(served, dataset, told=f"deciding by {bundle.manifest.version}").choice


def _replace(options: argparse.Namespace, found: Mapping[str, bytes]) -> int:
    """Puts what was compared, to the byte, in the place of A."""
    write(found, options.a)
    print(f"{options.a}: it is {options.b} now", file=sys.stderr)
    return MAY


def compared(dataset: Dataset, a: np.ndarray, b: np.ndarray, terms: Terms) -> dict[str, Any]:
    """The verdict and what it rests on. a, b: int[N], who answers which query."""
    quality, known = dataset.performance, costs(dataset)
    everyone = np.arange(len(dataset))
    difference = quality[everyone, b].astype(float) - quality[everyone, a]
    difference = difference[~np.isnan(difference)]
    low, high = (
        frontier.bootstrap(
            lambda at: float(difference[at].mean()),
            len(difference),
            seed=terms.seed,
            rounds=terms.resamples,
            level=2 * terms.level - 1,
        )
        if len(difference)
        else (float("nan"), float("nan"))
    )
    reasons = []
    if not low >= -terms.margin:
        reasons.append(
            f"its quality may be worse by more than {terms.margin:g}: at {terms.level:.0%}"
            f" confidence the difference is above {low:.4f} only"
        )
    found: dict[str, Any] = {
        "queries": len(difference),
        "same_decisions": float((a == b).mean()),
        "quality": {
            "a": frontier.mean_quality(quality, a),
            "b": frontier.mean_quality(quality, b),
            "difference": float(difference.mean()) if len(difference) else None,
            "low": low,
            "high": high,
            "p": _permuted(difference, terms),
        },
        "cost": None,
    }
    if known.known:
        before, after = (frontier.mean_cost(known.values, choice) for choice in (a, b))
        found["cost"] = {"a": before, "b": after, "unit": known.unit}
        if after > before * (1 + terms.cost_margin) + 1e-12:
            reasons.append(
                f"it costs {after / before - 1:.0%} more" if before else "A costs nothing"
            )
    return rounded({"may_replace": not reasons, "reasons": reasons, **found})


def _permuted(difference: np.ndarray, terms: Terms) -> float:
    """How likely a difference at least as large is where both are equally good (two-sided).

    A paired permutation test: each difference has either sign with equal chance. The observed one
    counts as one of the permutations (Phipson & Smyth 2010, arXiv:1603.05766).
    """
    generator = np.random.default_rng(terms.seed)
    moved = difference[difference != 0]
    observed = abs(moved.sum())
    signs = generator.integers(0, 2, size=(terms.resamples, len(moved)), dtype=np.int8) * 2 - 1
    reached = np.abs(signs @ moved) >= observed - 1e-9
    return float((reached.sum() + 1) / (terms.resamples + 1))


def _told(found: dict[str, Any]) -> str:
    quality, cost = found["quality"], found["cost"]
    lines = [
        f"{found['queries']} queries, {found['same_decisions']:.1%} decided alike",
        f"quality: A {quality['a']:.4f}, B {quality['b']:.4f}; B - A {quality['difference']:+.4f}"
        f" ({quality['low']:+.4f} to {quality['high']:+.4f}), p = {quality['p']:.3g}",
    ]
    if cost:
        lines.append(f"cost: A {cost['a']:.4f}, B {cost['b']:.4f} {cost['unit']}")
    if found["may_replace"]:
        return "\n".join([*lines, "B may replace A"])
    return "\n".join([*lines, f"B may not replace A: {'; '.join(found['reasons'])}"])
