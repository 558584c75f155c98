"""The table at the end: which resource types the emulator deployed, and how much that says."""

from __future__ import annotations

import ast
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

REAL, KEPT, STUBBED, NOT_COVERED = "deployed", "deployed, not acted on", "stubbed", "not covered"

NOT_ACTED_ON: Mapping[str, str] = {
    "AWS::ApplicationAutoScaling": "nothing scales",
    "AWS::CloudWatch": "kept; nothing evaluates it",
    "AWS::EC2": "kept; no traffic passes through it, none is filtered",
    "AWS::ECS": "kept; the tasks are played by this program",
    "AWS::ElastiCache": "kept; its endpoint leads to a real Redis behind TLS",
    "AWS::KMS": "kept; policies are enforced, nothing is encrypted",
    "AWS::RDS": "kept; its endpoint leads to a real PostgreSQL",
    "AWS::WAFv2": "kept; filters nothing",
}
"""By the beginning of a type."""

STAND_INS: Mapping[str, str] = {
    "AWS::ApiGatewayV2::VpcLink": "the integrations' own targets are followed",
    "AWS::Serverless::Application": "AWS's function that changes passwords; none is changed",
    "Custom::S3AutoDeleteObjects": "the buckets are emptied without CDK's function",
}


def stubs() -> frozenset[str]:
    """The types that the emulator has from us: read, as its program runs on another Python."""
    source = (Path(__file__).parent / "emulator" / "stubs.py").read_text("utf-8")
    for node in ast.parse(source).body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.value, ast.Dict):
            return frozenset(ast.literal_eval(key) for key in node.value.keys if key) | {
                "AWS::RDS::DBProxy",
                "AWS::ElastiCache::ServerlessCache",
            }
    raise AssertionError("no table of stubs found")


def types(assembly: Path) -> Counter[str]:
    """How many resources of each type the synthesised templates hold."""
    found: Counter[str] = Counter()
    for path in sorted(assembly.glob("**/*.template.json")):
        resources = json.loads(path.read_text("utf-8")).get("Resources", {})
        found.update(resource["Type"] for resource in resources.values())
    found.pop("AWS::CDK::Metadata", None)
    return found


def rows(deployed: Mapping[str, int], others: Iterable[str]) -> Iterator[tuple[str, int, str, str]]:
    """Type, how many, how, and what that means. others: types of other profiles."""
    stubbed = stubs()
    for kind, number in sorted(deployed.items()):
        why = next((why for name, why in NOT_ACTED_ON.items() if kind.startswith(name)), "")
        if kind in stubbed:
            yield kind, number, STUBBED, STAND_INS.get(kind, "its names and attributes are made up")
        else:
            yield kind, number, KEPT if why else REAL, why
    for kind in sorted(set(others) - set(deployed)):
        yield kind, 0, NOT_COVERED, "only in the profile prod"


def print_table(deployed: Mapping[str, int], others: Iterable[str]) -> None:
    lines = list(rows(deployed, others))
    width = max(len(kind) for kind, *_ in lines)
    print(f"\n{'resource type':{width}}  number  how")
    for kind, number, how, why in lines:
        print(f"{kind:{width}}  {number:6}  {how}{f' ({why})' if why else ''}", flush=True)
