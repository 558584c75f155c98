"""When a provider's off-peak prices hold: windows of the day, of some days of the week.

The price map's `off_peak_pricing`, for example

    {"windows": [{"hours_utc": ["10:00-00:00"], "weekdays": [1, 2, 3, 4, 5]}], "input_cost_per_…"}

A window that ends before it begins runs past midnight; one that ends as it begins is the whole day.
Its start belongs to it, its end doesn't. Windows that can't be read never hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from ..dataclass import dataclass

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

Minutes = tuple[int, int]
"""From which minute of the day to which."""


@dataclass(frozen=True, slots=True)
class Window:
    """hours: of the day, UTC. weekdays: 1 for Monday to 7, in `zone`; None for every day."""

    hours: tuple[Minutes, ...]
    weekdays: frozenset[int] | None = None
    zone: tzinfo = UTC

    def holds(self, now: datetime) -> bool:
        if self.weekdays is not None and now.astimezone(self.zone).isoweekday() not in (
            self.weekdays
        ):
            return False
        minute = now.hour * 60 + now.minute
        return any(
            start <= minute < end if start < end else minute >= start or minute < end
            for start, end in self.hours
        )


def windows_of(block: Mapping[str, Any]) -> tuple[Window, ...]:
    """The windows of an `off_peak_pricing`."""
    found = [Window(_hours(block.get("hours_utc")))]
    zone = _zone(block.get("weekday_timezone"))
    rules = block.get("windows")
    for rule in rules if isinstance(rules, list) else ():
        if isinstance(rule, dict):
            days = rule.get("weekdays")
            weekdays = None if days is None else _weekdays(days)
            found.append(Window(_hours(rule.get("hours_utc")), weekdays, zone))
    return tuple(window for window in found if window.hours)


def _hours(told: Any) -> tuple[Minutes, ...]:
    texts = [told] if isinstance(told, str) else told if isinstance(told, list) else []
    read = (_minutes(text) for text in texts if isinstance(text, str))
    return tuple(hours for hours in read if hours is not None)


def _minutes(text: str) -> Minutes | None:
    try:
        start, end = (datetime.strptime(part.strip(), "%H:%M") for part in text.split("-"))
    except ValueError:
        return None
    return start.hour * 60 + start.minute, end.hour * 60 + end.minute


def _weekdays(days: Any) -> frozenset[int]:
    found = set()
    for day in days if isinstance(days, list) else ():
        if isinstance(day, str) and day.strip().lower()[:3] in _DAYS:
            found.add(_DAYS.index(day.strip().lower()[:3]) + 1)
        elif type(day) is int:
            found.add(day)
    return frozenset(found)


def _zone(name: Any) -> tzinfo:
    try:
        return ZoneInfo(name.strip()) if isinstance(name, str) and name.strip() else UTC
    except (ValueError, OSError, KeyError):  # ZoneInfoNotFoundError is a KeyError
        return UTC
