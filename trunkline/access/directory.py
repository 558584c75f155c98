"""Looks callers up in the database, and remembers them for a short while.

What is remembered is bounded, and forgotten at once, in every process, when it changes: whoever
changes a key, a user, a team or an organization says so on the bus. While the database is away,
what was known stays good for a grace time; it never makes a valid key invalid.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable, Hashable, Iterable
from itertools import chain
from typing import Generic, TypeVar

from ..dataclass import dataclass
from ..errors import AuthenticationFailed, PermissionDenied
from ..state.contract import Bus
from ..store.database import Database, StoreUnavailable
from .identity import Principal
from .lookup import Found, Shared, find_key, find_shared, find_spent
from .money import dollars
from .scopes import Level, Scope
from .secrets import Secrets

log = logging.getLogger("trunkline.access")

NEGATIVE_SECONDS = 5.0
"""For which a key that isn't there isn't looked up again."""

MOST_WARNED = 10_000
"""Soft budgets of which is remembered that somebody was warned."""

T = TypeVar("T")


@dataclass(slots=True)
class _Kept(Generic[T]):
    """fresh: until when it is good without looking, seconds of the monotonic clock."""

    value: T
    fresh: float
    read: float


class Remembered(Generic[T]):
    """What was looked up, by name: the latest, at most so many; each looked up once at a time.

    What isn't there is remembered apart, as many names: whoever asks for random ones drives nothing
    out that is.

    absent: whether a value says that there is nothing. seconds: that a value is good. grace: for
    how many it is while the database is away.
    """

    def __init__(
        self,
        look_up: Callable[[str], Awaitable[T]],
        *,
        size: int,
        absent: Callable[[T], bool],
        seconds: Callable[[T], float],
        grace: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._look_up = look_up
        self._size = max(1, size)
        self._is_absent = absent
        self._seconds = seconds
        self._grace = grace
        self._clock = clock
        self._kept: dict[str, _Kept[T]] = {}
        self._absent: dict[str, _Kept[T]] = {}
        self._under_way: dict[str, asyncio.Future[T]] = {}
        self._changes = 0

    def known(self, name: str) -> T | None:
        """What is good without looking; None where nothing is, or where that is what is known."""
        kept = self._found(name)
        return kept.value if kept is not None and self._clock() < kept.fresh else None

    async def get(self, name: str) -> T:
        """Raises StoreUnavailable where it isn't known and can't be looked up."""
        kept = self._found(name)
        if kept is not None and self._clock() < kept.fresh:
            return kept.value
        try:
            return await self.read(name)
        except StoreUnavailable:
            kept = self._found(name)
            if kept is None or self._clock() > kept.read + self._grace:
                raise
            kept.fresh = self._clock() + 1.0  # not each call waits for the database
            return kept.value

    async def read(self, name: str) -> T:
        """From the database, whatever is remembered. Raises StoreUnavailable."""
        under_way = self._under_way.get(name)
        if under_way is None:
            under_way = asyncio.ensure_future(self._read(name))
            self._under_way[name] = under_way
            under_way.add_done_callback(lambda done: self._done(name, done))
        # Whoever leaves doesn't end it for the others.
        return await asyncio.shield(under_way)

    async def _read(self, name: str) -> T:
        changes, began = self._changes, self._clock()
        value = await self._look_up(name)
        if changes == self._changes:  # else it may be what was there before the change
            self._keep(name, value, began)
        return value

    def _keep(self, name: str, value: T, began: float) -> None:
        self._kept.pop(name, None)
        self._absent.pop(name, None)
        among = self._absent if self._is_absent(value) else self._kept
        while len(among) >= self._size:
            del among[next(iter(among))]
        among[name] = _Kept(value, began + self._seconds(value), began)

    def _found(self, name: str) -> _Kept[T] | None:
        return self._kept.get(name) or self._absent.get(name)

    def _done(self, name: str, done: asyncio.Future[T]) -> None:
        if self._under_way.get(name) is done:
            del self._under_way[name]
        if not done.cancelled():
            done.exception()

    def forget(self, concerned: Callable[[str, T], bool] | None = None) -> None:
        """What is concerned is looked up anew, and no longer known; without a test, all is.

        All may have changed or nothing, so then it stays known for its grace.
        """
        self._changes += 1
        self._under_way.clear()
        for name, kept in chain(self._kept.items(), self._absent.items()):
            if concerned is None:
                kept.fresh = 0.0
            elif concerned(name, kept.value):
                kept.fresh, kept.read = 0.0, -math.inf

    def forget_name(self, name: str) -> None:
        """The same for one."""
        self._changes += 1
        self._under_way.pop(name, None)
        self._kept.pop(name, None)
        self._absent.pop(name, None)


class Directory:
    """Finds whom a key belongs to, and the limits of customers and tags.

    size: keys that are remembered, and as many that aren't there. seconds: for which a key is good
    without looking. grace: see the module's head.
    """

    def __init__(
        self,
        database: Database,
        secrets: Secrets,
        bus: Bus,
        *,
        size: int,
        seconds: float,
        grace: float,
    ) -> None:
        self._database = database
        self._secrets = secrets
        self._replaced: dict[str, set[str]] = {}
        self._warned: dict[str, None] = {}
        self._keys = Remembered(
            self._find,
            size=size,
            absent=lambda found: found.principal is None,
            seconds=lambda found: seconds if found.principal else min(seconds, NEGATIVE_SECONDS),
            grace=grace,
        )
        self._shared = Remembered(
            self._find_shared,
            size=size,
            absent=lambda found: found.scope is None and not found.blocked,
            seconds=lambda found: seconds,
            grace=grace,
        )
        bus.subscribe(self._hear)

    async def _find(self, token: str) -> Found:
        found = await find_key(self._database, token)
        principal = found.principal
        if principal is not None:
            if principal.key != token:
                self._replaced.setdefault(principal.key, set()).add(token)
            self._warn(principal.scopes)
        return found

    async def _find_shared(self, name: str) -> Shared:
        shared = await find_shared(self._database, name)
        if shared.scope is not None:
            self._warn((shared.scope,))
        return shared

    def _warn(self, scopes: Iterable[Scope]) -> None:
        """Tells once of each soft budget that is used up, until it isn't any more."""
        for scope in scopes:
            if scope.soft_budget is None or scope.spent < scope.soft_budget:
                self._warned.pop(scope.name, None)
            elif scope.name not in self._warned:
                while len(self._warned) >= MOST_WARNED:
                    del self._warned[next(iter(self._warned))]
                self._warned[scope.name] = None
                told = {"soft_budget": dollars(scope.soft_budget), "spent": dollars(scope.spent)}
                log.warning("the soft budget of %s is used up", scope.name, extra=told)

    async def principal(self, key: str) -> Principal:
        """Whose key it is. Raises AuthenticationFailed; StoreUnavailable."""
        token = self._secrets.hashed(key)
        # Without waiting, which would cost each call a coroutine or two.
        found = self._keys.known(token) or await self._keys.get(token)
        return _checked(found)

    async def holder(self, token: str) -> Principal:
        """The same by the key's hash. Raises what `principal` raises."""
        return _checked(await self._keys.get(token))

    async def reread(self, principal: Principal) -> Principal:
        """The same as the database has it now. Raises what `principal` raises."""
        return _checked(await self._keys.read(principal.key))

    async def customer(self, customer: str) -> Scope | None:
        """The limits of a customer; None where they have none. Raises PermissionDenied."""
        return _open(await self._shared.get(f"{Level.CUSTOMER}:{customer}"))

    async def tag(self, tag: str) -> Scope | None:
        """The limits of a tag; None where it has none."""
        return _open(await self._shared.get(f"{Level.TAG}:{tag}"))

    async def reread_shared(self, scope: Scope) -> Scope | None:
        """The same limits as the database has them now."""
        return _open(await self._shared.read(scope.name))

    async def spent(self, name: str, period: int) -> int:
        """See `lookup.find_spent`."""
        return await find_spent(self._database, name, period)

    def _hear(self, message: str) -> None:
        """What changed: `level:id`; empty where that isn't known."""
        level, _, changed = message.partition(":")
        if not message:
            self._keys.forget()
            self._shared.forget()
        elif level == Level.KEY:
            for token in (changed, *self._replaced.pop(changed, ())):
                self._keys.forget_name(token)
        elif level in (Level.CUSTOMER, Level.TAG):
            self._shared.forget_name(message)
        elif level in _CONCERNS:
            concerns = _CONCERNS[level]
            self._keys.forget(
                lambda _, found: (
                    found.principal is not None and concerns(found.principal) == changed
                )
            )


_CONCERNS: dict[Hashable, Callable[[Principal], str]] = {
    Level.USER: lambda principal: principal.user_id,
    Level.TEAM: lambda principal: principal.team_id,
    Level.ORGANIZATION: lambda principal: principal.organization_id,
    Level.MEMBER: lambda principal: f"{principal.team_id}:{principal.user_id}",
}


def _checked(found: Found) -> Principal:
    principal = found.principal
    if principal is None or found.refused:
        raise _refused(found.refused or "invalid_api_key")
    if principal.expires is not None and time.time() >= principal.expires:
        raise _refused("expired_key")
    return principal


def _open(shared: Shared) -> Scope | None:
    if shared.blocked:
        raise PermissionDenied("The customer is blocked.", param="user", code="customer_blocked")
    return shared.scope


def _refused(code: str) -> AuthenticationFailed:
    return AuthenticationFailed(_TEXTS[code], code=code)


_TEXTS = {
    "invalid_api_key": "The API key is not valid.",
    "expired_key": "The API key has expired.",
    "key_blocked": "The API key is blocked.",
    "team_blocked": "The API key's team is blocked.",
}
