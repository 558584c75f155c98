"""What a request that is passed on says: where it goes, whose key it carries, whom it asks."""

from __future__ import annotations

import base64
import binascii
import os
import re
import time
from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl, unquote

from ..access.identity import ANONYMOUS, Principal, credential
from ..access.roles import ADMINS, names_route
from ..call import Call, Deployment, Operation, Wire
from ..charging.passed_on import ENCODINGS, charged
from ..dataclass import dataclass
from ..errors import MethodNotAllowed, NotFound, PermissionDenied
from ..gateway import Gateway
from ..ledger.book import nameless, unconfigured
from ..live.snapshot import LONGEST_NAME, Snapshot
from ..providers.environment import ENVIRON
from ..providers.passthrough.accounts import Account, account_of, first_account, lends
from ..providers.passthrough.destination import checked, filtered
from ..providers.passthrough.endpoints import Endpoint, endpoints_of
from ..providers.passthrough.request import Outgoing
from ..providers.passthrough.send import asked_model, forwarded, name_model
from ..providers.passthrough.table import BY_PREFIX, PassThrough
from .http import Scope, header_map
from .payers import charge_to
from .relay import Upload

_OPERATIONS = {wire: Operation("pass_through", wire, "*", ()) for wire in Wire}

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

    Whatever the path and the body may mean to the provider isn't known, so the models of a key
    don't hold there.
    """
    if caller.role not in ADMINS and not names_route(caller, path):
        raise PermissionDenied(
            f"{path} is passed on as it comes, past the key's models: only for keys whose"
            " allowed_routes name it.",
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
        self.started = time.monotonic()

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
        if self.gateway.serving.charges is not None and "accept-encoding" in headers:
            headers["accept-encoding"] = _readable(headers["accept-encoding"])
        if isinstance(body, bytes):
            headers.popall("content-length", None)
        return Outgoing(
            method=self.method,
            path=checked(self.match.path),
            query=filtered(self.query, ours),
            headers=headers,
            body=body,
        )

    def call(self, group: str, fields: dict[str, Any]) -> Call:
        """The request as it is charged. group: the model group, or what stands for one."""
        call = Call(
            id=self.id,
            operation=_OPERATIONS[self.match.wire],
            group=group,
            body=fields,
            started=self.started,
            headers=self.headers,
            stream=fields.get("stream") is True,
            fallback_groups={},
        )
        charge_to(call, self.caller, self.scope)
        return call

    def charged(self, call: Call, deployment: Deployment) -> AbstractAsyncContextManager[None]:
        """See `charging.passed_on.charged`."""
        serving = self.gateway.serving
        return charged(serving.charges, call, deployment, serving.snapshot.resolve)

    async def stand_in(self, row: PassThrough, model: str) -> Deployment:
        """What stands for a provider's model, with its prices where somebody is charged."""
        charges, provider = self.gateway.serving.charges, row.providers[0]
        if charges is None or len(model) > LONGEST_NAME:
            return nameless(provider)
        return await charges.stand_in(provider, model)

    def model(self, row: PassThrough, path: str, names: Iterable[Any] = ()) -> str:
        """The model that a request names to its provider; empty where it names none."""
        named = asked_model(row, path) or next(filter(None, names), None)
        return unquote(named) if isinstance(named, str) else ""

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


def priced(endpoint: Endpoint) -> Deployment:
    """What stands for a configured endpoint, with what each request to it costs."""
    return nameless("") if endpoint.cost is None else _at(endpoint.cost)


@lru_cache(maxsize=1024)
def _at(dollars: float) -> Deployment:
    tokens = {"input_cost_per_token": 0.0, "output_cost_per_token": 0.0}
    return unconfigured("", facts={"input_cost_per_request": dollars, **tokens})


def _readable(encodings: str) -> str:
    """The encodings that a client takes, without those that can't be read here."""
    asked = (each.strip() for each in encodings.split(","))
    kept = [each for each in asked if each.partition(";")[0].strip().lower() in ENCODINGS]
    return ", ".join(kept) or "identity"


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
