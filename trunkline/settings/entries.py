"""Entries of `model_list` that come over the API: checked as those of the file are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from ..errors import InvalidRequest
from . import credentials, problems
from .document import Node, Path, written
from .environment import PREFIX
from .schema import ModelEntry, Settings

_READ_ELSEWHERE = (PREFIX, "oidc/")
"""Beginnings of values that stand for something of the gateway's machine."""


def checked_entry(data: Mapping[str, Any], settings: Settings) -> ModelEntry:
    """data: an entry as JSON, with `model_info.id`. settings: the configuration without it.

    Raises InvalidRequest, which names the field.
    """
    node = _tree(dict(data))
    for path, value in _texts(dict(data)):
        if value.startswith(_READ_ELSEWHERE):
            raise _refused(
                written(path),
                "a stored model can't refer to environment variables or files of the gateway",
            )
    try:
        entry = ModelEntry.model_validate(dict(data))
    except ValidationError as error:
        place, reason = problems.problems_of(error, node, {})[0]
        raise _refused(place.path, reason) from None
    _check_credentials(node, entry, settings)
    _check_names(entry, settings)
    return entry


def _check_credentials(node: Node, entry: ModelEntry, settings: Settings) -> None:
    named = entry.litellm_params.litellm_credential_name
    known = {each.credential_name: each for each in settings.credential_list}
    if named is not None and named not in known:
        raise _refused(
            "litellm_params.litellm_credential_name",
            "expected the credential_name of an entry of credential_list",
        )
    listed = [
        {
            "credential_name": name,
            "credential_values": each.credential_values.model_dump(exclude_unset=True),
        }
        for name, each in known.items()
        if name == named
    ]
    root = _tree({"credential_list": listed})
    assert isinstance(root.value, dict)
    root.value["model_list"] = Node((node,), node.file, 1)
    for place, reason in credentials.problems_of(root):
        raise _refused(place.path.rpartition("].")[2], reason)


def _check_names(entry: ModelEntry, settings: Settings) -> None:
    learned = settings.router_settings.learned
    if learned is not None and entry.model_name == learned.virtual_model:
        raise _refused("model_name", "the model that stands for all others is called so")


def _refused(param: str, reason: str) -> InvalidRequest:
    return InvalidRequest(f"{param}: {reason}.", param=param, code="invalid_model")


def _tree(value: Any) -> Node:
    if isinstance(value, dict):
        return Node({str(key): _tree(each) for key, each in value.items()}, "request", 1)
    if isinstance(value, list):
        return Node(tuple(map(_tree, value)), "request", 1)
    return Node(value, "request", 1)


def _texts(value: Any, path: Path = ()) -> Iterator[tuple[Path, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, each in value.items():
            yield from _texts(each, (*path, key))
    elif isinstance(value, list):
        for number, each in enumerate(value):
            yield from _texts(each, (*path, number))
