"""A YAML file as a tree in which every value knows where it stands.

Read from the parser's events, so that depth and size are bounded before anything is built, and
duplicate keys, aliases and merge keys are seen.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field, replace
from typing import Any

import yaml
from yaml.constructor import ConstructorError
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)
from yaml.nodes import ScalarNode

from ..dataclass import dataclass
from ..errors import ConfigError, Place

MOST_BYTES = 8 * 1024 * 1024
DEEPEST = 64
MOST_VALUES = 250_000
"""Values in a file with its aliases written out; large real ones have some 10,000."""

Scalar = str | int | float | bool | None
Path = tuple[str | int, ...]

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_TAG = "tag:yaml.org,2002:"
_SCALARS = frozenset(f"{_TAG}{name}" for name in ("null", "bool", "int", "float", "str"))
_COLLECTIONS = frozenset({None, "!", f"{_TAG}map", f"{_TAG}seq"})
_MERGE = f"{_TAG}merge"
_TEXT_BY_DEFAULT = frozenset({f"{_TAG}timestamp", f"{_TAG}value", _MERGE})
"""Plain scalars that YAML takes for something else: `api_version: 2024-02-01` is a text to us."""

# Neither names what it found: it may be a password that should have been quoted.
_ALIAS = "an alias can't be followed (is this a text that begins with * and needs quotes?): "
_UNKNOWN_TAG = "a YAML tag isn't supported (is this a text that begins with ! and needs quotes?)"


@dataclass(frozen=True, slots=True)
class Node:
    """A value of the file.

    value: a scalar, a tuple of nodes, or nodes by key.
    line: where it stands, from 1; for a value in a mapping, the line of its key.
    size: the values in it, itself included.
    variable: the environment variable that it was read from; empty when it stands in the file.
    """

    value: Scalar | tuple[Node, ...] | dict[str, Node]
    file: str
    line: int
    size: int = 1
    variable: str = ""

    def place(self, *path: str | int) -> Place:
        return Place(self.file, self.line, written(path))

    def find(self, path: Path) -> Node:
        """The node at a path, or the deepest one on the way to it."""
        node = self
        for step in path:
            inner: Any = node.value
            try:
                node = inner[step]
            except (KeyError, IndexError, TypeError):
                break
        return node

    def plain(self) -> Any:
        """The value without places."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, tuple):
            return [node.plain() for node in self.value]
        return self.value


