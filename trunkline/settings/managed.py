"""What `os.environ/NAME` stands for where the environment has no NAME: values of a secret manager.

general_settings:
  key_management_system: aws_secret_manager
  key_management_settings: {primary_secret_name: gateway}
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Protocol

from pydantic import ValidationError

from ..errors import ConfigError
from .document import Node
from .environment import PREFIX, Resolver
from .schema import KeyManagement, Section

SYSTEM: Final = "aws_secret_manager"
_GENERAL: Final = "general_settings"
_SYSTEM: Final = (_GENERAL, "key_management_system")
_SETTINGS: Final = (_GENERAL, "key_management_settings")


class SecretsError(Exception):
    """A secret can't be read: which, and why, without anything that is in one."""


class Unread(ConfigError):
    """A secret that the configuration needs can't be read now."""


class Vault(Protocol):
    """Secrets of a secret manager."""

    def managed(self, names: Sequence[str], settings: KeyManagement) -> Mapping[str, str]:
        """The values of those names that there are; of a primary secret all, without `names`.

        Raises SecretsError where that can't be told.
        """
        ...


class _Keys(Section):
    key_management_system: str = ""
    key_management_settings: KeyManagement = KeyManagement()


def values_of(root: Node, environ: Mapping[str, str], vault: Vault | None) -> dict[str, str]:
    """What a configuration's secret manager adds to the environment; never in its place.

    Raises Unread where the manager has to be asked and doesn't answer.
    """
    keys = _keys(root, environ)
    if keys is None or vault is None:
        return {}
    settings = keys.key_management_settings
    names = sorted(set(_names(root)) - environ.keys())
    if settings.hosted_keys is not None:
        names = [name for name in settings.hosted_keys if name not in environ]
    elif settings.primary_secret_name:
        names = []
    try:
        found = vault.managed(names, settings)
    except SecretsError as error:
        raise Unread((root.find(_SYSTEM).place(*_SYSTEM), str(error))) from None
    return {name: value for name, value in found.items() if name not in environ}


def ignored(root: Node) -> Iterator[str]:
    """A warning for a secret manager that isn't read."""
    node = root.find(_SYSTEM)
    if isinstance(node.value, str) and node.value and node.value != SYSTEM:
        yield f"{node.place(*_SYSTEM)}: '{node.value}' is not supported yet: it has no effect"


def _keys(root: Node, environ: Mapping[str, str]) -> _Keys | None:
    """What is said of the secret manager; None where none is read, or the schema will complain."""
    resolved = Resolver(environ).resolve(root.find((_GENERAL,)))
    general = resolved.plain() if resolved is not None else None
    if not isinstance(general, dict) or general.get(_SYSTEM[1]) != SYSTEM:
        return None
    try:
        keys = _Keys.model_validate({key: general.get(key) for key in _Keys.model_fields})
    except ValidationError:
        return None
    return None if keys.key_management_settings.access_mode == "write_only" else keys


def _names(node: Node) -> Iterator[str]:
    """The names of all references of a tree."""
    if isinstance(node.value, dict):
        for inner in node.value.values():
            yield from _names(inner)
    elif isinstance(node.value, tuple):
        for inner in node.value:
            yield from _names(inner)
    elif isinstance(node.value, str) and node.value.startswith(PREFIX):
        yield node.value.removeprefix(PREFIX).strip()
