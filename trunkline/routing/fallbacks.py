"""Which model groups stand in for one that fails, in LiteLLM's notation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

EVERY = "*"


@dataclass(frozen=True, slots=True)
class Fallbacks:
    """A list such as `[{"gpt-4o": ["claude"]}, {"*": ["mini"]}]`, read once.

    groups: the groups that stand in, by the group that they stand in for; `*` for all others.
    """

    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def of(
        cls, entries: Iterable[Mapping[str, Sequence[str]]], default: Sequence[str] = ()
    ) -> Fallbacks:
        """Reads the configured list; `default` stands in for all groups that it doesn't name.

        The first entry for a group holds, while those for `*` add up.
        """
        groups: dict[str, tuple[str, ...]] = {}
        every: list[str] = []
        for entry in entries:
            for group, names in entry.items():
                if group == EVERY:
                    every += names
                else:
                    groups.setdefault(group, tuple(dict.fromkeys(names)))
        every += default
        if every:
            groups[EVERY] = tuple(dict.fromkeys(every))
        return cls(groups)

    def __bool__(self) -> bool:
        return bool(self.groups)

    def of_group(self, group: str) -> tuple[str, ...]:
        """The groups that stand in for `group`, never itself.

        An entry for `gpt-4o` also holds for `openai/gpt-4o`, which a wildcard may serve.
        """
        names = self.groups.get(group)
        if names is None and "/" in group:
            names = self.groups.get(group.split("/", 1)[1])
        if names is None:
            names = self.groups.get(EVERY, ())
        return tuple(name for name in names if name != group)
