"""What a realtime session is charged: each of its responses, as a call of its own.

enter    the session is counted as one request, and has a place among calls at once to its end
begin    what it was admitted with is held for its first response
hear     a response is settled as soon as it has ended, and what the next one may cost is held
settle   what is held of a response that never came is given back
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import lru_cache

from ..access.identity import Principal
from ..call import Attempt, Call, Deployment, Operation, Part, Usage, Wire
from ..dataclass import dataclass
from ..errors import GatewayError
from ..providers.realtime_events import Event, Kind
from ..routing.prompt_size import USUAL_BYTES
from ..state.contract import WINDOW, Admitted
from .allowed import Resolve
from .charge import Charge
from .charges import Charges

TURN = 2_000
"""Tokens that are held for what the model is told between two responses: 200 seconds of speech.
They are held at the dearest price, so that they cover several times as much text."""

REMEMBERED = 1024
"""Models that transcribe of which is remembered which deployment stands for them."""

Authenticate = Callable[[], Awaitable[Principal]]

TRANSCRIPTIONS = Operation("transcriptions", Wire.OPENAI, "GET", ())
"""As what a transcription is charged and recorded that a session makes beside its responses."""

_RESPONSE_FAILED = GatewayError("The response failed.", code="response_failed")


@dataclass(frozen=True, slots=True)
class _Held:
    """What is held for a response. since: seconds of the monotonic clock."""

    charge: Charge
    since: float


class SessionCharge:
    """What one session holds and owes; in the place of a call's charge once the session is open."""

    def __init__(
        self, charges: Charges, call: Call, resolve: Resolve, authenticate: Authenticate
    ) -> None:
        """resolve: see `Charges.authorise`. authenticate: who pays, as they are now.

        Until `begin`, the call holds what any call does, but for what `enter` takes.
        """
        self._charges = charges
        self._call = call
        self._group = call.group
        self._resolve = resolve
        self._authenticate = authenticate
        self._place: Charge | None = None
        self._held: deque[_Held] = deque()
        self._began: deque[float] = deque()
        self._admissions = 0
        self._rows = 0
        self._settled_at = 0.0
        self._transcriber = ""
        self._transcribes = False
        call.context = TURN
        call.payer.counted = call.payer.placed = True

    @property
    def under_way(self) -> bool:
        """Whether a response has begun that hasn't ended."""
        return bool(self._began)

    async def enter(self) -> None:
        """Counts the session, and gives it its place; once. Raises LimitExceeded."""
        if self._place is None:
            self._place = await self._charges.enter(self._call)

    async def leave(self) -> None:
        """Lets the next call take the place."""
        if self._place is not None:
            await self._place.release()

    def begin(self) -> None:
        """The session is open, at the deployment that was asked last."""
        self._settled_at = time.monotonic()
        self._held.append(_Held(self._call.charge, self._settled_at))
        self._call.charge = self

    def hear(self, event: Event) -> Awaitable[GatewayError | None] | None:
        """Takes what the provider tells, before the client hears of it.

        None where there is nothing to wait for. Else gives what the session is to end with, if it
        is: the caller may not call any more, or limits have no room for the next response.
        """
        if event.kind is Kind.CONFIGURED:
            self._transcriber = event.transcriber or self._transcriber
            self._transcribes = event.transcribes
            return None
        if event.kind is Kind.BEGUN:
            self._began.append(time.monotonic())
            return None if self._is_held() else self._hold()
        return self._settle_and_hold(event)

    async def hear_last(self, event: Event) -> None:
        """The same in a session that is ending, so that nothing follows."""
        if event.kind is Kind.BEGUN:
            self._began.append(time.monotonic())
        elif event.kind is not Kind.CONFIGURED:
            await self._settle(event)

    async def settle(self, error: BaseException | None = None) -> None:
        """Ends the session. error: what ended it early.

        Responses that have begun, but not ended, are recorded without their usage. A session in
        which nothing was said leaves one row.
        """
        if not self._rows:
            self._start()
            if self._transcribes:
                self._call.operation = TRANSCRIPTIONS
            await self._settle_as(self._call, error)
        elif self._is_timed() and not self._began:
            self._began.append(self._settled_at)
        while self._began:
            await self._settle_as(self._piece(self._start()), error)
        while self._held:
            await self._held.popleft().charge.release()

    # What has ended

    async def _settle_and_hold(self, event: Event) -> GatewayError | None:
        await self._settle(event)
        return await self._hold()

    async def _settle(self, event: Event) -> None:
        usage = event.usage or Usage()
        if event.kind is Kind.TRANSCRIBED:
            call = self._piece(time.monotonic())
            call.operation = TRANSCRIPTIONS
            call.attempts[-1].deployment = self._transcribing()
        else:
            call = self._piece(self._start())
            self._fill(event, usage)
        call.usage = usage
        await self._settle_as(call, _RESPONSE_FAILED if event.status == "failed" else None)

    def _fill(self, event: Event, usage: Usage) -> None:
        """Sets what the provider doesn't tell, and remembers how long the conversation is."""
        if usage.output_tokens is None and event.said:
            usage.output_tokens = -(-event.said // USUAL_BYTES)
            usage.input_tokens = usage.input_tokens or self._call.context - TURN
        if usage.input_tokens is not None:
            self._call.context = usage.total_tokens + TURN

    async def _settle_as(self, call: Call, error: BaseException | None) -> None:
        """Settles what is held for the response that began first, as that of a call."""
        if self._held:
            charge = self._held.popleft().charge
            charge.hand_to(call)
        else:
            charge = Charge(self._charges, call, Admitted(call.id, (), (), (), 0), ())
        await charge.settle(error)

    def _start(self) -> float:
        """When the response began that has ended."""
        return self._began.popleft() if self._began else self._settled_at

    def _piece(self, started: float) -> Call:
        """The call that a response is in the ledger."""
        self._rows += 1
        asked, now = self._call.attempts[-1], time.monotonic()
        attempt = Attempt(asked.deployment, self._settled_at, asked.lane, ended=now)
        self._settled_at = now
        return replace(
            self._call,
            id=f"{self._call.id}~{self._rows}",
            started=started,
            part=Part(self._call.id, "", "response", answers=False),
            usage=Usage(),
            charge=None,
            attempts=[attempt],
        )

    def _transcribing(self) -> Deployment:
        """What stands for the model that transcribes, which has prices of its own.

        It is named only where they are known: metrics hold no names that clients make up.
        """
        deployment = self._call.attempts[-1].deployment
        named = _standing_for(deployment, self._transcriber)
        if self._charges.prices_of(named) is not None:
            return named
        return _standing_for(deployment, TRANSCRIPTIONS.name)

    def _is_timed(self) -> bool:
        """Whether it is charged by the seconds that the session lasts."""
        prices = self._charges.prices_of(self._call.attempts[-1].deployment)
        return prices is not None and prices.running and not self._transcribes

    # What is to come

    def _is_held(self) -> bool:
        """Whether enough is held for what is under way, and counts in the minute that runs."""
        return len(self._held) >= max(1, len(self._began)) and not self._is_old(self._held[-1])

    async def _hold(self) -> GatewayError | None:
        """Holds what every response under way and the next one may cost; why that can't be."""
        try:
            if self._held and self._is_old(self._held[-1]):
                await self._held.pop().charge.release()
            while len(self._held) < max(1, len(self._began)):
                call = await self._authorised()
                deployment = self._call.attempts[-1].deployment
                charge, _ = await self._charges.admit(call, (deployment,))
                self._held.append(_Held(charge, time.monotonic()))
        except GatewayError as refusal:
            return refusal
        return None

    def _is_old(self, held: _Held) -> bool:
        return time.monotonic() - held.since >= WINDOW

    async def _authorised(self) -> Call:
        """A call for the next response, of the payer as they are now."""
        self._admissions += 1
        payer = replace(self._call.payer, caller=await self._authenticate(), extra=())
        call = replace(
            self._call,
            id=f"{self._call.id}~response-{self._admissions}",
            group=self._group,
            payer=payer,
            charge=None,
            fallbacks=0,
        )
        await self._charges.authorise(call, self._resolve)
        self._call.payer = payer
        return call


@lru_cache(maxsize=REMEMBERED)
def _standing_for(deployment: Deployment, model: str) -> Deployment:
    """A deployment of another model of the same provider, at the price map's price."""
    if not model or model == deployment.upstream_model:
        return deployment
    own = {name: value for name, value in deployment.params.items() if "cost" not in name}
    return replace(
        deployment,
        model=f"{deployment.provider}/{model}",
        upstream_model=model,
        params=own,
        info={},
    )
