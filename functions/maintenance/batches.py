"""Asks providers for batches that are due, and charges those that have ended."""

from __future__ import annotations

import asyncio
from functools import partial

from trunkline.bookkeeping import Books
from trunkline.deadline import Alarms
from trunkline.live.snapshot import build_snapshot
from trunkline.providers.client import late
from trunkline.providers.direct import DirectLane
from trunkline.providers.lanes import Lanes
from trunkline.providers.litellm_lane import LitellmLane
from trunkline.providers.mock_lane import MockLane
from trunkline.providers.session import session_of
from trunkline.routing.health import Health
from trunkline.serving import Lasting
from trunkline.settings import Settings
from trunkline.telemetry.metrics import Metrics


async def charge(books: Books, settings: Settings) -> None:
    """Does it once, with the deployments of the configuration. Raises StoreUnavailable.

    Neither aiohttp nor LiteLLM is loaded where no batch is due.
    """
    session = late(partial(session_of, settings))
    litellm = LitellmLane(settings.litellm_settings.model_dump(exclude_none=True))
    alarms = Alarms(asyncio.get_running_loop())
    lasting = Lasting(
        lanes=Lanes(direct=DirectLane(session, alarms), litellm=litellm, mock=MockLane()),
        health=Health(),
        metrics=Metrics(),
        books=books,
        warm=lambda: None,
    )
    try:
        lasting.serving(build_snapshot(settings, version=1))
        await books.batches.look()
    finally:
        await session.close()
        await litellm.close()
