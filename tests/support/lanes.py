"""Calls for lanes as the gateway would make them, and what came back."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import Any, Protocol

from tests.fakes import FakeProvider
from trunkline.call import Answer, Call, Deployment, Operation, Timeouts, Upload
from trunkline.operations import OPERATIONS

BY_NAME: dict[str, Operation] = {operation.name: operation for operation in OPERATIONS}

KEY = "sk-testing-Zx81Kq92Lm73"
"""The key of every deployment; no error may show it."""


class Lane(Protocol):
    async def send(self, call: Call, deployment: Deployment, timeouts: Timeouts) -> Answer: ...


def deployment(model: str, **params: Any) -> Deployment:
    """A deployment of a model that is written with its provider: `openai/gpt-4o`."""
    provider, _, name = model.partition("/")
    return Deployment("d1", "group", model, provider, name, {"model": model, **params}, {})


def call(
    operation: str,
    body: dict[str, Any] | None = None,
    *,
    stream: bool = False,
    uploads: tuple[Upload, ...] = (),
    path: dict[str, str] | None = None,
    query: dict[str, str] | None = None,
    headers: dict[str, str] | None = None,
    group: str = "group",
) -> Call:
    body = dict(body or {})
    if stream and operation != "stream_generate_content":
        body["stream"] = True
    return Call(
        "call-1",
        BY_NAME[operation],
        group,
        body,
        time.monotonic(),
        uploads=uploads,
        path=path or {},
        query=list((query or {}).items()),
        headers=headers or {},
        stream=stream,
    )


@dataclass
class Got:
    """What a lane answered, read to its end."""

    call: Call
    answer: Answer
    chunks: list[bytes] = field(default_factory=list)

    @property
    def content(self) -> bytes:
        return b"".join(self.chunks) if self.answer.chunks is not None else self.answer.body

    @property
    def json(self) -> Any:
        return json.loads(self.content)

    @property
    def events(self) -> list[Any]:
        """The decoded payloads of a stream, without `[DONE]`."""
        payloads = [
            line[6:] for line in self.content.decode().splitlines() if line.startswith("data: ")
        ]
        return [json.loads(payload) for payload in payloads if payload != "[DONE]"]

    @property
    def content_type(self) -> str:
        return dict(self.answer.headers)["content-type"]

    @property
    def tokens(self) -> tuple[int | None, int | None]:
        return self.call.usage.input_tokens, self.call.usage.output_tokens


async def ask(
    lane: Lane, asked: Call, target: Deployment, *, total: float = 60, idle: float = 60
) -> Got:
    """The lane's answer, read to its end."""
    answer = await lane.send(asked, target, Timeouts(total, idle))
    got = Got(asked, answer)
    if answer.chunks is not None:
        async for chunk in answer.chunks:
            got.chunks.append(chunk)
    return got


def said(fake: FakeProvider) -> int:
    """How many requests a provider got."""
    return len(fake.requests)
