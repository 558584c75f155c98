"""The pipeline that every model call takes:

    authenticate → authorise → cache → admit → route → dispatch (retry, fall back) → settle

A call runs to its end on the `Serving` that was current when it arrived.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Generic, TypeVar

from .access.demands import Demands
from .access.identity import Authenticator, Principal
from .access.roles import check_route
from .cache.answers import Answers
from .call import Answer, Attempt, Call, Deployment, StandIn, Timeouts
from .dataclass import dataclass
from .errors import GatewayError, LimitExceeded, NotFound, ProviderError, internal_error
from .live.snapshot import Snapshot
from .providers import failures
from .providers.affinity import Accounts
from .providers.lanes import Lanes
from .routing.fallbacks import Substitutes
from .routing.policy import RoutingPolicy
from .routing.router import Explanation, Router
from .settings.schema import MEGABYTES
from .telemetry.metrics import Metrics

if TYPE_CHECKING:
    from .access.registry import Registry
    from .charging.batches import Batches
    from .charging.charges import Charges
    from .routing.recording import Recorder
    from .routing.workflows.workflow import Workflows

log = logging.getLogger("trunkline.gateway")

MEBIBYTE = 1024 * 1024

Result = TypeVar("Result")
Resolve = Callable[[str], Sequence[Deployment]]
Ask = Callable[[Call, str, Sequence[Deployment]], Awaitable[Result]]
"""Takes a call to a model group, by its name and its deployments. Raises GatewayError."""


@dataclass(frozen=True, slots=True)
class Serving:
    """Everything that a call needs, as one configuration decides it.

    workflows: answers calls by calls of its own, where the strategy does so; else None.
    recorder: keeps what learned strategies decided; None where nobody asked for it.
    answers: keeps answers, and gives them again; None where they aren't cached.
    charges: admits calls and settles them; None where calls are charged to nobody.
    batches: charges batches once they have ended; None where calls are charged to nobody.
    registry: where keys, users and budgets are; None where there is no database.
    stores: asks whether the stores that the configuration names can be reached, by name; None where
        it names none.
    heartbeat: seconds of silence after which a stream carries a comment.
    demands: what every call has to fulfil; None where that is nothing.
    body_limit: bytes of a request's body.
    """

    snapshot: Snapshot
    authenticator: Authenticator
    policy: RoutingPolicy
    router: Router
    lanes: Lanes
    accounts: Accounts
    metrics: Metrics
    workflows: Workflows | None
    recorder: Recorder | None
    answers: Answers | None
    charges: Charges | None
    registry: Registry | None
    heartbeat: float
    batches: Batches | None = None
    stores: Callable[[], Awaitable[Mapping[str, bool]]] | None = None
    demands: Demands | None = None
    body_limit: int = int(MEGABYTES) * MEBIBYTE


@dataclass(frozen=True, slots=True)
class Reached(Generic[Result]):
    """What `Gateway.reach` made, and how to say that it came to a bad end.

    failed: takes the ProviderError that the deployment is to blame for.
    """

    connection: Result
    failed: Callable[[ProviderError], None]


class Gateway:
    """Takes calls to providers and brings their answers back."""

    def __init__(self, serving: Serving) -> None:
        self.serving = serving

    async def authenticate(self, key: str | None, path: str) -> Principal:
        """Who is calling, if they may use the path at all.

        path: a template of the roles' table (see `access/roles.py`), or a request's own.

        Raises AuthenticationFailed, PermissionDenied.
        """
        caller = await self.serving.authenticator.authenticate(key)
        check_route(caller, path)
        if self.serving.demands is not None:
            self.serving.demands.check_route(caller, path)
        return caller

    async def answer(self, call: Call) -> Answer:
        """The answer that is kept, or that of the first deployment which gives one.

        Raises GatewayError when none does; its `attempts` say which were tried.
        """
        answers, charges = self.serving.answers, self.serving.charges
        await _authorise(self.serving, call)
        if answers is None:
            return await self._ask(call)
        answer = await answers.answer(call, self._ask)
        if call.cached and charges is not None:
            charges.hit(call)
        return answer

    async def explain(self, call: Call) -> Explanation:
        """Where the call would go, and why. Raises what `answer` raises before it asks anybody."""
        serving = self.serving
        await _authorise(serving, call)
        candidates = _allowed(serving, call, serving.snapshot.resolve, call.group)
        if not candidates:
            raise _unknown(call, call.group)
        return await serving.router.explain(candidates, call)

    async def _ask(self, call: Call) -> Answer:
        serving = self.serving
        resolve: Resolve = serving.snapshot.resolver(call.operation)
        attempt = _attempt
        if serving.accounts.concerns(call):
            serving.accounts.claim(call, resolve)
            resolve = partial(serving.accounts.candidates, call, resolve=resolve)
            attempt = _attempt_in_account
        ask: Ask[Answer] = partial(_ask_group, serving, attempt)
        if serving.workflows is not None:
            resolve = partial(_allowed, serving, call, resolve)
            ask = partial(serving.workflows.answer, ask, serving.snapshot.resolve)
        return await _first_answer(serving, call, resolve, ask)

    @asynccontextmanager
    async def reach(
        self,
        call: Call,
        connect: Callable[[Deployment, Timeouts], Awaitable[Result]],
        *,
        suits: Callable[[Deployment], bool] = lambda deployment: True,
    ) -> AsyncIterator[Reached[Result]]:
        """A connection to the first deployment that lets `connect` make one, for the block.

        For what isn't answered in one piece. Retries and fallbacks are as for any call while the
        connection is made; the attempt lasts as long as the block, and fails with a ProviderError
        that leaves it. Raises what `answer` raises.

        suits: whether a deployment can be connected to at all.
        """
        serving = self.serving

        def resolve(group: str) -> Sequence[Deployment]:
            return tuple(filter(suits, serving.snapshot.resolve(group)))

        await _authorise(serving, call)
        ask = partial(_ask_group, serving, partial(_connect, connect))
        connection, outcome = await _first_answer(serving, call, resolve, ask)
        try:
            yield Reached(connection, outcome.failed)
        except BaseException as error:
            outcome.failed(error)
            if call.charge is not None:
                await call.charge.settle(error)
            raise
        outcome.succeeded()
        if call.charge is not None:
            await call.charge.settle()


async def _first_answer(
    serving: Serving,
    call: Call,
    resolve: Resolve,
    ask: Ask[Result],
) -> Result:
    """The first attempt that succeeds, over the groups that the call may fall back to."""
    group = call.group
    substitutes: Substitutes | None = None
    cause: GatewayError | None = None
    while True:
        candidates = resolve(group)
        try:
            answer = await ask(call, group, candidates)
        except LimitExceeded:
            # Nothing of the provider's, and no other group has a limit of its own.
            if cause is not None and serving.charges is not None:
                await serving.charges.failed(call, cause)
            raise
        except GatewayError as error:
            if cause is not None:
                serving.metrics.fell_back(resolve(call.group), candidates, cause, succeeded=False)
            cause = cause or error
            substitutes = substitutes or Substitutes(call)
            substitutes.add(_following(serving, call, group, error))
            more = call.fallbacks < serving.policy.max_fallbacks
            following = substitutes.next() if more else None
            if following is None:
                error.attempts = [
                    _report(tried, tried.error) for tried in call.attempts if tried.error
                ]
                # Who made the call may have left it to others, and let go of its charge.
                if serving.charges is not None and (call.charge is not None or call.attempts):
                    await serving.charges.failed(call, error)
                raise
            call.fallbacks += 1
            group = following
        else:
            if cause is not None:
                serving.metrics.fell_back(resolve(call.group), candidates, cause, succeeded=True)
            return answer


def _following(serving: Serving, call: Call, group: str, error: GatewayError) -> Sequence[StandIn]:
    """Who may stand in, of whom those of the configuration may be of another kind."""
    found = serving.policy.fallbacks(group, error, call.fallback_groups)
    if call.fallback_groups is not None:
        return found
    known = serving.snapshot.resolver(call.operation)
    return [each for each in found if known(each.group)]


async def _ask_group(
    serving: Serving,
    attempt: Callable[[Serving, Call, Deployment], Awaitable[Result]],
    call: Call,
    group: str,
    candidates: Sequence[Deployment],
) -> Result:
    if not candidates:
        raise _unknown(call, group)
    if serving.charges is None or call.payer is None:
        return await _tried(serving, attempt, call, candidates)
    candidates = serving.charges.candidates(call, group, candidates, serving.router.ranked)
    charge, candidates = await serving.charges.admit(call, candidates)
    call.charge = charge
    try:
        answer = await _tried(serving, attempt, call, candidates)
    except GatewayError:
        await charge.release()
        raise
    except BaseException as error:
        await charge.settle(error)
        raise
    if isinstance(answer, Answer):
        if answer.chunks is None:
            await charge.answered(answer.body)
        else:
            answer.chunks = charge.until_told(answer.chunks)
    return answer


async def _authorise(serving: Serving, call: Call) -> None:
    """Raises what callers are told who may not make the call."""
    if serving.demands is not None:
        serving.demands.check_call(call)
    if serving.charges is not None:
        await serving.charges.authorise(call, serving.snapshot.resolver(call.operation))


def _allowed(serving: Serving, call: Call, resolve: Resolve, group: str) -> Sequence[Deployment]:
    """The deployments of a group that the caller may call."""
    found, charges = resolve(group), serving.charges
    if charges is None or call.payer is None:
        return found
    return charges.candidates(call, group, found, serving.router.ranked)


async def _tried(
    serving: Serving,
    attempt: Callable[[Serving, Call, Deployment], Awaitable[Result]],
    call: Call,
    candidates: Sequence[Deployment],
) -> Result:
    """What the first deployment of a group gives that doesn't fail, with retries."""
    retries = 0
    tried: set[str] = set()
    while True:
        deployment = await serving.router.choose(candidates, call, tried)
        try:
            return await attempt(serving, call, deployment)
        except ProviderError as error:
            tried.add(deployment.id)
            delay = serving.router.retry_in(candidates, call, tried, error, retries)
            if delay is None:
                raise
            retries += 1
            serving.metrics.retried(deployment, error)
            if delay > 0:
                call.waited += delay
                await asyncio.sleep(delay)


