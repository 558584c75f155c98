"""Cooldowns that all processes share: what one finds failing, the others don't try in vain.

Nothing is sent for a call, only when a cooldown begins or lasts noticeably longer. A process that
starts later, or that can't be reached meanwhile, finds out by itself.

The message: `cooldown:<seconds>:<kind>:<status>:<deployment id>`, the id last since it may hold
anything.
"""

from __future__ import annotations

import asyncio
import logging

from ..errors import ErrorKind
from ..state.contract import Bus
from .cooldowns import LONGEST_SECONDS
from .health import Cooldown, Health

log = logging.getLogger("trunkline.routing")

TOPIC = "cooldown"

NOTICEABLE = 1.0
"""Seconds by which a cooldown has to be longer than others know before they are told again: each
call that was under way when it began makes it a little longer."""


class SharedCooldowns:
    """Tells other processes of this one's cooldowns, and lets theirs hold here.

    What is heard is never told again, so nothing goes round. Needs a running loop from the first
    cooldown on.
    """

    def __init__(self, health: Health, bus: Bus) -> None:
        self._health = health
        self._bus = bus
        self._known: dict[str, float] = {}
        self._sending: set[asyncio.Task[None]] = set()
        health.cooled = self._tell
        bus.subscribe(self._hear)

    def _tell(self, deployment_id: str, pause: Cooldown) -> None:
        if pause.until < self._known.get(deployment_id, 0.0) + NOTICEABLE:
            return
        self._know(deployment_id, pause)
        message = written(deployment_id, pause)
        task = asyncio.get_running_loop().create_task(_send(self._bus, message))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    def _hear(self, message: str) -> None:
        now = self._health.clock()
        deployment_id, pause = read(message, now)
        if pause is None or not self._health.knows(deployment_id):
            return
        if deployment_id not in self._health.cooldowns():
            told = {"deployment": deployment_id, "seconds": round(pause.until - now, 3)}
            told |= {"error": pause.kind.value, "status": pause.status}
            log.warning("a deployment cools down, as another process found", extra=told)
        self._health.cool(deployment_id, pause)
        self._know(deployment_id, pause)

    def _know(self, deployment_id: str, pause: Cooldown) -> None:
        now = self._health.clock()
        known = {name: until for name, until in self._known.items() if until > now}
        known[deployment_id] = max(pause.until, known.get(deployment_id, 0.0))
        self._known = known


async def _send(bus: Bus, message: str) -> None:
    await bus.publish(message)


def written(deployment_id: str, pause: Cooldown) -> str:
    """The message that tells of a cooldown."""
    seconds = pause.until - pause.since
    return f"{TOPIC}:{seconds:.3f}:{pause.kind.value}:{pause.status}:{deployment_id}"


def read(message: str, now: float) -> tuple[str, Cooldown | None]:
    """The deployment's id, and its cooldown as from `now`; None for any other message."""
    topic, *told = message.split(":", 4)
    if topic != TOPIC or len(told) != 4:
        return "", None
    try:
        seconds, kind, status = float(told[0]), ErrorKind(told[1]), int(told[2])
    except ValueError:
        return "", None
    if not 0 < seconds <= LONGEST_SECONDS:
        return "", None
    return told[3], Cooldown(now, now + seconds, kind, status)
