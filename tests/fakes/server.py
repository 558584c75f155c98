"""The HTTP server under every fake: its life, its recording, its queue of faults and answers.

It runs on a thread with a loop of its own, so that tests of any kind can use it:

    with FakeOpenAI() as fake: ...            # synchronous
    async with FakeOpenAI() as fake: ...      # in a coroutine
    fake = FakeOpenAI().start(); fake.stop()  # by hand
"""

from __future__ import annotations

import asyncio
import hashlib
import inspect
import itertools
import threading
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

from aiohttp import web

from .faults import Fault, RateLimitHeaders
from .recorded import Recorded
from .reply import SSE, Cut, Exchange, Refused, Reply, deliver, ok, stream
from .script import Script, Tokens, ToolCall

Handler = Callable[[Exchange], Reply] | Callable[[Exchange], Awaitable[Any]]
Route = tuple[str, str, Handler]
Planned = Fault | tuple[Fault, ...] | None
Predicate = Callable[[Recorded], bool]


@dataclass(slots=True)
class _Plan:
    """Items that meet requests, one each; with `always` they start again at the end."""

    items: deque[Any]
    when: Predicate | None
    always: bool

    def fits(self, recorded: Recorded) -> bool:
        return bool(self.items) and (self.when is None or self.when(recorded))

    def take(self) -> Any:
        item = self.items.popleft()
        if self.always:
            self.items.append(item)
        return item


