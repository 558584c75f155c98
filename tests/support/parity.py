"""Sends the same call through both lanes and tells in what the requests to the provider differ.

What is taken for the same, and why, stands in the tables here; everything else is a difference.
"""

from __future__ import annotations

import asyncio
import copy
import io
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import yaml
from starlette.datastructures import Headers, UploadFile

from tests.fakes import FakeProvider, Recorded
from trunkline.api.multipart import NO_FORM, Form, form_of
from trunkline.api.requests import read_call
from trunkline.call import Call, Deployment, Operation, Timeouts
from trunkline.deadline import Alarms
from trunkline.errors import ProviderError
from trunkline.live.snapshot import build_snapshot
from trunkline.operations import OPERATIONS
from trunkline.providers.direct import DirectLane
from trunkline.providers.litellm_lane import LitellmLane
from trunkline.settings import load

BY_NAME = {operation.name: operation for operation in OPERATIONS}

COMPARED_HEADERS = (
    "authorization",
    "api-key",
    "x-api-key",
    "x-goog-api-key",
    "anthropic-version",
    "anthropic-beta",
    "openai-organization",
    "openai-project",
    "openai-beta",
)

UNKNOWN_MODEL = "my-own"

LOST: Mapping[str, frozenset[str]] = {
    "chat": frozenset({"user", "metadata", "prompt_cache_retention"}),
    "responses": frozenset({"conversation", "foo", "prompt_cache_retention"}),
    "speech": frozenset({"foo", "stream_format"}),
    "moderations": frozenset({"foo"}),
    "messages": frozenset({"foo", "service_tier"}),
    "generate_content": frozenset({"foo"}),
    "stream_generate_content": frozenset({"foo"}),
}
"""Fields that LiteLLM leaves out though the provider knows them, or though nobody can know whether
it does (`foo`). The direct lane hands them on."""

LOST_FOR_UNKNOWN_MODELS: Mapping[str, frozenset[str]] = {"responses": frozenset({"stream"})}
"""LiteLLM pretends to stream the responses of models that it doesn't know."""

ADDED: Mapping[str, Mapping[str, Any]] = {
    "embeddings": {"encoding_format": "base64"},  # OpenAI's SDK, which decodes it again
    "messages": {"stream": False},
    "generate_content": {"generationConfig": {}, "model": ...},
    "stream_generate_content": {"generationConfig": {}, "model": ...},
    "images.generate": {"model": ...},  # Azure has it in the path
    "images.edit": {"model": ...},
    "images.vary": {"model": ...},
    "transcriptions": {"response_format": "verbose_json"},  # LiteLLM learns the duration from it
    "threads.runs.create": {"stream": False},
}
"""Fields that only one lane sends and that say what the provider assumes anyhow. `...` is any
value."""

REFUSED = "can't be streamed through LiteLLM"

BETAS = frozenset({"token-counting-2024-11-01"})
"""Betas that are over: the provider ignores the header."""


