"""Reads a configuration file and the files that it includes, and merges them as LiteLLM does.

Included files are merged in the order in which they are named, then those that they include:
lists of both are joined, everything else of the included file takes the place of what was there.
"""

from __future__ import annotations

import os
from collections import deque
from dataclasses import field, replace
from pathlib import Path

from ..dataclass import dataclass
from ..errors import ConfigError, Place
from .document import MOST_BYTES, Node, parse
from .files import Disk, Files

INCLUDE = "include"


@dataclass(slots=True)
class Merged:
    """The merged tree, and what is worth telling about the merging."""

    root: Node
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Include:
    """A file to be included. chain: the files through which it was reached, the main one first."""

    path: Path
    named: Node
    chain: tuple[Path, ...]


def read(path: Path, files: Files | None = None) -> Merged:
    """The file's tree with its includes. Raises ConfigError.

    files: where they are read; on disk without.
    """
    files = files or Disk()
    root = _sections(path, Place(files.name(path), 1, ""), files)
    merged = Merged(_without_include(root))
    seen = {_identity(path)}
    waiting = deque(_includes(root, path, (path,), path, files))
    while waiting:
        include = waiting.popleft()
        place = include.named.place(INCLUDE)
        if _identity(include.path) in {_identity(each) for each in include.chain}:
            raise ConfigError((place, f"{include.path} includes itself"))
        if _identity(include.path) in seen:
            continue
        seen.add(_identity(include.path))
        tree = _sections(include.path, place, files)
        merged = _merge(merged, _without_include(tree))
        waiting += _includes(tree, include.path, (*include.chain, include.path), path, files)
    return merged


def _merge(merged: Merged, included: Node) -> Merged:
    base, more = merged.root.value, included.value
    assert isinstance(base, dict)
    assert isinstance(more, dict)
    sections = dict(base)
    warnings = list(merged.warnings)
    for key, node in more.items():
        before = base.get(key)
        if before and isinstance(before.value, tuple) and isinstance(node.value, tuple):
            sections[key] = replace(before, value=before.value + node.value)
            continue
        sections[key] = node
        if before:
            whole = f"takes the place of the whole {key} at {before.file}:{before.line}"
            warnings.append(f"{node.place(key)}: {whole}")
    return Merged(replace(merged.root, value=sections), warnings)


def _includes(
    root: Node, file: Path, chain: tuple[Path, ...], main: Path, files: Files
) -> list[_Include]:
    assert isinstance(root.value, dict)
    entries = root.value.get(INCLUDE)
    if entries is None or entries.value is None:
        return []
    if not isinstance(entries.value, tuple):
        raise ConfigError((entries.place(INCLUDE), "expected a list of files"))
    if files.alone and entries.value:
        problem = f"{files.alone} is one file: it can't include others"
        raise ConfigError((entries.place(INCLUDE), problem))
    found = []
    for entry in entries.value:
        if not isinstance(entry.value, str) or not entry.value or "\0" in entry.value:
            raise ConfigError((entry.place(INCLUDE), "expected a list of files"))
        found.append(_Include(_located(entry.value, file, main, files), entry, chain))
    return found


def _located(name: str, file: Path, main: Path, files: Files) -> Path:
    """Beside the file that names it; else, as in LiteLLM's older versions, beside the main file."""
    beside = Path(os.path.normpath(file.parent / name))
    fallback = Path(os.path.normpath(main.parent / name))
    return fallback if not files.exists(beside) and files.exists(fallback) else beside


def _sections(path: Path, place: Place, files: Files) -> Node:
    """A file's tree, which is a mapping; an empty file that is included has no sections."""
    root = parse(_text(path, place, files), files.name(path))
    if root.value is None and place.path == INCLUDE:
        root = replace(root, value={})
    if not isinstance(root.value, dict):
        what = "nothing" if root.value is None else type(root.plain()).__name__
        names = {"list": "a list", "str": "a text"}
        problem = f"expected a mapping with model_list and settings, got {names.get(what, what)}"
        raise ConfigError((Place(files.name(path), root.line, ""), problem))
    return root


def _text(path: Path, place: Place, files: Files) -> str:
    name = files.name(path)
    try:
        content = files.read(path)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a file name"
        raise ConfigError((place, f"{name} can't be read: {reason}")) from None
    if len(content) > MOST_BYTES:
        raise ConfigError((place, f"{name} is larger than {MOST_BYTES // 2**20} MB"))
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError((Place(name, line, ""), "the file isn't UTF-8 text")) from None


def _without_include(root: Node) -> Node:
    assert isinstance(root.value, dict)
    return replace(root, value={k: v for k, v in root.value.items() if k != INCLUDE})


def _identity(path: Path) -> str:
    return os.path.realpath(path)
