"""`dataclasses.dataclass`, made faster, since every start makes some 150 of them.

The standard library compiles each method of each class; of these, only `__init__` is. That a frozen
one isn't changed is left to the type checker: who changes one at run time isn't stopped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dataclasses import dataclass
else:
    import dataclasses
    from operator import attrgetter

    def dataclass(*, frozen=False, slots=False, eq=True, repr=True):
        """As the standard library's, with its options that are used here."""

        def made(cls):
            cls = dataclasses.dataclass(slots=slots, eq=False, repr=False)(cls)
            own = cls.__dict__
            if eq and "__eq__" not in own:
                names = [each.name for each in dataclasses.fields(cls) if each.compare]
                cls.__compared__ = staticmethod(attrgetter(*names) if names else type)
                cls.__eq__ = _equal
                cls.__hash__ = _hash if frozen else None
            if repr and "__repr__" not in own:
                cls.__repr__ = _repr
            return cls

        return made

    def _equal(self, other):
        if other.__class__ is not self.__class__:
            return NotImplemented
        return self.__compared__(self) == self.__compared__(other)

    def _hash(self):
        return hash(self.__compared__(self))

    def _repr(self):
        shown = (each for each in dataclasses.fields(self) if each.repr)
        fields = ", ".join(f"{each.name}={getattr(self, each.name)!r}" for each in shown)
        return f"{self.__class__.__qualname__}({fields})"


__all__ = ["dataclass"]
