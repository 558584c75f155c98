"""Secrets that callers hand to their own clients for realtime sessions, in place of our key.

A provider's secret is sealed with the master key into one of ours, which is good at the gateway
only and leads back to the deployment that gave it. Nothing is kept: any process can open it.
"""

from __future__ import annotations

import base64
import hashlib
import time
from dataclasses import asdict
from functools import lru_cache
from typing import Any

from .. import json_text
from ..dataclass import dataclass
from ..errors import AuthenticationFailed

PREFIX = "ek_"
"""How OpenAI's secrets begin; its clients in browsers refuse others."""

_PURPOSE = b"trunkline realtime client secret:"


@dataclass(frozen=True, slots=True)
class ClientSecret:
    """What a client may do.

    value: the provider's secret. group, deployment: the model group that was asked for, and the id
        of the deployment that gave the secret. expires: seconds of the epoch. owner: the hash of
        the virtual key that asked for it, and that pays; empty for none.
    """

    value: str
    group: str
    deployment: str
    expires: int
    owner: str = ""


def seal(secret: ClientSecret, master_key: str) -> str:
    """The secret as clients get it."""
    sealed: bytes = _cipher(master_key).encrypt(json_text.dumps(asdict(secret)))
    return PREFIX + sealed.decode()


def unseal(token: str | None, master_key: str) -> ClientSecret | None:
    """The secret behind a credential; None where it is none that we gave.

    Raises AuthenticationFailed for one that has expired.
    """
    if token is None or not token.startswith(PREFIX):
        return None
    from cryptography.fernet import InvalidToken  # noqa: PLC0415

    try:
        opened = _cipher(master_key).decrypt(token.removeprefix(PREFIX).encode())
    except (InvalidToken, ValueError):
        return None
    secret = ClientSecret(**json_text.loads(opened))
    if secret.expires <= time.time():
        raise AuthenticationFailed("The client secret has expired.", code="expired_client_secret")
    return secret


@lru_cache(maxsize=4)
def _cipher(master_key: str) -> Any:
    from cryptography.fernet import Fernet  # noqa: PLC0415

    # The key is as good as the master key: without one, nobody needs a key to begin with.
    return Fernet(base64.urlsafe_b64encode(hashlib.sha256(_PURPOSE + master_key.encode()).digest()))
