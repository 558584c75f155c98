"""The configuration that the function serves."""

from __future__ import annotations

import os

from trunkline.rollout.in_force import configuration
from trunkline.settings import Settings


def load(place: str) -> Settings:
    """Raises GatewayError's kin, each saying what to do."""
    found = configuration(place, os.environ)
    if found is None:
        raise ValueError(f"{place}: no configuration was rolled out there yet")
    return found
