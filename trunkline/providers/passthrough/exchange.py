"""Access tokens that a provider gives for a key, kept until shortly before they end."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from typing import Any

from ... import json_text
from ...call import Wire
from ...dataclass import dataclass
from ...errors import ProviderError
from .. import failures
from ..client import aiohttp

MOST_KEPT = 256
EARLY = 60.0
"""Seconds before its end in which a token is fetched anew."""
USUAL_LIFE = 600.0
"""Seconds that a token is kept where its end isn't told."""
SECONDS = 30.0

_MILLISECONDS = 10_000_000_000
"""Ends of tokens above this are told in milliseconds of the epoch."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """Where a key becomes a token, and how.

    url: the server. named: a deployment's parameter, and a variable of the environment, that name
        another.
    form: what is posted; `{key}` and `{scope}` are filled in. headers: the same, with `{uuid}`.
    scope: a parameter and a variable that name the scope, and the usual one.
    token, expires, lasts: the answer's fields: the token, when it ends, for how many seconds it is
        good.
    held: parameters and variables that hold what is sent as it is, each with its scheme.
    """

    url: str
    named: tuple[str, str]
    form: Mapping[str, str]
    headers: Mapping[str, str]
    scope: tuple[str, str, str] = ("", "", "")
    token: tuple[str, ...] = ("access_token",)
    expires: tuple[str, ...] = ()
    lasts: tuple[str, ...] = ()
    held: tuple[tuple[str, str, str], ...] = ()


_kept: dict[tuple[str, ...], tuple[str, float]] = {}


def held(exchange: Exchange, params: Mapping[str, Any], environ: Mapping[str, str]) -> str:
    """The header that needs no exchange; "" where there is none."""
    for parameter, variable, scheme in exchange.held:
        if value := _first(params.get(parameter), environ.get(variable)):
            return f"{scheme} {value}"
    return ""


async def authorization(
    exchange: Exchange,
    key: str,
    params: Mapping[str, Any],
    environ: Mapping[str, str],
    http: aiohttp.ClientSession,
) -> str:
    """The header that a key makes. Raises ProviderError."""
    url = _first(params.get(exchange.named[0]), environ.get(exchange.named[1])) or exchange.url
    parameter, variable, usual = exchange.scope
    scope = _first(params.get(parameter), environ.get(variable)) or usual
    kept = _kept.get((url, key, scope))
    if kept is None or kept[1] <= time.time() + EARLY:
        while len(_kept) >= MOST_KEPT:
            _kept.pop(next(iter(_kept)))
        kept = _kept[url, key, scope] = await _fetch(exchange, url, key, scope, http)
    return f"Bearer {kept[0]}"


async def _fetch(
    exchange: Exchange, url: str, key: str, scope: str, http: aiohttp.ClientSession
) -> tuple[str, float]:
    filled = {"key": key, "scope": scope, "uuid": str(uuid.uuid4())}
    try:
        async with http.post(
            url,
            data={name: value.format_map(filled) for name, value in exchange.form.items()},
            headers={name: value.format_map(filled) for name, value in exchange.headers.items()},
            timeout=aiohttp.ClientTimeout(total=SECONDS),
            allow_redirects=False,
        ) as response:
            body = await response.read()
    except TimeoutError:
        raise failures.timed_out(SECONDS) from None
    except (aiohttp.ClientError, OSError) as error:
        raise failures.unreachable(error) from error
    if response.status >= 300:
        raise failures.classify(response.status, body, response.headers, Wire.OPENAI, "", (key,))
    return _token(exchange, body)


def _token(exchange: Exchange, body: bytes) -> tuple[str, float]:
    try:
        fields = json_text.loads(body)
        token = next(str(fields[name]) for name in exchange.token if fields.get(name))
        until = [float(fields[name]) for name in exchange.expires if fields.get(name)]
        lasts = [time.time() + float(fields[name]) for name in exchange.lasts if fields.get(name)]
    except (ValueError, TypeError, AttributeError, StopIteration):
        raise _unreadable() from None
    end = next(iter((*until, *lasts)), time.time() + USUAL_LIFE)
    return token, end / 1000 if end > _MILLISECONDS else end


def _unreadable() -> ProviderError:
    return failures.malformed("the answer holds no access token")


def _first(*values: Any) -> str:
    return next((str(value) for value in values if value), "")
