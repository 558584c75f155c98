"""Where a passed-on request goes: the path below a base URL that configuration alone decides."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from urllib.parse import unquote, unquote_plus, urlencode, urlsplit

from yarl import URL

from ...errors import InvalidRequest

_VERSION = re.compile(r"/v\d+(?:(?:alpha|beta)\d*)?(?=/|$)")
_SEPARATORS = re.compile(r"[/\\]")
_MOST_DECODINGS = 4


def checked(path: str) -> str:
    """A path that may be appended to a base URL, percent-encoding and all.

    Raises InvalidRequest for what a server further on could take for another path or another
    host: dot segments, control characters, backslashes, an authority; encoded as often as it may.
    """
    plain = path
    for _ in range(_MOST_DECODINGS):
        if any(char < " " or char == "\x7f" for char in plain):
            raise _refused("control characters")
        if "\\" in plain:
            raise _refused("backslashes")
        if any(segment in {".", ".."} for segment in _SEPARATORS.split(plain)):
            raise _refused("dot segments")
        decoded = unquote(plain, errors="replace")
        if decoded == plain:
            break
        plain = decoded
    else:
        raise _refused("repeated percent-encoding")
    if path.startswith("//") or not path.isascii() or (path and path[0] != "/"):
        raise _refused("an empty segment at its start")
    return path


def join(base: str, path: str, query: str = "") -> URL:
    """The URL of a checked path below a provider's base URL.

    A version that ends the base and another that begins the path stand for the same place:
    `https://host/v1` takes both `/v1/models` and `/models`.
    """
    root = base.rstrip("/")
    if _VERSION.match(path):
        ends = [found.start() for found in _VERSION.finditer(root) if found.end() == len(root)]
        root = root[: ends[0]] if ends else root
    return append(root, path, query)


def append(base: str, path: str, query: str = "") -> URL:
    """The URL of a checked path below a base URL, whose own query stays."""
    parts = urlsplit(base)
    query = "&".join(filter(None, (parts.query, query)))
    location = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/') if path else parts.path}"
    return URL(f"{location}{path}" + (f"?{query}" if query else ""), encoded=True)


def filtered(query: str, drop: Callable[[str, str], bool]) -> str:
    """A query string without the parameters that `drop` accepts; the others as they stand."""
    kept = []
    for part in query.split("&"):
        name, _, value = part.partition("=")
        if part and not drop(unquote_plus(name), unquote_plus(value)):
            kept.append(part)
    return "&".join(kept)


def with_defaults(query: str, default: Iterable[tuple[str, str]]) -> str:
    """A query string with parameters before it, of which it has none of the name."""
    given = {part.partition("=")[0] for part in query.split("&")}
    missing = [(name, value) for name, value in default if name not in given]
    return "&".join(filter(None, (urlencode(missing), query)))


def _refused(what: str) -> InvalidRequest:
    return InvalidRequest(f"The path may not hold {what}.", code="invalid_path")
