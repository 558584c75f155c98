"""The arguments of learned strategies, and what of them can be checked in the file itself."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator, Mapping
from dataclasses import field, fields
from difflib import get_close_matches
from typing import Any

from ..dataclass import dataclass
from ..errors import Place
from .document import Node
from .strategies import LEARNED, canonical

EMBEDDERS = ("static", "minilm-onnx")
VIRTUAL_MODEL = "auto"
RELOAD_INTERVAL = 60.0
TIMEOUT_MS = 100.0
"""How long a decision may take where nothing else is configured."""

S3 = "s3://"

_SECTION = "router_settings"
_ARGS = "routing_strategy_args"
ROLES = ("small_model", "large_model", "verifier_model", "reasoning_model")
"""Arguments that name a model which a strategy calls."""
_OF_WORKFLOWS = frozenset(
    [
        *ROLES,
        "threshold",
        "samples",
        "max_parts",
        "max_rounds",
        "max_calls",
        "max_tokens",
        "max_seconds",
    ]
)
_ONNX = EMBEDDERS[1]


@dataclass(frozen=True, slots=True)
class LearnedArgs:
    """`routing_strategy_args` of a learned strategy.

    model_path: a bundle: file, folder or `s3://bucket/key`. llm_data_path: LLMRouter's candidates.
    model_s3_bucket, model_s3_key: the same bundle, as two settings.
    hot_reload: look for a changed bundle every `reload_interval` seconds.
    cost_weight: see `routing/heads/head.py`. timeout_ms: milliseconds that a decision may take.
    virtual_model: the name by which clients ask for any model that the labels name.
    embedder, embedder_path: another embedder than the one that ships.
    all: everything as it is written, for what only one strategy has.
    """

    model_path: str = ""
    llm_data_path: str = ""
    model_s3_bucket: str = ""
    model_s3_key: str = ""
    hot_reload: bool = False
    reload_interval: float = RELOAD_INTERVAL
    cost_weight: float | None = None
    timeout_ms: float = TIMEOUT_MS
    virtual_model: str = VIRTUAL_MODEL
    embedder: str = EMBEDDERS[0]
    embedder_path: str = ""
    all: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, args: Mapping[str, Any]) -> LearnedArgs:
        given = {
            each.name: args[each.name]
            for each in fields(cls)
            if each.name != "all" and args.get(each.name) is not None
        }
        return cls(**given, all=args)

    @property
    def bucket_and_key(self) -> tuple[str, str] | None:
        """Where the bundle is on S3; None where it isn't there."""
        if self.model_s3_bucket:
            return self.model_s3_bucket, self.model_s3_key
        if self.model_path.startswith(S3):
            bucket, _, key = self.model_path.removeprefix(S3).partition("/")
            return bucket, key
        return None


def located(base: pathlib.Path, path: str) -> pathlib.Path:
    """A file that the configuration names, relative to the folder of the configuration."""
    named = pathlib.Path(path)
    try:
        return base / named.expanduser()
    except RuntimeError:  # nobody is called so, and the name stays as it is, as in shells
        return base / named


def problems_of(root: Node, file: pathlib.Path) -> Iterator[tuple[Place, str]]:
    """What a learned strategy lacks. file: the configuration, whose folder paths start from."""
    found = _strategy(root)
    if found is None:
        return
    strategy, node = found
    given = {name: each.plain() for name, each in _section(root, _SECTION, _ARGS).items()}
    where = node.place(_SECTION, "routing_strategy")

    def text(name: str) -> str:
        value = given.get(name)
        return value if isinstance(value, str) else ""

    def at(name: str) -> Place:
        return root.find((_SECTION, _ARGS, name)).place(_SECTION, _ARGS, name)

    bucket, key = text("model_s3_bucket"), text("model_s3_key")
    path, candidates = text("model_path"), text("llm_data_path")
    if bool(bucket) != bool(key):
        name = "model_s3_bucket" if bucket else "model_s3_key"
        yield at(name), "model_s3_bucket and model_s3_key go together"
    if path and bucket:
        yield at("model_path"), "the bundle has two places: this one and model_s3_bucket"
    need = LEARNED[strategy].bundle
    if not (path or bucket) and not (need == "optional" and candidates):
        or_else = " or llm_data_path" if need == "optional" else ""
        yield (
            where,
            f"{strategy} needs routing_strategy_args.model_path (or model_s3_bucket and"
            f" model_s3_key){or_else}",
        )
    if path.startswith(S3) and not all(path.removeprefix(S3).partition("/")[::2]):
        yield at("model_path"), "expected s3://bucket/key"
    for name, value in (("model_path", path), ("llm_data_path", candidates)):
        if value and not value.startswith(S3) and not located(file.parent, value).exists():
            yield at(name), f"there is nothing at {located(file.parent, value)}"
    if text("embedder") == _ONNX and not text("embedder_path"):
        yield at("embedder"), f"{_ONNX} needs embedder_path, the folder of the exported model"
    for name, must in LEARNED[strategy].roles:
        if must and not text(name):
            yield where, f"{strategy} needs routing_strategy_args.{name}, a model of model_list"


def unused(root: Node) -> Iterator[str]:
    """Arguments that no learned strategy has, as warnings."""
    if _strategy(root) is None:
        return
    known = {each.name for each in fields(LearnedArgs)} - {"all"} | _OF_WORKFLOWS
    for name, node in _section(root, _SECTION, _ARGS).items():
        if name not in known:
            close = get_close_matches(name, known, 1, 0.8)
            hint = f" (did you mean {close[0]}?)" if close else ""
            yield f"{node.place(_SECTION, _ARGS, name)}: unknown; it has no effect{hint}"


def virtual_model(root: Node) -> tuple[str, Node] | None:
    """The name of the virtual model, and where it comes from; None under a built-in strategy."""
    found = _strategy(root)
    if found is None:
        return None
    node = _section(root, _SECTION, _ARGS).get("virtual_model")
    if node is not None and isinstance(node.value, str) and node.value:
        return node.value, node
    return VIRTUAL_MODEL, found[1]


def _strategy(root: Node) -> tuple[str, Node] | None:
    node = _section(root, _SECTION).get("routing_strategy")
    if node is None or not isinstance(node.value, str):
        return None
    name = canonical(node.value)
    return (name, node) if name is not None and name in LEARNED else None


def _section(root: Node, *path: str) -> Mapping[str, Node]:
    """The nodes of a mapping; none where there is no mapping at the path."""
    node: Node | None = root
    for step in path:
        node = node.value.get(step) if node is not None and isinstance(node.value, dict) else None
    return node.value if node is not None and isinstance(node.value, dict) else {}
