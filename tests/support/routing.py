"""Deployments, calls and a clock for tests of the routing, without a configuration file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from trunkline.call import Attempt, Call, Deployment, Usage
from trunkline.errors import ErrorKind, ProviderError
from trunkline.operations import OPERATIONS
from trunkline.routing.candidate import Facts
from trunkline.routing.health import Health
from trunkline.routing.router import Router, build_router
from trunkline.settings.schema import Settings

CHAT = next(operation for operation in OPERATIONS if operation.name == "chat")

STATUSES = {
    ErrorKind.BAD_REQUEST: 400,
    ErrorKind.CONTEXT_WINDOW: 400,
    ErrorKind.CONTENT_POLICY: 400,
    ErrorKind.AUTHENTICATION: 401,
    ErrorKind.PERMISSION: 403,
    ErrorKind.NOT_FOUND: 404,
    ErrorKind.TIMEOUT: 408,
    ErrorKind.RATE_LIMIT: 429,
    ErrorKind.INTERNAL: 500,
    ErrorKind.MALFORMED: 502,
    ErrorKind.UNAVAILABLE: 503,
    ErrorKind.CONNECTION: 503,
}


class Clock:
    """Time that passes when a test says so. It begins at the start of a minute."""

    def __init__(self, now: float = 6000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def deployment(name: str, *, group: str = "group", **fields: Any) -> Deployment:
    """A deployment with the id `name`; `fields` as in `Deployment`."""
    model = fields.pop("model", f"openai/{name}")
    return Deployment(
        id=name,
        group=group,
        model=model,
        provider=model.split("/")[0],
        upstream_model=model.split("/")[-1],
        params={"model": model, **fields.pop("params", {})},
        info={"id": name, **fields.pop("info", {})},
        **fields,
    )


def call(text: str = "", *, body: Mapping[str, Any] | None = None, **fields: Any) -> Call:
    """A chat call of one message, or with the given body."""
    if body is None:
        body = {"messages": [{"role": "user", "content": text}]} if text else {}
    return Call(
        id="call",
        operation=fields.pop("operation", CHAT),
        group=fields.pop("group", "group"),
        body=dict(body),
        raw=json.dumps(body).encode(),
        started=0.0,
        **fields,
    )


def failure(kind: ErrorKind, *, status: int | None = None, **fields: Any) -> ProviderError:
    return ProviderError(kind, "the provider failed", status=status or STATUSES[kind], **fields)


def settings(
    router: Mapping[str, Any] | None = None, litellm: Mapping[str, Any] | None = None
) -> Settings:
    """A configuration with these `router_settings` and `litellm_settings`."""
    return Settings.model_validate(
        {"router_settings": dict(router or {}), "litellm_settings": dict(litellm or {})}
    )


def router(
    deployments: Sequence[Deployment],
    strategy: str = "simple-shuffle",
    args: Mapping[str, Any] | None = None,
    *,
    seed: int = 1,
    clock: Clock | None = None,
    health: Health | None = None,
    facts: Facts = lambda deployment: {},
    **configuration: Any,
) -> Router:
    """A router over the deployments, under `router_settings` as given.

    `litellm_settings` is the section of that name.
    """
    strategy = configuration.pop("routing_strategy", strategy)
    described = {"routing_strategy": strategy, "routing_strategy_args": dict(args or {})}
    shared = configuration.pop("litellm_settings", {})
    return build_router(
        settings(described | configuration.pop("router_settings", configuration), shared),
        Known(tuple(deployments), facts),
        Health(clock or Clock()) if health is None else health,
        Random(seed),
    )


@dataclass(frozen=True)
class Known:
    """What the router knows of a snapshot."""

    everything: tuple[Deployment, ...]
    facts: Facts
    routing_groups: Mapping[str, tuple[Deployment, ...]] = field(default_factory=dict)

    def facts_of(self, of: Deployment) -> Mapping[str, Any]:
        return {**self.facts(of), **of.info}


def answer(
    over: Router,
    of: Deployment,
    request: Call,
    *,
    seconds: float = 1.0,
    first_chunk: float | None = None,
    tokens: tuple[int, int] = (0, 0),
) -> None:
    """The deployment answers a call with so many tokens in and out."""
    over.started(of, request)
    usage = Usage(input_tokens=tokens[0], output_tokens=tokens[1])
    over.succeeded(of, request, seconds=seconds, first_chunk=first_chunk, usage=usage)


def fail(
    over: Router, of: Deployment, request: Call, error: ProviderError, seconds: float = 1.0
) -> None:
    """The deployment fails a call."""
    over.started(of, request)
    request.attempts.append(Attempt(of, 0.0, ended=seconds, error=error))
    over.failed(of, request, error, seconds=seconds)
