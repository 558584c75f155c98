"""One call's way through a workflow: the calls that are made for it, their bounds and their sum."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any

from ...call import Answer, Call, Decision, Deployment, Operation, Part, Usage
from ...dataclass import dataclass
from ...errors import GatewayError
from ...providers.usage_sums import added_to_answer, added_to_frames, total
from ...settings.wildcards import WILDCARD
from ...telemetry import logs
from ...telemetry.metrics import Metrics
from ..labels import by_label, label_of
from ..learned import Learned, Turn
from ..loading import Loaded
from ..query import query_of
from ..router import Router
from ..strength import by_strength
from .bounds import Bounds
from .wires import CHAT, CONVERSATIONS

log = logging.getLogger("trunkline.routing")

Pipeline = Callable[[Call, str, Sequence[Deployment]], Awaitable[Answer]]
"""The gateway's way with one call: the group's name and its deployments, of whom one answers."""
Resolve = Callable[[str], Sequence[Deployment]]

_USER_AGENT = "user-agent"
_ONE_REQUEST = "idempotency-key"
"""Says of a client's request which one it is; a workflow makes several of it."""


@dataclass(frozen=True, slots=True)
class Tools:
    """What all runs work with. chat: the operation of what workflows ask on their own account.

    args: `routing_strategy_args`.
    """

    learned: Learned
    router: Router
    metrics: Metrics
    chat: Operation
    args: Mapping[str, Any]
    bounds: Bounds


@dataclass(frozen=True, slots=True)
class Asked:
    """Who is asked: the best of a ranking of labels, or the deployments of another model."""

    group: str
    deployments: Sequence[Deployment]
    ranking: tuple[str, ...]
    scores: tuple[float, ...] = ()


