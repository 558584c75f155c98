"""The endpoints of accounts: keys, users, teams and budgets, what was spent, stored models.

They load the database's library, so only a gateway that has accounts loads this module.
"""

from __future__ import annotations

from fastapi import APIRouter

from ..deadline import Alarms
from ..gateway import Gateway
from . import management, spend, stored_models


def routers(gateway: Gateway, alarms: Alarms, reload: stored_models.Reload) -> list[APIRouter]:
    """reload: brings stored models into force."""
    return [
        *management.routers(gateway, alarms),
        *spend.routers(gateway, alarms),
        stored_models.router(gateway, alarms, reload),
    ]
