"""The credential check of the endpoints that FastAPI serves."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import Request

from ..access.identity import Principal, credential
from ..access.roles import ROUTES
from ..gateway import Gateway

OPEN: dict[str, Any] = {"security": []}
"""`openapi_extra` of the endpoints that need no key."""


def template(request: Request) -> str:
    """The template of the path that a request's endpoint was registered with.

    Raises LookupError where the table of roles doesn't have it: nobody may use it then.
    """
    path = str(request.scope["route"].path)
    if path not in ROUTES:
        raise LookupError(f"{path} has no roles")
    return path


def caller_of(request: Request) -> Principal:
    """Who asks an endpoint that `required` guards."""
    caller: Principal = request.state.caller
    return caller


def required(gateway: Gateway) -> Callable[[Request], Awaitable[Principal]]:
    """A dependency that lets only callers with a valid key through."""

    async def check(request: Request) -> Principal:
        caller = await gateway.authenticate(credential(request.headers), template(request))
        request.state.caller = caller
        return caller

    return check
