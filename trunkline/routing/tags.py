"""Which candidates a request's tags and its client leave: LiteLLM's tag filtering.

A tag of the request asks for deployments that carry it (any of its tags, or all, as configured).
`&tag` must be carried besides, `!tag` must not. A client whose `User-Agent` header matches a
deployment's `tag_regex` asks for that deployment. A request without tags, or with none that the
group knows, goes to the deployments tagged `default`; without such, to all.

What would leave nobody is disregarded in groups that fail open.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from ..dataclass import dataclass
from .candidate import Candidate

DEFAULT = "default"

LONGEST_USER_AGENT = 256
"""Longer ones match no pattern: how long a pattern takes may grow as a power of the length."""

Candidates = tuple[Candidate, ...]


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request asks for.

    wanted, required, refused: its tags, without marks.
    meant: those that the request marks, by the configured prefix, as meant for routing.
    client: its `User-Agent` header as patterns see it; empty where there is none to look at.
    match_any: whether one of the wanted tags is enough.
    """

    wanted: frozenset[str]
    required: frozenset[str]
    refused: frozenset[str]
    meant: frozenset[str] = frozenset()
    client: str = ""
    match_any: bool = True

    @classmethod
    def of(
        cls, tags: Sequence[str], user_agent: str = "", *, prefix: str = "", match_any: bool = True
    ) -> Self:
        bare = [tag.removeprefix(prefix) for tag in tags]
        meant = [tag.removeprefix(prefix) for tag in tags if prefix and tag.startswith(prefix)]
        seen = 0 < len(user_agent) <= LONGEST_USER_AGENT
        return cls(
            wanted=frozenset(tag for tag in bare if not tag.startswith(("&", "!"))),
            required=_marked("&", bare),
            refused=_marked("!", bare),
            meant=frozenset(tag for tag in meant if not tag.startswith(("&", "!")))
            | _marked("&", meant)
            | _marked("!", meant),
            client=f"User-Agent: {user_agent}" if seen else "",
            match_any=match_any,
        )

    def allows(self, candidate: Candidate) -> bool:
        """Whether it carries what must be carried, and nothing that must not."""
        return self.required <= candidate.tags and self.refused.isdisjoint(candidate.tags)

    def matches(self, candidate: Candidate) -> bool:
        """Whether it carries what is wanted, or is there for the client."""
        tags = candidate.tags
        if tags and self.wanted:
            common = self.wanted & tags
            if common and (self.match_any or common == self.wanted):
                return True
        if not self.client or (tags and not self.match_any):
            return False
        return any(pattern.search(self.client) for pattern in candidate.client_patterns)


def tagged(candidates: Candidates, asked: Asked) -> Candidates:
    """The candidates that a request may go to; empty if it may go to none."""
    left = tuple(each for each in candidates if asked.allows(each))
    by_client = asked.client and not asked.required and any(each.client_patterns for each in left)
    if asked.wanted or by_client:
        found = _wanted(candidates, left, asked)
    elif asked.required:
        found = left
    else:
        found = _unasked(candidates, left)
    return found or _open(candidates, asked)


def _wanted(candidates: Candidates, left: Candidates, asked: Asked) -> Candidates:
    matching = tuple(each for each in left if asked.matches(each))
    known = asked.wanted & (asked.meant | _carried(candidates))
    if matching or known:
        return matching
    return tuple(each for each in left if DEFAULT in each.tags)


def _unasked(candidates: Candidates, left: Candidates) -> Candidates:
    """Those meant for requests that ask for nothing, less what the request refuses."""
    if any(DEFAULT in each.tags for each in candidates):
        return tuple(each for each in left if DEFAULT in each.tags)
    return left


def _open(candidates: Candidates, asked: Asked) -> Candidates:
    """Whom a group that fails open gives to a request that would get nobody.

    Not to one that invents a required tag in order to get out of the others.
    """
    if not any(each.fails_open for each in candidates):
        return ()
    known = asked.required & (asked.meant | _carried(candidates))
    if known and known != asked.required:
        rest = any(
            known <= each.tags and asked.refused.isdisjoint(each.tags) for each in candidates
        )
        if rest:
            return ()
    return _unasked(candidates, candidates)


def _carried(candidates: Candidates) -> frozenset[str]:
    return frozenset().union(*(each.tags for each in candidates))


def _marked(mark: str, tags: Sequence[str]) -> frozenset[str]:
    return frozenset(tag[1:] for tag in tags if tag.startswith(mark) and len(tag) > 1)
