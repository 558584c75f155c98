"""Where an operation's calls go for a deployment: all that can be known before a call comes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote, urlencode

from multidict import CIMultiDict
from yarl import URL

from ..call import Call, Deployment, Headers, Operation
from ..dataclass import dataclass
from ..settings import addresses
from ..settings.addresses import authorization, one_of_both, without_user
from . import entra
from .catalog import PROVIDERS, Conversion, Provider
from .environment import ENVIRON
from .secrets import secrets_of, stated_in
from .traits import traits

AZURE_API_VERSION = "2025-02-01-preview"
"""Asked for where neither the deployment nor AZURE_API_VERSION names one, as LiteLLM does."""

CONSUMED = frozenset(
    """
    model api_key api_base base_url api_version organization timeout request_timeout stream_timeout
    timeout_by_service_tier stream_timeout_by_service_tier
    max_retries num_retries rpm tpm weight order tags tag_regex max_parallel_requests
    cooldown_time custom_llm_provider lane extra_headers headers drop_params
    additional_drop_params use_in_pass_through use_litellm_proxy
    merge_reasoning_content_in_choices litellm_credential_name region_name base_model
    """.split()
)
"""Parameters of a deployment that never stand in a request's body."""

LANE_DECIDING = frozenset({"additional_drop_params", "merge_reasoning_content_in_choices"})
"""Parameters that ask for LiteLLM's own handling."""

DEFAULTS = frozenset(
    """
    temperature top_p max_tokens max_completion_tokens presence_penalty frequency_penalty stop seed
    n logprobs top_logprobs logit_bias response_format tools tool_choice parallel_tool_calls user
    reasoning_effort service_tier store extra_body dimensions encoding_format
    """.split()
)
"""Parameters of a deployment that a request's body takes where it has none of its own."""


_NONE: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Location:
    """A provider's server and the key for it, each None where it is not known.

    authorization: the header that the address's user and password make; None where it has none.
    secrets: the key, and what is secret of the address.
    """

    base: str | None
    key: str | None
    authorization: str | None = None
    secrets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Target:
    """The direct way for one operation to one deployment; made once a snapshot.

    fixed: the URL, where neither the path nor the query of a call changes it.
    root: the URL up to the operation's path. path: that path, its names in braces.
    query: what the provider wants in every query.
    headers: of a request with a JSON body; for other bodies but for the content type.
    defaults: fields that a body takes where it has none of its own.
    fields, traits: what LiteLLM converts: a call with any of it can't go this way.
    tokens: parameters for which Entra gives access tokens, which the requests carry; else None.
    """

    provider: Provider
    fixed: URL | None
    root: str
    path: str
    query: Headers
    headers: CIMultiDict[str]
    defaults: Mapping[str, Any]
    model: str
    fields: frozenset[str]
    traits: frozenset[str]
    secrets: tuple[str, ...]
    tokens: Mapping[str, Any] | None = None

    def takes(self, call: Call) -> bool:
        """Whether a call can go this way."""
        return self.fields.isdisjoint(call.body) and (
            not self.traits or self.traits.isdisjoint(traits(call.body))
        )

    def url(self, call: Call) -> URL:
        """Where a call goes."""
        if self.fixed is not None and not call.query:
            return self.fixed
        path = self.path
        if call.path:
            path = path.format_map({name: quote(v, safe="") for name, v in call.path.items()})
        return _url(self.root + path, [*self.query, *call.query])


def target_of(deployment: Deployment, operation: Operation) -> Target | None:
    """The direct way for an operation to a deployment; None when it must take the litellm lane."""
    provider = PROVIDERS.get(deployment.provider)
    if provider is None or not _speaks(provider, operation) or not _is_plain(deployment):
        return None
    place = location(deployment)
    tokens = deployment.params if entra.is_stated(deployment.provider, deployment.params) else None
    if not place.base or not (place.key or place.authorization or tokens or provider.keyless):
        return None
    if not _is_root(place.base, provider, operation):
        return None
    conversions = _conversions(provider, deployment, operation)
    fields = _NONE.union(*(each.fields for each in conversions))
    defaults = _defaults(provider, deployment.params, operation)
    stated = deployment.params.keys() - {"extra_body"}
    if any(each.everything for each in conversions) or not fields.isdisjoint(stated):
        return None
    if defaults and operation.body == "multipart":
        return None
    root, query = _root(provider, deployment, operation, place.base)
    # A base URL may hold braces of its own: only the operation's path is a template.
    path = operation.upstream.replace("{model}", quote(deployment.upstream_model))
    return Target(
        provider=provider,
        fixed=None if "{" in path else _url(root + path, query),
        root=root,
        path=path,
        query=query,
        headers=_headers(provider, deployment.params, operation, place),
        defaults=defaults,
        model=deployment.upstream_model,
        fields=fields,
        traits=_NONE.union(*(each.traits for each in conversions)),
        secrets=secrets_of(deployment)
        if tokens
        else (*place.secrets, *stated_in(deployment.params)),
        tokens=tokens,
    )


