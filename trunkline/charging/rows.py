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
    return SpendRow(
        call_id=call.id,
        parent_id=call.part.of if call.part else "",
        started=since + call.started,
        ended=now,
        first_byte=since + answered if answered else None,
        key_hash=caller.key,
        key_alias=caller.key_alias or ("" if caller.key else caller.name),
        user_id=caller.user_id,
        team_id=caller.team_id,
        organization_id=caller.organization_id,
        customer_id=payer.customer[:LONGEST],
        tags=tuple(tag[:LONGEST] for tag in payer.tags),
        operation=call.operation.name,
        model_group=call.group[:LONGEST],
        model=deployment.model if deployment else "",
        deployment=deployment.id if deployment else "",
        provider=deployment.provider if deployment else "",
        api_base="",
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cached_tokens=usage.cached_tokens,
        cache_creation_tokens=usage.cache_creation_tokens,
        reasoning_tokens=usage.reasoning_tokens,
        cost=0 if call.cached else cost,
        cache_hit=bool(call.cached),
        stream=call.stream,
        status=status,
        error=error,
        strategy=decision.strategy if decision else "",
        bundle=decision.bundle if decision else "",
        trace_id=call.trace,
        requester_ip=payer.address,
        shared=shared,
    )
