"""Rollouts: from the upload of a bundle until every process serves it, and what calls notice.

S3 is moto's server, Redis is real, and the function that judges an upload is called in this process
as soon as the upload is done, in the place of EventBridge and Lambda.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import aiohttp
import pytest

from tests.integration.test_hot_reload import ALLOWED, HARD, KEY, LARGE, SMALL, numbered
from tests.support.bundles import mock, routed
from tests.support.gateway import Gateways
from tests.support.redis import redis_server
from tests.support.rollout import Buckets
from tests.support.s3 import moto

from .figures import Figures
from .processes import BenchError

PROCESSES = 3
ROLLOUTS = 10
CLIENTS = 4
"""Of each process; each calls over and over, with a pause."""
PAUSE = 0.01
QUIET = 1.0
"""Seconds between rollouts."""
PATIENCE = 60.0

Say = Callable[[str], None]
BODY = {"model": "auto", "messages": [{"role": "user", "content": HARD}]}


@dataclass(slots=True)
class Seen:
    """By the clients of one process. since: when a version first answered, by its name."""

    answered: int = 0
    failed: int = 0
    since: dict[str, float] = field(default_factory=dict)


def measure(say: Say) -> Figures:
    """Seconds of each rollout, the part of it that is judging, and calls answered and failed."""
    with (
        tempfile.TemporaryDirectory() as name,
        pytest.MonkeyPatch.context() as patch,
        moto(Path(name)) as s3,
        redis_server(Path(name)) as redis,
    ):
        patch.setenv("XDG_CACHE_HOME", name)
        patch.setenv("POWERTOOLS_LOG_LEVEL", "CRITICAL")
        patch.setenv("POWERTOOLS_METRICS_DISABLED", "true")
        buckets = Buckets(s3, "bench", patch)
        buckets.configure(REDIS_HOST="127.0.0.1", REDIS_PORT=redis.port)
        buckets.upload("incoming/router.tar", numbered(1))
        config = routed(
            [mock(SMALL, "Hi"), mock(LARGE, "Hi")],
            "llmrouter-knn",
            model_path=f"s3://{buckets.bundles}/active.json",
        )
        config["router_settings"]["redis_url"] = redis.url
        config["general_settings"] = {"master_key": KEY, "accounts": False}
        gateways = Gateways(Path(name))
        try:
            urls = [gateways(config, env=s3.environment()).url for _ in range(PROCESSES)]
            found = asyncio.run(_rollouts(buckets, urls))
        finally:
            gateways.stop_all()
    say(
        f"rollout to {PROCESSES} processes: {median(found['seconds']):.2f} s, at most"
        f" {max(found['seconds']):.2f} s; {found['failed']} of"
        f" {found['answered'] + found['failed']:,} calls failed"
    )
    return found


async def _rollouts(buckets: Buckets, urls: list[str]) -> Figures:
    seen = [Seen() for _ in urls]
    clients = [
        asyncio.create_task(_calls(url, each))
        for url, each in zip(urls, seen, strict=True)
        for _ in range(CLIENTS)
    ]
    seconds, judging = [], []
    for number in range(2, ROLLOUTS + 2):
        await asyncio.sleep(QUIET)
        began = time.perf_counter()
        await asyncio.to_thread(buckets.upload, "incoming/router.tar", numbered(number))
        judging.append(time.perf_counter() - began)
        deadline = began + PATIENCE
        while not all(f"v{number}" in each.since for each in seen):
            if time.perf_counter() > deadline:
                raise BenchError(f"v{number} isn't served everywhere after {PATIENCE:.0f} s")
            await asyncio.sleep(PAUSE)
        seconds.append(max(each.since[f"v{number}"] for each in seen) - began)
    for each in clients:
        each.cancel()
    await asyncio.gather(*clients, return_exceptions=True)
    return {
        "processes": PROCESSES,
        "seconds": seconds,
        "judging": judging,
        "answered": sum(each.answered for each in seen),
        "failed": sum(each.failed for each in seen),
    }


async def _calls(url: str, seen: Seen) -> None:
    async with aiohttp.ClientSession(headers=ALLOWED) as session:
        while True:
            try:
                async with session.post(f"{url}/v1/chat/completions", json=BODY) as answer:
                    await answer.read()
                    version = answer.headers.get("x-trunkline-bundle", "")
                    seen.since.setdefault(version, time.perf_counter())
                    good = answer.status == 200
            except aiohttp.ClientError:
                good = False
            seen.answered += good
            seen.failed += not good
            await asyncio.sleep(PAUSE)
