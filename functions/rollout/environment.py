"""The environment that configurations and Redis are read with: the function's own, and secrets.

A secret is a JSON object of names and values, or one value under the last part of its name. What
the environment itself has wins. They are asked for again after `KEPT_SECONDS`, so that a rotation
needs no new deployment.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from trunkline.live.s3 import connect

KEPT_SECONDS = 300.0


@dataclass(slots=True)
class Environment:
    """names: ARNs or names of secrets, with commas between."""

    names: str
    _known: Mapping[str, str] = field(default_factory=dict, repr=False)
    _until: float = 0.0

    def read(self) -> dict[str, str]:
        """Raises botocore's errors for a secret that can't be had."""
        ids = [each.strip() for each in self.names.split(",") if each.strip()]
        if ids and time.monotonic() >= self._until:
            client = connect("secretsmanager")
            found: dict[str, str] = {}
            for each in ids:
                found |= _values(client.get_secret_value(SecretId=each))
            self._known, self._until = found, time.monotonic() + KEPT_SECONDS
        return {**self._known, **os.environ}


def _values(answer: Mapping[str, Any]) -> dict[str, str]:
    text = answer.get("SecretString")
    if text is None:
        return {}  # bytes aren't the value of a variable
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        return {str(answer["Name"]).rsplit("/", 1)[-1]: text}
    return {str(name): value for name, value in found.items() if isinstance(value, str)}
