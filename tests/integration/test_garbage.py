"""Calls leave nothing to the garbage collector, which would stop all others to find it."""

from __future__ import annotations

import asyncio
import gc
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from trunkline.app import Application
from trunkline.bookkeeping import bring_up_to_date
from trunkline.settings import load

KEY = "sk-master"
CALLS = 20
CHAT = {"model": "m", "messages": [{"role": "user", "content": "Hello"}]}


@asynccontextmanager
async def served(folder: Path, **general: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A gateway in this process, whose garbage can be looked at."""
    mock = {"model": "openai/gpt-4o", "mock_response": "Hello there, this is an answer"}
    config = {
        "model_list": [{"model_name": "m", "litellm_params": mock}],
        "general_settings": {"master_key": KEY, "data_directory": str(folder), **general},
    }
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    settings = load(path, {})
    if settings.general_settings.charges:
        bring_up_to_date(settings)
    app = Application(settings)
    said: asyncio.Queue[Any] = asyncio.Queue()
    told: asyncio.Queue[Any] = asyncio.Queue()
    lifespan = asyncio.create_task(app({"type": "lifespan"}, said.get, told.put))
    await said.put({"type": "lifespan.startup"})
    assert (await told.get())["type"] == "lifespan.startup.complete"
    try:
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app),
            base_url="http://gateway",
            headers={"authorization": f"Bearer {KEY}"},
        ) as client:
            yield client
    finally:
        await said.put({"type": "lifespan.shutdown"})
        await lifespan


@pytest.mark.parametrize("accounts", [False, True], ids=["no accounts", "accounts"])
@pytest.mark.parametrize(
    ("body", "status"),
    [(CHAT, 200), ({**CHAT, "stream": True}, 200), ({}, 400), ({**CHAT, "model": "none"}, 404)],
    ids=["answer", "stream", "bad request", "unknown model"],
)
async def test_a_call_is_freed_when_it_ends(
    tmp_path: Path, body: dict[str, Any], status: int, *, accounts: bool
) -> None:
    async with served(tmp_path, accounts=accounts) as client:

        async def call() -> None:
            answer = await client.post("/v1/chat/completions", json=body)
            assert answer.status_code == status

        await call()
        gc.collect()
        gc.disable()
        gc.set_debug(gc.DEBUG_SAVEALL)
        try:
            for _ in range(CALLS):
                await call()
            gc.collect()
            left = Counter(f"{type(each).__module__}.{type(each).__name__}" for each in gc.garbage)
        finally:
            gc.set_debug(0)
            gc.garbage.clear()
            gc.enable()
    ours = {name: count for name, count in left.items() if name.startswith("trunkline.")}
    assert {name: count for name, count in ours.items() if count >= CALLS} == {}
