"""The cache of answers: finds what was answered before, and keeps what is answered now.

A failure of the store is a miss, told and counted, and never fails a call. Calls that ask the same
at the same time go to the provider once (`flight.py`). Embeddings are kept text by text.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

from .. import json_text
from ..call import Answer, Call, Usage
from ..dataclass import dataclass
from ..settings.schema import CacheParams
from ..telemetry.metrics import Metrics
from .entry import Entry, unpacked
from .flight import Flight, LeftAlone
from .keys import digest, is_specific
from .stores import Store, StoreFailed

log = logging.getLogger("trunkline.cache")

Ask = Callable[[Call], Awaitable[Answer]]

TTL = 600.0
"""Seconds that an answer is kept where nothing else is configured."""
LARGEST = 16 * 1024 * 1024
"""Bytes of the largest answer that is kept."""
MOST_TEXTS = 2048
"""Of one request for embeddings whose texts are looked up one by one."""
TOLD_EVERY = 10.0
"""Seconds between two log lines about a store that fails."""

CALL_TYPES: Mapping[str, tuple[str, ...]] = {
    "chat": ("completion", "acompletion"),
    "completions": ("text_completion", "atext_completion"),
    "embeddings": ("embedding", "aembedding"),
    "rerank": ("rerank", "arerank"),
    "responses": ("responses", "aresponses"),
    "messages": ("anthropic_messages", "aanthropic_messages"),
    "generate_content": ("generate_content", "agenerate_content"),
    "stream_generate_content": ("generate_content_stream", "agenerate_content_stream"),
}
"""Operations whose answers can be kept, by what LiteLLM's `supported_call_types` calls them."""

_CONTENT_TYPE = "content-type"
_JSON = "application/json"


@dataclass(frozen=True, slots=True)
class _Plan:
    """How a call is cached. prefix: of its keys."""

    prefix: str
    key: str
    ttl: float


class Answers:
    """params: `cache_params`. specific: whether calls with parameters of single providers are
    cached; their answers depend on what isn't compared otherwise.
    """

    def __init__(
        self,
        store: Store,
        params: CacheParams,
        metrics: Metrics,
        *,
        specific: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.store = store
        self.namespace = params.namespace
        self.scope = params.scope
        self._metrics = metrics
        self._specific = specific
        self._only_wanted = params.mode == "default_off"
        wanted = params.supported_call_types
        self._operations = frozenset(
            name
            for name, types in CALL_TYPES.items()
            if wanted is None or not set(types).isdisjoint(wanted)
        )
        own = params.default_in_redis_ttl if store.kind == "redis" else params.default_in_memory_ttl
        self._ttl = params.ttl or own or TTL
        self._clock = clock
        self._flights: dict[str, Flight] = {}
        self._told = -TOLD_EVERY

    async def answer(self, call: Call, ask: Ask) -> Answer:
        """The answer that is kept, or else the one that `ask` gets. Raises what that raises."""
        plan = self._plan(call)
        if plan is None:
            return await ask(call)
        if call.operation.name == "embeddings" and _texts(call):
            return await self._embeddings(call, plan, ask)
        call.cache_key = plan.key
        if not call.caching.read:
            return await self._fly(call, plan, ask)
        found = await self._found(call, [plan.key])
        if found[0] is not None:
            return self._again(call, found[0])
        flight = self._flights.get(plan.key)
        if flight is not None:
            try:
                answer = await flight.join()
            except LeftAlone:
                pass
            else:
                call.cached = "shared"
                return answer
        return await self._fly(call, plan, ask)

    def _plan(self, call: Call) -> _Plan | None:
        """None for a call that isn't cached."""
        caching = call.caching
        if (
            call.operation.name not in self._operations
            or not (caching.read or caching.write)
            or (self._only_wanted and not caching.wanted)
            or (not self._specific and is_specific(call))
            or (call.operation.stateful and call.body.get("store") is not False)
        ):
            return None
        key = digest(call, call.caller)
        if key is None:
            return None
        prefix = f"{self.namespace}:"
        ttl = self._ttl if caching.ttl is None else caching.ttl
        return _Plan(prefix, prefix + key, ttl)

    # Finding

    async def _found(self, call: Call, keys: list[str]) -> list[Entry | None]:
        """What is kept and young enough."""
        try:
            held = await self.store.get(keys)
        except StoreFailed as error:
            self._failed(error)
            return [None] * len(keys)
        now, most = self._clock(), call.caching.max_age
        entries = [unpacked(each) if each is not None else None for each in held]
        return [
            each if each is not None and (most is None or now - each.created <= most) else None
            for each in entries
        ]

    def _again(self, call: Call, entry: Entry) -> Answer:
        call.cached = "hit"
        call.usage = entry.usage
        self._metrics.cache_hit(entry.group, entry.usage.total_tokens)
        headers = [(_CONTENT_TYPE, entry.content_type)]
        if entry.streamed:
            return Answer(entry.status, headers, chunks=_replayed(entry.chunks))
        return Answer(entry.status, headers, entry.body)

    # Asking

    async def _fly(self, call: Call, plan: _Plan, ask: Ask) -> Answer:
        """Asks, keeps the answer, and lets others join meanwhile."""

        async def keep(answer: Answer, chunks: list[bytes]) -> None:
            self._metrics.cache_missed(_group(call))
            if call.fallbacks or not call.caching.write:
                return  # what another model answered isn't what was asked for
            entry = Entry(
                answer.status,
                dict(answer.headers).get(_CONTENT_TYPE, _JSON),
                tuple(chunks),
                answer.chunks is not None,
                self._clock(),
                call.usage,
                _group(call),
            )
            await self._keep([(plan.key, entry)], plan.ttl)

        flight = Flight(ask(call), keep, LARGEST)
        if call.caching.read:
            self._flights.setdefault(plan.key, flight)
            flight.landed(lambda: self._land(plan.key, flight))
        return await flight.lead()

    def _land(self, key: str, flight: Flight) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]

    async def _keep(self, entries: list[tuple[str, Entry]], ttl: float) -> None:
        values = [(key, entry.packed()) for key, entry in entries]
        values = [(key, value) for key, value in values if len(value) <= LARGEST]
        if values and ttl > 0:
            try:
                await self.store.put(values, ttl)
            except StoreFailed as error:
                self._failed(error)

    def _failed(self, error: StoreFailed) -> None:
        self._metrics.cache_failed(self.store.kind)
        now = time.monotonic()
        if now - self._told >= TOLD_EVERY:
            self._told = now
            log.warning("answers can't be cached: %s", error)

    # Embeddings, text by text

    async def _embeddings(self, call: Call, plan: _Plan, ask: Ask) -> Answer:
        texts: list[str] = call.body["input"]
        keys = []
        for text in texts:
            key = digest(call, call.caller, {**call.body, "input": [text]})
            keys.append(f"{plan.prefix}{key}")
        found = await self._found(call, keys) if call.caching.read else [None] * len(keys)
        rows = [_decoded(entry) for entry in found]
        missing = [place for place, row in enumerate(rows) if row is None]
        call.cache_key = keys[0] if len(keys) == 1 else ""
        if not missing:
            call.cached = "hit"
            groups = {entry.group for entry in found if entry is not None}
            self._metrics.cache_hit(groups.pop(), 0)
            return _merged(rows, {"object": "list", "model": _model(found[0])})
        asked = replace(
            call, body={**call.body, "input": [texts[place] for place in missing]}, raw=b""
        )
        try:
            answer = await ask(asked)
        finally:
            call.usage, call.waited = asked.usage, asked.waited
            call.fallbacks, call.decision = asked.fallbacks, asked.decision
        whole = _answered(answer, len(missing))
        if whole is None:
            # Not as OpenAI answers. What was asked for was all, unless some were found.
            return answer if len(missing) == len(texts) else await ask(call)
        group = _group(asked)
        self._metrics.cache_missed(group)
        for place, row in zip(missing, whole["data"], strict=True):
            rows[place] = row
        if call.caching.write and not call.fallbacks:
            now = self._clock()
            model = whole.get("model")
            entries = [
                (keys[place], _entry_of_row(rows[place], model, now, group)) for place in missing
            ]
            await self._keep(entries, plan.ttl)
        return _merged(rows, whole)

    async def close(self) -> None:
        flights = [flight.task for flight in self._flights.values()]
        for task in flights:
            task.cancel()
        await asyncio.gather(*flights, return_exceptions=True)
        await self.store.close()


