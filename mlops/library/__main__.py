"""The commands of the process in which LLMRouter runs. Results are files; see `request.py`."""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import sys
import traceback
import warnings
from importlib.metadata import version
from pathlib import Path

import numpy as np

from .files import SUBFOLDER
from .request import Request, Result

PACKAGES = ("llmrouter-lib", "numpy", "scikit-learn", "torch", "torch-geometric")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m mlops.library", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    train = commands.add_parser("train", help="train, and write result.npz and result.json")
    train.add_argument("folders", nargs="+", type=Path, help="each holds a request")
    train.add_argument("--keep", action="store_true", help="keep the library's files for decide")
    decide = commands.add_parser(
        "decide", help="write decisions.json beside the queries; train first what isn't trained"
    )
    decide.add_argument("queries", type=Path, help=".npz with embeddings and users")
    decide.add_argument(
        "folders",
        nargs="+",
        type=Path,
        help="each holds a request; of trainings, those with --keep",
    )
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    _one_thread()
    if args.command == "train":
        for folder in args.folders:
            _train(folder, args.keep)
    else:
        for folder in args.folders:
            if not (folder / "result.json").exists():
                _train(folder, keep=True)
        _decide(args.queries, args.folders)
    return 0


def _one_thread() -> None:
    """Sums come out the same only when they are made in the same order."""
    import torch  # noqa: PLC0415

    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)


def _train(folder: Path, keep: bool) -> None:
    with (folder / "llmrouter.log").open("w", encoding="utf-8") as log:
        try:
            with contextlib.redirect_stdout(log), contextlib.redirect_stderr(log):
                result = _trained(folder)
        except Exception as error:  # noqa: BLE001 - whatever the library raises is told to the user
            traceback.print_exc(file=log)
            kind = "" if isinstance(error, ValueError) else f"{type(error).__name__}: "
            result = Result({}, {}, {}, f"{kind}{error}")
    if not keep:
        shutil.rmtree(folder / SUBFOLDER, ignore_errors=True)
    result.write(folder)


def _trained(folder: Path) -> Result:
    from .extraction import extract  # noqa: PLC0415 - imports the library, whose output is logged
    from .routers import build, train  # noqa: PLC0415

    built = build(Request.read(folder), folder)
    train(built)
    tensors, parameters = extract(built)
    return Result(tensors, parameters, {name: version(name) for name in PACKAGES})


def _decide(queries: Path, folders: list[Path]) -> None:
    from .decisions import decide  # noqa: PLC0415 - imports the library

    with np.load(queries, allow_pickle=False) as arrays:
        answers = decide(folders, arrays["embeddings"], arrays["users"].tolist())
    (queries.parent / "decisions.json").write_text(json.dumps(answers), "utf-8")


if __name__ == "__main__":
    sys.exit(main())
