"""Checks that models which are named elsewhere in a configuration exist in its `model_list`."""

from __future__ import annotations

from collections.abc import Iterator

from ..dataclass import dataclass
from ..errors import Place
from .document import Node, Path, written
from .fallbacks import EVERY, without_effect
from .known import NOT_SHARED, PRIORITY
from .learned import ROLES, virtual_model
from .problems import Problem, shown
from .wildcards import WILDCARD, Wildcard, wildcards

SECTIONS = ("router_settings", "litellm_settings")
ROUTING = ("router_settings", "routing_groups")
FALLBACKS = ("fallbacks", "context_window_fallbacks", "content_policy_fallbacks")


@dataclass(frozen=True, slots=True)
class Names:
    """The names that a call can ask for."""

    groups: frozenset[str]
    tools: frozenset[str]
    routing: frozenset[str]
    aliases: frozenset[str]
    ids: frozenset[str]
    virtual: frozenset[str]
    wildcards: tuple[Wildcard, ...]

    @classmethod
    def of(cls, root: Node) -> Names:
        entries = _items(_at(root, "model_list"))
        groups = {name for entry in entries if (name := _text(_at(entry, "model_name")))}
        tools = _items(_at(root, "search_tools"))
        searches = {name for entry in tools if (name := _text(_at(entry, "search_tool_name")))}
        routing = _items(_at(root, *ROUTING))
        unions = {name for group in routing if (name := _text(_at(group, "group_name")))}
        ids = {name for entry in entries if (name := _text(_at(entry, "model_info", "id")))}
        aliases = _mapping(_at(root, "router_settings", "model_group_alias"))
        virtual = virtual_model(root)
        return cls(
            frozenset(groups),
            frozenset(searches),
            frozenset(unions),
            frozenset(aliases),
            frozenset(ids),
            frozenset([virtual[0]] if virtual else ()),
            wildcards(groups),
        )

    def serves(self, name: str, *, aliases: bool = True) -> bool:
        if any(name in names for names in self._exact):
            return True
        if aliases and name in self.aliases:
            return True
        return any(self._matches(each, name) for each in self.wildcards)

    @property
    def _exact(self) -> tuple[frozenset[str], ...]:
        return self.groups, self.ids, self.routing, self.virtual

    def is_model(self, name: str) -> bool:
        """Whether a model group or an alias has this very name."""
        return name in self.groups or name in self.aliases

    def may_fail(self, name: str) -> bool:
        """Whether fallbacks can be named for it: also for a model without its provider's prefix."""
        prefixed = any(group.endswith(f"/{name}") for group in self.groups)
        return name == EVERY or prefixed or self.stands_in(name)

    def stands_in(self, name: str) -> bool:
        """Whether it can be a fallback; for searches, another search tool can."""
        return name in self.tools or self.serves(name)

    def _matches(self, wildcard: Wildcard, name: str) -> bool:
        """LiteLLM also tries a bare name with its provider before it."""
        prefix, slash, _ = wildcard.group.partition("/")
        bare = slash and "/" not in name and WILDCARD not in prefix
        return wildcard.match(name) is not None or bool(
            bare and wildcard.match(f"{prefix}/{name}") is not None
        )


def problems_of(root: Node) -> Iterator[Problem]:
    """Names of models that nothing in the configuration serves, and ids that are given twice."""
    names = Names.of(root)
    yield from _duplicate_ids(root)
    for path, node in _named(root):
        name = _target(node)
        if name and not names.stands_in(name):
            yield _unknown(node, path, name, names)
    for path, node, name in _failing(root):
        if not names.may_fail(name):
            yield _unknown(node, path, name, names)
    yield from _unknown_credentials(root)
    yield from _routing_groups(root, names)
    yield from _virtual_model(root, names)
    aliases = ("router_settings", "model_group_alias")
    for alias, node in _mapping(_at(root, *aliases)).items():
        name = _target(node)
        if name and not names.serves(name, aliases=False):
            yield _unknown(node, (*aliases, alias), name, names)


def unused(root: Node) -> Iterator[str]:
    """What is said about models and has no effect, as warnings."""
    names = Names.of(root)
    policies = ("router_settings", "model_group_retry_policy")
    for group, node in _mapping(_at(root, *policies)).items():
        if not names.may_fail(group):
            yield f"{node.place(*policies, group)}: there is no model of this name"
    yield from _unused_groups(root, names)
    defaults = ("router_settings", "default_litellm_params")
    for name, node in _mapping(_at(root, *defaults)).items():
        if name in NOT_SHARED:
            yield f"{node.place(*defaults, name)}: deployments can't share this; it has no effect"
    for path, target in _named(root):
        if target is not None and isinstance(target.value, dict):
            for name in without_effect(target.plain()):
                place = target.value[name].place(*path, name)
                yield f"{place}: a fallback can't set this; it has no effect"


