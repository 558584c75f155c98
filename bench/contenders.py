"""What is measured, a row each: how it is started, and what a client sends to it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from .installation import BUILD, LITELLM, PORTKEY
from .processes import Server, free_port, running

KEY = "sk-bench-client"
PROVIDER_KEY = "sk-bench-provider"
CONFIG = Path(__file__).with_name("config.yaml")
LANE_CONFIG = BUILD / "config-litellm-lane.yaml"
PATH = "/v1/chat/completions"


@dataclass(frozen=True, slots=True)
class Contender:
    """One server under measurement.

    name: what results and options call it. title: what tables and the picture call it.
    command: the command line for a port.
    checks_key: whether a wrong client key must be refused.
    routed: whether the headers have to say where the provider is, as nothing else does.
    """

    name: str
    title: str
    command: Callable[[int], list[str]]
    checks_key: bool = True
    routed: bool = False
    environ: Mapping[str, str] = field(default_factory=dict)

    def headers(self, upstream: str) -> dict[str, str]:
        """The request headers of a client."""
        key = PROVIDER_KEY if self.routed else KEY
        headers = {"content-type": "application/json", "authorization": f"Bearer {key}"}
        if self.routed:
            headers |= {"x-portkey-provider": "openai", "x-portkey-custom-host": upstream}
        return headers

    @contextmanager
    def running(self, upstream: str) -> Iterator[Server]:
        """Starts it on a free port; stops it afterwards."""
        environ = {
            "BENCH_UPSTREAM": upstream,
            "BENCH_PROVIDER_KEY": PROVIDER_KEY,
            "BENCH_KEY": KEY,
            **self.environ,
        }
        port = free_port()
        with running(self.name, self.command(port), port, environ, BUILD / "logs") as server:
            yield server


def _relay(application: str) -> Callable[[int], list[str]]:
    def command(port: int) -> list[str]:
        options = "--interface asgi --loop uvloop --workers 1 --host 127.0.0.1 --no-log"
        target = f"bench.relay:{application}"
        return [sys.executable, "-m", "granian", *options.split(), "--port", str(port), target]

    return command


def trunkline(config: Path) -> Callable[[int], list[str]]:
    """The command line that serves a configuration, for a port."""

    def command(port: int) -> list[str]:
        options = ["--config", str(config), "--port", str(port)]
        serve = [sys.executable, "-m", "trunkline", "serve", "--host", "127.0.0.1"]
        return [*serve, "--workers", "1", *options]

    return command


def _litellm(port: int) -> list[str]:
    options = ["--config", str(CONFIG), "--port", str(port)]
    return [str(LITELLM), "--host", "127.0.0.1", "--num_workers", "1", *options]


def _portkey(port: int) -> list[str]:
    return ["node", str(PORTKEY), f"--port={port}", "--headless"]


RELAY = Contender("relay", "Bare relay (ASGI)", _relay("plain"), checks_key=False)
FRAMEWORK_RELAY = Contender(
    "relay-fastapi", "Bare relay (FastAPI)", _relay("framework"), checks_key=False
)
DIRECT = Contender("trunkline-direct", "Trunkline, direct lane", trunkline(CONFIG))
LANE = Contender("trunkline-litellm", "Trunkline, litellm lane", trunkline(LANE_CONFIG))
LITELLM_PROXY = Contender(
    "litellm",
    "LiteLLM proxy",
    _litellm,
    environ={
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_MODE": "PRODUCTION",
        "LITELLM_LOG": "ERROR",
    },
)
PORTKEY_GATEWAY = Contender(
    "portkey",
    "Portkey gateway",
    _portkey,
    checks_key=False,
    routed=True,
    environ={"NODE_ENV": "production"},
)

CONTENDERS = {
    contender.name: contender
    for contender in (
        RELAY,
        FRAMEWORK_RELAY,
        DIRECT,
        LANE,
        LITELLM_PROXY,
        PORTKEY_GATEWAY,
    )
}


def write_lane_config() -> None:
    """Writes the configuration that sends every call through the litellm lane."""
    config = yaml.safe_load(CONFIG.read_text())
    for entry in config["model_list"]:
        entry["litellm_params"]["lane"] = "litellm"
    LANE_CONFIG.parent.mkdir(parents=True, exist_ok=True)
    LANE_CONFIG.write_text(yaml.safe_dump(config))


@contextmanager
def running_upstream(interval: float) -> Iterator[Server]:
    """Starts the provider that all contenders call; streams drip a chunk every `interval`."""
    port = free_port()
    options = ["--port", str(port), "--interval", str(interval)]
    command = [sys.executable, "-m", "bench.upstream", *options]
    with running("upstream", command, port, {}, BUILD / "logs") as server:
        yield server
