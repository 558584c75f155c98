"""What botocore's exceptions mean where credentials are fetched: for roles and web identities.

They are known by their names, so that botocore is imported by whoever uses it.
"""

from __future__ import annotations

from typing import Any

from ..errors import ErrorKind, ProviderError
from ..redaction import bounded
from . import failures

LONGEST_REASON = 400
UNAVAILABLE = 500

_ISSUING = frozenset(
    """
    AssumeRole AssumeRoleWithSAML AssumeRoleWithWebIdentity CreateToken GetCallerIdentity
    GetRoleCredentials GetSessionToken
    """.split()
)
"""Operations of AWS's services that give credentials."""

_UNREACHED = frozenset({"HTTPClientError", "ConnectionError"})


def refusal(error: BaseException, provider: str, secrets: tuple[str, ...]) -> ProviderError | None:
    """The failure to get credentials that an exception stands for; None where it is another's.

    provider: for whom they are. secrets: values that may not stand in the failure.
    """
    mro = type(error).__mro__
    names = {cls.__name__ for cls in mro if cls.__module__ == "botocore.exceptions"}
    if names & _UNREACHED:
        return failures.unreachable(error)
    if "BotoCoreError" in names:
        return refused(provider, type(error).__name__)
    operation = getattr(error, "operation_name", "")
    if "ClientError" not in names or operation not in _ISSUING:
        return None
    response: Any = getattr(error, "response", {})
    said = response.get("Error", {})
    code = str(said.get("Code", ""))
    kind = ErrorKind.AUTHENTICATION
    if "Throttling" in code:
        kind = ErrorKind.RATE_LIMIT
    elif response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) >= UNAVAILABLE:
        kind = ErrorKind.UNAVAILABLE
    told = f"{operation} was answered with {code}: {said.get('Message', '')}"
    return refused(provider, bounded(told, LONGEST_REASON, secrets), kind)


def refused(whose: str, reason: str, kind: ErrorKind = ErrorKind.AUTHENTICATION) -> ProviderError:
    """The failure of credentials that can't be used. whose: for whom or of whom they are."""
    return failures.failure(kind, f"AWS's credentials for {whose} could not be used: {reason}")