async def _attempt(serving: Serving, call: Call, deployment: Deployment) -> Answer:
    timeouts = serving.policy.timeouts(deployment, call)
    lane = serving.lanes.lane(call, deployment)
    outcome = _Outcome(serving, call, Attempt(deployment, time.monotonic(), lane.name))
    try:
        answer = await lane.send(call, deployment, timeouts)
        if answer.chunks is not None:
            answer.chunks = await _begin(answer.chunks, outcome, timeouts, serving.heartbeat)
            return answer
    except BaseException as error:
        outcome.failed(error)
        raise
    outcome.succeeded()
    return answer


async def _attempt_in_account(serving: Serving, call: Call, deployment: Deployment) -> Answer:
    """An attempt of a call that makes or names objects which live with the provider's account."""
    accounts = serving.accounts
    resolve: Resolve = serving.snapshot.resolve
    if serving.charges is not None and call.payer is not None:
        resolve = serving.charges.checked(call, resolve)
    sent = await accounts.prepared(call, deployment, resolve)
    try:
        answer = await _attempt(serving, sent, deployment)
    finally:
        if sent is not call:
            sent.uploads[0].file.close()
    answer = accounts.labelled(call, deployment, answer)
    if serving.batches is not None and call.operation.family == "batches":
        await serving.batches.seen(call, deployment, answer)
    return answer


