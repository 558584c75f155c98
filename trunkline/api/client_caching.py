"""What a request asks of the cache of answers: LiteLLM's field `cache`, and `Cache-Control`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ..call import Caching
from ..errors import InvalidRequest

LONGEST_NAMESPACE = 200
LONGEST_SECONDS = 366 * 24 * 3600

_MAX_AGE = ("s-maxage", "s-max-age", "max-age")


def of_field(value: Any) -> Caching:
    """Of the field `cache`. Raises InvalidRequest."""
    if not isinstance(value, dict):
        raise InvalidRequest("'cache' must be an object.", param="cache")
    found = Caching()
    for name, given in value.items():
        if given is None:
            continue
        change = _FIELDS.get(name)
        if change is None:
            known = ", ".join(_FIELDS)
            raise InvalidRequest(f"'cache' knows {known}; not '{name[:80]}'.", param="cache")
        found = change(found, given, f"cache.{name}")
    return found


def of_header(found: Caching, value: str) -> Caching:
    """With what `Cache-Control` adds; directives that say nothing to a cache of ours are left."""
    for directive in value.lower().split(","):
        name, _, number = directive.strip().partition("=")
        if name == "no-cache":
            found = replace(found, read=False)
        elif name == "no-store":
            found = replace(found, write=False)
        elif name in _MAX_AGE and number.strip().isdigit():
            found = replace(found, max_age=float(number))
    return found


def _flag(value: Any, name: str) -> bool:
    if not isinstance(value, bool):
        raise InvalidRequest(f"'{name}' must be true or false.", param=name)
    return value


def _seconds(value: Any, name: str) -> float:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not 0 <= value <= LONGEST_SECONDS:
        raise InvalidRequest(f"'{name}' must be a number of seconds, up to a year.", param=name)
    return float(value)


def _namespace(value: Any, name: str) -> str:
    if not isinstance(value, str) or len(value) > LONGEST_NAMESPACE:
        raise InvalidRequest(
            f"'{name}' must be a string of at most {LONGEST_NAMESPACE} characters.", param=name
        )
    return value


_FIELDS: dict[str, Callable[[Caching, Any, str], Caching]] = {
    "no-cache": lambda found, value, name: replace(found, read=not _flag(value, name)),
    "no-store": lambda found, value, name: replace(found, write=not _flag(value, name)),
    "use-cache": lambda found, value, name: replace(found, wanted=_flag(value, name)),
    "ttl": lambda found, value, name: replace(found, ttl=_seconds(value, name)),
    "namespace": lambda found, value, name: replace(found, namespace=_namespace(value, name)),
    **dict.fromkeys(
        _MAX_AGE[:2], lambda found, value, name: replace(found, max_age=_seconds(value, name))
    ),
}
