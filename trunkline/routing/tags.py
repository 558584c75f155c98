"""Which candidates a request's tags leave: LiteLLM's tag filtering.

A tag of the request asks for deployments that carry it (any of its tags, or all, as configured).
`&tag` must be carried besides, `!tag` must not. A request without tags, or with none that the
group knows, goes to the deployments tagged `default`; without such, to all.
"""

from __future__ import annotations

from collections.abc import Sequence

from .candidate import Candidate

DEFAULT = "default"

Candidates = tuple[Candidate, ...]


def tagged(candidates: Candidates, tags: Sequence[str], match_any: bool) -> Candidates:
    """The candidates that a request with `tags` may go to; empty if its tags forbid all."""
    required = {tag[1:] for tag in tags if tag.startswith("&") and len(tag) > 1}
    refused = {tag[1:] for tag in tags if tag.startswith("!") and len(tag) > 1}
    wanted = {tag for tag in tags if not tag.startswith(("&", "!"))}
    left = tuple(
        each for each in candidates if required <= each.tags and refused.isdisjoint(each.tags)
    )
    if not wanted:
        return left if required else _unasked(candidates, left)
    matching = tuple(
        each
        for each in left
        if each.tags and (not wanted.isdisjoint(each.tags) if match_any else wanted <= each.tags)
    )
    if matching or any(not wanted.isdisjoint(each.tags) for each in candidates):
        return matching
    return tuple(each for each in left if DEFAULT in each.tags)


def _unasked(candidates: Candidates, left: Candidates) -> Candidates:
    """Those meant for requests that ask for nothing, less what the request refuses."""
    if any(DEFAULT in each.tags for each in candidates):
        return tuple(each for each in left if DEFAULT in each.tags)
    return left
