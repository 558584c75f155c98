"""Vertex AI and the OAuth server that its credentials come from.

`service_account()` is a key file that works on loopback: its tokens come from `/token`, which
checks the signed assertion as Google does (RFC 7523).
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any, ClassVar
from urllib.parse import parse_qsl

import orjson
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth import exceptions
from google.auth import jwt as google_jwt

from ..anthropic import messages
from ..openai.completions import vector
from ..reply import Exchange, Refused, Reply, ok
from ..script import PIXEL, count
from ..server import Route
from . import generate
from .gemini import FakeGemini, error_object

# google-auth names it as the audience whatever the key file's token_uri is.
_GOOGLE_TOKEN_URI = "https://oauth2.googleapis.com/token"
_EMAIL = "gateway@fake-project.iam.gserviceaccount.com"
_UNAUTHENTICATED = (
    "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie "
    "or other valid authentication credential."
)


class FakeVertex(FakeGemini):
    """Vertex AI; requests carry bearer tokens.

    keys: tokens that it accepts besides those that it has issued. None accepts any; an empty list
    accepts issued ones only.
    """

    name = "vertex"
    service: ClassVar[str] = "aiplatform.googleapis.com"

    def __init__(self, *, keys: Iterable[str] | None = None, **kwargs: Any) -> None:
        super().__init__(keys=keys, **kwargs)
        self.issued: set[str] = set()

    @property
    def base_url(self) -> str:
        return self.url

    def routes(self) -> list[Route]:
        place = "/{version:v1|v1beta1}/projects/{project}/locations/{location}"
        model = place + "/publishers/google/models/{model}"
        partner = place + "/publishers/anthropic/models/{model}"
        return [
            ("POST", "/token", self._token),
            ("POST", model + ":generateContent", generate.generate),
            ("POST", model + ":streamGenerateContent", generate.stream_generate),
            ("POST", model + ":countTokens", generate.count_tokens),
            ("POST", model + ":embedContent", generate.embed),
            ("POST", model + ":predict", _predict),
            ("POST", partner + ":rawPredict", _raw_predict),
            ("POST", partner + ":streamRawPredict", _raw_predict),
        ]

    def authorize(self, x: Exchange) -> None:
        if x.recorded.path == "/token":
            return
        token = x.recorded.key
        if self.keys is None and token:
            return
        if token not in self.issued and token not in (self.keys or ()):
            raise Refused(self.failure("invalid_api_key", x))

    def failure(self, name: str, x: Exchange) -> Reply:
        if name == "model_not_found":
            asked = x.recorded.path.partition("/projects/")[2].partition(":")[0]
            return self.error(
                404,
                f"Publisher Model `projects/{asked}` was not found or your project does not have "
                "access to it. Please ensure you are using a valid model version.",
            )
        return super().failure(name, x)

    def _invalid_key(self) -> Reply:
        details = [
            {
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": "ACCESS_TOKEN_TYPE_UNSUPPORTED",
                "domain": "googleapis.com",
                "metadata": {"service": self.service},
            }
        ]
        return generate.answered(error_object(401, _UNAUTHENTICATED, details), 401)

    @property
    def token_uri(self) -> str:
        return self.url + "/token"

    def service_account(self, project: str = "fake-project") -> dict[str, str]:
        """The content of a service account's key file."""
        private, _ = _key_pair()
        return {
            "type": "service_account",
            "project_id": project,
            "private_key_id": "0123456789abcdef",
            "private_key": private,
            "client_email": _EMAIL,
            "client_id": "100000000000000000000",
            "auth_uri": self.url + "/auth",
            "token_uri": self.token_uri,
            "universe_domain": "googleapis.com",
        }

    def _token(self, x: Exchange) -> Reply:
        form = dict(parse_qsl(x.recorded.body.decode()))
        _, public = _key_pair()
        audience = [self.token_uri, _GOOGLE_TOKEN_URI]
        try:
            google_jwt.decode(form.get("assertion", ""), certs=public, audience=audience)
        except (ValueError, exceptions.GoogleAuthError):
            raise Refused(_invalid_grant()) from None
        token = self.new_id("ya29.", 40)
        self.issued.add(token)
        return ok({"access_token": token, "expires_in": 3599, "token_type": "Bearer"})


@functools.cache
def _key_pair() -> tuple[str, str]:
    """A private and a public key in PEM, one pair a process."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return private.decode(), public.decode()


def _invalid_grant() -> Reply:
    body = {"error": "invalid_grant", "error_description": "Invalid JWT Signature."}
    return Reply(400, orjson.dumps(body))


def _predict(x: Exchange) -> Reply:
    """Text embeddings for instances with `content`, images for those with a `prompt`."""
    generate.check_model(x)
    body = x.json
    instances = body.get("instances") or []
    parameters = body.get("parameters") or {}
    if instances and "prompt" in instances[0]:
        images = int(parameters.get("sampleCount") or 1)
        picture = {"mimeType": "image/png", "bytesBase64Encoded": PIXEL}
        return generate.answered({"predictions": [picture] * images})
    size = parameters.get("outputDimensionality") or 8
    predictions = [
        {
            "embeddings": {
                "values": vector(instance["content"], size),
                "statistics": {"truncated": False, "token_count": count(instance["content"])},
            }
        }
        for instance in instances
    ]
    characters = sum(len(instance["content"]) for instance in instances)
    return generate.answered(
        {"predictions": predictions, "metadata": {"billableCharacterCount": characters}}
    )


def _raw_predict(x: Exchange) -> Reply:
    """Anthropic's models on Vertex: the model stands in the path, its body is Messages."""
    body = x.json | {"model": x.path["model"]}
    return messages.answer(x, body)
