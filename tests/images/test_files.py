"""What images, workflows and examples say, checked without building or deploying anything.

Schemas of workflows, compose files and Kubernetes are checked by `make check`.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import botocore.session
import botocore.validate
import litellm
import pytest
import yaml

from tests.support.gateway import trunkline
from trunkline.settings import load

ROOT = Path(__file__).parents[2]
EKS = ROOT / "examples" / "eks"
APP_RUNNER = ROOT / "examples" / "app-runner"
ADOT = {
    "extensions": """awsproxy ecs_observer health_check pprof sigv4auth zpages file_storage""",
    "receivers": """awsecscontainermetrics awscontainerinsightreceiver awsxray statsd prometheus
        kafka jaeger zipkin otlp filelog""",
    "processors": """groupbytrace tail_sampling attributes resource probabilistic_sampler span
        filter metricstransform resourcedetection experimental_metricsgeneration
        cumulativetodelta deltatorate batch memory_limiter k8sattributes""",
    "exporters": """awsemf prometheusremotewrite prometheus file kafka debug otlp otlphttp awsxray
        loadbalancing awscloudwatchlogs""",
}
"""What ADOT's collector is made of: pkg/defaultcomponents/defaults.go of aws-otel-collector."""
SECRET_NAMES = {
    "TRUNKLINE_MASTER_KEY": "sk-1",
    "TRUNKLINE_SALT_KEY": "salt",
    "OPENAI_API_KEY": "sk-2",
    "REDIS_URL": "rediss://cache.example.com:6379",
    "DATABASE_URL": "postgresql://user:word@database.example.com/trunkline",
}


def read(path: Path) -> Any:
    text = path.read_text("utf-8")
    return json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)


def test_the_collector_takes_traces_to_x_ray_with_components_that_it_has() -> None:
    collector = read(ROOT / "ecs" / "collector.yaml")
    service = collector.pop("service")
    for kind, configured in collector.items():
        assert {name.partition("/")[0] for name in configured} <= set(ADOT[kind].split()), kind
    used = {"extensions": set(service["extensions"])}
    for pipeline in service["pipelines"].values():
        for kind, names in pipeline.items():
            used.setdefault(kind, set()).update(names)
    assert used == {kind: set(configured) for kind, configured in collector.items()}
    traces = service["pipelines"]["traces"]
    assert (traces["receivers"], traces["exporters"]) == (["otlp"], ["awsxray"])
    # Nobody outside of the task may write to it.
    protocols = collector["receivers"]["otlp"]["protocols"].values()
    assert all(each["endpoint"].startswith("127.0.0.1:") for each in protocols)


@pytest.mark.criterion("R9.6")
def test_a_tag_publishes_both_platforms_by_version_and_as_latest_signed() -> None:
    workflow = read(ROOT / ".github" / "workflows" / "images.yml")
    # YAML 1.1 reads the key `on` as true.
    assert workflow[True] == {"push": {"tags": ["v*.*.*"]}}
    publish = workflow["jobs"]["publish"]
    steps = {step.get("uses", "").partition("@")[0]: step.get("with") for step in publish["steps"]}
    build, tags = steps["docker/build-push-action"], steps["docker/metadata-action"]
    assert build["platforms"] == "linux/amd64,linux/arm64"
    assert (build["push"], build["sbom"], build["provenance"]) == (True, True, "mode=max")
    assert "type=semver,pattern={{version}}" in tags["tags"]
    # The action's own default is what adds `latest` to a version.
    assert "flavor" not in tags
    assert any("cosign sign" in step.get("run", "") for step in publish["steps"])
    assert workflow["permissions"] == {"contents": "read"}


def test_workflows_pin_the_actions_that_they_use() -> None:
    for path in (ROOT / ".github" / "workflows").glob("*.yml"):
        for used in re.findall(r"uses: (.*)", path.read_text("utf-8")):
            assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", used), path


@pytest.mark.criterion("R10.6")
@pytest.mark.parametrize(
    ("service", "operation", "path"),
    [
        ("apprunner", "CreateService", APP_RUNNER / "service.json"),
        ("apprunner", "CreateAutoScalingConfiguration", APP_RUNNER / "auto-scaling.json"),
        ("eks", "CreatePodIdentityAssociation", EKS / "pod-identity.json"),
    ],
    ids=lambda value: value.stem if isinstance(value, Path) else value,
)
def test_the_examples_requests_are_as_aws_defines_them(
    service: str, operation: str, path: Path
) -> None:
    model = botocore.session.get_session().get_service_model(service).operation_model(operation)
    report = botocore.validate.ParamValidator().validate(read(path), model.input_shape)
    assert not report.has_errors(), report.generate_report()


