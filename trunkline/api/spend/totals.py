"""What was spent in total: by keys, users, tags, teams, models and providers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from pydantic import Field
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from ...access.money import dollars
from ...store import spend_reports as reports
from ...store.tables import daily_spend, keys, teams, users
from ..management import views
from ..management.endpoints import Body, Call, Endpoint, Nothing
from ..management.fields import Name, Text
from .asked import Days, OfKey, Page, Size, SomeDays, Top, owner, recent, token

NOBODY = "Unassigned"
_TOP = 10
_MOST_TAGS = 1000


class Pages(Body):
    page: Page = 1
    page_size: Size = 1000


class OneUser(Pages):
    user_id: Name = None


class Tags(Days):
    tags: Text = None


class TopModels(Top):
    limit: Annotated[int, Field(ge=1, le=1000)] = _TOP


async def spend_keys(call: Call[Pages]) -> Any:
    """Keys, those first that spent most in their running periods."""
    body = call.body
    async with call.registry.database.reading() as connection:
        query = select(keys).order_by(keys.c.spend.desc(), keys.c.token)
        of = await owner(connection, call.caller)
        if of is not None:
            own = keys.c.user_id == of.user_id if of.user_id else keys.c.token == of.api_key
            query = query.where(own)
        rows = await connection.execute(
            query.limit(body.page_size).offset((body.page - 1) * body.page_size)
        )
        return [views.key(dict(row)) for row in rows.mappings()]


async def spend_users(call: Call[OneUser]) -> Any:
    """Users, those first that spent most in their running periods."""
    body = call.body
    query = select(users).order_by(users.c.spend.desc(), users.c.user_id)
    if body.user_id is not None:
        query = query.where(users.c.user_id == body.user_id)
    async with call.registry.database.reading() as connection:
        rows = await connection.execute(
            query.limit(body.page_size).offset((body.page - 1) * body.page_size)
        )
        return [views.user(dict(row)) for row in rows.mappings()]


async def spend_tags(call: Call[SomeDays]) -> Any:
    """Tags of calls."""
    body = call.body
    async with call.registry.database.reading() as connection:
        of = await owner(connection, call.caller)
        rows = await reports.tag_sums(
            connection, body.start_date, body.end_date, (), of, _MOST_TAGS
        )
    return [
        {
            "individual_request_tag": row["tag"],
            "log_count": row["api_requests"],
            "total_spend": dollars(row["spend"]),
        }
        for row in rows
    ]


async def global_spend(call: Call[Nothing]) -> Any:
    """The last 30 days."""
    rows = await _recent(call, [])
    return {"spend": dollars(sum(row["spend"] for row in rows)), "max_budget": None}


async def global_logs(call: Call[OfKey]) -> Any:
    """The last 30 days, each."""
    asked = {"api_key": token(call.registry, call.body.api_key)}
    rows = await _recent(call, ["date"], asked)
    return [{"date": row["date"].isoformat(), "spend": dollars(row["spend"])} for row in rows]


async def global_keys(call: Call[Top]) -> Any:
    """The keys that spent most in the last 30 days."""
    rows = await _recent(call, ["api_key"], order=["-spend", "api_key"], limit=call.body.limit)
    async with call.registry.database.reading() as connection:
        known = await _keys(connection, (row["api_key"] for row in rows))
    return [
        {
            "api_key": row["api_key"],
            "key_alias": known.get(row["api_key"], {}).get("key_alias"),
            "key_name": known.get(row["api_key"], {}).get("key_name"),
            "total_spend": dollars(row["spend"]),
        }
        for row in rows
    ]


async def _keys(connection: AsyncConnection, tokens: Iterable[str]) -> dict[str, Any]:
    query = select(keys.c.token, keys.c.key_alias, keys.c.key_name).where(
        keys.c.token.in_(list(tokens))
    )
    return {row["token"]: row for row in (await connection.execute(query)).mappings()}


async def global_models(call: Call[TopModels]) -> Any:
    """The models that most was spent on in the last 30 days."""
    rows = await _recent(call, ["model"], order=["-spend", "model"], limit=call.body.limit)
    return [
        {
            "model": row["model"],
            "total_spend": dollars(row["spend"]),
            "total_tokens": row["prompt_tokens"] + row["completion_tokens"],
        }
        for row in rows
    ]


async def global_teams(call: Call[Nothing]) -> Any:
    """Teams in the last 30 days, by day and in total."""
    rows = await _recent(call, ["date", "team_id"])
    async with call.registry.database.reading() as connection:
        names = await team_names(connection, {row["team_id"] for row in rows})
    daily: dict[str, dict[str, Any]] = {}
    totals: dict[str, int] = {}
    for row in rows:
        name = names.get(row["team_id"], NOBODY)
        day = daily.setdefault(row["date"].isoformat(), {})
        day[name] = day.get(name, 0) + row["spend"]
        totals[name] = totals.get(name, 0) + row["spend"]
    dearest = sorted(totals, key=lambda name: -totals[name])
    return {
        "daily_spend": [
            {"date": day, **{name: dollars(spend) for name, spend in by_team.items()}}
            for day, by_team in daily.items()
        ],
        "teams": dearest,
        "total_spend_per_team": [
            {"team_id": name, "total_spend": dollars(totals[name])} for name in dearest[:_TOP]
        ],
    }


async def team_names(connection: AsyncConnection, ids: Iterable[str]) -> dict[str, str]:
    """Aliases of teams, or their ids where they have none."""
    known = dict.fromkeys(ids)
    known.pop("", None)
    listed = list(known)
    names = {id: id for id in listed}
    for start in range(0, len(listed), 1000):
        query = select(teams.c.team_id, teams.c.team_alias).where(
            teams.c.team_id.in_(listed[start : start + 1000])
        )
        names |= {id: alias for id, alias in await connection.execute(query) if alias}
    return names


async def global_provider(call: Call[Days]) -> Any:
    """Providers."""
    body = call.body
    async with call.registry.database.reading() as connection:
        rows = await reports.sums(
            connection,
            ["custom_llm_provider"],
            reports.days(daily_spend, body.start_date, body.end_date),
            order=["-spend", "custom_llm_provider"],
        )
    return [
        {"provider": row["custom_llm_provider"] or "Unknown", "spend": dollars(row["spend"])}
        for row in rows
    ]


async def global_tags(call: Call[Tags]) -> Any:
    """Tags. tags: of which alone, with commas between them."""
    body = call.body
    wanted = [tag.strip() for tag in (body.tags or "").split(",") if tag.strip()]
    if "all-tags" in wanted:
        wanted = []
    async with call.registry.database.reading() as connection:
        rows = await reports.tag_sums(
            connection, body.start_date, body.end_date, wanted, None, _MOST_TAGS
        )
    return {
        "spend_per_tag": [
            {"name": row["tag"], "spend": dollars(row["spend"]), "log_count": row["api_requests"]}
            for row in rows
        ]
    }


async def _recent(
    call: Call[Any],
    by: list[str],
    asked: Mapping[str, str | None] | None = None,
    **options: Any,
) -> list[reports.Row]:
    conditions = [*reports.days(daily_spend, *recent()), *reports.equal(daily_spend, asked or {})]
    async with call.registry.database.reading() as connection:
        return await reports.sums(connection, by, conditions, **options)


ENDPOINTS = (
    Endpoint("GET", ("/spend/keys",), Pages, spend_keys, "What keys have spent"),
    Endpoint("GET", ("/spend/users",), OneUser, spend_users, "What users have spent"),
    Endpoint("GET", ("/spend/tags",), SomeDays, spend_tags, "What was spent by tag"),
    Endpoint("GET", ("/global/spend",), Nothing, global_spend, "What was spent lately"),
    Endpoint("GET", ("/global/spend/logs",), OfKey, global_logs, "What was spent lately by day"),
    Endpoint("GET", ("/global/spend/keys",), Top, global_keys, "The dearest keys"),
    Endpoint("GET", ("/global/spend/models",), TopModels, global_models, "The dearest models"),
    Endpoint("GET", ("/global/spend/teams",), Nothing, global_teams, "What teams spent lately"),
    Endpoint("GET", ("/global/spend/provider",), Days, global_provider, "Spend by provider"),
    Endpoint("GET", ("/global/spend/tags",), Tags, global_tags, "Spend by tag"),
)
