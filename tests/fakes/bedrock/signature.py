"""Checks a request's Signature Version 4 by signing it again with botocore."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from ..recorded import Recorded

_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>[^/]+)/(?P<date>\d{8})/(?P<region>[^/]+)/"
    r"(?P<service>[^/]+)/aws4_request, ?SignedHeaders=(?P<headers>[^,]+), ?"
    r"Signature=(?P<signature>[0-9a-f]{64})"
)


@dataclass(frozen=True, slots=True)
class Signed:
    """What a request says of its signature."""

    access_key: str
    region: str
    service: str
    headers: tuple[str, ...]
    signature: str


def read(recorded: Recorded) -> Signed | None:
    found = _AUTHORIZATION.fullmatch(recorded.headers.get("authorization", ""))
    if found is None:
        return None
    headers = tuple(found["headers"].split(";"))
    return Signed(found["key"], found["region"], found["service"], headers, found["signature"])


def genuine(recorded: Recorded, signed: Signed, secret: str) -> bool:
    """Whether the secret gives the same signature for what arrived."""
    if "host" not in signed.headers or "x-amz-date" not in signed.headers:
        return False
    declared = recorded.headers.get("x-amz-content-sha256")
    if declared and declared not in (hashlib.sha256(recorded.body).hexdigest(), "UNSIGNED-PAYLOAD"):
        return False
    request = AWSRequest(
        method=recorded.method,
        url=f"http://{recorded.headers['host']}{recorded.raw_path}",
        data=recorded.body,
        headers={name: recorded.headers.get(name, "") for name in signed.headers},
    )
    request.context["timestamp"] = recorded.headers["x-amz-date"]
    signer = SigV4Auth(Credentials(signed.access_key, secret), signed.service, signed.region)
    canonical = signer.canonical_request(request)
    expected = signer.signature(signer.string_to_sign(request, canonical), request)
    return bool(expected == signed.signature)
