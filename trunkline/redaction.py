"""Takes secrets out of text that leaves the process: errors, logs, spans.

Two nets: the secrets that the caller knows (a deployment's credentials, in the forms in which
they are sent), and everything that has the shape of a key.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote, quote_plus

PLACEHOLDER = "[redacted]"

SHORTEST_SECRET = 4
"""Below this a "secret" is a word like `x` or `no`; removing it would only garble the text."""

WINDOW = 16_384
"""Characters of a text that are looked at; a provider's error may be a page of megabytes."""

_NAMED = (
    r"api[-_ ]?keys?|subscription-key|access[-_]?key(?:[-_]id)?|secret(?:[-_]access)?[-_]?key|(?:"
    r"access|refresh|session|security|id|auth|bearer|ad)[-_]?token|client[-_]secret|token|secret"
    r"|pass(?:word|wd|phrase)?|pwd|private[-_]key(?:[-_]id)?|x-amz-(?:signature|credential)|signature"
    r"|authorization|credentials?|cookie"
)

_SHAPES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, flags), replacement)
    for pattern, flags, replacement in (
        # a private key, also one whose line breaks are escaped, also one that is cut off
        (
            r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----.*?"
            r"(?:-----END [A-Z ]{0,30}PRIVATE KEY-----|\Z)",
            re.DOTALL,
            PLACEHOLDER,
        ),
        # https://user:password@host
        (r"(://)[^\s/@:\"']{1,256}:[^\s/@\"']{1,512}@", 0, rf"\1{PLACEHOLDER}@"),
        # JSON Web Tokens
        (r"\beyJ[\w-]{6,}\.[\w-]{6,}(?:\.[\w-]*)?", 0, PLACEHOLDER),
        # Authorization: <scheme> <credentials>
        (
            r"\b(bearer|basic|negotiate|digest)(\s+)(?=[^\s\"']*[\d+/=_.~*-])[^\s\"',;<>]{6,}",
            re.IGNORECASE,
            rf"\1\2{PLACEHOLDER}",
        ),
        (r"\bAWS4-HMAC-SHA256\b[^\n\"']*", 0, f"AWS4-HMAC-SHA256 {PLACEHOLDER}"),
        # ?key=…
        (r"([?&](?:key|sig|code|token)=)[^\s&\"'<>]+", re.IGNORECASE, rf"\1{PLACEHOLDER}"),
        # api_key=…, "x-api-key": "…", API key provided: …
        (
            rf"((?:{_NAMED})(?:\\?[\"'])?(?: provided| is| was)?\s{{0,3}}[:=]\s{{0,3}}"
            r"(?:b?\\?[\"'])?(?:(?:bearer|basic)\s+)?)(?!\[redacted\])[^\s\"'\\&,;{}<>()\[\]]{5,}",
            re.IGNORECASE,
            rf"\1{PLACEHOLDER}",
        ),
        # keys that providers mark by a prefix: OpenAI, Anthropic, Groq, xAI, Perplexity, NVIDIA,
        # Hugging Face, Replicate, GitHub, Slack, Databricks, Google, AWS
        (
            r"(?<![A-Za-z0-9])(?:(?:sk|pk|rk|csk|xai|pplx|nvapi|xox[a-z]|glpat|key|bedrock-api-key)-"
            r"|(?:gsk|hf|r8|fw|sk|pk|rk|gh[opsur]|github_pat|tgp_v1|jina|voy)_)[\w*.+/=-]{8,}",
            0,
            PLACEHOLDER,
        ),
        (r"(?<![A-Za-z0-9])(?:AIza[\w-]{20,}|ya29\.[\w.-]{10,}|dapi[0-9a-f]{32})", 0, PLACEHOLDER),
        (
            r"(?<![A-Za-z0-9])(?:(?:AKIA|ASIA|AIDA|AROA)[A-Z0-9]{12,}|ABSK[\w+/=]{20,})",
            0,
            PLACEHOLDER,
        ),
    )
)

_PLAIN = re.compile(r"[a-z]{1,20}(?:_[a-z]{1,20}){0,4}|[0-9.]{0,8}")
"""Names such as `rate_limit_exceeded`, of which error objects are full: no key looks like them."""


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """The text without the given secrets and without anything shaped like a key.

    secrets: values to remove wherever they stand, as they are and as they look in JSON, in a URL
        and in base64; those shorter than 4 characters are taken for words and left.
    """
    for form in forms_of(secrets):
        text = text.replace(form, PLACEHOLDER)
    if _PLAIN.fullmatch(text):
        return text
    for pattern, replacement in _SHAPES:
        text = pattern.sub(replacement, text)
    return text


def bounded(text: str, limit: int, secrets: Iterable[str] = ()) -> str:
    """At most `limit` characters of the redacted text, on one line."""
    window = redact(text[:WINDOW], secrets)
    if len(text) > WINDOW and len(window) <= limit:
        # A secret may have been cut in two at the window's end, where nothing recognises it.
        window = window[: window.rfind(PLACEHOLDER) + len(PLACEHOLDER)] + "…"
    window = " ".join(window.split())
    return window if len(window) <= limit else window[: limit - 1] + "…"


def redact_value(value: Any, secrets: Iterable[str] = (), *, depth: int = 8) -> Any:
    """A decoded JSON value with every string in it redacted; what lies deeper is dropped."""
    if isinstance(value, str):
        return bounded(value, WINDOW, secrets)
    if isinstance(value, dict):
        if depth == 0:
            return {}
        return {
            bounded(str(key), 200, secrets): redact_value(item, secrets, depth=depth - 1)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [redact_value(item, secrets, depth=depth - 1) for item in value] if depth else []
    return value


def forms_of(secrets: Iterable[str]) -> list[str]:
    """Every way in which the secrets may stand in a text, the longest first."""
    forms: set[str] = set()
    for secret in secrets:
        if len(secret) < SHORTEST_SECRET:
            continue
        encoded = secret.encode("utf-8", "surrogatepass")
        forms |= {
            secret,
            json.dumps(secret)[1:-1],
            json.dumps(secret, ensure_ascii=False)[1:-1],
            quote(encoded, safe=""),
            quote_plus(encoded),
            base64.b64encode(encoded).decode().rstrip("="),
        }
    return sorted(forms, key=len, reverse=True)
