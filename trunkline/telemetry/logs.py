"""Logs: one line an event on standard error, as text or as JSON, with every secret taken out."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from .. import json_text
from ..redaction import PLACEHOLDER, forms_of, redact

SHORTEST_HIDDEN = 8
"""Shorter secrets are left in logs: they are words, which stand in any line."""

SPEAKING = ("trunkline", "LiteLLM", "_granian")
"""Beginnings of the names of loggers that may say more than warnings; others log whole requests."""

_TOLD_ANYWAY = ("azure.identity", "botocore.credentials")
"""Loggers that tell, some with a stack, of failures that the caller is told, too."""

_PLAIN = (str, int, float, bool, list, dict, type(None))
_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


def configure(*, verbose: bool, as_json: bool, secrets: Iterable[str] = ()) -> None:
    """Sends the process's logs to standard error.

    verbose: debug messages too. as_json: one JSON object a line instead of text.
    secrets: what no line may hold; what is shaped like a key is never shown anyway.
    """
    hidden = forms_of(secret for secret in secrets if len(secret) >= SHORTEST_HIDDEN)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json(hidden) if as_json else _Text(hidden))
    handler.addFilter(_is_let_through)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("trunkline").setLevel(logging.DEBUG if verbose else logging.INFO)
    for name in _TOLD_ANYWAY:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    # Python's warnings show the values that they are about, which may be a caller's prompt.
    logging.captureWarnings(True)
    logging.getLogger("py.warnings").setLevel(logging.ERROR)


class Event(logging.LogRecord):
    """What happens on every call: names, numbers and ids, and nothing that a caller wrote.

    It costs a tenth of another line, since it isn't searched for what looks like a key, and since
    nobody looks up which line of the program it comes from.
    """

    def __init__(self, logger: str, message: str, fields: Mapping[str, Any]) -> None:
        super().__init__(logger, logging.INFO, "", 0, message, None, None)
        self.fields = fields


def tell(logger: logging.Logger, message: str, fields: Mapping[str, Any]) -> None:
    """Logs an event. fields: plain values, which may not come from a request."""
    if logger.isEnabledFor(logging.INFO):
        logger.handle(Event(logger.name, message, fields))


def _is_let_through(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING or record.name.startswith(SPEAKING)


class _Redacting(logging.Formatter):
    """hidden: the texts to take out of every line."""

    def __init__(self, hidden: Iterable[str]) -> None:
        super().__init__()
        self._hidden = tuple(hidden)

    def format(self, record: logging.LogRecord) -> str:
        line = self.line(record)
        for text in self._hidden:
            line = line.replace(text, PLACEHOLDER)
        return line if isinstance(record, Event) else redact(line)

    def line(self, record: logging.LogRecord) -> str:
        raise NotImplementedError


class _Text(_Redacting):
    def line(self, record: logging.LogRecord) -> str:
        fields = "".join(f" {name}={value}" for name, value in _fields(record).items())
        line = f"{_time(record)} {record.levelname.lower():7} {record.name}: {record.getMessage()}"
        if record.exc_info:
            fields += "\n" + self.formatException(record.exc_info)
        return line + fields


class _Json(_Redacting):
    def line(self, record: logging.LogRecord) -> str:
        event: dict[str, Any] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_fields(record),
        }
        if record.exc_info:
            event["stack"] = self.formatException(record.exc_info)
        return json_text.dumps(event).decode()


def _fields(record: logging.LogRecord) -> Mapping[str, Any]:
    if isinstance(record, Event):
        return record.fields
    return {
        name: value
        for name, value in record.__dict__.items()
        if name not in _STANDARD and isinstance(value, _PLAIN)
    }


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
