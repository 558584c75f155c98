"""Paths to what answers them: exact ones by one look-up, templates by their first segment."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from ..call import Operation
from ..errors import MethodNotAllowed

_NOTHING: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class _Template:
    pattern: re.Pattern[str]
    methods: dict[str, Operation]


class RouteTable:
    """Finds the operation that a method and path ask for."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        self._exact: dict[str, dict[str, Operation]] = {}
        self._templates: dict[str, list[_Template]] = {}
        by_template: dict[str, dict[str, Operation]] = {}
        for operation in operations:
            for path in operation.paths:
                where = by_template if "{" in path else self._exact
                where.setdefault(path, {})[operation.method] = operation
        # Literal segments before names: /files/{id}/content must not be met by /files/{id:path}.
        for path in sorted(by_template, key=_specificity):
            template = _Template(_compile(path), by_template[path])
            self._templates.setdefault(_head(path), []).append(template)

    def match(self, method: str, path: str) -> tuple[Operation, Mapping[str, str]] | None:
        """The operation and the values of its path's names; None for a path that is none of ours.

        Raises MethodNotAllowed for a known path with another method.
        """
        methods = self._exact.get(path)
        if methods is not None and method in methods:
            return methods[method], _NOTHING
        allowed = set(methods or ())
        for template in self._templates.get(_head(path), ()):
            found = template.pattern.fullmatch(path)
            if found is None:
                continue
            if method in template.methods:
                values = {name: unquote(value) for name, value in found.groupdict().items()}
                return template.methods[method], values
            allowed |= template.methods.keys()
        if allowed:
            raise MethodNotAllowed(f"{path} takes {', '.join(sorted(allowed))}, not {method}.")
        return None


def _head(path: str) -> str:
    return path.split("/", 2)[1] if path.startswith("/") else ""


def _compile(path: str) -> re.Pattern[str]:
    parts = re.split(r"(\{\w+(?::path)?\})", path)
    return re.compile("".join(_expression(part) for part in parts))


def _expression(part: str) -> str:
    name = re.fullmatch(r"\{(\w+)(:path)?\}", part)
    if name is None:
        return re.escape(part)
    return f"(?P<{name[1]}>{'.+' if name[2] else '[^/]+'})"


def _specificity(path: str) -> tuple[int, int, str]:
    return (path.count(":path"), path.count("{"), path)
