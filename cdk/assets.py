"""Where what is deployed comes from: the functions' code, their layers, the images.

With the context `assets=none`, layers and images are left out, so that stacks can be synthesised
and checked without having built anything.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from aws_cdk import aws_ecr_assets as ecr_assets
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from .settings import Settings, SettingsError

ROOT = Path(__file__).parents[1]
FUNCTIONS = ROOT / "functions"
STAGED = ROOT / "build" / "cdk" / "functions"
LAYERS = ROOT / "build" / "layers"
LAYER_NAMES = ("dependencies", "gateway")
NATIVE = "native"
"""What answers OCR and Bedrock's transcriptions: see docs/functions.md."""
RUNTIME = lambda_.Runtime.PYTHON_3_12

PLACEHOLDER = "def handler(event, context):\n    raise NotImplementedError\n"
NO_IMAGE = "none.invalid/trunkline:none"
_LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.pyc", ".*")

_ARCHITECTURES = {
    "arm64": lambda_.Architecture.ARM_64,
    "x86_64": lambda_.Architecture.X86_64,
}
_PLATFORMS = {
    "arm64": ecr_assets.Platform.LINUX_ARM64,
    "x86_64": ecr_assets.Platform.LINUX_AMD64,
}
_CPUS = {
    "arm64": ecs.CpuArchitecture.ARM64,
    "x86_64": ecs.CpuArchitecture.X86_64,
}
_NO_CONTEXT = [
    "*",
    *("!ecs", "!requirements", "!trunkline", "!mlops", "!examples/mlops"),
    *("!pyproject.toml", "!README.md", "!LICENSE"),
    "**/__pycache__",
]
"""All that the Dockerfiles don't copy, so that only what matters makes a new image."""


def architecture(settings: Settings) -> lambda_.Architecture:
    return _ARCHITECTURES[settings.architecture]


def cpu_architecture(settings: Settings) -> ecs.CpuArchitecture:
    return _CPUS[settings.architecture]


def code(name: str, settings: Settings) -> lambda_.Code:
    """`functions/<name>`, in a folder in which it is importable as `functions.<name>`."""
    staged = STAGED / name
    shutil.rmtree(staged, ignore_errors=True)
    target = staged / "functions" / name
    if (FUNCTIONS / name).is_dir():
        shutil.copytree(FUNCTIONS / name, target, ignore=_LEFT_OUT)
    elif settings.assets == "none":
        target.mkdir(parents=True)
        (target / "handler.py").write_text(PLACEHOLDER, "utf-8")
    else:
        raise SettingsError(f"functions/{name} is missing")
    return lambda_.Code.from_asset(str(staged))


def layers(
    scope: Construct, settings: Settings, *, native: bool = False
) -> Sequence[lambda_.ILayerVersion]:
    """What all functions of a stack share. Raises SettingsError where they weren't built."""
    if settings.assets == "none":
        return ()
    names = (*LAYER_NAMES, NATIVE) if native else LAYER_NAMES
    return [_layer(scope, name, settings) for name in names]


def _layer(scope: Construct, name: str, settings: Settings) -> lambda_.ILayerVersion:
    folder = LAYERS / settings.architecture / name
    if not folder.is_dir():
        build = f"python -m layers build --architecture {settings.architecture}"
        raise SettingsError(
            f"{folder.relative_to(ROOT)} is missing: build the layers first, with"
            f" `{build} --output build/layers`"
        )
    return lambda_.LayerVersion(
        scope,
        f"Layer{name.title()}",
        code=lambda_.Code.from_asset(str(folder)),
        compatible_runtimes=[RUNTIME],
        compatible_architectures=[architecture(settings)],
        description=f"Trunkline: {name}",
    )


def gateway_image(scope: Construct, settings: Settings) -> ecs.ContainerImage:
    if settings.image or settings.assets == "none":
        return ecs.ContainerImage.from_registry(settings.image or NO_IMAGE)
    return ecs.ContainerImage.from_docker_image_asset(
        _built(scope, "Image", "ecs/Dockerfile", settings)
    )


def training_image(scope: Construct, settings: Settings) -> str:
    """Its URI. SageMaker trains on x86-64."""
    if settings.training_image or settings.assets == "none":
        return settings.training_image or NO_IMAGE
    return ecr_assets.DockerImageAsset(
        scope,
        "TrainingImage",
        directory=str(ROOT),
        file="examples/mlops/Dockerfile",
        target="training",
        platform=ecr_assets.Platform.LINUX_AMD64,
        exclude=_NO_CONTEXT,
    ).image_uri


def _built(scope: Construct, id: str, file: str, settings: Settings) -> ecr_assets.DockerImageAsset:
    return ecr_assets.DockerImageAsset(
        scope,
        id,
        directory=str(ROOT),
        file=file,
        platform=_PLATFORMS[settings.architecture],
        exclude=_NO_CONTEXT,
    )
