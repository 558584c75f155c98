"""Limits and budgets hold exactly, counted in the process or in Redis: one suite for all."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import AsyncIterator, Iterator
from functools import partial
from typing import Any

import pytest

from tests.support.redis import RedisServer, redis_server
from trunkline.settings.redis_address import parse
from trunkline.state.contract import (
    Admitted,
    Counters,
    Hold,
    Kind,
    Missing,
    Outcome,
    Refused,
)
from trunkline.state.failing import SharedCounters
from trunkline.state.find import open_connection
from trunkline.state.link import Link
from trunkline.state.memory import MemoryCounters
from trunkline.state.redis import RedisCounters
from trunkline.state.shares import ShareCounters
from trunkline.state.stream import RedisStream

BEGINNING = 1_800_000_000.25
_ids = (f"call-{number}" for number in itertools.count())


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = BEGINNING

    def __call__(self) -> float:
        return self.now


class Silent:
    """Is told of outages."""

    def redis_failed(self) -> None: ...

    def redis_up(self, up: bool) -> None: ...


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def clock() -> Clock:
    return Clock()


def in_redis(server: RedisServer, clock: Clock | None = None) -> RedisCounters:
    return RedisCounters(Link(partial(open_connection, parse(server.url))), clock=clock)


@pytest.fixture(params=["memory", "one share of one", "redis", "redis that may fail"])
async def counters(request: pytest.FixtureRequest, clock: Clock) -> AsyncIterator[Counters]:
    made: Counters
    match request.param:
        case "memory":
            made = MemoryCounters(clock)
        case "one share of one":
            made = ShareCounters(MemoryCounters(clock), 1)
        case other:
            server = request.getfixturevalue("server")
            server.client.flushall()
            made = in_redis(server, clock)
            if other != "redis":
                made = SharedCounters(made, RedisStream(made._link), Silent())
    yield made
    await made.close()


def requests(maximum: int, name: str = "key:k:requests") -> Hold:
    return Hold(name, Kind.REQUESTS, maximum, 1)


def tokens(maximum: int, amount: int, **more: Any) -> Hold:
    return Hold("key:k:tokens", Kind.TOKENS, maximum, amount, **more)


def places(maximum: int) -> Hold:
    return Hold("key:k:parallel", Kind.PARALLEL, maximum, 1)


def budget(maximum: int, amount: int, spent: int | None = 0, **more: Any) -> Hold:
    return Hold("key:k:budget", Kind.BUDGET, maximum, amount, spent=spent, **more)


async def admit(counters: Counters, *holds: Hold) -> Outcome:
    return await counters.admit(next(_ids), holds)


async def admitted(counters: Counters, *holds: Hold) -> Admitted:
    outcome = await admit(counters, *holds)
    assert isinstance(outcome, Admitted), outcome
    return outcome


async def left_of(counters: Counters, hold: Hold) -> int:
    """What a limit has left, by a call that takes nothing of it."""
    call = await admitted(counters, Hold(hold.counter, hold.kind, hold.maximum, 0, spent=None))
    await counters.settle(call, tokens=0, cost=0)
    return call.left[0]


@pytest.mark.criterion("R11.6")
async def test_requests_beyond_the_limit_are_refused_until_a_minute_has_passed(
    counters: Counters, clock: Clock
) -> None:
    assert [(await admitted(counters, requests(3))).left for _ in range(3)] == [(2,), (1,), (0,)]
    refused = await admit(counters, requests(3))
    assert isinstance(refused, Refused)
    assert (refused.index, refused.left) == (0, 0)
    assert refused.retry_after == pytest.approx(60.75, abs=0.01)
    clock.now += refused.retry_after - 0.3
    assert isinstance(await admit(counters, requests(3)), Refused)
    clock.now += 0.31
    assert (await admitted(counters, requests(3))).left == (2,)


@pytest.mark.criterion("R11.6")
async def test_no_sixty_seconds_see_more_than_the_limit_and_most_of_it_gets_through(
    counters: Counters, clock: Clock
) -> None:
    chance = random.Random(7)
    limit, passed = 20, []
    while clock.now < BEGINNING + 400:
        clock.now += chance.choice((0.01, 0.4, 1.3, 2.9))
        if isinstance(await admit(counters, requests(limit)), Admitted):
            passed.append(clock.now)
    for first, later in zip(passed, passed[limit:], strict=False):
        assert later - first >= 60
    assert len(passed) >= 0.95 * limit * 400 / 61


@pytest.mark.criterion("R11.6")
async def test_of_200_parallel_calls_a_limit_of_20_lets_20_through(counters: Counters) -> None:
    holds = (requests(20), tokens(20_000, 1000), places(20), budget(20_000, 1000))
    outcomes = await asyncio.gather(*(admit(counters, *holds) for _ in range(200)))
    passed = [each for each in outcomes if isinstance(each, Admitted)]
    assert len(passed) == 20
    assert sorted(each.left[3] for each in passed) == list(range(0, 20_000, 1000))


async def test_a_call_that_one_limit_refuses_takes_nothing_of_the_others(
    counters: Counters,
) -> None:
    await admitted(counters, places(1))
    refused = await admit(counters, requests(5), budget(100, 10), places(1))
    assert isinstance(refused, Refused)
    assert refused.index == 2
    assert refused.retry_after == 1.0
    assert await left_of(counters, requests(5)) == 5
    assert await left_of(counters, budget(100, 0)) == 100


async def test_a_place_among_parallel_calls_is_free_when_the_call_ends(counters: Counters) -> None:
    call = await admitted(counters, places(1))
    assert isinstance(await admit(counters, places(1)), Refused)
    await counters.settle(call, tokens=0, cost=0)
    await counters.settle(call, tokens=0, cost=0)
    await admitted(counters, places(1))
    assert isinstance(await admit(counters, places(1)), Refused)


async def test_tokens_are_put_right_in_the_second_in_which_they_were_taken(
    counters: Counters, clock: Clock
) -> None:
    call = await admitted(counters, tokens(1000, 800))
    clock.now += 10
    await counters.settle(call, tokens=300, cost=0)
    assert await left_of(counters, tokens(1000, 0)) == 700
    refused = await admit(counters, tokens(1000, 701))
    assert isinstance(refused, Refused)
    assert refused.retry_after == pytest.approx(50.75, abs=0.01)
    clock.now += 51
    assert await left_of(counters, tokens(1000, 0)) == 1000


async def test_tokens_of_a_call_longer_than_the_window_count_as_far_as_they_exceed_it(
    counters: Counters, clock: Clock
) -> None:
    long, longer = (
        await admitted(counters, tokens(1000, 100)),
        await admitted(counters, tokens(1000, 100)),
    )
    clock.now += 90
    await counters.settle(long, tokens=250, cost=0)
    assert await left_of(counters, tokens(1000, 0)) == 850
    await counters.settle(longer, tokens=50, cost=0)
    assert await left_of(counters, tokens(1000, 0)) == 850


async def test_a_call_may_come_to_more_tokens_than_the_limit_which_others_then_wait_for(
    counters: Counters, clock: Clock
) -> None:
    call = await admitted(counters, tokens(1000, 100))
    await counters.settle(call, tokens=5000, cost=0)
    refused = await admit(counters, tokens(1000, 1))
    assert isinstance(refused, Refused)
    assert refused.left == 0
    assert refused.retry_after == pytest.approx(60.75, abs=0.01)


async def test_an_amount_beyond_the_limit_never_fits(counters: Counters) -> None:
    for hold in (tokens(1000, 1001), budget(100, 101)):
        refused = await admit(counters, hold)
        assert isinstance(refused, Refused)
        assert refused.retry_after is None


@pytest.mark.parametrize("kind", [Kind.TOKENS, Kind.BUDGET])
async def test_a_bound_that_nobody_chose_takes_what_is_left_alone(
    counters: Counters, kind: Kind
) -> None:
    hold = Hold("key:k:elastic", kind, 100, 500, elastic=True, spent=0)
    call = await admitted(counters, hold)
    assert (call.taken, call.left) == ((100,), (0,))
    assert isinstance(await admit(counters, hold), Refused)
    await counters.settle(call, tokens=30, cost=30)
    call = await admitted(counters, hold)
    assert call.taken == (70,)
    await counters.settle(call, tokens=40, cost=40)
    # Room is left, but another call holds some of it.
    other = await admitted(counters, Hold(hold.counter, kind, 100, 10, spent=0))
    refused = await admit(counters, hold)
    assert isinstance(refused, Refused)
    assert (refused.left, refused.retry_after) == (20, 1.0)
    await counters.settle(other, tokens=30, cost=30)
    assert isinstance(await admit(counters, hold), Refused)


@pytest.mark.criterion("R12.3")
async def test_a_budget_is_never_overspent_by_calls_that_hold_what_they_may_cost(
    counters: Counters,
) -> None:
    chance = random.Random(3)
    spent, passed = 0, 0

    async def call() -> None:
        nonlocal spent, passed
        outcome = await admit(counters, budget(20_000, 1000))
        await asyncio.sleep(chance.uniform(0, 0.01))
        if isinstance(outcome, Admitted):
            cost = chance.randint(0, 1000)
            await counters.settle(outcome, tokens=0, cost=cost)
            spent, passed = spent + cost, passed + 1

    for _ in range(10):
        await asyncio.gather(*(call() for _ in range(40)))
    assert spent <= 20_000
    assert await left_of(counters, budget(20_000, 0)) == 20_000 - spent
    # None is refused while there is room for what it holds.
    assert spent > 19_000


async def test_a_budget_that_is_not_known_is_asked_for_and_begins_with_what_was_spent(
    counters: Counters,
) -> None:
    unknown = budget(100, 10, spent=None)
    other = Hold("team:t:budget", Kind.BUDGET, 100, 10)
    assert await admit(counters, requests(9), unknown, other) == Missing((1, 2))
    known = Hold("team:t:budget", Kind.BUDGET, 100, 10, spent=70)
    call = await admitted(counters, requests(9), budget(100, 10, spent=85), known)
    assert call.left == (8, 5, 20)
    assert (await admitted(counters, other)).left == (10,)
    # Only what isn't known begins with what is said.
    assert isinstance(await admit(counters, budget(100, 10, spent=0)), Refused)


async def test_budgets_begin_even_when_another_limit_refuses_the_call(counters: Counters) -> None:
    await admitted(counters, places(1))
    assert isinstance(await admit(counters, places(1), budget(100, 1, spent=50)), Refused)
    assert (await admitted(counters, budget(100, 1, spent=None))).left == (49,)


@pytest.mark.criterion("R12.6")
async def test_a_new_period_begins_with_nothing_spent_but_with_what_calls_hold(
    counters: Counters,
) -> None:
    call = await admitted(counters, budget(100, 60, period=1))
    done = await admitted(counters, budget(100, 40, period=1))
    await counters.settle(done, tokens=0, cost=40)
    assert isinstance(await admit(counters, budget(100, 1, period=1)), Refused)
    assert (await admitted(counters, budget(100, 30, spent=None, period=2))).left == (10,)
    await counters.settle(call, tokens=0, cost=50)
    # A process that hasn't noticed the new period doesn't bring the old one back.
    assert (await admitted(counters, budget(100, 5, period=1))).left == (15,)


async def test_what_is_forgotten_is_asked_for_again_and_what_calls_hold_stays_held(
    counters: Counters,
) -> None:
    held = await admitted(counters, budget(100, 30))
    done = await admitted(counters, budget(100, 20))
    await counters.settle(done, tokens=0, cost=20)
    await counters.forget(["key:k:budget", "key:nobody:budget"])
    assert await admit(counters, budget(100, 1, spent=None)) == Missing((0,))
    # Settled while nobody knows what was spent: that isn't lost.
    await counters.settle(held, tokens=0, cost=7)
    other = await admitted(counters, budget(100, 1, spent=5))
    assert other.left == (100 - 5 - 7 - 1,)


async def test_a_call_that_is_settled_twice_counts_once(counters: Counters) -> None:
    call = await admitted(counters, tokens(100, 10), budget(100, 10))
    for _ in range(3):
        await counters.settle(call, tokens=20, cost=30, row=b"row")
    assert await left_of(counters, tokens(100, 0)) == 80
    assert await left_of(counters, budget(100, 0)) == 70


async def test_a_limit_that_was_changed_holds_from_the_next_call_on(counters: Counters) -> None:
    await admitted(counters, requests(1), budget(100, 100))
    call = await admitted(counters, requests(3), budget(150, 20))
    assert call.left == (1, 30)
    assert isinstance(await admit(counters, requests(1)), Refused)


async def test_a_call_without_limits_passes(counters: Counters) -> None:
    call = await admitted(counters)
    assert call.taken == ()
    await counters.settle(call, tokens=1, cost=1)
    assert await counters.ping()


async def test_names_may_hold_any_character(counters: Counters) -> None:
    name = 'customer:{trunkline} "ü\n:\x00 *'
    call = await admitted(counters, Hold(name, Kind.BUDGET, 100, 10, spent=0))
    await counters.settle(call, tokens=0, cost=10, row="ü\r\n".encode())
    assert (await admitted(counters, Hold(name, Kind.BUDGET, 100, 10))).left == (80,)


async def test_what_was_read_before_a_budget_was_forgotten_does_not_count(
    counters: Counters,
) -> None:
    await admitted(counters, budget(100, 10))
    await counters.forget(["key:k:budget"])
    assert await admit(counters, budget(100, 10, spent=50)) == Missing((0,))
    assert (await admitted(counters, budget(100, 10, spent=5))).left == (75,)
