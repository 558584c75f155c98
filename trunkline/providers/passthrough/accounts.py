"""With whose credentials a passed-on request goes: a deployment's, else the environment's."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import field
from typing import Any

from ...call import Deployment
from ...dataclass import dataclass
from ...errors import NoDeployment, NotFound
from ...settings.addresses import authorization, one_of_both, without_user
from .. import entra
from ..mock_lane import is_mock
from . import aws, vertex
from .exchange import held
from .table import Origin, PassThrough

_NOTHING: Mapping[str, Any] = {}
_NAME = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Account:
    """Where a provider's server is, and who we are there.

    key: the key to send, user: a name that goes with it; empty where there is none.
    authorization: a header that goes before the key's: that which the server's address itself asks
        for, or a token that needn't be fetched; "" where there is none.
    entra: LiteLLM's name of the provider, where Entra's tokens take the place of a key.
    params: the deployment's parameters; empty for the environment's account.
    """

    base: str
    key: str = ""
    user: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)
    authorization: str = ""
    entra: str = ""


def lends(row: PassThrough, deployment: Deployment) -> bool:
    """Whether a deployment's credentials serve a prefix."""
    return (
        deployment.provider in row.providers and not deployment.missing and not is_mock(deployment)
    )


def account_of(
    row: PassThrough, path: str, environ: Mapping[str, str], params: Mapping[str, Any] = _NOTHING
) -> Account:
    """The account that a deployment's parameters describe; without any, the environment's.

    path: below the prefix; a provider may have several servers.

    Raises NotFound where none serves the path; NoDeployment, which says what to configure.
    """
    origin = next((each for each in row.origins if each.paths.fullmatch(path)), None)
    if origin is None:
        raise NotFound(f"There is nothing at /{row.name}{path}.", code="unknown_url")
    base = _configured_base(row, origin, params, environ)
    stated = _first(params.get("api_key"))
    provider = row.providers[0]
    tokens = provider if entra.is_stated(provider, params) else ""
    key = stated or ("" if tokens else _first(*(environ.get(name) for name in row.key_env)))
    header = "" if row.signer else authorization(base)
    if row.auth[0] == "authorization":
        key, header = one_of_both(stated, key, header)
    if row.exchange is not None:
        header = header or held(row.exchange, params, environ)
    if not (key or header or tokens or row.keyless or row.signer):
        raise _unconfigured(row, row.key_env)
    if not base:
        base = _NAME.sub(_filler(row, path, params, environ), origin.base)
    if not base:
        raise _unconfigured(row, origin.env)
    user = environ.get(row.user_env, "") if row.user_env else ""
    return Account(without_user(base), key, user, params, header, tokens)


def first_account(
    row: PassThrough, path: str, environ: Mapping[str, str], deployments: Iterable[Deployment]
) -> Account:
    """The account for a request that names no model group.

    That of the first deployment marked `use_in_pass_through`, else of the first without an address
    of its own, else of any, else the environment's. Raises as `account_of` does.
    """
    for deployment in sorted((each for each in deployments if lends(row, each)), key=_reserve):
        try:
            return account_of(row, path, environ, deployment.params)
        except NoDeployment:
            continue
    return account_of(row, path, environ)


def _reserve(deployment: Deployment) -> tuple[bool, bool]:
    params = deployment.params
    own = bool(params.get("api_base") or params.get("base_url"))
    return (params.get("use_in_pass_through") is not True, own)


def _configured_base(
    row: PassThrough, origin: Origin, params: Mapping[str, Any], environ: Mapping[str, str]
) -> str:
    own = _first(*(params.get(name) for name in origin.params))
    if own and row.drops:
        own = row.drops.sub("", own)
    base = own or _first(*(environ.get(name) for name in origin.env))
    return base if not base or "://" in base else f"https://{base}"


def _filler(
    row: PassThrough, path: str, params: Mapping[str, Any], environ: Mapping[str, str]
) -> Any:
    """Fills the names that a base URL leaves open, where it has any."""

    def fill(found: re.Match[str]) -> str:
        if row.signer == "aws":
            return aws.places(params, environ)[found[1]]
        if row.signer == "google":
            return vertex.places(params, environ, path)[found[1]]
        if not environ.get(found[1]):
            raise _unconfigured(row, (found[1],))
        return environ[found[1]]

    return fill


def _unconfigured(row: PassThrough, variables: tuple[str, ...]) -> NoDeployment:
    return NoDeployment(
        f"/{row.name} is not configured: add a deployment of {' or '.join(row.providers)}, or set"
        f" {' or '.join(variables)} in the gateway's environment.",
        status=503,
    )


def _first(*values: Any) -> str:
    return next((str(value) for value in values if value), "")
