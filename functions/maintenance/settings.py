"""What the function is told by its environment, read once."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from trunkline.live.pointer import NAME


class MaintenanceSettings(BaseModel):
    """config, configuration: see `functions.api.settings`. data_directory: of this environment.

    expired_key_days: after which a key that has expired is deleted; 0 for never. Rows of its calls
    stay.
    """

    model_config = ConfigDict(frozen=True)

    config: str = ""
    configuration: str = ""
    data_directory: str = "/tmp/trunkline"  # noqa: S108 - Lambda's only folder to write to
    expired_key_days: Annotated[int, Field(ge=0)] = 90

    @classmethod
    def read(cls, environ: Mapping[str, str] = os.environ) -> MaintenanceSettings:
        """Of `TRUNKLINE_CONFIG` and its like. Raises pydantic's ValidationError."""
        named = {name: environ.get(f"TRUNKLINE_{name.upper()}") for name in cls.model_fields}
        return cls.model_validate({name: value for name, value in named.items() if value})

    @property
    def place(self) -> str:
        """Where the configuration is. Raises ValueError where nothing names it."""
        if self.config:
            return self.config
        if self.configuration:
            return f"s3://{self.configuration}/{NAME}"
        raise ValueError("TRUNKLINE_CONFIG must name the configuration: s3://… or a file")
