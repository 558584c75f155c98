"""What is counted in Redis survives the death of processes, of connections and of Redis itself."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
from redis import Redis

from tests.support.redis import RedisServer, redis_server
from trunkline.settings.redis_address import parse
from trunkline.state import keys
from trunkline.state.bus import RedisBus
from trunkline.state.contract import (
    LEASE,
    Admitted,
    Counters,
    CountersUnavailable,
    Hold,
    Kind,
    Missing,
    Outcome,
    Refused,
)
from trunkline.state.failing import SharedCounters
from trunkline.state.find import open_connection
from trunkline.state.link import Link
from trunkline.state.redis import RedisCounters
from trunkline.state.stream import RedisStream

_ids = (f"call-{number}" for number in itertools.count())


class Told:
    """Is told of outages, and remembers them."""

    def __init__(self) -> None:
        self.failures = 0
        self.up: bool | None = None

    def redis_failed(self) -> None:
        self.failures += 1

    def redis_up(self, up: bool) -> None:
        self.up = up


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with redis_server(tmp_path) as server:
        yield server


def a_link(url: str) -> Link:
    return Link(partial(open_connection, parse(url)))


class Process:
    """What one process of the gateway has of Redis."""

    def __init__(self, url: str, *, deny: bool = False, processes: int = 1) -> None:
        self.link = a_link(url)
        self.redis = RedisCounters(self.link)
        self.stream = RedisStream(self.link)
        self.told = Told()
        self.counters = SharedCounters(
            self.redis, self.stream, self.told, deny=deny, processes=processes
        )

    async def died(self) -> None:
        """As kill -9 does: it takes leave of nobody."""
        for task in (self.counters._beating, self.counters._recovering):
            if task is not None:
                task.cancel()
        await self.link.close()


@asynccontextmanager
async def process(url: str, **options: int) -> AsyncIterator[Process]:
    one = Process(url, **options)
    try:
        yield one
    finally:
        await one.counters.close()


async def eventually(happens: Callable[[], Awaitable[bool] | bool], seconds: float = 10) -> None:
    until = time.monotonic() + seconds
    while True:
        found = happens()
        if found if isinstance(found, bool) else await found:
            return
        assert time.monotonic() < until, "it didn't happen in time"
        await asyncio.sleep(0.02)


def budget(maximum: int, amount: int, spent: int | None = None, name: str = "k") -> Hold:
    return Hold(f"key:{name}:budget", Kind.BUDGET, maximum, amount, spent=spent)


def requests(maximum: int) -> Hold:
    return Hold("key:k:requests", Kind.REQUESTS, maximum, 1)


async def admit(counters: Counters, *holds: Hold) -> Outcome:
    return await counters.admit(next(_ids), holds)


async def admitted(counters: Counters, *holds: Hold) -> Admitted:
    outcome = await admit(counters, *holds)
    assert isinstance(outcome, Admitted), outcome
    return outcome


@pytest.mark.criterion("R11.6", "R12.3")
async def test_processes_share_every_limit(server: RedisServer) -> None:
    async with process(server.url) as a, process(server.url) as b, process(server.url) as c:
        holds = (requests(20), budget(20_000, 900, spent=0))
        calls = [admit(each.counters, *holds) for each in (a, b, c) for _ in range(70)]
        outcomes = await asyncio.gather(*calls)
        assert sum(isinstance(each, Admitted) for each in outcomes) == 20


async def test_each_way_takes_one_round_trip(server: RedisServer) -> None:
    async with process(server.url) as one:
        holds = (requests(10**6), budget(10**12, 9, spent=0))
        call = await admitted(one.counters, *holds)
        await one.counters.settle(call, tokens=1, cost=1, row=b"row")
        before = server.client.info("commandstats")
        for _ in range(50):
            call = await admitted(one.counters, *holds)
            await one.counters.settle(call, tokens=1, cost=1, row=b"row")
        after = server.client.info("commandstats")
        scripts = after["cmdstat_evalsha"]["calls"] - before["cmdstat_evalsha"]["calls"]
        assert scripts == 100


async def test_what_a_dead_process_held_is_free_after_the_lease(server: RedisServer) -> None:
    clock = Clock()
    dead, living = (RedisCounters(a_link(server.url), clock=clock) for _ in range(2))
    place = Hold("key:k:parallel", Kind.PARALLEL, 2, 1)
    await dead.beat()
    await living.beat()
    await admitted(dead, place, budget(100, 60, spent=0))
    await admitted(living, place, budget(100, 40))
    clock.now += LEASE - 1
    assert await living.beat() == 2
    assert isinstance(await admit(living, place), Refused)
    clock.now += 2
    assert await living.beat() == 1
    assert (await admitted(living, place, budget(100, 10))).left == (0, 50)
    # What the living one holds isn't free, however old it is.
    clock.now += LEASE - 1
    assert await living.beat() == 1
    assert isinstance(await admit(living, place), Refused)
    for each in (dead, living):
        await each.close()


async def test_a_process_that_was_held_up_for_long_holds_and_settles_what_it_did(
    server: RedisServer,
) -> None:
    clock = Clock()
    slow, other = (RedisCounters(a_link(server.url), clock=clock) for _ in range(2))
    await slow.beat()
    first = await admitted(slow, budget(100, 30, spent=0))
    second = await admitted(slow, budget(100, 30))
    clock.now += LEASE + 1
    await other.beat()
    assert (await admitted(other, budget(100, 0))).left == (100,)
    # It ends one call before anybody noticed that it lives.
    await slow.settle(first, tokens=0, cost=25)
    assert (await admitted(other, budget(100, 0))).left == (75,)
    await slow.beat()
    assert (await admitted(other, budget(100, 0))).left == (45,)
    await slow.settle(second, tokens=0, cost=20)
    assert (await admitted(other, budget(100, 0))).left == (55,)
    for each in (slow, other):
        await each.close()


async def test_rows_lie_in_the_stream_until_the_database_has_them(server: RedisServer) -> None:
    async with process(server.url) as one:
        call = await admitted(one.counters, budget(100, 10, spent=0))
        first = await one.counters.settle(call, tokens=0, cost=10, row=b"first\r\n\xff")
        assert first is not None
        (second,) = await one.stream.add([b"second"])
        assert await one.stream.length() == 2
        assert await one.stream.older_than(0, 10) == [
            (first, b"first\r\n\xff"),
            (second, b"second"),
        ]
        assert await one.stream.older_than(0, 1) == [(first, b"first\r\n\xff")]
        assert await one.stream.older_than(60, 10) == []
        await one.stream.delete([first, second, first])
        assert await one.stream.length() == 0


async def test_a_budget_taken_from_the_database_counts_what_still_lies_in_the_stream(
    server: RedisServer,
) -> None:
    async with process(server.url) as one:
        counters, database = one.counters, 0
        call = await admitted(counters, budget(1000, 10, spent=0))
        row = await counters.settle(call, tokens=0, cost=100, row=b"row")
        assert row is not None
        await counters.forget(["key:k:budget"])
        assert await admit(counters, budget(1000, 1)) == Missing((0,))
        call = await admitted(counters, budget(1000, 0, spent=database))
        assert call.left == (900,)
        # The database has the row: what is taken from there then, counts it once.
        database += 100
        await one.stream.delete([row])
        await counters.forget(["key:k:budget"])
        assert await admit(counters, budget(1000, 1)) == Missing((0,))
        assert (await admitted(counters, budget(1000, 0, spent=database))).left == (900,)


async def test_what_is_written_while_a_budget_is_asked_for_is_not_lost(
    server: RedisServer,
) -> None:
    async with process(server.url) as one:
        counters = one.counters
        call = await admitted(counters, budget(1000, 10, spent=0))
        row = await counters.settle(call, tokens=0, cost=100, row=b"row")
        await counters.forget(["key:k:budget"])
        assert await admit(counters, budget(1000, 1)) == Missing((0,))
        # The database was read before the row came there.
        await one.stream.delete([row or ""])
        assert (await admitted(counters, budget(1000, 0, spent=0))).left == (900,)


async def test_flushed_scripts_are_loaded_again(server: RedisServer) -> None:
    async with process(server.url) as one:
        await admitted(one.counters, requests(9))
        server.client.script_flush()
        call = await admitted(one.counters, requests(9))
        assert call.left == (7,)
        server.client.script_flush()
        await one.counters.settle(call, tokens=0, cost=0)
        assert one.told.failures == 0


async def test_a_connection_that_breaks_while_calls_wait_counts_none_of_them_twice(
    server: RedisServer,
) -> None:
    async with process(server.url) as one:
        counters = one.counters
        holds = (requests(10**6), budget(10**8, 10, spent=0))
        await admitted(counters, *holds)
        stop = asyncio.Event()

        async def cut() -> None:
            while not stop.is_set():
                await asyncio.to_thread(server.client.client_kill_filter, _type="normal")
                await asyncio.sleep(0.15)

        async def calls() -> int:
            done = 0
            while not stop.is_set():
                call = await admitted(counters, *holds)
                assert await counters.settle(call, tokens=0, cost=10, row=b"row")
                done += 1
            return done

        running = [asyncio.create_task(each) for each in (cut(), *(calls() for _ in range(8)))]
        await asyncio.sleep(1.5)
        stop.set()
        _, *done = await asyncio.gather(*running)
        assert one.told.failures == 0
        call = await admitted(counters, *holds)
        assert call.left == (10**6 - sum(done) - 2, 10**8 - 10 * sum(done) - 20)
        assert await one.stream.length() == sum(done)


async def test_a_call_whose_client_leaves_while_it_is_admitted_holds_nothing(
    server: RedisServer,
) -> None:
    async with process(server.url) as one:
        place = Hold("key:k:parallel", Kind.PARALLEL, 1, 1)
        await one.counters.ping()
        for pause in (0, 0, 0.0005, 0.001):
            task = asyncio.create_task(admit(one.counters, place))
            await asyncio.sleep(pause)
            task.cancel()
            (outcome,) = await asyncio.gather(task, return_exceptions=True)
            if isinstance(outcome, Admitted):
                await one.counters.settle(outcome, tokens=0, cost=0)

        async def free() -> bool:
            return not server.client.exists(keys.HELD)

        await eventually(free)


async def test_without_redis_each_process_enforces_its_share_and_says_so_once(
    server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with process(server.url) as one, process(server.url) as other:
        await admitted(one.counters, requests(100), budget(1000, 10, spent=0))
        await admitted(other.counters, requests(100))
        await one.redis.beat()
        await one.counters._redis.beat()
        one.counters._processes = await one.redis.beat()
        assert one.counters._processes == 2
        server.kill()
        holds = (requests(100), budget(1000, 10))
        outcomes = await asyncio.gather(*(admit(one.counters, *holds) for _ in range(120)))
        passed = [each for each in outcomes if isinstance(each, Admitted)]
        # Of the budget 990 were left, of which half is 49 calls.
        assert len(passed) == 49
        assert isinstance(await admit(one.counters, budget(1000, 10, name="new")), Missing)
        call = await admitted(one.counters, budget(1000, 10, spent=600, name="new"))
        assert call.left == (190,)
        assert one.told.failures == 1
        assert one.told.up is False
        assert caplog.text.count("Redis can't be reached") == 1
        assert not await one.counters.ping()


async def test_where_it_is_so_configured_nothing_passes_without_redis(server: RedisServer) -> None:
    async with process(server.url, deny=True) as one:
        call = await admitted(one.counters, requests(100), budget(100, 10, spent=0))
        server.kill()
        with pytest.raises(CountersUnavailable):
            await admit(one.counters, requests(100))
        assert await one.counters.settle(call, tokens=0, cost=1, row=b"row") is None
        server.start()

        async def passes() -> bool:
            try:
                await admitted(one.counters, requests(100))
            except CountersUnavailable:
                return False
            return True

        await eventually(passes)
        assert one.told.up is True


async def test_what_redis_admitted_unheard_is_not_held_when_it_is_back(
    server: RedisServer,
) -> None:
    async with process(server.url, deny=True) as one:
        place = Hold("key:k:parallel", Kind.PARALLEL, 5, 1)
        call = await admitted(one.counters, place)
        assert server._process is not None
        os.kill(server._process.pid, signal.SIGSTOP)
        outcomes = await asyncio.gather(
            *(admit(one.counters, place) for _ in range(3)), return_exceptions=True
        )
        assert all(isinstance(each, CountersUnavailable) for each in outcomes)
        os.kill(server._process.pid, signal.SIGCONT)
        await eventually(lambda: one.told.up is True)
        assert server.client.hgetall(keys.HELD) == {b"{trunkline}:p:key:k:parallel": b"1"}
        await one.counters.settle(call, tokens=0, cost=0)
        assert server.client.hgetall(keys.HELD) == {}


async def test_a_gateway_that_starts_without_redis_comes_to_it_later(server: RedisServer) -> None:
    server.kill()
    async with process(server.url, processes=4) as one:
        assert (await admitted(one.counters, requests(100))).left == (24,)
        server.start()

        async def shared() -> bool:
            call = await admitted(one.counters, requests(100))
            return call.left[0] > 24

        await eventually(shared)


class Ledger:
    """Stands for what keeps rows: those that Redis didn't take are kept until they are written."""

    def __init__(self) -> None:
        self.kept: list[int] = []
        self.spent = 0

    async def write(self) -> None:
        await asyncio.sleep(0.005)
        kept, self.kept = self.kept, []
        self.spent += sum(kept)


