"""Rows of calls come to the database once each, with all the sums they belong to."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from tests.support.ledger import (
    ROW,
    START,
    count,
    database_at,
    ids,
    ledger_of,
    put,
    row,
    rows_of,
    upkeep_of,
)
from tests.support.postgres import postgres_server
from trunkline.ledger import drain as draining
from trunkline.ledger.journal import SUFFIX, rows
from trunkline.ledger.row import FIELDS, LARGEST
from trunkline.store import tables
from trunkline.store.database import StoreUnavailable

CHARGED = {
    "key_hash": "k1",
    "user_id": "u1",
    "team_id": "t1",
    "organization_id": "o1",
    "customer_id": "c1",
    "tags": ("red", "blue"),
    "shared": (("model:gpt", 7), ("provider:openai", 0)),
}


async def charge(database) -> None:
    await put(database, tables.keys, token="k1")
    await put(database, tables.users, user_id="u1", user_role="internal_user")
    await put(database, tables.teams, team_id="t1")
    await put(database, tables.team_members, team_id="t1", user_id="u1", role="user")
    await put(database, tables.organizations, organization_id="o1")
    await put(database, tables.tags, name="red")


@pytest.mark.criterion("R4.1", "R12.2")
async def test_a_call_is_kept_with_its_cost_and_charged_to_all_who_are_above_it(
    database_url: str, tmp_path: Path
) -> None:
    async with database_at(database_url, tmp_path) as database:
        await charge(database)
        ledger = ledger_of(database, tmp_path)
        await ledger.record(row(1, **CHARGED))
        await ledger.record(row(2, **CHARGED, cost=None, status="failure", input_tokens=None))
        await ledger.flush()
        assert ledger.waiting == 0
        first, second = await rows_of(database, tables.spend_logs)
        assert first["request_id"] == "call-1"
        assert first["started_at"] == datetime.fromtimestamp(START, UTC)
        assert first["request_tags"] == ["red", "blue"]
        assert first["spend"] == 1000
        assert second["spend"] is None
        assert second["prompt_tokens"] is None
        for table in (
            *(tables.keys, tables.users, tables.teams, tables.team_members),
            *(tables.organizations, tables.customers, tables.tags),
        ):
            (found,) = await rows_of(database, table)
            assert found["spend"] == 1000, table.name
        (key,) = await rows_of(database, tables.keys)
        assert key["last_active"] == datetime.fromtimestamp(START + 2, UTC)
        assert await rows_of(database, tables.shared_spend) == [
            {"counter": "model:gpt", "period": 7, "spend": 1000},
            {"counter": "provider:openai", "period": 0, "spend": 1000},
        ]
        (day,) = await rows_of(database, tables.daily_spend)
        assert day["date"] == date(2025, 6, 15)
        assert (day["api_requests"], day["successful_requests"], day["failed_requests"]) == (
            *(2, 1),
            1,
        )
        assert (day["spend"], day["prompt_tokens"], day["completion_tokens"]) == (1000, 10, 10)
        days = await rows_of(database, tables.daily_tag_spend)
        assert [(each["tag"], each["spend"]) for each in days] == [("blue", 1000), ("red", 1000)]
        await ledger.close()


@pytest.mark.parametrize("logs", [True, False])
async def test_a_row_that_comes_again_counts_once(
    logs: bool, database_url: str, tmp_path: Path
) -> None:
    async with database_at(database_url, tmp_path) as database:
        await charge(database)
        ledger = ledger_of(database, tmp_path, logs=logs)
        for _ in range(3):
            await ledger.record(row(1, **CHARGED))
            await ledger.record(row(1, **CHARGED))
            await ledger.flush()
        await ledger.record(row(2, **CHARGED))
        await ledger.flush()
        assert await ids(database) == (["call-1", "call-2"] if logs else [])
        (key,) = await rows_of(database, tables.keys)
        assert key["spend"] == 2000
        (day,) = await rows_of(database, tables.daily_spend)
        assert day["api_requests"] == 2
        assert ledger.written == 2
        await ledger.close()


async def test_a_row_is_on_the_disk_when_it_is_recorded_and_gone_when_the_database_has_it(
    database_url: str, tmp_path: Path
) -> None:
    async with database_at(database_url, tmp_path) as database:
        ledger = ledger_of(database, tmp_path)
        await asyncio.gather(*(ledger.record(row(number)) for number in range(100)))
        (file,) = (tmp_path / "ledger").glob(f"*{SUFFIX}")
        with file.open("rb") as content:
            assert len(list(rows(content))) == 100
        await ledger.flush()
        await ledger.close()
        assert not list((tmp_path / "ledger").iterdir())
        assert await count(database) == 100


async def test_a_row_that_no_database_can_hold_keeps_no_other_back(
    database_url: str, tmp_path: Path
) -> None:
    async with database_at(database_url, tmp_path) as database:
        ledger = ledger_of(database, tmp_path)
        odd = {
            3: {"user_id": "nul\0character"},
            5: {"key_alias": "half a \ud83d pair"},
            7: {"input_tokens": 2**70},
            8: {"input_tokens": 2**63},
            9: {"ended": 1e20},
        }
        for number in range(1, 20):
            await ledger.record(row(number, **odd.get(number, {})))
        await ledger.flush()
        found = await ids(database)
        assert sorted(found) == sorted(f"call-{n}" for n in range(1, 20) if n != 9)
        held = {each["request_id"]: each for each in await rows_of(database, tables.spend_logs)}
        assert held["call-3"]["user_id"] == "nulcharacter"
        assert held["call-5"]["key_alias"] == "half a ? pair"
        assert held["call-7"]["prompt_tokens"] == held["call-8"]["prompt_tokens"] == LARGEST
        with (tmp_path / "ledger" / draining.REFUSED).open("rb") as content:
            assert [b"call-9" in each for each in rows(content)] == [True]
        await ledger.close()


async def test_rows_beyond_what_memory_keeps_rest_on_the_disk_and_follow(
    database_url: str, tmp_path: Path
) -> None:
    many = draining.KEPT + 500
    async with database_at(database_url, tmp_path) as database:
        ledger = ledger_of(database, tmp_path)
        for number in range(many):
            ledger.note(row(number))
        await ledger.record(row(many))
        assert ledger.waiting == draining.KEPT
        await ledger.flush()
        assert await count(database) == many + 1
        await ledger.close()
        assert not list((tmp_path / "ledger").iterdir())


async def test_rows_are_inserted_in_the_background(database_url: str, tmp_path: Path) -> None:
    async with database_at(database_url, tmp_path) as database:
        ledger = ledger_of(database, tmp_path)
        ledger.start()
        await ledger.record(row(1))
        while await count(database) < 1:
            await asyncio.sleep(0.02)
        await ledger.close()


async def test_what_was_recorded_is_inserted_before_the_ledger_closes(
    database_url: str, tmp_path: Path
) -> None:
    async with database_at(database_url, tmp_path) as database:
        ledger = ledger_of(database, tmp_path)
        ledger.start()
        ledger.note(row(1))
        await ledger.close()
        assert await ids(database) == ["call-1"]


async def test_several_processes_insert_at_once_without_locking_each_other_out(
    database_url: str, tmp_path: Path
) -> None:
    async with database_at(database_url, tmp_path, connections=8) as database:
        await charge(database)
        ledgers = [ledger_of(database, tmp_path / str(number)) for number in range(4)]
        for turn in range(5):
            for each, ledger in enumerate(ledgers):
                for number in range(50):
                    name = turn * 1000 + each * 100 + number
                    ledger.note(row(name, **{**CHARGED, "customer_id": f"c{number % 7}"}))
            await asyncio.gather(*(ledger.flush() for ledger in ledgers))
        (key,) = await rows_of(database, tables.keys)
        assert key["spend"] == 1000 * await count(database) == 1_000_000
        for ledger in ledgers:
            await ledger.close()


async def test_a_call_of_a_period_that_is_over_does_not_count_in_the_running_one(
    database_url: str, tmp_path: Path
) -> None:
    end = datetime.fromtimestamp(START, UTC).replace(hour=16, minute=0, second=0)
    heard = []
    async with database_at(database_url, tmp_path) as database:
        limits = {"budget_duration": "1h", "budget_reset_at": end, "spend": 70}
        await put(database, tables.keys, token="k1", **limits)
        await put(database, tables.users, user_id="u1", user_role="internal_user", **limits)
        await put(database, tables.budgets, budget_id="b", budget_duration="1d")
        await put(
            database,
            tables.team_members,
            **{"team_id": "t1", "user_id": "u1", "role": "user", "budget_id": "b"},
            **{"budget_reset_at": end, "spend": 70},
        )
        after = end.timestamp() + 3 * 3600 + 60
        upkeep = upkeep_of(database, heard, now=after)
        ledger = ledger_of(database, tmp_path, upkeep=upkeep)
        charged = {"key_hash": "k1", "user_id": "u1", "team_id": "t1"}
        await ledger.record(row(1, **charged, started=after - 120, cost=1))
        await ledger.record(row(2, **charged, started=after - 30, cost=2))
        await ledger.flush()
        (key,) = await rows_of(database, tables.keys)
        assert key["spend"] == 2
        assert key["budget_started_at"] == end.replace(hour=19)
        assert key["budget_reset_at"] == end.replace(hour=20)
        (member,) = await rows_of(database, tables.team_members)
        assert member["spend"] == 3
        assert member["budget_reset_at"] == end.replace(hour=0, day=end.day + 1)
        told = {(each.level, each.ids) for each in heard}
        assert told == {("key", ("k1",)), ("user", ("u1",)), ("member", ("t1:u1",))}
        await ledger.close()


async def test_a_database_that_is_away_costs_no_row(tmp_path: Path) -> None:
    with postgres_server(durable=True) as server:
        async with database_at(server.database(), tmp_path) as database:
            ledger = ledger_of(database, tmp_path)
            await ledger.record(row(1))
            await ledger.flush()
            server.kill()
            await ledger.record(row(2))
            with pytest.raises(StoreUnavailable):
                await ledger.flush()
            assert ledger.waiting == 1
            ledger.start()
            server.start()
            while ledger.waiting:
                await asyncio.sleep(0.05)
            assert await ids(database) == ["call-1", "call-2"]
            await ledger.close()


async def test_calls_go_on_where_the_disk_cannot_be_written(
    database_url: str, tmp_path: Path
) -> None:
    (tmp_path / "ledger").write_text("no folder")
    async with database_at(database_url, tmp_path) as database:
        ledger = ledger_of(database, tmp_path)
        await ledger.record(row(1))
        ledger.note(row(2))
        assert ledger.failures == 2
        await ledger.flush()
        assert await ids(database) == ["call-1", "call-2"]
        await ledger.close()


def test_a_row_reads_as_it_was_written() -> None:
    whole = row(1, **CHARGED)._replace(messages='[{"a": "b"}]', response="{}")
    assert type(whole).decoded(whole.encoded()) == whole


async def test_every_text_comes_to_the_table_as_it_was(database_url: str, tmp_path: Path) -> None:
    odd = [
        "a\tb",
        "a\nb\r\n",
        "back\\slash",
        "\\N",
        "\x01",
        "'quoted' \"twice\"",
        "ünïcødé 🙂",
        "\\.",
        '"',
        "null",
        ",",
        ',[],"',
        "[]],[]]",
        "{}",
        r"\u0000",
    ]
    async with database_at(database_url, tmp_path) as database:
        ledger = ledger_of(database, tmp_path)
        for number, text in enumerate(odd):
            each = row(10 + number, user_id=text, model_group=text, tags=(text,), first_byte=None)
            await ledger.record(each)
            # Without tags, it goes another way where nothing in it has to be escaped.
            await ledger.record(each._replace(call_id=f"{each.call_id}-untagged", tags=()))
        await ledger.flush()
        found = await rows_of(database, tables.spend_logs)
        texts = [text for text in odd for _ in range(2)]
        assert [each["user_id"] for each in found] == texts
        assert [each["model_group"] for each in found] == texts
        tags = [each for text in odd for each in ([text], [])]
        assert [each["request_tags"] for each in found] == tags
        assert {each["tag"] for each in await rows_of(database, tables.daily_tag_spend)} == set(odd)
        assert {each["first_byte_at"] for each in found} == {None}
        await ledger.close()


async def test_every_field_comes_to_its_column(database_url: str, tmp_path: Path) -> None:
    texts = {name: f"a {name}" for name in FIELDS if ROW._asdict()[name].__class__ is str}
    counts = ("input_tokens", "output_tokens", "cached_tokens", "cache_creation_tokens")
    numbers = {name: 100 + number for number, name in enumerate((*counts, "reasoning_tokens"))}
    moments = {"started": START + 0.000001, "first_byte": START + 1.25, "ended": START + 2.999999}
    whole = ROW._replace(**texts, **numbers, **moments, cost=7, cache_hit=True, tags=("a", "b"))
    columns = {
        **{"call_id": "request_id", "key_hash": "api_key", "customer_id": "end_user"},
        **{"operation": "call_type", "deployment": "model_id", "provider": "custom_llm_provider"},
        **{"input_tokens": "prompt_tokens", "output_tokens": "completion_tokens"},
        **{"cost": "spend", "tags": "request_tags", "requester_ip": "requester_ip_address"},
        **{"started": "started_at", "ended": "ended_at", "first_byte": "first_byte_at"},
    }
    expected = {columns.get(name, name): value for name, value in whole._asdict().items()}
    expected |= {
        f"{name}_at": datetime.fromtimestamp(moment, UTC) for name, moment in moments.items()
    }
    del expected["shared"]
    expected["request_tags"] = ["a", "b"]
    async with database_at(database_url, tmp_path) as database:
        ledger = ledger_of(database, tmp_path)
        await ledger.record(whole)
        await ledger.flush()
        assert await rows_of(database, tables.spend_logs) == [expected]
        await ledger.close()


async def test_whoever_leaves_in_the_middle_of_a_write_keeps_nobody_from_writing(
    tmp_path: Path,
) -> None:
    kept: list[BaseException] = []
    async with database_at("", tmp_path) as database:
        ledger = ledger_of(database, tmp_path)
        for number in range(40):
            for call in range(200):
                ledger.note(row(f"{number}-{call}"))
            flush = asyncio.ensure_future(ledger.flush())
            await asyncio.sleep(number * 0.0005)
            flush.cancel()
            try:
                await flush
            except asyncio.CancelledError as error:
                # With its traceback, and all that refers to.
                kept.append(error)
            async with asyncio.timeout(5):
                await put(database, tables.keys, token=f"key-{number}")
        await ledger.flush()
        assert await count(database) == 40 * 200
        await ledger.close()
    assert kept
