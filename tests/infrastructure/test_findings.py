"""What cdk-nag, the CDK, cfn-lint and checkov find: nothing, or it is meant so, with a reason."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterable, Iterator

import pytest

from cdk.suppressions import MEANT, TEMPLATES_MEANT, Meant

from .conftest import Synthesise
from .synthesis import PARTS, ROOT, Finding, Synthesised

TOOLS = ROOT / ".venv-templates" / "bin"


@pytest.fixture(scope="module")
def deployments(
    prod: Synthesised, dev: Synthesised, lambda_only: Synthesised, synthesise: Synthesise
) -> list[Synthesised]:
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
    findings = [finding for each in deployments for finding in (*_cfn_lint(each), *_checkov(each))]
    assert not list(_unexplained(findings, TEMPLATES_MEANT))
    assert not _unused(findings, TEMPLATES_MEANT), "nothing is found there any more"


def _meant(finding: Finding, each: Meant) -> bool:
    return bool(re.fullmatch(each.rule, finding.rule) and re.search(each.where, finding.construct))


def _unexplained(findings: Iterable[Finding], meant: Iterable[Meant]) -> Iterator[Finding]:
    return (f for f in findings if not any(_meant(f, each) for each in meant))


def _unused(findings: list[Finding], meant: Iterable[Meant]) -> list[Meant]:
    return [each for each in meant if not any(_meant(f, each) for f in findings)]


def _cfn_lint(made: Synthesised) -> Iterator[Finding]:
    templates = sorted(made.folder.glob("*.template.json"))
    ended = subprocess.run(
        [TOOLS / "cfn-lint", "--format", "json", "--regions", "us-east-1", "--", *templates],
        capture_output=True,
        text=True,
        check=False,
    )
    for each in json.loads(ended.stdout or "[]"):
        path = "/".join(str(part) for part in each["Location"]["Path"] or ())
        part = each["Filename"].rsplit("/", 1)[-1].removesuffix(".template.json")
        yield Finding(each["Rule"]["Id"], f"{part}/{path}", each["Message"])


def _checkov(made: Synthesised) -> Iterator[Finding]:
    ended = subprocess.run(
        [
            *(TOOLS / "checkov", "--framework", "cloudformation", "--skip-download", "--quiet"),
            *("--compact", "--output", "json"),
            *(argument for path in _templates(made) for argument in ("--file", path)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    report = json.loads(ended.stdout)
    for framework in report if isinstance(report, list) else [report]:
        for each in framework["results"]["failed_checks"]:
            part = each["file_path"].rsplit("/", 1)[-1].removesuffix(".template.json")
            yield Finding(each["check_id"], f"{part}/{each['resource']}", each["check_name"])


def _templates(made: Synthesised) -> Iterator[str]:
    name = made.context.get("name", "Trunkline")
    return (str(made.folder / f"{name}-{part}.template.json") for part in PARTS)
