"""Records what learned strategies decided and what came of it, to train the next ones on."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from .. import json_text
from ..call import Attempt, Call, Deployment
from ..store.rows import Feedback, RoutingRecord
from .learned import Learned
from .query import query_of, user_of

if TYPE_CHECKING:
    from ..store.routing_records import RoutingRecords

Cost = Callable[[Deployment, Call], int | None]
"""Nano-dollars of what a call used on a deployment; None where no price is known."""


class Recorder:
    """Makes a record of each call that the learned strategy routed.

    content: whether prompts may be kept; embeddings are kept anyway.
    """

    def __init__(
        self, store: RoutingRecords, learned: Learned | None, cost: Cost, *, content: bool
    ) -> None:
        self.store = store
        self._learned = learned
        self._cost = cost
        self._content = content

    def judged(self, feedback: Feedback) -> None:
        """Keeps what somebody thinks of an answer."""
        self.store.add(feedback)

    def ended(self, call: Call, attempt: Attempt) -> None:
        """Records how an attempt ended; a later attempt of the call takes its place."""
        decision = call.decision
        if decision is None or self._learned is None or not decision.ranking:
            return
        part = call.part
        if part is not None and not part.answers:
            return
        text = part.query if part else query_of(call)
        embedder = self._learned.loaded.embedder
        # An embedder that takes milliseconds isn't asked again on the event loop.
        embeds = embedder is not None and not embedder.blocking
        chosen = attempt.deployment
        self.store.add(
            RoutingRecord(
                call_id=part.of if part else call.id,
                at=datetime.now(UTC).isoformat(timespec="milliseconds"),
                strategy=decision.strategy,
                bundle=decision.bundle,
                query_text=text if self._content else None,
                embedding=(
                    embedder.embed(text).astype("<f2").tobytes() if embedder and embeds else None
                ),
                embedder_sha256=embedder.sha256 if embedder and embeds else None,
                user_id=user_of(call),
                model=self._learned.label(chosen, decision.names),
                deployment=chosen.id,
                group_name=chosen.group,
                scores=json_text.dumps(
                    # What a workflow asks is chosen without scores.
                    dict(zip(decision.ranking, decision.scores, strict=False))
                ).decode(),
                input_tokens=call.usage.input_tokens,
                output_tokens=call.usage.output_tokens,
                cost_nano=self._cost(chosen, call),
                latency_ms=round(attempt.seconds * 1000, 3),
                status=attempt.error.kind.value if attempt.error else "ok",
            )
        )
