"""Failures of providers as `ProviderError`: one classification for both lanes.

`classify` reads an HTTP answer, or an error event inside a stream. A name that the provider gave
to the failure decides before its status does; its words decide last, and only what neither name
nor status tells: a prompt that is too long, or that breaks the provider's content policy.
"""

from __future__ import annotations

import math
import os
import socket
import ssl
import time
from collections.abc import Iterable, Mapping
from email.utils import parsedate_to_datetime

from ..call import Wire
from ..errors import ErrorKind, ProviderError
from ..redaction import bounded, redact, redact_value
from .error_bodies import ErrorBody, phrase, read
from .failure_tables import (
    ANSWERS,
    BAD_KEY,
    CODES,
    NAMES,
    NAMES_WITHOUT_STATUS,
    NO_MODEL,
    NOT_TOO_LONG,
    PROVIDER_STATUSES,
    REFUSED,
    STATUSES,
    TOO_LONG,
    WAIT,
)

__all__ = [
    "classify",
    "cut",
    "failure",
    "malformed",
    "redact",
    "retry_after",
    "timed_out",
    "unreachable",
]

LONGEST_MESSAGE = 2_000
LONGEST_WAIT = 86_400.0
"""Characters of a message; seconds that a provider may ask us to wait."""

_KEPT_HEADERS = ("retry-after", "retry-after-ms", "x-request-id", "request-id", "x-should-retry")
_KEPT_PREFIXES = ("x-ratelimit-", "anthropic-ratelimit-")


def classify(
    status: int,
    body: bytes,
    headers: Mapping[str, str],
    wire: Wire,
    provider: str,
    secrets: Iterable[str] = (),
) -> ProviderError:
    """The error that an answer reports. Never raises, whatever the bytes.

    status: the answer's HTTP status; below 400 for an error event inside a stream. One that is none
        of HTTP's errors is not passed on.
    headers: the answer's, names in any case.
    wire: what the provider speaks: `detail` is set when the body holds an error of its shape.
    provider: LiteLLM's name for it.
    secrets: values that may not stand in the error, besides all that looks like a key.
    """
    lower = {name.lower(): value for name, value in headers.items()}
    said = read(body, lower)
    kind = _kind(status, said, provider)
    if not 400 <= status < 600:
        status = said.status or ANSWERS[kind][0]
    message = bounded(said.message, LONGEST_MESSAGE, secrets)
    known = CODES.get(kind)
    return ProviderError(
        kind,
        message or f"{provider or 'the provider'} answered {phrase(status)} without a message",
        status=status,
        type=bounded(said.type or ANSWERS[kind][1], 200, secrets),
        param=said.param and bounded(said.param, 200, secrets),
        code=bounded(said.code, 200, secrets) if said.code else known,
        retry_after=retry_after(lower, said, now=time.time()),
        detail=_detail(said, wire, secrets),
        headers=_kept(lower, secrets),
    )


def timed_out(seconds: float) -> ProviderError:
    """The provider was silent for longer than it may be."""
    return failure(ErrorKind.TIMEOUT, f"the provider did not answer within {seconds:g} seconds")


def unreachable(exception: BaseException) -> ProviderError:
    """No connection came about, or it broke before an answer.

    Only the class of the failure is told: an exception's text holds addresses and sometimes keys.
    """
    return failure(ErrorKind.CONNECTION, f"the provider could not be reached: {_reason(exception)}")


def malformed(reason: str) -> ProviderError:
    """The provider answered something that is not of its API."""
    return failure(ErrorKind.MALFORMED, f"the provider's answer could not be read: {reason}")


def cut(reason: str) -> ProviderError:
    """The provider began to answer and stopped."""
    return failure(ErrorKind.CONNECTION, f"the provider broke off its answer: {reason}")


def failure(kind: ErrorKind, message: str, *, status: int | None = None) -> ProviderError:
    """A failure that no provider worded. status: None for the one that goes with the kind."""
    usual, type_ = ANSWERS[kind]
    message = bounded(message, LONGEST_MESSAGE)
    code = CODES.get(kind, kind.value)
    return ProviderError(kind, message, status=status or usual, type=type_, code=code)


