"""What LiteLLM logs, without anything of what it works on.

Its debug messages hold prompts, answers, headers and whole requests, some as arguments and some as
part of the message. What stands as text in its code holds nobody's content; so that alone is let
through, with the arguments that are numbers.
"""

from __future__ import annotations

import logging
import sys
from types import FrameType
from typing import Any

from ..redaction import redact

LOGGERS = ("LiteLLM", "LiteLLM Router", "LiteLLM Proxy")
LEFT_OUT = "…"
"""What takes the place of an argument."""

_SHOWN = (int, float, bool, type(None))
_STANDARD = frozenset(vars(logging.makeLogRecord({})))


def configure(*, verbose: bool) -> None:
    """LiteLLM's loggers go through ours, and only when they are asked for."""
    for name in LOGGERS:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
        logger.setLevel(logging.DEBUG if verbose else logging.CRITICAL)
        # LiteLLM's own filters go: they put message and arguments together.
        logger.filters[:] = [_WithoutContent()]


class _WithoutContent(logging.Filter):
    """Drops messages that were made while the program ran, and takes texts out of the others."""

    def filter(self, record: logging.LogRecord) -> bool:
        caller = _caller(record)
        if caller is None or record.msg not in caller.f_code.co_consts:
            return False
        text = " ".join(_filled(str(record.msg), record.args).split())
        record.msg, record.args = f"{record.module}.{record.funcName}: {redact(text)}", None
        record.exc_info = record.exc_text = record.stack_info = None
        for added in vars(record).keys() - _STANDARD:
            delattr(record, added)
        return True


def _caller(record: logging.LogRecord) -> FrameType | None:
    """The frame that logs: filters run inside of the call that does."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_filename == record.pathname and frame.f_lineno == record.lineno:
            return frame
        frame = frame.f_back
    return None


def _filled(message: str, arguments: Any) -> str:
    """A message with its arguments; `logging` unwraps a mapping that is the only one."""
    given = arguments if isinstance(arguments, tuple) else (arguments,)
    if not arguments:
        return message
    try:
        return message % tuple(each if type(each) in _SHOWN else LEFT_OUT for each in given)
    except (TypeError, ValueError):
        return message
