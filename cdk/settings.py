"""What the stacks are told by the context (`cdk deploy -c profile=prod -c domain=…`), read once.

Every switch has a value for each profile; the context overrides it by name. A value that can't
hold, or a name that is none, is an error that says so, before anything is synthesised.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

Architecture = Literal["arm64", "x86_64"]


class SettingsError(ValueError):
    """The context says what can't be deployed: every problem, a line each."""


@dataclass(frozen=True, slots=True)
class Settings:
    """profile: what the values below are unless the context says otherwise.
    name: what the stacks' names begin with, so that an account can hold several.
    assets: `none` leaves out layers and images, to synthesise without having built them.
    synthesizer: `cli` deploys with the caller's own credentials instead of bootstrapped roles.

    zones: availability zones. nat: how private subnets reach providers outside of AWS: `gateway`
        (one in each zone in prod), `instance` (one small machine), `none` (Bedrock only).
    endpoints: whether AWS's own services are reached by interface endpoints instead of NAT.

    fargate: whether there is a service behind a load balancer; without, Lambda answers all paths
        and streams are buffered. architecture: of functions, tasks and training.
    image, collector_image, training_image: of containers, by URI; what the project's own
        Dockerfiles build, or the published one, where empty.
    cpu, memory: of a task (1024 = 1 vCPU; MiB). tasks_least, tasks_most: how many run.
    calls_in_flight: per task, at which more tasks are started.
    lambda_memory: MiB of the function that answers calls. drain_seconds: as the configuration's.
    idle_seconds: of the load balancer, for answers that are silent.

    redis: whether there is a cache (limits over all tasks, quick reloads). cache_node: its size.
    proxy: whether connections to the database go through RDS Proxy (it keeps Aurora awake).
    database_least, database_most: ACUs; 0 lets it pause. backup_days: how long backups are kept.
    keep: whether data outlives `cdk destroy`.

    domain, certificate: the API's own name and its certificate's ARN (of the same region).
    internal_certificate: of the load balancer; with it, API Gateway reaches it by TLS, as `domain`.
    hosted_zone: id of the Route 53 zone in which the domain is entered.
    rate, burst: requests per second that the API takes in, and at once.
    rate_per_address: requests within five minutes from one address; the firewall blocks more.
    bedrock_models: what the roles may invoke, as resource names (`foundation-model/…`).
    secrets: further names or ARNs in Secrets Manager that the configuration may use.
    configuration: a file that is put into force when nothing is yet.
    public_key: a PEM file; bundles that its key didn't sign are refused.
    canary_share, canary_minutes: of calls that a new bundle decides at first, and for how long.

    training: whether there is a pipeline. training_hour: UTC hour at which it runs each day; -1
        for on demand only. training_instance: of SageMaker. training_least: new records without
        which it isn't worth while.
    alarm_email: who is told. plan_per_day: US dollars that a day's calls may cost, 0 for no plan.
    log_days: how long logs are kept. traces_share: of calls that are traced where API Gateway
        hasn't decided that.
    """

    profile: Literal["dev", "prod"] = "dev"
    name: str = "Trunkline"
    assets: Literal["built", "none"] = "built"
    synthesizer: Literal["bootstrap", "cli"] = "bootstrap"

    zones: int = 2
    nat: Literal["gateway", "instance", "none"] = "gateway"
    endpoints: bool = False

    fargate: bool = True
    architecture: Architecture = "arm64"
    image: str = ""
    collector_image: str = "public.ecr.aws/aws-observability/aws-otel-collector:v0.43.3"
    training_image: str = ""
    cpu: int = 256
    memory: int = 1024
    tasks_least: int = 1
    tasks_most: int = 2
    calls_in_flight: int = 100
    lambda_memory: int = 1024
    drain_seconds: int = 90
    idle_seconds: int = 900

    redis: bool = True
    cache_node: str = "cache.t4g.micro"
    proxy: bool = False
    database_least: float = 0.0
    database_most: float = 2.0
    backup_days: int = 1
    keep: bool = False

    domain: str = ""
    certificate: str = ""
    internal_certificate: str = ""
    hosted_zone: str = ""
    rate: int = 100
    burst: int = 200
    rate_per_address: int = 10_000
    bedrock_models: tuple[str, ...] = (
        "foundation-model/amazon.nova-micro-v1:0",
        "foundation-model/amazon.nova-lite-v1:0",
    )
    secrets: tuple[str, ...] = ()
    configuration: str = "cdk/starting.yaml"
    public_key: str = ""
    canary_share: float = 0.0
    canary_minutes: int = 30

    training: bool = True
    training_hour: int = -1
    training_instance: str = "ml.m5.xlarge"
    training_least: int = 500
    alarm_email: str = ""
    plan_per_day: float = 0.0
    log_days: int = 7
    traces_share: float = 0.05

    @property
    def prod(self) -> bool:
        return self.profile == "prod"


