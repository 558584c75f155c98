"""The cold start of functions/api, beside a bare FastAPI with Mangum, under Lambda's runtime.

Both are started by the emulator of the runtime interface, from the same layers, in turn. A cold
start is INIT, as the emulator reports it, and the first call, as its client sees it: ours makes a
virtual key, in a database that has its tables already.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import httpx
import yaml

from layers.building import build
from tests.fakes import FakeCohere
from tests.support.lambda_events import Transport
from tests.support.lambda_runtime import LAYERS, Function, function, import_path, missing
from tests.support.management import MASTER, MODEL
from tests.support.postgres import postgres_server
from tests.support.redis import redis_server

from .figures import Figures
from .processes import BenchError

WARM_CALLS = 200
BARE = '''"""What the cold start is measured against."""

from fastapi import FastAPI
from mangum import Mangum
from pydantic import BaseModel

app = FastAPI()


class Asked(BaseModel):
    key_alias: str


@app.post("/key/generate")
async def generate(asked: Asked) -> dict[str, str]:
    return {"key": asked.key_alias}


handler = Mangum(app, lifespan="off")
'''

Say = Callable[[str], None]


def measure(say: Say, *, rounds: int) -> Figures:
    """Milliseconds of each start, by who was started; those of warm calls; bytes of memory.

    Raises BenchError where what functions are run with isn't there.
    """
    build("x86_64", LAYERS.parent)
    if reason := missing():
        raise BenchError(reason)
    found: Figures = {name: [] for name in ("bare_ms", "api_ms", "api_init_ms", "litellm_ms")}
    found |= {"warm_p50_ms": [], "memory": [], "memory_litellm": []}
    with (
        tempfile.TemporaryDirectory() as name,
        redis_server(Path(name)) as redis,
        postgres_server() as server,
    ):
        folder = Path(name)
        cohere = FakeCohere().start()
        try:
            config = _config(server.database(), redis.port, cohere.base_url)
            (folder / "config.yaml").write_text(yaml.safe_dump(config))
            for number in range(-1, rounds):  # the first makes the tables, and warms the disk
                figures = _round(folder / str(number), folder / "config.yaml")
                if number >= 0:
                    for figure, value in figures.items():
                        found[figure].append(value)
        finally:
            cohere.stop()
    told = {name: median(values) for name, values in found.items()}
    say(
        f"cold start: bare {told['bare_ms']:,.0f} ms, functions/api {told['api_ms']:,.0f} ms"
        f" ({told['api_init_ms']:,.0f} of it INIT), the first call by LiteLLM then"
        f" {told['litellm_ms']:,.0f} ms; warm {told['warm_p50_ms']:.1f} ms;"
        f" memory {told['memory'] / 2**20:.0f} MiB, {told['memory_litellm'] / 2**20:.0f} with it"
    )
    return found | {"layers_mb": layers_megabytes()}


def layers_megabytes() -> float:
    """Of what every function has, unzipped."""
    sizes = json.loads((LAYERS / "layers.json").read_text())["bytes"]
    return float(sum(sizes[name] for name in ("dependencies", "gateway")) / 2**20)


def _round(folder: Path, config: Path) -> dict[str, float]:
    figures: dict[str, float] = {}
    (folder / "bare" / "task").mkdir(parents=True)
    (folder / "bare" / "task" / "bare.py").write_text(BARE)
    path = [folder / "bare" / "task", *import_path("api", folder / "unused")[1:]]
    with function("bare", folder / "bare", {}, path=path, handler="bare.handler") as bare:
        figures["bare_ms"] = _first(bare) + bare.init_milliseconds
    with function("api", folder / "api", {"TRUNKLINE_CONFIG": str(config)}) as api:
        first = _first(api)
        figures["api_init_ms"] = api.init_milliseconds
        figures["api_ms"] = first + api.init_milliseconds
        figures["memory"] = api.memory()
        warm = [_asked(api, "/models") for _ in range(WARM_CALLS)]
        figures["warm_p50_ms"] = median(warm)
        figures["litellm_ms"] = _asked(
            api,
            "/v1/chat/completions",
            {"model": "cohere", "messages": [{"role": "user", "content": "Hi"}]},
        )
        figures["memory_litellm"] = api.memory()
    return figures


def _first(made: Function) -> float:
    """Milliseconds of the first call, without INIT, which it waits for."""
    whole = _asked(made, "/key/generate", {"key_alias": f"cold {time.time_ns()}"})
    return whole - made.init_milliseconds


def _asked(made: Function, path: str, body: Any = None) -> float:
    """Milliseconds of a call that has to succeed."""
    headers = {"authorization": f"Bearer {MASTER}"}
    with httpx.Client(
        transport=Transport(made.invoke), base_url="https://x.example", headers=headers
    ) as client:
        began = time.perf_counter()
        answer = client.request("GET" if body is None else "POST", path, json=body)
        took = (time.perf_counter() - began) * 1000
    if answer.status_code != httpx.codes.OK:
        raise BenchError(f"{path}: {answer.status_code} {answer.text}")
    return took


def _config(database: str, redis: int, cohere: str) -> dict[str, Any]:
    params = {"model": "cohere_chat/command-r", "api_key": "k", "api_base": cohere}
    return {
        "model_list": [MODEL, {"model_name": "cohere", "litellm_params": params}],
        "router_settings": {"redis_host": "127.0.0.1", "redis_port": redis},
        "general_settings": {"master_key": MASTER, "database_url": database},
    }
