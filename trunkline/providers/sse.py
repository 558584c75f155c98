"""Server-sent events: whole frames out of arriving bytes, and what a stream says of itself.

A stream is forwarded frame for frame as it came. Only two things are looked for: the usage, and
whether the provider finished or just stopped. Both are found by substring first; JSON is decoded
only in the few frames that can hold them.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import orjson

from ..call import Usage
from ..dataclass import dataclass
from ..errors import ProviderError
from . import failures
from .usage import UsageReader

LARGEST_FRAME = 32 * 1024 * 1024
"""Bytes; images come as one frame of base64."""


class FrameBuffer:
    """Collects bytes and gives out all frames that are complete, still joined."""

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, data: bytes) -> bytes:
        held = self._held
        if not held:
            end = _end(data)
            if end == len(data):
                return data
            self._hold(data[end:])
            return data[:end]
        # Only what is new is looked through: a large frame comes in thousands of pieces.
        edge = bytes(held[-3:])
        end = _end(edge + data) - len(edge)
        if end <= 0:
            self._hold(data)
            return b""
        held += data[:end]
        whole = bytes(held)
        held.clear()
        self._hold(data[end:])
        return whole

    def _hold(self, data: bytes) -> None:
        self._held += data
        if len(self._held) > LARGEST_FRAME:
            raise failures.malformed("an event of the stream is too large")

    def flush(self) -> bytes:
        """What is left after the last byte: a frame that lacks its closing blank line."""
        rest = bytes(self._held)
        self._held.clear()
        return rest + b"\n\n" if rest.strip() else b""


def _end(data: bytes) -> int:
    """Where the last complete frame ends; 0 where there is none."""
    end = data.rfind(b"\n\n") + 2
    crlf = data.rfind(b"\r\n\r\n") + 4
    if crlf > 3 and crlf > end:
        return crlf
    return end if end > 1 else 0


_BLANK_LINES = re.compile(rb"(?<=\n\n)|(?<=\r\n\r\n)")


def split(frames: bytes) -> list[bytes]:
    """Single frames, each with its closing blank line."""
    return [frame for frame in _BLANK_LINES.split(frames) if frame.strip()]


def data_of(frame: bytes) -> bytes:
    """The payload of a frame's `data:` lines."""
    lines = [line[5:].strip() for line in frame.splitlines() if line.startswith(b"data:")]
    return lines[0] if len(lines) == 1 else b"\n".join(lines)


@dataclass(frozen=True, slots=True)
class Dialect:
    """What a wire's streams look like.

    A quotation mark inside a JSON string is always escaped, and so is a line break: a pattern that
    holds one can't be met by what a model wrote.

    finish: found in the frame with which the provider says that it is done.
    usage: bytes without which a frame can't hold usage.
    closing: frame that ends every stream; empty where there is none.
    """

    finish: re.Pattern[bytes]
    usage: bytes
    closing: bytes = b""


_ERROR_EVENT = re.compile(rb"(?:^|\n)event: ?error\r?\n")
_DONE = re.compile(rb"(?:^|\n)data: ?\[DONE\]")
_DIALECTS = {
    "openai": Dialect(
        re.compile(rb'"finish_reason" ?: ?"|(?:^|\n)data: ?\[DONE\]'),
        b'"usage"',
        b"data: [DONE]\n\n",
    ),
    "responses": Dialect(
        re.compile(rb'"type" ?: ?"response\.(?:completed|failed|incomplete)"'), b'"usage"'
    ),
    "anthropic": Dialect(re.compile(rb'"type" ?: ?"message_stop"'), b'"usage"'),
    "media": Dialect(
        re.compile(
            rb'"type" ?: ?"(?:image_\w+\.completed|speech\.audio\.done|transcript\.text\.done)"'
            rb"|(?:^|\n)data: ?\[DONE\]"
        ),
        b'"usage"',
    ),
    "runs": Dialect(_DONE, b'"usage"'),
    "google": Dialect(re.compile(rb'"(?:finishReason|blockReason)" ?: ?"'), b'"usageMetadata"'),
    "none": Dialect(re.compile(rb"(?:^|\n)data:"), b'"usage"'),
}


class StreamWatcher:
    """Looks at the frames on their way through.

    kind: the operation's usage reader (`Operation.usage`).
    hide_usage: take out the usage that was asked for on the client's behalf.
    classify: the error that the payload of an error event reports.

    failure: set when the provider said that it failed; nothing after that matters.
    """

    def __init__(
        self,
        kind: str,
        usage: Usage,
        *,
        hide_usage: bool,
        classify: Callable[[bytes], ProviderError],
    ) -> None:
        self._classify = classify
        self._dialect = _DIALECTS[kind]
        self._reader = UsageReader(kind, usage)
        self._hide_usage = hide_usage
        self._closed = False
        self.finished = False
        self.failure: ProviderError | None = None

    def see(self, frames: bytes) -> bytes:
        """Frames as they go to the client, up to an error event."""
        dialect = self._dialect
        if b"error" in frames:
            frames = self._up_to_error(frames)
        if not self.finished and dialect.finish.search(frames):
            self.finished = True
        if self.finished and dialect.closing and _DONE.search(frames):
            self._closed = True
        if dialect.usage not in frames:
            return frames
        if self._hide_usage:
            frames = frames.replace(b',"usage":null', b"").replace(b', "usage": null', b"")
            if dialect.usage not in frames:
                return frames
        return b"".join(map(self._read_usage, split(frames)))

    def closing(self) -> bytes:
        """What must follow a finished stream that lacks its closing frame.

        Raises ProviderError when the provider stopped before it had finished.
        """
        if not self.finished:
            raise failures.cut("the stream ended before the provider had finished")
        return b"" if self._closed else self._dialect.closing

    def _up_to_error(self, frames: bytes) -> bytes:
        whole = split(frames)
        at = next((index for index, frame in enumerate(whole) if _reports_error(frame)), None)
        if at is None:
            return frames
        self.failure = self._classify(data_of(whole[at]))
        return b"".join(whole[:at])

    def _read_usage(self, frame: bytes) -> bytes:
        if self._dialect.usage not in frame:
            return frame
        payload = data_of(frame)
        self._reader.feed(payload)
        if self._hide_usage and (b'"choices":[]' in payload or b'"choices": []' in payload):
            return b""
        return frame


def _reports_error(frame: bytes) -> bool:
    """Whether a frame is an error event, or a chunk that holds an error beside its other fields."""
    if _ERROR_EVENT.search(frame):
        return True
    if b'"error"' not in frame:
        return False
    try:
        payload = orjson.loads(data_of(frame))
    except orjson.JSONDecodeError:
        return False
    return isinstance(payload, dict) and bool(
        payload.get("error") or payload.get("object") == "error"
    )
