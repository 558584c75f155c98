"""Cooldowns reach other processes once, and nothing that is heard does harm."""

from __future__ import annotations

import asyncio

import pytest

from trunkline.errors import ErrorKind
from trunkline.routing.health import Cooldown, Health
from trunkline.routing.shared_cooldowns import SharedCooldowns
from trunkline.state.memory import MemoryBus

ODD = "id:with:colons"


class Process:
    """One that has the deployments `a` and `id:with:colons`; its clock says when it is."""

    def __init__(self, bus: MemoryBus, now: float) -> None:
        self.now = now
        self.health = Health(lambda: self.now)
        self._held = [self.health.of("a"), self.health.of(ODD)]
        SharedCooldowns(self.health, bus)

    def fails(self, deployment_id: str, seconds: float) -> None:
        pause = Cooldown(self.now, self.now + seconds, ErrorKind.RATE_LIMIT, 429)
        assert self.health.cool(deployment_id, pause)
        assert self.health.cooled is not None
        self.health.cooled(deployment_id, pause)


class Heard:
    """The messages of a bus."""

    def __init__(self, bus: MemoryBus) -> None:
        self.messages: list[str] = []
        bus.subscribe(self.messages.append)


async def _sent() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.mark.parametrize("name", ["a", ODD])
def test_a_cooldown_of_one_process_holds_in_another_by_its_own_clock(name: str) -> None:
    async def main() -> None:
        bus = MemoryBus()
        one, other = Process(bus, 100.0), Process(bus, 9000.0)
        one.fails(name, 5.0)
        await _sent()
        expected = Cooldown(9000.0, 9005.0, ErrorKind.RATE_LIMIT, 429)
        assert other.health.cooldowns() == {name: expected}
        other.now = 9005.0
        assert other.health.cooldowns() == {}

    asyncio.run(main())


def test_failures_of_calls_that_were_under_way_are_not_told_again() -> None:
    async def main() -> None:
        bus = MemoryBus()
        heard = Heard(bus)
        one, other = Process(bus, 100.0), Process(bus, 100.0)
        one.fails("a", 5.0)
        await _sent()
        for process in (one, other):
            process.now = 100.4
            process.fails("a", 5.0)
        await _sent()
        assert heard.messages == ["cooldown:5.000:rate_limit:429:a"]
        one.now = 101.5
        one.fails("a", 5.0)
        await _sent()
        assert len(heard.messages) == 2
        assert other.health.cooldowns()["a"].until == pytest.approx(105.4)

    asyncio.run(main())


@pytest.mark.parametrize(
    "message",
    [
        "",
        "models",
        "key:cooldown:5:rate_limit:429:a",
        "cooldown",
        "cooldown:5:rate_limit:429",
        "cooldown:5:rate_limit:429:unknown",
        "cooldown:nan:rate_limit:429:a",
        "cooldown:inf:rate_limit:429:a",
        "cooldown:-5:rate_limit:429:a",
        "cooldown:3601:rate_limit:429:a",
        "cooldown:5:nothing:429:a",
        "cooldown:5:rate_limit:x:a",
    ],
)
def test_what_is_no_cooldown_of_a_known_deployment_is_ignored(message: str) -> None:
    async def main() -> None:
        bus = MemoryBus()
        process = Process(bus, 100.0)
        await bus.publish(message)
        assert process.health.cooldowns() == {}

    asyncio.run(main())


def test_what_is_heard_ends_no_longer_cooldown() -> None:
    async def main() -> None:
        bus = MemoryBus()
        process = Process(bus, 100.0)
        process.fails("a", 60.0)
        await bus.publish("cooldown:5:internal_server:500:a")
        assert process.health.cooldowns()["a"].until == 160.0

    asyncio.run(main())
