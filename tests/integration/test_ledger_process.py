"""The process that keeps the ledger of a busy gateway: nothing is lost, whichever of both dies."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.fakes import FakeOpenAI
from tests.support.accounts import Fleet, config
from tests.support.gateway import Gateway, Gateways
from tests.support.ledger import database_at, ids, put, row, rows_of, upkeep_of
from tests.support.postgres import postgres_server
from tests.support.providers import Providers
from tests.support.traffic import Traffic
from trunkline.ledger import remote
from trunkline.ledger.remote import RemoteLedger
from trunkline.ledger_process import MODULE, Options
from trunkline.store import tables
from trunkline.store.database import Database, StoreUnavailable
from trunkline.store.spend_resets import Reset

CLIENTS = 8
STARTED = "a process of its own keeps the ledger"


@pytest.fixture(scope="module")
def openai(fakes: Providers) -> FakeOpenAI:
    return fakes(FakeOpenAI)


def helpers(gateway: Gateway) -> list[int]:
    """The processes that keep the ledgers of a gateway's workers."""
    found = []
    for worker in gateway.workers():
        for task in Path(f"/proc/{worker}/task").iterdir():
            found += [int(child) for child in (task / "children").read_text().split()]
    return found


@pytest.mark.criterion("R4.1", "R12.2")
def test_a_quiet_gateway_has_no_helper_and_a_busy_one_has(
    gateway: Gateways, openai: FakeOpenAI
) -> None:
    server = gateway(config(openai))
    fleet = Fleet([server])
    key = fleet.admin.key(max_budget=100)
    assert [answer.status for answer in fleet.ask(key, 20)] == [200] * 20
    time.sleep(2 * remote.LOOK)
    assert helpers(server) == []
    traffic = Traffic(server.url, key, CLIENTS)
    with traffic.flowing():
        server.wait_until_said(STARTED)
        time.sleep(1.0)
    (helper,) = helpers(server)
    # A service's manager may send its signals to all processes; this one isn't done before the
    # gateway is.
    for number in (signal.SIGTERM, signal.SIGINT):
        os.kill(helper, number)
    assert fleet.one(key).status == 200
    assert server.stop() == 0
    assert traffic.failed == []
    fleet.recorded(traffic.answered)
    assert not Path(f"/proc/{helper}").exists()
    assert list((server.folder / ".trunkline" / "ledger").glob("*.journal")) == []


@pytest.mark.criterion("R4.1", "R12.2")
def test_a_killed_helper_loses_no_call_and_is_replaced(
    gateway: Gateways, openai: FakeOpenAI
) -> None:
    server = gateway(config(openai))
    fleet = Fleet([server])
    key = fleet.admin.key(max_budget=100)
    traffic = Traffic(server.url, key, CLIENTS)
    with traffic.flowing():
        for times in (1, 2):
            server.wait_until_said(STARTED, times=times)
            time.sleep(0.5)
            (helper,) = helpers(server)
            os.kill(helper, signal.SIGKILL)
            server.wait_until_said("the ledger's process ended", times=times)
    assert traffic.failed == []
    fleet.recorded(traffic.answered)
    spent = sum(row["spend"] for row in fleet.rows() if row["api_key"])
    told = fleet.until(
        lambda: fleet.admin.ask("/key/info", key=key)["info"]["spend"],
        lambda told: round(told * 1e9) == spent,
    )
    assert told > 0


@pytest.mark.criterion("R4.1", "R12.2")
def test_a_killed_gateway_leaves_a_helper_that_finishes(
    gateway: Gateways, openai: FakeOpenAI
) -> None:
    server = gateway(config(openai))
    fleet = Fleet([server])
    traffic = Traffic(server.url, fleet.admin.key(max_budget=100), CLIENTS)
    with traffic.flowing():
        server.wait_until_said(STARTED)
        time.sleep(0.5)
        (helper,) = helpers(server)
        server.kill()
    fleet.recorded(traffic.answered)
    fleet.until(lambda: Path(f"/proc/{helper}").exists(), lambda exists: not exists)


