"""Which values of a deployment are secret, so that no error shows them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ..call import Deployment
from ..settings import addresses
from .environment import ENVIRON

_SECRET_NAME = re.compile(
    r"key|token|secret|password|passwd|credential|authorization|cookie|signature|connection_string",
    re.IGNORECASE,
)
_NOT_SECRET = re.compile(r"max_.*token|token_limit|_per_token|^(?:public|primary)_key$|tokenizer")
_HEADERS = frozenset({"headers", "extra_headers"})


def secrets_of(deployment: Deployment) -> tuple[str, ...]:
    """The secret values of a deployment's parameters, and those of the environment."""
    return secrets_in(deployment.params)


def secrets_in(params: Mapping[str, Any]) -> tuple[str, ...]:
    """The secret values of parameters, and those of the environment.

    Providers' clients fall back on the environment's credentials, so an error may show them too.
    """
    found = set(_of_mapping(params))
    found |= {value for name, value in ENVIRON.items() if _is_secret(name) and len(value) > 7}
    found.update(*map(addresses.secrets_of, ENVIRON.values()))
    return tuple(found)


def stated_in(params: Mapping[str, Any]) -> tuple[str, ...]:
    """The secret values of parameters alone; of headers, all."""
    return tuple(_of_mapping(params))


def _of_mapping(held: Mapping[str, Any], *, all_of_it: bool = False) -> Iterator[str]:
    for name, value in held.items():
        secret = all_of_it or _is_secret(name)
        if isinstance(value, Mapping):
            yield from _of_mapping(value, all_of_it=secret or name in _HEADERS)
        elif isinstance(value, str):
            yield from (value,) if secret else addresses.secrets_of(value)


def _is_secret(name: str) -> bool:
    return bool(_SECRET_NAME.search(name)) and not _NOT_SECRET.search(name.lower())