async def _replayed(chunks: tuple[bytes, ...]) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


def _texts(call: Call) -> bool:
    """Whether a request for embeddings is one of several texts that can be told apart."""
    given = call.body.get("input")
    return (
        isinstance(given, list)
        and 1 <= len(given) <= MOST_TEXTS
        and all(isinstance(each, str) for each in given)
    )


def _answered(answer: Answer, count: int) -> dict[str, Any] | None:
    """The object of an answer that has an embedding for each text, in their order."""
    try:
        whole: dict[str, Any] = json_text.loads(answer.body)
        rows = sorted(whole["data"], key=lambda row: int(row["index"]))
    except (KeyError, TypeError, ValueError):
        return None
    if [row["index"] for row in rows] != list(range(count)):
        return None
    return {**whole, "data": rows}


def _group(call: Call) -> str:
    """The group that answered, as the configuration names it."""
    return call.attempts[-1].deployment.group if call.attempts else ""


def _entry_of_row(row: Mapping[str, Any] | None, model: Any, now: float, group: str) -> Entry:
    body = json_text.dumps({"row": row, "model": model})
    return Entry(200, _JSON, (body,), False, now, Usage(), group)


def _decoded(entry: Entry | None) -> dict[str, Any] | None:
    if entry is None:
        return None
    row: dict[str, Any] = json_text.loads(entry.body)["row"]
    return row


def _model(entry: Entry | None) -> Any:
    """What the provider called itself when it gave a row."""
    return json_text.loads(entry.body)["model"] if entry is not None else None


def _merged(rows: list[dict[str, Any] | None], whole: Mapping[str, Any]) -> Answer:
    """An answer of all rows, numbered anew. What was found is in no usage: it costs nothing."""
    data = [{**row, "index": place} for place, row in enumerate(rows) if row is not None]
    usage = whole.get("usage") or {"prompt_tokens": 0, "total_tokens": 0}
    body = json_text.dumps({**whole, "data": data, "usage": usage})
    return Answer(200, [(_CONTENT_TYPE, _JSON)], body)
