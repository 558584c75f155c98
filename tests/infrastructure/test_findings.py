"""What cdk-nag, the CDK, cfn-lint and checkov find: nothing, or it is meant so, with a reason."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from cdk.suppressions import MEANT, TEMPLATES_MEANT, Meant

from .synthesis import PARTS, ROOT, Finding, Synthesised

TOOLS = ROOT / ".venv-templates" / "bin"


@pytest.fixture(scope="module")
def deployments(prod: Synthesised, dev: Synthesised, lambda_only: Synthesised) -> list[Synthesised]:
    return [prod, dev, lambda_only]


def test_every_finding_of_cdk_nag_is_meant_and_every_reason_is_needed(
    deployments: list[Synthesised],
) -> None:
    findings = [finding for each in deployments for finding in each.findings]
    assert not list(_unexplained(findings, MEANT))
    assert not _unused(findings, MEANT), "nothing is found there any more"


def test_every_finding_of_cfn_lint_and_checkov_is_meant(deployments: list[Synthesised]) -> None:
    if not TOOLS.exists():
        pytest.skip("make synth installs what checks templates")
    templates = [path for each in deployments for path in _templates(each)]
    findings = [*_cfn_lint(templates), *_checkov(templates)]
    assert not list(_unexplained(findings, TEMPLATES_MEANT))
    assert not _unused(findings, TEMPLATES_MEANT), "nothing is found there any more"


def _meant(finding: Finding, each: Meant) -> bool:
    return bool(re.fullmatch(each.rule, finding.rule) and re.search(each.where, finding.construct))


def _unexplained(findings: Iterable[Finding], meant: Iterable[Meant]) -> Iterator[Finding]:
    return (f for f in findings if not any(_meant(f, each) for each in meant))


def _unused(findings: list[Finding], meant: Iterable[Meant]) -> list[Meant]:
    return [each for each in meant if not any(_meant(f, each) for f in findings)]


def _cfn_lint(templates: list[str]) -> Iterator[Finding]:
    told = _said("cfn-lint", "--format", "json", "--regions", "us-east-1", "--", *templates)
    for each in told or ():
        path = "/".join(str(part) for part in each["Location"]["Path"] or ())
        yield Finding(each["Rule"]["Id"], f"{_part(each['Filename'])}/{path}", each["Message"])


def _checkov(templates: list[str]) -> Iterator[Finding]:
    how = ("--framework", "cloudformation", "--skip-download", "--quiet", "--compact")
    files = [argument for path in templates for argument in ("--file", path)]
    report = _said("checkov", *how, "--output", "json", *files)
    for framework in report if isinstance(report, list) else [report]:
        for each in framework["results"]["failed_checks"]:
            place = f"{_part(each['file_path'])}/{each['resource']}"
            yield Finding(each["check_id"], place, each["check_name"])


def _said(program: str, *arguments: str) -> Any:
    """What a program writes as JSON; None for nothing."""
    command = [TOOLS / program, *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.stdout or not ended.returncode, ended.stderr
    return json.loads(ended.stdout) if ended.stdout.strip() else None


def _part(file: str) -> str:
    return file.rsplit("/", 1)[-1].removesuffix(".template.json")


def _templates(made: Synthesised) -> Iterator[str]:
    name = made.context.get("name", "Trunkline")
    return (str(made.folder / f"{name}-{part}.template.json") for part in PARTS)
