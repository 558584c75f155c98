"""Google Cloud Storage as its readers see it: its JSON API, its XML API, and where tokens are had.

Source: the references of `objects.get` (JSON) and "GET Object" (XML), "Using OAuth 2.0 for server
to server applications", and "Simple migration from Amazon S3" for signatures.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from .bedrock import signature
from .reply import Exchange, Reply
from .server import FakeProvider, Route

TOKEN = "ya29.fake-token"
HMAC = ("GOOGFAKEFAKEFAKE", "fake-hmac-secret")


class FakeGcs(FakeProvider):
    """`url` is what `STORAGE_EMULATOR_HOST` names.

    open: whether the JSON API answers who shows no token, as emulators do.
    """

    name = "gcs"
    open = True

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._generation = 0

    def put(self, bucket: str, name: str, body: bytes) -> str:
        """Stores an object; its generation."""
        self._generation += 1
        generation = str(1_700_000_000_000_000 + self._generation)
        etag = f'"{hashlib.md5(body).hexdigest()}"'
        self.objects[bucket][name] = {"body": body, "etag": etag, "generation": generation}
        return generation

    def account(self, folder: Path) -> dict[str, str]:
        """Credentials of a service account whose tokens this server gives."""
        key = rsa.generate_private_key(65537, 2048).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        account = {
            "type": "service_account",
            "client_email": "gateway@project.iam.gserviceaccount.com",
            "token_uri": f"{self.url}/token",
            "private_key": key.decode(),
            "project_id": "project",
        }
        path = folder / "account.json"
        path.write_text(json.dumps(account))
        return {"GOOGLE_APPLICATION_CREDENTIALS": str(path)}

    def routes(self) -> list[Route]:
        return [
            ("POST", "/token", self._token),
            ("GET", "/storage/v1/b/{bucket}/o/{name:.+}", self._json),
            ("GET", "/{bucket}/{name:.+}", self._xml),
        ]

    def _token(self, x: Exchange) -> Reply:
        body = {"access_token": TOKEN, "token_type": "Bearer", "expires_in": 3600}
        return Reply(200, json.dumps(body).encode(), "application/json")

    def _json(self, x: Exchange) -> Reply:
        shown = x.recorded.headers.get("authorization")
        if shown != f"Bearer {TOKEN}" and not (self.open and shown is None):
            return self.error(401)
        unless = dict(x.recorded.query).get("ifGenerationNotMatch")
        return self._found(x, lambda found: found["generation"] == unless)

    def _xml(self, x: Exchange) -> Reply:
        signed = signature.read(x.recorded)
        if signed is None or signed.access_key != HMAC[0] or signed.service != "s3":
            return self.error(403)
        if not signature.genuine(x.recorded, signed, HMAC[1]):
            return self.error(403)
        unless = x.recorded.headers.get("if-none-match")
        return self._found(x, lambda found: found["etag"] == unless)

    def _found(self, x: Exchange, is_known: Any) -> Reply:
        found = self.objects[x.path["bucket"]].get(x.path["name"])
        if found is None:
            return self.error(404)
        headers = {"ETag": found["etag"], "x-goog-generation": found["generation"]}
        if is_known(found):
            return Reply(304, b"", "", headers)
        return Reply(200, found["body"], "application/octet-stream", headers)

    def error(self, status: int, message: str = "") -> Reply:
        return Reply(status, (message or "refused").encode(), "text/plain")
