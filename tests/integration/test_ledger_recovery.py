"""What is left by gateways, by Redis and by databases that were killed comes to the table once."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.ledger import RedisStream, count, database_at, ids, ledger_of, put, row, rows_of
from tests.support.postgres import postgres_server
from tests.support.redis import RedisServer, redis_server
from trunkline.ledger.recovery import Recovery
from trunkline.store import tables

ROOT = Path(__file__).parents[2]


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    with redis_server(tmp_path) as server:
        yield server


class Old(RedisStream):
    """A stream whose rows are all taken for old ones."""

    async def older_than(self, seconds: float, count: int) -> list[tuple[str, bytes]]:
        return await super().older_than(0.0, count)


PROCESS = """
import asyncio, sys
from pathlib import Path
from tests.support.ledger import RedisStream, database_at, ledger_of, row

async def main(name, url, folder, redis):
    async with database_at(url, Path(folder)) as database:
        stream = RedisStream(redis) if redis else None
        ledger = ledger_of(database, Path(folder), stream=stream)
        ledger.start()
        for number in range(100_000):
            this = row(f"{name}-{number}", key_hash="k1")
            if stream:
                (id,) = await stream.add([this.encoded()])
                ledger.hold(this.encoded(), id)
            else:
                await ledger.record(this)
            print(this.call_id, flush=True)

asyncio.run(main(*sys.argv[1:]))
"""


def process(name: str, url: str, folder: Path, redis: str = "") -> subprocess.Popen[str]:
    """A process that records calls as fast as it can, and says each when it was recorded."""
    return subprocess.Popen(
        [sys.executable, "-c", PROCESS, name, url, str(folder), redis],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )


def kill_after(processes: list[subprocess.Popen[str]], lines: int) -> set[str]:
    """The calls that were recorded by processes that are killed."""
    recorded = set()
    for each in processes:
        assert each.stdout is not None
        recorded |= {each.stdout.readline().strip() for _ in range(lines)}
    for each in processes:
        assert each.stdout is not None
        each.kill()
        # The last line may be torn.
        recorded |= {text.strip() for text in each.stdout.read().splitlines(keepends=True)[:-1]}
        each.wait()
    return recorded


async def test_rows_of_killed_gateways_are_brought_from_their_journals(
    database_url: str, tmp_path: Path
) -> None:
    async with database_at(database_url, tmp_path) as database:
        await _with_key(database)
        killed = [process(name, database_url, tmp_path) for name in ("a", "b")]
        recorded = await asyncio.to_thread(kill_after, killed, 300)
        ledger = ledger_of(database, tmp_path)
        ledger.start()
        theirs = [f"{each.pid}-*.journal" for each in killed]
        # A journal is deleted after its rows are in the table.
        while any(next((tmp_path / "ledger").glob(name), None) for name in theirs):
            await asyncio.sleep(0.05)
        await ledger.close()
        assert recorded <= set(await ids(database))
        await _each_once(database)
        assert not list((tmp_path / "ledger").iterdir())


async def test_rows_of_killed_gateways_are_brought_from_redis(
    database_url: str, tmp_path: Path, redis: RedisServer
) -> None:
    async with database_at(database_url, tmp_path) as database:
        await _with_key(database)
        killed = [process(name, database_url, tmp_path, redis.url) for name in ("a", "b")]
        recorded = await asyncio.to_thread(kill_after, killed, 300)
        streams = [Old(redis.url), Old(redis.url)]
        ledgers = [ledger_of(database, tmp_path, stream=stream) for stream in streams]
        for ledger in ledgers:
            ledger.start()
        while not recorded <= set(await ids(database)):
            await asyncio.sleep(0.05)
        while await streams[0].length():
            await asyncio.sleep(0.05)
        for ledger, stream in zip(ledgers, streams, strict=True):
            await ledger.close()
            await stream.close()
        await _each_once(database)


async def test_rows_that_a_living_gateway_is_about_to_bring_are_left_to_it(
    tmp_path: Path, redis: RedisServer
) -> None:
    async with database_at("", tmp_path) as database:
        stream = Old(redis.url)
        ledger = ledger_of(database, tmp_path, stream=stream)
        mine, others = row(1), row(2)
        first, _ = await stream.add([mine.encoded(), others.encoded()])
        ledger.hold(mine.encoded(), first)
        await ledger._recovery.stream()
        assert await ids(database) == ["call-2"]
        await ledger.flush()
        assert await stream.length() == 0
        await ledger.close()
        await stream.close()


async def test_rows_that_redis_lost_are_written_from_memory(
    database_url: str, tmp_path: Path, redis: RedisServer
) -> None:
    async with database_at(database_url, tmp_path) as database:
        stream = RedisStream(redis.url)
        ledger = ledger_of(database, tmp_path, stream=stream)
        for number in range(100):
            each = row(number)
            (id,) = await stream.add([each.encoded()])
            ledger.hold(each.encoded(), id)
        redis.kill()
        await ledger.record(row(100))
        await ledger.flush()
        assert await count(database) == 101
        redis.start()
        await ledger.close()
        await stream.close()


async def test_rows_of_a_database_that_was_killed_under_load_are_there_once(
    tmp_path: Path, redis: RedisServer
) -> None:
    with postgres_server(durable=True) as server:
        url = server.database()
        async with database_at(url, tmp_path) as database:
            await _with_key(database)
            running = process("a", url, tmp_path, redis.url)

            def kill_in_the_middle() -> set[str]:
                assert running.stdout is not None
                recorded = {running.stdout.readline().strip() for _ in range(500)}
                server.kill()
                recorded |= {running.stdout.readline().strip() for _ in range(2000)}
                server.start()
                return recorded | kill_after([running], 500)

            recorded = await asyncio.to_thread(kill_in_the_middle)
            stream = Old(redis.url)
            ledger = ledger_of(database, tmp_path, stream=stream)
            ledger.start()
            while await stream.length():
                await asyncio.sleep(0.05)
            await ledger.close()
            await stream.close()
            assert recorded <= set(await ids(database))
            await _each_once(database)


async def test_a_stream_that_holds_what_is_no_row_is_emptied_all_the_same(
    tmp_path: Path, redis: RedisServer
) -> None:
    async with database_at("", tmp_path) as database:
        stream = Old(redis.url)
        odd = row(2, tags=(["a", "list"],)).encoded()
        await stream.add([b"[]", b"no row", odd, row(1).encoded()])
        ledger = ledger_of(database, tmp_path, stream=stream)
        assert isinstance(ledger._recovery, Recovery)
        await ledger._recovery.run()
        assert await ids(database) == ["call-1"]
        assert await stream.length() == 0
        await ledger.close()
        await stream.close()


async def _with_key(database) -> None:
    await put(database, tables.keys, token="k1")


async def _each_once(database) -> None:
    """Whether the sums are those of the rows, none twice."""
    found = await ids(database)
    assert len(found) == len(set(found))
    (key,) = await rows_of(database, tables.keys)
    (day,) = await rows_of(database, tables.daily_spend)
    assert key["spend"] == day["spend"] == 1000 * len(found)
    assert day["api_requests"] == len(found)