async def _connect(
    connect: Callable[[Deployment, Timeouts], Awaitable[Result]],
    serving: Serving,
    call: Call,
    deployment: Deployment,
) -> tuple[Result, _Outcome]:
    timeouts = serving.policy.timeouts(deployment, call)
    outcome = _Outcome(serving, call, Attempt(deployment, time.monotonic(), "direct"))
    try:
        connection = await connect(deployment, timeouts)
    except BaseException as error:
        outcome.failed(error)
        raise
    outcome.answered()
    return connection, outcome


async def _begin(
    chunks: AsyncIterator[bytes], outcome: _Outcome, timeouts: Timeouts, patience: float
) -> AsyncIterator[bytes]:
    """The stream from its first chunk on: until that is there, a failure can be retried.

    After `patience` seconds the answer begins without it, so that heartbeats keep the client.
    """
    first = asyncio.ensure_future(_next(chunks))
    try:
        await asyncio.wait({first}, timeout=min(patience, timeouts.total))
        if first.done():
            first.result()
            outcome.answered()
        elif patience >= timeouts.total:
            raise failures.timed_out(timeouts.total)
    except BaseException:
        await _leave(first, chunks)
        raise
    return _rest(first, chunks, outcome, timeouts.total - patience)


async def _rest(
    first: asyncio.Future[bytes | None],
    chunks: AsyncIterator[bytes],
    outcome: _Outcome,
    seconds: float,
) -> AsyncIterator[bytes]:
    try:
        if not first.done():
            await asyncio.wait({first}, timeout=seconds)
            if not first.done():
                raise failures.timed_out(seconds)
            outcome.answered()
        chunk = first.result()
        if chunk is not None:
            yield chunk
            async for chunk in chunks:
                yield chunk
    except BaseException as error:
        outcome.failed(error)
        if isinstance(error, GatewayError) or not isinstance(error, Exception):
            raise
        log.exception("stream failed", extra={"call_id": outcome.call_id})
        raise internal_error(outcome.call_id) from error
    else:
        outcome.succeeded()
    finally:
        await _leave(first, chunks)


