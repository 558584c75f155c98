"""Addresses with a user and a password in them: `https://user:password@host`.

They are sent as basic authentication (RFC 7617), in the header `Authorization`.
"""

from __future__ import annotations

import base64
import re
from urllib.parse import unquote

_WEB = ("http", "ws")
_USER = re.compile(r"^([a-z][a-z0-9+.-]*://)([^/?#]*)@", re.IGNORECASE)


def without_user(url: str) -> str:
    """An address without the user and the password in it."""
    return _USER.sub(r"\1", url, count=1)


def authorization(url: str) -> str:
    """The header that an address's user and password make; "" where it has none."""
    found = _USER.match(url)
    if not found or not found[2]:
        return ""
    user, _, password = found[2].partition(":")
    pair = f"{unquote(user)}:{unquote(password)}"
    return f"Basic {base64.b64encode(pair.encode()).decode()}"


def one_of_both(stated: str, key: str, header: str) -> tuple[str, str]:
    """The key and the header to send where both would go in `Authorization`.

    stated: the key that stands beside the address. key: that one, or one of the environment, which
    comes after both. header: what `authorization` gives.
    """
    if not header or stated:
        return key, ""
    return "", header


def secrets_of(url: str) -> tuple[str, ...]:
    """What of an address is secret: the password, or the user where there is no password.

    A user alone is a token only on the web; elsewhere it is a name.
    """
    found = _USER.match(url)
    if not found or not found[2]:
        return ()
    user, _, password = found[2].partition(":")
    secret = password or (user if found[1].lower().startswith(_WEB) else "")
    if not secret:
        return ()
    return secret, unquote(secret), authorization(url).removeprefix("Basic ")


def password_of(url: str) -> tuple[str, ...]:
    """The password of an address as it stands there and as it is; nothing where it has none.

    For what knows its users by name, as databases do: a name alone is no secret there.
    """
    found = _USER.match(url)
    password = found[2].partition(":")[2] if found else ""
    return (password, unquote(password)) if password else ()
