"""Sends a request on to a provider, as the row of its prefix says."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterable, Mapping
from urllib.parse import quote

from multidict import CIMultiDict

from ...access.identity import CREDENTIAL_HEADERS
from ...call import Deployment, Headers
from ...errors import ProviderError
from .. import entra, failures
from ..client import aiohttp
from . import aws, exchange, vertex
from .accounts import Account
from .destination import join, with_defaults
from .request import Outgoing
from .table import PassThrough

CONNECT_SECONDS = 10.0

_HOP_BY_HOP = frozenset(
    [
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ]
)
"""RFC 9110, section 7.6.1."""

_OURS = frozenset(
    [*CREDENTIAL_HEADERS, "host", "cookie", "expect", "forwarded", "via", "x-real-ip"]
)
_OUR_PREFIXES = ("x-forwarded-", "x-litellm-", "x-trunkline-", "litellm-", "sec-websocket-")

_NOT_FOR_CLIENTS = frozenset(
    ["server", "date", "set-cookie", "alt-svc", "strict-transport-security", "www-authenticate"]
)
"""Headers of an answer that speak of the provider's server, not of ours."""


def forwarded(headers: Iterable[tuple[str, str]], secret: str | None) -> CIMultiDict[str]:
    """The headers that go on: none that is for us, for one hop only, or that holds our key."""
    pairs = list(headers)
    named = _named_by_connection(pairs)
    kept = CIMultiDict[str]()
    for name, value in pairs:
        if name in _OURS or name in named or name.startswith(_OUR_PREFIXES):
            continue
        if secret and secret in value.split():
            continue
        kept.add(name, value)
    return kept


def returned(response: aiohttp.ClientResponse) -> Headers:
    """The headers of an answer that go back to the client."""
    pairs = [(n.decode("latin-1").lower(), v.decode("latin-1")) for n, v in response.raw_headers]
    named = _named_by_connection(pairs)
    return [(n, v) for n, v in pairs if n not in named and n not in _NOT_FOR_CLIENTS]


def _named_by_connection(pairs: Iterable[tuple[str, str]]) -> set[str]:
    """Names of the headers that are meant for one hop only."""
    named = set(_HOP_BY_HOP)
    for name, value in pairs:
        if name == "connection":
            named.update(each.strip().lower() for each in value.split(","))
    return named


async def send(
    session: aiohttp.ClientSession, request: Outgoing, seconds: float
) -> aiohttp.ClientResponse:
    """The provider's answer, its body still to be read, as it comes off the wire.

    seconds: the longest silence. Raises ProviderError.
    """
    try:
        return await session.request(
            request.method,
            request.url,
            data=request.body or None,
            headers=request.headers,
            skip_auto_headers=("content-type",),
            timeout=aiohttp.ClientTimeout(
                sock_connect=min(CONNECT_SECONDS, seconds), sock_read=seconds
            ),
            allow_redirects=False,
            auto_decompress=False,
        )
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise failure(error, seconds) from error


def failure(error: Exception, seconds: float) -> ProviderError:
    """What broke the exchange with a provider."""
    if isinstance(error, TimeoutError):
        return failures.timed_out(seconds)
    if isinstance(error, aiohttp.ClientPayloadError):
        return failures.cut("the connection broke before the answer was complete")
    return failures.unreachable(error)


async def prepare(
    row: PassThrough,
    request: Outgoing,
    account: Account,
    session: aiohttp.ClientSession,
    environ: Mapping[str, str] = os.environ,
) -> None:
    """Gives a request its URL and our credentials. Raises NoDeployment and ProviderError.

    session: what access tokens are fetched with.
    """
    for name, value in row.headers:
        request.headers.setdefault(name, value)
    request.query = with_defaults(request.query, row.query)
    if row.target:
        aws.name_operation(request, row.target)
    if row.signer == "google":
        vertex.place(request, account.params, environ)
    request.url = join(account.base, request.path, request.query)
    if row.signer == "aws" and not account.key:
        await aws.sign(request, row.service, account.params, environ)
    elif row.signer == "google" and not account.key:
        await vertex.authorize(request, account.params, environ)
    elif row.exchange is not None and not account.authorization:
        request.headers["authorization"] = await exchange.authorization(
            row.exchange, account.key, account.params, environ, session
        )
    elif account.entra:
        token = await entra.authorization(account.entra, account.params)
        request.headers["authorization"] = token
    elif account.key:
        header, form = row.auth
        pair = f"{account.user or account.key}:{account.key if account.user else ''}"
        basic = base64.b64encode(pair.encode()).decode()
        request.headers[header] = form.format(key=account.key, basic=basic)
    if account.authorization:
        request.headers["authorization"] = account.authorization


def name_model(row: PassThrough, path: str, deployment: Deployment) -> str:
    """The path with the deployment's model where the client named its group."""
    found = row.model.search(path) if row.model else None
    if found is None:
        return path
    model = deployment.upstream_model
    if row.signer == "aws":
        model = aws.model_id(model)
    return path[: found.start("model")] + quote(model, safe="") + path[found.end("model") :]


def asked_model(row: PassThrough, path: str) -> str | None:
    """The model that a path names, percent-encoded as it stands there."""
    found = row.model.search(path) if row.model else None
    return found["model"] if found else None
