"""What a rollout shares with the gateways by Redis: that a pointer was written, and counts."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping

from ..live.pointer import Pointer, changed
from ..settings.redis_address import RedisAddress, address_of
from ..settings.schema import RouterSettings
from ..state.arms import Tallies, trial_id
from ..state.build import arms_of, publish_once
from ..state.link import LinkDown
from .outcomes import RolloutError

log = logging.getLogger("trunkline.rollout")

_TRUE = frozenset({"1", "true", "yes", "on"})


def address(environ: Mapping[str, str]) -> RedisAddress | None:
    """The Redis of `REDIS_URL`, or of `REDIS_HOST` and its like; None where none is named.

    Raises ValueError for what is no address.
    """
    port, name = environ.get("REDIS_PORT"), environ.get
    return address_of(
        RouterSettings(
            redis_url=name("REDIS_URL") or None,
            redis_host=name("REDIS_HOST") or None,
            redis_port=int(port) if port else None,
            redis_username=name("REDIS_USERNAME") or None,
            redis_password=name("REDIS_PASSWORD") or None,
            redis_ssl=name("REDIS_SSL", "").lower() in _TRUE,
        )
    )


def announce(where: RedisAddress | None, pointer: str) -> bool:
    """Tells every process that a pointer was written; whether that could be told.

    Those that don't hear it find it by looking. pointer: its name.
    """
    if where is None:
        return False
    try:
        asyncio.run(publish_once(where, changed(pointer)))
    except LinkDown as error:
        log.warning("nobody could be told of the rollout, so it takes until they look: %s", error)
        return False
    return True


def tallies_of(where: RedisAddress | None, name: str) -> Callable[[Pointer], Tallies]:
    """What became of the calls of a pointer's trial. name: of the pointer."""

    async def read(pointer: Pointer) -> Tallies:
        arms = arms_of(where, name)
        try:
            return await arms.read(trial_id(name, pointer.revision))
        except LinkDown as error:
            raise RolloutError(f"what became of the trial can't be read: {error}") from None
        finally:
            await arms.close()

    return lambda pointer: asyncio.run(read(pointer))
