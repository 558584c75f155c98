"""Asks providers for batches and their outputs, by the lanes that clients' calls take."""

from __future__ import annotations

import os
import time
from contextlib import aclosing

from ..call import Answer, Call, Deployment, Operation
from ..operations import OPERATIONS
from ..providers import failures
from ..providers.batches import Batch, Output, batches_in
from ..providers.lanes import Lanes
from ..routing.policy import RoutingPolicy

_NAMED = {each.name: each for each in OPERATIONS}
_BATCH, _CONTENT = _NAMED["batches.get"], _NAMED["files.content"]


class ProviderBatches:
    """policy: how long each may take."""

    def __init__(self, lanes: Lanes, policy: RoutingPolicy) -> None:
        self._lanes = lanes
        self._policy = policy

    async def batch(self, deployment: Deployment, batch_id: str) -> Batch:
        """A batch as it is now. Raises ProviderError."""
        answer = await self._asked(deployment, _BATCH, batch_id=batch_id)
        found = batches_in(answer.body)
        if not found:
            raise failures.malformed("the answer is no batch")
        return found[0]

    async def read(self, deployment: Deployment, file_id: str, output: Output) -> None:
        """Reads the file of a batch's output. Raises ProviderError."""
        answer = await self._asked(deployment, _CONTENT, file_id=file_id)
        if answer.chunks is None:
            output.feed(answer.body)
        else:
            async with aclosing(answer.chunks) as chunks:  # type: ignore[type-var]
                async for chunk in chunks:
                    output.feed(chunk)
        output.end()

    async def _asked(self, deployment: Deployment, operation: Operation, **path: str) -> Answer:
        call = Call(
            id=os.urandom(16).hex(),
            operation=operation,
            group="",
            body={},
            started=time.monotonic(),
            path=path,
        )
        lane = self._lanes.lane(call, deployment)
        return await lane.send(call, deployment, self._policy.timeouts(deployment, call))
