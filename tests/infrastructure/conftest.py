"""Deployments, synthesised once each. They need what `make synth` installs."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from .synthesis import Synthesised, synthesised

CERTIFICATE = "arn:aws:acm:eu-west-1:111122223333:certificate/12345678-abcd"
Synthesise = Callable[..., Synthesised]


@pytest.fixture(scope="session")
def synthesise(tmp_path_factory: pytest.TempPathFactory) -> Synthesise:
    """`synthesise(profile="prod")`: the deployment of a context, made once."""
    pytest.importorskip("aws_cdk", reason="make synth runs these")

    @cache
    def made(**context: str) -> Synthesised:
        folder: Path = tmp_path_factory.mktemp("assembly")
        return synthesised(folder, context)

    return made


@pytest.fixture(scope="session")
def prod(synthesise: Synthesise) -> Synthesised:
    return synthesise(
        profile="prod",
        plan_per_day="100",
        domain="ai.example.com",
        certificate=CERTIFICATE,
        hosted_zone="Z0123456789ABC",
        internal_certificate=CERTIFICATE,
    )


@pytest.fixture(scope="session")
def dev(synthesise: Synthesise) -> Synthesised:
    return synthesise(profile="dev")


@pytest.fixture(scope="session")
def lambda_only(synthesise: Synthesise) -> Synthesised:
    return synthesise(
        profile="dev",
        name="Second",
        fargate="false",
        redis="false",
        nat="none",
        endpoints="true",
    )
