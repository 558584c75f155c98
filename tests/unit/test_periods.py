"""When budgets begin anew, and how long durations last."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from trunkline.access.periods import after, following, next_reset, parse
from trunkline.errors import InvalidRequest

NOW = datetime(2026, 11, 26, 10, 20, 30, tzinfo=UTC)  # a Thursday


@pytest.mark.criterion("R12.6")
@pytest.mark.parametrize(
    ("duration", "resets"),
    [
        ("30s", "2026-11-26T10:21:00"),
        ("1m", "2026-11-26T10:21:00"),
        ("30m", "2026-11-26T10:30:00"),
        ("12h", "2026-11-26T12:00:00"),
        ("1d", "2026-11-27T00:00:00"),
        ("daily", "2026-11-27T00:00:00"),
        ("7d", "2026-11-30T00:00:00"),
        ("1w", "2026-11-30T00:00:00"),
        ("30d", "2026-12-01T00:00:00"),
        ("1mo", "2026-12-01T00:00:00"),
        ("2mo", "2027-01-01T00:00:00"),
        ("3d", "2026-11-29T00:00:00"),
    ],
)
def test_budgets_begin_anew_on_the_calendar(duration: str, resets: str) -> None:
    assert next_reset(duration, NOW).isoformat() == f"{resets}+00:00"


@pytest.mark.parametrize("duration", ["45s", "7m", "36h", "1d", "3d", "7d", "14d", "30d", "2mo"])
@pytest.mark.parametrize("began", [0, int(datetime(2026, 11, 23, tzinfo=UTC).timestamp())])
def test_a_period_has_one_end_whenever_in_it_one_looks(duration: str, began: int) -> None:
    end = following(duration, began, NOW)
    assert end > NOW
    assert following(duration, began, end - timedelta(seconds=1)) == end
    assert following(duration, began, end) > end


@pytest.mark.parametrize("duration", ["3d", "14d", "2mo", "36h"])
def test_periods_of_which_nobody_knows_the_beginning_have_their_length(duration: str) -> None:
    ends = [following(duration, 0, NOW)]
    ends += [following(duration, 0, ends[0])]
    longest = {"3d": 3, "14d": 14, "2mo": 62, "36h": 1.5}[duration]
    least = 59 if duration == "2mo" else longest
    assert timedelta(days=least) <= ends[1] - ends[0] <= timedelta(days=longest)


@pytest.mark.parametrize(
    ("duration", "end"),
    [("1mo", "2026-12-26T10:20:30"), ("90s", "2026-11-26T10:22:00"), ("1w", "2026-12-03T10:20:30")],
)
def test_a_duration_lasts_from_now(duration: str, end: str) -> None:
    assert after(duration, NOW).isoformat() == f"{end}+00:00"
    assert after("1mo", datetime(2026, 1, 31, tzinfo=UTC)).day == 28


@pytest.mark.parametrize("wrong", ["", "0d", "-1d", "1y", "d", "1.5h", "1 d", "٣d", "9" * 12 + "d"])
def test_what_is_no_duration_is_refused_by_its_name(wrong: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse(wrong, "budget_duration")
    assert refused.value.param == "budget_duration"
