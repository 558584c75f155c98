"""One environment of Lambda: an event loop for its life, and the gateway in it.

    INIT            settings, imports, the snapshot; and the start, unless it is to be frozen
    (SnapStart      frozen, and restored many times: what is restored starts then, so that sockets,
                    pools, credentials, clocks and the names of processes are each one's own)
    each call       what became due is caught up with, the call, then its row is written

Between calls nothing runs at all. The background work of the gateway goes on in the loop while
calls are answered, and is never relied upon.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import random
import sys
import time
from collections.abc import Awaitable
from functools import partial
from importlib import import_module
from pathlib import Path

from trunkline import json_text
from trunkline.api.http import Message, Receive, Scope, Send
from trunkline.app import Application, announce
from trunkline.configuration import Configuration
from trunkline.live.bundles import share
from trunkline.settings import Settings
from trunkline.telemetry import logs

from .refusals import refusal
from .settings import ApiSettings

log = logging.getLogger("trunkline.function")

CONNECTIONS = 3
"""To the database, of one environment: one for the call, and for what is written beside it."""
CONNECT_SECONDS = 5.0

_OF_ACCOUNTS = ("trunkline.api.accounts", "trunkline.bookkeeping", "psycopg_binary")
_NOT_STARTED = (503, "not_ready", "The gateway can't reach what it needs to start.", 5)
_TOO_LATE = (504, "timeout", "No answer came in the time that this function has for a call.")


class Environment:
    """The gateway, started once, as an ASGI application whose calls come one at a time."""

    def __init__(self, told: ApiSettings) -> None:
        self._told = told
        self._own = dict(os.environ)
        self.loop = asyncio.new_event_loop()
        self._shared = share()
        self._running: Running | None = None
        self._seen = time.time()

    def prepare(self) -> None:
        """Reads the configuration, and starts unless what is made now is to be frozen.

        Raises BundleError, ConfigError where it can't be served.
        """
        application, settings = self._build()
        if self._told.snap_start:
            self.loop.run_until_complete(application.import_litellm())
            _import_more(settings)
        else:
            self._begin(application)
        announce(settings, 1)
        _flush_logs()
        asyncio.set_event_loop(self.loop)  # or Mangum makes another

    def restore(self) -> None:
        """After SnapStart: starts, by what the configuration is by now. Raises as `prepare`."""
        random.seed()
        if numpy := sys.modules.get("numpy"):
            numpy.random.seed()
        self._shared = share()
        self.start()

    def start(self) -> None:
        """Begins to serve, unless it does; where what it needs, as a database, isn't there, the
        next call tries again."""
        if self._running is None:
            self._begin(self._build()[0])
            _flush_logs()
        asyncio.set_event_loop(self.loop)

    def close(self) -> None:
        """Ends what was started: for tests, since Lambda only ever stops an environment."""
        if self._running is not None:
            self.loop.run_until_complete(self._running.end())
        _flush_logs()
        self.loop.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One call, as ASGI, after `start`."""
        answer = Answer(send)
        if self._running is None:
            await answer.refuse(*_NOT_STARTED)
            return
        application = self._running.application
        still = time.time() - self._seen
        await _limited("catching up", application.resume(still), self._told.resume_seconds)
        _complete(scope)
        try:
            seconds = self._told.left(scope.get("aws.context"))
            call = asyncio.ensure_future(application(scope, receive, answer))
            await _in_time(call, answer, seconds)
        finally:
            await _limited("writing the ledger", application.settle(), self._told.settle_seconds)
            _tell(scope, answer.status)
            self._seen = time.time()
            _flush_logs()

    def _build(self) -> tuple[Application, Settings]:
        configuration = Configuration(
            self._told.place,
            self._own,
            refuses=lambda settings: refusal(settings, self._told),
            fit=fitted,
        )
        shared = Path(self._shared.name)
        read = configuration.begin(shared)
        os.environ.update(read.exported)
        watched = configuration.is_watched(read.settings)
        application = Application(
            read.settings,
            shared=shared,
            warms=False,
            configuration=configuration if watched else None,
        )
        told = read.settings.litellm_settings
        secrets = application.secrets() | read.secret
        logs.configure(verbose=told.set_verbose, as_json=True, secrets=secrets)
        if configuration.problem:
            log.warning("%s; the last good copy is served", configuration.problem)
        return application, read.settings

    def _begin(self, application: Application) -> None:
        self._running = self.loop.run_until_complete(Running.start(application))
        self._seen = time.time()


