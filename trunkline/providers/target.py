"""Where an operation's calls go for a deployment: all that can be known before a call comes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from multidict import CIMultiDict
from yarl import URL

from ..call import Call, Deployment, Headers, Operation
from .catalog import PROVIDERS, Provider

AZURE_API_VERSION = "2025-02-01-preview"
"""Asked for where neither the deployment nor AZURE_API_VERSION names one, as LiteLLM does."""

CONSUMED = frozenset(
    """
    model api_key api_base base_url api_version organization timeout stream_timeout max_retries
    num_retries rpm tpm weight order tags max_parallel_requests cooldown_time custom_llm_provider
    lane extra_headers headers drop_params additional_drop_params use_in_pass_through
    use_litellm_proxy merge_reasoning_content_in_choices litellm_credential_name region_name
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


@dataclass(frozen=True, slots=True)
class Location:
    """A provider's server, and the key for it; both None where they are not known."""

    base: str | None
    key: str | None


@dataclass(frozen=True, slots=True)
class Target:
    """The direct way for one operation to one deployment; made once a snapshot.

    fixed: the URL, where neither the path nor the query of a call changes it.
    root: the URL up to the operation's path. path: that path, its names in braces.
    query: what the provider wants in every query.
    headers: of a request with a JSON body; for other bodies but for the content type.
    defaults: fields that a body takes where it has none of its own.
    rewritten: fields that LiteLLM converts: a call with one of them can't go this way.
    """

    provider: Provider
    fixed: URL | None
    root: str
    path: str
    query: Headers
    headers: CIMultiDict[str]
    defaults: Mapping[str, Any]
    model: str
    rewritten: frozenset[str]
    secrets: tuple[str, ...]

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
    params = deployment.params
    lane = params.get("lane") or deployment.info.get("lane") or "auto"
    if (
        provider is None
        or lane == "litellm"
        or operation.wire is not provider.wire
        or {operation.name, operation.family}.isdisjoint(provider.operations)
        or not params.keys() <= CONSUMED | DEFAULTS | _price_names(params)
        or not LANE_DECIDING.isdisjoint(params)
    ):
        return None
    place = location(deployment)
    defaults = _defaults(params)
    if (
        not place.base
        or (not place.key and provider.base)
        or (defaults and operation.body == "multipart")
    ):
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
        headers=_headers(provider, params, place.key),
        defaults=defaults,
        model=deployment.upstream_model,
        rewritten=_rewritten(provider, deployment, operation),
        secrets=(place.key,) if place.key else (),
    )


def location(deployment: Deployment) -> Location:
    """Where a deployment's provider is and the key for it, from its entry or the environment."""
    provider = PROVIDERS.get(deployment.provider)
    params = deployment.params
    base = _first(params.get("api_base"), params.get("base_url"))
    key = _first(params.get("api_key"))
    if provider is not None:
        base = base or _first(*_environ(provider.base_env), provider.base)
        key = key or _first(*_environ(provider.key_env))
    return Location(base.rstrip("/") if base else None, key)


def _root(
    provider: Provider, deployment: Deployment, operation: Operation, base: str
) -> tuple[str, Headers]:
    if deployment.provider != "azure":
        return base, []
    version = _first(deployment.params.get("api_version"), os.environ.get("AZURE_API_VERSION"))
    query = [("api-version", version or AZURE_API_VERSION)]
    if operation.model == "body" and operation.family not in provider.unmodelled:
        return f"{base}/openai/deployments/{quote(deployment.upstream_model)}", query
    return f"{base}/openai", query


def _url(text: str, query: Headers) -> URL:
    separator = "&" if "?" in text else "?"
    return URL(text + separator + urlencode(query) if query else text, encoded=True)


def _headers(provider: Provider, params: Mapping[str, Any], key: str | None) -> CIMultiDict[str]:
    headers = CIMultiDict(provider.headers)
    headers["content-type"] = "application/json"
    if key:
        headers[provider.auth] = f"Bearer {key}" if provider.auth == "authorization" else key
    if params.get("organization"):
        headers["openai-organization"] = str(params["organization"])
    for extra in (params.get("headers"), params.get("extra_headers")):
        headers.update({str(k): str(v) for k, v in (extra or {}).items()})
    return headers


def _defaults(params: Mapping[str, Any]) -> dict[str, Any]:
    defaults = {name: value for name, value in params.items() if name in DEFAULTS}
    defaults |= defaults.pop("extra_body", None) or {}
    return defaults


def _price_names(params: Mapping[str, Any]) -> set[str]:
    return {name for name in params if "_cost" in name}


def _rewritten(provider: Provider, deployment: Deployment, operation: Operation) -> frozenset[str]:
    if operation.name not in provider.converting:
        return frozenset()
    if provider.reasoning and provider.reasoning.search(deployment.upstream_model):
        return provider.rewritten | provider.reasoning_rewritten
    return provider.rewritten


def _environ(names: Iterable[str]) -> list[str | None]:
    return [os.environ.get(name) for name in names]


def _first(*values: Any) -> str | None:
    return next((str(value) for value in values if value), None)