DEV = Settings()
PROD = replace(
    DEV,
    profile="prod",
    zones=3,
    endpoints=True,
    cpu=1024,
    memory=2048,
    tasks_least=2,
    tasks_most=20,
    lambda_memory=2048,
    cache_node="cache.t4g.small",
    proxy=True,
    database_least=0.5,
    database_most=16.0,
    backup_days=14,
    keep=True,
    rate=2_000,
    burst=4_000,
    rate_per_address=100_000,
    canary_share=0.1,
    training_hour=3,
    training_least=2_000,
    log_days=90,
)
PROFILES: Mapping[str, Settings] = {"dev": DEV, "prod": PROD}

LOG_DAYS = (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1827, 3653)
"""What CloudWatch can keep logs for."""

TASK_MEMORY: Mapping[int, range] = {
    256: range(512, 2049, 512),
    512: range(1024, 4097, 1024),
    1024: range(2048, 8193, 1024),
    2048: range(4096, 16385, 1024),
    4096: range(8192, 30721, 1024),
    8192: range(16384, 61441, 4096),
    16384: range(32768, 122881, 8192),
}
"""MiB that Fargate gives with each size of CPU."""

_NAMES = {each.name for each in fields(Settings)}
_TRUE, _FALSE = frozenset({"true", "yes", "1", "on"}), frozenset({"false", "no", "0", "off"})
_NAT = {"true": "gateway", "false": "none"}


def read(context: Mapping[str, Any]) -> Settings:
    """context: names and values as `-c` and cdk.json give them; names of CDK's own are passed over.

    Raises SettingsError.
    """
    own = {name: value for name, value in context.items() if value is not None and _ours(name)}
    problems = [f"{name}: there is no such setting" for name in sorted(own.keys() - _NAMES)]
    profile = str(own.get("profile", "dev"))
    base = PROFILES.get(profile)
    if base is None:
        raise SettingsError(f"profile: {profile} is none of {', '.join(PROFILES)}")
    values: dict[str, Any] = {}
    for name in sorted(own.keys() & _NAMES):
        try:
            values[name] = _value(name, getattr(base, name), own[name])
        except ValueError as error:
            problems.append(f"{name}: {error}")
    settings = replace(base, **values)
    problems += [said for said in (check(settings) for check in _CHECKS) if said]
    if problems:
        raise SettingsError("\n".join(problems))
    return settings


def _ours(name: str) -> bool:
    """Not one of CDK's, which hold a colon, a slash or a dash (`aws:cdk:…`, `cdk-nag`)."""
    return re.fullmatch(r"[a-z_]+", name) is not None


def _value(name: str, usual: Any, given: Any) -> Any:
    """The value as the type of the usual one. Raises ValueError."""
    text = str(given).strip()
    if name == "nat":
        text = _NAT.get(text.lower(), text)
    if isinstance(usual, bool):
        if text.lower() not in _TRUE | _FALSE:
            raise ValueError(f"{text} is neither true nor false")
        return text.lower() in _TRUE
    if isinstance(usual, int | float):
        try:
            return type(usual)(text)
        except ValueError:
            raise ValueError(f"{text} is not a number") from None
    if isinstance(usual, tuple):
        parts = given if isinstance(given, list) else text.split(",")
        return tuple(str(part).strip() for part in parts if str(part).strip())
    words = _WORDS.get(name)
    if words and text not in words:
        raise ValueError(f"{text} is none of {', '.join(words)}")
    return text


