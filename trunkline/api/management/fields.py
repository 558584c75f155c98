"""Types of what management requests hold: bounded, and as the database keeps them."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ValidationInfo, WithJsonSchema

from ...access.money import NANO, nano
from ...access.periods import parse
from ...errors import InvalidRequest

MOST_DOLLARS = 10**9
MOST_COUNTED = 2**53
LONGEST_ID = 256
"""Characters: an index of PostgreSQL holds no more than 2,700 bytes."""
LONGEST_TEXT = 10_000
MOST_NAMES = 5_000
DEEPEST = 60

_NOTHING = (None, "")


def _money(value: Any) -> int | None:
    """Nano-dollars. LiteLLM's clients send "" for none."""
    if value in _NOTHING:
        return None
    try:
        number = value if isinstance(value, int | float) else Decimal(value)
        if isinstance(value, bool) or not 0 <= number <= MOST_DOLLARS:
            raise ValueError
        return nano(float(number)) if isinstance(number, Decimal) else nano(number)
    except (ValueError, TypeError, InvalidOperation):
        raise ValueError(f"must be dollars from 0 to {MOST_DOLLARS}") from None


def _count(value: Any) -> int | None:
    if value in _NOTHING:
        return None
    try:
        if isinstance(value, bool) or not 0 <= float(value) <= MOST_COUNTED:
            raise ValueError
        if float(value) != int(value):
            raise ValueError
        return int(value)
    except (ValueError, TypeError, OverflowError):
        raise ValueError(f"must be a whole number from 0 to {MOST_COUNTED}") from None


def _period(value: Any, info: ValidationInfo) -> str | None:
    if value in _NOTHING:
        return None
    if not isinstance(value, str):
        raise ValueError("must be a duration such as 30d")
    parse(value, info.field_name or "duration")
    return value


def _duration(value: Any, info: ValidationInfo) -> str | None:
    return None if value == "-1" else _period(value, info)


def _moment(value: Any) -> Any:
    """Whole days and moments alike; without a time zone they are in UTC."""
    if value in _NOTHING:
        return None
    try:
        moment = datetime.fromisoformat(value)
        if not 1970 <= moment.year < 9999:
            raise ValueError
    except (ValueError, TypeError):
        raise ValueError("must be a moment such as 2030-12-31T00:00:00Z") from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _budget_by_model(value: Any) -> dict[str, Any]:
    """LiteLLM's ways to write it, in one: dollars in `budget_limit`, a period in `time_period`."""
    if value in _NOTHING:
        return {}
    if not isinstance(value, dict) or len(value) > MOST_NAMES:
        raise ValueError("must be an object of budgets by model")
    return {str(model): _model_budget(budget) for model, budget in value.items()}


def _model_budget(budget: Any) -> dict[str, Any]:
    written = budget if isinstance(budget, dict) else {"budget_limit": budget}
    if written.get("rpm_limit") is not None or written.get("tpm_limit") is not None:
        raise ValueError("takes no limits of rates: give model_rpm_limit and model_tpm_limit")
    limit = _money(written.get("budget_limit", written.get("max_budget")))
    if limit is None:
        raise ValueError("must have a budget_limit for each model")
    period = written.get("time_period", written.get("budget_duration"))
    if period in _NOTHING:
        return {"budget_limit": limit / NANO, "time_period": None}
    if not isinstance(period, str):
        raise ValueError("must have durations such as 1d as time_period")
    parse(period, "model_max_budget")
    return {"budget_limit": limit / NANO, "time_period": period}


def _listed(value: Any) -> Any:
    return [] if value is None else value


def _mapped(value: Any) -> Any:
    return {} if value is None else value


def _nullable(kind: str) -> WithJsonSchema:
    return WithJsonSchema({"type": [kind, "null"]})


Money = Annotated[int | None, BeforeValidator(_money), _nullable("number")]
"""Dollars in a request, nano-dollars from here on."""
Count = Annotated[int | None, BeforeValidator(_count), _nullable("integer")]
Period = Annotated[str | None, BeforeValidator(_period), _nullable("string")]
Duration = Annotated[str | None, BeforeValidator(_duration), _nullable("string")]
Moment = Annotated[datetime | None, BeforeValidator(_moment), _nullable("string")]
ModelBudgets = Annotated[
    dict[str, Any], BeforeValidator(_budget_by_model), WithJsonSchema({"type": ["object", "null"]})
]
Id = Annotated[str, Field(min_length=1, max_length=LONGEST_ID)]
Name = Annotated[str | None, Field(max_length=LONGEST_ID)]
Text = Annotated[str | None, Field(max_length=LONGEST_TEXT)]
Names = Annotated[list[Id], BeforeValidator(_listed), Field(max_length=MOST_NAMES)]
Ids = Annotated[list[Id], Field(min_length=1, max_length=MOST_NAMES)]
Object = Annotated[dict[str, Any], BeforeValidator(_mapped)]
Aliases = Annotated[dict[str, Id], BeforeValidator(_mapped)]
CountsByModel = Annotated[
    dict[str, Annotated[int, BeforeValidator(_count), WithJsonSchema({"type": "integer"})]],
    BeforeValidator(_mapped),
]


def check_storable(value: Any) -> None:
    """Raises InvalidRequest for what no database keeps: null characters, half characters, depths.

    value: a request's fields.
    """
    fields = value if isinstance(value, dict) else {"body": value}
    for param, content in fields.items():
        name = param if _text_is_fine(param) else None
        left: list[tuple[Any, int]] = [(param, 0), (content, 0)]
        while left:
            each, depth = left.pop()
            if isinstance(each, str) and not _text_is_fine(each):
                raise InvalidRequest(
                    "Text may hold no null character, and only whole ones.", param=name
                )
            if depth > DEEPEST:
                raise InvalidRequest("The request is nested too deeply.", param=name)
            if isinstance(each, dict):
                left += [(part, depth + 1) for pair in each.items() for part in pair]
            elif isinstance(each, list):
                left += [(part, depth + 1) for part in each]


def _text_is_fine(text: str) -> bool:
    return "\x00" not in text and not any("\ud800" <= letter <= "\udfff" for letter in text)
