"""The function's environment, over the secrets that it names."""

from __future__ import annotations

import contextlib
import os
import time

from trunkline.live.secrets_manager import SecretsManager
from trunkline.settings.managed import SecretsError

KEPT_SECONDS = 300.0
"""For which secrets stay as they were read, so that a rotation needs no new deployment."""


class Environment:
    def __init__(self) -> None:
        self._vault = SecretsManager(os.environ)
        self._until = 0.0

    def read(self) -> dict[str, str]:
        """Raises SecretsError for a secret that was never had."""
        if time.monotonic() >= self._until:
            if self._vault.used:
                # Whoever can't be asked now was asked before.
                with contextlib.suppress(SecretsError):
                    self._vault.refresh()
            self._until = time.monotonic() + KEPT_SECONDS
        return {**self._vault.environment(), **os.environ}
