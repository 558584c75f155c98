"""Vertex AI: where its regions are, which project is asked, and the access tokens for it.

google-auth is imported with the first request that needs it; it comes with the extra `vertex`.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import re
import urllib.error
import urllib.request
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from ...errors import NoDeployment
from .request import Outgoing

_SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)
_LOCATION = re.compile(r"[a-z][a-z0-9-]*")
_PLACED = re.compile(r"/projects/(?P<project>[^/]+)/locations/(?P<location>[^/]+)")
_VERSION = re.compile(r"^/(?P<version>v\d+(?:(?:alpha|beta)\d*)?)(?=/)")
_DISCOVERY = "/discovery"
_SOCKETS = "/ws/"
_LIVE_SERVICE = f"{_SOCKETS}google.cloud.aiplatform.v1.LlmBidiService/BidiGenerateContent"
LIVE = "/live"
"""LiteLLM's short path for the WebSocket of the Live API."""

_TOKEN_SECONDS = 30.0

_PROJECT_ENV = ("DEFAULT_VERTEXAI_PROJECT", "VERTEXAI_PROJECT")
_LOCATION_ENV = ("DEFAULT_VERTEXAI_LOCATION", "VERTEXAI_LOCATION", "VERTEX_LOCATION")
_CREDENTIALS_ENV = (
    "DEFAULT_VERTEXAI_CREDENTIALS",
    "DEFAULT_GOOGLE_APPLICATION_CREDENTIALS",
    "VERTEXAI_CREDENTIALS",
)


def places(params: Mapping[str, Any], environ: Mapping[str, str], path: str) -> dict[str, str]:
    """What the base URL leaves open: the host of the configured location, else of the path's."""
    location = _location(params, environ) or _named(path, "location")
    if not location:
        raise NoDeployment(
            "No Vertex AI location: configure vertex_location in a deployment, set"
            " DEFAULT_VERTEXAI_LOCATION, or name it in the path"
            " (/v1/projects/<project>/locations/<location>/…).",
            status=503,
        )
    return {"host": _host(location)}


def _host(location: str) -> str:
    if not _LOCATION.fullmatch(location):
        raise NoDeployment("The Vertex AI location is not a name of one.", status=503)
    if location == "global":
        return "aiplatform.googleapis.com"
    if "-" not in location:
        return f"aiplatform.{location}.rep.googleapis.com"
    return f"{location}-aiplatform.googleapis.com"


def place(request: Outgoing, params: Mapping[str, Any], environ: Mapping[str, str]) -> None:
    """Puts the configured project and location into the path, whatever the client had there."""
    if request.path.startswith(f"{_DISCOVERY}/"):
        request.path = request.path.removeprefix(_DISCOVERY)
        return
    if request.path == LIVE:
        request.path = _LIVE_SERVICE
    if request.path.startswith(_SOCKETS):
        if project := _project(params, environ):
            request.headers["x-goog-user-project"] = project
        return
    project = _project(params, environ) or _named(request.path, "project")
    location = _location(params, environ) or _named(request.path, "location")
    if not project:
        raise NoDeployment(
            "No Vertex AI project: configure vertex_project in a deployment, set"
            " DEFAULT_VERTEXAI_PROJECT, or name it in the path.",
            status=503,
        )
    here = f"/projects/{project}/locations/{location}"
    version = _VERSION.match(request.path)
    rest = request.path[version.end() :] if version else request.path
    named = version["version"] if version else _usual_version(rest)
    placed, count = _PLACED.subn(lambda _: here, rest, count=1)
    request.path = f"/{named}{placed if count else here + rest}"


def resource(model: str, params: Mapping[str, Any], environ: Mapping[str, str]) -> str:
    """A model's full name, in the configured project and location where there are any.

    model: its full name in any project, from `publishers/` on, or alone as one of Google's.
    """
    project, location = _project(params, environ), _location(params, environ)
    _, publisher, named = model.rpartition("publishers/")
    name = (
        publisher + named if publisher else f"publishers/google/models/{named.rpartition('/')[2]}"
    )
    if not (project and location):
        return model
    return f"projects/{project}/locations/{location}/{name}"


def _usual_version(path: str) -> str:
    return "v1beta1" if "cachedContents" in path else "v1"


async def authorize(
    request: Outgoing, params: Mapping[str, Any], environ: Mapping[str, str]
) -> None:
    """Adds an access token. Raises NoDeployment where none is to be had."""
    configured = params.get("vertex_credentials") or params.get("vertex_ai_credentials")
    configured = configured or _environ(environ, _CREDENTIALS_ENV)
    if isinstance(configured, Mapping):
        configured = json.dumps(configured, sort_keys=True)
    # google-auth reads files and asks Google's servers, by blocking code.
    token = await asyncio.to_thread(_token, str(configured or ""))
    request.headers["authorization"] = f"Bearer {token}"


def _token(configured: str) -> str:
    try:
        import google.auth  # noqa: PLC0415
        import google.auth.exceptions  # noqa: PLC0415
    except ImportError:
        raise NoDeployment(
            "Passing on to Vertex AI with Google's credentials needs the package google-auth:"
            " install it, or configure an api_key.",
            status=503,
        ) from None
    try:
        credentials = _credentials(configured)
        if not credentials.valid:
            credentials.refresh(_ask)
    except (google.auth.exceptions.GoogleAuthError, OSError, ValueError) as error:
        raise NoDeployment(
            f"No access token for Vertex AI was to be had ({type(error).__name__}): check"
            " vertex_credentials, or the gateway's application default credentials.",
            status=503,
        ) from None
    return str(credentials.token)


@lru_cache(maxsize=64)
def _credentials(configured: str) -> Any:
    """Credentials from JSON or from the path of a file that holds it; "" for the default ones."""
    auth: Any = importlib.import_module("google.auth")
    if not configured:
        return auth.default(scopes=_SCOPES, request=_ask)[0]
    text = (
        configured if configured.lstrip().startswith("{") else Path(configured).read_text("utf-8")
    )
    found, _ = auth.load_credentials_from_dict(json.loads(text), scopes=_SCOPES)
    return found


class _Told:
    """An answer in the form that google-auth reads."""

    def __init__(self, status: int, headers: Mapping[str, str], data: bytes) -> None:
        self.status = status
        self.headers = headers
        self.data = data


def _ask(
    url: str,
    method: str = "GET",
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    timeout: float | None = None,
    **_: Any,
) -> _Told:
    """google-auth's seam to HTTP, over the standard library."""
    request = urllib.request.Request(  # noqa: S310 - the address stands in the credentials
        url, data=body, headers=dict(headers or {}), method=method
    )
    try:
        with urllib.request.urlopen(request, timeout=timeout or _TOKEN_SECONDS) as answer:  # noqa: S310
            return _Told(answer.status, dict(answer.headers), answer.read())
    except urllib.error.HTTPError as error:
        return _Told(error.code, dict(error.headers), error.read())


def _project(params: Mapping[str, Any], environ: Mapping[str, str]) -> str:
    return str(params.get("vertex_project") or _environ(environ, _PROJECT_ENV))


def _location(params: Mapping[str, Any], environ: Mapping[str, str]) -> str:
    return str(params.get("vertex_location") or _environ(environ, _LOCATION_ENV))


def _named(path: str, name: str) -> str:
    found = _PLACED.search(path)
    return found[name] if found else ""


def _environ(environ: Mapping[str, str], names: tuple[str, ...]) -> str:
    return next((environ[name] for name in names if environ.get(name)), "")
