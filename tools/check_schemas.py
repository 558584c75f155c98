"""Checks files of other programs against those programs' own schemas, without a network.

It runs in `.venv-schemas`, which has the schemas: of GitHub's workflows (and what zizmor finds
unsafe in them), of compose files, and of Kubernetes.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import yaml

BIN = Path(sys.executable).parent
WORKFLOWS = ".github/workflows/*.y*ml"
COMPOSE = "examples/*/*compose.y*ml"
MANIFESTS = "examples/*/kustomization.yaml"
KUBERNETES = ("1.33", "1.37")


def checks(root: Path) -> Iterator[list[str | Path]]:
    """The commands, each of which ends with 0 where all is well."""
    workflows, compose = sorted(root.glob(WORKFLOWS)), sorted(root.glob(COMPOSE))
    schema: list[str | Path] = [BIN / "check-jsonschema", "--builtin-schema"]
    yield [*schema, "vendor.github-workflows", *workflows]
    yield [*schema, "vendor.compose-spec", *compose]
    yield [BIN / "zizmor", "--offline", "--quiet", *workflows]
    for path in sorted(root.glob(MANIFESTS)):
        files = [path.parent / name for name in yaml.safe_load(path.read_text())["resources"]]
        for version in KUBERNETES:
            yield [BIN / "kubernetes-validate", "--strict", "-k", version, *files]


def main(root: Path) -> int:
    failed = 0
    for command in checks(root):
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        if done.returncode:
            failed += 1
            told = (line for line in done.stdout.splitlines() if not line.startswith("INFO"))
            print(f"{Path(command[0]).name}:", *told, sep="\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(Path.cwd()))
