"""From a configuration file to `Settings`, or to a list of everything that is wrong with it."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from ..errors import ConfigError
from . import (
    caching,
    credentials,
    includes,
    learned,
    managed,
    price_map,
    problems,
    redis_address,
    references,
)
from .document import Node, Path
from .environment import Resolver
from .files import Files
from .managed import Vault
from .notices import ignored, is_later
from .problems import Problem
from .schema import DERIVED, ModelEntry, Settings

VARIABLES = {
    "master_key": ("LITELLM_MASTER_KEY",),
    "salt_key": ("TRUNKLINE_SALT_KEY", "LITELLM_SALT_KEY"),
    "database_url": ("DATABASE_URL",),
    "data_directory": ("TRUNKLINE_DATA_DIRECTORY",),
    "cost_map_path": (price_map.PATH_VARIABLE,),
    "config_hot_reload": ("CONFIG_HOT_RELOAD",),
}
"""Where LiteLLM, and we, take keys of `general_settings` from when the file names none."""

_VITAL = (("general_settings", "master_key"), ("general_settings", "salt_key"))
"""Keys without which the gateway would be less safe than its configuration says."""

_SHARED = ("router_settings", "default_litellm_params")
"""What all deployments share: without an address, their keys would go elsewhere."""

_WITH_MISSING = ("model_list", "credential_list", "search_tools")


def load(
    path: pathlib.Path,
    environ: Mapping[str, str],
    *,
    files: Files | None = None,
    vault: Vault | None = None,
) -> Settings:
    """The configuration of a file with what it includes.

    path: from whose folder relative paths in it start.
    environ: the process's environment; the file's own `environment_variables` win over it.
    files: where the files are read; on disk without. vault: the secrets that the file may name;
        without it none of them is known.

    Raises ConfigError with every problem that was found, each with its place.
    """
    merged = includes.read(path, files)
    written = _with_search_tools(merged.root)
    secrets = managed.values_of(written, environ, vault)
    environ = {**secrets, **environ}
    resolver = Resolver(environ)
    variables = _variables(written, resolver)
    resolver.environ = {**environ, **variables}
    resolver.missing.clear()
    root = resolver.resolve(written)
    assert root is not None
    faults = [
        *_vital(resolver),
        *references.problems_of(root),
        *credentials.problems_of(root),
        *learned.problems_of(root, path),
    ]
    try:
        settings = Settings.model_validate(_data(root, resolver.environ))
    except ValidationError as error:
        unset = {path: name for path, (name, _) in resolver.missing.items()}
        faults += problems.problems_of(error, root, unset)
    else:
        settings = _with_cache(settings, resolver.environ)
        faults += caching.problems_of(settings.litellm_settings.cache_params, root)
        faults += redis_address.problems_of(settings.router_settings, root)
        faults += _unreadable_prices(settings, root, path)
    if faults:
        raise ConfigError(*sorted(faults, key=lambda fault: (fault[0].file, fault[0].line)))
    warnings = [
        *merged.warnings,
        *_missing(resolver, settings),
        *ignored(settings, root),
        *references.unused(root),
        *managed.ignored(root),
        *learned.unused(root),
    ]
    if not (settings.model_list or settings.search_tools):
        name = files.name(path) if files else path
        warnings.append(f"{name}: model_list: there are no models to serve")
    update: dict[str, Any] = {
        section: tuple(
            entry.model_copy(update={"missing": _missing_of((section, number), resolver)})
            for number, entry in enumerate(getattr(settings, section))
        )
        for section in _WITH_MISSING
    }
    update |= {"source": path, "secrets": secrets, "warnings": tuple(warnings)}
    return settings.model_copy(update=update)


def _with_cache(settings: Settings, environ: Mapping[str, str]) -> Settings:
    litellm = settings.litellm_settings
    if not litellm.cache:
        return settings
    params = caching.addressed(litellm.cache_params, environ)
    litellm = litellm.model_copy(update={"cache_params": params})
    return settings.model_copy(update={"litellm_settings": litellm})


def _unreadable_prices(settings: Settings, root: Node, path: pathlib.Path) -> Iterator[Problem]:
    named = settings.general_settings.cost_map_path
    if named is None:
        return
    try:
        price_map.PriceMap.of({""}, learned.located(path.parent, named))
    except price_map.PriceMapInvalid as error:
        key = ("general_settings", "cost_map_path")
        yield root.find(key).place(*key), f"no price map: {error}"


def _with_search_tools(root: Node) -> Node:
    """The tree with its search tools at the top.

    As in LiteLLM, they may stand in `general_settings` where there are none at the top.
    """
    sections = root.value
    assert isinstance(sections, dict)
    general, at_top = sections.get("general_settings"), sections.get("search_tools")
    if general is None or not isinstance(general.value, dict) or (at_top and at_top.value):
        return root
    rest = dict(general.value)
    tools = rest.pop("search_tools", None)
    if tools is None:
        return root
    moved = {"general_settings": replace(general, value=rest), "search_tools": tools}
    return replace(root, value={**sections, **moved})


def _variables(root: Node, resolver: Resolver) -> dict[str, str]:
    """The file's own environment variables; what is wrong with them, the schema says later."""
    section = root.find(("environment_variables",))
    if section is root or not isinstance(section.value, dict):
        return {}
    resolved = resolver.resolve(section)
    assert resolved is not None
    scalars = {name: value for name, value in resolved.plain().items() if value is not None}
    return {n: str(v) for n, v in scalars.items() if isinstance(v, str | int | float)}


def _data(root: Node, environ: Mapping[str, str]) -> dict[str, Any]:
    """The tree as plain data for the schema, without keys that only look like ours."""
    data: dict[str, Any] = root.plain()
    for key in DERIVED:
        data.pop(key, None)
    for section in _WITH_MISSING:
        entries = data.get(section)
        for entry in entries if isinstance(entries, list) else ():
            if isinstance(entry, dict):
                entry.pop("missing", None)
    general = data.get("general_settings")
    if general is None or isinstance(general, dict):
        general = general or {}
        for key, names in VARIABLES.items():
            found = next((environ[name] for name in names if environ.get(name)), None)
            if found is not None and general.get(key) is None:
                general[key] = found
        if general:
            data["general_settings"] = general
    return data


def _vital(resolver: Resolver) -> Iterator[Problem]:
    for path, (name, node) in resolver.missing.items():
        if path in _VITAL or path[:2] == _SHARED:
            yield node.place(*path), f"the environment variable {name} isn't set"


def _missing(resolver: Resolver, settings: Settings) -> Iterator[str]:
    for path, (name, node) in resolver.missing.items():
        if is_later(path):
            continue
        consequence = "the setting is left out"
        if path[0] == "model_list" and len(path) > 1:
            entry: ModelEntry = settings.model_list[int(path[1])]
            consequence = f"this deployment of {entry.model_name} can't be used without it"
        elif path[0] == "search_tools" and len(path) > 1:
            tool = settings.search_tools[int(path[1])].search_tool_name
            consequence = f"the search tool {tool} can't be used without it"
        elif path[0] == "credential_list" and len(path) > 1:
            consequence = "deployments with this credential can't be used without it"
        yield f"{node.place(*path)}: the environment variable {name} isn't set; {consequence}"


def _missing_of(entry: Path, resolver: Resolver) -> tuple[str, ...]:
    names = (name for path, (name, _) in resolver.missing.items() if path[:2] == entry)
    return tuple(dict.fromkeys(names))
