"""What is kept of a batch from its creation on, and the row that it comes to in the ledger."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from datetime import UTC, datetime

from ..access.identity import Principal
from ..access.roles import Role
from ..access.scopes import Level, budget_counter
from ..call import Call, Deployment, Usage
from ..errors import AuthenticationFailed, PermissionDenied
from ..ledger.book import nameless
from ..ledger.row import SpendRow
from ..providers import labels
from ..providers.affinity import tag_of
from ..providers.batches import Batch, place_of
from ..store.batches import CreatedBatch
from .charges import Charges
from .limits import Limit, period_of, spender
from .payer import Payer
from .rows import LONGEST

OPERATION = "batch"
"""What the rows of batches have for their operation."""

_STATUS = {"completed": "success", "cancelled": "cancelled"}


def id_of(batch: Batch) -> str:
    """The provider's id, without our tag."""
    return labels.without(str(batch["id"]), set())


def created_by(call: Call, deployment: Deployment, batch: Batch) -> CreatedBatch:
    """A batch that a call has just created, with whom the call is charged to."""
    payer: Payer = call.payer
    caller = payer.caller
    return CreatedBatch(
        place=place_of(deployment),
        batch_id=id_of(batch),
        request_id=str(batch["id"])[:LONGEST],
        parent_id=call.id,
        account=tag_of(deployment),
        model_id=deployment.id,
        model_group=call.group[:LONGEST],
        api_key=caller.key,
        key_alias=caller.key_alias or ("" if caller.key else caller.name),
        user_id=caller.user_id,
        team_id=caller.team_id,
        organization_id=caller.organization_id,
        end_user=_text(payer.customer),
        request_tags=tuple(map(_text, payer.tags)),
        requester_ip_address=payer.address,
        trace_id=call.trace,
        created_at=datetime.now(UTC),
    )


def _text(text: str) -> str:
    """A client's word as the database can keep it."""
    return text[:LONGEST].replace("\0", "").encode("utf-8", "replace").decode()


async def payer_of(charges: Charges, created: CreatedBatch) -> Payer:
    """Who created a batch, with the limits of the key if it is still good."""
    caller = Principal(
        created.key_alias,
        Role.KEY,
        key=created.api_key,
        user_id=created.user_id,
        team_id=created.team_id,
        organization_id=created.organization_id,
    )
    if created.api_key:
        with contextlib.suppress(AuthenticationFailed):
            caller = await charges.holder(created.api_key) or caller
    return Payer(caller, customer=created.end_user, tags=created.request_tags)


async def budgets_of(
    charges: Charges, payer: Payer, group: str, deployment: Deployment | None
) -> tuple[Limit, ...]:
    """The budgets that a batch counts against. Raises StoreUnavailable."""
    deployment = deployment or nameless("")
    try:
        return await charges.budgets_of(payer, group, deployment)
    except PermissionDenied:  # the customer was blocked meanwhile
        payer.customer = ""
        return await charges.budgets_of(payer, group, deployment)


def counters_of(created: CreatedBatch, limits: Sequence[Limit]) -> list[str]:
    """The counters of all budgets that a batch may count against, of those who are gone too."""
    of = {
        Level.KEY: created.api_key,
        Level.USER: created.user_id,
        Level.TEAM: created.team_id,
        Level.ORGANIZATION: created.organization_id,
        Level.CUSTOMER: created.end_user,
    }
    names = [f"{level}:{identity}" for level, identity in of.items() if identity]
    if created.team_id and created.user_id:
        names.append(f"{Level.MEMBER}:{created.team_id}:{created.user_id}")
    names += [f"{Level.TAG}:{tag}" for tag in created.request_tags]
    return list({*map(budget_counter, names), *(limit.counter for limit in limits)})


def row_of(
    created: CreatedBatch,
    batch: Batch,
    deployment: Deployment,
    group: str,
    usage: Usage,
    cost: int | None,
    ended: float,
    limits: Sequence[Limit],
) -> SpendRow:
    """The same row, whoever makes it. ended: when it was first seen to have, since 1970."""
    ending = str(batch["status"])
    status = _STATUS.get(ending, "failure")
    return SpendRow(
        call_id=created.request_id,
        parent_id=created.parent_id,
        started=ended,
        ended=ended,
        first_byte=None,
        key_hash=created.api_key,
        key_alias=created.key_alias,
        user_id=created.user_id,
        team_id=created.team_id,
        organization_id=created.organization_id,
        customer_id=created.end_user,
        tags=created.request_tags,
        operation=OPERATION,
        model_group=group,
        model=deployment.model,
        deployment=deployment.id or created.model_id,
        provider=deployment.provider,
        api_base="",
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cached_tokens=usage.cached_tokens,
        cache_creation_tokens=usage.cache_creation_tokens,
        reasoning_tokens=usage.reasoning_tokens,
        cost=cost,
        cache_hit=False,
        stream=False,
        status=status,
        error="" if status == "success" else f"batch_{ending}",
        strategy="",
        bundle="",
        trace_id=created.trace_id,
        requester_ip=created.requester_ip_address,
        shared=tuple(
            (spender(limit.counter), period_of(limit.budget, ended))
            for limit in limits
            if limit.shared and limit.budget is not None
        ),
    )
