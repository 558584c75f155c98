"""What one call holds of limits, from its admission to its settling."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Sequence
from typing import TYPE_CHECKING

from ..access.scopes import Scope
from ..call import Call
from ..errors import GatewayError
from ..ledger.row import SpendRow
from ..state.contract import Admitted, Counters
from .limits import Limit, spender
from .rows import row_of
from .spoken import Spoken, fill_answer

if TYPE_CHECKING:
    from .charges import Charges

_ENDED_WELL = ("success", "")


class Charge:
    """What an admitted call holds until it is settled, which it is exactly once.

    cost: nano-dollars, once it is settled; None where it isn't known.
    """

    __slots__ = (
        *("_admitted", "_call", "_charges", "_limits", "_parts", "_places"),
        *("cost", "settled"),
    )

    def __init__(
        self,
        charges: Charges,
        call: Call,
        admitted: Admitted,
        limits: tuple[Limit, ...],
        *,
        places: bool = False,
    ) -> None:
        """places: whether it has the payer's place among calls at once."""
        self._charges = charges
        self._call = call
        self._admitted = admitted
        self._limits = limits
        self._parts: list[tuple[Scope, Admitted, tuple[Limit, ...]]] = []
        self._places = places
        self.settled = False
        self.cost: int | None = None

    @property
    def call_id(self) -> str:
        """Under which the counters know it."""
        return self._admitted.call_id

    def add(self, scope: Scope, admitted: Admitted, limits: tuple[Limit, ...]) -> None:
        """What is held of a deployment's or a provider's budget, until it is known who answers."""
        self._parts.append((scope, admitted, limits))

    def hand_to(self, call: Call) -> None:
        """What it holds is held for another call from now on, which is the one that is settled."""
        self._call = call

    async def release(self) -> None:
        """Gives back what a call holds that failed; its request stays counted."""
        if not self.settled:
            self.settled = True
            if self._admitted.holds or self._parts:
                parts = [part for _, part, _ in self._parts]
                counters = self._charges.counters
                await self._charges.settled(_ended(counters, [self._admitted, *parts]))
            self._leave()

    def _leave(self) -> None:
        """Lets the payer's next call take a place."""
        if self._places:
            self._call.payer.placed = False

    async def answered(self, answer: bytes) -> None:
        """Settles a call that has its whole answer."""
        if self._call.usage.input_tokens is None:
            fill_answer(self._call, answer)
        await self.settle()

    async def settle(self, error: BaseException | None = None) -> None:
        """Accounts for what the call took, and records it. error: what ended it early."""
        if self.settled:
            return
        self.settled = True
        charges, call = self._charges, self._call
        cost = self.cost = self._cost()
        status, kind = _ENDED_WELL if error is None else ending(error)
        row = row_of(call, cost, status, kind, charges.clock(), self._shared())
        if call.attempts:
            spender = (row.key_hash, row.key_alias, row.user_id, row.team_id)
            charges.metrics.spent(
                call.attempts[-1].deployment, spender, cost or 0, row.total_tokens
            )
        charges.estimator.learn(call)
        try:
            await self._kept(row)
        except asyncio.CancelledError:
            # Nobody knows how far it came; to do all of it again changes nothing.
            charges.settled(self._kept(row))
            raise
        self._leave()

    async def _kept(self, row: SpendRow) -> None:
        charges = self._charges
        encoded = row.encoded() if charges.streams else None
        place = await charges.counters.settle(
            self._admitted, tokens=row.total_tokens, cost=row.cost or 0, row=encoded
        )
        for scope, part, _ in self._parts:
            cost = (row.cost or 0) if scope in self._answering() else 0
            await charges.counters.settle(part, tokens=0, cost=cost)
        if encoded is not None and place is not None:
            charges.ledger.hold(encoded, place)
        else:
            await charges.ledger.record(row)

    def _cost(self) -> int | None:
        call = self._call
        prices = self._charges.prices_of(call.attempts[-1].deployment) if call.attempts else None
        return prices.charge(call) if prices else None

    def _shared(self) -> tuple[tuple[str, int], ...]:
        """The counters of budgets that no row of the database stands for, with their periods."""
        found = _shared(self._limits, self._admitted)
        for scope, part, limits in self._parts:
            if scope in self._answering():
                found += _shared(limits, part)
        return tuple(found)

    def _answering(self) -> tuple[Scope, ...]:
        """The scopes of the deployment that answered, or was asked last."""
        attempts = self._call.attempts
        return self._charges.standing_of(attempts[-1].deployment) if attempts else ()

    def until_told(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The chunks of a stream, settled before the last of them leaves, however it ends.

        Whoever takes none of them closes it all the same.
        """
        return _Told(self, chunks, self._told(chunks))

    async def _told(self, chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
        spoken = Spoken(self._call)
        error: BaseException | None = None
        try:
            async for chunk in chunks:
                if spoken.hear(chunk):
                    spoken.fill()
                    await self.settle()
                yield chunk
        except BaseException as failure:
            error = failure
            raise
        finally:
            if not self.settled:
                spoken.fill()
                await self.settle(error)
            close = getattr(chunks, "aclose", None)
            if close is not None:
                await close()


class _Told:
    """A stream that is settled when it is closed, even if nobody has begun to read it."""

    __slots__ = ("_begun", "_charge", "_chunks", "_told")

    def __init__(
        self, charge: Charge, chunks: AsyncIterator[bytes], told: AsyncGenerator[bytes, None]
    ) -> None:
        self._charge = charge
        self._chunks = chunks
        self._told = told
        self._begun = False

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    def __anext__(self) -> Awaitable[bytes]:
        self._begun = True
        return self._told.__anext__()

    async def aclose(self) -> None:
        if self._begun:
            await self._told.aclose()
            return
        await self._charge.settle(GeneratorExit())
        close = getattr(self._chunks, "aclose", None)
        if close is not None:
            await close()


def _shared(limits: Sequence[Limit], admitted: Admitted) -> list[tuple[str, int]]:
    return [
        (spender(hold.counter), hold.period)
        for limit, hold in zip(limits, admitted.holds, strict=True)
        if limit.shared
    ]


async def _ended(counters: Counters, parts: Sequence[Admitted]) -> None:
    for admitted in parts:
        await counters.settle(admitted, tokens=0, cost=0)


def ending(error: BaseException) -> tuple[str, str]:
    """Status and class of a failure, as the ledger has them."""
    if isinstance(error, asyncio.CancelledError | GeneratorExit):
        return "cancelled", "client_gone"
    if isinstance(error, GatewayError):
        kind = getattr(error, "kind", None)
        return "failure", str(kind.value) if kind is not None else error.code or error.type
    return "failure", "internal_error"
