"""Keys of a configuration that are read but have no effect, each told once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from .document import Node, Path, written
from .known import LATER, UNENFORCED
from .schema import GeneralSettings, LitellmSettings, RouterSettings, Section, Settings

_SECTIONS: Mapping[str, type[Section]] = {
    "router_settings": RouterSettings,
    "litellm_settings": LitellmSettings,
    "general_settings": GeneralSettings,
}


def ignored(settings: Settings, root: Node) -> Iterator[str]:
    """A warning for each key that the schema doesn't name, once for all entries of a list."""
    told: set[Path] = set()
    for path, section, value in _unnamed(settings, ()):
        general = tuple(step for step in path if not isinstance(step, int))
        if general in told:
            continue
        told.add(general)
        reason = _reason(general, section, value)
        if reason:
            node = root.find(path)
            yield f"{node.file}:{node.line}: {written(path)}: {reason}"


def _unnamed(value: Any, path: Path) -> Iterator[tuple[Path, Section, Any]]:
    if isinstance(value, Section):
        if not value.open:
            for key, extra in (value.model_extra or {}).items():
                yield (*path, key), value, extra
        for key in type(value).model_fields:
            yield from _unnamed(getattr(value, key), (*path, key))
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _unnamed(item, (*path, key))
    elif isinstance(value, list | tuple):
        for number, item in enumerate(value):
            yield from _unnamed(item, (*path, number))


def _reason(path: Path, section: Section, value: Any) -> str | None:
    """Why a key has no effect; None for one that is switched off, which is no loss."""
    key = str(path[-1])
    where = str(path[0]) if len(path) == 2 else ""
    if len(path) <= 2 and key in LATER.get(where, ()):
        return None if not value else "known to LiteLLM but not supported yet; it has no effect"
    if len(path) <= 2 and key in UNENFORCED.get(where, ()):
        return None if not value else "not supported yet: this restriction is NOT enforced"
    for name, other in _SECTIONS.items():
        if name != where and key in other.model_fields:
            return f"unknown here, where it has no effect; it belongs to {name}"
    close = get_close_matches(key, type(section).model_fields, 1, 0.8)
    return f"unknown; it has no effect{f' (did you mean {close[0]}?)' if close else ''}"
