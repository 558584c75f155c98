"""/spend/logs: the rows of calls, and their sums by day."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from ...access.money import dollars, nano
from ...errors import InvalidRequest
from ...store import spend_reports as reports
from ...store.tables import daily_spend, spend_logs
from ..management.endpoints import Body, Call, Endpoint
from ..management.fields import Name
from .asked import Moment, Page, Size, check_range, token, visible

MOST = 10_000
"""Rows of an answer that has no pages; LiteLLM's number."""

_NAMES = {
    "started_at": "startTime",
    "ended_at": "endTime",
    "first_byte_at": "completionStartTime",
    "user_id": "user",
    "parent_id": "session_id",
}
"""Our columns under LiteLLM's names."""


class Logs(Body):
    api_key: Name = None
    user_id: Name = None
    request_id: Name = None
    start_date: Moment = None
    end_date: Moment = None
    summarize: bool = True

    @model_validator(mode="after")
    def _in_order(self) -> Logs:
        check_range(self.start_date, self.end_date)
        return self


class LogPages(Body):
    api_key: Name = None
    user_id: Name = None
    request_id: Name = None
    team_id: Name = None
    end_user: Name = None
    model: Name = None
    model_id: Name = None
    model_group: Name = None
    key_alias: Name = None
    status_filter: Literal["success", "failure", "cancelled"] | None = None
    cache_hit_filter: Literal["hit", "miss"] | None = None
    min_spend: Annotated[float, Field(ge=0, le=10**9)] | None = None
    max_spend: Annotated[float, Field(ge=0, le=10**9)] | None = None
    start_date: Moment
    end_date: Moment
    page: Page = 1
    page_size: Size = 50
    sort_by: Literal["startTime", "endTime", "spend", "total_tokens", "model"] = "startTime"
    sort_order: Literal["asc", "desc"] = "desc"

    @model_validator(mode="after")
    def _in_order(self) -> LogPages:
        if self.start_date is None or self.end_date is None:
            raise ValueError("start_date and end_date are needed")
        check_range(self.start_date, self.end_date)
        return self


