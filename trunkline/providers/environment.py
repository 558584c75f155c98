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


def first_of(names: tuple[str, ...]) -> str:
    """The value of the first variable that is set; "" where none is."""
    return next(filter(None, map(ENVIRON.get, names)), "")
