"""The CDK's command line, led to the emulated AWS."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.gateway import environment

from . import table
from .emulated import ACCOUNT, AWS, REGION, ROOT

PROGRAM = ROOT / "node_modules" / ".bin" / "cdk"
SECONDS = 600.0
_FAILURE = re.compile(r"FAILED|[Ee]rror|failed")
_LAST = 20
_QUIET = ("--ci", "--no-notices")


class CommandFailed(AssertionError):
    """A command of the CDK ended with an error; says its last lines."""


@dataclass
class CDK:
    """aws: where it deploys to. context: what the stacks are told. project: where `cdk.json` is.

    Stacks are synthesised once, and then deployed and destroyed as they were.
    outputs: of each deployed stack, by its name and the output's.
    """

    aws: AWS
    context: Mapping[str, str]
    project: Path = ROOT
    outputs: dict[str, dict[str, str]] = field(default_factory=dict)

    @property
    def assembly(self) -> Path:
        """The folder of the synthesised templates."""
        return self.aws.folder / "cdk.out"

    def bootstrap(self) -> None:
        # From a folder without a project, so that nothing is synthesised for it.
        self._run("bootstrap", f"aws://{ACCOUNT}/{REGION}", folder=self.aws.folder)

    def synthesise(self, **more: str) -> None:
        """more: context beside what it is always told."""
        self._synthesise({**self.context, **more}, self.assembly)

    def _synthesise(self, context: Mapping[str, str], folder: Path) -> None:
        told = [part for name, value in context.items() for part in ("-c", f"{name}={value}")]
        self._run("synth", "--quiet", "--output", str(folder), *told, folder=self.project)

    def deploy(self) -> None:
        """Every stack, as synthesised. Fills `outputs`."""
        said = self.aws.folder / "outputs.json"
        self._deployed(
            "deploy", "--all", "--require-approval", "never", "--outputs-file", str(said)
        )
        self.outputs = json.loads(said.read_text("utf-8"))

    def destroy(self) -> None:
        self._deployed("destroy", "--all", "--force")

    def output(self, name: str) -> str:
        """The value of the output of that name, of whichever stack has it."""
        found = [each[name] for each in self.outputs.values() if name in each]
        assert found, f"no stack has an output {name}: {self.outputs}"
        return found[0]

    def types_of(self, **context: str) -> set[str]:
        """The types of resources in the stacks that such a context would make."""
        folder = self.aws.folder / "others.out"
        self._synthesise(context, folder)
        return set(table.types(folder))

    def _deployed(self, *arguments: str) -> None:
        self._run(*arguments, "--app", str(self.assembly), folder=self.aws.folder)

    def _run(self, *arguments: str, folder: Path) -> None:
        own = {
            **self.aws.environment(),
            "CDK_DISABLE_CLI_TELEMETRY": "true",
            "CDK_DEFAULT_ACCOUNT": ACCOUNT,
            "CDK_DEFAULT_REGION": REGION,
            "JSII_SILENCE_WARNING_UNTESTED_NODE_VERSION": "1",
            "PATH": os.environ["PATH"],
        }
        log = self.aws.folder / "cdk.log"
        with log.open("ab") as file:
            start = file.tell()
            process = subprocess.Popen(
                [PROGRAM, *arguments, *_QUIET],
                cwd=folder,
                env=environment(self.aws.folder, own),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            code = _waited(process)
        if code:
            said = log.read_bytes()[start:].decode("utf-8", "replace")
            raise CommandFailed("\n".join([f"cdk {arguments[0]}", *_telling(said.splitlines())]))


def _waited(process: subprocess.Popen[bytes]) -> int:
    """The exit code of a command, of which nothing goes on when this ends, however it ends."""
    try:
        return process.wait(SECONDS)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _telling(lines: list[str]) -> list[str]:
    """Of what a command printed, what tells why it failed."""
    failures = [line for line in lines[:-_LAST] if _FAILURE.search(line)]
    return failures[-_LAST:] + lines[-_LAST:]
