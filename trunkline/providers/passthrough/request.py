"""A request on its way to a provider."""

from __future__ import annotations

from collections.abc import AsyncIterable
from dataclasses import field

from multidict import CIMultiDict
from yarl import URL

from ...dataclass import dataclass


@dataclass(slots=True)
class Outgoing:
    """What goes to the provider.

    path: below the provider's base URL. query: as the client sent it, without our key.
    body: whole, where it was read; else as it arrives.
    """

    method: str
    path: str
    query: str
    headers: CIMultiDict[str]
    body: bytes | AsyncIterable[bytes]
    url: URL = field(default_factory=URL)
