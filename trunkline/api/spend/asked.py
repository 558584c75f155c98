"""What all reports ask: of which days, and whose calls the caller may see."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator
from sqlalchemy import ColumnElement, Table
from sqlalchemy.ext.asyncio import AsyncConnection

from ...access.identity import Principal
from ...access.management.grantors import teams_of
from ...access.registry import Registry
from ...store.spend_reports import Owner
from ..management.endpoints import Body
from ..management.fields import Name

LONGEST_DAYS = 366
"""Days of a report."""
RECENT = timedelta(days=30)

Page = Annotated[int, Field(ge=1, le=10**6)]
Size = Annotated[int, Field(ge=1, le=1000)]


def _day(value: Any) -> Any:
    """A day in LiteLLM's spelling, with or without the time of the day."""
    if value in (None, ""):
        return None
    try:
        day = date.fromisoformat(value[:10])
        if value[10:]:
            datetime.fromisoformat(value)
    except (ValueError, TypeError):
        raise ValueError("must be a day such as 2026-01-31") from None
    return _within(day)


def _moment(value: Any) -> Any:
    if value in (None, ""):
        return None
    try:
        moment = datetime.fromisoformat(value.strip())
    except (ValueError, TypeError, AttributeError):
        raise ValueError("must be a moment such as 2026-01-31 or 2026-01-31 23:59:59") from None
    _within(moment.date())
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _within(day: date) -> date:
    if not 1970 <= day.year < 9999:
        raise ValueError("must be a year from 1970 on")
    return day


def _written(kind: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "format": kind})


Day = Annotated[date, BeforeValidator(_day), _written("date")]
OptionalDay = Annotated[date | None, BeforeValidator(_day), _written("date")]
Moment = Annotated[datetime | None, BeforeValidator(_moment), _written("date-time")]


def check_range(start: date | datetime | None, end: date | datetime | None) -> None:
    """Raises ValueError where the end comes first, or the days are too many."""
    if start is None or end is None:
        return
    if end < start:
        raise ValueError("start_date must not come after end_date")
    if end - start > timedelta(days=LONGEST_DAYS):
        raise ValueError(f"start_date and end_date may be {LONGEST_DAYS} days apart at most")


class Days(Body):
    """Of which days, both included, in UTC."""

    start_date: Day
    end_date: Day

    @model_validator(mode="after")
    def _in_order(self) -> Days:
        check_range(self.start_date, self.end_date)
        return self


class SomeDays(Body):
    start_date: OptionalDay = None
    end_date: OptionalDay = None

    @model_validator(mode="after")
    def _in_order(self) -> SomeDays:
        check_range(self.start_date, self.end_date)
        return self


class Top(Body):
    limit: Annotated[int, Field(ge=1, le=1000)] = 1000


class OfKey(Body):
    api_key: Name = None


def recent() -> tuple[date, date]:
    """The last 30 days."""
    today = datetime.now(UTC).date()
    return today - RECENT, today


async def owner(connection: AsyncConnection, caller: Principal) -> Owner | None:
    """Whose calls the caller may see: their own, and those of teams that they administer; None
    for all."""
    if caller.role.sees_all:
        return None
    member = await teams_of(connection, caller.user_id) if caller.user_id else {}
    teams = tuple(team for team, role in member.items() if role == "admin")
    return Owner(caller.key, caller.user_id, teams)


async def visible(
    connection: AsyncConnection, caller: Principal, table: Table
) -> list[ColumnElement[bool]]:
    """Conditions on rows of a table that leave what the caller may see."""
    of = await owner(connection, caller)
    return [] if of is None else [of.of(table)]


def token(registry: Registry, api_key: str | None) -> str | None:
    """The hash of a key, given either."""
    return registry.secrets.token(api_key) if api_key else None
