"""The errors that reach users.

    GatewayError                  carries status, message, type, code and param
    ├── InvalidRequest       400   the request is malformed; `param` names what is wrong
    ├── AuthenticationFailed 401
    ├── PermissionDenied     403
    ├── NotFound             404
    ├── MethodNotAllowed     405
    ├── RequestTimeout       408
    ├── RequestTooLarge      413
    ├── LimitExceeded        429   a limit of the key, or of who stands above it, is reached
    │   ├── BudgetExceeded   400   a budget doesn't cover the call
    │   └── LimitsUnavailable 503  what counts calls can't be reached
    ├── NoDeployment     429/503   every deployment is cooling down, full or unusable
    └── ProviderError              what a provider answered, or that it didn't; see `kind`
    ConfigError                    the configuration file can't be served: where and why
    BundleError                    a trained routing model can't be used: why

`api/errors.py` turns them into the shape of the API that was called.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

from .dataclass import dataclass


class GatewayError(Exception):
    """An error with an answer.

    status: HTTP status. type, code, param: as in OpenAI's error object.
    retry_after: seconds after which a retry makes sense; None where it doesn't.
    attempts: the deployments that were tried and how each failed, as the client is told.
    """

    status = 500
    type = "api_error"

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.code = code
        self.retry_after = retry_after
        self.attempts: list[dict[str, Any]] = []


def internal_error(call_id: str) -> GatewayError:
    """What a client learns of a fault of ours: the id under which the log tells more."""
    return GatewayError(f"The gateway failed to answer. Call id: {call_id}", code="internal_error")


def let_go(error: BaseException) -> None:
    """Frees the frames that an error, and those behind it, were raised through.

    A frame holds the call, the call holds its attempts, an attempt holds its error, and the error
    holds the frame: without this, the bodies of calls that failed pile up until the collector runs.
    """
    behind: BaseException | None = error
    while behind is not None:
        behind.__traceback__ = None
        behind = behind.__context__


class InvalidRequest(GatewayError):
    status = 400
    type = "invalid_request_error"


class AuthenticationFailed(GatewayError):
    status = 401
    type = "authentication_error"


class PermissionDenied(GatewayError):
    status = 403
    type = "permission_error"


class NotFound(GatewayError):
    status = 404
    type = "not_found_error"


class RequestTimeout(GatewayError):
    """The client took too long to send its request."""

    status = 408
    type = "invalid_request_error"


class MethodNotAllowed(GatewayError):
    status = 405
    type = "invalid_request_error"


class RequestTooLarge(GatewayError):
    status = 413
    type = "invalid_request_error"


class NoDeployment(GatewayError):
    """No deployment of the group can take the call now.

    Full or cooling down is 429 with `retry_after`; nothing usable at all is 503.
    """

    def __init__(
        self, message: str, *, status: int = 429, retry_after: float | None = None
    ) -> None:
        super().__init__(message, code="no_deployment_available", retry_after=retry_after)
        self.status = status
        self.type = "rate_limit_error" if status == 429 else "service_unavailable_error"


class LimitExceeded(GatewayError):
    """A limit of the caller's, or of whoever stands above it, has no room for the call.

    headers: how much of it is left, as clients read it.
    """

    status = 429
    type = "rate_limit_error"

    def __init__(
        self,
        message: str,
        *,
        code: str = "rate_limit_exceeded",
        retry_after: float | None = None,
        headers: Sequence[tuple[str, str]] = (),
    ) -> None:
        super().__init__(message, code=code, retry_after=retry_after)
        self.headers = tuple(headers)


class BudgetExceeded(LimitExceeded):
    """A budget doesn't cover what the call may cost."""

    type = "budget_exceeded"

    def __init__(self, message: str, *, status: int = 400) -> None:
        super().__init__(message, code="budget_exceeded")
        self.status = status


class LimitsUnavailable(LimitExceeded):
    """What counts calls can't be reached, and calls are denied for it."""

    status = 503
    type = "service_unavailable_error"

    def __init__(self) -> None:
        super().__init__(
            "The limits of the key can't be checked now.", code="limits_unavailable", retry_after=1
        )


class ErrorKind(StrEnum):
    """What went wrong at a provider; retries, cooldowns and fallbacks are decided by it."""

    BAD_REQUEST = "bad_request"
    CONTEXT_WINDOW = "context_window_exceeded"
    CONTENT_POLICY = "content_policy_violation"
    AUTHENTICATION = "authentication"
    PERMISSION = "permission"
    NOT_FOUND = "not_found"
    TIMEOUT = "timeout"
    RATE_LIMIT = "rate_limit"
    INTERNAL = "internal_server"
    UNAVAILABLE = "service_unavailable"
    CONNECTION = "connection"
    MALFORMED = "malformed_answer"


class ProviderError(GatewayError):
    """What a provider answered, or that it didn't.

    kind: the class of the failure.
    status: the provider's HTTP status, or the one that a client is given in its absence
        (408 timeout, 502 malformed answer, 503 connection).
    detail: the provider's own error object, to pass on; None where there is none.
    headers: the provider's headers that matter to a client (`retry-after`, rate limits).
    """

    def __init__(
        self,
        kind: ErrorKind,
        message: str,
        *,
        status: int,
        type: str = "api_error",
        param: str | None = None,
        code: str | None = None,
        retry_after: float | None = None,
        detail: Mapping[str, Any] | None = None,
        headers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        super().__init__(message, param=param, code=code, retry_after=retry_after)
        self.kind = kind
        self.status = status
        self.type = type
        self.detail = detail
        self.headers = headers


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands in the configuration: file, line (from 1) and path of keys."""

    file: str
    line: int
    path: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.path}" if self.path else f"{self.file}:{self.line}"


class ConfigError(Exception):
    """The configuration can't be served.

    problems: every fault that was found, each with its place.
    """

    def __init__(self, *problems: tuple[Place, str]) -> None:
        self.problems = problems
        super().__init__("\n".join(f"{place}: {message}" for place, message in problems))


class BundleError(Exception):
    """A bundle can't be used: what is wrong with it, in one line."""
