"""Leads a configuration's models to the fakes: addresses are written into its text, nothing else.

The text is edited where the YAML's nodes stand, so that comments, anchors, merge keys, unquoted
dates and everything else reach the gateway as their author wrote them.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import yaml

Address = tuple[str, str]
"""The parameter that names a provider's address, and its value."""

Edit = tuple[int, int, str]
"""Begin and end of what is replaced, and what takes its place."""


def redirected(
    folder: Path,
    into: Path,
    models: Callable[[Mapping[str, str]], Address],
    hosts: Mapping[str, str],
) -> Path:
    """A copy of a folder of configurations, in which every provider is a fake.

    models: the address for an entry's `litellm_params`.
    hosts: addresses for the beginnings of addresses that stand elsewhere, such as the targets of
        pass-through endpoints.
    """
    copy = Path(shutil.copytree(folder, into))
    for path in copy.rglob("*.yaml"):
        text = path.read_text("utf-8")
        root = _mapping(yaml.compose(text, yaml.SafeLoader))
        edits = [*_models(root, models), *_elsewhere(root, hosts)]
        for begin, end, new in sorted(edits, reverse=True):
            text = text[:begin] + new + text[end:]
        path.write_text(text, "utf-8")
    return copy


def _models(
    root: Mapping[str, yaml.Node], address: Callable[[Mapping[str, str]], Address]
) -> Iterator[Edit]:
    for entry in _items(root.get("model_list")):
        node = _mapping(entry)["litellm_params"]
        params = {name: str(value.value) for name, value in _mapping(node).items()}
        if "mock_response" in params or "litellm_credential_name" in params:
            continue
        name, url = address(params)
        if name in params:
            yield from _replaced(_mapping(node)[name], url)
        else:
            yield _added(node, name, url)


def _elsewhere(root: Mapping[str, yaml.Node], hosts: Mapping[str, str]) -> Iterator[Edit]:
    for credential in _items(root.get("credential_list")):
        yield from _moved(_mapping(_mapping(credential)["credential_values"])["api_base"], hosts)
    general = _mapping(root.get("general_settings"))
    for endpoint in _items(general.get("pass_through_endpoints")):
        yield from _moved(_mapping(endpoint)["target"], hosts)


def _moved(node: yaml.Node, hosts: Mapping[str, str]) -> Iterator[Edit]:
    for host, url in hosts.items():
        if node.value.startswith(host):
            yield from _replaced(node, url + node.value.removeprefix(host))


def _replaced(node: yaml.Node, new: str) -> Iterator[Edit]:
    """Nothing for a variable, whose value the environment gives."""
    if not node.value.startswith("os.environ/"):
        yield node.start_mark.index, node.end_mark.index, new


def _added(params: yaml.Node, name: str, url: str) -> Edit:
    """A parameter before `model`, in the style of the mapping."""
    model = next(key for key, _ in params.value if key.value == "model")
    place = model.start_mark.index
    after = ", " if params.flow_style else "\n" + " " * model.start_mark.column
    return place, place, f"{name}: {url}{after}"


def _mapping(node: yaml.Node | None) -> dict[str, yaml.Node]:
    if not isinstance(node, yaml.MappingNode):
        return {}
    return {key.value: value for key, value in node.value}


def _items(node: yaml.Node | None) -> list[yaml.Node]:
    return node.value if isinstance(node, yaml.SequenceNode) else []
