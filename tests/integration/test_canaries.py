"""Secrets are planted wherever they can enter; however calls fail, they come out nowhere.

What comes out is all that a gateway writes or tells: logs, errors, metrics, what the management API
shows, files, the database, Redis.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import psycopg
import pytest

from tests.fakes import CutMidStream, FakeAnthropic, FakeCohere, FakeOpenAI, Status
from tests.support.accounts import Fleet
from tests.support.gateway import Gateway, Gateways
from tests.support.postgres import PostgresServer, postgres_server
from tests.support.providers import Providers
from tests.support.redis import RedisServer, redis_server
from trunkline.redaction import forms_of

MASTER = "canary+of/the master"
SALT = "canary-of-the-salt"
DATABASE = "canary of:the@database/"
REDIS = "canary-of-redis"
VIRTUAL = "sk-canary-of-a-virtual-key"
PROVIDERS = {
    name: f"canary-of-{name}" for name in ("openai", "cohere", "anthropic", "nobody", "stored")
}
IN_URL = "canary-in-an-address"
IN_HEADER = "canary-in-a-header"
IN_TARGET = "canary-of-a-target"
IN_ENVIRONMENT = "canary-of-the-environment"
UNKNOWN = "canary-of-a-stranger"
PROMPT = "canary in a prompt"
ANSWER = "canary in an answer"
METADATA = "canary in metadata"

OF_THE_CONFIGURATION = (
    *(MASTER, SALT, DATABASE, REDIS, *PROVIDERS.values()),
    *(IN_URL, IN_HEADER, IN_TARGET, IN_ENVIRONMENT),
)
SECRETS = (*OF_THE_CONFIGURATION, VIRTUAL, UNKNOWN)
CONTENT = (PROMPT, ANSWER, METADATA)

SHOWN = (
    "/health",
    "/health/readiness",
    "/health/readiness/details",
    "/key/list?return_full_object=true",
    "/user/list",
    "/team/list",
    "/model/info",
    "/v1/model/info",
    "/v1/models",
    "/model_group/info",
    "/spend/logs",
    "/spend/logs/v2",
    "/spend/keys",
    "/global/spend/report?start_date=2020-01-01&end_date=2020-12-31",
    "/cache/ping",
    "/routes",
    "/metrics",
)
"""What the master key may look at."""


def found_in(text: str, canaries: tuple[str, ...]) -> list[str]:
    """Which of them stand in a text, as they are, or in the form of JSON, a URL or base64."""
    return [each for each in canaries if any(form in text for form in forms_of([each]))]


@dataclass(slots=True)
class House:
    """A gateway with all of the canaries. told: what it answered beside good answers."""

    server: Gateway
    redis: RedisServer
    database: PostgresServer
    database_url: str
    told: list[str] = field(default_factory=list)

    def ask(
        self,
        path: str,
        body: Any = None,
        *,
        key: str = MASTER,
        content: str | None = None,
        headers: dict[str, str] | None = None,
        method: str = "",
    ) -> httpx.Response:
        sent = content if content is not None else json.dumps(body) if body is not None else None
        known = {"content-type": "application/json"}
        known |= {"authorization": f"Bearer {key}"} if key else {}
        answer = httpx.request(
            method or ("GET" if sent is None else "POST"),
            f"{self.server.url}{path}",
            content=sent,
            headers={**known, **(headers or {})},
            timeout=60,
        )
        if answer.status_code != 200 or '"error"' in answer.text:
            # The address holds what the client itself put there.
            told = f"{answer.status_code} {answer.text} {answer.headers}"
            self.told.append(f"{path.partition('?')[0].replace(UNKNOWN, '')} {told}")
        return answer

    def shown(self, key: str) -> dict[str, str]:
        """What the management API shows."""
        shown = {path: self.ask(path).text for path in SHOWN}
        # The key that was asked for is said again beside this, as LiteLLM does.
        told = self.ask(f"/key/info?key={quote(key)}").json()
        self.ask(f"/key/info?key={UNKNOWN}")
        return shown | {"/key/info": str(told.get("info"))}

    def files(self) -> dict[str, str]:
        """What it keeps on disk."""
        kept = self.server.folder / ".trunkline"
        return {
            str(file.relative_to(kept)): file.read_bytes().decode("latin-1")
            for file in kept.rglob("*")
            if file.is_file()
        }

    def rows(self) -> dict[str, str]:
        """Each table of the database, as text; bytes as they are."""
        with psycopg.connect(self.database_url) as connection:
            names = connection.execute(
                "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
            ).fetchall()
            return {
                name: str(connection.execute(f'SELECT * FROM "{name}"').fetchall())
                for (name,) in names
            }

    def shared(self) -> dict[str, str]:
        """Each key of Redis and what it holds."""
        client = self.redis.client
        return {key.decode("latin-1"): str(_held(client, key)) for key in client.scan_iter()}


def _held(client: Any, key: bytes) -> Any:
    read = {
        b"string": client.get,
        b"hash": client.hgetall,
        b"zset": lambda name: client.zrange(name, 0, -1),
        b"set": client.smembers,
        b"list": lambda name: client.lrange(name, 0, -1),
        b"stream": client.xrange,
    }
    return read[client.type(key)](key)


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    with redis_server(tmp_path, password=REDIS) as server:
        yield server


@pytest.fixture
def database() -> Iterator[PostgresServer]:
    with postgres_server(durable=True, password=DATABASE) as server:
        yield server


def entry(name: str, model: str, **params: Any) -> dict[str, Any]:
    return {"model_name": name, "litellm_params": {"model": model, **params}}


def settings(fakes: list[Any], database_url: str, redis_url: str, verbose: bool) -> dict[str, Any]:
    openai, cohere, anthropic = fakes
    header = {"extra_headers": {"X-Team": IN_HEADER}}
    nobody = "http://somebody:canary-in-an-address@127.0.0.1:9/v1?key=canary-of-nobody"
    models = [
        entry(
            "openai", "openai/m", api_base=openai.base_url, api_key=PROVIDERS["openai"], **header
        ),
        entry("cohere", "cohere/m", api_base=f"{cohere.url}/v2/chat", api_key=PROVIDERS["cohere"]),
        entry("anthropic", "anthropic/m", api_base=anthropic.url, api_key=PROVIDERS["anthropic"]),
        entry("nobody", "openai/m", api_base=nobody),
    ]
    target = {"target": "http://127.0.0.1:9/", "headers": {"X-Team": IN_TARGET}}
    return {
        "model_list": models,
        "general_settings": {
            "master_key": MASTER,
            "salt_key": SALT,
            "database_url": database_url,
            "store_model_in_db": True,
            "user_api_key_cache_ttl": 0.2,
            "database_connection_timeout": 1,
            "pass_through_endpoints": [{"path": "/away", **target}],
        },
        "router_settings": {
            "redis_url": redis_url,
            "num_retries": 0,
            "cooldown_time": 0.01,
        },
        "litellm_settings": {"set_verbose": verbose, "callbacks": ["prometheus"]},
    }


@pytest.fixture(params=[False, True], ids=["quiet", "verbose"])
def house(
    request: pytest.FixtureRequest,
    gateway: Gateways,
    fakes: Providers,
    redis: RedisServer,
    database: PostgresServer,
) -> House:
    """Providers answer rightly at first, and tell in each failure what they were sent."""
    providers = [fakes(FakeOpenAI), fakes(FakeCohere), fakes(FakeAnthropic)]
    url = database.database()
    config = settings(providers, url, redis.url, request.param)
    server = gateway(config, env={"GROQ_API_KEY": IN_ENVIRONMENT})
    for fake in providers:
        fake.answer(ANSWER, always=True)
        told = f"{PROVIDERS[fake.name]} {IN_HEADER if fake.name == 'openai' else ''} {PROMPT}"
        fake.fault(
            *(None, Status(401, {"error": {"message": told}}), CutMidStream(), Status(500, told)),
            *(None, Status(429, told), CutMidStream(), Status(400, {"error": {"message": told}})),
        )
    return House(server, redis, database, url)


def called(house: House, key: str, *models: str, rounds: int = 1) -> None:
    """Calls of models in several manners."""
    messages = [{"role": "user", "content": PROMPT}]
    for model, path, stream, _ in itertools.product(
        models, ("/v1/chat/completions", "/v1/messages"), (False, True), range(rounds)
    ):
        body = {"model": model, "messages": messages, "max_tokens": 9, "stream": stream}
        if path == "/v1/chat/completions":
            body |= {"user": "somebody", "metadata": {"about": METADATA}}
        house.ask(path, body, key=key, headers={"x-canary": IN_HEADER})


def misused(house: House, key: str) -> None:
    """Calls that are wrong: their bodies, their keys, their paths."""
    chat = "/v1/chat/completions"
    for content in (
        f'{{"model": "openai", "messages": "{PROMPT}',
        f'{{"{PROMPT}": 1, "{PROMPT}": ',
        f"{PROMPT}",
        json.dumps([PROMPT]),
        json.dumps({"model": "openai", "messages": [{"role": "user", "content": {"x": PROMPT}}]}),
        json.dumps({"model": "openai", "messages": [{"role": PROMPT, "content": [PROMPT]}]}),
        json.dumps({"model": "openai", "messages": PROMPT, "temperature": PROMPT}),
        json.dumps({"model": "openai", "messages": [], "stream": PROMPT, "metadata": METADATA}),
        json.dumps({"model": "openai", "messages": [PROMPT], "user": [METADATA], "tags": METADATA}),
    ):
        house.ask(chat, content=content, key=key)
    body = {"model": "openai", "messages": [{"role": "user", "content": PROMPT}]}
    unknown = quote(UNKNOWN)
    house.ask(chat, body, key=UNKNOWN)
    house.ask(chat, body, key="", headers={"x-api-key": UNKNOWN})
    house.ask(chat, body, headers={"authorization": f"Basic {UNKNOWN}"})
    house.ask(f"/v1beta/models/openai:generateContent?key={unknown}", {}, key="")
    house.ask(f"/v1beta/models/nothing:generateContent?key={quote(key)}", {}, key="")
    house.ask(f"/no/such/path?key={unknown}&token={quote(MASTER)}")
    house.ask("/away", body)
    house.ask("/away", body, key=UNKNOWN)


def managed(house: House) -> None:
    """Management as it should be and not, with secrets in the bodies."""
    stored = {
        "model": "openai/m",
        "api_key": PROVIDERS["stored"],
        "api_base": "http://127.0.0.1:9/v1",
    }
    made = house.ask("/model/new", {"model_name": "stored", "litellm_params": stored})
    assert made.status_code == 200, made.text
    assert found_in(made.text, SECRETS) == []
    for params in (
        {**stored, "timeout": "soon"},
        {**stored, "model": 5},
        {"api_key": [UNKNOWN]},
        UNKNOWN,
    ):
        house.ask("/model/new", {"model_name": "bad", "litellm_params": params})
    house.ask("/model/update", {"model_info": {"id": "nothing"}, "litellm_params": stored})
    for path, body in (
        ("/key/generate", {"key": VIRTUAL}),
        ("/key/generate", {"key": UNKNOWN, "max_budget": "much"}),
        ("/key/generate", {"key": [UNKNOWN], "models": UNKNOWN}),
        ("/key/update", {"key": UNKNOWN, "max_budget": 1}),
        ("/key/delete", {"keys": [UNKNOWN]}),
        ("/key/block", {"key": UNKNOWN}),
        ("/key/unblock", {"key": UNKNOWN}),
        (f"/key/{UNKNOWN}/regenerate", {}),
        ("/key/regenerate", {"key": UNKNOWN}),
        ("/user/new", {"user_id": "u", "key": UNKNOWN, "max_budget": [UNKNOWN]}),
    ):
        house.ask(path, body)
    for path in ("/key/generate", "/model/new", "/team/new"):
        house.ask(path, content=f'{{"key": "{UNKNOWN}", "api_key": "{UNKNOWN}')
        house.ask(path, content=json.dumps(UNKNOWN))


@pytest.mark.criterion("R11.1", "R15.3")
def test_no_secret_and_no_prompt_comes_out_whatever_fails(house: House) -> None:
    made = house.ask("/key/generate", {"key": VIRTUAL, "max_budget": 100, "rpm_limit": 10**6})
    key = made.json()["key"]
    assert key == VIRTUAL
    managed(house)
    called(house, key, *PROVIDERS, rounds=2)
    # A provider's own words, without its secrets, are for whoever asked it.
    assert {told: found for told in house.told if (found := found_in(told, SECRETS))} == {}
    house.told.clear()
    misused(house, key)
    fleet = Fleet([house.server], house.database_url)
    fleet.until(fleet.rows, lambda rows: len({row["status"] for row in rows}) >= 2)
    assert leaks(house.shown(key)) == {}
    assert leaks(house.shared()) == {}
    house.database.kill()
    called(house, key, "openai", "cohere")
    house.ask("/v1/chat/completions", {"model": "openai", "messages": []}, key=UNKNOWN)
    managed_without_database(house)
    house.redis.kill()
    called(house, key, "openai", "cohere")
    house.shown(key)
    assert leaks(house.files()) == {}
    house.database.start()
    house.redis.start()
    fleet.until(lambda: house.server.status("/health/readiness"), lambda status: status == 200)
    called(house, key, "openai", "cohere")
    assert leaks(house.shown(key)) == {}
    assert leaks(house.shared()) == {}
    assert house.server.stop() == 0
    assert leaks(house.files()) == {}
    assert leaks(house.rows()) == {}
    log = house.server.log()
    assert "stream failed" in log
    assert leaks({line: line for line in log.splitlines()}) == {}
    assert leaks({told: told for told in house.told}) == {}


def managed_without_database(house: House) -> None:
    for path, body in (
        ("/key/generate", {"key": f"sk-{UNKNOWN}"}),
        ("/key/delete", {"keys": [VIRTUAL]}),
        (
            "/model/new",
            {"model_name": "x", "litellm_params": {"model": "openai/m", "api_key": UNKNOWN}},
        ),
    ):
        assert house.ask(path, body).status_code == 503


def leaks(texts: dict[str, str]) -> dict[str, list[str]]:
    """What stands in which text, of all that may not."""
    every = SECRETS + CONTENT
    return {name: found for name, text in texts.items() if (found := found_in(text, every))}


@pytest.mark.criterion("R11.1")
@pytest.mark.parametrize("store", ["database", "redis"])
def test_a_store_that_refuses_the_password_is_told_of_without_it(
    redis: RedisServer, database: PostgresServer, store: str, gateway: Gateways
) -> None:
    wrong = "canary-of-a-wrong-password"
    url = database.database()
    general: dict[str, Any] = {"master_key": MASTER, "database_url": url}
    router: dict[str, Any] = {"redis_url": redis.url}
    if store == "database":
        general["database_url"] = url.replace(quote(DATABASE, safe=""), wrong)
    else:
        router["redis_url"] = redis.url.replace(REDIS, wrong)
    model = {"model_name": "m", "litellm_params": {"model": "openai/m", "mock_response": "Hi"}}
    config = {"general_settings": general, "router_settings": router, "model_list": [model]}
    server = gateway(config, ready=False)
    if store == "database":
        assert server.wait() == 2
    else:
        Fleet.until(lambda: server.status("/health/readiness"), lambda status: status == 503)
        assert server.stop() == 0
    assert found_in(server.log(), (wrong, DATABASE, REDIS, MASTER)) == []
