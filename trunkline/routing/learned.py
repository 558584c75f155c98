"""Decides by the bundle in force which models a call should go to, and survives its failures."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import lru_cache, partial
from typing import TYPE_CHECKING

from ..call import Call, Decision, Deployment
from ..dataclass import dataclass
from ..state.arms import CANDIDATE, Arms, MemoryArms
from ..telemetry.metrics import Metrics
from .labels import by_label, label_of
from .loading import Loaded
from .query import query_of, user_of

if TYPE_CHECKING:
    import numpy as np

log = logging.getLogger("trunkline.routing")

THREADS = 2
MOST_WAITING = 64
"""Decisions that may be made or waited for in threads; more are not begun."""
REMEMBERED = 16
"""Sets of labels, of the latest bundles, of which it is kept who stands for them."""
RECENT, LONGEST_RECENT = 2_048, 1_000
"""Rankings that are kept, of queries with at most so many characters, the user's name included:
each turn of an agent asks the same again."""

Ranking = tuple[tuple[str, ...], tuple[float, ...]]
"""Labels, the best first, and their scores."""


Cost = Callable[[Deployment, Call], int | None]
"""Nano-dollars of what a call used on a deployment; None where no price is known."""


@dataclass(frozen=True, slots=True)
class Turn:
    """Whose turn it is to decide a call. trial, arm: as in `Decision`."""

    loaded: Loaded
    trial: str = ""
    arm: str = ""


def _unknown(deployment: Deployment, call: Call) -> int | None:
    return None


class Learned:
    """A learned strategy, over the bundle that is in force.

    loaded: what decides now. A reload sets another one; calls keep the decision that they have.
    models: the deployments that `virtual_model`, the name for any of its labels, stands for.
    names: the labels that may be chosen: those of the bundle, and of the candidate on trial.
    cost: what attempts of a trial cost.
    """

    def __init__(
        self,
        loaded: Loaded,
        models: tuple[Deployment, ...],
        *,
        virtual_model: str,
        timeout: float,
        metrics: Metrics,
        arms: Arms | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """timeout: seconds that a decision may take. arms: where calls of a trial are counted."""
        self.models = models
        self.virtual_model = virtual_model
        self._timeout = timeout
        self._metrics = metrics
        self.cost: Cost = _unknown
        self._arms = arms or MemoryArms()
        self._clock = clock
        self._threads: ThreadPoolExecutor | None = None
        self._waiting = 0
        self.swap(loaded)

    def swap(self, loaded: Loaded) -> None:
        """Puts another bundle into force, for the decisions that are made from now on."""
        self.loaded = loaded
        self._ranked = lru_cache(maxsize=RECENT)(_ranked)
        trial = loaded.trial
        if trial is not None and trial.candidate is None:
            self._arms.unusable(trial.id, CANDIDATE)
        self._name(self.models)

    def turn_to(self, models: tuple[Deployment, ...]) -> None:
        """From now on, these are the deployments; before a router is built over them."""
        self._name(models)

    def _name(self, models: tuple[Deployment, ...]) -> None:
        self.models = models
        trial = self.loaded.trial
        tried = trial.candidate.labels if trial and trial.candidate else ()
        self.names = tuple(dict.fromkeys(self.loaded.labels + tried))
        self._labels = lru_cache(maxsize=REMEMBERED)(partial(_labels, models))
        # The candidate may know a deployment by another of its names.
        found, labels = by_label(models, self.names), self._labels(self.names)
        self._renamed = {label: labels[found[label][0].id] for label in tried if label in found}

    def label(self, deployment: Deployment, names: tuple[str, ...]) -> str:
        """Which of some labels a deployment stands for; its group where it is none of them."""
        return self._labels(names).get(deployment.id, deployment.group)

    def turn(self, call: Call) -> Turn:
        """Whose turn it is to decide a call."""
        trial = self.loaded.trial
        if trial is None or trial.candidate is None:
            return Turn(self.loaded)
        arm = trial.arm(call)
        if trial.is_remembered(call, arm):
            self._arms.decided(trial.id, arm, call.id)
        return Turn(trial.candidate if arm == CANDIDATE else self.loaded, trial.id, arm)

    def ended(self, call: Call, deployment: Deployment, *, failed: bool) -> None:
        """An attempt ended; counted where the call is part of a trial."""
        decision = call.decision
        if decision is not None and decision.arm:
            cost = None if failed else self.cost(deployment, call)
            self._arms.ended(decision.trial, decision.arm, failed=failed, cost=cost)

    async def judged(self, call_id: str, score: float) -> None:
        """Somebody judged an answer, from 0 to 1; counted where its call is part of a trial."""
        if self.loaded.trial is not None:
            await self._arms.judged(self.loaded.trial.id, call_id, score)

    async def decide(self, call: Call) -> Decision:
        """How the call's models rank; counted, and logged where there is no decision."""
        turn, renamed = self.turn(call), self._renamed
        decision = await self.weigh(call, turn.loaded)
        if turn.arm:
            ranking = tuple(renamed.get(label, label) for label in decision.ranking)
            decision = replace(decision, ranking=ranking, trial=turn.trial, arm=turn.arm)
        self._metrics.decided(decision)
        if decision.missing and decision.missing != "no_query":
            told = {
                "call_id": call.id,
                "strategy": decision.strategy,
                "bundle": decision.bundle,
                "reason": decision.missing,
            }
            log.warning("routing decision missing", extra=told)
        return decision

    async def weigh(self, call: Call, loaded: Loaded | None = None) -> Decision:
        """How the call's models rank. Never raises: what fails is told by `Decision.missing`.

        loaded: what decides; None for what is in force.

        One that takes too long isn't used, though it is there in the end: then it makes no
        difference whether a strategy runs on the event loop or off it.
        """
        loaded, names = loaded or self.loaded, self.names
        began = self._clock()
        ranking: tuple[str, ...] = ()
        scores: tuple[float, ...] = ()
        missing = ""
        try:
            text = query_of(call)
            if text:
                user = user_of(call)
                asked = text, user, call.cost_weight
                if loaded.blocking:
                    ranking, scores = await self._in_thread(loaded, *asked)
                elif len(text) + len(user) <= LONGEST_RECENT:
                    ranking, scores = self._ranked(loaded, *asked)
                else:
                    ranking, scores = _ranked(loaded, *asked)
                missing = "" if ranking else "error"
            else:
                missing = "no_query"
        except TimeoutError:
            missing = "timeout"
        except _Busy:
            missing = "busy"
        except Exception:
            told = {"call_id": call.id, "strategy": loaded.strategy}
            log.exception("strategy failed", extra=told)
            missing = "error"
        seconds = self._clock() - began
        if ranking and seconds > self._timeout:
            ranking, scores, missing = (), (), "timeout"
        return Decision(
            loaded.strategy, loaded.version, ranking, scores, seconds, missing, names=names
        )

    async def _in_thread(
        self, loaded: Loaded, text: str, user: str, cost_weight: float | None
    ) -> Ranking:
        if self._waiting >= MOST_WAITING:
            raise _Busy
        if self._threads is None:
            self._threads = ThreadPoolExecutor(THREADS, "trunkline-routing")
        self._waiting += 1
        made = self._threads.submit(_ranked, loaded, text, user, cost_weight)
        loop = asyncio.get_running_loop()
        made.add_done_callback(lambda _: self._free_in(loop))
        return await asyncio.wait_for(asyncio.wrap_future(made), self._timeout)

    def _free_in(self, loop: asyncio.AbstractEventLoop) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody counts any more
            loop.call_soon_threadsafe(self._free)

    def _free(self) -> None:
        self._waiting -= 1

    def close(self) -> None:
        """Begins no more decisions in threads."""
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)


class _Busy(Exception):
    """Too many decisions are being made."""


def _labels(models: tuple[Deployment, ...], names: tuple[str, ...]) -> dict[str, str]:
    return label_of(by_label(models, names))


def _ranked(loaded: Loaded, text: str, user: str, cost_weight: float | None) -> Ranking:
    return ranked(loaded.labels, loaded.scores(text, user, cost_weight))


def ranked(labels: tuple[str, ...], scores: np.ndarray) -> Ranking:
    """The labels, the best first, and their scores; nothing where a score isn't a number."""
    values = scores.tolist()
    if math.isnan(sum(values)) and any(map(math.isnan, values)):
        return (), ()
    order = sorted(range(len(values)), key=values.__getitem__, reverse=True)
    return tuple([labels[place] for place in order]), tuple([values[place] for place in order])
