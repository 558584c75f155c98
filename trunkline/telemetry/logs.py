"""Logs: one line an event on standard error, as text or as JSON, with every secret taken out."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, TextIO

from .. import json_text
from ..redaction import PLACEHOLDER, forms_of, redact

SHORTEST_HIDDEN = 8
"""Shorter secrets are left in logs: they are words, which stand in any line."""

SPEAKING = ("trunkline", "LiteLLM", "_granian")
"""Beginnings of the names of loggers that may say more than warnings; others log whole requests."""

WRITTEN_AFTER = 0.02
"""Seconds that an event may wait to be written with others."""
AT_ONCE = 4096
"""Bytes that a pipe takes as one (PIPE_BUF in <linux/limits.h>)."""

_TOLD_ANYWAY = ("azure.identity", "botocore.credentials")
"""Loggers that tell, some with a stack, of failures that the caller is told, too."""

_PLAIN = (str, int, float, bool, list, dict, type(None))
_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


def configure(*, verbose: bool, as_json: bool, secrets: Iterable[str] = ()) -> None:
    """Sends the process's logs to standard error.

    verbose: debug messages too. as_json: one JSON object a line instead of text.
    secrets: what no line may hold, beside what none may hold already; what is shaped like a key is
    never shown anyway.
    """
    hidden = forms_of(secret for secret in secrets if len(secret) >= SHORTEST_HIDDEN)
    root = logging.getLogger()
    before = [each.form for each in root.handlers if isinstance(each, _Lines)]
    handler = _Lines(_Form(hidden, _as_json if as_json else _as_text))
    for form in before:
        handler.form.hide(form.hidden)
    handler.addFilter(_is_let_through)
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("trunkline").setLevel(logging.DEBUG if verbose else logging.INFO)
    for name in _TOLD_ANYWAY:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    # Python's warnings show the values that they are about, which may be a caller's prompt.
    logging.captureWarnings(True)
    logging.getLogger("py.warnings").setLevel(logging.ERROR)


def as_json() -> bool:
    """Whether lines are JSON now."""
    return any(
        each.form.shape is _as_json
        for each in logging.getLogger().handlers
        if isinstance(each, _Lines)
    )


def hide(secrets: Iterable[str]) -> None:
    """From now on, no line holds these either."""
    hidden = forms_of(secret for secret in secrets if len(secret) >= SHORTEST_HIDDEN)
    for handler in logging.getLogger().handlers:
        if isinstance(handler.formatter, _Form):
            handler.formatter.hide(hidden)


class Event(logging.LogRecord):
    """What happens on every call: names, numbers and ids, and nothing that a caller wrote.

    It isn't searched for what looks like a key, and nobody looks up which line of the program it
    comes from.
    """

    def __init__(self, logger: str, message: str, fields: Mapping[str, Any]) -> None:
        super().__init__(logger, logging.INFO, "", 0, message, None, None)
        self.fields = fields


def tell(logger: logging.Logger, message: str, fields: Mapping[str, Any]) -> None:
    """Logs an event of one of our loggers. fields: plain values, which may not come from a request.

    Where nobody else listens, the lines of some milliseconds are written together, in their order
    and before any other line. A process that is killed can lose those of the last `WRITTEN_AFTER`
    seconds.
    """
    if not logger.isEnabledFor(logging.INFO):
        return
    handlers = logging.root.handlers
    if len(handlers) == 1 and type(own := handlers[0]) is _Lines and not logger.handlers:
        own.tell(logger.name, message, fields)
    else:
        logger.handle(Event(logger.name, message, fields))


class _Lines(logging.StreamHandler[TextIO]):
    """Standard error, to which events are written a few at a time."""

    def __init__(self, form: _Form) -> None:
        super().__init__(sys.stderr)
        self.setFormatter(form)
        self.form = form
        self._waiting: deque[str] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None
        """Which writes what waits, before long."""

    def tell(self, logger: str, message: str, fields: Mapping[str, Any]) -> None:
        line = self.form.line(time.time(), "info", logger, message, fields, "")
        self._waiting.append(line)
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self.flush()
            return
        if loop is not self._loop:
            self._loop = loop
            loop.call_later(WRITTEN_AFTER, self._write_later)

    def _write_later(self) -> None:
        self._loop = None
        self.flush()

    def emit(self, record: logging.LogRecord) -> None:
        self._write_waiting()
        super().emit(record)

    def flush(self) -> None:
        self._write_waiting()
        super().flush()

    def _write_waiting(self) -> None:
        if not self._waiting:
            return
        self.acquire()
        try:
            while self._waiting:
                self.stream.write(self._next())
                self.stream.flush()
        except Exception:  # noqa: BLE001 - as `emit` does: what can't be told must fail no call
            self.handleError(Event(__name__, "events could not be written", {}))
        finally:
            self.release()

    def _next(self) -> str:
        """Whole lines, so few that no other process's come between them."""
        lines = f"{self._waiting.popleft()}\n"
        size = _bytes(lines)
        while self._waiting and (size := size + _bytes(self._waiting[0]) + 1) <= AT_ONCE:
            lines += f"{self._waiting.popleft()}\n"
        return lines


