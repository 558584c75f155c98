"""How providers name and word their failures, and what each means: the data behind `failures.py`.

Sources: the error references of OpenAI, Azure OpenAI, Anthropic, Google, AWS and Cohere, and the
messages that LiteLLM tells apart (`litellm_core_utils/exception_mapping_utils.py`, 1.106.2).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from ..errors import ErrorKind

NAMES: Mapping[str, ErrorKind] = {
    name: kind
    for kind, names in {
        ErrorKind.CONTEXT_WINDOW: (
            "context_length_exceeded context_window_exceeded model_context_window_exceeded "
            "contextwindowexceedederror input_too_long"
        ),
        ErrorKind.CONTENT_POLICY: (
            "content_filter content_filter_error content_policy_violation moderation_blocked "
            "responsibleaipolicyviolation contentpolicyviolationerror data_inspection_failed "
            "datainspectionfailed sensitive_content_detected image_generation_user_error"
        ),
        ErrorKind.AUTHENTICATION: (
            "invalid_api_key authentication_error unauthenticated api_key_invalid "
            "unrecognizedclientexception invalidsignatureexception expiredtokenexception "
            "incompletesignature incompletesignatureexception missingauthenticationtoken "
            "missingauthenticationtokenexception invalidclienttokenid invalid_authentication_error "
            "invalid_client invalid_grant invalid_tenant unauthorized_client"
        ),
        ErrorKind.PERMISSION: (
            "permission_error permission_denied accessdeniedexception billing_error "
            "billing_not_active service_disabled"
        ),
        ErrorKind.NOT_FOUND: (
            "not_found_error model_not_found deploymentnotfound resourcenotfoundexception"
        ),
        ErrorKind.RATE_LIMIT: (
            "rate_limit_error rate_limit_exceeded ratelimitreached insufficient_quota "
            "resource_exhausted throttlingexception toomanyrequestsexception too_many_requests "
            "servicequotaexceededexception token_quota_reached queue_exceeded"
        ),
        ErrorKind.TIMEOUT: "timeout_error deadline_exceeded modeltimeoutexception",
        ErrorKind.UNAVAILABLE: (
            "overloaded_error engine_overloaded_error serviceunavailableexception "
            "modelnotreadyexception"
        ),
        ErrorKind.INTERNAL: (
            "internalserverexception modelerrorexception modelstreamerrorexception"
        ),
    }.items()
    for name in names.split()
}

NAMES_WITHOUT_STATUS: Mapping[str, ErrorKind] = {
    "invalid_request_error": ErrorKind.BAD_REQUEST,
    "invalid_argument": ErrorKind.BAD_REQUEST,
    "failed_precondition": ErrorKind.BAD_REQUEST,
    "validationexception": ErrorKind.BAD_REQUEST,
    "request_too_large": ErrorKind.BAD_REQUEST,
    "not_found": ErrorKind.NOT_FOUND,
    "unavailable": ErrorKind.UNAVAILABLE,
    "service_unavailable": ErrorKind.UNAVAILABLE,
    "api_error": ErrorKind.INTERNAL,
    "server_error": ErrorKind.INTERNAL,
    "internal": ErrorKind.INTERNAL,
    "internal_server_error": ErrorKind.INTERNAL,
}
"""Names that say less than a status; they count where there is none, as inside a stream."""

STATUSES: Mapping[int, ErrorKind] = {
    401: ErrorKind.AUTHENTICATION,
    402: ErrorKind.PERMISSION,
    403: ErrorKind.PERMISSION,
    404: ErrorKind.NOT_FOUND,
    408: ErrorKind.TIMEOUT,
    410: ErrorKind.NOT_FOUND,
    424: ErrorKind.INTERNAL,  # Bedrock: the model failed
    429: ErrorKind.RATE_LIMIT,
    499: ErrorKind.CONNECTION,
    502: ErrorKind.UNAVAILABLE,
    503: ErrorKind.UNAVAILABLE,
    504: ErrorKind.TIMEOUT,
    520: ErrorKind.UNAVAILABLE,  # 520 to 526: Cloudflare, of the server behind it
    521: ErrorKind.UNAVAILABLE,
    522: ErrorKind.TIMEOUT,
    523: ErrorKind.UNAVAILABLE,
    524: ErrorKind.TIMEOUT,
    525: ErrorKind.UNAVAILABLE,
    526: ErrorKind.UNAVAILABLE,
    529: ErrorKind.UNAVAILABLE,  # Anthropic: overloaded
}

PROVIDER_STATUSES: Mapping[tuple[str, int], ErrorKind] = {
    ("groq", 498): ErrorKind.RATE_LIMIT,  # no capacity on the flex tier
}

ANSWERS: Mapping[ErrorKind, tuple[int, str]] = {
    ErrorKind.BAD_REQUEST: (400, "invalid_request_error"),
    ErrorKind.CONTEXT_WINDOW: (400, "invalid_request_error"),
    ErrorKind.CONTENT_POLICY: (400, "invalid_request_error"),
    ErrorKind.AUTHENTICATION: (401, "authentication_error"),
    ErrorKind.PERMISSION: (403, "permission_error"),
    ErrorKind.NOT_FOUND: (404, "not_found_error"),
    ErrorKind.TIMEOUT: (408, "timeout_error"),
    ErrorKind.RATE_LIMIT: (429, "rate_limit_error"),
    ErrorKind.INTERNAL: (500, "api_error"),
    ErrorKind.UNAVAILABLE: (503, "service_unavailable_error"),
    ErrorKind.CONNECTION: (503, "api_connection_error"),
    ErrorKind.MALFORMED: (502, "api_error"),
}
"""The status and the type that a client is given where the provider gave none."""

CODES: Mapping[ErrorKind, str] = {
    ErrorKind.CONTEXT_WINDOW: "context_length_exceeded",
    ErrorKind.CONTENT_POLICY: "content_policy_violation",
}
"""OpenAI's codes, by which clients tell these two from other bad requests."""