@contextlib.asynccontextmanager
async def ledger(
    database: Database, folder: Path, heard: list[Reset] | None = None, module: str = MODULE
) -> AsyncIterator[RemoteLedger]:
    options = Options.of(
        database.url, folder, retention=None, timeout=5.0, logs=True, verbose=False, as_json=False
    )
    found = RemoteLedger(
        database, folder, upkeep_of(database, heard), module=module, options=options
    )
    found.start()
    try:
        yield found
    finally:
        await found.close()


async def handed(ledger: RemoteLedger, caplog: pytest.LogCaptureFixture) -> int:
    """The id of the process, once there is one."""
    caplog.set_level(logging.INFO, "trunkline.ledger")
    for number in range(remote.MANY):
        ledger.note(row(f"first-{number}"))
    async with asyncio.timeout(30):
        while True:
            for record in caplog.records:
                if record.message == STARTED:
                    return int(record.__dict__["pid"])
            await asyncio.sleep(0.05)


async def test_what_was_taken_before_a_flush_is_in_the_database(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with database_at("", tmp_path) as database, ledger(database, tmp_path) as kept:
        await handed(kept, caplog)
        await asyncio.gather(*(kept.record(row(number)) for number in range(5_000)))
        await kept.flush()
        assert len(await ids(database)) == 5_000 + remote.MANY
        assert kept.waiting == 0


async def test_a_process_that_says_nothing_is_ended_and_its_rows_are_kept(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with database_at("", tmp_path) as database, ledger(database, tmp_path) as kept:
        helper = await handed(kept, caplog)
        await kept.record(row("before"))
        os.kill(helper, signal.SIGSTOP)
        async with asyncio.timeout(remote.SILENT + 15):
            await kept.flush()
            await asyncio.gather(*(kept.record(row(number)) for number in range(50)))
        await kept.flush()
        assert {"before" in each for each in await ids(database)} == {True, False}
        assert len(await ids(database)) == remote.MANY + 51


async def test_rows_of_a_process_that_was_killed_are_there_after_a_flush(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with database_at("", tmp_path) as database, ledger(database, tmp_path) as kept:
        helper = await handed(kept, caplog)
        for number in range(300):
            await kept.record(row(number))
        os.kill(helper, signal.SIGKILL)
        await asyncio.gather(*(kept.record(row(number)) for number in range(300, 400)))
        await kept.flush()
        assert len(await ids(database)) == remote.MANY + 400


async def test_budgets_that_begin_anew_are_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[Reset] = []
    async with database_at("", tmp_path) as database, ledger(database, tmp_path, heard) as kept:
        await handed(kept, caplog)
        past = datetime.fromtimestamp(time.time() - 60, UTC)
        await put(
            database, tables.keys, token="k", spend=7, budget_duration="1d", budget_reset_at=past
        )
        await kept.record(row(1, key_hash="k", cost=5, started=time.time()))
        await kept.flush()
        (key,) = await rows_of(database, tables.keys)
        assert key["spend"] == 5
        assert Reset("key", ("k",)) in heard


async def test_a_program_that_fails_to_start_costs_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with (
        database_at("", tmp_path) as database,
        ledger(database, tmp_path, module="trunkline.no_such_module") as kept,
    ):
        for number in range(remote.MANY):
            kept.note(row(number))
        async with asyncio.timeout(10):
            while "looking after the ledger's process failed" not in caplog.text:
                await asyncio.sleep(0.05)
        await kept.record(row("last"))
        await kept.flush()
        assert len(await ids(database)) == remote.MANY + 1


async def test_a_flush_says_that_the_database_is_away(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with postgres_server() as server:
        async with (
            database_at(server.database(), tmp_path) as database,
            ledger(database, tmp_path) as kept,
        ):
            await handed(kept, caplog)
            await kept.flush()
            server.kill()
            await kept.record(row("later"))
            with pytest.raises(StoreUnavailable):
                await kept.flush()
            server.start()
            async with asyncio.timeout(30):
                while kept.waiting:
                    with contextlib.suppress(StoreUnavailable):
                        await kept.flush()
                    await asyncio.sleep(0.1)
            assert "call-later" in await ids(database)
