"""What a request that is passed on says: where it goes, whose key it carries, whom it asks."""

from __future__ import annotations

import base64
import binascii
import os
import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, unquote

from ..access.identity import ANONYMOUS, Principal, credential
from ..access.roles import ADMINS, names_route
from ..call import Deployment, Wire
from ..dataclass import dataclass
from ..errors import MethodNotAllowed, NotFound, PermissionDenied
from ..gateway import Gateway
from ..live.snapshot import Snapshot
from ..providers.environment import ENVIRON
from ..providers.passthrough.accounts import Account, account_of, first_account, lends
from ..providers.passthrough.destination import checked, filtered
from ..providers.passthrough.endpoints import Endpoint, endpoints_of
from ..providers.passthrough.request import Outgoing
from ..providers.passthrough.send import asked_model, forwarded, name_model
from ..providers.passthrough.table import BY_PREFIX, PassThrough
from .http import Scope, header_map
from .relay import Upload

_AWS_KEY = re.compile(r"AWS4-HMAC-SHA256 Credential=([^/,\s]+)/")


@dataclass(frozen=True, slots=True)
class Match:
    """Where a request goes on to. path: what goes on of its path."""

    target: PassThrough | Endpoint
    path: str

    @property
    def wire(self) -> Wire:
        return self.target.wire if isinstance(self.target, PassThrough) else Wire.OPENAI


class Ways:
    """Finds where requests go on to."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._endpoints: tuple[Endpoint, ...] = ()
        self._of: Snapshot | None = None

    def match(self, scope: Scope) -> Match | None:
        """Where a request goes on to; None where it isn't passed on."""
        path = raw_path(scope)
        for endpoint in self._configured():
            rest = endpoint.rest(path)
            if rest is not None:
                return Match(endpoint, rest)
        prefix, slash, rest = path[1:].partition("/")
        row = BY_PREFIX.get(prefix)
        return Match(row, slash + rest) if row else None

    def _configured(self) -> tuple[Endpoint, ...]:
        snapshot = self._gateway.serving.snapshot
        if snapshot is not self._of:
            configured = snapshot.settings.general_settings.pass_through_endpoints
            self._endpoints = endpoints_of(configured, ENVIRON)
            self._of = snapshot
        return self._endpoints


def _check_passing(caller: Principal, path: str) -> None:
    """Whether a caller may use providers past the models that they are allowed.

    Nothing of what is passed on is read, so neither the models nor the budgets of a key hold there.
    """
    if caller.role not in ADMINS and not names_route(caller, path):
        raise PermissionDenied(
            f"{path} is passed on as it comes, past the key's models and budgets: only for keys"
            " whose allowed_routes name it.",
            code="route_not_allowed",
        )


class Passing:
    """One request on its way through, before it is sent.

    method: its HTTP method; a WebSocket's is GET. caller: whose it is.
    """

    def __init__(self, gateway: Gateway, match: Match, scope: Scope) -> None:
        self.id = os.urandom(16).hex()
        self.gateway = gateway
        self.match = match
        self.headers = header_map(scope)
        self.query = scope["query_string"].decode("latin-1")
        self.method = str(scope.get("method", "GET"))
        self.settings = gateway.serving.snapshot.settings
        self.scope = scope
        self.caller = ANONYMOUS

    async def let_in(self, key: str | None = None) -> str | None:
        """Our key, once it is found to be valid.

        key: the one that is taken where no header and no query carries one.

        Raises AuthenticationFailed; MethodNotAllowed.
        """
        target = self.match.target
        key = self._key() or key
        path = str(self.scope["path"])
        if not isinstance(target, Endpoint):
            self.caller = await self.gateway.authenticate(key, path)
            _check_passing(self.caller, path)
            return key
        key = self.headers.get(target.key_header) or key
        if target.auth:
            self.caller = await self.gateway.authenticate(key, path)
        if self.method not in target.methods:
            methods = ", ".join(sorted(target.methods))
            raise MethodNotAllowed(f"{target.path} takes {methods}, not {self.method}.")
        return key

    def _key(self) -> str | None:
        """Our key, from the headers, or from the query, where Google's clients put theirs."""
        key = credential(self.headers)
        if key is None:
            query = dict(parse_qsl(self.query))
            return query.get("key") if self.match.wire is Wire.GOOGLE else None
        signed = _AWS_KEY.match(key)
        if signed:
            return signed[1]
        scheme, space, rest = key.partition(" ")
        if space and scheme.lower() == "basic":
            return _password(rest)
        return rest if space and scheme.lower() == self._scheme() else key

    def _scheme(self) -> str:
        """The word before the key where the provider's own clients put it: "token" or "key"."""
        target = self.match.target
        return target.auth[1].partition(" ")[0].lower() if isinstance(target, PassThrough) else ""

    def outgoing(self, key: str | None, body: bytes | Upload) -> Outgoing:
        """The request without what is ours in it. Raises InvalidRequest for a path that strays."""
        google = self.match.wire is Wire.GOOGLE

        def ours(name: str, value: str) -> bool:
            return (google and name == "key") or (key is not None and value == key)

        pairs = [(n.decode("latin-1"), v.decode("latin-1")) for n, v in self.scope["headers"]]
        headers = forwarded(pairs, key)
        if isinstance(body, bytes):
            headers.popall("content-length", None)
        return Outgoing(
            method=self.method,
            path=checked(self.match.path),
            query=filtered(self.query, ours),
            headers=headers,
            body=body,
        )

    def account(self, row: PassThrough, path: str) -> Account:
        """The account for a request that names no model group. Raises NoDeployment; NotFound."""
        vertex = self.settings.default_vertex_config.model_dump(exclude_none=True)
        if row.signer == "google" and vertex:
            return account_of(row, path, ENVIRON, vertex)
        deployments = self.gateway.serving.snapshot.deployments
        return first_account(row, path, ENVIRON, deployments)

    def group(self, row: PassThrough, path: str, names: Iterable[Any] = ()) -> str | None:
        """The model group that a request names, where its provider is the prefix's.

        names: what may be one beside what stands in the path.
        """
        snapshot = self.gateway.serving.snapshot
        named = asked_model(row, path) or next(filter(None, names), None)
        if row.group_first:
            named, slash, _ = path[1:].partition("/")
            if not slash:
                raise NotFound(f"/{row.name} must be followed by a model group and a path.")
        if not isinstance(named, str):
            return None
        group = unquote(named)
        if any(lends(row, deployment) for deployment in snapshot.resolve(group)):
            return group
        if row.group_first:
            raise NotFound(
                f"The model '{group}' does not exist, or is none of {row.name}'s.",
                param="model",
                code="model_not_found",
            )
        return None


def to_deployment(
    row: PassThrough, request: Outgoing, deployment: Deployment
) -> tuple[Outgoing, Account]:
    """The request as a deployment gets it, its body aside, and the deployment's account."""
    path = request.path
    if row.group_first:
        path = path[path.index("/", 1) :]
    sent = replace(request, path=name_model(row, path, deployment), headers=request.headers.copy())
    return sent, account_of(row, sent.path, ENVIRON, deployment.params)


def raw_path(scope: Scope) -> str:
    """A request's path as the client encoded it."""
    raw = scope.get("raw_path")
    return str(raw.decode("latin-1") if raw else scope["path"])


def _password(encoded: str) -> str | None:
    try:
        pair = base64.b64decode(encoded, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None
    user, _, password = pair.partition(":")
    return password or user
