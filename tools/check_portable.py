"""Fails when a file ties the project to one machine: a package index, a download address, a path.

Locks hold names, versions and hashes; where the packages come from is each machine's own affair.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ANYWHERE = {
    "names a package index": re.compile(
        r"pypi[.]org|pythonhosted[.]org|registry[.](?:npmjs|yarnpkg)|(?:deb|security)[.]debian[.]org"
        r"|--(?:extra-)?index[-]url|--find[-]links"
    ),
    "names a path of one machine": re.compile(
        r"(?<![\w.:/}-])/(?:home/\w|Users/\w|root/[.]|work/)"
    ),
}
IN_FILES_NAMED = {
    "package-lock.json": {"holds a download address": re.compile(r'"resolved"\s*:')},
}


def files(root: Path) -> Iterator[Path]:
    """Every file that is tracked, or would be if it were added."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True)
    for name in filter(None, listed.stdout.split("\0")):
        path = root / name
        if path.is_file():
            yield path


def problems(path: Path) -> Iterator[str]:
    """What ties the file to one machine, as `line: what`."""
    try:
        text = path.read_text("utf-8")
    except UnicodeDecodeError:
        return
    patterns = ANYWHERE | IN_FILES_NAMED.get(path.name, {})
    for number, line in enumerate(text.splitlines(), 1):
        for what, pattern in patterns.items():
            if found := pattern.search(line):
                yield f"{number}: {what}: {found.group()}"


def main(root: Path) -> int:
    found = [f"{path.relative_to(root)}:{what}" for path in files(root) for what in problems(path)]
    for line in found:
        print(line)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(Path.cwd()))
