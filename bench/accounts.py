"""What accounts cost: calls of a virtual key with limits, a budget and the ledger, beside calls of
a master key that nobody accounts for; and what else of accounts is measured.

    redis    counters in Redis, the ledger in PostgreSQL, both on this machine
    local    counters in the process, the ledger in SQLite
    master   accounts are off
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import yaml

from tests.support.postgres import PostgresServer, postgres_server
from tests.support.redis import RedisServer, redis_server

from .contenders import CONFIG, KEY, Contender, trunkline
from .figures import Figures
from .installation import BUILD
from .load import Client
from .measures import HEADLINE
from .processes import Server, wait_until_idle

FOLDER = BUILD / "accounts"
LIMITS = {"rpm_limit": 10**8, "tpm_limit": 10**11, "max_budget": 10**6}

Say = Callable[[str], None]


def measure(upstream: Server, say: Say, *, rounds: int, seconds: float) -> Figures:
    """The figures of accounts."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        redis = stack.enter_context(redis_server(FOLDER))
        postgres = stack.enter_context(postgres_server(durable=True))
        clients = {
            name: stack.enter_context(client_of(name, changes, upstream))
            for name, changes in changes_of(redis, postgres).items()
        }
        trips = _round_trips(redis, clients["redis"])
        say(f"accounts: {trips:.2f} round trips to Redis a call")
        rates = _rates(clients, say, rounds, seconds)
    return {"connections": HEADLINE, "rates": rates, "redis_round_trips": trips}


def changes_of(redis: RedisServer, postgres: PostgresServer) -> dict[str, Mapping[str, Any]]:
    """What each kind of gateway has beside the common configuration."""
    state = {"redis_url": redis.url}
    ledger = {"accounts": True, "database_url": postgres.database()}
    local = {"accounts": True, "data_directory": str(FOLDER / "data")}
    cache = {"cache": True, "cache_params": {"type": "redis", "redis_url": redis.url}}
    return {
        "master": {},
        "local": {"general_settings": local},
        "redis": {"general_settings": ledger, "router_settings": state},
        "cache": {"litellm_settings": cache},
    }


def _rates(clients: Mapping[str, Client], say: Say, rounds: int, seconds: float) -> Figures:
    for client in clients.values():
        client.load(HEADLINE, seconds)
    rates: dict[str, list[float]] = {name: [] for name in clients}
    for number in range(rounds):
        names = list(clients)
        turned = names[number % len(names) :] + names[: number % len(names)]
        for name in turned:
            wait_until_idle([client.server for client in clients.values()])
            rates[name].append(clients[name].load(HEADLINE, seconds).rate)
        told = ", ".join(f"{name} {rates[name][-1]:,.0f}/s" for name in names)
        say(f"accounts, round {number + 1}: {told}")
    return dict(rates)


@contextmanager
def client_of(name: str, changes: Mapping[str, Any], upstream: Server) -> Iterator[Client]:
    """A client of a gateway that runs with the common configuration and these changes."""
    config = yaml.safe_load(CONFIG.read_text())
    for section, values in changes.items():
        config[section] = {**config.get(section, {}), **values}
    path: Path = FOLDER / f"{name}.yaml"
    path.write_text(yaml.safe_dump(config))
    contender = Contender(f"accounts-{name}", name, trunkline(path))
    url = f"http://127.0.0.1:{upstream.port}/v1"
    with contender.running(url) as server:
        headers = contender.headers(url)
        Client(server, headers).wait_for_answer()
        if config["general_settings"].get("accounts"):
            headers["authorization"] = f"Bearer {_virtual_key(server)}"
        client = Client(server, headers, name=contender.name)
        client.wait_for_answer()
        yield client


def _virtual_key(server: Server) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
    connection.request("POST", "/key/generate", json.dumps(LIMITS), headers)
    made: dict[str, Any] = json.loads(connection.getresponse().read())
    connection.close()
    return str(made["key"])


def _round_trips(redis: RedisServer, client: Client) -> float:
    """Commands that Redis ran for a call, as it counts scripts."""
    calls = 200
    before = _scripts(redis)
    for _ in range(calls):
        client.wait_for_answer()
    return (_scripts(redis) - before) / calls


def _scripts(redis: RedisServer) -> int:
    stats: Any = redis.client.info("commandstats")
    return sum(
        int(stats.get(f"cmdstat_{name}", {}).get("calls", 0)) for name in ("evalsha", "eval")
    )
