"""Counters of one process: whatever is asked of them in whatever order, limits hold."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from trunkline.state.contract import Admitted, Hold, Kind, Refused
from trunkline.state.memory import KEPT, KEPT_BUDGET, MemoryBus, MemoryCounters


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


def requests(maximum: int, counter: str = "k") -> Hold:
    return Hold(f"key:{counter}:requests", Kind.REQUESTS, maximum, 1)


def budget(counter: str, spent: int | None) -> Hold:
    return Hold(f"key:{counter}:budget", Kind.BUDGET, 100, 1, spent=spent)


@given(
    limit=st.integers(1, 8),
    pauses=st.lists(st.floats(0, 70, allow_nan=False), min_size=1, max_size=80),
)
def test_no_sixty_seconds_see_more_requests_than_the_limit(limit: int, pauses: list[float]) -> None:
    async def run() -> None:
        clock = Clock()
        counters = MemoryCounters(clock)
        passed: list[float] = []
        for number, pause in enumerate(pauses):
            clock.now += pause
            outcome = await counters.admit(str(number), (requests(limit),))
            if isinstance(outcome, Admitted):
                passed.append(clock.now)
                continue
            # What is refused fits when it is said to, with nothing else in between.
            assert isinstance(outcome, Refused)
            assert outcome.retry_after is not None
            clock.now += outcome.retry_after + 0.001
            outcome = await counters.admit(f"{number} again", (requests(limit),))
            assert isinstance(outcome, Admitted)
            passed.append(clock.now)
        for first, later in zip(passed, passed[limit:], strict=False):
            assert later - first >= 60

    asyncio.run(run())


steps = st.lists(
    st.tuples(
        st.sampled_from(["admit", "settle", "pass"]),
        st.integers(0, 60),
        st.integers(0, 120),
        st.booleans(),
    ),
    max_size=60,
)


@given(steps)
def test_tokens_and_money_add_up_whatever_comes_in_whatever_order(
    steps: list[tuple[str, int, int, bool]],
) -> None:
    async def run() -> None:
        clock = Clock()
        counters = MemoryCounters(clock)
        running: list[Admitted] = []
        spent = held = 0
        for number, (what, amount, actual, elastic) in enumerate(steps):
            if what == "pass":
                clock.now += amount
            elif what == "admit":
                holds = (
                    Hold("t", Kind.TOKENS, 100, amount, elastic=elastic),
                    Hold("b", Kind.BUDGET, 400, amount, spent=0),
                )
                outcome = await counters.admit(str(number), holds)
                room = 400 - spent - held
                if isinstance(outcome, Admitted):
                    running.append(outcome)
                    assert outcome.taken[1] == amount <= room
                    assert 0 <= outcome.taken[0] <= amount
                    held += amount
                elif isinstance(outcome, Refused) and outcome.index == 1:
                    assert amount > room
            elif running:
                call = running.pop(actual % len(running))
                await counters.settle(call, tokens=actual, cost=actual)
                spent, held = spent + actual, held - call.taken[1]
        for call in running:
            await counters.settle(call, tokens=0, cost=0)
        probe = await counters.admit("last", (Hold("b", Kind.BUDGET, 10**6, 0),))
        if isinstance(probe, Admitted):
            assert probe.left == (10**6 - spent,)
        clock.now += 200
        probe = await counters.admit("end", (Hold("t", Kind.TOKENS, 100, 0),))
        assert isinstance(probe, Admitted)
        assert probe.left == (100,)

    asyncio.run(run())


async def test_what_is_no_longer_used_takes_no_memory() -> None:
    clock = Clock()
    counters = MemoryCounters(clock)
    for number in range(1000):
        name = str(number)
        call = await counters.admit(name, (requests(5, name), budget(name, 0)))
        assert isinstance(call, Admitted)
        if number:
            await counters.settle(call, tokens=0, cost=number)
    for _ in range(3):
        clock.now += max(KEPT, KEPT_BUDGET) + 1
        await counters.admit("other", (requests(5, "other"),))
    # What a call still holds, however long it takes, is kept.
    assert len(counters) == 2
    held = await counters.admit("again", (budget("0", None),))
    assert isinstance(held, Admitted)
    assert held.left == (98,)


async def test_a_bus_of_one_process_is_heard_by_itself() -> None:
    bus, heard = MemoryBus(), list[str]()
    bus.subscribe(heard.append)
    await bus.publish("key 1")
    assert heard == ["key 1"]
    await bus.close()
