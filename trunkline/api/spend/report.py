"""/global/spend/report: who spent how much on which models, by day or by key."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from ...access.money import dollars
from ...errors import InvalidRequest
from ...store import spend_reports as reports
from ...store.tables import daily_spend
from ..management.endpoints import Call, Endpoint
from ..management.fields import Name
from .asked import Days, token
from .totals import team_names

MOST = 100_000
"""Lines of a report."""

_GROUPS: Mapping[str, tuple[str, str, str]] = {
    "team": ("team_id", "teams", "team_name"),
    "customer": ("end_user", "customers", "customer"),
    "user": ("user_id", "users", "user_id"),
    "organization": ("organization_id", "organizations", "organization_id"),
    "provider": ("custom_llm_provider", "providers", "provider"),
}
"""By what a report can be grouped: our column, what a day calls them, and what each calls itself.

`team` and `customer` are as LiteLLM writes them, the others alike.
"""
NO_TEAM = "Unassigned Team"


class Report(Days):
    """by_key: ours; whether lines are of single keys, or of all keys together."""

    group_by: Literal["team", "customer", "user", "organization", "provider", "api_key"] = "team"
    api_key: Name = None
    internal_user_id: Name = None
    team_id: Name = None
    customer_id: Name = None
    by_key: bool = True


async def report(call: Call[Report]) -> Any:
    """By key where one is named, or a user; else by day."""
    body = call.body
    asked = {
        "api_key": token(call.registry, body.api_key),
        "user_id": body.internal_user_id,
        "team_id": body.team_id,
        "end_user": body.customer_id,
    }
    if body.api_key or body.internal_user_id or body.group_by == "api_key":
        return _by_key(await _rows(call, ["api_key", "model"], asked))
    column, plural, name = _GROUPS[body.group_by]
    extra = ["end_user"] if body.team_id and body.customer_id and column != "end_user" else []
    keys = ["api_key"] if body.by_key else []
    rows = await _rows(call, ["date", column, *extra, "model", *keys], asked)
    if column == "team_id":
        async with call.registry.database.reading() as connection:
            names = await team_names(connection, {row["team_id"] for row in rows})
        rows = [{**row, "team_id": names.get(row["team_id"], NO_TEAM)} for row in rows]
    return list(_by_day(rows, column, plural, name, extra))


async def _rows(
    call: Call[Report], by: Sequence[str], asked: Mapping[str, str | None]
) -> list[reports.Row]:
    body = call.body
    conditions = [
        *reports.days(daily_spend, body.start_date, body.end_date),
        *reports.equal(daily_spend, asked),
    ]
    async with call.registry.database.reading() as connection:
        # Lines of keys are as many as the rows that they are summed of: counting is enough.
        if "api_key" in by and await reports.more_than(connection, MOST, conditions):
            raise _too_much()
        rows = await reports.sums(connection, by, conditions, limit=MOST + 1)
    if len(rows) > MOST:
        raise _too_much()
    return rows


def _too_much() -> InvalidRequest:
    return InvalidRequest(
        f"The report would have more than {MOST} lines: ask for fewer days, for one team, user or"
        " customer, or for no single keys (by_key=false).",
        param="start_date",
        code="too_much",
    )


def _by_key(rows: Iterable[reports.Row]) -> list[dict[str, Any]]:
    found: dict[str, list[reports.Row]] = {}
    for row in rows:
        found.setdefault(row["api_key"], []).append(row)
    keys = [
        {
            "api_key": key,
            **_totals(models),
            "model_details": [{"model": each["model"], **_totals([each])} for each in models],
        }
        for key, models in found.items()
    ]
    return sorted(keys, key=lambda each: -each["total_cost"])


def _totals(rows: Sequence[reports.Row]) -> dict[str, Any]:
    return {
        "total_cost": dollars(sum(row["spend"] for row in rows)),
        "total_input_tokens": sum(row["prompt_tokens"] for row in rows),
        "total_output_tokens": sum(row["completion_tokens"] for row in rows),
    }


def _by_day(
    rows: Iterable[reports.Row], column: str, plural: str, name: str, extra: Sequence[str]
) -> Iterable[dict[str, Any]]:
    days: dict[Any, dict[tuple[str, ...], list[reports.Row]]] = {}
    for row in rows:
        who = tuple(row[each] for each in (column, *extra))
        days.setdefault(row["date"], {}).setdefault(who, []).append(row)
    for day, groups in days.items():
        yield {
            "group_by_day": f"{day.isoformat()}T00:00:00+00:00",
            plural: [
                {
                    **dict(zip((name, *("customer" for _ in extra)), who, strict=True)),
                    "total_spend": dollars(sum(row["spend"] for row in lines)),
                    "metadata": [_line(row) for row in lines],
                }
                for who, lines in groups.items()
            ],
        }


def _line(row: reports.Row) -> dict[str, Any]:
    return {
        "model": row["model"],
        "api_key": row.get("api_key"),
        "spend": dollars(row["spend"]),
        "total_tokens": row["prompt_tokens"] + row["completion_tokens"],
    }


ENDPOINTS = (
    Endpoint("GET", ("/global/spend/report",), Report, report, "Who spent how much on what"),
)
