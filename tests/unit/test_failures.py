"""A provider's failure is told apart by what the provider said, and never tells a secret."""

from __future__ import annotations

import base64
import json
import ssl
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from urllib.parse import quote

import orjson
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from trunkline.call import Wire
from trunkline.errors import ErrorKind, ProviderError
from trunkline.providers.failures import classify, cut, malformed, redact, timed_out, unreachable
from trunkline.redaction import PLACEHOLDER

CANARY = "canary7Q2mZ9xLwR4tVb8N"


def refusal(
    status: int,
    body: Any,
    headers: dict[str, str] | None = None,
    wire: Wire = Wire.OPENAI,
    provider: str = "openai",
) -> ProviderError:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return classify(status, raw, headers or {}, wire, provider)


def openai_error(message: str, code: str | None = None, type: str = "invalid_request_error") -> Any:
    return {"error": {"message": message, "type": type, "param": None, "code": code}}


def anthropic_error(type: str, message: str) -> Any:
    return {"type": "error", "error": {"type": type, "message": message}}


def google_error(code: int, status: str, message: str, *details: Any) -> Any:
    error = {"code": code, "message": message, "status": status, "details": list(details)}
    return {"error": error}


@pytest.mark.criterion("R14.5")
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, ErrorKind.BAD_REQUEST),
        (401, ErrorKind.AUTHENTICATION),
        (402, ErrorKind.PERMISSION),
        (403, ErrorKind.PERMISSION),
        (404, ErrorKind.NOT_FOUND),
        (408, ErrorKind.TIMEOUT),
        (413, ErrorKind.BAD_REQUEST),
        (418, ErrorKind.BAD_REQUEST),
        (422, ErrorKind.BAD_REQUEST),
        (424, ErrorKind.INTERNAL),
        (429, ErrorKind.RATE_LIMIT),
        (500, ErrorKind.INTERNAL),
        (502, ErrorKind.UNAVAILABLE),
        (503, ErrorKind.UNAVAILABLE),
        (504, ErrorKind.TIMEOUT),
        (524, ErrorKind.TIMEOUT),
        (529, ErrorKind.UNAVAILABLE),
        (599, ErrorKind.INTERNAL),
    ],
)
def test_without_a_message_the_status_decides(status: int, kind: ErrorKind) -> None:
    error = refusal(status, b"")
    assert (error.kind, error.status) == (kind, status)
    assert str(status) in error.message


@pytest.mark.criterion("R14.3")
@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, openai_error("too long", code="context_length_exceeded")),
        (
            400,
            openai_error(
                "This model's maximum context length is 8192 tokens. However, your messages "
                "resulted in 9001 tokens."
            ),
        ),
        (400, openai_error("Your input exceeds the context window of this model.")),
        (400, openai_error("Input tokens exceed the configured limit of 272000 tokens.")),
        (400, openai_error("Please reduce the length of the messages or completion.")),
        (
            400,
            anthropic_error(
                "invalid_request_error", "prompt is too long: 212059 tokens > 200000 maximum"
            ),
        ),
        (
            400,
            anthropic_error(
                "invalid_request_error",
                "input length and `max_tokens` exceed context limit: 199000 + 8192 > 200000",
            ),
        ),
        (
            400,
            google_error(
                400,
                "INVALID_ARGUMENT",
                "The input token count (1200000) exceeds the maximum number of tokens allowed "
                "(1048576).",
            ),
        ),
        (400, {"message": "Input is too long for requested model."}),
        (
            400,
            {"message": "too many tokens: total number of tokens in the prompt cannot exceed 4081"},
        ),
        (
            400,
            {
                "object": "error",
                "message": "Current length is 9000 while limit is 8192",
                "code": "x",
            },
        ),
        (
            422,
            {"error": "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 2048"},
        ),
        (500, openai_error("the request exceeds the available context size, try increasing it")),
        (400, {"error": {"message": "This model's maximum prompt length is 131072 but it has 2."}}),
    ],
)
def test_a_prompt_that_is_too_long_is_told_from_other_bad_requests(status: int, body: Any) -> None:
    error = refusal(status, body)
    assert error.kind is ErrorKind.CONTEXT_WINDOW
    assert error.status == status


