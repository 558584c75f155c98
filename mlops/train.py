"""`train`: from prepared data to a bundle that a gateway loads, with what it is worth inside."""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from trunkline.errors import BundleError
from trunkline.routing.bundles.reading import Bundle, parse_bundle
from trunkline.routing.bundles.writing import tar
from trunkline.routing.heads.table import HEADS

from .configuration import Training, asked
from .dataset import Dataset
from .errors import MlopsError
from .evaluate import evaluated
from .export import exported, signing_key
from .load import DESCRIPTION, Reading, load, prepared_queries
from .markdown import markdown
from .places import write
from .serving import serve
from .training.trainer import Job, Trained, trainer

AUTOMIX = "llmrouter-automix"


def run(options: argparse.Namespace) -> int:
    training = asked(options)
    key = signing_key(options.signing_key)
    how = Reading(training.llm_data, training.embedder, training.embedder_path, training.ties)
    dataset = load(training.train, "train", how)
    tested = _test(training, how)
    _say(f"training {training.strategy} on {len(dataset)} queries of {len(dataset.labels)} models")
    trained = train(dataset, training)
    report = _evaluation(dataset, trained, training, tested)
    files = exported(
        dataset, trained, training.strategy, version=training.version, evaluation=report, key=key
    )
    write(files, training.output)
    _say(f"{training.output}: {'signed' if key else 'not signed: no signing key is given'}")
    return 0


def train(dataset: Dataset, training: Training) -> Trained:
    """What the strategy's trainer made of the data. Raises MlopsError."""
    random.seed(training.seed)
    np.random.seed(training.seed)
    folder = Path(tempfile.mkdtemp(prefix="trunkline-mlops-"))
    try:
        trained = trainer(training.strategy)(
            dataset, Job(training.hyperparameters, training.seed, folder)
        )
    except ValueError as error:
        # What it left, a log of the library for one, tells why it failed.
        if not any(folder.iterdir()):
            folder.rmdir()
        raise MlopsError(str(error)) from None
    shutil.rmtree(folder, ignore_errors=True)
    return trained


def _test(training: Training, how: Reading) -> Dataset | None:
    """What the bundle is evaluated on: the test rows, or the prepared folder's other split."""
    if training.test is not None:
        return load(training.test, "test", how)
    if (training.train / DESCRIPTION).is_file() and prepared_queries(training.train, "test"):
        return load(training.train, "test", how)
    return None


def _evaluation(
    dataset: Dataset, trained: Trained, training: Training, tested: Dataset | None
) -> Mapping[str, Any]:
    """The report that goes into the bundle; empty where there is nothing to evaluate it on."""
    bundle = _bundle(dataset, trained, training)
    # AutoMix decides by what models say, which no data can stand in for.
    if tested is None or training.strategy not in HEADS or training.strategy == AUTOMIX:
        return {}
    served = serve(
        bundle, embedder=training.embedder, folder=training.embedder_path, cost_weight=None
    )
    report = evaluated(served, tested, timed=False)
    print(markdown(report), end="")
    # The bundle tells its own strategy and version; this one was of a bundle without a report.
    return {name: value for name, value in report.items() if name != "bundle"}


def _bundle(dataset: Dataset, trained: Trained, training: Training) -> Bundle:
    """What a gateway would read, checked as it checks."""
    files = exported(dataset, trained, training.strategy, version=training.version)
    try:
        return parse_bundle(training.output, tar(files))
    except BundleError as error:
        raise MlopsError(str(error)) from None


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
