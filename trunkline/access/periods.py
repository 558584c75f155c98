"""Durations as LiteLLM writes them ("30s", "30m", "12h", "30d", "1w", "1mo"), and when they end.

Budgets begin anew on boundaries of the calendar in UTC, as LiteLLM's do: seconds, minutes and
hours at multiples counted from 1970, `1d` at midnight, `7d` and weeks on a Monday, `30d` and months
on the first of a month, other days so many days after the last midnight.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from ..errors import InvalidRequest

_WORDS = {"hourly": "1h", "daily": "1d", "weekly": "7d", "monthly": "30d"}
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_DURATION = re.compile(r"(\d{1,9})(mo|[smhdw])", re.ASCII)
_LONGEST = 100 * 366 * 86_400
_MONTHS = 1200


def parse(duration: str, param: str) -> tuple[int, str]:
    """Its number and its unit: s, m, h, d, w or mo. Raises InvalidRequest, which names `param`."""
    text = duration.strip().lower()
    found = _DURATION.fullmatch(_WORDS.get(text, text))
    if found:
        number, unit = int(found[1]), found[2]
        most = _MONTHS if unit == "mo" else _LONGEST // _SECONDS[unit]
        if 1 <= number <= most:
            return number, unit
    raise InvalidRequest(
        f"'{param}' must be a duration such as 30s, 30m, 12h, 30d, 1w or 1mo, up to 100 years.",
        param=param,
    )


def after(duration: str, now: datetime, param: str = "duration") -> datetime:
    """The moment that is so long after now. Raises InvalidRequest."""
    number, unit = parse(duration, param)
    if unit != "mo":
        return now + timedelta(seconds=number * _SECONDS[unit])
    first = _first_of_month(now, number)
    last_day = (_first_of_month(first, 1) - timedelta(days=1)).day
    return first.replace(
        day=min(now.day, last_day), hour=now.hour, minute=now.minute, second=now.second
    )


def next_reset(duration: str, now: datetime, param: str = "budget_duration") -> datetime:
    """When a budget that began before now begins anew. Raises InvalidRequest."""
    number, unit = parse(duration, param)
    now = now.astimezone(UTC)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    if unit == "w":
        number, unit = 7 * number, "d"
    if unit == "mo" or (unit, number) == ("d", 30):
        return _first_of_month(now, number if unit == "mo" else 1)
    if unit == "d" and number % 7 == 0:
        return midnight + timedelta(days=number - now.weekday())
    if unit == "d":
        return midnight + timedelta(days=number)
    length = number * _SECONDS[unit]
    return datetime.fromtimestamp((int(now.timestamp()) // length + 1) * length, UTC)


def _first_of_month(moment: datetime, months: int) -> datetime:
    years, month = divmod(moment.month - 1 + months, 12)
    return moment.replace(
        year=moment.year + years, month=month + 1, day=1, hour=0, minute=0, second=0, microsecond=0
    )


def following(duration: str, resets: int, now: datetime) -> datetime:
    """The end of the period that runs now, of a budget that last began anew at `resets`.

    It is the same whoever reckons and whenever within the period: where boundaries aren't those of
    the calendar, they follow from the one before, or where nothing says when that was, they are
    counted from 1970.

    resets: seconds since 1970; 0 where nothing says it.
    """
    number, unit = parse(duration, "budget_duration")
    if not resets:
        return _counted_from_1970(number, unit, now)
    if unit in "smh":
        return next_reset(duration, now)
    end = datetime.fromtimestamp(resets, UTC)
    while end <= now:
        end = next_reset(duration, end)
    return end


def _counted_from_1970(number: int, unit: str, now: datetime) -> datetime:
    now = now.astimezone(UTC)
    if unit == "w":
        number, unit = 7 * number, "d"
    if (unit, number) == ("d", 30):
        number, unit = 1, "mo"
    if unit == "mo":
        past = ((now.year - 1970) * 12 + now.month - 1) % number
        return _first_of_month(now, number - past)
    begin = _MONDAY if unit == "d" and number % 7 == 0 else datetime(1970, 1, 1, tzinfo=UTC)
    length = timedelta(seconds=number * _SECONDS[unit])
    return begin + ((now - begin) // length + 1) * length


_MONDAY = datetime(1970, 1, 5, tzinfo=UTC)
