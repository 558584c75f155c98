"""How the failures of providers are named in `retry_policy` and `allowed_fails_policy`.

LiteLLM counts by its exception classes; each kind of ours stands for one, and for those it
inherits from, most specific first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import ErrorKind

CLASSES: Mapping[ErrorKind, tuple[str, ...]] = {
    ErrorKind.BAD_REQUEST: ("BadRequestError",),
    ErrorKind.CONTEXT_WINDOW: ("BadRequestError",),
    ErrorKind.CONTENT_POLICY: ("ContentPolicyViolationError", "BadRequestError"),
    ErrorKind.AUTHENTICATION: ("AuthenticationError",),
    ErrorKind.PERMISSION: (),
    ErrorKind.NOT_FOUND: ("NotFoundError",),
    ErrorKind.TIMEOUT: ("TimeoutError",),
    ErrorKind.RATE_LIMIT: ("RateLimitError",),
    ErrorKind.INTERNAL: ("InternalServerError",),
    ErrorKind.UNAVAILABLE: ("ServiceUnavailableError", "BadGatewayError"),
    # LiteLLM reports an unreachable provider as InternalServerError ("Connection error.").
    ErrorKind.CONNECTION: ("InternalServerError",),
    ErrorKind.MALFORMED: ("BadGatewayError", "InternalServerError"),
}

RETRIES = "Retries"
ALLOWED_FAILS = "AllowedFails"

Counts = Mapping[ErrorKind, int]
"""What a policy allows for each kind of failure; a kind that it doesn't name is absent."""


def counts(policy: Mapping[str, Any], suffix: str) -> Counts:
    """A policy by class name ("RateLimitErrorRetries"), read once, by kind.

    `DefaultRetries` holds for every kind that no other entry names.
    """
    allowed: dict[ErrorKind, int] = {}
    for kind, classes in CLASSES.items():
        names = [*(f"{name}{suffix}" for name in classes), f"Default{suffix}"]
        named = next((policy[name] for name in names if policy.get(name) is not None), None)
        if isinstance(named, int):
            allowed[kind] = named
    return allowed
