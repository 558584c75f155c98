"""The log line of a routing decision: what was chosen and by what, and nothing of the prompt."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from ..call import Call, Deployment
from ..settings.wildcards import WILDCARD
from ..telemetry import logs

log = logging.getLogger("trunkline.routing")


def tell(
    call: Call, chosen: Deployment, built_in: str, labels: Mapping[str, str] | None = None
) -> None:
    """Logs that a deployment was chosen among several, by a learned strategy or a built-in one.

    labels: the label of each deployment by its id, where models were ranked.

    Of a workflow's calls, the workflow tells once they have ended.
    """
    if call.part is not None:
        return
    # What a wildcard matches is written by the client, and so is told by the wildcard's name.
    told: dict[str, Any] = {
        "call_id": call.id,
        "strategy": built_in,
        "group": chosen.group,
        "model": chosen.group if WILDCARD in chosen.group else chosen.model,
        "deployment": chosen.id,
    }
    decision = call.decision
    if labels is not None and decision is not None:
        told["asked"] = call.group
        label = labels.get(chosen.id, "")
        told["label"] = label
        told["bundle"] = decision.bundle
        if decision.arm:
            told["arm"] = decision.arm
        told["decision_ms"] = round(decision.seconds * 1000, 3)
        if label in decision.ranking:
            told["strategy"] = decision.strategy
            told["score"] = round(decision.scores[decision.ranking.index(label)], 4)
        elif decision.missing:
            told["missing"] = decision.missing
    logs.tell(log, "routed", told)