class FakeProvider:
    """A provider on loopback. `url` is its base, without a slash at the end.

    keys: the credentials that it accepts; None accepts any that is not empty.
    models: the models that it has; None has every model.
    delay_between_chunks: seconds between the pieces of a stream.
    objects: what clients have created (files, batches, threads …), by kind and id.
    """

    name: ClassVar[str] = ""
    stream_type: ClassVar[str] = SSE

    def __init__(
        self,
        *,
        port: int = 0,
        keys: Iterable[str] | None = None,
        models: Iterable[str] | None = None,
        delay_between_chunks: float = 0,
    ) -> None:
        self.port = port
        self.keys = None if keys is None else set(keys)
        self.models = None if models is None else list(models)
        self.delay_between_chunks = delay_between_chunks
        self.requests: list[Recorded] = []
        self.objects: defaultdict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
        self._faults: list[_Plan] = []
        self._answers: list[_Plan] = []
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._runner: web.AppRunner | None = None

    # What a provider says for itself

    def routes(self) -> list[Route]:
        """Method, path in aiohttp's templates, handler."""
        raise NotImplementedError

    def authorize(self, x: Exchange) -> None:
        """Raise `Refused` for a request that lacks an accepted credential."""

    def headers(self, x: Exchange) -> dict[str, str]:
        """Headers that every answer carries."""
        return {}

    def error(self, status: int, message: str = "") -> Reply:
        """The provider's error body for a status."""
        raise NotImplementedError

    def failure(self, name: str, x: Exchange) -> Reply:
        """The provider's answer to a known failure; the names stand in `faults`."""
        raise NotImplementedError

    def error_event(self, x: Exchange) -> bytes:
        """How the provider says in the middle of a stream that it failed."""
        raise NotImplementedError

    def malformed_event(self, x: Exchange) -> bytes:
        return b'data: {"id": "broken\n\n'

    def adapt(self, x: Exchange, reply: Reply) -> Reply:
        """The last word on an answer, error or not."""
        return reply

    def rate_limits(self, figures: RateLimitHeaders) -> dict[str, str]:
        return {}

    # For tests

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def base_url(self) -> str:
        """What a configuration calls `api_base`."""
        return self.url

    def fault(self, *faults: Planned, always: bool = False, when: Predicate | None = None) -> None:
        """Let requests fail: each takes the next fault. None is a request that succeeds, a tuple
        is several faults for one request. `when` limits them to the requests that it accepts;
        with `always` they are used again from the start, for ever."""
        with self._lock:
            self._faults.append(_Plan(deque(faults), when, always))

    def answer(
        self,
        text: str | None = None,
        *,
        tool_calls: Iterable[ToolCall] | None = None,
        usage: Tokens | None = None,
        always: bool = False,
        when: Predicate | None = None,
        **fields: Any,
    ) -> None:
        """Script the next answer (or every one, with `always`); `fields` are `Script`'s."""
        script = Script(
            text=text,
            tool_calls=None if tool_calls is None else tuple(tool_calls),
            usage=usage or Tokens(),
            **fields,
        )
        with self._lock:
            self._answers.append(_Plan(deque([script]), when, always))

    def reset(self) -> None:
        """Forget requests, faults, scripts and objects."""
        with self._lock:
            self.requests.clear()
            self._faults.clear()
            self._answers.clear()
            self.objects.clear()

    @property
    def last(self) -> Recorded:
        return self.requests[-1]

    async def arrived(self, number: int = 1, timeout: float = 20) -> Recorded:
        """Wait until so many requests have arrived; gives the last of them."""
        async with asyncio.timeout(timeout):
            while len(self.requests) < number:
                await asyncio.sleep(0.005)
        return self.requests[number - 1]

    # For handlers

    def new_id(self, prefix: str, length: int = 24) -> str:
        """An id in the provider's form; the same sequence in every run."""
        seed = f"{prefix}{next(self._numbers)}"
        return prefix + (hashlib.sha256(seed.encode()).hexdigest() * 2)[:length]

    # Life

    def start(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, args=(self._loop,), daemon=True)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._open(), self._loop).result(timeout=20)
        return self

    def stop(self) -> None:
        loop, thread = self._loop, self._thread
        if loop is None or thread is None:
            return
        asyncio.run_coroutine_threadsafe(self._close(), loop).result(timeout=20)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(timeout=20)
        self._loop = self._thread = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        return await asyncio.to_thread(self.start)

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self.stop)

    @staticmethod
    def _run(loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        loop.run_forever()
        loop.close()

    async def _open(self) -> None:
        app = web.Application(client_max_size=1 << 30)
        for method, path, handler in self.routes():
            app.router.add_route(method, path, self._serve(handler))
        app.router.add_route("*", "/{rest:.*}", self._serve(self._no_route))
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.01)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, backlog=1024)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def _close(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    # One exchange

    def _serve(self, handler: Handler) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def serve(request: web.Request) -> web.StreamResponse:
            x = await self._record(request)
            try:
                return await self._answer(x, handler)
            except Cut:
                return web.Response()
            except (asyncio.CancelledError, ConnectionError):
                x.recorded.disconnected = not x.cut
                raise
            finally:
                x.recorded.end()

        return serve

    async def _record(self, request: web.Request) -> Exchange:
        recorded = Recorded(
            method=request.method,
            path=request.path,
            raw_path=request.raw_path,
            query=list(request.query.items()),
            headers={name.lower(): value for name, value in request.headers.items()},
            body=await request.read(),
            peer=request.transport.get_extra_info("peername")[:2] if request.transport else ("", 0),
        )
        with self._lock:
            planned = self._next(self._faults, recorded)
            faults = planned if isinstance(planned, tuple) else (planned,) if planned else ()
            script = self._next(self._answers, recorded) or Script()
            self.requests.append(recorded)
        for fault in faults:
            script = fault.script(script)
        return Exchange(self, request, recorded, faults, script)

    @staticmethod
    def _next(plans: list[_Plan], recorded: Recorded) -> Any:
        plan = next((plan for plan in plans if plan.fits(recorded)), None)
        return None if plan is None else plan.take()

    async def _answer(self, x: Exchange, handler: Handler) -> web.StreamResponse:
        try:
            for fault in x.faults:
                await fault.before(x)
            self.authorize(x)
            reply = self._scripted(x) or await _called(handler, x)
        except Refused as refused:
            reply = refused.reply
        if isinstance(reply, web.WebSocketResponse):
            return reply
        reply = self.adapt(x, reply)
        reply = replace(
            reply, headers={**self.headers(x), **reply.headers, **dict(x.script.headers)}
        )
        for fault in x.faults:
            reply = fault.alter(x, reply)
        response = await deliver(x, reply, self.delay_between_chunks)
        for fault in x.faults:
            fault.after(x)
        return response

    def _scripted(self, x: Exchange) -> Reply | None:
        """The answer where the script holds it whole."""
        if x.script.events is not None:
            return stream(list(x.script.events), self.stream_type)
        return None if x.script.body is None else ok(x.script.body)

    def _no_route(self, x: Exchange) -> Reply:
        path = x.recorded.path
        return self.error(404, f"Invalid URL ({x.recorded.method} {path})")


async def _called(handler: Handler, x: Exchange) -> Any:
    answer: Any = handler(x)
    return await answer if inspect.isawaitable(answer) else answer