@pytest.mark.parametrize(
    "body",
    [
        openai_error("max_tokens is too large: 100000. This model supports at most 16384."),
        openai_error(
            "Invalid 'user': string too long. Expected a string with maximum length 64, but got "
            "a string with length 90 instead.",
            code="string_above_max_length",
        ),
        openai_error("Invalid 'temperature': decimal above maximum value.", code="decimal_above"),
    ],
)
def test_a_parameter_that_is_too_large_is_no_context_error(body: Any) -> None:
    assert refusal(400, body).kind is ErrorKind.BAD_REQUEST


@pytest.mark.criterion("R14.3")
@pytest.mark.parametrize(
    ("status", "body"),
    [
        (
            400,
            {
                "error": {
                    "message": "The response was filtered due to the prompt triggering Azure "
                    "OpenAI's content management policy.",
                    "type": None,
                    "param": "prompt",
                    "code": "content_filter",
                    "status": 400,
                    "innererror": {
                        "code": "ResponsibleAIPolicyViolation",
                        "content_filter_result": {"hate": {"filtered": True, "severity": "high"}},
                    },
                }
            },
        ),
        (400, {"error": {"message": "no", "innererror": {"code": "ResponsibleAIPolicyViolation"}}}),
        (400, openai_error("Your request was rejected as a result of our safety system.")),
        (400, openai_error("blocked", code="moderation_blocked")),
        (
            400,
            anthropic_error("invalid_request_error", "Output blocked by content filtering policy"),
        ),
        (
            403,
            {"error": {"code": 403, "message": "Your chosen model requires moderation on OpenAI"}},
        ),
        (400, {"error": {"message": "Content Exists Risk", "type": "invalid_request_error"}}),
    ],
)
def test_a_refused_prompt_is_a_content_policy_violation(status: int, body: Any) -> None:
    assert refusal(status, body).kind is ErrorKind.CONTENT_POLICY


@pytest.mark.parametrize(
    ("status", "body", "headers", "kind"),
    [
        (400, google_error(400, "INVALID_ARGUMENT", "API key not valid."), {}, "authentication"),
        (400, google_error(400, "x", "y", {"reason": "API_KEY_INVALID"}), {}, "authentication"),
        (413, openai_error("Request too large", code="rate_limit_exceeded"), {}, "rate_limit"),
        (400, {"message": "m"}, {"x-amzn-ErrorType": "ThrottlingException:http"}, "rate_limit"),
        (403, {}, {"x-amzn-errortype": "UnrecognizedClientException"}, "authentication"),
        (400, {"__type": "com.amazon.coral#ModelTimeoutException", "message": "x"}, {}, "timeout"),
        (529, anthropic_error("overloaded_error", "Overloaded"), {}, "service_unavailable"),
        (400, anthropic_error("not_found_error", "model: claude-9"), {}, "not_found"),
        (429, openai_error("Quota exceeded", code="insufficient_quota"), {}, "rate_limit"),
        (404, {"error": {"code": "DeploymentNotFound", "message": "no"}}, {}, "not_found"),
    ],
)
def test_a_providers_own_name_for_the_failure_goes_before_its_status(
    status: int, body: Any, headers: dict[str, str], kind: str
) -> None:
    assert refusal(status, body, headers).kind == kind


