"""What processes share, as it is configured: in Redis, or in the process alone."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import NamedTuple

from ..settings.redis_address import RedisAddress, address_of
from ..settings.schema import RouterSettings
from . import keys
from .arms import Arms, MemoryArms
from .arms_files import FileArms
from .arms_redis import RedisArms
from .bus import RedisBus
from .contract import Bus, Counters, Stream
from .failing import Outages, SharedCounters
from .find import open_connection
from .link import Link
from .memory import MemoryBus, MemoryCounters
from .redis import RedisCounters
from .shares import ShareCounters
from .stream import RedisStream

DENY = "deny"


class State(NamedTuple):
    """stream: None without Redis, where the ledger keeps its rows itself."""

    counters: Counters
    bus: Bus
    stream: Stream | None


def build(settings: RouterSettings, outages: Outages, *, workers: int) -> State:
    """Connects to nothing yet. workers: processes of this gateway. Raises ValueError."""
    address = address_of(settings)
    if address is None:
        memory = MemoryCounters()
        counters: Counters = memory if workers == 1 else ShareCounters(memory, workers)
        return State(counters, MemoryBus(), None)
    link = Link(partial(open_connection, address))
    stream = RedisStream(link)
    shared = SharedCounters(
        RedisCounters(link),
        stream,
        outages,
        deny=settings.redis_failure == DENY,
        processes=workers,
    )
    return State(shared, RedisBus(partial(open_connection, address), link), stream)


def bus_of(address: RedisAddress | None) -> Bus:
    """A bus without counters, for who has no others. Connects to nothing yet."""
    if address is None:
        return MemoryBus()
    open = partial(open_connection, address)
    return RedisBus(open, Link(open))


async def publish_once(address: RedisAddress, message: str) -> None:
    """Says something to all processes, for who isn't one of them. Raises LinkDown."""
    link = Link(partial(open_connection, address))
    try:
        await link.ask("PUBLISH", keys.CHANGES, b"once " + message.encode())
    finally:
        await link.close()


def arms_of(address: RedisAddress | None, pointer: str) -> Arms:
    """Where a pointer's trials are counted. pointer: its name."""
    if address is not None:
        return RedisArms(Link(partial(open_connection, address)))
    return MemoryArms() if "://" in pointer else FileArms(Path(pointer).parent)


def warning(settings: RouterSettings, workers: int) -> str | None:
    """What to tell at the start of limits that processes can't share; None where they can."""
    if workers == 1 or settings.redis_url or settings.redis_host:
        return None
    return (
        f"no Redis is configured: each of {workers} processes enforces 1/{workers} of every limit,"
        " and hears of changed keys only when it looks for them"
    )
