"""Who is calling: the credential that a request carries, checked in constant time."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import field
from typing import Any

from ..dataclass import dataclass
from ..errors import AuthenticationFailed
from .client_secrets import ClientSecret, seal, unseal
from .roles import Role
from .scopes import Scope

CREDENTIAL_HEADERS = (
    "x-litellm-api-key",  # LiteLLM's, whose clients may need the others for the provider
    "authorization",  # OpenAI's clients
    "x-api-key",  # Anthropic's
    "api-key",  # Azure's
    "x-goog-api-key",  # Google's
)


LONGEST_KEY = 1024
"""Characters; nobody was given a longer one."""


@dataclass(frozen=True, slots=True, eq=False)
class Principal:
    """Whoever a call is made for.

    name: what logs and metrics may call them; never the credential.
    role: what they may do beside calling models.
    key: of a virtual key, its HMAC as the database has it; else empty. user_id, team_id,
        organization_id: whom it belongs to; empty where nobody.
    team_admin: whether the user administers the key's team.
    models: what the key, its team (of a key of no team, its user) and its organization each allow,
        as written; a model must be allowed by all; an empty list allows any.
    aliases: names of models that stand for others. routes: what the key is allowed of the API, as
        written; empty for what its role allows.
    scopes: whom calls are charged to. tags: that every call of the key has.
    expires: seconds since 1970; None for never.
    """

    name: str
    role: Role
    key: str = ""
    key_alias: str = ""
    user_id: str = ""
    team_id: str = ""
    organization_id: str = ""
    team_admin: bool = False
    models: tuple[tuple[str, ...], ...] = ()
    aliases: Mapping[str, str] = field(default_factory=dict)
    routes: tuple[str, ...] = ()
    scopes: tuple[Scope, ...] = ()
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    expires: float | None = None


Find = Callable[[str], Awaitable[Principal]]

MASTER = Principal("master", Role.ADMIN)
ANONYMOUS = Principal("anonymous", Role.ADMIN)


def credential(headers: Mapping[str, str]) -> str | None:
    """The key that a request carries, from the headers that the known clients put it in."""
    for name in CREDENTIAL_HEADERS:
        value = headers.get(name)
        if value:
            scheme, _, token = value.partition(" ")
            return token.strip() if token and scheme.lower() == "bearer" else value.strip()
    return None


class Authenticator:
    """Checks credentials against the configured master key; without one everybody may call."""

    def __init__(
        self, master_key: str | None, find: Find | None = None, find_hash: Find | None = None
    ) -> None:
        """find: whose a virtual key is; None where there are none. find_hash: the same by the
        key's hash, for what carries one in its stead."""
        self._find = find
        self._find_hash = find_hash
        self._master = master_key.encode() if master_key else None
        self._key = master_key or ""

    @property
    def required(self) -> bool:
        return self._master is not None

    async def authenticate(self, key: str | None) -> Principal:
        """The caller's identity.

        Raises AuthenticationFailed for a missing or wrong key; StoreUnavailable where that can't be
        told.
        """
        if self._master is None:
            return ANONYMOUS
        if not key:
            raise AuthenticationFailed(
                "No API key given. Send it as 'Authorization: Bearer <key>'"
                " (or x-api-key, api-key, x-goog-api-key).",
                code="missing_api_key",
            )
        if hmac.compare_digest(key.encode("utf-8", "surrogateescape"), self._master):
            return MASTER
        if self._find is None or len(key) > LONGEST_KEY:
            raise AuthenticationFailed("The API key is not valid.", code="invalid_api_key")
        return await self._find(key)

    def issue(self, secret: ClientSecret) -> str:
        """A secret of ours for a provider's, to be handed to a client."""
        return seal(secret, self._key)

    async def redeem(self, key: str | None) -> tuple[ClientSecret, Principal] | None:
        """What a secret of ours stands for, and who pays; None for any other credential.

        Raises AuthenticationFailed for one that has expired, or whose owner may not call any more.
        """
        secret = unseal(key, self._key)
        return None if secret is None else (secret, await self.owner(secret))

    async def owner(self, secret: ClientSecret) -> Principal:
        """Who pays for what a secret opens.

        Raises AuthenticationFailed where they may not call any more.
        """
        if not secret.owner:
            return MASTER if self.required else ANONYMOUS
        if self._find_hash is None:
            raise AuthenticationFailed("The API key is not valid.", code="invalid_api_key")
        return await self._find_hash(secret.owner)