@pytest.mark.parametrize(
    ("event", "kind", "status"),
    [
        (anthropic_error("overloaded_error", "Overloaded"), ErrorKind.UNAVAILABLE, 503),
        (anthropic_error("api_error", "Internal server error"), ErrorKind.INTERNAL, 500),
        (openai_error("slow down", type="rate_limit_error"), ErrorKind.RATE_LIMIT, 429),
        (google_error(503, "UNAVAILABLE", "overloaded"), ErrorKind.UNAVAILABLE, 503),
        (
            {"type": "response.failed", "response": {"error": {"code": "server_error"}}},
            ErrorKind.INTERNAL,
            500,
        ),
        ({"error": "broken"}, ErrorKind.INTERNAL, 500),
    ],
)
def test_an_error_inside_a_stream_gets_the_status_it_would_have_had(
    event: Any, kind: ErrorKind, status: int
) -> None:
    error = refusal(200, event)
    assert (error.kind, error.status) == (kind, status)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (openai_error("said so"), "said so"),
        ({"error": "said so"}, "said so"),
        ({"message": "said so"}, "said so"),
        ({"detail": "said so"}, "said so"),
        ({"detail": [{"loc": ["body", "n"], "msg": "said so", "type": "x"}]}, "body.n: said so"),
        ({"errors": [{"code": 7003, "message": "said so"}], "success": False}, "said so"),
        ([google_error(400, "INVALID_ARGUMENT", "said so")], "said so"),
        ({"statusCode": 401, "message": "said so"}, "said so"),
        (b"said so\n", "said so"),
        (
            b"<html><head><title>502 Bad Gateway</title></head><body>x</body></html>",
            "502 Bad Gateway",
        ),
        (b"<html><body><h1>said &amp; done</h1></body></html>", "said & done"),
    ],
)
def test_the_providers_message_is_found_in_every_shape(body: Any, message: str) -> None:
    assert refusal(500, body).message == message


def test_type_code_and_parameter_are_the_providers() -> None:
    body = {"error": {"message": "bad n", "type": "odd_error", "param": "n", "code": "too_many"}}
    error = refusal(400, body)
    assert (error.type, error.code, error.param) == ("odd_error", "too_many", "n")
    assert error.detail == body["error"]


def test_azure_s_filter_result_is_handed_on() -> None:
    inner = {
        "code": "ResponsibleAIPolicyViolation",
        "content_filter_result": {"hate": {"severity": "high"}},
    }
    error = refusal(
        400,
        {"error": {"code": "content_filter", "message": "x", "innererror": inner}},
        provider="azure",
    )
    assert error.detail is not None
    assert error.detail["innererror"] == inner
    assert error.code == "content_filter"


def test_an_error_of_another_shape_is_not_handed_on_as_the_wires_own() -> None:
    assert refusal(400, {"error": {"message": "x"}}, wire=Wire.ANTHROPIC).detail is None
    assert refusal(400, openai_error("x"), wire=Wire.GOOGLE).detail is None
    assert refusal(400, google_error(400, "INVALID_ARGUMENT", "x"), wire=Wire.GOOGLE).detail
    assert refusal(400, b"text").detail is None


@pytest.mark.criterion("R14.2")
@pytest.mark.parametrize(
    ("headers", "body", "seconds"),
    [
        ({"Retry-After": "7"}, b"", 7.0),
        ({"retry-after": "0.5"}, b"", 0.5),
        ({"retry-after-ms": "1500", "retry-after": "9"}, b"", 1.5),
        ({"retry-after": "-3"}, b"", None),
        ({"retry-after": "nan"}, b"", None),
        ({"retry-after": "soon"}, b"", None),
        ({"retry-after": "inf"}, b"", 86_400.0),
        ({}, b"", None),
        ({}, google_error(429, "RESOURCE_EXHAUSTED", "x", {"retryDelay": "34.5s"}), 34.5),
        ({}, openai_error("Limit reached. Please try again in 20s."), 20.0),
        ({}, openai_error("Limit reached. Please try again in 6m30s."), 390.0),
        ({}, openai_error("Limit reached. Please try again in 250ms."), 0.25),
        ({}, {"error": {"code": "429", "message": "Please retry after 12 seconds."}}, 12.0),
    ],
)
def test_the_providers_wait_is_learned(
    headers: dict[str, str], body: Any, seconds: float | None
) -> None:
    assert refusal(429, body, headers).retry_after == seconds


