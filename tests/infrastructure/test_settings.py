"""What the context may say, and what is told of what it may not."""

from __future__ import annotations

import pytest

from cdk.settings import DEV, PROD, SettingsError, read

CERTIFICATE = "arn:aws:acm:eu-west-1:111122223333:certificate/12345678-abcd"


def test_a_profile_is_changed_value_by_value() -> None:
    assert read({}) == DEV
    assert read({"profile": "prod", "aws:cdk:bundling-stacks": [], "@aws-cdk/x:y": True}) == PROD
    settings = read(
        {
            "profile": "prod",
            "fargate": "false",
            "nat": False,
            "zones": "2",
            "cpu": 2048,
            "memory": "4096",
            "database_least": "1.5",
            "secrets": "one, two",
            "domain": "ai.example.com",
            "certificate": CERTIFICATE,
        }
    )
    assert (settings.fargate, settings.nat, settings.zones) == (False, "none", 2)
    assert (settings.cpu, settings.memory, settings.database_least) == (2048, 4096, 1.5)
    assert settings.secrets == ("one", "two")


@pytest.mark.parametrize(
    ("context", "said"),
    [
        ({"profile": "test"}, "profile: test is none of dev, prod"),
        ({"fargat": "true"}, "fargat: there is no such setting"),
        ({"fargate": "maybe"}, "fargate: maybe is neither true nor false"),
        ({"zones": "many"}, "zones: many is not a number"),
        ({"zones": "4"}, "zones: Aurora and the load balancer take 2 or 3"),
        ({"architecture": "arm"}, "architecture: arm is none of arm64, x86_64"),
        ({"cpu": "300"}, "cpu: Fargate has 256, 512"),
        ({"cpu": "256", "memory": "4096"}, "memory: with cpu=256, Fargate gives 512 to 2048 MiB"),
        ({"tasks_least": "5"}, "tasks_least: must be at least 1, and at most tasks_most"),
        ({"drain_seconds": "300"}, "drain_seconds: Fargate allows 1 to 110"),
        ({"idle_seconds": "5000"}, "idle_seconds: the load balancer takes 1 to 4000"),
        ({"domain": "ai.example.com"}, "domain: needs `certificate`"),
        ({"domain": "a.b", "certificate": "mine"}, "certificate: must be the ARN"),
        ({"hosted_zone": "example.com"}, "hosted_zone: must be the id of a zone in Route 53"),
        ({"hosted_zone": "Z1"}, "hosted_zone and internal_certificate: need `domain`"),
        ({"database_least": "4"}, "database_least: must be from 0 to database_most"),
        ({"backup_days": "0"}, "backup_days: Aurora takes 1 to 35"),
        ({"log_days": "8"}, "log_days: one of"),
        ({"training_hour": "24"}, "training_hour: -1, or 0 to 23"),
        ({"canary_share": "1.5"}, "canary_share: from 0 to 1"),
        ({"traces_share": "-1"}, "traces_share: from 0 to 1"),
        ({"nat": "none"}, "nat: without NAT, the subnets need `endpoints=true`"),
        ({"name": "1"}, "name: takes a letter"),
        ({"rate": "0"}, "rate and burst: at least 1"),
    ],
)
def test_what_cannot_be_deployed_is_told_before_anything_is_made(
    context: dict[str, str], said: str
) -> None:
    with pytest.raises(SettingsError, match=r".") as error:
        read(context)
    assert any(line.startswith(said) for line in str(error.value).splitlines()), error.value


def test_every_problem_is_told_at_once() -> None:
    with pytest.raises(SettingsError) as error:
        read({"zones": "9", "cpu": "1", "nope": "1"})
    assert len(str(error.value).splitlines()) == 3
