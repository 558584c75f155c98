"""What the function is told by its environment, read once."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from trunkline.live.pointer import NAME

DEFAULT_SECONDS = 29.0
"""For which API Gateway waits, by default."""
MARGIN_SECONDS = 0.5

SNAP_START = "snap-start"
"""AWS_LAMBDA_INITIALIZATION_TYPE of an environment that is frozen to be restored many times."""


class ApiSettings(BaseModel):
    """config: the configuration: `s3://…`, or a file in the function; that of the configuration
    bucket without.

    configuration: that bucket. base_path: what stands before each path, where a custom domain maps
    one here; taken from the event where it isn't named. ephemeral: whether it may serve with
    accounts that no other environment knows and that end with it. settle_seconds: for which an
    answer waits for its row to be in the database. resume_seconds: for which a call waits for what
    became due meanwhile. data_directory: of this environment alone; nothing else can be written.
    """

    model_config = ConfigDict(frozen=True)

    config: str = ""
    configuration: str = ""
    base_path: str = ""
    ephemeral: bool = False
    settle_seconds: Annotated[float, Field(gt=0)] = 5.0
    resume_seconds: Annotated[float, Field(gt=0)] = 3.0
    data_directory: str = "/tmp/trunkline"  # noqa: S108 - Lambda's only folder to write to
    snap_start: bool = False

    @classmethod
    def read(cls, environ: Mapping[str, str] = os.environ) -> ApiSettings:
        """Of `TRUNKLINE_CONFIG` and its like. Raises pydantic's ValidationError."""
        named = {name: environ.get(f"TRUNKLINE_{name.upper()}") for name in cls.model_fields}
        found: dict[str, object] = {name: value for name, value in named.items() if value}
        found["snap_start"] = environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == SNAP_START
        return cls.model_validate(found)

    def left(self, context: Any) -> float:
        """Seconds that a call may take, so that its row can still be written."""
        if context is None:
            return DEFAULT_SECONDS
        left = float(context.get_remaining_time_in_millis()) / 1000
        return max(left - self.settle_seconds - MARGIN_SECONDS, left / 2)

    @property
    def place(self) -> str:
        """Where the configuration is. Raises ValueError where nothing names it."""
        if self.config:
            return self.config
        if self.configuration:
            return f"s3://{self.configuration}/{NAME}"
        raise ValueError("TRUNKLINE_CONFIG must name the configuration: s3://… or a file")