class Run:
    """A call that a workflow answers.

    query: what the user asks. loaded: what decides, from the beginning of the run to its end.
    labels: of the models that can take the call now, in the order of the bundle.
    """

    def __init__(
        self,
        tools: Tools,
        call: Call,
        group: str,
        candidates: Sequence[Deployment],
        pipeline: Pipeline,
        resolve: Resolve,
    ) -> None:
        """Raises what `Router.eligible` raises."""
        self.tools = tools
        self.call = call
        self.query = query_of(call)
        # What stands in for a group whose workflow failed goes on with what that one began with.
        self._turn: Turn = call.turn or tools.learned.turn(call)
        call.turn = self._turn
        self.loaded: Loaded = self._turn.loaded
        self._group = group
        self._candidates = candidates
        self._pipeline = pipeline
        self._resolve = resolve
        found = by_label(candidates, self.loaded.labels)
        self._known = frozenset(found)
        self._label_of = label_of(found)
        ids = {each.id for each in tools.router.eligible(candidates, call)}
        self.labels = [
            label
            for label in self.loaded.labels
            if any(each.id in ids for each in found.get(label, ()))
        ]
        self._began = time.monotonic()
        self._end = asyncio.get_running_loop().time() + self._seconds()
        self._waiting = 0
        self._waiting_since = 0.0
        call.decision = self._decision()

    def _decision(self, ranking: tuple[str, ...] = (), scores: tuple[float, ...] = ()) -> Decision:
        loaded, turn = self.loaded, self._turn
        return Decision(
            loaded.strategy,
            loaded.version,
            ranking,
            scores,
            trial=turn.trial,
            arm=turn.arm,
            names=loaded.labels,
        )

    def _seconds(self) -> float:
        """For all but the answer, which has at least half of what the client allows."""
        allowed = self.call.timeout
        own = self.tools.bounds.seconds
        return min(own, allowed / 2) if allowed else own

    # Who

    @property
    def described(self) -> dict[str, str]:
        """What the models that can be asked are good at, by label."""
        return {label: self.loaded.described[label].feature for label in self.labels}

    def ordered(self, *, strongest_first: bool) -> list[str]:
        """The labels that can be asked, by size or price."""
        known = [self.loaded.described[label].label for label in self.labels]
        return by_strength(known, strongest_first=strongest_first)

    def role(self, name: str, *, strongest: bool = True) -> Asked:
        """The model that an argument names, else the strongest or the weakest.

        It may be a label, or a model that is none of the candidates.
        """
        model = self.tools.args.get(name) or ""
        return self.named(str(model), strongest=strongest)

    def named(self, model: str, *, strongest: bool = True) -> Asked:
        """The model of a name, with all others to stand in; without one the strongest."""
        others = self.ordered(strongest_first=strongest)
        if model and model not in self._known:
            return Asked(model, self._resolve(model), (model,))
        first = [model] if model else []
        return self._asked([*first, *(label for label in others if label != model)])

    async def routed(self, text: str) -> Asked:
        """The model to which the bundle's head routes a text."""
        body = {"messages": [{"role": "user", "content": text}]}
        call = replace(self.call, operation=self.tools.chat, body=body)
        decision = await self.tools.learned.weigh(call, self.loaded)
        if not decision.ranking:
            return self.named("")
        return Asked(self._group, self._candidates, decision.ranking, decision.scores)

    def _asked(self, ranking: Iterable[str]) -> Asked:
        return Asked(self._group, self._candidates, tuple(ranking))

    # Asking

    @property
    def exhausted(self) -> bool:
        """Whether a bound is met, so that no call may be made but one that answers at last."""
        bounds, inner = self.tools.bounds, self.call.inner
        spent = sum(each.usage.total_tokens for each in inner)
        return (
            self._is_late
            or len(inner) >= bounds.calls
            or (bounds.tokens is not None and spent >= bounds.tokens)
        )

    @property
    def calls_left(self) -> int:
        """Calls that may still be made, beside the one that answers."""
        return 0 if self.exhausted else self.tools.bounds.calls - 1 - len(self.call.inner)

    @property
    def _is_late(self) -> bool:
        return asyncio.get_running_loop().time() >= self._end

    async def ask(self, step: str, asked: Asked, prompt: str, **fields: Any) -> str:
        """What a model says to a prompt; empty where it fails, says nothing, or a bound is met.

        fields: of the request, beside its message.
        """
        if not self.calls_left:
            self._count(step, "bound")
            return ""
        body = {"model": asked.group, "messages": [{"role": "user", "content": prompt}], **fields}
        inner = self._inner(step, asked, body, operation=self.tools.chat, answers=False)
        try:
            async with asyncio.timeout_at(self._end):
                answer = await self._sent(inner, asked)
        except (GatewayError, TimeoutError):
            return ""
        return CHAT.said(answer.body).strip()

    async def answer(self, step: str, asked: Asked, note: str = "") -> tuple[Call, Answer]:
        """An answer to the client's own request. note: what is added to it. Raises GatewayError."""
        operation = self.call.operation
        body = dict(self.call.body)
        if note:
            body = CONVERSATIONS[operation.name].noted(body, note)
        inner = self._inner(step, asked, body, operation=operation, answers=True)
        inner.raw = b"" if note else self.call.raw
        try:
            return inner, await self._sent(inner, asked)
        except GatewayError:
            self.call.attempts += inner.attempts
            self.call.usage = total(each.usage for each in self.call.inner)
            raise

    def _inner(
        self, step: str, asked: Asked, body: dict[str, Any], *, operation: Operation, answers: bool
    ) -> Call:
        outer = self.call
        decision = self._decision(asked.ranking, asked.scores)
        shared: dict[str, Any] = {
            "id": f"{outer.id}-{len(outer.inner) + 1}",
            "operation": operation,
            "body": body,
            "started": time.monotonic(),
            "decision": decision,
            "part": Part(outer.id, self.query, step, answers),
        }
        if answers:
            headers = {n: value for n, value in outer.headers.items() if n != _ONE_REQUEST}
            fresh: dict[str, Any] = {
                "attempts": [],
                "inner": [],
                "usage": Usage(),
                "waited": 0.0,
                "charge": None,
            }
            inner = replace(outer, **shared, **fresh, headers=headers, fallbacks=0)
            if outer.timeout:
                inner.timeout = max(0.001, outer.timeout - (time.monotonic() - self._began))
        else:
            agent = {n: value for n, value in outer.headers.items() if n == _USER_AGENT}
            inner = Call(
                group=asked.group,
                headers=agent,
                tags=outer.tags,
                num_retries=outer.num_retries,
                caller=outer.caller,
                payer=outer.payer,
                **shared,
            )
        outer.inner.append(inner)
        return inner

    async def _sent(self, inner: Call, asked: Asked) -> Answer:
        began, outcome = time.monotonic(), "failed"
        self._wait(1, began)
        try:
            answer = await self._pipeline(inner, asked.group, asked.deployments)
            outcome = "answered"
            assert inner.part is not None
            inner.part.label = self._label(inner)
            return answer
        except asyncio.CancelledError:
            outcome = "timeout" if self._is_late else "cancelled"
            raise
        finally:
            ended = time.monotonic()
            self._wait(-1, ended)
            self._tell(inner, outcome, ended - began)

    def _wait(self, change: int, now: float) -> None:
        """Adds to `waited` the time in which at least one inner call is waited for."""
        if self._waiting:
            self.call.waited += now - self._waiting_since
        self._waiting_since = now
        self._waiting += change

    def _label(self, inner: Call) -> str:
        if not inner.attempts:
            return ""
        deployment = inner.attempts[-1].deployment
        return self._label_of.get(deployment.id, deployment.group)

    def _count(self, step: str, outcome: str) -> None:
        self.tools.metrics.stepped(self.loaded.strategy, step, outcome)

    def tell(self, message: str, **fields: Any) -> None:
        """Logs what came of a step. fields: nothing of what anybody wrote."""
        told = {
            "call_id": self.call.id,
            "strategy": self.loaded.strategy,
            "bundle": self.loaded.version,
        }
        logs.tell(log, message, told | fields)

    def _tell(self, inner: Call, outcome: str, seconds: float) -> None:
        assert inner.part is not None
        self._count(inner.part.step, outcome)
        tried = inner.attempts[-1].deployment if inner.attempts else None
        self.tell(
            "routed",
            inner_call_id=inner.id,
            asked=self.call.group,
            step=inner.part.step,
            label=self._label(inner),
            model=_model(tried) if tried else "",
            deployment=tried.id if tried else "",
            milliseconds=round(seconds * 1000, 3),
            outcome=outcome,
        )

    # The end

    def finished(self, inner: Call, answer: Answer) -> Answer:
        """The answer of an inner call as that of the client's call, with what all have used."""
        call, kind = self.call, self.call.operation.usage
        assert inner.part is not None
        call.attempts += inner.attempts
        label = inner.part.label
        call.decision = self._decision((label,))
        self.tools.metrics.decided(call.decision)
        others = total(each.usage for each in call.inner if each is not inner)
        if answer.chunks is not None:
            answer.chunks = self._counted(answer.chunks, others)
            return answer
        call.usage = total(each.usage for each in call.inner)
        if others.total_tokens:
            answer.body = added_to_answer(kind, answer.body, others)
        return answer

    async def _counted(self, chunks: AsyncIterator[bytes], others: Usage) -> AsyncIterator[bytes]:
        kind, adds = self.call.operation.usage, bool(others.total_tokens)
        try:
            async with aclosing(chunks) as source:  # type: ignore[type-var]
                async for chunk in source:
                    yield added_to_frames(kind, chunk, others) if adds else chunk
        finally:
            self.call.usage = total(each.usage for each in self.call.inner)


def _model(deployment: Deployment) -> str:
    """What is told of a deployment: what a wildcard matches is written by the client."""
    return deployment.group if WILDCARD in deployment.group else deployment.model
