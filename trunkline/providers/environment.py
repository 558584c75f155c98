"""The process's environment, of which LiteLLM doesn't see everything.

LiteLLM takes Azure's keys and tokens from it also for deployments that name credentials of their
own. So they are kept from it, and handed to it with the calls of the deployments that need them.
"""

from __future__ import annotations

import os
from collections import ChainMap
from collections.abc import Mapping

AZURE_KEYS: Mapping[str, tuple[str, ...]] = {
    "azure": ("AZURE_OPENAI_API_KEY", "AZURE_API_KEY"),
    "azure_ai": ("AZURE_AI_API_KEY", "AZURE_OPENAI_API_KEY", "AZURE_API_KEY"),
    "azure_text": ("AZURE_OPENAI_API_KEY", "AZURE_API_KEY"),
}
"""The variables that hold a key, by provider, in LiteLLM's order."""
AZURE_TOKENS = ("AZURE_AD_TOKEN", "AZURE_OPENAI_AD_TOKEN")
"""Those that hold a token of Microsoft Entra's."""

_AZURE = (*AZURE_KEYS["azure_ai"], *AZURE_TOKENS)
_kept: dict[str, str] = {}

ENVIRON: Mapping[str, str] = ChainMap(os.environ, _kept)
"""What to read after the start in place of `os.environ`."""


def keep_azure_credentials() -> None:
    """Keeps Azure's keys and tokens from LiteLLM; `ENVIRON` has them on."""
    for name in _AZURE:
        if name in os.environ:
            _kept[name] = os.environ[name]
            del os.environ[name]


class Exported:
    """What a configuration adds to the environment of the process, for LiteLLM and lanes to find.

    own: the environment as it was before, which is there again where nothing is added any more.
    """

    def __init__(self, own: Mapping[str, str]) -> None:
        self._own = own
        self._names: frozenset[str] = frozenset()

    def turn_to(self, values: Mapping[str, str]) -> None:
        """Adds these in the place of those before."""
        kept = bool(_kept)
        for name in self._names - values.keys():
            _kept.pop(name, None)
            os.environ.pop(name, None)
            if name in self._own:
                os.environ[name] = self._own[name]
        added = {name: value for name, value in values.items() if _can_be_set(name, value)}
        os.environ.update(added)
        self._names = frozenset(added)
        if kept:
            keep_azure_credentials()


def _can_be_set(name: str, value: str) -> bool:
    return bool(name) and "=" not in name and "\0" not in name + value


def first_of(names: tuple[str, ...]) -> str:
    """The value of the first variable that is set; "" where none is."""
    return next(filter(None, map(ENVIRON.get, names)), "")
