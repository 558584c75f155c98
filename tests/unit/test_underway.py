"""What a request began with is closed when no request is left that may use it."""

from __future__ import annotations

import asyncio
import logging

import pytest

from trunkline.underway import Underway


class Things:
    """What is closed, in its order."""

    def __init__(self) -> None:
        self.closed: list[str] = []

    def close(self, name: str):
        async def close() -> None:
            self.closed.append(name)

        return close


async def settled() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


async def test_what_nobody_uses_is_closed_at_once() -> None:
    underway, things = Underway(), Things()
    underway.end(underway.begin())
    underway.after_all(things.close("cache"))
    await settled()
    assert things.closed == ["cache"]


async def test_requests_that_began_before_are_waited_for_and_later_ones_are_not() -> None:
    underway, things = Underway(), Things()
    first, second = underway.begin(), underway.begin()
    underway.after_all(things.close("one"))
    later = underway.begin()
    underway.end(first)
    await settled()
    assert things.closed == []
    underway.end(second)
    await settled()
    assert things.closed == ["one"]
    underway.end(later)


async def test_a_long_request_holds_what_came_into_use_while_it_ran() -> None:
    # It may have looked at what is served at any time.
    underway, things = Underway(), Things()
    long = underway.begin()
    underway.after_all(things.close("one"))
    underway.end(underway.begin())
    underway.after_all(things.close("two"))
    await settled()
    assert things.closed == []
    underway.end(long)
    await settled()
    assert things.closed == ["one", "two"]


async def test_at_the_end_everything_is_closed_and_a_failure_is_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    underway, things = Underway(), Things()
    underway.begin()

    async def fail() -> None:
        raise OSError("gone")

    underway.after_all(fail)
    underway.after_all(things.close("two"))
    with caplog.at_level(logging.ERROR):
        await underway.close()
    assert things.closed == ["two"]
    assert "closing what an earlier configuration used failed" in caplog.text
