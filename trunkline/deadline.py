"""Time limits for the path on which an event loop's own timers cost too much."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

TICK = 0.1
"""Seconds between two looks at what is set."""


class Alarms:
    """Timers of one event loop for what nearly always ends before it is late.

    A timer of the loop takes microseconds to set and to take back, and finding the loop takes a
    system call; an alarm takes a tenth. One tick looks over all that are set, and leaves those that
    ring before the next tick to the loop. Without any set, nothing ticks.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._set: set[Alarm] = set()
        self._ticking = False

    def after(self, seconds: float, ring: Callable[[], None]) -> Alarm:
        """Calls `ring` in so many seconds, unless the alarm is cancelled before."""
        alarm = Alarm(self._set, self.loop.time() + seconds, ring)
        if seconds <= TICK:
            alarm.timer = self.loop.call_later(seconds, ring)
            return alarm
        self._set.add(alarm)
        if not self._ticking:
            self._ticking = True
            self.loop.call_later(TICK, self._tick)
        return alarm

    def _tick(self) -> None:
        soon = self.loop.time() + TICK
        for alarm in [each for each in self._set if each.at <= soon]:
            self._set.discard(alarm)
            alarm.timer = self.loop.call_at(alarm.at, alarm.ring)
        self._ticking = bool(self._set)
        if self._ticking:
            self.loop.call_later(TICK, self._tick)


class Alarm:
    """One timer. at: when it rings, in seconds of the loop's clock."""

    __slots__ = ("_set", "at", "ring", "timer")

    def __init__(self, others: set[Alarm], at: float, ring: Callable[[], None]) -> None:
        self._set = others
        self.at = at
        self.ring = ring
        self.timer: asyncio.TimerHandle | None = None

    def cancel(self) -> None:
        if self.timer is None:
            self._set.discard(self)
        else:
            self.timer.cancel()
        # Whoever keeps the alarm is freed when its call ends, not when the collector comes round.
        self.ring = _nobody


def _nobody() -> None:
    """Nobody waits for the alarm any more."""


class Deadline:
    """Cancels the task that made it, unless it ends or is renewed in time.

        deadline = Deadline(alarms, seconds)
        try:
            ...
        except asyncio.CancelledError:
            if deadline.missed:
                raise TooLate from None
            raise
        finally:
            deadline.end()

    missed: whether it has cancelled the task.
    """

    __slots__ = ("_alarm", "_alarms", "_seconds", "_task", "missed")

    def __init__(self, alarms: Alarms, seconds: float) -> None:
        self.missed = False
        self._alarms = alarms
        self._seconds = seconds
        self._task = asyncio.current_task(alarms.loop)
        self._alarm = alarms.after(seconds, self._miss)

    def renew(self) -> None:
        """Starts the time anew."""
        self._alarm.cancel()
        self._alarm = self._alarms.after(self._seconds, self._miss)

    def end(self) -> None:
        self._alarm.cancel()
        if self.missed and self._task is not None:
            self._task.uncancel()

    def _miss(self) -> None:
        self.missed = True
        if self._task is not None:
            self._task.cancel()
