"""The binary framing of `application/vnd.amazon.eventstream`.

A message is: total length, length of headers, CRC32 of those eight bytes; the headers; the
payload; CRC32 of all before it. Numbers are big-endian, 32 bits. A header is its name (one byte of
length), the type of its value (7: a string) and the value (two bytes of length).
Source: Amazon Transcribe's developer guide, event stream encoding.
"""

from __future__ import annotations

import binascii
import struct
from typing import Any

import orjson

CONTENT_TYPE = "application/vnd.amazon.eventstream"
_STRING = 7


def frame(headers: dict[str, str], payload: bytes) -> bytes:
    encoded = b"".join(_header(name, value) for name, value in headers.items())
    prelude = struct.pack("!II", 16 + len(encoded) + len(payload), len(encoded))
    message = prelude + struct.pack("!I", binascii.crc32(prelude)) + encoded + payload
    return message + struct.pack("!I", binascii.crc32(message))


def event(kind: str, data: Any) -> bytes:
    return raw_event(kind, orjson.dumps(data))


def raw_event(kind: str, payload: bytes) -> bytes:
    headers = {
        ":event-type": kind,
        ":content-type": "application/json",
        ":message-type": "event",
    }
    return frame(headers, payload)


def exception(kind: str, message: str) -> bytes:
    headers = {
        ":exception-type": kind,
        ":content-type": "application/json",
        ":message-type": "exception",
    }
    return frame(headers, orjson.dumps({"message": message}))


def _header(name: str, value: str) -> bytes:
    key, text = name.encode(), value.encode()
    return struct.pack("!B", len(key)) + key + struct.pack("!BH", _STRING, len(text)) + text
