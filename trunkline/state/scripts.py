"""Lua scripts that Redis runs in one atomic step each."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import hiredis

from ..dataclass import dataclass
from .link import Link, LinkLost, refused

Word = str | bytes | int | float

TRIES = 3
"""Connections that may break under what is asked, one after the other."""

_UNKNOWN = "NOSCRIPT"


@dataclass(frozen=True, slots=True)
class Script:
    """A script, and the SHA-1 by which a server knows it that has run it before."""

    text: str
    sha: str

    async def run(self, link: Link, keys: Sequence[str], words: Sequence[Word]) -> Any:
        """What it gives. Raises LinkDown; LinkLost where it may have run."""
        connection = link.usable() or await link.connection()
        reply = await connection.send("EVALSHA", self.sha, len(keys), *keys, *words)
        if isinstance(reply, hiredis.ReplyError):
            if not str(reply).startswith(_UNKNOWN):
                link.note(reply)
                raise refused(reply)
            # A server that has never run it, or has forgotten it, runs the text and keeps it.
            return await link.ask("EVAL", self.text, len(keys), *keys, *words)
        return reply

    async def run_again(self, link: Link, keys: Sequence[str], words: Sequence[Word]) -> Any:
        """The same for a script that may run again: on a new connection where one broke."""
        for _ in range(TRIES - 1):
            with contextlib.suppress(LinkLost):
                return await self.run(link, keys, words)
        return await self.run(link, keys, words)


def _script(name: str) -> Script:
    text = Path(__file__).with_name(f"{name}.lua").read_text("utf-8")
    return Script(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


ADMIT = _script("admit")
SETTLE = _script("settle")
BEAT = _script("beat")
BURY = _script("bury")
FORGET = _script("forget")
WRITTEN = _script("written")
OLDER = _script("older")
