"""The credential check of the endpoints that FastAPI serves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import Request

from ..access.identity import Principal, credential
from ..gateway import Gateway

OPEN: dict[str, Any] = {"security": []}
"""`openapi_extra` of the endpoints that need no key."""


def required(gateway: Gateway) -> Callable[[Request], Principal]:
    """A dependency that lets only callers with a valid key through."""

    def check(request: Request) -> Principal:
        return gateway.authenticate(credential(request.headers))

    return check
