"""aiohttp, by which providers are reached: loaded when one is, or before by who imports it.

Loading it, and the certificates with it, would make each cold start on Lambda longer, where
functions beside a Fargate service seldom reach a provider.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    import aiohttp
else:

    class _Later(ModuleType):
        """The names of a module that is loaded with the first that is asked for."""

        def __getattr__(self, name: str) -> Any:
            if name.startswith("__"):
                raise AttributeError(name)
            import aiohttp as loaded  # noqa: PLC0415

            self.__dict__.update(vars(loaded))
            return getattr(loaded, name)

    aiohttp = _Later("aiohttp")

__all__ = ["aiohttp", "late"]


class _LateSession:
    def __init__(self, make: Callable[[], aiohttp.ClientSession]) -> None:
        self._make = make
        self._made: aiohttp.ClientSession | None = None

    def __getattr__(self, name: str) -> Any:
        if self._made is None:
            self._made = self._make()
        return getattr(self._made, name)

    async def close(self) -> None:
        if self._made is not None:
            await self._made.close()


def late(make: Callable[[], aiohttp.ClientSession]) -> aiohttp.ClientSession:
    """A session that is made when it is first used."""
    return cast("aiohttp.ClientSession", _LateSession(make))
