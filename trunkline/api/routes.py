"""Paths to what answers them: exact ones by one look-up, templates by how they begin.

    {name}       one segment, without slashes
    {name:path}  one or more segments
    {name:a|b}   one of these words

Templates are met by the path as the client encoded it: `%2F` is a slash inside of a value.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cached_property
from itertools import product
from urllib.parse import quote, unquote

from ..call import Operation
from ..dataclass import dataclass
from ..errors import MethodNotAllowed

_NOTHING: Mapping[str, str] = {}
_NAME = re.compile(r"\{(\w+)(?::([\w|]+))?\}")


@dataclass(frozen=True)
class _Template:
    path: str
    methods: dict[str, Operation]

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """Compiled when it is first asked: all of them would take a tenth of a cold start."""
        return _compile(self.path)


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
        # Literal segments before names: /videos/characters/{id} is not /videos/{id}/{x}.
        for path in sorted(by_template, key=_specificity):
            template = _Template(path, by_template[path])
            for beginning in _beginnings(path):
                self._templates.setdefault(beginning, []).append(template)

    def match(
        self, method: str, path: str, raw_path: bytes | None = None
    ) -> tuple[Operation, Mapping[str, str]] | None:
        """The operation and the values of its path's names; None for a path that is none of ours.

        raw_path: the path as the client encoded it, so that a slash inside of a value (`%2F`) is
            told from one between segments; None where the server doesn't hand it on.

        Raises MethodNotAllowed for a known path with another method.
        """
        methods = self._exact.get(path)
        if methods is not None and method in methods:
            return methods[method], _NOTHING
        allowed = set(methods or ())
        encoded = raw_path.decode("latin-1") if raw_path else quote(path, safe="/:")
        for template in self._candidates(encoded):
            found = template.pattern.fullmatch(encoded)
            if found is None:
                continue
            if method in template.methods:
                values = {name: unquote(value) for name, value in found.groupdict().items()}
                return template.methods[method], values
            allowed |= template.methods.keys()
        if allowed:
            raise MethodNotAllowed(f"{path} takes {', '.join(sorted(allowed))}, not {method}.")
        return None

    def _candidates(self, path: str) -> Iterable[_Template]:
        first, _, rest = path.removeprefix("/").partition("/")
        second = rest.partition("/")[0]
        yield from self._templates.get(f"/{first}/{second}", ())
        yield from self._templates.get(f"/{first}", ())


def _beginnings(path: str) -> list[str]:
    """The first two segments in every wording; the first alone where the second is a name."""
    first, second = path.split("/", 3)[1:3]
    words = [first] if "{" not in first else _choices(first)
    if "{" in second:
        return [f"/{word}" for word in words]
    return ["/" + "/".join(pair) for pair in product(words, [second])]


def _choices(segment: str) -> list[str]:
    found = _NAME.fullmatch(segment)
    assert found is not None
    return found[2].split("|")


def _compile(path: str) -> re.Pattern[str]:
    parts = re.split(r"(\{[^}]+\})", path)
    return re.compile("".join(map(_expression, parts)))


def _expression(part: str) -> str:
    name = _NAME.fullmatch(part)
    if name is None:
        return re.escape(part)
    # A segment may be empty here: an empty id is refused by name, not taken for an unknown path.
    kinds = {None: "[^/]*", "path": ".+"}
    return f"(?P<{name[1]}>{kinds.get(name[2], name[2])})"


def _specificity(path: str) -> tuple[int, int, str]:
    return (path.count(":path"), path.count("{"), path)
