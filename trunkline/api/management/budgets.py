"""/budget/…: limits under a name, for all who share them."""

from __future__ import annotations

from typing import Any

from ...access.management import budgets
from . import views
from .bodies import BudgetFields, BudgetIds, DeleteBudget, OneBudget, Pages, UpdateBudget
from .endpoints import Call, Endpoint

_SETTINGS = {
    "max_parallel_requests": ("Integer", "Calls at once"),
    "tpm_limit": ("Integer", "Tokens a minute"),
    "rpm_limit": ("Integer", "Requests a minute"),
    "budget_duration": ("String", "After which the budget begins anew: 30s, 30m, 12h, 30d, 1mo"),
    "max_budget": ("Float", "Dollars from which on calls are refused"),
    "soft_budget": ("Float", "Dollars from which on a warning is told"),
    "model_max_budget": ("Object", "Budgets by model"),
}


async def new_budget(call: Call[BudgetFields]) -> Any:
    return views.plain(await budgets.new(call.registry, call.body.asked(), call.by))


async def update_budget(call: Call[UpdateBudget]) -> Any:
    return views.plain(await budgets.update_budget(call.registry, call.body.asked(), call.by))


async def budget_info(call: Call[BudgetIds]) -> Any:
    return [views.plain(row) for row in await budgets.info(call.registry, call.body.budgets)]


async def list_budgets(call: Call[Pages]) -> Any:
    rows = await budgets.page(call.registry, call.body.page, call.body.page_size)
    return [views.plain(row) for row in rows]


async def delete_budget(call: Call[DeleteBudget]) -> Any:
    return views.plain(await budgets.delete(call.registry, call.body.id))


async def budget_settings(call: Call[OneBudget]) -> Any:
    """What of a budget can be set, and what it is now."""
    rows = await budgets.info(call.registry, [call.body.budget_id])
    now = views.plain(rows[0]) if rows else {}
    return [
        {
            "field_name": name,
            "field_type": kind,
            "field_description": words,
            "field_value": now.get(name),
            "stored_in_db": True,
            "field_default_value": None,
        }
        for name, (kind, words) in _SETTINGS.items()
    ]


ENDPOINTS = (
    Endpoint("POST", ("/budget/new",), BudgetFields, new_budget, "Make a budget"),
    Endpoint("POST", ("/budget/update",), UpdateBudget, update_budget, "Change a budget"),
    Endpoint("POST", ("/budget/info",), BudgetIds, budget_info, "About budgets"),
    Endpoint("GET", ("/budget/list",), Pages, list_budgets, "List budgets"),
    Endpoint("POST", ("/budget/delete",), DeleteBudget, delete_budget, "Delete a budget"),
    Endpoint("GET", ("/budget/settings",), OneBudget, budget_settings, "What a budget has to set"),
)
