"""What the documentation points at exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
WRITTEN_BY_BENCH = ROOT / "bench" / "results"
LINK = re.compile(r"\]\((?!\w+:|#)([^)#\s]+)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_to_a_file_leads_somewhere(page: Path) -> None:
    targets = [(page.parent / link).resolve() for link in LINK.findall(page.read_text("utf-8"))]

    broken = [target for target in targets if not target.exists()]

    assert [target for target in broken if WRITTEN_BY_BENCH not in target.parents] == []


def test_the_readme_names_every_command_of_the_makefile() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    readme = (ROOT / "README.md").read_text("utf-8")

    described = re.findall(r"^([a-z]+):.*## ", makefile, re.MULTILINE)

    assert {"run", "test", "check", "bench", "acceptance"} <= set(described)
    assert [command for command in described if f"`make {command}`" not in readme] == []
