"""/…/activity: requests and tokens by day, and everything about the days of users and teams."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import ColumnElement, select

from ...access.money import dollars
from ...errors import PermissionDenied
from ...store import spend_reports as reports
from ...store.tables import daily_spend, keys
from ..management.endpoints import Call, Endpoint
from ..management.fields import Name, Text
from .asked import Days, Page, Size, owner, token
from .totals import team_names

_TOP = 10


class Activity(Days):
    api_key: Name = None
    model: Name = None
    page: Page = 1
    page_size: Size = 50


class UserActivity(Activity):
    user_id: Name = None


class TeamActivity(Activity):
    team_ids: Text = None
    exclude_team_ids: Text = None


async def global_activity(call: Call[Days]) -> Any:
    """All requests."""
    return _activity(await _sums(call, ["date"]))


async def model_activity(call: Call[Days]) -> Any:
    """Requests of the ten model groups that were asked for most."""
    groups: dict[str, list[reports.Row]] = {}
    for row in await _sums(call, ["date", "model_group"]):
        groups.setdefault(row["model_group"], []).append(row)
    found = [{"model": group, **_activity(rows)} for group, rows in groups.items()]
    return sorted(found, key=lambda each: -each["sum_api_requests"])[:_TOP]


async def _sums(call: Call[Days], by: list[str]) -> list[reports.Row]:
    conditions = reports.days(daily_spend, call.body.start_date, call.body.end_date)
    async with call.registry.database.reading() as connection:
        return await reports.sums(connection, by, conditions)


def _activity(rows: list[reports.Row]) -> dict[str, Any]:
    return {
        "daily_data": [
            {
                "date": row["date"].strftime("%b %d"),
                "api_requests": row["api_requests"],
                "total_tokens": _tokens(row),
            }
            for row in rows
        ],
        "sum_api_requests": sum(row["api_requests"] for row in rows),
        "sum_total_tokens": sum(map(_tokens, rows)),
    }


def _tokens(row: Mapping[str, Any]) -> int:
    total: int = row["prompt_tokens"] + row["completion_tokens"]
    return total


async def user_activity(call: Call[UserActivity]) -> Any:
    """Days of a user; without one, of the caller, or of all for who may see all."""
    caller, asked = call.caller, call.body.user_id
    if not caller.role.sees_all:
        if asked is not None and asked != caller.user_id:
            raise PermissionDenied("That is another user.", param="user_id")
        own = daily_spend.c.user_id == caller.user_id
        return await _days(call, [own if caller.user_id else daily_spend.c.api_key == caller.key])
    return await _days(call, reports.equal(daily_spend, {"user_id": asked}))


async def team_activity(call: Call[TeamActivity]) -> Any:
    """Days of teams. Members who don't administer a team see what they did in it themselves."""
    wanted, unwanted = _listed(call.body.team_ids), _listed(call.body.exclude_team_ids)
    conditions: list[ColumnElement[bool]] = [daily_spend.c.team_id != ""]
    if wanted:
        conditions.append(daily_spend.c.team_id.in_(wanted))
    if unwanted:
        conditions.append(daily_spend.c.team_id.not_in(unwanted))
    async with call.registry.database.reading() as connection:
        of = await owner(connection, call.caller)
    if of is not None:
        conditions.append(of.of(daily_spend))
    return await _days(call, conditions, entity="team_id")


def _listed(text: str | None) -> list[str]:
    return [each.strip() for each in (text or "").split(",") if each.strip()][:1000]


async def _days(
    call: Call[Any], conditions: list[ColumnElement[bool]], entity: str = ""
) -> dict[str, Any]:
    """A page of the sums by day, key and model, put together by day, the latest first."""
    body: Activity = call.body
    by = ["date", "api_key", "model", "model_group", "custom_llm_provider"]
    by += [entity] if entity else []
    conditions = [
        *conditions,
        *reports.days(daily_spend, body.start_date, body.end_date),
        *reports.equal(
            daily_spend, {"model": body.model, "api_key": token(call.registry, body.api_key)}
        ),
    ]
    async with call.registry.database.reading() as connection:
        total = await reports.count_of(connection, by, conditions)
        rows = await reports.sums(
            connection,
            by,
            conditions,
            order=["-date", *by[1:]],
            limit=body.page_size,
            offset=(body.page - 1) * body.page_size,
        )
        query = select(keys.c.token, keys.c.key_alias, keys.c.team_id).where(
            keys.c.token.in_({row["api_key"] for row in rows})
        )
        known = {key: (alias, team) for key, alias, team in await connection.execute(query)}
        named = await team_names(connection, {row["team_id"] for row in rows}) if entity else {}
    pages = -(-total // body.page_size)
    totals = {f"total_{name}": value for name, value in _metrics(rows).items()}
    totals["total_tokens"] = totals.pop("total_total_tokens")
    return {
        "results": [_day(day, lines, known, named) for day, lines in _by(rows, "date").items()],
        "metadata": {
            **totals,
            "page": body.page,
            "total_pages": pages,
            "has_more": body.page < pages,
        },
    }


def _day(
    day: Any,
    rows: list[reports.Row],
    known: Mapping[str, tuple[str | None, str | None]],
    named: Mapping[str, str],
) -> dict[str, Any]:
    def keyed(lines: Iterable[reports.Row]) -> dict[str, Any]:
        return {
            key: {
                "metrics": _metrics(own),
                "metadata": dict(
                    zip(("key_alias", "team_id"), known.get(key, (None, None)), strict=True)
                ),
            }
            for key, own in _by(lines, "api_key").items()
        }

    def parts(column: str) -> dict[str, Any]:
        return {
            name: {
                "metrics": _metrics(lines),
                "metadata": {"team_alias": named[name]} if name in named else {},
                "api_key_breakdown": keyed(lines),
            }
            for name, lines in _by(rows, column).items()
            if name
        }

    return {
        "date": day.isoformat(),
        "metrics": _metrics(rows),
        "breakdown": {
            "models": parts("model"),
            "model_groups": parts("model_group"),
            "providers": parts("custom_llm_provider"),
            "api_keys": keyed(rows),
            "entities": parts("team_id") if rows and "team_id" in rows[0] else {},
            "mcp_servers": {},
            "endpoints": {},
        },
    }


def _by(rows: Iterable[reports.Row], column: str) -> dict[Any, list[reports.Row]]:
    found: dict[Any, list[reports.Row]] = {}
    for row in rows:
        found.setdefault(row[column], []).append(row)
    return found


def _metrics(rows: Iterable[reports.Row]) -> dict[str, Any]:
    totals = dict.fromkeys(reports.SUMS, 0)
    for row in rows:
        for name in reports.SUMS:
            totals[name] += row[name]
    return {
        "spend": dollars(totals["spend"]),
        "prompt_tokens": totals["prompt_tokens"],
        "completion_tokens": totals["completion_tokens"],
        "cache_read_input_tokens": totals["cached_tokens"],
        "cache_creation_input_tokens": totals["cache_creation_tokens"],
        "total_tokens": _tokens(totals),
        "successful_requests": totals["successful_requests"],
        "failed_requests": totals["failed_requests"],
        "api_requests": totals["api_requests"],
    }


ENDPOINTS = (
    Endpoint("GET", ("/global/activity",), Days, global_activity, "Requests by day"),
    Endpoint("GET", ("/global/activity/model",), Days, model_activity, "Requests by model group"),
    Endpoint("GET", ("/user/daily/activity",), UserActivity, user_activity, "A user's days"),
    Endpoint("GET", ("/team/daily/activity",), TeamActivity, team_activity, "Days of teams"),
)
