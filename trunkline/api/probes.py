"""The smallest call that shows whether a deployment works, by the mode of its model.

Modes whose smallest call costs real money, or that need more than a text, are called only where
`model_info` has a `health_check_*` key, as LiteLLM names them.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

from ..call import Call, Deployment, Operation, Timeouts
from ..dataclass import dataclass
from ..errors import GatewayError
from ..gateway import Serving
from ..live.deployments import with_model
from ..operations import OPERATIONS
from ..providers import failures
from ..settings.wildcards import WILDCARD

SECONDS = 60.0
"""LiteLLM's default for `model_info.health_check_timeout`."""

_BY_NAME: Mapping[str, Operation] = {operation.name: operation for operation in OPERATIONS}
_SAY = [{"role": "user", "content": "x"}]
_REASONING_TOKENS = 16
"""Models that reason refuse to end before they have said anything."""


@dataclass(frozen=True, slots=True)
class Probe:
    """A smallest call. tokens: the field that limits its answer.

    free: whether it may be sent without being asked for.
    """

    operation: Operation
    body: Mapping[str, Any]
    tokens: str = ""
    free: bool = True


PROBES: Mapping[str, Probe] = {
    "chat": Probe(_BY_NAME["chat"], {"messages": _SAY}, "max_tokens"),
    "completion": Probe(_BY_NAME["completions"], {"prompt": "x"}, "max_tokens"),
    "embedding": Probe(_BY_NAME["embeddings"], {"input": "x"}),
    "responses": Probe(_BY_NAME["responses"], {"input": "x"}, "max_output_tokens"),
    "anthropic_messages": Probe(_BY_NAME["messages"], {"messages": _SAY}, "max_tokens"),
    "rerank": Probe(_BY_NAME["rerank"], {"query": "x", "documents": ["x"]}),
    "moderation": Probe(_BY_NAME["moderations"], {"input": "x"}),
    "audio_speech": Probe(_BY_NAME["speech"], {"input": "x"}, free=False),
    "image_generation": Probe(_BY_NAME["images.generate"], {"prompt": "x"}, free=False),
    "video_generation": Probe(_BY_NAME["videos.create"], {"prompt": "x"}, free=False),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """What a probe found. healthy: None where it wasn't sent; `reason` says why.

    headers: the answer's.
    """

    deployment: Deployment
    mode: str
    healthy: bool | None
    reason: str = ""
    status: int | None = None
    headers: tuple[tuple[str, str], ...] = ()


async def probe(serving: Serving, deployment: Deployment) -> Finding:
    """Sends a deployment its smallest call, past the router: nothing is learned from it."""
    info = deployment.info
    mode = str(info.get("mode") or serving.snapshot.facts_of(deployment).get("mode") or "chat")
    if deployment.missing:
        names = ", ".join(deployment.missing)
        return Finding(deployment, mode, False, f"not set in the environment: {names}")
    asked = any(str(name).startswith("health_check_") for name in info)
    found = PROBES.get(mode)
    if found is None or not (found.free or asked):
        return Finding(deployment, mode, None, f"models of the mode {mode} are not called")
    if info.get("health_check_model"):
        deployment = with_model(deployment, str(info["health_check_model"]), lambda name: None)
    if WILDCARD in deployment.model:
        return Finding(deployment, mode, None, "a wildcard needs model_info.health_check_model")
    seconds = float(info.get("health_check_timeout") or SECONDS)
    call = _call(found, deployment, reasons=_reasons(serving, deployment))
    try:
        async with asyncio.timeout(seconds):
            lane = serving.lanes.lane(call, deployment)
            answer = await lane.send(call, deployment, Timeouts(seconds, seconds))
            if answer.chunks is not None:
                await _end(answer.chunks)
    except TimeoutError:
        late = failures.timed_out(seconds)
        return Finding(deployment, mode, False, late.message, late.status)
    except GatewayError as error:
        return Finding(deployment, mode, False, error.message, error.status)
    return Finding(deployment, mode, True, headers=tuple(answer.headers))


async def _end(chunks: AsyncIterator[bytes]) -> None:
    await anext(chunks, None)
    close = getattr(chunks, "aclose", None)
    if close is not None:
        await close()


def _call(found: Probe, deployment: Deployment, *, reasons: bool) -> Call:
    info = deployment.info
    body = {**found.body, "model": deployment.group}
    if found.tokens:
        usual = _REASONING_TOKENS if reasons else 1
        body[found.tokens] = int(info.get("health_check_max_tokens") or usual)
    if found.operation.name == "speech":
        body["voice"] = info.get("health_check_voice") or "alloy"
    if info.get("health_check_reasoning_effort") is not None:
        body["reasoning_effort"] = info["health_check_reasoning_effort"]
    body |= info.get("health_check_params") or {}
    return Call(
        id=os.urandom(16).hex(),
        operation=found.operation,
        group=deployment.group,
        body=body,
        started=time.monotonic(),
    )


def _reasons(serving: Serving, deployment: Deployment) -> bool:
    return serving.snapshot.facts_of(deployment).get("supports_reasoning") is True
