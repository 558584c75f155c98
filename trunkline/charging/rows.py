"""From a call that has ended to its row in the ledger."""

from __future__ import annotations

import time

from ..call import Call
from ..ledger.row import SpendRow
from .payer import Payer

LONGEST = 500
"""Characters of a text of the client's that a row keeps."""


def row_of(
    call: Call,
    cost: int | None,
    status: str,
    error: str,
    now: float,
    shared: tuple[tuple[str, int], ...] = (),
) -> SpendRow:
    """cost: nano-dollars; None where it isn't known, or nothing was called. now: since 1970."""
    payer: Payer = call.payer
    caller, usage, decision = payer.caller, call.usage, call.decision
    attempt = call.attempts[-1] if call.attempts else None
    deployment = attempt.deployment if attempt else None
    since = now - time.monotonic()
    answered = attempt.answered if attempt else None
    return SpendRow._make(
        (  # in the order of its fields
            call.id,
            call.part.of if call.part else "",
            since + call.started,
            now,
            since + answered if answered else None,
            caller.key,
            caller.key_alias or ("" if caller.key else caller.name),
            caller.user_id,
            caller.team_id,
            caller.organization_id,
            payer.customer[:LONGEST],
            tuple(tag[:LONGEST] for tag in payer.tags) if payer.tags else (),
            call.operation.name,
            call.group[:LONGEST],
            deployment.model if deployment else "",
            deployment.id if deployment else "",
            deployment.provider if deployment else "",
            "",
            usage.input_tokens,
            usage.output_tokens,
            usage.cached_tokens,
            usage.cache_creation_tokens,
            usage.reasoning_tokens,
            0 if call.cached else cost,
            bool(call.cached),
            call.stream,
            status,
            error,
            decision.strategy if decision else "",
            decision.bundle if decision else "",
            call.trace,
            payer.address,
            "",
            "",
            shared,
        )
    )
