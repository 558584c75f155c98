"""What the gateway remembers of callers is bounded, and random names drive nothing out of it."""

from __future__ import annotations

import asyncio

import pytest

from trunkline.access.directory import Remembered
from trunkline.store.database import StoreUnavailable

THERE = "there"


class Database:
    """Knows one name. asked: what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.away = False

    async def find(self, name: str) -> str | None:
        self.asked.append(name)
        if self.away:
            raise StoreUnavailable
        return name if name == THERE else None


def remembered(database: Database, *, size: int = 4) -> Remembered[str | None]:
    return Remembered(
        database.find,
        size=size,
        absent=lambda value: value is None,
        seconds=lambda value: 0.05 if value else 60.0,
        grace=60.0,
    )


@pytest.mark.criterion("R11.4")
async def test_random_names_drive_no_known_one_out() -> None:
    database = Database()
    names = remembered(database)
    assert await names.get(THERE) == THERE
    for number in range(100):
        assert await names.get(f"random-{number}") is None
    assert database.asked.count(THERE) == 1
    database.away = True
    await asyncio.sleep(0.1)
    assert await names.get(THERE) == THERE


async def test_what_is_not_there_is_remembered_up_to_a_bound() -> None:
    database = Database()
    names = remembered(database)
    for number in (1, 2, 3, 4, 5, 5, 5):
        await names.get(f"random-{number}")
    assert database.asked == [f"random-{number}" for number in (1, 2, 3, 4, 5)]
    await names.get("random-1")  # the oldest was dropped for the fifth
    assert database.asked[-1] == "random-1"


async def test_a_name_that_comes_to_be_is_found_once_that_is_said() -> None:
    database = Database()
    names = remembered(database)
    assert await names.get("later") is None
    names.forget_name("later")
    await names.get("later")
    assert database.asked == ["later", "later"]
    names.forget()
    await names.get("later")
    assert len(database.asked) == 3