def view(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row as LiteLLM's clients read it. What it costs is null where that isn't known."""
    shown = {_NAMES.get(name, name): _shown(value) for name, value in row.items()}
    tokens = (row["prompt_tokens"] or 0) + (row["completion_tokens"] or 0)
    began, ended, first = row["started_at"], row["ended_at"], row["first_byte_at"]
    return {
        **shown,
        "spend": dollars(row["spend"]) if row["spend"] is not None else None,
        "total_tokens": tokens,
        "cache_hit": str(row["cache_hit"]),
        "request_duration_ms": _milliseconds(began, ended),
        "ttft_ms": _milliseconds(began, first) if first is not None else None,
        "metadata": {
            "user_api_key": row["api_key"],
            "user_api_key_alias": row["key_alias"],
            "user_api_key_user_id": row["user_id"],
            "user_api_key_team_id": row["team_id"],
            "user_api_key_org_id": row["organization_id"],
            "status": row["status"],
        },
    }


def _shown(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def _milliseconds(start: datetime, end: datetime) -> int:
    return round((end - start) / timedelta(milliseconds=1))


async def logs(call: Call[Logs]) -> Any:
    """Rows, the latest first; by day where a start and an end are given, unless told otherwise."""
    body, registry = call.body, call.registry
    asked = {
        "api_key": token(registry, body.api_key),
        "user_id": body.user_id,
        "request_id": body.request_id,
    }
    if body.start_date and body.end_date and body.summarize and not body.request_id:
        return await _by_day(call, body.start_date.date(), body.end_date.date())
    async with registry.database.reading() as connection:
        conditions = [
            *reports.equal(spend_logs, asked),
            *_started(body.start_date, body.end_date),
            *await visible(connection, call.caller, spend_logs),
        ]
        return [view(row) for row in await reports.calls(connection, conditions, limit=MOST)]


def _started(start: datetime | None, end: datetime | None) -> list[Any]:
    found = []
    if start is not None:
        found.append(spend_logs.c.started_at >= start)
    if end is not None:
        # A day without a time stands for the whole of it.
        whole = end.time() == datetime.min.time()
        found.append(
            spend_logs.c.started_at < end + timedelta(days=1)
            if whole
            else spend_logs.c.started_at <= end
        )
    return found


async def _by_day(call: Call[Logs], first: date, last: date) -> list[dict[str, Any]]:
    body = call.body
    asked = {"api_key": token(call.registry, body.api_key), "user_id": body.user_id}
    async with call.registry.database.reading() as connection:
        conditions = [
            *reports.equal(daily_spend, asked),
            *reports.days(daily_spend, first, last),
            *await visible(connection, call.caller, daily_spend),
        ]
        rows = await reports.sums(
            connection, ["date", "user_id", "model"], conditions, limit=reports.COUNTED + 1
        )
    if len(rows) > reports.COUNTED:
        raise InvalidRequest(
            "There is too much of it: ask for fewer days.", param="start_date", code="too_much"
        )
    return list(_days(rows, last)) if rows else []


def _days(rows: Iterable[Mapping[str, Any]], last: date) -> Iterable[dict[str, Any]]:
    """A day each, and after the last of them days without calls."""
    found: dict[date, dict[str, Any]] = {}
    for row in rows:
        day = found.setdefault(
            row["date"],
            {"startTime": row["date"].isoformat(), "spend": 0, "users": {}, "models": {}},
        )
        day["spend"] += row["spend"]
        for kind, name in (("users", row["user_id"]), ("models", row["model"])):
            day[kind][name] = day[kind].get(name, 0) + row["spend"]
    for day in found.values():
        parts = {kind: _in_dollars(day[kind]) for kind in ("users", "models")}
        yield {**day, "spend": dollars(day["spend"]), **parts}
    final = max(found)
    for offset in range((last - final).days):
        empty = (final + timedelta(days=offset + 1)).isoformat()
        yield {"startTime": empty, "spend": 0, "users": {}, "models": {}}


def _in_dollars(amounts: Mapping[str, int]) -> dict[str, float]:
    return {name: dollars(amount) for name, amount in amounts.items()}


async def log_pages(call: Call[LogPages]) -> Any:
    """Rows by pages, without what was asked and answered."""
    body, registry = call.body, call.registry
    columns = ("user_id", "request_id", "team_id", "end_user", "model", "model_id")
    asked = {name: getattr(body, name) for name in (*columns, "model_group", "key_alias")}
    asked |= {"api_key": token(registry, body.api_key), "status": body.status_filter}
    conditions = [*reports.equal(spend_logs, asked), *_started(body.start_date, body.end_date)]
    if body.cache_hit_filter is not None:
        conditions.append(spend_logs.c.cache_hit.is_(body.cache_hit_filter == "hit"))
    if body.min_spend is not None:
        conditions.append(spend_logs.c.spend >= nano(body.min_spend))
    if body.max_spend is not None:
        conditions.append(spend_logs.c.spend <= nano(body.max_spend))
    async with registry.database.reading() as connection:
        conditions += await visible(connection, call.caller, spend_logs)
        total = await reports.count_calls(connection, conditions)
        rows = await reports.calls(
            connection,
            conditions,
            limit=body.page_size,
            offset=(body.page - 1) * body.page_size,
            order=body.sort_by,
            ascending=body.sort_order == "asc",
            content=False,
        )
    return {
        "data": [view({**row, "messages": "", "response": ""}) for row in rows],
        "total": total,
        "page": body.page,
        "page_size": body.page_size,
        "total_pages": -(-total // body.page_size),
    }


ENDPOINTS = (
    Endpoint("GET", ("/spend/logs",), Logs, logs, "Calls, or what they cost by day"),
    Endpoint("GET", ("/spend/logs/v2",), LogPages, log_pages, "Calls by pages"),
)
