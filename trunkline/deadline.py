"""A time limit on the current task, for the path where `asyncio.timeout` costs too much."""

from __future__ import annotations

import asyncio


class Deadline:
    """Cancels the task that made it, unless it ends or is renewed in time.

        deadline = Deadline(seconds)
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

    __slots__ = ("_loop", "_seconds", "_task", "_timer", "missed")

    def __init__(self, seconds: float) -> None:
        self.missed = False
        self._seconds = seconds
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()
        self._timer = self._loop.call_later(seconds, self._miss)

    def renew(self) -> None:
        """Starts the time anew."""
        self._timer.cancel()
        self._timer = self._loop.call_later(self._seconds, self._miss)

    def end(self) -> None:
        self._timer.cancel()
        if self.missed and self._task is not None:
            self._task.uncancel()

    def _miss(self) -> None:
        self.missed = True
        if self._task is not None:
            self._task.cancel()
