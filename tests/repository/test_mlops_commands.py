"""The commands of `trunkline-mlops` that the documentation shows are commands that there are."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from mlops.command_line import parser

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "docs" / "mlops.md", ROOT / "examples" / "mlops" / "README.md"]
SCRIPTS = [ROOT / "examples" / "mlops" / "train.sh"]
COMMAND = re.compile(r"^.*?\btrunkline-mlops ((?:.*\\\n)*.*)$", re.MULTILINE)
BLOCK = re.compile(r"^```[a-z]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def commands(path: Path) -> list[str]:
    text = path.read_text("utf-8")
    shown = text if path in SCRIPTS else "\n".join(BLOCK.findall(text))
    return [found.replace("\\\n", " ") for found in COMMAND.findall(shown)]


@pytest.mark.parametrize(
    "command", [command for path in (*PAGES, *SCRIPTS) for command in commands(path)]
)
def test_a_command_that_is_shown_is_understood(command: str) -> None:
    parser().parse_args(shlex.split(command, comments=True))


def test_the_documentation_shows_every_command() -> None:
    shown = {command.split()[0] for path in PAGES for command in commands(path)}

    training = {"collect", "prepare", "train", "sagemaker", "evaluate", "compare"}
    assert shown == training | {"embedder"}