@pytest.mark.criterion("R12.3")
@pytest.mark.parametrize("how", ["killed", "stopped"])
async def test_redis_lost_and_found_under_load_counts_every_cost_once(
    server: RedisServer, how: str
) -> None:
    """Three processes; what the database has and what Redis counts is what calls have cost."""
    maximum, cost = 10**9, 7
    processes = [Process(server.url, processes=3) for _ in range(3)]
    ledger, rows = Ledger(), {}
    stop = asyncio.Event()
    done = 0

    async def call(one: Process) -> None:
        nonlocal done
        holds: tuple[Hold, ...] = (budget(maximum, 100), requests(10**6))
        outcome = await admit(one.counters, *holds)
        while isinstance(outcome, Missing):
            await ledger.write()
            outcome = await admit(one.counters, budget(maximum, 100, ledger.spent), requests(10**6))
        if not isinstance(outcome, Admitted):
            await asyncio.sleep(0.01)
            return
        await asyncio.sleep(0.01)
        done += 1
        row = await one.counters.settle(outcome, tokens=0, cost=cost, row=b"row")
        if row is None:
            ledger.kept.append(cost)
        else:
            rows[row] = cost

    async def calls(one: Process) -> None:
        while not stop.is_set():
            await call(one)

    for each in processes:
        each.counters.before_resume(ledger.write)
    running = [asyncio.create_task(calls(each)) for each in processes for _ in range(4)]
    await asyncio.sleep(0.5)
    if how == "killed":
        await asyncio.to_thread(server.kill)
        # The rows that lay in the stream: who settled them has them still.
        ledger.kept += rows.values()
        rows.clear()
        await asyncio.sleep(1)
        await asyncio.to_thread(server.start)
    else:
        assert server._process is not None
        os.kill(server._process.pid, signal.SIGSTOP)
        await asyncio.sleep(2.5)
        os.kill(server._process.pid, signal.SIGCONT)
    await eventually(lambda: all(each.told.up for each in processes), 20)
    await asyncio.sleep(0.7)
    stop.set()
    await asyncio.gather(*running)
    await ledger.write()
    in_database, in_stream = ledger.spent, sum(rows.values())
    assert in_database + in_stream == done * cost
    spent = int(server.client.hget(keys.BUDGET + "key:k:budget", "s") or 0)
    assert spent == done * cost
    assert server.client.hgetall(keys.HELD) == {}
    for each in processes:
        assert each.told.failures == 1
        await each.counters.close()


