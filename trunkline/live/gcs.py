"""An object in Google Cloud Storage as a source: conditional GETs by its generation or its ETag.

With HMAC keys (`GS_ACCESS_KEY_ID`, `GS_SECRET_ACCESS_KEY`) through the XML API, signed by AWS's
version 4; else through the JSON API, with Google's application default credentials.
`STORAGE_EMULATOR_HOST` names another server, as for Google's clients, which is asked without any
credentials but those that `GOOGLE_APPLICATION_CREDENTIALS` names.
What all this takes is imported with the first fetch.

https://docs.cloud.google.com/storage/docs/json_api/v1/objects/get
https://docs.cloud.google.com/storage/docs/xml-api/get-object-download
https://docs.cloud.google.com/storage/docs/aws-simple-migration
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from .s3 import ATTEMPTS, CHUNK, CONNECT_SECONDS, FETCH_SECONDS, READ_SECONDS
from .sources import Fetched, SourceError, too_large

SCHEME: Final = "gs://"
HOST: Final = "https://storage.googleapis.com"
EMULATOR: Final = "STORAGE_EMULATOR_HOST"
NAMED: Final = "GOOGLE_APPLICATION_CREDENTIALS"
HMAC_KEYS: Final = ("GS_ACCESS_KEY_ID", "GS_SECRET_ACCESS_KEY")
SCOPE: Final = "https://www.googleapis.com/auth/devstorage.read_only"

_OK, _NOT_MODIFIED = 200, 304
_TOLD: Final[Mapping[int, str]] = {
    401: "the credentials in use are not accepted",
    403: "the credentials in use may not read it",
    404: "there is no such object, or the credentials in use may not know of it",
}
_PASSING: Final = (408, 429, 500, 502, 503, 504)
"""What is answered that another attempt may not be."""


def parse_url(url: str) -> tuple[str, str]:
    """Bucket and object of `gs://bucket/object`. Raises ValueError."""
    bucket, _, name = url.removeprefix(SCHEME).partition("/")
    if not url.startswith(SCHEME) or not bucket or not name or name.endswith("/"):
        raise ValueError(f"{url!r} must be gs://bucket/object")
    return bucket, name


class GcsSource:
    """One object. size_limit: bytes. environ: where keys and the emulator are named."""

    def __init__(
        self,
        bucket: str,
        name: str,
        size_limit: int,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self.name = f"{SCHEME}{bucket}/{name}"
        self._bucket = quote(bucket, safe="")
        self._object = name
        self._size_limit = size_limit
        self._environ = environ
        self._credentials: Any = None

    def fetch(self, known: str | None, into: Path) -> Fetched | None:
        urllib3, errors = import_module("urllib3"), import_module("google.auth.exceptions")
        try:
            # Each fetch has connections of its own: the process may have been forked since.
            with urllib3.PoolManager(retries=_retries(urllib3), timeout=_timeout(urllib3)) as http:
                return self._fetch(http, known, into)
        except errors.GoogleAuthError as error:
            self._credentials = None
            raise self._failure(f"no credentials: {_first_line(error)}") from None
        except urllib3.exceptions.HTTPError as error:
            raise self._failure(_reason(error)) from None
        except OSError as error:
            raise self._failure(error.strerror or str(error)) from None

    def _fetch(self, http: Any, known: str | None, into: Path) -> Fetched | None:
        url, headers, tag_name = self._asked(http, known)
        answer = http.request("GET", url, headers=headers, preload_content=False)
        with contextlib.closing(answer):
            if answer.status == _NOT_MODIFIED:
                return None
            if answer.status != _OK:
                self._credentials = None
                reason = _TOLD.get(answer.status, "Cloud Storage refused")
                raise self._failure(f"{reason} ({answer.status})")
            tag = answer.headers.get(tag_name, "")
            if not tag:
                raise self._failure(f"the answer has no {tag_name}")
            if tag == known:
                return None
            self._save(answer, tag, into)
        return Fetched(tag, into)

    def _asked(self, http: Any, known: str | None) -> tuple[str, dict[str, str], str]:
        """The URL, the headers, and the header of the answer that tells versions apart."""
        host = self._environ.get(EMULATOR, "").rstrip("/")
        host = host if not host or "://" in host else f"http://{host}"
        key, secret = (self._environ.get(name, "") for name in HMAC_KEYS)
        if key and secret:
            url = f"{host or HOST}/{self._bucket}/{quote(self._object)}"
            unless = {"If-None-Match": known} if known else {}
            return url, _signed(url, unless, key, secret), "etag"
        url = f"{host or HOST}/storage/v1/b/{self._bucket}/o/{quote(self._object, safe='')}"
        unless_query = f"&ifGenerationNotMatch={quote(known)}" if known else ""
        headers: dict[str, str] = {}
        if not host or self._environ.get(NAMED):
            self._authorize(http, headers)
        return f"{url}?alt=media{unless_query}", headers, "x-goog-generation"

    def _authorize(self, http: Any, headers: dict[str, str]) -> None:
        request = import_module("google.auth.transport.urllib3").Request(http)
        if self._credentials is None:
            found = import_module("google.auth").default(scopes=[SCOPE], request=request)
            self._credentials = found[0]
        self._credentials.before_request(request, "GET", HOST, headers)

    def _save(self, answer: Any, tag: str, into: Path) -> None:
        deadline, size = time.monotonic() + FETCH_SECONDS, 0
        with into.open("xb") as file:
            for chunk in answer.stream(CHUNK):
                size += len(chunk)
                if size > self._size_limit:
                    raise too_large(self.name, size, self._size_limit, tag)
                file.write(chunk)
                if time.monotonic() > deadline:
                    raise self._failure(f"not there after {FETCH_SECONDS} seconds")

    def _failure(self, reason: str) -> SourceError:
        return SourceError(f"{self.name}: {reason}")


def _signed(url: str, headers: dict[str, str], key: str, secret: str) -> dict[str, str]:
    """The headers of a GET with a signature: the XML API takes AWS's, of any region."""
    credentials = import_module("botocore.credentials").Credentials(key, secret)
    request = import_module("botocore.awsrequest").AWSRequest("GET", url, headers=headers)
    import_module("botocore.auth").S3SigV4Auth(credentials, "s3", "auto").add_auth(request)
    return dict(request.headers.items())


def _retries(urllib3: Any) -> Any:
    return urllib3.util.Retry(
        total=ATTEMPTS - 1,
        backoff_factor=0.2,
        status_forcelist=_PASSING,
        raise_on_status=False,
        respect_retry_after_header=False,
    )


def _timeout(urllib3: Any) -> Any:
    return urllib3.util.Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS)


def _reason(error: Exception) -> str:
    """What kept the server from answering, without what names this machine's objects."""
    cause = getattr(error, "reason", None)
    found = cause if isinstance(cause, Exception) else error
    return _first_line(found).rpartition(">: ")[2]


def _first_line(error: Exception) -> str:
    return (str(error.args[0]) if error.args else type(error).__name__).splitlines()[0]