_WORDS: Mapping[str, tuple[str, ...]] = {
    "assets": ("built", "none"),
    "synthesizer": ("bootstrap", "cli"),
    "nat": ("gateway", "instance", "none"),
    "architecture": ("arm64", "x86_64"),
}


def _name(settings: Settings) -> str | None:
    if re.fullmatch(r"[A-Za-z][A-Za-z0-9-]{0,31}", settings.name):
        return None
    return "name: takes a letter, then up to 31 letters, digits and dashes"


def _zones(settings: Settings) -> str | None:
    return None if settings.zones in (2, 3) else "zones: Aurora and the load balancer take 2 or 3"


def _task(settings: Settings) -> str | None:
    sizes = TASK_MEMORY.get(settings.cpu)
    if sizes is None:
        return f"cpu: Fargate has {', '.join(map(str, TASK_MEMORY))}"
    if settings.memory not in sizes:
        return f"memory: with cpu={settings.cpu}, Fargate gives {sizes[0]} to {sizes[-1]} MiB"
    return None


def _tasks(settings: Settings) -> str | None:
    if 1 <= settings.tasks_least <= settings.tasks_most:
        return None
    return "tasks_least: must be at least 1, and at most tasks_most"


def _drain(settings: Settings) -> str | None:
    # ECS ends what hasn't ended by itself after 120 s, and the balancer waits as long before.
    return None if 1 <= settings.drain_seconds <= 110 else "drain_seconds: Fargate allows 1 to 110"


def _idle(settings: Settings) -> str | None:
    if 1 <= settings.idle_seconds <= 4000:
        return None
    return "idle_seconds: the load balancer takes 1 to 4000"


def _domain(settings: Settings) -> str | None:
    if bool(settings.domain) != bool(settings.certificate):
        return "domain: needs `certificate`, the ARN of its certificate, and the other way round"
    if (settings.hosted_zone or settings.internal_certificate) and not settings.domain:
        return "hosted_zone and internal_certificate: need `domain`"
    return None


def _certificates(settings: Settings) -> str | None:
    for name in ("certificate", "internal_certificate"):
        given = getattr(settings, name)
        if given and not re.fullmatch(r"arn:[\w-]+:acm:[\w-]+:\d{12}:certificate/[\w-]+", given):
            return f"{name}: must be the ARN of a certificate in ACM"
    return None


def _zone(settings: Settings) -> str | None:
    if not settings.hosted_zone or re.fullmatch(r"Z[A-Z0-9]+", settings.hosted_zone):
        return None
    return "hosted_zone: must be the id of a zone in Route 53, which begins with Z"


def _database(settings: Settings) -> str | None:
    if not 0 <= settings.database_least <= settings.database_most <= 256:
        return "database_least: must be from 0 to database_most, and that at most 256"
    if settings.database_most < 1:
        return "database_most: must be at least 1"
    return None


def _backups(settings: Settings) -> str | None:
    return None if 1 <= settings.backup_days <= 35 else "backup_days: Aurora takes 1 to 35"


def _logs(settings: Settings) -> str | None:
    return None if settings.log_days in LOG_DAYS else f"log_days: one of {LOG_DAYS}"


def _hour(settings: Settings) -> str | None:
    return None if -1 <= settings.training_hour <= 23 else "training_hour: -1, or 0 to 23"


def _shares(settings: Settings) -> str | None:
    for name in ("canary_share", "traces_share"):
        if not 0 <= getattr(settings, name) <= 1:
            return f"{name}: from 0 to 1"
    return None


def _rates(settings: Settings) -> str | None:
    if settings.rate < 1 or settings.burst < 1:
        return "rate and burst: at least 1"
    if not 10 <= settings.rate_per_address <= 2_000_000_000:
        return "rate_per_address: the firewall takes 10 to 2000000000"
    return None


def _unreachable(settings: Settings) -> str | None:
    if settings.nat == "none" and not settings.endpoints:
        return "nat: without NAT, the subnets need `endpoints=true` to reach AWS's services"
    return None


_CHECKS: tuple[Callable[[Settings], str | None], ...] = (
    _name, _zones, _task, _tasks, _drain, _idle, _domain, _certificates, _zone, _database, _backups,
    _logs, _hour, _shares, _rates, _unreachable,
)  # fmt: skip
