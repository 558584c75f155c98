"""LiteLLM's exceptions as `ProviderError`.

LiteLLM wraps what went wrong two or three times and words it anew each time. The provider's own
answer is still in the chain of causes, and where it is, it is classified as the direct lane
classifies it; what only LiteLLM knows decides where it isn't.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ..call import Call, Wire
from ..errors import ErrorKind, ProviderError
from ..redaction import bounded
from . import aws_failures, failures
from .request_faults import request_fault

DEEPEST = 12
"""Exceptions of a chain that are looked at."""

_KINDS: Mapping[str, ErrorKind] = {
    "ContextWindowExceededError": ErrorKind.CONTEXT_WINDOW,
    "ContentPolicyViolationError": ErrorKind.CONTENT_POLICY,
    "AuthenticationError": ErrorKind.AUTHENTICATION,
    "PermissionDeniedError": ErrorKind.PERMISSION,
    "NotFoundError": ErrorKind.NOT_FOUND,
    "Timeout": ErrorKind.TIMEOUT,
    "RateLimitError": ErrorKind.RATE_LIMIT,
    "BadRequestError": ErrorKind.BAD_REQUEST,
    "UnprocessableEntityError": ErrorKind.BAD_REQUEST,
    "UnsupportedParamsError": ErrorKind.BAD_REQUEST,
    "ServiceUnavailableError": ErrorKind.UNAVAILABLE,
    "BadGatewayError": ErrorKind.UNAVAILABLE,
    "InternalServerError": ErrorKind.INTERNAL,
    "APIConnectionError": ErrorKind.CONNECTION,
    "APIResponseValidationError": ErrorKind.MALFORMED,
    "JSONSchemaValidationError": ErrorKind.MALFORMED,
}
"""What LiteLLM's classes mean."""

_LATE = frozenset({"httpx.TimeoutException", "builtins.TimeoutError", "openai.APITimeoutError"})
_BROKEN = frozenset({"aiohttp.ClientPayloadError", "httpx.RemoteProtocolError", "httpx.ReadError"})
_UNREACHED = frozenset(
    {"httpx.NetworkError", "aiohttp.ClientConnectionError", "builtins.ConnectionError"}
)
_REFUSED = frozenset({"google.GoogleAuthError"})
_UNREADABLE = frozenset(
    {"builtins.FileNotFoundError", "builtins.IsADirectoryError", "builtins.PermissionError"}
)
"""Exceptions in a chain, with the package in front, and what they mean; files hold credentials."""

_DECIDED_BY_WORDS = (ErrorKind.CONTEXT_WINDOW, ErrorKind.CONTENT_POLICY)
"""Kinds that LiteLLM tells from a provider's words; it knows more providers' than we."""

_UNDECIDED = (None, ErrorKind.CONNECTION, ErrorKind.INTERNAL, ErrorKind.BAD_REQUEST)
_NO_CREDENTIALS = re.compile(
    r"unable to locate credentials|missing credentials|no credentials found|login needs a human"
    r"|credentials? (?:were|was)? ?not (?:found|set|provided)"
    r"|default credentials|api[_ ]key (?:is )?(?:missing|required|not set|must be set)"
    r"|missing[^.]{0,40}api[_ ]?key|could not (?:load|find|resolve)[^.]{0,40}credentials"
    r"|must (?:set|provide|be set)[^.]{0,60}(?:api_key|key|token|credential)"
    r"|\boidc\b|environment variable \w+ not found",
    re.IGNORECASE,
)

_PREFIXES = re.compile(
    r"^(?:\s*(?:litellm\.)?[A-Z]\w* ?(?:Error|Exception|Timeout)(?: [A-Z]\w*Error)?\s*(?::|-)\s+)+"
)
_LACKING = re.compile(r"missing \d+ required [a-z -]*arguments?: '(\w+)'")
_FOREIGN = re.compile(r"litellm\.|Traceback \(most|object has no attribute")
_BROKEN_OFF = re.compile(
    r"payload is not completed|peer closed connection|onnection (?:lost|reset)"
)
_BROKE = "the connection broke before the answer was complete"
_HINT = re.compile(r"\. To drop these, set `litellm\.drop_params=True`.*", re.DOTALL)
_NOTICE = re.compile(
    r"\s*(?:File an issue if litellm error|This looks like a bug in LiteLLM|Give Feedback"
    r"|Traceback \(most recent call last\)).*",
    re.DOTALL,
)
_UNSUPPORTED = re.compile(
    r"unsupported provider|unmapped (?:llm )?provider|invalid (?:\w+ ){0,3}provider"
    r"|unable to map (?:the )?(?:custom llm )?provider|unable to determine [a-z ]*provider"
    r"|is not a valid \w*providers?\b|not supported for|not supported by|does not support"
    r"|not implemented",
    re.IGNORECASE,
)
_REFUSED_REQUEST = re.compile(
    r"invalid (?:user|assistant|tool|system) message|invalid message type|messages is required"
    r"|invalid content item type|unmapped prompt format|nested input list must not be empty"
    r"|must be a list of strings|unsupported tool type|incompatible tool choice"
    r"|unsupported response_format",
    re.IGNORECASE,
)
"""LiteLLM's words for requests that it can't translate."""


def provider_error(
    error: BaseException,
    call: Call,
    provider: str,
    secrets: tuple[str, ...],
    seconds: float,
    *,
    begun: bool = False,
) -> ProviderError:
    """The failure that an exception of LiteLLM's stands for.

    provider: LiteLLM's name for it.
    secrets: values that may not stand in the error.
    seconds: how long the provider was waited for.
    begun: whether the provider has begun to answer, so that the request was all right.
    """
    wire = call.operation.wire
    chain = list(_chain(error))
    for held in chain:
        if isinstance(held, ProviderError):
            return held
    answered = next((answer for held in chain if (answer := _answer(held))), None)
    if answered:
        status, body, headers = answered
        found = failures.classify(status, body, headers, wire, provider, secrets)
        found.detail = _detail_for(wire, found)
        return _with_litellm_kind(found, error)
    fault = None if begun else request_fault(chain, call)
    return fault or _without_answer(chain, provider, secrets, seconds)


