"""From the copy of what a source holds to what is used: built, and tried before it is."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Generic, TypeVar

from ..dataclass import dataclass
from ..errors import BundleError
from .sources import NotNow

log = logging.getLogger("trunkline.live")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Steps(Generic[T]):
    """build: makes it of the file or folder at a path. check: tries it. Both run in a thread, and
        raise BundleError.
    swap: puts it in the place of the one before. Runs on the event loop, and must not fail.
    version: what it is called.
    ready: makes ready for its use what takes time, before `swap`. Runs on the event loop, and
        raises BundleError.
    """

    build: Callable[[Path], T]
    check: Callable[[T], None]
    swap: Callable[[T], None]
    version: Callable[[T], str]
    ready: Callable[[T], Awaitable[None]] | None = None

    def built(self, path: Path, source: str) -> T:
        """What can be used, of a copy. Raises BundleError, also for faults of our own.

        source: what the errors call the copy.
        """
        try:
            content = self.build(path)
            self.check(content)
        except NotNow:
            raise
        except BundleError as error:
            raise BundleError(str(error).replace(str(path), source)) from None
        except Exception as error:
            log.exception("building failed", extra={"source": source})
            raise BundleError(f"{source}: {type(error).__name__}: {error}") from None
        return content

    async def made_ready(self, content: T, source: str) -> None:
        """Returns when it can be swapped in. Raises BundleError, also for faults of our own."""
        if self.ready is None:
            return
        try:
            await self.ready(content)
        except BundleError:
            raise
        except Exception as error:
            log.exception("building failed", extra={"source": source})
            raise BundleError(f"{source}: {type(error).__name__}: {error}") from None
