"""Paths that the configuration passes on itself: `general_settings.pass_through_endpoints`.

The keys are LiteLLM's.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping

from multidict import CIMultiDict

from ...dataclass import dataclass
from ...settings.addresses import authorization, without_user
from ...settings.schema import PassThroughEndpoint
from .destination import append, with_defaults
from .request import Outgoing

METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH")

_REFERENCE = re.compile(r"os\.environ/(\w+)")
_CLIENT_PREFIX = "x-pass-"
_ALWAYS_FORWARDED = frozenset(["content-type", "content-encoding", "content-length", "accept"])
_NEVER_SET = frozenset(["authorization", "host", "content-length", "ocp-apim-subscription-key"])
_KEY_HEADER = "litellm_user_api_key"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One path, and where it leads.

    methods: the HTTP methods that it takes.
    subpaths: whether what follows the path goes on too.
    headers: sent with every request. forwards: whether the client's headers go on as well.
    query: parameters sent where the client sends none of the name.
    key_header: a header of the endpoint's own that carries our key; "" for the usual ones.
    timeout: the longest silence in seconds; None for the usual one.
    cost: dollars that each answered request costs; None where that isn't known.
    """

    path: str
    target: str
    methods: frozenset[str]
    subpaths: bool
    auth: bool
    headers: Mapping[str, str]
    forwards: bool
    query: Mapping[str, str]
    key_header: str
    timeout: float | None
    cost: float | None = None

    def rest(self, path: str) -> str | None:
        """What of a path goes on to the target; None where the path is another."""
        if path == self.path:
            return ""
        if self.subpaths and path.startswith(f"{self.path}/"):
            return path[len(self.path) :]
        return None

    def prepare(self, request: Outgoing) -> None:
        """Gives a request the target's URL, and the headers that are to reach it."""
        kept = CIMultiDict[str]()
        for name, value in request.headers.items():
            inner = name.removeprefix(_CLIENT_PREFIX)
            if inner != name:
                if inner not in _NEVER_SET and not inner.startswith("x-amz-"):
                    kept[inner] = value
            elif self.forwards or name in _ALWAYS_FORWARDED:
                kept.add(name, value)
        kept.update(self.headers)
        request.headers = kept
        query = with_defaults(request.query, self.query.items())
        request.url = append(self.target, request.path, query)


def endpoints_of(
    configured: Iterable[PassThroughEndpoint], environ: Mapping[str, str]
) -> tuple[Endpoint, ...]:
    """The configured endpoints, the longest path first."""
    found = [_endpoint(entry, environ) for entry in configured]
    return tuple(sorted(found, key=lambda each: len(each.path), reverse=True))


def _endpoint(entry: PassThroughEndpoint, environ: Mapping[str, str]) -> Endpoint:
    headers = dict(entry.headers)
    key_header = headers.pop(_KEY_HEADER, "")
    return Endpoint(
        path="/" + entry.path.strip("/"),
        target=without_user(entry.target),
        methods=frozenset(method.upper() for method in entry.methods or METHODS),
        subpaths=entry.include_subpath,
        auth=entry.auth,
        headers={**_of_user(entry.target), **_headers(headers, environ)},
        forwards=entry.forward_headers,
        query=entry.default_query_params,
        key_header=key_header.lower(),
        timeout=entry.timeout,
        cost=entry.cost_per_request,
    )


def _of_user(target: str) -> dict[str, str]:
    """The header that a target's user and password make."""
    header = authorization(target)
    return {"authorization": header} if header else {}


def _headers(headers: Mapping[str, str], environ: Mapping[str, str]) -> dict[str, str]:
    """Headers with their references to the environment resolved, wherever in the value they are.

    Langfuse's two keys make one header of basic authentication, as in LiteLLM.
    """
    filled = {
        name: _REFERENCE.sub(lambda found: environ.get(found[1], ""), value)
        for name, value in headers.items()
    }
    public, secret = filled.pop("LANGFUSE_PUBLIC_KEY", ""), filled.pop("LANGFUSE_SECRET_KEY", "")
    if public or secret:
        pair = base64.b64encode(f"{public}:{secret}".encode()).decode()
        filled["authorization"] = f"Basic {pair}"
    return filled
