"""From entries of `model_list` to deployments, ready to be called."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from ..call import Deployment
from ..settings.providers import Facts, split_model
from ..settings.schema import Credential, ModelEntry, Settings

_ID_CHARACTERS = 32
_NONE = Credential(credential_name="none")


def deployments_of(settings: Settings, known: Facts) -> Iterator[Deployment]:
    """The deployments of the `model_list`, in its order, each with an id of its own.

    An entry with several organizations is a deployment for each, as in LiteLLM.
    """
    used: set[str] = set()
    credentials = {each.credential_name: each for each in settings.credential_list}
    for entry in settings.model_list:
        given = _given(entry.litellm_params)
        credential = credentials.get(given.pop("litellm_credential_name", ""), _NONE)
        missing = (*entry.missing, *credential.missing)
        for params in _by_organization({**_given(credential.credential_values), **given}):
            identity = _identity(entry, params, used)
            used.add(identity)
            yield _deployment(entry, params, missing, identity, known)


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
    typed, info = entry.litellm_params, _given(entry.model_info)
    provider, upstream = _split(params, known)
    return Deployment(
        id=identity,
        group=entry.model_name,
        model=typed.model,
        provider=provider,
        upstream_model=upstream,
        params=params,
        info={**info, "id": identity},
        missing=missing,
        order=typed.order,
        weight=typed.weight,
        rpm=typed.rpm if typed.rpm is not None else entry.rpm,
        tpm=typed.tpm if typed.tpm is not None else entry.tpm,
        max_parallel_requests=typed.max_parallel_requests,
        timeout=typed.timeout,
        stream_timeout=typed.stream_timeout,
        tags=tuple(typed.tags or ()),
    )


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


def _by_organization(params: dict[str, Any]) -> Iterator[dict[str, Any]]:
    organizations = params.get("organization")
    if not isinstance(organizations, list):
        yield params
        return
    for organization in organizations:
        yield {**params, "organization": organization}


def _identity(entry: ModelEntry, params: Mapping[str, Any], used: set[str]) -> str:
    """The entry's own id, else a digest of what it says; counted on where that is taken.

    Credentials enter the digest, so that deployments that differ in nothing else are told apart;
    nobody can read them back from it.
    """
    identity = entry.model_info.id or _digest(entry.model_name, params)
    number = 1
    while identity in used:
        number += 1
        identity = entry.model_info.id or _digest(entry.model_name, params)
        identity = f"{identity}-{number}"
    return identity


def _digest(group: str, params: Mapping[str, Any]) -> str:
    text = json.dumps([group, params], sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_ID_CHARACTERS]
