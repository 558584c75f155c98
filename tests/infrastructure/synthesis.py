"""Synthesises a deployment, and reads its templates."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PARTS = ("Network", "Data", "Operations", "Gateway", "Observability")

Properties = Mapping[str, Any]


@dataclass(frozen=True)
class Finding:
    """What a check says of a construct."""

    rule: str
    construct: str
    text: str


@dataclass(frozen=True)
class Synthesised:
    """folder: of the assembly, with the checks' report."""

    folder: Path
    context: Mapping[str, str]

    def template(self, part: str) -> Any:
        """The template of a stack, for `aws_cdk.assertions`."""
        from aws_cdk.assertions import Template

        return Template.from_json(self.document(part))

    def document(self, part: str) -> dict[str, Any]:
        name = self.context.get("name", "Trunkline")
        found: dict[str, Any] = json.loads(
            (self.folder / f"{name}-{part}.template.json").read_text("utf-8")
        )
        return found

    @cached_property
    def resources(self) -> Mapping[str, list[Properties]]:
        """The properties of all resources, by type."""
        found: dict[str, list[Properties]] = {}
        for part in PARTS:
            for resource in self.document(part)["Resources"].values():
                found.setdefault(resource["Type"], []).append(resource.get("Properties", {}))
        return found

    def only(self, kind: str) -> Properties:
        """The properties of the only resource of a type."""
        found = self.resources.get(kind, [])
        assert len(found) == 1, f"{len(found)} of {kind}"
        return found[0]

    @cached_property
    def findings(self) -> list[Finding]:
        """Of cdk-nag, and of the CDK's own checks."""
        report = json.loads((self.folder / "validation-report.json").read_text("utf-8"))
        return [
            Finding(violation["ruleName"], found["constructPath"], violation["description"])
            for plugin in report["pluginReports"]
            for violation in plugin["violations"]
            for found in violation["violatingConstructs"]
        ]

    @property
    def statements(self) -> Iterator[tuple[str, Properties]]:
        """Each statement of a role's policies, with the policy's name."""
        for part in PARTS:
            for name, resource in self.document(part)["Resources"].items():
                if resource["Type"] == "AWS::IAM::Policy":
                    for each in resource["Properties"]["PolicyDocument"]["Statement"]:
                        yield name, each

    @property
    def text(self) -> str:
        """All templates, to search in."""
        return "\n".join(json.dumps(self.document(part)) for part in PARTS)


def context_of_project() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((ROOT / "cdk.json").read_text("utf-8"))["context"]
    return found


def synthesised(folder: Path, context: Mapping[str, str]) -> Synthesised:
    """With cdk-nag's checks. Raises SettingsError."""
    from aws_cdk import App, Validations
    from cdk_nag import AwsSolutionsChecks

    from cdk.settings import read
    from cdk.shape import deployment

    told = {**context_of_project(), "assets": "none", **context}
    app = App(context=told, outdir=str(folder))
    deployment(app, read(app.node.get_all_context()))
    Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    try:
        app.synth()
    except RuntimeError as error:
        # A finding ends the synthesis when all templates and the report are written.
        if "ValidationFailed" not in str(error):
            raise
    return Synthesised(folder, context)


def value(text: Any) -> str:
    """A value with what CloudFormation puts in its place left as `<name>`."""
    match text:
        case {"Fn::Join": [separator, parts]}:
            return str(separator).join(value(part) for part in parts)
        case {"Fn::ImportValue": name}:
            return f"<{name}>"
        case {"Ref": name}:
            return f"<{name}>"
        case {"Fn::GetAtt": [name, attribute]}:
            return f"<{name}.{attribute}>"
        case _:
            return str(text)
