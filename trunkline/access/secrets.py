"""Virtual keys, and what is kept of secrets: hashes of keys, sealed credentials.

Both are made with keys that are drawn from the salt key, one for each purpose.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
from hashlib import blake2b

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

PREFIX = "sk-"
SHOWN = 4
"""Characters of a key that are shown again: the last ones."""

MOST_HASHES = 10_000
"""Keys whose hashes are remembered."""

_HASH = re.compile(r"[0-9a-f]{64}")
_NONCE = 12


class Unreadable(ValueError):
    """What was sealed under another salt key, or was altered."""


class Secrets:
    """Makes keys, hashes them and seals credentials."""

    def __init__(self, salt: str) -> None:
        self._hashing = _drawn(salt, "virtual keys")
        self._sealing = AESGCM(_drawn(salt, "stored credentials"))
        # By marks of the keys, since no key is kept: OpenSSL's HMAC takes a call many times as long
        # as a mark does.
        self._hashes: dict[bytes, str] = {}
        self._marking = os.urandom(blake2b.MAX_KEY_SIZE)

    def hashed(self, key: str) -> str:
        """HMAC-SHA-256 of a key, 64 hexadecimal digits."""
        raw = key.encode("utf-8", "surrogateescape")
        mark = blake2b(raw, key=self._marking).digest()
        found = self._hashes.get(mark)
        if found is None:
            if len(self._hashes) >= MOST_HASHES:
                self._hashes.clear()
            found = self._hashes[mark] = hmac.digest(self._hashing, raw, "sha256").hex()
        return found

    def token(self, key_or_hash: str) -> str:
        """The hash of what is a key, or a hash already: how LiteLLM's clients name keys.

        Only to find a key with; a hash never authenticates.
        """
        return key_or_hash if _HASH.fullmatch(key_or_hash) else self.hashed(key_or_hash)

    def seal(self, content: bytes, purpose: str) -> str:
        """Encrypted by AES-256-GCM. purpose: without the same, it can't be opened."""
        nonce = os.urandom(_NONCE)
        sealed = self._sealing.encrypt(nonce, content, purpose.encode())
        return base64.b64encode(nonce + sealed).decode()

    def open(self, sealed: str, purpose: str) -> bytes:
        """Raises Unreadable."""
        try:
            raw = base64.b64decode(sealed, validate=True)
            return self._sealing.decrypt(raw[:_NONCE], raw[_NONCE:], purpose.encode())
        except (InvalidTag, ValueError):
            raise Unreadable from None


def new_key() -> str:
    """A virtual key of 256 random bits."""
    return PREFIX + base64.urlsafe_b64encode(os.urandom(32)).rstrip(b"=").decode()


def shown(key: str) -> str:
    """What is told of a key to recognise it by."""
    return f"{PREFIX}...{key[-SHOWN:]}"


def _drawn(salt: str, purpose: str) -> bytes:
    return hmac.digest(salt.encode(), f"trunkline {purpose}".encode(), hashlib.sha256)