class Running:
    """An application that was started, by the protocol by which servers do it."""

    def __init__(self, application: Application) -> None:
        self.application = application
        self._said: asyncio.Queue[Message] = asyncio.Queue()
        self._answers: asyncio.Queue[Message] = asyncio.Queue()
        self._task: asyncio.Future[None] | None = None

    @classmethod
    async def start(cls, application: Application) -> Running | None:
        """None where it could not start, which it has logged."""
        running = cls(application)
        scope = {"type": "lifespan", "asgi": {"version": "3.0"}}
        call = application(scope, running._said.get, running._answers.put)
        running._task = asyncio.ensure_future(call)
        answer = await running._say("startup")
        return running if answer["type"] == "lifespan.startup.complete" else None

    async def end(self) -> None:
        await self._say("shutdown")
        if self._task is not None:
            await self._task

    async def _say(self, what: str) -> Message:
        await self._said.put({"type": f"lifespan.{what}"})
        return await self._answers.get()


class Answer:
    """What is sent to a client. status: None until it has begun; done: whether it is whole."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status: int | None = None
        self.done = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        elif message["type"] == "http.response.body":
            self.done = not message.get("more_body")
        await self._send(message)

    async def refuse(self, status: int, code: str, reason: str, retry: int = 0) -> None:
        """Answers in the place of the gateway, as it would."""
        error = {"message": reason, "type": "api_error", "param": None, "code": code}
        headers = [(b"content-type", b"application/json")]
        if retry:
            headers.append((b"retry-after", str(retry).encode()))
        body = json_text.dumps({"error": error})
        await self({"type": "http.response.start", "status": status, "headers": headers})
        await self({"type": "http.response.body", "body": body})


async def _in_time(call: asyncio.Future[None], answer: Answer, seconds: float) -> None:
    """Awaits a call, and ends it before Lambda would end the whole environment.

    Raises what it raises, and RuntimeError where its answer has begun and doesn't end.
    """
    done, _ = await asyncio.wait((call,), timeout=seconds)
    if not done:
        # As if the client had gone: what it cost so far is charged.
        call.cancel()
        await asyncio.wait((call,))
    if answer.done:
        return  # whatever came after it was logged where it came from
    with contextlib.suppress(asyncio.CancelledError):
        call.result()
    if answer.status is None:
        await answer.refuse(*_TOO_LATE)
    else:
        raise RuntimeError("the answer has broken off")


async def _limited(what: str, work: Awaitable[None], seconds: float) -> None:
    """Awaits work that no call fails for.

    What isn't done in time goes on with the next call. What fails is left where the next call, or
    another process, finds it.
    """
    task = asyncio.ensure_future(work)
    task.add_done_callback(partial(_told, what))
    if not (await asyncio.wait((task,), timeout=seconds))[0]:
        log.warning("%s takes longer than %g s", what, seconds)


def _told(what: str, task: asyncio.Future[None]) -> None:
    if not task.cancelled() and (error := task.exception()):
        log.warning("%s failed", what, extra={"error": f"{type(error).__name__}: {error}"})


def fitted(settings: Settings) -> Settings:
    """The configuration for a process that answers one call at a time, of which there are many."""
    general = settings.general_settings
    few = {
        "database_connection_pool_limit": min(general.database_connection_pool_limit, CONNECTIONS),
        "database_connection_timeout": min(general.database_connection_timeout, CONNECT_SECONDS),
    }
    return settings.model_copy(update={"general_settings": general.model_copy(update=few)})


def _complete(scope: Scope) -> None:
    """Adds what Mangum leaves out or takes too much for."""
    event = scope.get("aws.event", {})
    path = event.get("path", "")
    if "httpMethod" in event and path.isascii() and path.isprintable() and " " not in path:
        scope["raw_path"] = path.encode()  # a slash inside of a name is `%2F`
    if "elb" in event.get("requestContext", {}):
        # Before the last address stands what the client says of itself.
        scope["client"] = (scope["client"][0].rpartition(",")[2].strip(), 0)


def _tell(scope: Scope, status: int | None) -> None:
    """Leaves the ids by which Lambda and API Gateway know the call."""
    context = scope.get("aws.event", {}).get("requestContext", {})
    lambda_id = getattr(scope.get("aws.context"), "aws_request_id", "")
    ids = {"lambda_request_id": lambda_id, "gateway_request_id": str(context.get("requestId", ""))}
    logs.tell(log, "answered", {**ids, "status": status or 0})


def _import_more(settings: Settings) -> None:
    """Imports what starting would, so that it is frozen with the rest."""
    for name in (
        "aiohttp",
        "trunkline.api.surface",
        *(_OF_ACCOUNTS if settings.general_settings.charges else ()),
    ):
        import_module(name)


def _flush_logs() -> None:
    for handler in logging.getLogger().handlers:
        handler.flush()