@pytest.mark.criterion("R14.2")
def test_a_wait_may_be_given_as_a_date() -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(minutes=10), usegmt=True)
    earlier = format_datetime(datetime.now(UTC) - timedelta(minutes=10), usegmt=True)
    wait = refusal(429, b"", {"retry-after": later}).retry_after
    assert wait is not None
    assert 400 < wait <= 600
    assert refusal(429, b"", {"retry-after": earlier}).retry_after == 0


def test_only_headers_that_matter_to_a_client_are_kept() -> None:
    headers = {"X-RateLimit-Remaining-Requests": "0", "Set-Cookie": "a=b", "Request-Id": "req_1"}
    error = refusal(429, b"", headers)
    assert dict(error.headers) == {"x-ratelimit-remaining-requests": "0", "request-id": "req_1"}


def test_failures_without_an_answer_say_what_happened() -> None:
    late = timed_out(2.5)
    assert (late.kind, late.status) == (ErrorKind.TIMEOUT, 408)
    assert "2.5 seconds" in late.message
    assert (malformed("no JSON").kind, malformed("no JSON").status) == (ErrorKind.MALFORMED, 502)
    assert (cut("reset").kind, cut("reset").status) == (ErrorKind.CONNECTION, 503)
    refused = unreachable(ConnectionRefusedError(111, "Connection refused to https://key@host"))
    assert (refused.kind, refused.status) == (ErrorKind.CONNECTION, 503)
    assert "Connection refused" in refused.message
    assert "key@host" not in refused.message
    assert "RuntimeError" in unreachable(RuntimeError(CANARY)).message
    assert CANARY not in unreachable(RuntimeError(CANARY)).message
    assert "certificate" in unreachable(ssl.SSLCertVerificationError(1, "bad")).message


@given(
    st.integers(100, 999),
    st.binary(max_size=400) | st.recursive(
        st.none() | st.booleans() | st.integers(-9, 2**63) | st.text(max_size=9),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
            st.sampled_from(["error", "errors", "message", "detail", "code", "type", "status",
                             "details", "innererror", "retryDelay", "loc", "msg", "response"]),
            inner, max_size=4),
        max_leaves=12,
    ).map(orjson.dumps),
    st.dictionaries(
        st.sampled_from(["retry-after", "Retry-After-Ms", "x-amzn-errortype", "x-ratelimit-a"]),
        st.text(max_size=40),
    ),
    st.sampled_from(list(Wire)),
)  # fmt: skip
def test_any_answer_whatever_becomes_an_error(
    status: int, body: bytes, headers: dict[str, str], wire: Wire
) -> None:
    error = classify(status, body, headers, wire, "openai")
    assert error.message
    assert len(error.message) <= 2_000
    assert error.status >= 400 or status < 400 <= error.status
    assert error.retry_after is None or 0 <= error.retry_after <= 86_400
    orjson.dumps(error.detail)


SECRET_TEXTS = st.text(
    st.characters(min_codepoint=33, max_codepoint=0x2FF, exclude_categories=("Cs", "Cc")),
    min_size=8,
    max_size=60,
)


@given(st.text(max_size=80), SECRET_TEXTS, st.text(max_size=80))
def test_a_given_secret_never_survives(before: str, secret: str, after: str) -> None:
    assume(secret not in PLACEHOLDER)
    assume(secret not in before + after)
    forms = {
        secret,
        json.dumps(secret)[1:-1],
        quote(secret, safe=""),
        base64.b64encode(secret.encode()).decode(),
    }
    for form in forms:
        cleaned = redact(before + form + after, (secret,))
        assert secret not in cleaned
        assert form not in cleaned


