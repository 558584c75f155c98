"""What the server's main process waits for."""

from __future__ import annotations

import sys
import threading
from types import FrameType
from typing import Any

from trunkline.server import Interrupt


def test_a_second_signal_may_come_at_any_point_of_handling_the_first():
    interrupt = Interrupt()
    ended = threading.Event()

    def second(_frame: FrameType, _event: str, _argument: Any):
        interrupt.set()  # as a signal handler would, between any two lines
        return second

    def handle() -> None:
        sys.settrace(second)
        interrupt.set()
        interrupt.wait()
        sys.settrace(None)
        ended.set()

    threading.Thread(target=handle, daemon=True).start()
    assert ended.wait(10)


def test_it_waits_again_once_it_was_cleared():
    interrupt = Interrupt()
    for _ in range(2):
        interrupt.set()
    interrupt.wait()
    interrupt.clear()
    ended = threading.Event()

    def handle() -> None:
        interrupt.wait()
        ended.set()

    threading.Thread(target=handle, daemon=True).start()
    assert not ended.wait(0.1)
    interrupt.set()
    assert ended.wait(10)
