"""The path table: which shell answers a request, by its method and path.

Whether an answer streams stands in the request's body, which API Gateway can't see; so paths
decide. Fargate answers what can stream, last, or be large, and whatever isn't known here:
pass-through endpoints, MCP, A2A. Lambda answers what is short: operations that the operations table
shows to be, and the paths of administration.

The table is made of rows: a path, a method (or ANY), a shell. A path ends with nothing (that path
alone), or with `{proxy+}` (all below it). API Gateway goes down the paths word by word, a literal
one before a variable one, and of variable ones (`{name}`, `{proxy+}`) it allows a single one below
each path. What becomes of a request that such a way leads nowhere isn't documented, so the table
leaves none: `match` goes down without ever turning back.

This module needs nothing but the standard library and `trunkline.operations`, which needs no more.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from trunkline.call import Operation
from trunkline.operations import OPERATIONS

ANY = "ANY"
PROXY = "{proxy+}"

LARGEST_API = 300
"""Resources that a REST API may have, unless AWS is asked for more."""


class Shell(StrEnum):
    FARGATE = "fargate"
    LAMBDA = "lambda"


@dataclass(frozen=True, slots=True, order=True)
class Row:
    path: str
    method: str
    shell: Shell


ADMINISTRATION = (
    "/key /user /team /budget /customer /end_user /organization /tag /global /spend /model "
    "/model_group /health /hot-reload /cache /routing /feedback /utils /search /v2 /v1/feedback "
    "/v1/model /v1/search"
).split()
"""Whatever stands at these paths and below is short, and of all processes' stores."""

ABOUT = "/ /docs /openapi.json /routes /metrics".split()
"""Short, and nothing below."""

CATALOGUE = ("/models", "/v1/models")
"""Read by GET; Google's generateContent is a POST below it."""

SPELLINGS = ("/v1", "")
"""In which short operations go to Lambda. Below a provider's name (`/openai/v1/…`, `/azure/…`),
requests may be passed on to it, which lasts as long as it wants."""

SHORT = frozenset(
    "embeddings moderations rerank batches fine_tuning vector_stores assistants containers files "
    "uploads search token_counter".split()
)
"""Families of operations that are answered in seconds; but what moves files, isn't: see `lasts`."""


def lasts(operation: Operation) -> bool:
    """Whether Fargate has to answer: the answer streams, is written by a model, or the request or
    the answer holds a file (Lambda's have at most 6 MB, and Base64 makes files a third larger)."""
    large = operation.body == "multipart" or operation.answer == "any"
    return operation.family not in SHORT or operation.streams or large


def shell_of(operation: Operation, path: str) -> Shell:
    """Which shell is to answer an operation at one of its paths."""
    beginning = next((each for each in SPELLINGS if each and path.startswith(each + "/")), "")
    family = path[len(beginning) :].split("/")[1]
    if lasts(operation) or family.startswith("{") or family in _BELOW_PROVIDERS:
        return Shell.FARGATE
    return Shell.LAMBDA


_BELOW_PROVIDERS = frozenset({"openai", "engines"})


def rows(*, fargate: bool = True) -> tuple[Row, ...]:
    """The table. fargate: whether there is one; Lambda answers everything otherwise."""
    if not fargate:
        return (Row("/", ANY, Shell.LAMBDA), Row(f"/{PROXY}", ANY, Shell.LAMBDA))
    found = {Row(f"{path}/{PROXY}", ANY, Shell.FARGATE) for path in ("", "/v1")}
    found.update(_administration(), _catalogue())
    for root, node in _families().items():
        found.update(_below(root, node))
    return tuple(sorted(found))


def _administration() -> Iterator[Row]:
    for path in ABOUT:
        yield Row(path, ANY, Shell.LAMBDA)
    for path in ADMINISTRATION:
        yield Row(path, ANY, Shell.LAMBDA)
        yield Row(f"{path}/{PROXY}", ANY, Shell.LAMBDA)


def _catalogue() -> Iterator[Row]:
    for path in CATALOGUE:
        yield Row(path, ANY, Shell.LAMBDA)
        yield Row(f"{path}/{PROXY}", "GET", Shell.LAMBDA)
        yield Row(f"{path}/{PROXY}", ANY, Shell.FARGATE)


@dataclass(slots=True)
class _Node:
    """A word of a path. methods: of the operations that end here. below: the words that follow."""

    methods: dict[str, Shell] = field(default_factory=dict)
    below: dict[str, _Node] = field(default_factory=dict)

    def shells(self) -> set[Shell]:
        """Those of all operations here and below."""
        return set(self.methods.values()).union(*(each.shells() for each in self.below.values()))


def _families() -> dict[str, _Node]:
    """By the beginning of their paths, those with anything that is short and no row yet."""
    found: dict[str, _Node] = {}
    for operation in OPERATIONS:
        for path in operation.paths:
            root = _root(path)
            if root and root not in ADMINISTRATION and not _under(root, ADMINISTRATION):
                node = found.setdefault(root, _Node())
                for word in path[len(root) :].split("/")[1:]:
                    node = node.below.setdefault(_plain(word), _Node())
                node.methods[operation.method] = shell_of(operation, path)
    return {root: node for root, node in found.items() if Shell.LAMBDA in node.shells()}


def _root(path: str) -> str:
    """`/v1/files` of `/v1/files/{file_id}`; empty for a path of another spelling."""
    words = path.strip("/").split("/")
    taken = words[:2] if words[0] == "v1" else words[:1]
    if taken[0] in {*_BELOW_PROVIDERS, "v1beta"} or "{" in "".join(taken):
        return ""
    return "/" + "/".join(taken)


def _under(path: str, prefixes: Iterable[str]) -> bool:
    return any(path.startswith(prefix + "/") for prefix in prefixes)


def _plain(word: str) -> str:
    """With API Gateway's names: `{file_id}` for `{file_id:path}`."""
    return re.sub(r"\{(\w+):[^}]*\}", r"{\1}", word)


def _below(path: str, node: _Node) -> Iterator[Row]:
    """Rows for a path and all below it, as few as will do."""
    shells = node.shells()
    usual = Shell.LAMBDA if Shell.LAMBDA in shells else Shell.FARGATE
    yield Row(path, ANY, usual)
    if len(shells) == 1:
        if node.below:
            yield Row(f"{path}/{PROXY}", ANY, usual)
        return
    for method, shell in node.methods.items():
        if shell is not usual:
            yield Row(path, method, shell)
    for word, child in node.below.items():
        if word.startswith("{") and len(child.shells()) == 1:
            yield Row(f"{path}/{PROXY}", ANY, child.shells().pop())
        else:
            yield from _below(f"{path}/{word}", child)


def match(table: Iterable[Row], method: str, path: str) -> Row | None:
    """The row that answers, as API Gateway finds it; None for a request that it refuses."""
    by_path: dict[str, dict[str, Row]] = {}
    for row in table:
        by_path.setdefault(row.path, {})[row.method] = row
    at = ""
    for word in path.strip("/").split("/") if path != "/" else ():
        at = _next(by_path, at, word)
        if not at or at.endswith(PROXY):
            break
    methods = by_path.get(at if path != "/" else "/", {})
    return methods.get(method) or methods.get(ANY)


def _next(paths: Iterable[str], at: str, word: str) -> str:
    """The path one word further; empty where there is none."""
    following = {path[len(at) + 1 :].split("/")[0] for path in paths if path.startswith(at + "/")}
    if word in following:
        return f"{at}/{word}"
    return next((f"{at}/{each}" for each in following if each.startswith("{")), "")
