"""Which calls a workflow answers, and how it begins: the gateway's door to all of them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing

from ...call import Answer, Call, Deployment, Operation, Wire
from ...errors import GatewayError, internal_error
from ...settings import Settings
from ...settings.strategies import LEARNED
from ...telemetry.metrics import Metrics
from ..query import query_of
from ..router import Router
from . import automix, multiround, router_r1
from .bounds import Bounds
from .run import Asked, Pipeline, Resolve, Run, Tools
from .wires import CONVERSATIONS

WORKFLOWS: Mapping[str, Callable[[Run], Awaitable[Answer]]] = {
    "llmrouter-automix": automix.answer,
    "llmrouter-knn-multiround": multiround.answer,
    "llmrouter-llm-multiround": multiround.answer,
    "llmrouter-router-r1": router_r1.answer,
}
"""By strategy; each raises GatewayError."""

log = logging.getLogger("trunkline.routing")

_EVENTS = ("content-type", "text/event-stream")


class Workflows:
    """Answers the calls that the configured workflow is for, and hands on all others.

    patience: seconds after which the answer to a client who streams begins, whatever will be in it.
    """

    def __init__(self, tools: Tools, patience: float) -> None:
        self._tools = tools
        self._workflow = WORKFLOWS[tools.learned.loaded.strategy]
        self._patience = patience

    async def answer(
        self,
        pipeline: Pipeline,
        resolve: Resolve,
        call: Call,
        group: str,
        candidates: Sequence[Deployment],
    ) -> Answer:
        """The answer of a group's deployments, by the workflow where they are several models.

        pipeline: what takes each call of the workflow's. resolve: the deployments of a model that
        the workflow asks and that is none of the candidates.

        Raises GatewayError, as the pipeline does.
        """
        works = self._tools.router.is_ranked(candidates, call) and _is_conversation(call)
        if not candidates or not (works or call.inner):
            return await pipeline(call, group, candidates)
        run = Run(self._tools, call, group, candidates, pipeline, resolve)
        if not works:
            # Another group stands in for one whose workflow failed: its usage adds to the rest.
            return run.finished(*await run.answer("answer", Asked(group, candidates, ())))
        if not _is_events(call):
            return await self._workflow(run)
        return await self._begun(run)

    async def _begun(self, run: Run) -> Answer:
        """The workflow's answer; when that takes long, the beginning of a stream that waits for it,
        so that what stands between the gateway and the client keeps the connection."""
        made = asyncio.ensure_future(self._workflow(run))
        try:
            await asyncio.wait({made}, timeout=self._patience)
        except BaseException:
            await _cancelled(made)
            raise
        if made.done():
            return made.result()
        return Answer(200, [_EVENTS], chunks=_later(made, run.call.id))


def build_workflows(
    settings: Settings, router: Router, metrics: Metrics, chat: Operation
) -> Workflows | None:
    """The configured workflow; None where no strategy talks to models."""
    learned, args = router.learned, settings.router_settings.learned
    if learned is None or args is None or not LEARNED[learned.loaded.strategy].workflow:
        return None
    tools = Tools(learned, router, metrics, chat, args.all, Bounds.of(args.all))
    return Workflows(tools, settings.general_settings.stream_heartbeat_seconds)


def _is_conversation(call: Call) -> bool:
    """Whether a call can be answered by several: it asks one thing, and nothing that the provider
    keeps is changed by asking twice."""
    body = call.body
    return (
        call.operation.name in CONVERSATIONS
        and not isinstance(body.get("prompt"), list)
        and not body.get("background")
        and not body.get("conversation")
        and bool(query_of(call))
    )


def _is_events(call: Call) -> bool:
    """Whether the answer is a stream of events, in which there may be comments before the first."""
    return call.stream and (call.operation.wire is not Wire.GOOGLE or ("alt", "sse") in call.query)


async def _later(made: asyncio.Future[Answer], call_id: str) -> AsyncIterator[bytes]:
    try:
        await asyncio.wait({made})
        answer = made.result()
        if answer.chunks is None:
            yield answer.body
            return
        async with aclosing(answer.chunks) as source:  # type: ignore[type-var]
            async for chunk in source:
                yield chunk
    except Exception as error:
        if isinstance(error, GatewayError):
            raise
        log.exception("workflow failed", extra={"call_id": call_id})
        raise internal_error(call_id) from error
    finally:
        await _cancelled(made)


async def _cancelled(made: asyncio.Future[Answer]) -> None:
    """Ends a workflow that nobody waits for any more, and with it all of its calls."""
    if not made.done():
        made.cancel()
        await asyncio.wait({made})
    elif not made.cancelled() and made.exception() is None and (chunks := made.result().chunks):
        await chunks.aclose()  # type: ignore[attr-defined]