def _unused_groups(root: Node, names: Names) -> Iterator[str]:
    for number, group in enumerate(_items(_at(root, *ROUTING))):
        if names.is_model(_text(_at(group, "group_name"))):
            place = group.place(*ROUTING, number, "group_name")
            yield f"{place}: a model has this name; the group can't be asked for by it"
        for at, node in enumerate(_items(_at(group, "models"))):
            if not names.serves(_text(node)):
                place = node.place(*ROUTING, number, "models", at)
                yield f"{place}: there is no model of this name"


def _routing_groups(root: Node, names: Names) -> Iterator[Problem]:
    """Groups of one name, and models to which two groups give a strategy."""
    seen: set[str] = set()
    owners: dict[str, str] = {}
    for number, group in enumerate(_items(_at(root, *ROUTING))):
        name, place = _text(_at(group, "group_name")), group.place(*ROUTING, number)
        priority = _text(_at(group, "routing_strategy")) == PRIORITY
        if name and name in seen:
            yield place, f"expected one group of the name {name}"
        if priority and names.is_model(name):
            yield place, f"expected a group_name that no model has, got {name}"
        seen.add(name)
        for model in () if priority else dict.fromkeys(map(_text, _items(_at(group, "models")))):
            if owners.setdefault(model, name) != name:
                yield place, f"expected models of one group only: {model} is in {owners[model]}"


def _virtual_model(root: Node, names: Names) -> Iterator[Problem]:
    """A virtual model, or a model that calls are made to, that something else is called like."""
    found = virtual_model(root)
    if found is None:
        return
    name, node = found
    args = ("router_settings", "routing_strategy_args")
    if name in names.groups | names.aliases | names.routing | names.ids:
        place = node.place(*args, "virtual_model")
        yield place, f"expected a name that no model has, got {name}: set another virtual_model"
    for role in ROLES:
        model = _at(root, *args, role)
        asked = _text(model)
        if model is not None and asked and (asked == name or not names.serves(asked)):
            yield _unknown(model, (*args, role), asked, names)


def _unknown_credentials(root: Node) -> Iterator[Problem]:
    credentials = _items(_at(root, "credential_list"))
    names = {_text(_at(each, "credential_name")) for each in credentials}
    for number, entry in enumerate(_items(_at(root, "model_list"))):
        node = _at(entry, "litellm_params", "litellm_credential_name")
        if node is not None and _text(node) and _text(node) not in names:
            place = node.place("model_list", number, "litellm_params", "litellm_credential_name")
            yield place, "expected the credential_name of an entry of credential_list"


def _named(root: Node) -> Iterator[tuple[Path, Node | None]]:
    """Every place that names a model that is to be called."""
    for section in SECTIONS:
        yield from _listed(_at(root, section, "default_fallbacks"), (section, "default_fallbacks"))
        for key in FALLBACKS:
            for number, entry in enumerate(_items(_at(root, section, key))):
                path = (section, key, number)
                if isinstance(entry.value, str):
                    yield path, entry
                for model, targets in _mapping(entry).items():
                    yield from _listed(targets, (*path, model))
    completion = ("general_settings", "completion_model")
    yield completion, _at(root, *completion)


def _failing(root: Node) -> Iterator[tuple[Path, Node, str]]:
    """Every place that names a model that others stand in for."""
    for section in SECTIONS:
        for key in FALLBACKS:
            for number, entry in enumerate(_items(_at(root, section, key))):
                for model, node in _mapping(entry).items():
                    yield (section, key, number), node, model


def _listed(node: Node | None, path: Path) -> Iterator[tuple[Path, Node | None]]:
    if node is None or not isinstance(node.value, tuple):
        yield path, node
    for number, item in enumerate(_items(node)):
        yield (*path, number), item


def _duplicate_ids(root: Node) -> Iterator[Problem]:
    first: dict[str, int] = {}
    for number, entry in enumerate(_items(_at(root, "model_list"))):
        node = _at(entry, "model_info", "id")
        name = _text(node)
        if node is None or not name:
            continue
        if name in first:
            place = node.place("model_list", number, "model_info", "id")
            yield place, f"this id is already that of model_list[{first[name]}]"
        first.setdefault(name, number)


def _unknown(node: Node | None, path: Path, name: str, names: Names) -> Problem:
    assert node is not None
    known = ", ".join(sorted(names.groups)[:20]) or "none"
    place = Place(node.file, node.line, written(path))
    got = shown(node, path) if _text(node) == name else f'"{name}"'
    return place, f"expected a model of model_list (there are: {known}), got {got}"


def _at(node: Node | None, *path: str) -> Node | None:
    for step in path:
        node = _mapping(node).get(step)
    return node


def _items(node: Node | None) -> tuple[Node, ...]:
    return node.value if node is not None and isinstance(node.value, tuple) else ()


def _mapping(node: Node | None) -> dict[str, Node]:
    return node.value if node is not None and isinstance(node.value, dict) else {}


def _target(node: Node | None) -> str:
    """The model that a name, or a mapping with `model`, stands for."""
    return _text(_at(node, "model") if _mapping(node) else node)


def _text(node: Node | None) -> str:
    """A name; ids may be written as whole numbers."""
    value = node.value if node is not None else None
    return str(value) if type(value) in (str, int) else ""
