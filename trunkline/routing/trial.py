"""A bundle on trial: which calls it decides beside the one in force, and by what right.

A person's calls are all decided by the same bundle, as far as one can tell whose they are: by the
session or the user that the request names. A key isn't a person: of a service whose calls all have
the same one, either none would be on trial or all.
"""

from __future__ import annotations

import hashlib
from dataclasses import field
from typing import TYPE_CHECKING

from ..call import Call
from ..dataclass import dataclass
from ..state.arms import CANDIDATE, CURRENT
from .query import user_of

if TYPE_CHECKING:
    from .loading import Loaded

SESSION = "x-litellm-session-id"
"""The header that names a session."""

_ALL = 2**64


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """id: see `state.arms.trial_id`. share: of the calls that the candidate decides.

    candidate: None where it can't be used here; `problem` says why.
    """

    id: str
    share: float
    candidate: Loaded | None = field(repr=False)
    problem: str = ""

    def arm(self, call: Call) -> str:
        """Who decides a call."""
        whose = call.headers.get(SESSION) or user_of(call)
        drawn = _drawn(f"{self.id}\n{call.caller}\n{whose}" if whose else call.id)
        return CANDIDATE if drawn < self.share else CURRENT

    def is_remembered(self, call: Call, arm: str) -> bool:
        """Whether it is kept who decided a call: of the candidate's all, of others as many."""
        if arm == CANDIDATE or self.share >= 0.5:
            return True
        return _drawn(f"kept\n{call.id}") < self.share / (1 - self.share)


def _drawn(text: str) -> float:
    """A number from 0 to 1, the same for the same text."""
    digest = hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8).digest()
    return int.from_bytes(digest, "big") / _ALL
