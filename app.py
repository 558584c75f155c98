"""What `cdk` runs: the stacks, as the context says. See docs/deploy.md."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from aws_cdk import App

from cdk.settings import SettingsError, read
from cdk.shape import deployment


def build(context: Mapping[str, Any] | None = None) -> App:
    """context: beside what `cdk` hands over. Raises SettingsError."""
    app = App(context=dict(context or {}))
    deployment(app, read(app.node.get_all_context()))
    return app


if __name__ == "__main__":
    try:
        build().synth()
    except SettingsError as error:
        sys.exit(f"The context can't be deployed:\n{error}")