async def _next(chunks: AsyncIterator[bytes]) -> bytes | None:
    return await anext(chunks, None)


async def _leave(first: asyncio.Future[bytes | None], chunks: AsyncIterator[bytes]) -> None:
    """Closes a stream; one that is waited for can't be closed before the waiting has ended."""
    if not first.done():
        first.cancel()
        await asyncio.wait({first})
    if not first.cancelled():
        first.exception()
    close = getattr(chunks, "aclose", None)
    if close is not None:
        await close()


class _Outcome:
    """Tells, exactly once, how an attempt ended."""

    __slots__ = ("_attempt", "_call", "_metrics", "_recorder", "_router")

    @property
    def call_id(self) -> str:
        return self._call.id

    def __init__(self, serving: Serving, call: Call, attempt: Attempt) -> None:
        self._router = serving.router
        self._metrics = serving.metrics
        self._recorder = serving.recorder
        self._call = call
        self._attempt = attempt
        call.attempts.append(attempt)
        self._router.started(attempt.deployment, call)

    def answered(self) -> None:
        self._attempt.answered = time.monotonic()

    def succeeded(self) -> None:
        attempt = self._attempt
        if attempt.ended is None:
            attempt.ended = time.monotonic()
            first = attempt.answered
            attempt.answered = first or attempt.ended
            self._router.succeeded(
                attempt.deployment,
                self._call,
                seconds=attempt.seconds,
                first_chunk=first - attempt.started if first else None,
                usage=self._call.usage,
            )
            if self._recorder is not None:
                self._recorder.ended(self._call, attempt)

    def failed(self, error: BaseException) -> None:
        attempt = self._attempt
        if attempt.ended is not None:
            return
        attempt.ended = time.monotonic()
        if isinstance(error, ProviderError):
            attempt.error = error
            self._metrics.failed(attempt.deployment, error)
            self._router.failed(attempt.deployment, self._call, error, seconds=attempt.seconds)
            if self._recorder is not None:
                self._recorder.ended(self._call, attempt)
        else:
            self._router.cancelled(attempt.deployment, self._call)


def _unknown(call: Call, group: str) -> NotFound:
    what, param = "model", "model"
    if call.operation.model == "tool":
        what, param = "search tool", "search_tool_name"
    return NotFound(
        f"The {what} '{group}' does not exist or you do not have access to it.",
        param=param,
        code=f"{what.replace(' ', '_')}_not_found",
    )


def _report(attempt: Attempt, error: ProviderError) -> dict[str, object]:
    """What the client is told about an attempt that failed."""
    return {
        "model": attempt.deployment.model,
        "deployment": attempt.deployment.id,
        "seconds": round(attempt.seconds, 3),
        "error": error.kind.value,
        "status": error.status,
        "message": error.message,
    }
