"""Reports of what was spent, as LiteLLM's clients know them."""

from __future__ import annotations

from fastapi import APIRouter

from ...deadline import Alarms
from ...gateway import Gateway
from ..management.endpoints import router
from . import activity, calculate, calls, report, reset, totals


def routers(gateway: Gateway, alarms: Alarms) -> list[APIRouter]:
    endpoints = (
        *calls.ENDPOINTS,
        *totals.ENDPOINTS,
        *report.ENDPOINTS,
        *activity.ENDPOINTS,
        *reset.ENDPOINTS,
    )
    return [router(gateway, alarms, "spend", endpoints), calculate.router(gateway, alarms)]
