"""Keys of a configuration that are read but have no effect, each told once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from .document import Node, Path
from .known import CALLBACKS, LATER, UNENFORCED
from .schema import DERIVED, GeneralSettings, LitellmSettings, RouterSettings, Section, Settings

NOTES = "x-"
"""Top-level keys that begin so hold what other keys refer to by aliases, as in Compose files."""

_SECTIONS: Mapping[str, type[Section]] = {
    "router_settings": RouterSettings,
    "litellm_settings": LitellmSettings,
    "general_settings": GeneralSettings,
}

_UNKNOWN = "unknown; it has no effect"
_CONSEQUENCES = (
    (UNENFORCED, "this restriction is NOT enforced"),
    (LATER, "it has no effect"),
)


def ignored(settings: Settings, root: Node) -> Iterator[str]:
    """A warning for each key that the schema doesn't name, once for all entries of a list."""
    for key in DERIVED:
        node = root.find((key,))
        if node is not root:
            yield f"{node.place(key)}: {_UNKNOWN}"
    told: set[Path] = set()
    for path, section, value in _unnamed(settings, ()):
        general = tuple(step for step in path if not isinstance(step, int))
        if general in told:
            continue
        told.add(general)
        reason = _reason(general, section, value)
        if reason:
            yield f"{root.find(path).place(*path)}: {reason}"
    yield from _callbacks(settings, root)


def _callbacks(settings: Settings, root: Node) -> Iterator[str]:
    for key in ("callbacks", "success_callback", "failure_callback"):
        path = ("litellm_settings", key)
        for name in getattr(settings.litellm_settings, key):
            if name not in CALLBACKS:
                place = root.find(path).place(*path)
                yield f"{place}: '{name}' is not supported yet: it has no effect"


def is_later(path: Path) -> bool:
    """Whether a path lies in what isn't supported yet."""
    section, key = (str(path[0]), str(path[1])) if len(path) > 1 else ("", str(path[0]))
    return any(
        section in names.get("", ()) or key in names.get(section, ()) for names, _ in _CONSEQUENCES
    )


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
    if len(path) == 1 and key.startswith(NOTES):
        return None
    where = str(path[0]) if len(path) == 2 else ""
    if len(path) <= 2:
        for names, consequence in _CONSEQUENCES:
            if key in names.get(where, ()):
                return f"not supported yet: {consequence}" if value else None
    for name, other in _SECTIONS.items():
        if name != where and key in other.model_fields:
            return f"unknown here, where it has no effect; it belongs to {name}"
    close = get_close_matches(key, type(section).model_fields, 1, 0.8)
    return f"{_UNKNOWN}{f' (did you mean {close[0]}?)' if close else ''}"
