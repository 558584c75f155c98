"""Events of API Gateway and load balancers, as Mangum takes them, which knows no stages.

REST API (format 1)   the path has what a custom domain's mapping puts before it
HTTP API (format 2)   the path has the stage, unless that is `$default`
load balancer         the path is the client's
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, unquote

Event = dict[str, Any]


def plain(event: Event, base_path: str = "") -> Event:
    """The event with the path that the gateway knows, and with nothing where Mangum needs a value.

    base_path: what stands before each path, if that is known.
    """
    if "httpMethod" in event:
        return _first_format(event, base_path)
    return _second_format(event, base_path)


def _first_format(event: Event, base_path: str) -> Event:
    path = event.get("path") or "/"
    before = base_path or _mapped(event, path)
    named: Event = {
        name: event.get(name) or {}
        for name in ("queryStringParameters", "multiValueQueryStringParameters")
        if name in event
    }
    return {**event, **named, "path": _without(path, before)}


def _mapped(event: Event, path: str) -> str:
    """What a mapping put before the path: what the resource that was matched hasn't."""
    resource = event.get("resource")
    if not resource:
        return ""
    for name, value in (event.get("pathParameters") or {}).items():
        resource = resource.replace(f"{{{name}+}}", value).replace(f"{{{name}}}", value)
    for ours in (resource, quote(resource), unquote(resource)):
        if path != ours and path.endswith(ours):
            return str(path[: -len(ours)])
    return ""


def _second_format(event: Event, base_path: str) -> Event:
    context = event["requestContext"]
    http = context["http"]
    stage = context.get("stage", "$default")
    path = _without(http["path"], "" if stage == "$default" else f"/{stage}")
    path = _without(path, base_path)
    return {**event, "requestContext": {**context, "http": {**http, "path": path}}}


def _without(path: str, before: str) -> str:
    before = "/" + before.strip("/") if before.strip("/") else ""
    if before and (path == before or path.startswith(f"{before}/")):
        return path[len(before) :] or "/"
    return path
