"""From entries of `model_list` and `search_tools` to deployments, ready to be called."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from ..call import Deployment
from ..settings.known import NOT_SHARED
from ..settings.providers import Facts, split_model
from ..settings.schema import Credential, ModelEntry, ProviderParams, SearchTool, Settings

_ID_CHARACTERS = 32
_NONE = Credential(credential_name="none")

_AZURE = frozenset({"azure", "azure_ai", "azure_text"})
_REFRESH = "enable_azure_ad_token_refresh"
_ROUTING = ("order", "weight", "rpm", "tpm", "max_parallel_requests", "stream_timeout")
_ADDRESS = frozenset({"api_base", "base_url"})
_SEARCH = "search"
"""What LiteLLM's price map calls a provider's search (`tavily/search`)."""


def deployments_of(settings: Settings, known: Facts) -> Iterator[Deployment]:
    """The deployments of the `model_list`, in its order, each with an id of its own.

    An entry with several organizations is a deployment for each, as in LiteLLM.
    """
    used: set[str] = set()
    credentials = {each.credential_name: each for each in settings.credential_list}
    shared = _given(settings.router_settings.default_litellm_params)
    for entry in settings.model_list:
        given = _given(entry.litellm_params)
        credential = credentials.get(given.pop("litellm_credential_name", ""), _NONE)
        missing = (*entry.missing, *credential.missing)
        for params in _by_organization({**_given(credential.credential_values), **given}):
            own = entry.model_info.id or _digest(entry.model_name, params)
            identity = _identity(own, used)
            by_machine = settings.litellm_settings.enable_azure_ad_token_refresh
            made = _deployment(entry, _over(shared, params), missing, identity, known)
            yield _of_machine(made) if by_machine else made


def search_tools_of(settings: Settings, taken: Iterable[str]) -> Iterator[Deployment]:
    """The search tools, in their order. taken: ids that others have."""
    used = set(taken)
    for entry in settings.search_tools:
        params = _given(entry.litellm_params)
        own = entry.search_tool_id or _digest(entry.search_tool_name, params)
        yield _search_tool(entry, params, _identity(own, used))


def with_model(deployment: Deployment, model: str, known: Facts) -> Deployment:
    """The deployment of a wildcard group, for one of the models that it serves."""
    params = {**deployment.params, "model": model}
    provider, upstream = _split(params, known)
    return replace(
        deployment, model=model, provider=provider, upstream_model=upstream, params=params
    )


def _deployment(
    entry: ModelEntry,
    params: dict[str, Any],
    missing: tuple[str, ...],
    identity: str,
    known: Facts,
) -> Deployment:
    info = _given(entry.model_info)
    provider, upstream = _split(params, known)
    return Deployment(
        id=identity,
        group=entry.model_name,
        model=entry.litellm_params.model,
        provider=provider,
        upstream_model=upstream,
        params=params,
        info={**info, "id": identity},
        missing=missing,
        **_routing(
            entry.litellm_params, rpm=entry.rpm, tpm=entry.tpm, order=entry.model_info.order
        ),
    )


def _of_machine(deployment: Deployment) -> Deployment:
    """The deployment with the machine's own identity, where it is Azure's and has no key."""
    if deployment.provider not in _AZURE or deployment.params.get("api_key"):
        return deployment
    return replace(deployment, params={**deployment.params, _REFRESH: True})


def _search_tool(entry: SearchTool, params: dict[str, Any], identity: str) -> Deployment:
    provider = entry.litellm_params.search_provider
    return Deployment(
        id=identity,
        group=entry.search_tool_name,
        model=f"{provider}/{_SEARCH}",
        provider=provider,
        upstream_model=_SEARCH,
        params=params,
        info={"id": identity, "description": entry.search_tool_info.description},
        missing=entry.missing,
        tool=True,
        **_routing(entry.litellm_params),
    )


def _routing(typed: ProviderParams, **elsewhere: int | None) -> dict[str, Any]:
    """What the parameters say about routing.

    elsewhere: what the entry says outside of them, which holds where they say nothing.
    """
    stated = {name: value for name in _ROUTING if (value := getattr(typed, name)) is not None}
    return {
        **elsewhere,
        **stated,
        "timeout": typed.timeout or typed.request_timeout,
        "tiers": _tiers(typed),
        "tags": tuple(typed.tags or ()),
    }


def _tiers(typed: ProviderParams) -> dict[str, tuple[float | None, float | None]]:
    """Time limits for answers and for streams, by the service tier that a request asks for."""
    answers = typed.timeout_by_service_tier or {}
    streams = typed.stream_timeout_by_service_tier or {}
    return {tier: (answers.get(tier), streams.get(tier)) for tier in {**answers, **streams}}


def _given(section: Any) -> dict[str, Any]:
    """What a section of the file gives, with numbers and switches converted."""
    given: dict[str, Any] = section.model_dump(exclude_unset=True)
    return given


def _split(params: Mapping[str, Any], known: Facts) -> tuple[str, str]:
    return split_model(
        params["model"],
        params.get("custom_llm_provider"),
        api_base=params.get("api_base") or params.get("base_url"),
        known=known,
    )


def _over(shared: Mapping[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """A deployment's own parameters over those that all share."""
    left_out = NOT_SHARED if _ADDRESS.isdisjoint(own) else NOT_SHARED | _ADDRESS
    return {name: value for name, value in shared.items() if name not in left_out} | own


def _by_organization(params: dict[str, Any]) -> Iterator[dict[str, Any]]:
    organizations = params.get("organization")
    if not isinstance(organizations, list):
        yield params
        return
    for organization in organizations:
        yield {**params, "organization": organization}


def _identity(own: str, used: set[str]) -> str:
    """The entry's own id or digest, counted on where it is taken; taken from then on."""
    identity, number = own, 1
    while identity in used:
        number += 1
        identity = f"{own}-{number}"
    used.add(identity)
    return identity


def _digest(group: str, params: Mapping[str, Any]) -> str:
    """A name for an entry, of what it says.

    Credentials enter it, so that deployments that differ in nothing else are told apart; nobody
    can read them back from it.
    """
    text = json.dumps([group, params], sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_ID_CHARACTERS]