def _speaks(provider: Provider, operation: Operation) -> bool:
    """Whether the provider has the operation on the wire on which clients ask for it."""
    return operation.wire is provider.wire and not provider.operations.isdisjoint(
        {operation.name, operation.family}
    )


def _is_plain(deployment: Deployment) -> bool:
    """Whether nothing in the deployment's entry asks for LiteLLM's own handling."""
    params = deployment.params
    lane = params.get("lane") or deployment.info.get("lane")
    if deployment.provider == "azure" and not azure_version(deployment)[:1].isdigit():
        return False
    known = CONSUMED | DEFAULTS | {name for name in params if "_cost" in name}
    if entra.is_stated(deployment.provider, params) and not entra.is_federated(params):
        known |= entra.PARAMETERS
    return lane != "litellm" and params.keys() <= known and LANE_DECIDING.isdisjoint(params)


def _is_root(base: str, provider: Provider, operation: Operation) -> bool:
    """Whether operations' paths may follow a base URL. LiteLLM also takes URLs of one endpoint."""
    return (
        base.endswith(provider.base_ends)
        and not base.endswith(operation.upstream)
        and not any(mark in base for mark in ("?", "/openai/deployments/"))
    )


def _conversions(
    provider: Provider, deployment: Deployment, operation: Operation
) -> list[Conversion]:
    """What LiteLLM converts in the operation's requests to the deployment."""
    if not operation.function:
        return []
    base_model = deployment.info.get("base_model") or deployment.params.get("base_model")
    names = (
        f"{deployment.upstream_model} {base_model or ''} api-version={azure_version(deployment)}"
    )
    return [
        each
        for each in provider.conversions
        if operation.name in each.operations and (each.models is None or each.models.search(names))
    ]


def location(deployment: Deployment) -> Location:
    """Where a deployment's provider is and the key for it, from its entry or the environment."""
    provider = PROVIDERS.get(deployment.provider)
    params = deployment.params
    base = _first(params.get("api_base"), params.get("base_url"))
    stated = key = _first(params.get("api_key")) or ""
    if provider is not None:
        base = base or _first(*_environ(provider.base_env), provider.base)
        if not entra.is_stated(deployment.provider, params):
            key = stated or _first(*_environ(provider.key_env)) or ""
    base = base or ""
    header = authorization(base)
    if provider is None or provider.auth == "authorization":
        key, header = one_of_both(stated, key, header)
    secrets = tuple(filter(None, (key, *addresses.secrets_of(base))))
    return Location(without_user(base).rstrip("/") or None, key or None, header or None, secrets)


def _root(
    provider: Provider, deployment: Deployment, operation: Operation, base: str
) -> tuple[str, Headers]:
    if deployment.provider != "azure":
        return base, []
    query = [("api-version", azure_version(deployment))]
    if operation.model == "body" and operation.family not in provider.unmodelled:
        return f"{base}/openai/deployments/{quote(deployment.upstream_model)}", query
    return f"{base}/openai", query


def azure_version(deployment: Deployment) -> str:
    """The version of Azure's API: a date, or the name of a generation of it ("v1", "preview")."""
    configured = deployment.params.get("api_version")
    return _first(configured, os.environ.get("AZURE_API_VERSION")) or AZURE_API_VERSION


def _url(text: str, query: Headers) -> URL:
    separator = "&" if "?" in text else "?"
    return URL(text + separator + urlencode(query) if query else text, encoded=True)


def _headers(
    provider: Provider, params: Mapping[str, Any], operation: Operation, place: Location
) -> CIMultiDict[str]:
    headers = CIMultiDict(provider.headers)
    headers["content-type"] = "application/json"
    if operation.family in provider.in_beta:
        headers["openai-beta"] = "assistants=v2"
    if place.key:
        bearer = provider.auth == "authorization"
        headers[provider.auth] = f"Bearer {place.key}" if bearer else place.key
    if place.authorization:
        headers["authorization"] = place.authorization
    for name, variables in provider.header_env.items():
        if value := _first(*_environ(variables)):
            headers[name] = value
    if params.get("organization"):
        headers["openai-organization"] = str(params["organization"])
    for extra in (params.get("headers"), params.get("extra_headers")):
        headers.update({str(k): str(v) for k, v in (extra or {}).items()})
    return headers


def _defaults(
    provider: Provider, params: Mapping[str, Any], operation: Operation
) -> dict[str, Any]:
    if operation.model != "body":
        return {}
    defaults = {name: value for name, value in params.items() if name in DEFAULTS}
    defaults |= defaults.pop("extra_body", None) or {}
    return {**(provider.added if operation.name == "chat" else {}), **defaults}


def _environ(names: Iterable[str]) -> list[str | None]:
    return [ENVIRON.get(name) for name in names]


def _first(*values: Any) -> str | None:
    return next((str(value) for value in values if value), None)
