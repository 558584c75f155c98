"""`make check` finds what would tie the project to one machine."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tools.check_portable import main


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("requirements/serve.txt", "--index" + "-url https://example.test/\n"),
        ("docs/install.md", "packages come from https://pypi" + ".org\n"),
        ("package-lock.json", '{"resolved"' + ': "https://example.test/a.tgz"}\n'),
        ("config.yaml", "path: /ho" + "me/someone/config.yaml\n"),
    ],
)
def test_a_file_that_ties_the_project_to_a_machine_is_named_with_its_line(
    tree: Path, capsys: pytest.CaptureFixture[str], name: str, text: str
) -> None:
    path = tree / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"\n{text}", "utf-8")

    assert main(tree) == 1
    assert capsys.readouterr().out.startswith(f"{name}:2: ")


def test_ignored_binary_and_ordinary_files_are_left_alone(tree: Path) -> None:
    (tree / ".gitignore").write_text("ignored.txt\n", "utf-8")
    (tree / "ignored.txt").write_text("/ho" + "me/someone/secret\n", "utf-8")
    (tree / "picture.png").write_bytes(b"\x89PNG\xff/ho" + b"me/someone/")
    (tree / "README.md").write_text(
        "See https://example.test/home/page, /health and /root/a.\n", "utf-8"
    )

    assert main(tree) == 0
