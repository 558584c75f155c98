"""The command line of `trunkline-mlops`: data to bundles, and what they are worth."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

import yaml

from .errors import MlopsError

WRONG = 2
"""Exit code for a command or data that can't be used."""
INTERRUPTED = 130

Parsers = Any
Command = Callable[[argparse.Namespace], int]


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Runs a command and exits: 0 done, 1 `compare` says no, 2 it can't be carried out."""
    options = parser().parse_args(arguments)
    for library in ("OMP", "OPENBLAS", "MKL"):
        # Sums come out the same, to the last bit, only where one thread makes them.
        os.environ.setdefault(f"{library}_NUM_THREADS", "1")
    try:
        sys.exit(_command(options.module)(options))
    except MlopsError as error:
        print(f"trunkline-mlops: {error}", file=sys.stderr)
        sys.exit(WRONG)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _command(module: str) -> Command:
    """The command's function. What it imports takes seconds, so that only it is imported."""
    try:
        return import_module(f".{module}", __package__).run
    except ModuleNotFoundError as error:
        raise MlopsError(
            f"{error.name} is not installed: training has an environment of its own, which"
            " `make mlops` sets up"
        ) from None


def parser() -> argparse.ArgumentParser:
    """Of all commands."""
    made = argparse.ArgumentParser(
        prog="trunkline-mlops", description="Trains and evaluates routing models."
    )
    commands = made.add_subparsers(required=True, metavar="COMMAND")
    for add in (_collect, _prepare, _train, _evaluate, _compare, _embedder, _sagemaker):
        add(commands)
    return made


def _prepare(commands: Parsers) -> None:
    parser = _add(commands, "prepare", "check, split and embed routing data")
    parser.add_argument("data", nargs="+", type=Path, metavar="FILE", help="JSONL, gzip or Parquet")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR")
    parser.add_argument("--test", nargs="+", type=Path, metavar="FILE", help="a split made already")
    parser.add_argument("--test-share", type=_share, default=0.2, help="of the queries (0.2)")
    parser.add_argument("--seed", type=int, default=0, help="of the split (0)")
    _reading(parser, default="static")
    _ties(parser, default="best")


def _train(commands: Parsers) -> None:
    parser = _add(commands, "train", "train a strategy and write its bundle")
    parser.add_argument("--config", type=Path, metavar="FILE", help="YAML; options win over it")
    parser.add_argument("--strategy", metavar="NAME")
    parser.add_argument("--data", type=Path, metavar="PATH", help="prepared folder, or rows")
    parser.add_argument("--test", type=Path, metavar="FILE", help="rows to evaluate on")
    parser.add_argument("--output", metavar="PLACE", help="a folder, a .tar, or s3://…")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--version", help="of the bundle; made of the day and content without")
    parser.add_argument(
        "--set",
        action="append",
        type=_pair,
        default=[],
        metavar="NAME=VALUE",
        help="one hyperparameter",
    )
    parser.add_argument("--signing-key", type=Path, metavar="FILE", help="PEM, Ed25519")
    _reading(parser)
    _ties(parser)


def _evaluate(commands: Parsers) -> None:
    parser = _add(commands, "evaluate", "tell what a bundle's decisions are worth")
    parser.add_argument("bundle", metavar="BUNDLE", help="a folder, a .tar, or s3://…")
    parser.add_argument("--output", type=Path, metavar="DIR", help="for JSON, Markdown and picture")
    _judging(parser)


def _compare(commands: Parsers) -> None:
    parser = _add(commands, "compare", "exit with 0 where bundle B may replace A, with 1 if not")
    parser.add_argument("a", metavar="A")
    parser.add_argument("b", metavar="B")
    parser.add_argument(
        "--margin", type=float, default=0.02, help="quality that B may be worse by (0.02)"
    )
    parser.add_argument(
        "--cost-margin", type=float, default=0.1, help="share that B may cost more (0.1)"
    )
    parser.add_argument("--level", type=_level, default=0.95, help="confidence (0.95)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument(
        "--replace", action="store_true", help="put B in A's place where it may, or there is no A"
    )
    _judging(parser)


def _collect(commands: Parsers) -> None:
    parser = _add(commands, "collect", "make routing data of a gateway's records and feedback")
    parser.add_argument(
        "sources", nargs="+", metavar="SOURCE", help="file, folder, sqlite:///FILE or s3://…"
    )
    parser.add_argument("--output", type=Path, required=True, metavar="FILE", help="JSONL")


def _embedder(commands: Parsers) -> None:
    parser = _add(commands, "embedder", "make the files of an embedder")
    parser.add_argument("kind", choices=("static", "onnx"))
    parser.add_argument("--output", type=Path, required=True, metavar="DIR")


def _sagemaker(commands: Parsers) -> None:
    parser = _add(commands, "sagemaker", "train as a job of Amazon SageMaker's")
    parser.add_argument("--folder", type=Path, default=Path("/opt/ml"), metavar="DIR")


def _add(commands: Parsers, name: str, about: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=about, description=about)
    parser.set_defaults(module=name)
    return parser


def _judging(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", type=Path, required=True, help="prepared folder, or rows")
    parser.add_argument("--split", choices=("train", "test"), default="test", help="(test)")
    parser.add_argument("--cost-weight", type=float, help="the bundle's own without")
    parser.add_argument("--resamples", type=_count, default=1000, help="(1000)")
    parser.add_argument("--seed", type=int, default=0, help="of resampling (0)")
    parser.add_argument(
        "--public-key", action="append", default=[], help="only bundles signed by it"
    )
    _reading(parser, default="")


def _reading(parser: argparse.ArgumentParser, default: str | None = None) -> None:
    parser.add_argument("--llm-data", type=Path, metavar="FILE", help="LLMRouter's candidates")
    parser.add_argument("--embedder", default=default, help="static or minilm-onnx")
    parser.add_argument("--embedder-path", type=Path, metavar="DIR")


def _ties(parser: argparse.ArgumentParser, default: str | None = None) -> None:
    parser.add_argument(
        "--ties",
        choices=("best", "cheapest", "first"),
        default=default,
        help="which of equally good models wins: best on average, cheapest, or first in the rows",
    )


def _share(text: str) -> float:
    return _between(text, 0, 1, "a share from 0 to 1", below=1)


def _level(text: str) -> float:
    return _between(text, 0.5, 1, "a level from 0.5 to below 1", below=1)


def _between(text: str, low: float, high: float, what: str, below: float) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not low <= value <= high or value >= below:
        raise argparse.ArgumentTypeError(f"expected {what}")
    return value


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 8):
        raise argparse.ArgumentTypeError("expected a number, such as 1000")
    return int(text)


def _pair(text: str) -> tuple[str, Any]:
    name, separator, value = text.partition("=")
    if not (name and separator):
        raise argparse.ArgumentTypeError("expected NAME=VALUE")
    try:
        return name, yaml.safe_load(value)
    except yaml.YAMLError:
        raise argparse.ArgumentTypeError(f"{value!r} is no value") from None