@pytest.mark.criterion("R10.6")
@pytest.mark.parametrize("example", ["eks", "app-runner"])
def test_the_examples_configurations_can_be_served(example: str, tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    if example == "eks":
        config.write_text(read(EKS / "config-map.yaml")["data"]["config.yaml"])
    else:
        config.write_text((APP_RUNNER / "config.yaml").read_text("utf-8"))
        image = read(APP_RUNNER / "service.json")["SourceConfiguration"]["ImageRepository"]
        given = image["ImageConfiguration"]["RuntimeEnvironmentSecrets"]
        assert set(given) == set(SECRET_NAMES)
    done = trunkline("config", "check", str(config), folder=tmp_path, env=SECRET_NAMES)
    assert done.returncode == 0, done.stderr
    assert "2 deployments in 2 model groups, 0 warnings" in done.stdout


@pytest.mark.criterion("R10.6")
def test_what_the_manifests_refer_to_is_there() -> None:
    kustomization = read(EKS / "kustomization.yaml")
    resources = [read(EKS / name) for name in kustomization["resources"]]
    assert {path.name for path in EKS.glob("*.yaml")} == {
        "kustomization.yaml",
        *kustomization["resources"],
    }
    found = {each["kind"]: each for each in resources}
    pod = found["Deployment"]["spec"]["template"]
    selector = found["Deployment"]["spec"]["selector"]["matchLabels"]
    assert selector == pod["metadata"]["labels"] == found["Service"]["spec"]["selector"]
    assert found["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == selector
    (container,) = pod["spec"]["containers"]
    assert container["image"] == kustomization["images"][0]["name"]
    names = {"serviceAccountName": "ServiceAccount"}
    assert all(pod["spec"][key] == found[kind]["metadata"]["name"] for key, kind in names.items())
    config = yaml.safe_load(found["ConfigMap"]["data"]["config.yaml"])
    preparing = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
    drain = config["general_settings"]["drain_seconds"]
    assert preparing + drain < pod["spec"]["terminationGracePeriodSeconds"]
    identity = read(EKS / "pod-identity.json")
    assert identity["serviceAccount"] == found["ServiceAccount"]["metadata"]["name"]
    assert identity["namespace"] == found["Namespace"]["metadata"]["name"]


def test_the_data_directory_is_where_the_image_says(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("model_list: []\n")
    environ = {"TRUNKLINE_DATA_DIRECTORY": "/var/lib/trunkline"}
    assert load(config, environ).general_settings.data_directory == "/var/lib/trunkline"
    config.write_text("general_settings: {data_directory: elsewhere}\n")
    assert load(config, environ).general_settings.data_directory == "elsewhere"
    assert "TRUNKLINE_DATA_DIRECTORY=/var/lib/trunkline" in (ROOT / "ecs/Dockerfile").read_text()


def test_the_image_keeps_every_aws_service_that_is_asked_for() -> None:
    kept = set(_assigned(ROOT / "ecs" / "trim.py", "SERVICES"))
    packages = [ROOT / "trunkline", ROOT / "mlops", Path(litellm.__file__).parent]
    named = {name for package in packages for name in clients(package)}
    assert {"bedrock-runtime", "s3", "sts"} <= named
    assert named - kept == set()
    # By these AWS's library comes by the credentials of roles and of `aws sso login`.
    assert {"sts", "sso", "sso-oidc", "signin"} <= kept


def _assigned(path: Path, name: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == name:
            yield from next(
                each.value for each in ast.walk(node.value) if isinstance(each, ast.Constant)
            ).split()


def clients(package: Path) -> Iterator[str]:
    """Services that the package's code makes clients of."""
    known = set(botocore.session.get_session().get_available_services())
    call = re.compile(r"""\b(?:client|resource)\(\s*(?:service_name=)?["']([a-z0-9-]+)["']""")
    for path in package.rglob("*.py"):
        yield from known & set(call.findall(path.read_text("utf-8")))
