"""What realtime clients ask for over HTTP: secrets for sessions, and sessions over WebRTC.

The model stands in the session that the request describes; for a transcription, in one of its two
places for the model that transcribes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .. import json_text
from ..call import Answer, Deployment, Timeouts, Wire
from ..dataclass import dataclass
from . import failures
from .client import aiohttp
from .realtime import Session, base_of, headers_of
from .secrets import secrets_of

LARGEST_ANSWER = 4 * 1024 * 1024
"""Bytes."""

Fields = dict[str, Any]

_TRANSCRIPTION = "input_audio_transcription"
_RETURNED = ("content-type", "location", "x-request-id", "apim-request-id")


@dataclass(frozen=True, slots=True)
class Form:
    """A multipart body, whose parts are texts: name, content, content type."""

    parts: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True, slots=True)
class Body:
    """A body as it is. kind: its content type."""

    content: bytes
    kind: str = "application/json"


def model_of(session: Mapping[str, Any]) -> Any:
    """The model that a session names; None where it names none."""
    if session.get("type") == "transcription":
        return next(_transcribing(session), session.get("model"))
    return session.get("model")


def with_model(session: Mapping[str, Any] | None, model: str) -> Fields:
    """The session with the provider's name of the model; a plain session where there is none."""
    session = {"type": "realtime", **(session or {})}
    if session["type"] != "transcription":
        return {**session, "model": model}
    session.pop("model", None)
    return (
        transcribed_by(session, model)
        if any(_transcribing(session))
        else {
            **session,
            "audio": _nested(session, {"model": model}),
        }
    )


def transcribed_by(session: Mapping[str, Any], model: str) -> Fields:
    """The session with the provider's name of the model wherever it names who transcribes."""
    changed = dict(session)
    flat, inner = session.get(_TRANSCRIPTION), _inner(session)
    if isinstance(flat, dict):
        changed[_TRANSCRIPTION] = {**flat, "model": model}
    if inner:
        changed["audio"] = _nested(session, {**inner, "model": model})
    return changed


def _transcribing(session: Mapping[str, Any]) -> Iterator[Any]:
    for named in (_inner(session), session.get(_TRANSCRIPTION)):
        if isinstance(named, dict) and named.get("model") is not None:
            yield named["model"]


def _inner(session: Mapping[str, Any]) -> Fields:
    """`audio.input.transcription`, where there is one."""
    found: Any = session
    for name in ("audio", "input", "transcription"):
        found = found.get(name) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}


def _nested(session: Mapping[str, Any], transcription: Fields) -> Fields:
    audio = session.get("audio")
    audio = audio if isinstance(audio, dict) else {}
    inputs = audio.get("input")
    return {
        **audio,
        "input": {**(inputs if isinstance(inputs, dict) else {}), "transcription": transcription},
    }


async def post(
    http: aiohttp.ClientSession,
    deployment: Deployment,
    path: str,
    body: Body | Form,
    timeouts: Timeouts,
    *,
    query: Sequence[tuple[str, str]] = (),
    secret: str = "",
) -> Answer:
    """A deployment's answer. path: below its base URL. secret: its own, in place of our key.

    Raises ProviderError.
    """
    headers = await headers_of(deployment, Session(query, secret=secret))
    data: Any = None
    if isinstance(body, Form):
        data = aiohttp.FormData(default_to_multipart=True)
        for name, content, kind in body.parts:
            data.add_field(name, content, content_type=kind)
    else:
        data = body.content
        headers["content-type"] = body.kind
    try:
        async with (
            asyncio.timeout(timeouts.total),
            http.post(
                f"{base_of(deployment)}{path}",
                params=list(query),
                data=data,
                headers=headers,
                allow_redirects=False,
            ) as response,
        ):
            answered = await _whole(response)
    except TimeoutError:
        raise failures.timed_out(timeouts.total) from None
    except (aiohttp.ClientError, OSError) as error:
        raise failures.unreachable(error) from error
    if response.status >= 300:
        secrets = (*secrets_of(deployment), *filter(None, [secret]))
        raise failures.classify(
            response.status, answered, response.headers, Wire.OPENAI, deployment.provider, secrets
        )
    kept = [(name, response.headers[name]) for name in _RETURNED if name in response.headers]
    return Answer(response.status, kept, answered)


async def _whole(response: aiohttp.ClientResponse) -> bytes:
    content = bytearray()
    async for piece in response.content.iter_any():
        content += piece
        if len(content) > LARGEST_ANSWER:
            raise failures.malformed(f"it is larger than {LARGEST_ANSWER} bytes")
    return bytes(content)


def object_of(answer: Answer) -> Fields:
    """The answer's JSON object. Raises ProviderError."""
    try:
        found = json_text.loads(answer.body)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise failures.malformed("the answer is not a JSON object")
    return found