def _bytes(line: str) -> int:
    return len(line) if line.isascii() else len(line.encode(errors="replace"))


def _is_let_through(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING or record.name.startswith(SPEAKING)


class _Form(logging.Formatter):
    """A line, of which every secret is taken out.

    hidden: the texts to take out. shape: makes the line of the moment, the level, the logger, the
    message, the fields and the stack, if there is one.
    """

    def __init__(self, hidden: Iterable[str], shape: Callable[..., str]) -> None:
        super().__init__()
        self.hidden = tuple(hidden)
        self.shape = shape
        self._latest = -1, ""

    def hide(self, hidden: Iterable[str]) -> None:
        """Takes these texts out too."""
        self.hidden = tuple(sorted({*self.hidden, *hidden}, key=len, reverse=True))

    def format(self, record: logging.LogRecord) -> str:
        stack = self.formatException(record.exc_info) if record.exc_info else ""
        level, message = record.levelname.lower(), record.getMessage()
        line = self.line(record.created, level, record.name, message, _fields(record), stack)
        return line if isinstance(record, Event) else redact(line)

    def line(self, seconds: float, *said: Any) -> str:
        """Without what is hidden. said: what `shape` takes beside the moment."""
        line = self.shape(self._moment(seconds), *said)
        for text in self.hidden:
            line = line.replace(text, PLACEHOLDER)
        return line

    def _moment(self, seconds: float) -> str:
        """In UTC, to the millisecond."""
        second, shown = self._latest
        if int(seconds) != second:
            second = int(seconds)
            shown = datetime.fromtimestamp(second, UTC).isoformat().removesuffix("+00:00")
            self._latest = second, shown
        return f"{shown}.{int(seconds % 1 * 1000):03}+00:00"


def _as_text(
    moment: str, level: str, logger: str, message: str, fields: Mapping[str, Any], stack: str
) -> str:
    told = "".join([f" {name}={value}" for name, value in fields.items()])
    stack = stack and f"\n{stack}"
    return f"{moment} {level:7} {logger}: {message}{told}{stack}"


def _as_json(
    moment: str, level: str, logger: str, message: str, fields: Mapping[str, Any], stack: str
) -> str:
    event = {"time": moment, "level": level, "logger": logger, "message": message, **fields}
    if stack:
        event["stack"] = stack
    return json_text.dumps(event).decode()


def _fields(record: logging.LogRecord) -> Mapping[str, Any]:
    if isinstance(record, Event):
        return record.fields
    return {
        name: value
        for name, value in record.__dict__.items()
        if name not in _STANDARD and isinstance(value, _PLAIN)
    }