def _kind(status: int, said: ErrorBody, provider: str) -> ErrorKind:
    kind = next((NAMES[name] for name in said.codes if name in NAMES), None)
    kind = kind or PROVIDER_STATUSES.get((provider, status))
    if kind is None and status < 400:
        named = (NAMES_WITHOUT_STATUS.get(name) for name in said.codes)
        kind = next(filter(None, named), None)
        status = said.status or 500
    if kind is None:
        kind = STATUSES.get(status)
    if kind is None:
        kind = ErrorKind.INTERNAL if status >= 500 else ErrorKind.BAD_REQUEST
    return _by_words(kind, said)


def _by_words(kind: ErrorKind, said: ErrorBody) -> ErrorKind:
    words = said.message[:4_000]
    if kind in {ErrorKind.BAD_REQUEST, ErrorKind.INTERNAL, ErrorKind.PERMISSION}:
        if REFUSED.search(words):
            return ErrorKind.CONTENT_POLICY
        if kind is not ErrorKind.PERMISSION and TOO_LONG.search(words):
            codes = " ".join(said.codes)
            excluded = NOT_TOO_LONG.search(codes) or NOT_TOO_LONG.search(words)
            return kind if excluded else ErrorKind.CONTEXT_WINDOW
    if kind is ErrorKind.BAD_REQUEST and BAD_KEY.search(words):
        return ErrorKind.AUTHENTICATION
    if kind is ErrorKind.BAD_REQUEST and NO_MODEL.search(words):
        return ErrorKind.NOT_FOUND
    return kind


def retry_after(headers: Mapping[str, str], said: ErrorBody, *, now: float) -> float | None:
    """Seconds after which the provider wants to be asked again; None where it says nothing.

    headers: names in lower case. now: seconds since the epoch, for a `Retry-After` that is a date.
    """
    milliseconds = _seconds(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    stated = headers.get("retry-after")
    if stated is not None:
        given = [_seconds(part) for part in stated.split(",")]  # a proxy may have added its own
        waits = [seconds for seconds in given if seconds is not None]
        return max(waits) if waits else _until(stated, now)
    return _stated_in_body(said)


def _stated_in_body(said: ErrorBody) -> float | None:
    details = said.error.get("details") if said.error else None
    for item in details if isinstance(details, list) else ():
        delay = item.get("retryDelay") if isinstance(item, dict) else None
        if isinstance(delay, str) and delay.endswith("s"):
            return _seconds(delay[:-1])
    found = WAIT.search(said.message[:4_000])
    if not found:
        return None
    minutes, number, unit = found.groups()
    seconds = float(number) / (1000 if unit.lower() == "ms" else 1) + 60 * int(minutes or 0)
    return min(seconds, LONGEST_WAIT)


def _seconds(value: str | None) -> float | None:
    try:
        seconds = float(value) if value is not None else math.nan
    except ValueError:
        return None
    return min(seconds, LONGEST_WAIT) if seconds >= 0 else None


def _until(date: str, now: float) -> float | None:
    try:
        return min(max(parsedate_to_datetime(date).timestamp() - now, 0.0), LONGEST_WAIT)
    except (ValueError, TypeError, OverflowError, IndexError, OSError):
        return None


def _detail(said: ErrorBody, wire: Wire, secrets: Iterable[str]) -> Mapping[str, object] | None:
    """The provider's error object, when it has the shape that clients of the wire know."""
    error = said.error
    required = {"type", "message"} if wire is Wire.ANTHROPIC else {"message"}
    if error is None or not required <= error.keys():
        return None
    if wire is Wire.GOOGLE and "status" not in error:
        return None
    redacted: Mapping[str, object] = redact_value(error, secrets)
    return redacted


def _kept(headers: Mapping[str, str], secrets: Iterable[str]) -> tuple[tuple[str, str], ...]:
    return tuple(
        (name, bounded(value, 200, secrets))
        for name, value in headers.items()
        if name in _KEPT_HEADERS or name.startswith(_KEPT_PREFIXES)
    )


def _reason(exception: BaseException) -> str:
    cause = getattr(exception, "os_error", None) or exception
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"its certificate was refused: {getattr(cause, 'verify_message', 'not valid')}"
    if isinstance(cause, socket.gaierror):
        return "its name could not be resolved"
    if isinstance(cause, OSError) and isinstance(cause.errno, int) and cause.errno > 0:
        return os.strerror(cause.errno)
    return type(cause).__name__
