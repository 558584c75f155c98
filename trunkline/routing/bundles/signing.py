"""Ed25519 signatures of manifests (RFC 8032), and the keys for them as PEM files.

A signature file is JSON: `algorithm`, `key_id` (the first 16 hexadecimal digits of the SHA-256 of
the raw public key) and `signature` (base64).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterable
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from ... import json_text
from ...errors import BundleError
from .manifest import MANIFEST, SIGNATURE

ALGORITHM = "ed25519"


def generate() -> tuple[bytes, bytes]:
    """A new key pair: the private key and the public key, both as PEM."""
    private = Ed25519PrivateKey.generate()
    return (
        private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
        private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        ),
    )


def key_id(key: Ed25519PublicKey) -> str:
    """What a public key is called: 16 hexadecimal digits."""
    return hashlib.sha256(key.public_bytes_raw()).hexdigest()[:16]


def private_key(pem: bytes) -> Ed25519PrivateKey:
    """Raises BundleError where the text isn't a private Ed25519 key."""
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError):
        raise BundleError("the signing key is not a PEM private key without a password") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise BundleError("the signing key is not an Ed25519 key")
    return key


def public_key(text: str, base: Path = Path()) -> Ed25519PublicKey:
    """A public key from PEM, from the 32 raw bytes in base64, or from a file of either.

    base: the folder that the path of a file starts from. Raises BundleError.
    """
    written = text.strip()
    if not written.startswith("-----") and len(written) != 44:
        try:
            written = (base / written).read_text("utf-8").strip()
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "not a text file"
            raise BundleError(f"the public key {text!r} can't be read: {reason}") from None
    try:
        if written.startswith("-----"):
            key = serialization.load_pem_public_key(written.encode())
        else:
            key = Ed25519PublicKey.from_public_bytes(base64.b64decode(written, validate=True))
    except (ValueError, binascii.Error):
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise BundleError("the public key is neither PEM nor 32 bytes in base64 of an Ed25519 key")
    return key


def sign(manifest: bytes, pem: bytes) -> bytes:
    """The signature file for the bytes of a manifest. Raises BundleError for a bad key."""
    key = private_key(pem)
    return json_text.dumps(
        {
            "algorithm": ALGORITHM,
            "key_id": key_id(key.public_key()),
            "signature": base64.b64encode(key.sign(manifest)).decode(),
        }
    )


def verify(manifest: bytes, signature: bytes | None, keys: Iterable[Ed25519PublicKey]) -> str:
    """The id of the key that signed the manifest.

    Raises BundleError where there is no signature, or none of the keys made it.
    """
    known = {key_id(key): key for key in keys}
    if signature is None:
        raise BundleError(
            f"the bundle is not signed, and only bundles signed by {', '.join(known)} are accepted"
        )
    try:
        found = json_text.loads(signature)
        algorithm, signer = found["algorithm"], found["key_id"]
        value = base64.b64decode(found["signature"], validate=True)
    except (ValueError, TypeError, KeyError):
        raise BundleError(f"{SIGNATURE} is not a signature file") from None
    key = known.get(signer) if algorithm == ALGORITHM and isinstance(signer, str) else None
    if key is None:
        raise BundleError(
            f"the bundle is signed by {signer!r} ({algorithm!r}), and only {', '.join(known)} is"
            " trusted"
        )
    try:
        key.verify(value, manifest)
    except InvalidSignature:
        raise BundleError(
            f"the signature of {MANIFEST} is wrong: the bundle was altered after it was signed"
        ) from None
    return str(signer)