def written(path: Path) -> str:
    """A path as people write it: `model_list[2].litellm_params.timeout`."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.removeprefix(".")


def parse(text: str, file: str) -> Node:
    """The tree of a YAML text with one document, which may be empty.

    Raises ConfigError, with all the duplicate keys or with the first other fault.
    """
    reader = _Reader(file)
    try:
        root = reader.read(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        reason = error.problem or error.context or "not YAML"
        raise reader.fault(mark.line + 1 if mark else 1, f"not valid YAML: {reason}") from None
    except (yaml.YAMLError, UnicodeError) as error:
        reason = getattr(error, "reason", "unreadable characters")
        line = text.count("\n", 0, getattr(error, "position", None) or 0) + 1
        raise reader.fault(line, f"not valid YAML: {reason}") from None
    if reader.problems:
        raise ConfigError(*reader.problems)
    return root


@dataclass(slots=True)
class _Reader:
    file: str
    problems: list[tuple[Place, str]] = field(default_factory=list)
    anchors: dict[str, Node | None] = field(default_factory=dict)
    values: int = 0
    resolver: Any = field(default_factory=lambda: _Loader(""))

    def fault(self, line: int, reason: str) -> ConfigError:
        return ConfigError(*self.problems, (Place(self.file, line, ""), reason))

    def read(self, text: str) -> Node:
        events: Iterator[Event] = yaml.parse(text, Loader=_Loader)
        root: Node | None = None
        for event in events:
            if isinstance(event, DocumentStartEvent) and root is not None:
                raise self.fault(_line(event), "expected one YAML document, got a second one")
            if isinstance(event, NodeEvent):
                root = self.node(event, events, 1)
        return root or Node(None, self.file, 1)

    def node(self, event: NodeEvent, events: Iterator[Event], depth: int) -> Node:
        if depth > DEEPEST:
            raise self.fault(_line(event), f"nested more than {DEEPEST} levels deep")
        if isinstance(event, AliasEvent):
            return self.count(self.alias(event))
        if event.anchor:
            self.anchors[event.anchor] = None
        if isinstance(event, ScalarEvent):
            node = self.scalar(event)
        elif isinstance(event, SequenceStartEvent):
            node = self.sequence(event, events, depth)
        else:
            assert isinstance(event, MappingStartEvent)
            node = self.mapping(event, events, depth)
        if event.anchor:
            self.anchors[event.anchor] = node
        return node

    def count(self, node: Node) -> Node:
        self.values += node.size
        if self.values > MOST_VALUES:
            raise self.fault(node.line, f"more than {MOST_VALUES} values, aliases written out")
        return node

    def alias(self, event: AliasEvent) -> Node:
        name = event.anchor
        if name not in self.anchors:
            raise self.fault(_line(event), f"{_ALIAS}no anchor stands before it")
        node = self.anchors[name]
        if node is None:
            raise self.fault(_line(event), f"{_ALIAS}it stands in its own anchor")
        return node

    def scalar(self, event: ScalarEvent) -> Node:
        line = _line(event)
        tag = self.tag(event)
        if tag in _TEXT_BY_DEFAULT and event.tag is None:
            return self.count(Node(event.value, self.file, line))
        if tag not in _SCALARS:
            raise self.fault(line, _UNKNOWN_TAG)
        try:
            value = self.resolver.construct_object(ScalarNode(tag, event.value))
        except (ValueError, KeyError, ConstructorError):
            kind = tag.removeprefix(_TAG)
            self.problems.append((Place(self.file, line, ""), f"not a valid {kind}"))
            value = None
        return self.count(Node(value, self.file, line))

    def tag(self, event: ScalarEvent) -> Any:
        if event.tag is not None and event.tag != "!":
            return event.tag
        implicit = event.implicit if event.tag is None else (False, True)
        return self.resolver.resolve(ScalarNode, event.value, implicit)

    def sequence(self, event: SequenceStartEvent, events: Iterator[Event], depth: int) -> Node:
        self.collection(event)
        items: list[Node] = []
        for inner in events:
            if isinstance(inner, SequenceEndEvent):
                break
            assert isinstance(inner, NodeEvent)
            items.append(self.node(inner, events, depth + 1))
        size = 1 + sum(item.size for item in items)
        return Node(tuple(items), self.file, _line(event), size)

    def mapping(self, event: MappingStartEvent, events: Iterator[Event], depth: int) -> Node:
        self.collection(event)
        own: dict[str, Node] = {}
        merged: dict[str, Node] = {}
        for key in events:
            if isinstance(key, MappingEndEvent):
                break
            name = self.key(key)
            following = next(events)
            assert isinstance(following, NodeEvent)
            value = self.node(following, events, depth + 1)
            if self.is_merge(key):
                self.merge(value, merged)
                continue
            if name in own:
                first, again = own[name].line, Place(self.file, _line(key), name)
                self.problems.append((again, f"this key is already given on line {first}"))
            own[name] = replace(value, line=_line(key))
        for name, node in merged.items():
            own.setdefault(name, node)
        return Node(own, self.file, _line(event), 1 + sum(node.size for node in own.values()))

    def key(self, event: Event) -> str:
        """A key as it is written, be it a text, a number or a date."""
        if isinstance(event, AliasEvent):
            node = self.alias(event)
            if isinstance(node.value, str):
                return node.value
        elif isinstance(event, ScalarEvent):
            if event.anchor:
                self.anchors[event.anchor] = Node(event.value, self.file, _line(event))
            return str(event.value)
        raise self.fault(_line(event), "expected a text as the key, got a list or a mapping")

    def is_merge(self, event: Event) -> bool:
        return isinstance(event, ScalarEvent) and self.tag(event) == _MERGE

    def merge(self, value: Node, merged: dict[str, Node]) -> None:
        """YAML's merge key: the mapping's own keys win, then the earlier of the merged ones."""
        for source in value.value if isinstance(value.value, tuple) else (value,):
            if not isinstance(source.value, dict):
                raise self.fault(value.line, "expected a mapping, or a list of them, after <<")
            for name, node in source.value.items():
                merged.setdefault(name, node)

    def collection(self, event: Any) -> None:
        if event.tag not in _COLLECTIONS:
            raise self.fault(_line(event), _UNKNOWN_TAG)
        self.count(Node(None, self.file, _line(event)))


def _line(event: Event) -> int:
    mark = event.start_mark
    return mark.line + 1 if mark else 1
