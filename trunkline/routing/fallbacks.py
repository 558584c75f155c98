"""Which model groups stand in for one that fails, in LiteLLM's notation."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from dataclasses import field

from ..call import Call, StandIn
from ..dataclass import dataclass

EVERY = "*"


@dataclass(frozen=True, slots=True)
class Fallbacks:
    """A list such as `[{"gpt-4o": ["claude"]}, {"*": ["mini"]}]`, read once.

    groups: who stands in, by the group that they stand in for; `*` for all others.
    """

    groups: Mapping[str, Sequence[StandIn]] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        entries: Iterable[Mapping[str, Sequence[StandIn]]],
        default: Sequence[StandIn] = (),
    ) -> Fallbacks:
        """Reads the configured list; `default` stands in for all groups that it doesn't name.

        The first entry for a group holds, while those for `*` add up.
        """
        groups: dict[str, Sequence[StandIn]] = {}
        every: list[StandIn] = []
        for entry in entries:
            for group, stand_ins in entry.items():
                if group == EVERY:
                    every += stand_ins
                else:
                    groups.setdefault(group, stand_ins)
        every += default
        if every:
            groups[EVERY] = every
        return cls(groups)

    def __bool__(self) -> bool:
        return bool(self.groups)

    def of_group(self, group: str) -> tuple[StandIn, ...]:
        """Who stands in for `group`: others, or the group itself with other fields; each once.

        An entry for `gpt-4o` also holds for `openai/gpt-4o`, which a wildcard may serve.
        """
        found = self.groups.get(group)
        if found is None and "/" in group:
            found = self.groups.get(group.split("/", 1)[1])
        if found is None:
            found = self.groups.get(EVERY, ())
        own = StandIn(group)
        return tuple(
            each for at, each in enumerate(found) if each != own and each not in found[:at]
        )


class Substitutes:
    """Who may still stand in for the group that a call asks for.

    What a group's stand-in says of the request also holds for who stands in for the stand-in.
    """

    __slots__ = ("_asked", "_call", "_current", "_left", "_original")

    def __init__(self, call: Call) -> None:
        self._call = call
        self._original = copy(call)
        self._current = StandIn(call.group)
        self._asked = [self._current]
        self._left: deque[StandIn] = deque()

    def add(self, stand_ins: Iterable[StandIn]) -> None:
        """Adds who stands in for the group that failed last, before all others."""
        fresh = [each for each in stand_ins if each not in self._asked]
        self._asked += fresh
        self._left.extendleft(_under(self._current, each) for each in reversed(fresh))

    def next(self) -> str | None:
        """The group to ask next, with the call's request as it shall be asked; None for none."""
        if not self._left:
            return None
        current, call, original = self._left.popleft(), self._call, self._original
        if current.fields and call.operation.body != "none":
            call.body = {**original.body, **current.fields}
            call.raw = b""
        else:
            call.body, call.raw = original.body, original.raw
        call.timeout = original.timeout if current.timeout is None else current.timeout
        retries = current.num_retries
        call.num_retries = original.num_retries if retries is None else retries
        self._current = current
        return current.group


def _under(outer: StandIn, inner: StandIn) -> StandIn:
    return StandIn(
        inner.group,
        {**outer.fields, **inner.fields},
        outer.timeout if inner.timeout is None else inner.timeout,
        outer.num_retries if inner.num_retries is None else inner.num_retries,
    )
