"""The management API: keys, users, teams, budgets, as LiteLLM's clients know it."""

from __future__ import annotations

from fastapi import APIRouter

from ...deadline import Alarms
from ...gateway import Gateway
from . import budgets, customers, keys, organizations, tags, teams, users
from .endpoints import router

TABLES = {
    "keys": keys.ENDPOINTS,
    "users": users.ENDPOINTS,
    "teams": teams.ENDPOINTS,
    "budgets": budgets.ENDPOINTS,
    "customers": customers.ENDPOINTS,
    "organizations": organizations.ENDPOINTS,
    "tags": tags.ENDPOINTS,
}


def routers(gateway: Gateway, alarms: Alarms) -> list[APIRouter]:
    return [router(gateway, alarms, tag, endpoints) for tag, endpoints in TABLES.items()]