class Lanes:
    """Both lanes, over one connection pool."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self.direct = DirectLane(session, Alarms(asyncio.get_running_loop()))
        self.litellm = LitellmLane()


@dataclass(frozen=True)
class Request:
    """What a client asks."""

    operation: Operation
    body: Mapping[str, Any] | None = None
    form: Sequence[tuple[str, Any]] = ()
    path: Mapping[str, str] | None = None
    query: str = ""

    def call(self) -> Call:
        form = _form(self.form) if self.form else NO_FORM
        raw = orjson.dumps(self.body) if self.body is not None else b""
        path, query = self.path or {}, self.query.encode()
        return read_call("c", time.monotonic(), self.operation, path, query, {}, raw, form)


def request(operation: str, body: Mapping[str, Any] | None = None, **more: Any) -> Request:
    return Request(BY_NAME[operation], body, **more)


def deployment(folder: Path, **params: Any) -> Deployment:
    """The deployment of a configuration with one entry, in the group "d"."""
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump({"model_list": [{"model_name": "d", "litellm_params": params}]}))
    return build_snapshot(load(path, {}), version=1).deployments[0]


async def differences(
    lanes: Lanes, fake: FakeProvider, target: Deployment, asked: Request
) -> list[str] | None:
    """In what the lanes' requests differ; None where the call doesn't go directly.

    Nothing differs from what the litellm lane refuses because LiteLLM can't do it.
    """
    if not lanes.direct.takes(asked.call(), target):
        return None
    direct = await _sent(lanes.direct, fake, target, asked)
    through = await _sent(lanes.litellm, fake, target, asked)
    if isinstance(direct, dict) and isinstance(through, str) and REFUSED in through:
        return []
    if isinstance(through, str) or isinstance(direct, str):
        return [f"direct sends {direct!r}, LiteLLM {through!r}"]
    name = asked.operation.name
    lost = LOST.get(name, frozenset())
    if target.upstream_model == UNKNOWN_MODEL:
        lost |= LOST_FOR_UNKNOWN_MODELS.get(name, frozenset())
    return _differing(_normal(direct, name, lost), _normal(through, name, lost))


async def _sent(
    lane: Any, fake: FakeProvider, target: Deployment, asked: Request
) -> dict[str, Any] | str:
    """The first request that reached the provider, or why none did."""
    fake.requests.clear()
    why = ""
    try:
        answer = await lane.send(asked.call(), target, Timeouts(30, 30))
        await _exhaust(answer.chunks)
    except ProviderError as error:
        why = error.message
    return _seen(fake.requests[0]) if fake.requests else f"nothing: {why}"


async def _exhaust(chunks: AsyncIterator[bytes] | None) -> None:
    if chunks is not None:
        async for _ in chunks:
            await asyncio.sleep(0)


def _seen(recorded: Recorded) -> dict[str, Any]:
    return {
        "method": recorded.method,
        "path": recorded.path,
        "query": sorted(recorded.query),
        "headers": {n: v for n, v in recorded.headers.items() if n in COMPARED_HEADERS},
        "body": _body(recorded),
    }


def _body(recorded: Recorded) -> Any:
    if recorded.content_type == "multipart/form-data":
        fields = {name.removesuffix("[]"): value for name, value in recorded.form.items()}
        files = sorted(
            (part.name.removesuffix("[]"), part.content_type, part.body) for part in recorded.files
        )
        return fields | {"files": files}
    return orjson.loads(recorded.body) if recorded.body else {}


def _normal(seen: dict[str, Any], operation: str, lost: frozenset[str]) -> dict[str, Any]:
    """What was seen, without what makes no difference."""
    body = _without_nulls(seen["body"])
    for name in lost:
        body.pop(name, None)
    for name, value in ADDED.get(operation, {}).items():
        if value is ... or body.get(name) == value:
            body.pop(name, None)
    headers = {name: value for name, value in seen["headers"].items() if value not in BETAS}
    # A client that doesn't ask for events gets an array; LiteLLM asks for events always.
    query = [pair for pair in seen["query"] if pair != ("alt", "sse")]
    return {**seen, "body": body, "headers": headers, "query": query}


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nulls(held) for name, held in value.items() if held is not None}
    if isinstance(value, list):
        return [_without_nulls(held) for held in value]
    return value


def _differing(direct: Any, through: Any, where: str = "") -> list[str]:
    if isinstance(direct, dict) and isinstance(through, dict):
        found: list[str] = []
        for name in sorted(direct.keys() | through.keys()):
            found += _differing(direct.get(name), through.get(name), f"{where}.{name}")
        return found
    if direct == through:
        return []
    return [f"{where[1:]}: direct {direct!r:.200}, LiteLLM {through!r:.200}"]


def _form(parts: Sequence[tuple[str, Any]]) -> Form:
    return form_of(
        (name, copy.copy(value) if isinstance(value, str) else _file(*value))
        for name, value in parts
    )


def _file(filename: str, content: bytes, kind: str) -> UploadFile:
    headers = Headers({"content-type": kind})
    return UploadFile(io.BytesIO(content), filename=filename, headers=headers)
