"""The log line of a routing decision: what was chosen and by what, and nothing of the prompt."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from ..call import Call, Deployment

log = logging.getLogger("trunkline.routing")


def tell(
    call: Call, chosen: Deployment, built_in: str, labels: Mapping[str, str] | None = None
) -> None:
    """Logs that a deployment was chosen among several, by a learned strategy or a built-in one.

    labels: the label of each deployment by its id, where models were ranked.
    """
    if not log.isEnabledFor(logging.INFO):
        return
    told: dict[str, Any] = {
        "call_id": call.id,
        "strategy": built_in,
        "asked": call.group,
        "model": chosen.model,
        "deployment": chosen.id,
    }
    decision = call.decision
    if labels is not None and decision is not None:
        label = labels.get(chosen.id, "")
        told["label"] = label
        told["bundle"] = decision.bundle
        told["decision_ms"] = round(decision.seconds * 1000, 3)
        if label in decision.ranking:
            told["strategy"] = decision.strategy
            told["score"] = round(decision.scores[decision.ranking.index(label)], 4)
        elif decision.missing:
            told["missing"] = decision.missing
    log.info("routed", extra=told)
