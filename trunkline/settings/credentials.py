"""Credentials of one request that would need the same header.

A user and a password in an address go in `Authorization`, as most providers' keys do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .addresses import authorization
from .document import Node, Path
from .problems import Problem

OTHER_HEADER = frozenset({"anthropic", "azure", "gemini"})
"""Providers whose keys go in another header than `Authorization`."""

_BASES = ("api_base", "base_url", "aws_bedrock_runtime_endpoint")
_HEADERS = ("headers", "extra_headers")
_TOKENS = ("azure_ad_token", "client_secret", "azure_password")
_SIGNED = ("bedrock", "sagemaker", "vertex_ai")
"""Beginnings of the names of providers that always have something for the header."""

Params = Mapping[str, tuple[Path, Any]]
"""Parameters of a deployment, each with where it stands."""


def problems_of(root: Node) -> Iterator[Problem]:
    """Addresses whose user and password stand beside another credential for the same header."""
    data = _mapping(root.plain())
    for params in _deployments(data):
        for name in _BASES:
            if name in params and authorization(_text(params[name][1])) and _is_taken(params):
                yield _problem(root, params[name][0])
    for path, endpoint in _entries(data, "general_settings", "pass_through_endpoints"):
        if authorization(_text(endpoint.get("target"))) and _authorizes(endpoint.get("headers")):
            yield _problem(root, (*path, "target"))


def _deployments(data: Mapping[str, Any]) -> Iterator[Params]:
    """The parameters of each entry, with those of the credential that it names."""
    credentials: dict[str, Params] = {}
    for path, entry in _entries(data, "credential_list"):
        given = _mapping(entry.get("credential_values"))
        placed = {name: ((*path, "credential_values", name), given[name]) for name in given}
        credentials[_text(entry.get("credential_name"))] = placed
    for path, entry in _entries(data, "model_list"):
        own = _mapping(entry.get("litellm_params"))
        shared = credentials.get(_text(own.get("litellm_credential_name")), {})
        yield {**shared, **{name: ((*path, "litellm_params", name), own[name]) for name in own}}


def _entries(data: Mapping[str, Any], *section: str) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    found: Any = data
    for step in section:
        found = _mapping(found).get(step)
    for number, entry in enumerate(found if isinstance(found, list) else ()):
        yield (*section, number), _mapping(entry)


def _is_taken(params: Params) -> bool:
    """Whether a deployment has something else for the header."""
    given = {name: value for name, (_, value) in params.items() if value}
    provider = _text(given.get("custom_llm_provider"))
    provider = provider or _text(given.get("model")).partition("/")[0]
    return (
        provider.startswith(_SIGNED)
        or ("api_key" in given and provider not in OTHER_HEADER)
        or any(name in given for name in _TOKENS)
        or any(_authorizes(given.get(name)) for name in _HEADERS)
    )


def _authorizes(headers: Any) -> bool:
    names = {name.lower() for name in _mapping(headers) if isinstance(name, str)}
    return not names.isdisjoint({"authorization", "langfuse_secret_key"})


def _problem(root: Node, path: Path) -> Problem:
    what = "an address without a user and a password, whose place another credential has"
    return root.find(path).place(*path), f"expected {what}: give one of the two"


def _mapping(value: Any) -> Mapping[Any, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
