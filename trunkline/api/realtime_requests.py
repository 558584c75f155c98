"""What realtime clients ask for over HTTP, read from their requests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field
from typing import Any

from .. import json_text
from ..access.client_secrets import ClientSecret
from ..dataclass import dataclass
from ..errors import InvalidRequest
from ..providers.realtime_sessions import Body, Form, model_of, transcribed_by, with_model

Fields = dict[str, Any]

SDP = "application/sdp"
_JSON = "application/json"
_FLAT = "input_audio_transcription"


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request asks for.

    group: the model group. make: the body for a deployment, by its name of the model.
    fields: those that may hold what is for the gateway; `make` doesn't send what is taken out.
    """

    group: str
    make: Callable[[str], Body | Form]
    fields: Fields = field(default_factory=dict)


def client_secret(body: bytes) -> Asked:
    """A secret for the session that the request describes. Raises InvalidRequest."""
    fields = _object(body)
    session = _session(fields.get("session"))
    hint = fields.pop("model", None)
    group = _group(model_of(session) or hint, "session.model")

    def make(model: str) -> Body:
        return _json({**fields, "session": with_model(session, model)})

    return Asked(group, make, fields)


def transcription(body: bytes) -> Asked:
    """A secret for a session that transcribes. Raises InvalidRequest."""
    fields = _object(body)
    inner = fields.get(_FLAT) or {}
    if not isinstance(inner, dict):
        raise _wrong_type(_FLAT, "an object")
    hint = fields.pop("model", None)
    group = _group(hint or inner.get("model"), f"{_FLAT}.model")

    def make(model: str) -> Body:
        return _json(transcribed_by({**fields, _FLAT: inner}, model))

    return Asked(group, make, fields)


def webrtc(
    body: bytes, kind: str, form: Fields, model: str | None, secret: ClientSecret | None
) -> Asked:
    """A session over WebRTC: an offer, alone or with its session. Raises InvalidRequest.

    kind: the body's content type. form: the fields of a body that is a form.
    model: that of the query. secret: what the client was let in with; it holds the session, so
    that the offer may come alone.
    """
    offer, session = _offer(body, kind, form)
    if secret is not None:
        group = secret.group
    else:
        group = _group(model_of(session or {}) or model, "session.model")

    def make(model: str) -> Body | Form:
        if session is None and secret is not None:
            return Body(offer.encode(), SDP)
        described = json_text.dumps(with_model(session or {}, model)).decode()
        return Form((("sdp", offer, SDP), ("session", described, _JSON)))

    return Asked(group, make)


def _offer(body: bytes, kind: str, form: Fields) -> tuple[str, Fields | None]:
    if form:
        fields = dict(form)
        if isinstance(fields.get("session"), str):
            fields["session"] = _object(fields["session"].encode(), "session")
    elif kind.startswith(_JSON):
        fields = _object(body)
    else:
        fields = {"sdp": body.decode("utf-8", "replace")}
    offer, session = fields.get("sdp"), fields.get("session")
    if not offer:
        raise _missing("sdp")
    if not isinstance(offer, str):
        raise _wrong_type("sdp", "a string")
    # JSON can hold half a character, which no other text can.
    text = offer.encode("utf-8", "replace").decode()
    return text, None if session is None else _session(session)


def _session(value: Any) -> Fields:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _wrong_type("session", "an object")
    return value


def _group(value: Any, name: str) -> str:
    if value is None:
        raise _missing(name)
    if not isinstance(value, str) or not value:
        raise _wrong_type(name, "a string that isn't empty")
    return value


def _object(body: bytes, name: str = "") -> Fields:
    try:
        found = json_text.loads(body)
    except ValueError as error:
        raise InvalidRequest(
            f"The request's {name or 'body'} is not valid JSON: {error}", param=name or None
        ) from None
    if not isinstance(found, dict):
        raise InvalidRequest(
            f"The request's {name or 'body'} must be a JSON object.", param=name or None
        )
    return found


def _json(fields: Fields) -> Body:
    return Body(json_text.dumps(fields))


def _missing(name: str) -> InvalidRequest:
    return InvalidRequest(
        f"Missing required parameter: '{name}'.", param=name, code="missing_required_parameter"
    )


def _wrong_type(name: str, expected: str) -> InvalidRequest:
    return InvalidRequest(
        f"Invalid type for '{name}': expected {expected}.", param=name, code="invalid_type"
    )
