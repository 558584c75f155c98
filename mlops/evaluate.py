"""`evaluate`: what a bundle's decisions are worth on data that it wasn't trained on."""

from __future__ import annotations

import argparse
import json
from typing import Any

import numpy as np

from . import frontier
from .costs import costs
from .dataset import Dataset
from .files import replace_file
from .load import Reading, load
from .markdown import markdown
from .picture import picture
from .report import Evaluated, curve, figures, latency, rounded
from .serving import Served, decide, load_bundle, serve, sweep

WEIGHTS = tuple(frontier.WEIGHTS[::3].tolist())
"""Cost weights of the frontier: every third of those that draw all of it."""


def run(options: argparse.Namespace) -> int:
    bundle = load_bundle(options.bundle, options.public_key)
    served = serve(
        bundle,
        embedder=options.embedder,
        folder=options.embedder_path,
        cost_weight=options.cost_weight,
    )
    how = Reading(options.llm_data, options.embedder or "static", options.embedder_path)
    dataset = load(options.data, options.split, how)
    report = evaluated(served, dataset, options.resamples, options.seed, timed=True)
    text = markdown(report)
    if options.output:
        written = json.dumps(report, indent=2, ensure_ascii=False) + "\n"
        replace_file(written.encode(), options.output / "report.json")
        replace_file(text.encode(), options.output / "report.md")
        if report["cost_unit"]:
            replace_file(picture(report).encode(), options.output / "frontier.svg")
    print(text, end="")
    return 0


def evaluated(
    served: Served, dataset: Dataset, resamples: int = 1000, seed: int = 0, *, timed: bool
) -> dict[str, Any]:
    """The report. timed: with latencies, which differ from one run to the next.

    Raises MlopsError.
    """
    decisions = decide(served, dataset, told="deciding")
    found = costs(dataset)
    manifest = served.bundle.manifest
    report: dict[str, Any] = {
        "bundle": {
            "strategy": manifest.strategy,
            "version": manifest.version,
            "trained_on": manifest.training.sha256,
        },
        "resamples": resamples,
        **figures(Evaluated(dataset, found, decisions.choice, decisions.scores, resamples, seed)),
    }
    if timed:
        report["latency_ms"] = latency(decisions.seconds)
    if found.known:
        report |= _frontier(served, dataset, found.values)
    return report


def _frontier(served: Served, dataset: Dataset, cost: np.ndarray) -> dict[str, Any]:
    """The points that the cost weight reaches, and what they are worth to who has one model."""
    quality = dataset.performance
    choices = sweep(served, dataset, WEIGHTS)
    points = frontier.frontier(quality, cost, choices, np.array(WEIGHTS[: len(choices)]))
    single = frontier.baselines(quality, cost)["best_single"]
    return {
        "frontier": curve(points),
        **rounded(
            {
                "cost_at_best_single_quality": frontier.cost_at_quality(points, single.quality)
                / single.cost
                if single.cost
                else None,
                "quality_at_best_single_cost": frontier.quality_at_cost(points, single.cost),
            }
        ),
        "models": [
            rounded({"model": name, "quality": float(each), "cost": float(price)})
            for name, each, price in zip(
                dataset.names, np.nanmean(quality, axis=0), cost.mean(axis=0), strict=True
            )
        ],
    }