def reported_error(
    payload: bytes, wire: Wire, provider: str, secrets: tuple[str, ...]
) -> ProviderError:
    """The failure that the payload of an error event reports.

    The event is the provider's, or one in which LiteLLM words an exception of its own.
    """
    found = failures.classify(200, payload, {}, wire, provider, secrets)
    if _FOREIGN.search(found.message) is None:
        return found
    if _BROKEN_OFF.search(found.message):
        return failures.cut(_BROKE)
    found.message = _clean(found.message) or "the provider reported an error"
    found.args, found.detail = (found.message,), None
    return found


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An exception and its causes, the outermost first."""
    for _ in range(DEEPEST):
        if error is None:
            return
        yield error
        error = error.__cause__ or error.__context__


def _answer(error: BaseException) -> tuple[int, bytes, Mapping[str, str]] | None:
    """The provider's HTTP answer, when the exception still has it."""
    response = getattr(error, "response", None)
    if response is None or not getattr(response, "status_code", 0) >= 400:
        return None
    content = getattr(response, "_content", b"")  # `content` raises where the body was not read
    if not content:
        return None
    return response.status_code, content, response.headers


def _with_litellm_kind(found: ProviderError, error: BaseException) -> ProviderError:
    kind = _KINDS.get(type(error).__name__)
    if kind in _DECIDED_BY_WORDS and found.kind is ErrorKind.BAD_REQUEST:
        found.kind = kind
    return found


def _detail_for(wire: Wire, found: ProviderError) -> Mapping[str, Any] | None:
    """A provider's error object, unless it is another API's than the client's."""
    detail = found.detail
    if detail is not None and wire is Wire.OPENAI and isinstance(detail.get("code"), int):
        return None
    return detail


def _without_answer(
    chain: list[BaseException], provider: str, secrets: tuple[str, ...], seconds: float
) -> ProviderError:
    refused = (aws_failures.refusal(held, provider, secrets) for held in chain)
    if found := next(filter(None, refused), None):
        return found
    names = {
        f"{cls.__module__.partition('.')[0]}.{cls.__name__}"
        for held in chain
        for cls in type(held).__mro__
    }
    outcomes: tuple[tuple[frozenset[str], Callable[[], ProviderError]], ...] = (
        (_LATE, lambda: failures.timed_out(seconds)),
        (_BROKEN, lambda: failures.cut(_BROKE)),
        (_UNREACHED, lambda: failures.unreachable(chain[-1])),
        (_REFUSED | _UNREADABLE, lambda: _no_credentials(chain[-1], provider)),
    )
    for classes, made in outcomes:
        if names & classes:
            return made()
    lacking = next(filter(None, map(_lacking_field, chain)), None)
    if lacking is not None:
        return lacking
    missing = [held.name for held in chain if isinstance(held, ImportError)]
    if missing:
        message = f"a Python package that {provider} needs is not installed: {missing[0]}"
        return failures.failure(ErrorKind.INTERNAL, message)
    if any(isinstance(held, json.JSONDecodeError) for held in chain):
        return failures.malformed("it is not JSON")
    return _worded(chain, provider, secrets)


def _lacking_field(error: BaseException) -> ProviderError | None:
    """A field that LiteLLM's function needs and the request has not."""
    lacking = _LACKING.search(str(error)) if isinstance(error, TypeError) else None
    if lacking is None:
        return None
    message = f"Missing required parameter: '{lacking[1]}'."
    failure = failures.failure(ErrorKind.BAD_REQUEST, message)
    failure.param = lacking[1]
    return failure


def _no_credentials(error: BaseException, provider: str) -> ProviderError:
    message = f"the credentials for {provider} could not be used: {type(error).__name__}"
    return failures.failure(ErrorKind.AUTHENTICATION, message)


def _worded(chain: list[BaseException], provider: str, secrets: tuple[str, ...]) -> ProviderError:
    """The failure by LiteLLM's class and words, for want of the provider's."""
    outer = chain[0]
    stated = next(
        (held for held in chain if isinstance(getattr(held, "status_code", None), int)), outer
    )
    text = _clean(str(getattr(stated, "message", "") or stated))
    status = getattr(stated, "status_code", None)
    kind = _KINDS.get(type(outer).__name__)
    if text.startswith(("{", "[", "<")) and isinstance(status, int) and status >= 400:
        return failures.classify(status, text.encode(), {}, Wire.OPENAI, provider, secrets)
    if kind in _UNDECIDED and _NO_CREDENTIALS.search(text):
        kind = ErrorKind.AUTHENTICATION
    if kind in {None, ErrorKind.CONNECTION}:
        # LiteLLM's word for every exception that it did not expect.
        theirs = _UNSUPPORTED.search(text) or _REFUSED_REQUEST.search(text)
        kind = ErrorKind.BAD_REQUEST if theirs else ErrorKind.INTERNAL
    message = bounded(text, failures.LONGEST_MESSAGE, secrets) or type(outer).__name__
    return failures.failure(kind, message)


def _clean(text: str) -> str:
    """LiteLLM's words without the names of its classes, tracebacks and advice to its callers."""
    text = _NOTICE.sub("", _PREFIXES.sub("", text)).strip(" -\n")
    return _HINT.sub("; `drop_params: true` leaves them out", text).replace("litellm.", "")
