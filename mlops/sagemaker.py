"""`sagemaker`: trains as a job of Amazon SageMaker's, by what lies in its folder.

    input/config/hyperparameters.json   names and texts: strategy, seed, ties, embedder, version,
                                        test_share, and set.NAME for one of the strategy's own
    input/data/training/                rows: JSONL, gzip or Parquet
    input/data/signing/                 the key that signs the bundle, PEM, if there is one
    checkpoints/prepared/               the rows, split and embedded: a job that lost its spot
                                        machine goes on there
    model/bundle.tar                    what was trained
    output/failure                      why it could not be, of which SageMaker tells the beginning

https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo.html
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from . import command_line, prepare, train
from .errors import MlopsError
from .load import DESCRIPTION

FAILED = 1
BUNDLE = "bundle.tar"
OWN = "set."
"""What hyperparameters of the strategy itself begin with; the others are options of `train`."""
OPTIONS = ("strategy", "seed", "ties", "embedder", "version")
PREPARING = ("test_share",)


def run(options: argparse.Namespace) -> int:
    """0, or 1 with the reason where SageMaker looks for it."""
    folder: Path = options.folder
    try:
        _run(folder)
    except (MlopsError, SystemExit) as error:
        reason = str(error) if isinstance(error, MlopsError) else "a hyperparameter is wrong"
        (folder / "output").mkdir(parents=True, exist_ok=True)
        (folder / "output" / "failure").write_text(reason, "utf-8")
        print(f"trunkline-mlops: {reason}", flush=True)
        return FAILED
    return 0


def _run(folder: Path) -> None:
    told = _hyperparameters(folder / "input" / "config" / "hyperparameters.json")
    prepared = _prepared(folder, told)
    (folder / "model").mkdir(parents=True, exist_ok=True)
    arguments = ["--data", str(prepared), "--output", str(folder / "model" / BUNDLE)]
    for name in OPTIONS:
        if name in told:
            arguments += [f"--{name}", told[name]]
    for name, value in told.items():
        if name.startswith(OWN):
            arguments += ["--set", f"{name.removeprefix(OWN)}={value}"]
    for key in _files(folder / "input" / "data" / "signing"):
        arguments += ["--signing-key", str(key)]
    train.run(command_line.parser().parse_args(["train", *arguments]))


def _hyperparameters(file: Path) -> Mapping[str, str]:
    try:
        found = json.loads(file.read_text("utf-8"))
    except OSError as error:
        raise MlopsError(f"{file}: {error.strerror}") from None
    except ValueError:
        raise MlopsError(f"{file}: not JSON") from None
    if not isinstance(found, dict):
        raise MlopsError(f"{file}: expected a mapping")
    for name in found:
        if not (name in (*OPTIONS, *PREPARING) or name.startswith(OWN)):
            known = ", ".join((*OPTIONS, *PREPARING))
            raise MlopsError(f"no hyperparameter is called {name!r}; there are {known}, {OWN}NAME")
    return {str(name): str(value) for name, value in found.items()}


def _prepared(folder: Path, told: Mapping[str, str]) -> Path:
    """What an earlier machine of the same job has prepared, else what is prepared now."""
    prepared = folder / "checkpoints" / "prepared"
    if (prepared / DESCRIPTION).is_file():
        return prepared
    rows = list(_files(folder / "input" / "data" / "training"))
    if not rows:
        raise MlopsError("the channel `training` holds no files")
    shutil.rmtree(prepared, ignore_errors=True)
    prepared.parent.mkdir(parents=True, exist_ok=True)
    arguments = [*map(str, rows), "--output", str(prepared), "--seed", told.get("seed", "0")]
    if "test_share" in told:
        arguments += ["--test-share", told["test_share"]]
    if "embedder" in told:
        arguments += ["--embedder", told["embedder"]]
    prepare.run(command_line.parser().parse_args(["prepare", *arguments]))
    return prepared


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())
