"""What is wrong with a configuration, said so that it can be put right and without secrets."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from ..errors import Place
from ..redaction import redact
from .document import Node, Path, written
from .values import EXPECTED

Problem = tuple[Place, str]

_SECRET = re.compile(
    r"key|secret|token|password|passwd|credential|salt|authorization|cookie|header|private|_url|dsn",
    re.IGNORECASE,
)
_LONGEST_SHOWN = 60

_BY_PYDANTIC = {
    "model_type": "a mapping",
    "dict_type": "a mapping",
    "list_type": "a list",
    "tuple_type": "a list",
}


def problems_of(error: ValidationError, root: Node, variables: Mapping[Path, str]) -> list[Problem]:
    """The schema's complaints, each with its place in the file.

    variables: the environment variables that aren't set, by the path that names them.
    """
    details = error.errors(include_url=False, include_input=False)
    return [_problem(each, root, variables) for each in details]


def _problem(detail: Any, root: Node, variables: Mapping[Path, str]) -> Problem:
    path: Path = detail["loc"]
    node = root.find(path)
    place = Place(node.file, node.line, written(path))
    if detail["type"] == "missing":
        name = variables.get(path)
        reason = f"the environment variable {name} isn't set" if name else "missing"
        return place, f"required, but {reason}"
    what = detail["msg"] if detail["type"] == EXPECTED else _BY_PYDANTIC.get(detail["type"])
    return place, f"expected {what or 'another value'}, got {shown(node, path)}"


def shown(node: Node, path: Path) -> str:
    """A value as it may be shown: what could be a secret is described by its type alone."""
    kind = _kind(node.value)
    if node.variable:
        return f"{kind} (from the environment variable {node.variable})"
    if isinstance(node.value, dict | tuple) or node.value is None:
        return kind
    if any(isinstance(step, str) and _SECRET.search(step) for step in path):
        return kind
    if not isinstance(node.value, str):
        return str(node.value).lower() if isinstance(node.value, bool) else _short(node.value)
    text = node.value
    if len(text) > _LONGEST_SHOWN or redact(text) != text or not text.isprintable():
        return kind
    return f'"{text}"'


def _short(number: int | float) -> str:
    text = str(number)
    return text if len(text) <= _LONGEST_SHOWN else "a large number"


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return "a number"
    kinds: dict[type, str] = {str: "a text", tuple: "a list", dict: "a mapping"}
    return kinds.get(type(value), "nothing")