async def test_messages_reach_every_process_and_its_own_at_once(server: RedisServer) -> None:
    heard: dict[str, list[str]] = {"a": [], "b": []}
    buses = {}
    links = []
    for name, messages in heard.items():
        link = a_link(server.url)
        links.append(link)
        buses[name] = RedisBus(partial(open_connection, parse(server.url)), link)
        buses[name].subscribe(messages.append)
        await asyncio.wait_for(buses[name].listening(), 5)
    await buses["a"].publish("key 1")
    assert heard["a"] == ["", "key 1"]
    await eventually(lambda: heard["b"] == ["", "key 1"])
    # While Redis is away nothing is heard; when it is back, all know that some may be lost.
    server.kill()
    await buses["a"].publish("key 2")
    assert heard["a"][-1] == "key 2"
    await asyncio.sleep(0.3)
    server.start()
    await eventually(lambda: heard["a"].count("") == heard["b"].count("") == 2)
    await buses["b"].publish("key 3")
    await eventually(lambda: heard["a"][-1] == "key 3")
    await asyncio.sleep(0.05)
    assert heard["a"].count("key 2") == 1
    for bus in buses.values():
        await bus.close()
    for link in links:
        await link.close()


async def test_a_process_that_ends_no_longer_counts_among_those_that_share(
    server: RedisServer,
) -> None:
    async with process(server.url) as one:
        await admitted(one.counters, requests(9))
        async with process(server.url) as other:
            await admitted(other.counters, requests(9))
            await eventually(lambda: Redis.zcard(server.client, keys.PROCESSES) == 2)
        assert await one.redis.beat() == 1
