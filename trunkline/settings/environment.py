"""Environment variables in a configuration: `os.environ/NAME` stands for the variable's value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, replace

from ..dataclass import dataclass
from .document import Node, Path

PREFIX = "os.environ/"

LEFT_AS_WRITTEN = frozenset(
    {"anthropic_issuer_signing_key_ref", "anthropic_keycloak_client_secret_ref"}
)
"""Keys whose value is a reference that LiteLLM resolves itself, each time that it is used."""

INDISPENSABLE: Mapping[str, tuple[Path, ...]] = {
    "model_list": ((), ("model_name",), ("litellm_params", "model")),
    "credential_list": ((),),
    "search_tools": ((), ("search_tool_name",), ("litellm_params", "search_provider")),
}
"""Keys of an entry that keep their text when the variable is missing: they name it; () is the entry
itself, without which those after it would be counted wrongly."""


@dataclass(slots=True)
class Resolver:
    """Resolves the references of a tree and remembers those whose variable isn't set.

    missing: the variable's name and the node that names it, by path.
    """

    environ: Mapping[str, str]
    missing: dict[Path, tuple[str, Node]] = field(default_factory=dict)

    def resolve(self, node: Node, path: Path = ()) -> Node | None:
        """The node with values for references; None for a reference without a value."""
        value = node.value
        if isinstance(value, dict):
            resolved = {k: self.resolve(inner, (*path, k)) for k, inner in value.items()}
            return replace(node, value={k: v for k, v in resolved.items() if v is not None})
        if isinstance(value, tuple):
            items = [self.resolve(inner, (*path, n)) for n, inner in enumerate(value)]
            return replace(node, value=tuple(item for item in items if item is not None))
        if not isinstance(value, str) or not value.startswith(PREFIX):
            return node
        if path and path[-1] in LEFT_AS_WRITTEN:
            return node
        name = value.removeprefix(PREFIX).strip()
        found = self.environ.get(name)
        if found is not None:
            return replace(node, value=found, variable=name)
        self.missing[path] = (name, node)
        return node if path[2:] in INDISPENSABLE.get(str(path[0]), ()) else None
