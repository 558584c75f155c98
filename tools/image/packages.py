"""Where pip takes packages from on this machine, for a build that doesn't see the machine."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

LINE = re.compile(r"(?P<section>[\w:-]+)\.(?P<name>[\w.-]+)=(?P<value>'.*'|\".*\")")
LOCAL = re.compile(r"(?:file://)?(/\S+)")


def settings() -> dict[str, str]:
    """pip's settings, from all its files and from the environment, which wins."""
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], check=True, capture_output=True, text=True
    ).stdout
    return {
        found["name"].lstrip("."): ast.literal_eval(found["value"])
        for line in sorted(listed.splitlines(), key=lambda line: line.startswith(":env:"))
        if (found := LINE.fullmatch(line))
    }


def configuration(canary: str) -> str:
    """The text of a pip.conf that holds the settings, and a word that must not get out."""
    lines = [f"{name} = {value}".replace("\n", "\n    ") for name, value in settings().items()]
    return "\n".join(["[global]", *lines, f"# {canary}", ""])


def folders() -> list[Path]:
    """Files and folders of this machine that the settings name.

    An index (`simple`) that is a folder has its packages beside it.
    """
    named = map(Path, LOCAL.findall(" ".join(settings().values())))
    return sorted(
        {path.parent if path.name == "simple" else path for path in named if path.exists()}
    )
