"""What the function is told by its environment, read once."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from trunkline.live.pointer import NAME


class TrainingSettings(BaseModel):
    """training, bundles, configuration: buckets; empty for none. config: see `functions.api`.

    training_least: rows that have to be new since the last bundle was published for a job to be
    worth it. public_key: whose signatures of bundles are accepted. alarm_topic: who is told.
    """

    model_config = ConfigDict(frozen=True)

    training: str = ""
    bundles: str = ""
    configuration: str = ""
    config: str = ""
    public_key: str = ""
    alarm_topic: str = ""
    training_least: Annotated[int, Field(ge=1)] = 100

    @classmethod
    def read(cls, environ: Mapping[str, str] = os.environ) -> TrainingSettings:
        """Of `TRUNKLINE_TRAINING` and its like. Raises pydantic's ValidationError."""
        named = {name: environ.get(f"TRUNKLINE_{name.upper()}") for name in cls.model_fields}
        return cls.model_validate({name: value for name, value in named.items() if value})

    @property
    def in_force(self) -> str:
        """Where the configuration in force is; empty where none is known."""
        if self.config:
            return self.config
        return f"s3://{self.configuration}/{NAME}" if self.configuration else ""
