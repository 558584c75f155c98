"""Partitions of days, the end of old rows, and budgets that begin anew."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from tests.support.ledger import database_at, ids, ledger_of, put, row, rows_of, upkeep_of
from trunkline.store import partitions, tables

NOW = datetime(2025, 6, 15, 14, 30, tzinfo=UTC)


async def partition_of(database, call: str) -> str:
    async with database.reading() as connection:
        found = await connection.execute(
            text(
                "SELECT CAST(CAST(tableoid AS regclass) AS text) FROM trunkline_spend_logs"
                f" WHERE request_id = '{call}'"
            )
        )
        return str(found.scalar_one())


async def test_rows_are_kept_in_partitions_by_day(postgres, tmp_path: Path) -> None:
    async with database_at(postgres.database(), tmp_path) as database:
        upkeep = upkeep_of(database, now=NOW.timestamp())
        await upkeep.tables()
        await upkeep.tables()
        ledger = ledger_of(database, tmp_path, upkeep=upkeep)
        for number, days in enumerate((0, 7, 8, -1)):
            await ledger.record(row(number, started=(NOW + timedelta(days)).timestamp()))
        await ledger.flush()
        assert [await partition_of(database, f"call-{number}") for number in range(4)] == [
            "trunkline_spend_logs_20250615",
            "trunkline_spend_logs_20250622",
            "trunkline_spend_logs_default",
            "trunkline_spend_logs_default",
        ]
        await ledger.close()


async def test_rows_of_a_day_without_a_partition_move_when_it_gets_one(
    postgres, tmp_path: Path
) -> None:
    async with database_at(postgres.database(), tmp_path) as database:
        ledger = ledger_of(database, tmp_path)
        await ledger.record(row(1, started=NOW.timestamp()))
        await ledger.flush()
        assert await partition_of(database, "call-1") == "trunkline_spend_logs_default"
        assert date(2025, 6, 15) in await partitions.make(database, date(2025, 6, 10))
        assert await partition_of(database, "call-1") == "trunkline_spend_logs_20250615"
        await ledger.record(row(1, started=NOW.timestamp()))
        await ledger.flush()
        assert await ids(database) == ["call-1"]
        await ledger.close()


async def test_old_rows_end_and_their_sums_stay(database_url: str, tmp_path: Path) -> None:
    async with database_at(database_url, tmp_path) as database:
        await partitions.make(database, date(2025, 6, 10))
        ledger = ledger_of(database, tmp_path)
        for days in range(20):
            started = (NOW - timedelta(days)).timestamp()
            await ledger.record(row(f"{days:02}", started=started))
        await ledger.flush()
        kept = upkeep_of(database, now=NOW.timestamp(), retention=timedelta(days=3))
        await kept.tables()
        assert await ids(database) == ["call-00", "call-01", "call-02", "call-03"]
        assert len(await rows_of(database, tables.daily_spend)) == 20
        await ledger.close()


@pytest.mark.criterion("R12.6")
async def test_budgets_begin_anew_with_their_periods(database_url: str, tmp_path: Path) -> None:
    due = datetime(2025, 6, 15, tzinfo=UTC)
    later = datetime(2025, 6, 16, tzinfo=UTC)
    heard = []
    async with database_at(database_url, tmp_path) as database:
        await put(database, tables.budgets, budget_id="monthly", budget_duration="30d")
        daily = {"budget_duration": "1d", "spend": 5}
        await put(database, tables.keys, token="due", budget_reset_at=due, **daily)
        await put(database, tables.keys, token="later", budget_reset_at=later, **daily)
        await put(database, tables.keys, token="never", spend=5)
        await put(database, tables.keys, token="odd", budget_reset_at=due, spend=5)
        await put(database, tables.teams, team_id="t", team_member_budget_id="monthly")
        shared = {"budget_reset_at": due, "spend": 5}
        await put(database, tables.team_members, team_id="t", user_id="u", role="user", **shared)
        for table, name in (
            (tables.organizations, "organization_id"),
            (tables.customers, "user_id"),
        ):
            await put(database, table, **{name: "x", "budget_id": "monthly", **shared})
        await put(database, tables.tags, name="x", budget_id="monthly", **shared)
        await upkeep_of(database, heard, now=NOW.timestamp()).reset()
        keys = {each["token"]: each for each in await rows_of(database, tables.keys)}
        assert {token: each["spend"] for token, each in keys.items()} == {
            "due": 0,
            "later": 5,
            "never": 5,
            "odd": 5,
        }
        assert keys["due"]["budget_reset_at"] == later
        assert keys["odd"]["budget_reset_at"] is None
        july = datetime(2025, 7, 1, tzinfo=UTC)
        for table in (tables.team_members, tables.organizations, tables.customers, tables.tags):
            (found,) = await rows_of(database, table)
            assert (found["spend"], found["budget_reset_at"]) == (0, july), table.name
        told = {(each.level, each.ids) for each in heard}
        assert {("key", ("due",)), ("member", ("t:u",)), ("tag", ("x",))} <= told
        assert ("key", ("later",)) not in told