TOO_LONG = re.compile(
    "|".join(
        (
            "maximum context length",
            "maximum context limit",
            "context[_ ]length[_ ]exceeded",
            "exceeds? (?:the|your|this|its)? ?(?:model's |available |maximum )*context",
            "longer than the model's context",
            "prompt is too long",
            "prompt: length",
            "input is too long",
            "too many (?:input )?tokens",
            "prompt has too many tokens",
            "input tokens exceed",
            "(?:exceeds|exceeded) (?:the )?(?:maximum|max) number of (?:input )?tokens",
            "exceeded model token limit",
            "exceed max message tokens",
            "`inputs` (?:tokens \\+ `max_new_tokens` )?must (?:be <=|have less than)",
            "maximum input length is [^.]{0,80}tokens",
            "maximum prompt length is",
            "current length is [^.]{0,80}while limit is",
            "reduce the length of the messages",
            "string too long\\. expected a string with maximum length",
            "expected maxlength:",
            "range of input length should be",
            "input text length should not exceed",
            "length limit exceeded",
            "request payload size exceeds",
        )
    ),
    re.IGNORECASE,
)
NOT_TOO_LONG = re.compile(r"string_above_max_length|invalid 'user'", re.IGNORECASE)
"""OpenAI words a `user` that is over 64 characters as it words a long prompt."""

REFUSED = re.compile(
    "|".join(
        (
            "content management policy",
            "content[_ ](?:filter(?:ing)?[_ ])?policy",
            "responsibleaipolicyviolation",
            "result of (?:our|the) safety system",
            "violating our usage polic",
            "violates usage guidelines",
            "model produced invalid content",
            "the response was blocked",
            "requires moderation on",
            "may contain inappropriate content",
            "considered high risk",
            "content exists risk",
            "blocked by our content filters",
            "deny-listed token",
        )
    ),
    re.IGNORECASE,
)

NO_MODEL = re.compile(
    r"model identifier is invalid|model \S{1,120} (?:does not exist|is not found|was not found)",
    re.IGNORECASE,
)

BAD_KEY = re.compile(r"api key not valid|invalid api key|incorrect api key", re.IGNORECASE)

WAIT = re.compile(
    r"(?:try again|retry)(?: after| in)? (?:(\d{1,4})m(?!s))?(\d{1,6}(?:\.\d{1,9})?) ?(ms|s\b|sec)",
    re.IGNORECASE,
)
