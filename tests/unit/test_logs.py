"""What happens on every call is written a few lines at a time: none is lost, late or torn."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import logging
from collections.abc import Iterator

import pytest

from trunkline.telemetry import logs

log = logging.getLogger("trunkline.routing")
SECRET = "a-secret-of-the-configuration"


class Written(io.StringIO):
    """Standard error that keeps what each write held."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[str] = []

    def write(self, text: str) -> int:
        self.writes.append(text)
        return super().write(text)


@pytest.fixture
def written() -> Iterator[Written]:
    """Where this process's logs go, and nowhere else."""
    root, levels = logging.getLogger(), {"": logging.root.level, "trunkline": logging.NOTSET}
    before, stream = root.handlers[:], Written()
    yield stream
    logging.captureWarnings(False)
    root.handlers[:] = before
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


def configure(written: Written, *, as_json: bool = False) -> None:
    with contextlib.redirect_stderr(written):
        logs.configure(verbose=False, as_json=as_json, secrets=[SECRET])


def lines(written: Written) -> list[str]:
    return written.getvalue().splitlines()


@pytest.mark.parametrize("as_json", [False, True])
def test_an_event_is_written_as_any_other_line_is(written: Written, as_json: bool):
    configure(written, as_json=as_json)
    fields = {"call_id": "abc", "score": 0.5, "label": f"of {SECRET}"}

    logs.tell(log, "routed", fields)
    log.handle(logs.Event(log.name, "routed", fields))
    log.info("routed", extra=fields)

    found = lines(written)
    if as_json:
        told = [json.loads(line) for line in found]
        assert [line.pop("time")[-6:] for line in told] == ["+00:00"] * 3
        assert told[0]["score"] == 0.5
    else:
        told = [line.split(" ", 1)[1] for line in found]
    assert told[0] == told[1] == told[2]
    assert SECRET not in written.getvalue()


def test_events_come_in_their_order_and_before_any_later_line(written: Written):
    async def work() -> None:
        before = lines(written)
        logs.tell(log, "first", {})
        logs.tell(log, "second", {})
        assert lines(written) == before
        log.warning("third")
        logs.tell(log, "fourth", {})
        await asyncio.sleep(2 * logs.WRITTEN_AFTER)
        assert lines(written)[-1].endswith("fourth")
        logs.tell(log, "fifth", {})

    configure(written)
    asyncio.run(work())
    asyncio.run(work())  # of a loop that ended, nothing is waited for
    logging.root.handlers[0].flush()

    said = [line.split(": ")[1] for line in lines(written)]
    assert said == ["first", "second", "third", "fourth", "fifth"] * 2


def test_without_a_loop_an_event_is_written_at_once(written: Written):
    configure(written)
    logs.tell(log, "told", {})
    assert len(lines(written)) == 1


def test_a_write_holds_whole_lines_that_a_pipe_takes_as_one(written: Written):
    async def work() -> None:
        for number in range(200):
            logs.tell(log, "told", {"number": number, "text": "é" * (number % 50)})
        logs.tell(log, "long", {"text": "x" * 2 * logs.AT_ONCE})

    configure(written)
    asyncio.run(work())
    logging.root.handlers[0].flush()

    assert len(lines(written)) == 201
    assert all(write.endswith("\n") for write in written.writes)
    assert all(len(write.encode()) <= logs.AT_ONCE for write in written.writes[:-1])
    assert len(written.writes) < 20


def test_where_somebody_else_listens_too_an_event_is_a_record(written: Written, caplog):
    configure(written)
    logging.root.addHandler(caplog.handler)
    logs.tell(log, "routed", {"call_id": "abc"})
    assert [record.fields for record in caplog.records] == [{"call_id": "abc"}]
    assert len(lines(written)) == 1