@given(st.lists(SECRET_TEXTS, min_size=2, max_size=4, unique=True))
def test_secrets_that_hold_each_other_never_survive(secrets: list[str]) -> None:
    nested = [secrets[0], *(secrets[0] + other for other in secrets[1:])]
    cleaned = redact(" | ".join(nested), nested)
    for secret in nested:
        assert secret in PLACEHOLDER or secret not in cleaned


KEY_SHAPES = [
    "sk-{}", "sk-ant-api03-{}", "sk-proj-{}", "pk-lf-{}", "gsk_{}", "xai-{}", "pplx-{}", "hf_{}",
    "nvapi-{}", "ghp_{}", "r8_{}", "AIzaSy{}", "ya29.{}", "ABSK{}AAAAAAAA=",
    "Bearer {}", "bearer {}", "Authorization: Bearer {}", "Authorization: {}", "Basic {}=",
    "api_key={}", "api-key: {}", "'api_key': '{}'", '"x-api-key": "{}"', '\\"api_key\\": \\"{}\\"',
    "x-goog-api-key: {}", "Incorrect API key provided: {}", "API Key: {}", "apikey={}",
    "https://host/v1/models?key={}&alt=sse", "https://host/?alt=sse&key={}",
    "https://user:{}@host/", "password={}", '"client_secret":"{}"', "azure_ad_token={}",
    "access_token={}", "Ocp-Apim-Subscription-Key: {}", "aws_secret_access_key={}",
    "aws_session_token={}", "AWS_SECRET_ACCESS_KEY={}", "X-Amz-Signature={}", "X-Amz-Credential={}",
    "X-Amz-Security-Token={}", "AWS4-HMAC-SHA256 Credential={}/x, Signature=ff",
    "-----BEGIN RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY-----",
    "-----BEGIN PRIVATE KEY-----\\n{}", '"private_key_id": "{}"', "eyJhbGciOi.{}.sig-x_y",
]  # fmt: skip


@pytest.mark.parametrize("shape", KEY_SHAPES)
def test_what_looks_like_a_key_never_survives(shape: str) -> None:
    text = f"the call failed ({shape.format(CANARY)}), sorry"
    assert CANARY not in redact(text)
    error = classify(500, text.encode(), {"x-ratelimit-x": text}, Wire.OPENAI, "openai")
    assert CANARY not in error.message
    assert CANARY not in str(error.headers)
    nested = orjson.dumps({"error": {"message": text, "type": text, "param": text, "code": text,
                                     "deep": [{"er": text}], text: 1}})  # fmt: skip
    error = classify(400, nested, {}, Wire.OPENAI, "openai")
    said = (error.message, error.type, error.param, error.code, dict(error.detail or {}))
    assert CANARY not in repr(said)


@pytest.mark.parametrize("key", ["AKIAIOSFODNN7EXAMPLE", "ASIAIOSFODNN7EXAMPLE"])
def test_aws_key_ids_never_survive(key: str) -> None:
    assert key not in redact(f"The key {key} is not known")


@pytest.mark.parametrize(
    "text",
    [
        "This model's maximum context length is 8192 tokens, however you requested 9000 tokens.",
        "Invalid value for 'max_tokens': 5 is less than the minimum of 10",
        "The model `gpt-4o-mini-2024-07-18` does not exist",
        "Missing required parameter: 'messages[0].role'. Ask the risk-averse task-forces.",
        "the bearer of bad news is basic logic",
    ],
)
def test_ordinary_words_are_left_alone(text: str) -> None:
    assert redact(text) == text


@given(st.integers(0, 1_500), st.integers(0, 60))
def test_a_secret_cut_in_two_by_the_bound_never_shows_a_part(count: int, gap: int) -> None:
    body = f"password={CANARY} " * count + " " * gap + f"sk-{CANARY}" + "x" * 2_000
    message = classify(500, body.encode(), {}, Wire.OPENAI, "openai").message
    assert "canary" not in message
    assert len(message) <= 2_000
