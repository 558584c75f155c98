"""The Realtime API: the WebSocket, and the HTTP calls that hand out secrets for it.

Clients of the beta (`OpenAI-Beta: realtime=v1`) get its event names. Source: the API reference of
Realtime's client and server events.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson
from aiohttp import WSMsgType, web

from ..model import Ask, arguments_of, offered, speak
from ..reply import EndWith, Exchange, Reply, ok
from ..script import halves, pieces, text_of, tokens_of
from .objects import Object

Event = tuple[str, Object]

_BETA_NAMES = {
    "response.output_text.delta": "response.text.delta",
    "response.output_text.done": "response.text.done",
    "conversation.item.added": "conversation.item.created",
}
_SERVER_ERROR = {
    "type": "server_error",
    "code": None,
    "message": "The server had an error while processing your request",
    "param": None,
    "event_id": None,
}


async def connect(x: Exchange) -> web.WebSocketResponse:
    socket = web.WebSocketResponse(protocols=("realtime",), heartbeat=None)
    await socket.prepare(x.request)
    x.recorded.status = 101
    beta = "realtime=v1" in x.recorded.headers.get("openai-beta", "")
    talk = _Conversation(x, socket, beta, _session(x, _model(x), beta=beta))
    try:
        await talk.run()
    except EndWith:
        await talk.write("error", {"error": _SERVER_ERROR})
        await socket.close(code=1011)
    return socket


def _model(x: Exchange) -> str:
    return x.recorded.parameter("model") or x.recorded.parameter("deployment")


def _session(x: Exchange, model: str, *, beta: bool = False) -> Object:
    session: Object = {
        "id": x.provider.new_id("sess_", 21),
        "object": "realtime.session",
        "model": model,
        "instructions": "",
        "tools": [],
        "tool_choice": "auto",
        "expires_at": int(time.time()) + 3600,
    }
    if beta:
        return session | {
            "modalities": ["text", "audio"],
            "voice": "alloy",
            "input_audio_format": "pcm16",
            "output_audio_format": "pcm16",
            "temperature": 0.8,
            "max_response_output_tokens": "inf",
        }
    pcm = {"type": "audio/pcm", "rate": 24_000}
    return session | {
        "type": "realtime",
        "output_modalities": ["audio"],
        "max_output_tokens": "inf",
        "truncation": "auto",
        "audio": {
            "input": {"format": pcm, "transcription": None, "turn_detection": None},
            "output": {"format": pcm, "voice": "alloy", "speed": 1.0},
        },
    }


@dataclass(slots=True)
class _Conversation:
    x: Exchange
    socket: web.WebSocketResponse
    beta: bool
    session: Object
    items: list[Object] = field(default_factory=list)

    async def run(self) -> None:
        if not self.session["model"]:
            error = _refusal("You must provide a model parameter.", "missing_model", None)
            await self.send("error", {"error": error})
            await self.socket.close(code=4000, message=b"invalid_request_error.missing_model")
            return
        await self.send("session.created", {"session": self.session})
        async for message in self.socket:
            if message.type == WSMsgType.TEXT:
                asked = orjson.loads(message.data)
                self.x.recorded.received.append(asked)
                for kind, data in self.answer(asked):
                    await self.send(kind, data)
                    await asyncio.sleep(self.x.provider.delay_between_chunks)

    async def send(self, kind: str, data: Object) -> None:
        for fault in self.x.faults:
            await fault.between(self.x, self.x.recorded.chunks_sent)
        await self.write(kind, data)

    async def write(self, kind: str, data: Object) -> None:
        name = _BETA_NAMES.get(kind, kind) if self.beta else kind
        event = {"type": name, "event_id": self.x.provider.new_id("event_", 21)} | data
        await self.socket.send_str(orjson.dumps(event).decode())
        self.x.recorded.sent.append(event)
        self.x.recorded.chunks_sent += 1

    def answer(self, asked: Object) -> Iterator[Event]:
        known = {
            "session.update": self._update,
            "conversation.item.create": self._create_item,
            "conversation.item.retrieve": self._retrieve_item,
            "conversation.item.delete": self._delete_item,
            "input_audio_buffer.append": lambda asked: iter(()),
            "input_audio_buffer.commit": self._commit_audio,
            "input_audio_buffer.clear": lambda asked: iter([("input_audio_buffer.cleared", {})]),
            "response.create": self._respond,
            "response.cancel": self._cancel,
        }
        handler: Any = known.get(asked.get("type", ""))
        if handler is not None:
            return handler(asked)
        message = f"Invalid value: '{asked.get('type')}'. Supported values are: {', '.join(known)}."
        error = _refusal(message, "invalid_value", asked.get("event_id"), param="type")
        return iter([("error", {"error": error})])

    def _update(self, asked: Object) -> Iterator[Event]:
        self.session.update(asked.get("session") or {})
        yield "session.updated", {"session": self.session}

    def _add(self, item: Object) -> Iterator[Event]:
        before = self.items[-1]["id"] if self.items else None
        self.items.append(item)
        yield "conversation.item.added", {"previous_item_id": before, "item": item}
        if not self.beta:
            yield "conversation.item.done", {"previous_item_id": before, "item": item}

    def _create_item(self, asked: Object) -> Iterator[Event]:
        known = {"id": self.x.provider.new_id("item_", 21), "object": "realtime.item"}
        yield from self._add(known | {"status": "completed"} | asked["item"])

    def _retrieve_item(self, asked: Object) -> Iterator[Event]:
        for item in self.items:
            if item["id"] == asked.get("item_id"):
                yield "conversation.item.retrieved", {"item": item}

    def _delete_item(self, asked: Object) -> Iterator[Event]:
        wanted = asked.get("item_id")
        self.items = [item for item in self.items if item["id"] != wanted]
        yield "conversation.item.deleted", {"item_id": wanted}

    def _commit_audio(self, asked: Object) -> Iterator[Event]:
        before = self.items[-1]["id"] if self.items else None
        item = {
            "id": self.x.provider.new_id("item_", 21),
            "object": "realtime.item",
            "type": "message",
            "status": "completed",
            "role": "user",
            "content": [{"type": "input_audio", "transcript": None}],
        }
        place = {"previous_item_id": before, "item_id": item["id"]}
        yield "input_audio_buffer.committed", place
        yield from self._add(item)

    def _cancel(self, asked: Object) -> Iterator[Event]:
        message = "Cancellation failed: no active response found"
        error = _refusal(message, "response_cancel_not_active", asked.get("event_id"))
        yield "error", {"error": error}

    def _respond(self, asked: Object) -> Iterator[Event]:
        config = asked.get("response") or {}
        said = [item for item in self.items if item.get("role") == "user" or "output" in item]
        heard = said[-1] if said else {}
        ask = Ask(
            heard=heard.get("output") or text_of(heard.get("content")),
            input_tokens=sum(tokens_of(item.get("content") or "") for item in self.items),
            tools=() if "output" in heard else _tools(self.session | config),
        )
        content = speak(self.x.script, ask)
        response: Object = {
            "id": self.x.provider.new_id("resp_", 21),
            "object": "realtime.response",
            "status": "in_progress",
            "status_details": None,
            "output": [],
            "conversation_id": "conv_fake",
            "output_modalities": ["text"],
            "max_output_tokens": "inf",
            "metadata": config.get("metadata"),
            "usage": None,
        }
        yield "response.created", {"response": response}
        output = []
        if content.tool_calls:
            for index, call in enumerate(content.tool_calls):
                item = self._item("function_call") | {
                    "call_id": call.id or self.x.provider.new_id("call_", 16),
                    "name": call.name,
                    "arguments": arguments_of(call),
                }
                output.append(item)
                yield from self._said(response, index, item)
        else:
            spoken = {"type": "text" if self.beta else "output_text", "text": content.text}
            item = self._item("message") | {"role": "assistant", "content": [spoken]}
            output.append(item)
            yield from self._said(response, 0, item)
        usage = _usage(content.input_tokens, content.output_tokens, content.cached_tokens)
        done = response | {"status": "completed", "output": output, "usage": usage}
        yield "response.done", {"response": done}
        limits = {"name": "requests", "limit": 1000, "remaining": 999, "reset_seconds": 60.0}
        yield "rate_limits.updated", {"rate_limits": [limits]}

    def _item(self, kind: str) -> Object:
        return {
            "id": self.x.provider.new_id("item_", 21),
            "object": "realtime.item",
            "type": kind,
            "status": "completed",
        }

    def _said(self, response: Object, index: int, item: Object) -> Iterator[Event]:
        here = {"response_id": response["id"], "output_index": index}
        place = here | {"item_id": item["id"]}
        hollow = {"content": []} if item["type"] == "message" else {"arguments": ""}
        opened = item | {"status": "in_progress"} | hollow
        yield "response.output_item.added", here | {"item": opened}
        yield from self._add(item)
        if item["type"] == "message":
            yield from _text_events(place | {"content_index": 0}, item["content"][0]["text"])
        else:
            name = "response.function_call_arguments"
            for half in halves(item["arguments"]):
                yield f"{name}.delta", place | {"call_id": item["call_id"], "delta": half}
            whole = {"name": item["name"], "arguments": item["arguments"]}
            yield f"{name}.done", place | {"call_id": item["call_id"]} | whole
        yield "response.output_item.done", here | {"item": item}


def _text_events(place: Object, text: str) -> Iterator[Event]:
    yield "response.content_part.added", place | {"part": {"type": "text", "text": ""}}
    for piece in pieces(text):
        yield "response.output_text.delta", place | {"delta": piece}
    yield "response.output_text.done", place | {"text": text}
    yield "response.content_part.done", place | {"part": {"type": "text", "text": text}}


def _tools(config: Object) -> tuple[tuple[str, Object], ...]:
    if config.get("tool_choice") == "none":
        return ()
    tools = config.get("tools") or ()
    return offered((tool["name"], tool.get("parameters") or {}) for tool in tools)


def _usage(read: int, written: int, cached: int) -> Object:
    return {
        "total_tokens": read + written,
        "input_tokens": read,
        "output_tokens": written,
        "input_token_details": {"text_tokens": read, "audio_tokens": 0, "cached_tokens": cached},
        "output_token_details": {"text_tokens": written, "audio_tokens": 0},
    }


def _refusal(message: str, code: str, event_id: str | None, param: str | None = None) -> Object:
    return {
        "type": "invalid_request_error",
        "code": code,
        "message": message,
        "param": param,
        "event_id": event_id,
    }


def _secret(x: Exchange) -> str:
    """A client's key for the WebSocket, accepted from now on."""
    secret = x.provider.new_id("ek_", 32)
    if x.provider.keys is not None:
        x.provider.keys.add(secret)
    return secret


def _client_secrets(x: Exchange) -> Reply:
    asked = x.json.get("session") or {}
    session = _session(x, asked.get("model") or "gpt-realtime") | asked
    expires = int(time.time()) + 600
    return ok({"value": _secret(x), "expires_at": expires, "session": session})


def _beta_session(x: Exchange) -> Reply:
    asked = x.json if x.recorded.body else {}
    session = _session(x, asked.get("model") or "gpt-realtime", beta=True) | asked
    expires = int(time.time()) + 60
    return ok(session | {"client_secret": {"value": _secret(x), "expires_at": expires}})


def _call(x: Exchange) -> Reply:
    """An SDP answer to a WebRTC offer; no media flows."""
    call = x.provider.new_id("rtc_", 24)
    answer = b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=fake\r\nt=0 0\r\n"
    location = {"Location": f"/v1/realtime/calls/{call}"}
    return Reply(201, answer, "application/sdp", location)


ROUTES = [
    ("GET", "/realtime", connect),
    ("POST", "/realtime/client_secrets", _client_secrets),
    ("POST", "/realtime/sessions", _beta_session),
    ("POST", "/realtime/transcription_sessions", _beta_session),
    ("POST", "/realtime/calls", _call),
]
