"""What the function is told by its environment, read once."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from trunkline.live.pointer import NAME, Guards
from trunkline.rollout.margins import COST_MARGIN, MARGIN, Margins
from trunkline.rollout.rollout import Trials

_USUAL = Guards()

Share = Annotated[float, Field(ge=0, le=1)]
NotNegative = Annotated[float, Field(ge=0)]


class RolloutSettings(BaseModel):
    """bundles, configuration: buckets; empty for none. public_key: whose signatures of bundles are
    accepted, as PEM; the configuration's keys, without. alarm_topic: who is told, an SNS topic.

    config: the configuration in force: `s3://…/active.json`, or a file in the function; that of the
    configuration bucket without. secrets: those that are resolved; where there are none, a
    configuration is judged as if all that it names were there.

    canary_share: of the calls that a new bundle decides first; 0 for none. canary_minutes: for how
    long. guard_…: see `trunkline.live.pointer.Guards`. margin, cost_margin: of the comparison on
    the bucket's evaluation set.
    """

    model_config = ConfigDict(frozen=True)

    bundles: str = ""
    configuration: str = ""
    config: str = ""
    public_key: str = ""
    alarm_topic: str = ""
    secrets: str = ""
    canary_share: Share = 0.0
    canary_minutes: Annotated[float, Field(gt=0)] = 30.0
    guard_errors: NotNegative = _USUAL.errors
    guard_cost: NotNegative = _USUAL.cost
    guard_quality: NotNegative = _USUAL.quality
    guard_least_calls: Annotated[int, Field(ge=1)] = _USUAL.least_calls
    margin: NotNegative = MARGIN
    cost_margin: NotNegative = COST_MARGIN

    @classmethod
    def read(cls, environ: Mapping[str, str] = os.environ) -> RolloutSettings:
        """Of `TRUNKLINE_BUNDLES` and its like. Raises pydantic's ValidationError."""
        named = {name: environ.get(f"TRUNKLINE_{name.upper()}") for name in cls.model_fields}
        return cls.model_validate({name: value for name, value in named.items() if value})

    @property
    def in_force(self) -> str:
        """Where the configuration in force is; empty where none is known."""
        if self.config:
            return self.config
        return f"s3://{self.configuration}/{NAME}" if self.configuration else ""

    @property
    def trials(self) -> Trials:
        guards = Guards(
            self.guard_errors, self.guard_cost, self.guard_quality, self.guard_least_calls
        )
        return Trials(self.canary_share, self.canary_minutes * 60, guards)

    @property
    def margins(self) -> Margins:
        return Margins(self.margin, self.cost_margin)
