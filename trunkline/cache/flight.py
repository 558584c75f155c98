"""One call to a provider, for all who ask the same while it is under way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any

from ..call import Answer

Keep = Callable[[Answer, list[bytes]], Awaitable[None]]


class LeftAlone(Exception):
    """The call that somebody joined came to nothing: it has to be made anew."""


class Flight:
    """Asks in a task of its own, which ends when nobody waits for the answer any more.

    Whoever leads gets the answer, or its failure. Whoever joins gets the same answer, from the
    first chunk of a stream on; of a failure before that, only that there is nothing to join.
    """

    def __init__(self, asking: Awaitable[Answer], keep: Keep, largest: int) -> None:
        """keep: takes the answer and its chunks once it is complete. largest: bytes to keep."""
        self._asking = asking
        self._keep = keep
        self._largest = largest
        self._head: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._chunks: list[bytes] = []
        self._ended = False
        self._error: BaseException | None = None
        self._more = asyncio.Condition()
        self._waiting = 0
        self.task = asyncio.create_task(self._fly())

    def landed(self, told: Callable[[], None]) -> None:
        """Calls `told` when the answer is kept, or has failed."""
        self.task.add_done_callback(lambda _: told())

    async def lead(self) -> Answer:
        """The answer. Raises what asking raised."""
        self._waiting += 1
        try:
            answer = await asyncio.shield(self._head)
        except BaseException:
            self._left()
            raise
        if answer.chunks is None:
            self._waiting -= 1  # what is left to do is to keep it
            return Answer(answer.status, list(answer.headers), answer.body)
        return Answer(answer.status, list(answer.headers), chunks=self._read())

    async def join(self) -> Answer:
        """The answer. Raises LeftAlone where there is none."""
        try:
            return await self.lead()
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if self._head.cancelled() and not (task is not None and task.cancelling()):
                raise LeftAlone from None
            raise
        except Exception as error:
            raise LeftAlone from error

    def _left(self) -> None:
        self._waiting -= 1
        if self._waiting == 0 and not self._ended:
            self.task.cancel()

    async def _read(self) -> AsyncIterator[bytes]:
        place = 0
        try:
            while True:
                async with self._more:
                    while place == len(self._chunks) and not self._ended:
                        await self._more.wait()
                while place < len(self._chunks):
                    yield self._chunks[place]
                    place += 1
                if self._ended:
                    break
            if self._error is not None:
                raise self._error
        finally:
            self._left()

    async def _fly(self) -> None:
        try:
            answer = await self._asking
        except BaseException as error:
            self._ended = True
            if isinstance(error, asyncio.CancelledError):
                self._head.cancel()
                raise
            self._head.set_exception(error)
            self._head.exception()  # nobody may be waiting for it
            return
        if answer.chunks is None:
            self._ended = True
            self._head.set_result(answer)
            await self._keep(answer, [answer.body])
            return
        self._head.set_result(answer)
        await self._stream(answer, answer.chunks)

    async def _stream(self, answer: Answer, chunks: AsyncIterator[bytes]) -> None:
        try:
            async for chunk in chunks:
                self._chunks.append(chunk)
                await self._tell()
        except BaseException as error:
            self._error = error
            if isinstance(error, asyncio.CancelledError):
                raise
        finally:
            self._ended = True
            close: Callable[[], Coroutine[Any, Any, None]] | None = getattr(chunks, "aclose", None)
            if close is not None:
                await close()
            await self._tell()
        if self._error is None and sum(map(len, self._chunks)) <= self._largest:
            await self._keep(answer, self._chunks)

    async def _tell(self) -> None:
        async with self._more:
            self._more.notify_all()
