"""S3 as its readers see it: objects by bucket and key, conditional GETs, errors in XML.

Source: the S3 API reference, GetObject, HeadObject and "Error responses".
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from email.utils import formatdate
from typing import Any
from xml.sax.saxutils import escape

from .bedrock import signature
from .reply import Exchange, Refused, Reply
from .server import FakeProvider, Route

# status: code, message
_ERRORS = {
    403: ("AccessDenied", "Access Denied"),
    404: ("NoSuchKey", "The specified key does not exist."),
    500: ("InternalError", "We encountered an internal error. Please try again."),
    503: ("SlowDown", "Please reduce your request rate."),
}


class FakeS3(FakeProvider):
    """Path-style; `url` is what `AWS_ENDPOINT_URL` names.

    credentials: secret keys by access key; requests are signed with one of them.
    """

    name = "s3"

    def __init__(self, *, credentials: Mapping[str, str] | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.credentials = credentials or {"AKIAFAKEFAKEFAKEFAKE": "fake-secret-key"}

    def put(self, bucket: str, key: str, body: bytes) -> str:
        """Stores an object; its ETag, as it stands in headers."""
        etag = f'"{hashlib.md5(body).hexdigest()}"'
        self.objects[bucket][key] = {"body": body, "etag": etag}
        return etag

    def environment(self) -> dict[str, str]:
        """What leads boto3 here."""
        access_key, secret = next(iter(self.credentials.items()))
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": access_key,
            "AWS_SECRET_ACCESS_KEY": secret,
            "AWS_REGION": "us-east-1",
        }

    def routes(self) -> list[Route]:
        return [("*", "/{bucket}/{key:.+}", self._object)]

    def authorize(self, x: Exchange) -> None:
        signed = signature.read(x.recorded)
        if signed is None:
            raise Refused(self.error(403))
        secret = self.credentials.get(signed.access_key)
        if secret is None:
            message = "The AWS Access Key Id you provided does not exist in our records."
            raise Refused(self._named(403, "InvalidAccessKeyId", message))
        if not signature.genuine(x.recorded, signed, secret):
            message = "The request signature we calculated does not match the one you provided."
            raise Refused(self._named(403, "SignatureDoesNotMatch", message))

    def headers(self, x: Exchange) -> dict[str, str]:
        return {"x-amz-request-id": self.new_id("", 16).upper(), "Server": "AmazonS3"}

    def adapt(self, x: Exchange, reply: Reply) -> Reply:
        return replace(reply, body=b"") if x.recorded.method == "HEAD" else reply

    def error(self, status: int, message: str = "") -> Reply:
        code, default = _ERRORS.get(status) or _ERRORS[500]
        return self._named(status, code, message or default)

    def _named(self, status: int, code: str, message: str) -> Reply:
        body = (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            f"<Error><Code>{code}</Code><Message>{escape(message)}</Message></Error>"
        )
        return Reply(status, body.encode(), "application/xml")

    def _object(self, x: Exchange) -> Reply:
        if x.recorded.method not in {"GET", "HEAD"}:
            return self._named(405, "MethodNotAllowed", "The method is not allowed.")
        if x.path["bucket"] not in self.objects:
            return self._named(404, "NoSuchBucket", "The specified bucket does not exist")
        found = self.objects[x.path["bucket"]].get(x.path["key"])
        if found is None:
            return self.error(404)
        headers = {"ETag": found["etag"], "Last-Modified": formatdate(usegmt=True)}
        if x.recorded.headers.get("if-none-match") == found["etag"]:
            return Reply(304, b"", "", headers)
        return Reply(200, found["body"], "binary/octet-stream", headers)
