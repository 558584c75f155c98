"""Deploys the profile `dev` into an emulated AWS and uses it: `python -m tests.emulation`.

    --keep-logs FOLDER   where logs and synthesised templates are copied in the end
    --until TEXT         ends after the first step whose sentence holds the text

Exits 1 at the first step that doesn't hold, after what helps to see why. Everything that was
started is stopped in the end, whatever happens.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from tests.fakes.openai import FakeOpenAI

from . import documents, stores, table, world
from .cast import Cast
from .cdk import CDK
from .deployment import Deployment
from .emulated import PYTHON, emulated
from .inbox import Inbox
from .progress import Progress
from .scenario import STEPS
from .steps import deploying
from .steps.deploying import ARCHITECTURE
from .steps.rolling_out import JUDGED
from .tasks import service
from .training import Trainer

CONTEXT = {
    "profile": "dev",
    "architecture": ARCHITECTURE,
    "image": "ghcr.io/example/trunkline:now",
    "synthesizer": "cli",
    "training_least": str(JUDGED),
}
_SHOWN_LINES = 60

T = TypeVar("T")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.emulation", description=__doc__)
    parser.add_argument("--keep-logs", type=Path)
    parser.add_argument("--until", default="")
    arguments = parser.parse_args()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _ended)
    if not PYTHON.exists():
        parser.error("there is no .venv-emulator: run this by `make emulate`")
    with tempfile.TemporaryDirectory(prefix="trunkline-emulation-") as name:
        folder = Path(name)
        try:
            return _run(folder, arguments.until)
        finally:
            if arguments.keep_logs:
                _keep(folder, arguments.keep_logs)


def _ended(number: int, frame: Any) -> NoReturn:
    sys.exit(128 + number)


def _run(folder: Path, last: str) -> int:
    progress = Progress()
    with ExitStack() as stack:
        cast = _cast(folder, stack.enter_context)
        try:
            for what, do in STEPS:
                progress.step(what, partial(do, cast))
                if do is deploying.synthesise:
                    deployed = table.types(cast.cdk.assembly)
                if last and last in what:
                    return 0
        except Exception as error:  # noqa: BLE001 - whatever it was, it is told, and the run fails
            _explain(error, cast)
            return 1
        table.print_table(deployed, cast.cdk.types_of(profile="prod", assets="none"))
    return 0


def _cast(folder: Path, enter: Callable[[AbstractContextManager[T]], T]) -> Cast:
    """Starts what takes part. enter: has it stopped in the end."""
    kept = enter(stores.running(workspace(folder, "stores")))
    provider = enter(FakeOpenAI(keys=[documents.PROVIDER_KEY]))
    trainer = Trainer()
    answers = {
        "made": kept.made,
        "sagemaker/createTrainingJob": trainer.train,
        "emptied": lambda about: _empty(trainer, about["bucket"]),
    }
    outside = enter(world.listening(answers))
    aws = trainer.aws = enter(emulated(workspace(folder, "aws"), kept, outside))
    deployment = Deployment(aws)
    tasks = enter(service(deployment, kept, workspace(folder, "tasks")))
    return Cast(aws, CDK(aws, CONTEXT), deployment, tasks, provider, trainer, Inbox(aws))


def _empty(trainer: Trainer, bucket: str) -> dict[str, str]:
    assert trainer.aws is not None
    trainer.aws.empty(bucket)
    return {}


def _explain(error: Exception, cast: Cast) -> None:
    print(f"\n{type(error).__name__}: {error}", flush=True)
    for name, lines in cast.aws.functions_logs():
        print(f"\n--- {name}\n{lines}")
    for task in (*cast.service.running, *cast.service.ended):
        print(f"\n--- task at {task.url}\n{_tail(task.log())}")
    print(f"\n--- the emulator\n{_tail(cast.aws.log())}", flush=True)


def workspace(folder: Path, name: str) -> Path:
    made = folder / name
    made.mkdir()
    return made


def _tail(text: str) -> str:
    return "\n".join(text.splitlines()[-_SHOWN_LINES:])


def _keep(folder: Path, where: Path) -> None:
    """Copies what explains a run."""
    for pattern in ("aws/*.log", "aws/cdk.out/*.json", "tasks/*/log", "stores/*.log"):
        for path in folder.glob(pattern):
            target = where / path.relative_to(folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)


if __name__ == "__main__":
    sys.exit(main())
