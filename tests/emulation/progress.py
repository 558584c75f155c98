"""Steps, told one by one on standard output, with how long each took."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field


def until(condition: Callable[[], object], what: str, seconds: float = 90.0) -> None:
    """Returns once the condition holds. Raises AssertionError with `what`, and what it last was."""
    deadline = time.monotonic() + seconds
    while not (last := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:.0f} s: {what} ({last!r})")
        time.sleep(0.1)


@dataclass
class Progress:
    """done: the steps that happened. began: seconds of the monotonic clock."""

    began: float = field(default_factory=time.monotonic)
    done: list[str] = field(default_factory=list)

    def step(self, what: str, do: Callable[[], str | None]) -> None:
        """Does it and says so, with the text that it gives. Raises whatever it raises."""
        begun = time.monotonic()
        try:
            given = do()
        except BaseException:
            self._say("FAILED", begun, what)
            raise
        self.done.append(what)
        self._say("ok", begun, f"{what}: {given}" if isinstance(given, str) else what)

    def _say(self, how: str, begun: float, what: str) -> None:
        now = time.monotonic()
        print(f"{now - self.began:6.1f} s  {how:6}  {now - begun:5.1f} s  {what}", flush=True)
