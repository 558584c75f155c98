"""Whatever is killed, each call that was answered is recorded once, and no valid key is refused."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.fakes import FakeOpenAI, SlowDrip, Status
from tests.fakes.reply import Exchange
from tests.support.accounts import Fleet, config, cost
from tests.support.gateway import Gateways
from tests.support.management import MASTER
from tests.support.postgres import PostgresServer, postgres_server
from tests.support.providers import Providers
from tests.support.redis import RedisServer, redis_server
from tests.support.traffic import Traffic

CLIENTS = 8


@pytest.fixture(scope="module")
def openai(fakes: Providers) -> FakeOpenAI:
    return fakes(FakeOpenAI)


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    with redis_server(tmp_path) as server:
        yield server


@pytest.fixture
def database(tmp_path: Path) -> Iterator[PostgresServer]:
    with postgres_server(durable=True) as server:
        yield server


@pytest.mark.criterion("R4.1", "R12.2")
@pytest.mark.parametrize("shared", [False, True], ids=["journal", "stream"])
def test_a_killed_gateway_loses_no_call_that_it_answered(
    gateway: Gateways,
    openai: FakeOpenAI,
    redis: RedisServer,
    database: PostgresServer,
    shared: bool,
) -> None:
    general = {"database_url": database.database()}
    router = {"redis_url": redis.url} if shared else {}
    settings = config(openai, general_settings=general, router_settings=router)
    first = gateway(settings)
    fleet = Fleet([first], general["database_url"])
    key = fleet.admin.key(rpm_limit=10**6, max_budget=100)
    traffic = Traffic(first.url, key, CLIENTS)
    with traffic.flowing():
        fleet.until(lambda: len(traffic.answered), lambda count: count > 50)
        first.kill()
    data = {"data_directory": str(first.folder / ".trunkline")}
    gateway(config(openai, general_settings={**general, **data}, router_settings=router))
    fleet.recorded(traffic.answered)


@pytest.mark.criterion("R4.3", "R4.1")
def test_calls_go_on_without_redis_and_are_counted_when_it_is_back(
    gateway: Gateways, openai: FakeOpenAI, redis: RedisServer, database: PostgresServer
) -> None:
    general = {"database_url": database.database()}
    settings = config(openai, general_settings=general, router_settings={"redis_url": redis.url})
    server = gateway(settings)
    fleet = Fleet([server], general["database_url"])
    key = fleet.admin.key(rpm_limit=10**6, max_budget=100)
    traffic = Traffic(server.url, key, CLIENTS)
    with traffic.flowing():
        fleet.until(lambda: len(traffic.answered), lambda count: count > 20)
        redis.kill()
        time.sleep(1.5)
        assert server.status("/health/readiness") == 503
        redis.start()
        fleet.until(lambda: server.status("/health/readiness"), lambda status: status == 200)
        time.sleep(1.0)
    assert traffic.failed == []
    fleet.recorded(traffic.answered)
    spent = sum(row["spend"] for row in fleet.rows() if row["api_key"])
    fleet.until(
        lambda: fleet.admin.ask("/key/info", key=key)["info"]["spend"],
        lambda told: round(told * 1e9) == spent,
    )


@pytest.mark.criterion("R4.3", "R11.6")
def test_without_redis_calls_are_denied_where_that_is_configured(
    gateway: Gateways, openai: FakeOpenAI, redis: RedisServer
) -> None:
    router = {"redis_url": redis.url, "redis_failure": "deny"}
    server = gateway(config(openai, router_settings=router))
    fleet = Fleet([server])
    key = fleet.admin.key(rpm_limit=1000)
    assert fleet.one(key).status == 200
    redis.kill()
    answer = fleet.until(lambda: fleet.one(key), lambda answer: answer.status == 503)
    assert answer.body["error"]["code"] == "limits_unavailable"
    assert answer.headers["retry-after"] == "1"
    redis.start()
    fleet.until(lambda: fleet.one(key), lambda answer: answer.status == 200)


@pytest.mark.criterion("R4.1", "R11.4")
def test_a_valid_key_goes_on_without_the_database(
    gateway: Gateways, openai: FakeOpenAI, database: PostgresServer
) -> None:
    general = {"database_url": database.database(), "user_api_key_cache_ttl": 0.5}
    server = gateway(config(openai, general_settings=general))
    fleet = Fleet([server], general["database_url"])
    key, unseen = fleet.admin.key(max_budget=100), fleet.admin.key()
    traffic = Traffic(server.url, key, CLIENTS)
    with traffic.flowing():
        fleet.until(lambda: len(traffic.answered), lambda count: count > 20)
        database.kill()
        time.sleep(2.0)
        assert server.status("/health/readiness") == 503
        refused = fleet.one(unseen)
        assert refused.status == 503
        assert refused.body["error"]["code"] == "database_unavailable"
        assert refused.headers["retry-after"]
        assert fleet.one("sk-nobody-has-this-key").status == 503
        database.start()
        fleet.until(lambda: server.status("/health/readiness"), lambda status: status == 200)
        time.sleep(1.0)
    assert traffic.failed == []
    fleet.recorded(traffic.answered)
    assert fleet.one(unseen).status == 200
    assert fleet.one("sk-nobody-has-this-key").status == 401


@pytest.mark.criterion("R12.1")
def test_a_client_that_leaves_a_stream_is_charged_for_what_came(
    gateway: Gateways, openai: FakeOpenAI
) -> None:
    fleet = Fleet([gateway(config(openai))])
    openai.fault(SlowDrip(0.05))
    openai.answer(text=" ".join(["word"] * 200))
    key = fleet.admin.key(max_budget=1)

    async def leave() -> str:
        body = {
            "model": "m",
            "stream": True,
            "messages": [{"role": "user", "content": "one two three four"}],
        }
        headers = {"authorization": f"Bearer {key}"}
        url = f"{fleet.gateways[0].url}/v1/chat/completions"
        async with (
            httpx.AsyncClient(headers=headers) as client,
            client.stream("POST", url, json=body) as answer,
        ):
            came = 0
            async for line in answer.aiter_lines():
                came += line.startswith("data:")
                if came == 20:
                    break
            return str(answer.headers["x-trunkline-call-id"])

    call_id = asyncio.run(leave())
    (row,) = fleet.until(lambda: [row for row in fleet.rows() if row["request_id"] == call_id], len)
    assert row["status"] == "cancelled"
    assert 10 <= row["completion_tokens"] <= 60
    usage = {name: row[name] for name in ("prompt_tokens", "completion_tokens")}
    assert row["spend"] == cost(usage) > 0


def test_a_stream_is_recorded_before_its_last_frame_leaves(
    gateway: Gateways, openai: FakeOpenAI
) -> None:
    server = gateway(config(openai))
    body = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "one two"}]}
    headers = {"authorization": f"Bearer {MASTER}"}
    ids = []
    with httpx.Client(headers=headers) as client:
        for _ in range(5):
            url = f"{server.url}/v1/chat/completions"
            with client.stream("POST", url, json=body) as answer:
                for line in answer.iter_lines():
                    if line == "data: [DONE]":
                        ids.append(answer.headers["x-trunkline-call-id"])
                        break
        server.kill()
    journals = (server.folder / ".trunkline" / "ledger").glob("*.journal")
    kept = b"".join(path.read_bytes() for path in journals)
    rows = {row["request_id"] for row in Fleet([server]).rows()}
    assert all(call_id in rows or call_id.encode() in kept for call_id in ids)


@dataclass(frozen=True)
class LateStatus(Status):
    """Answers with the status after some seconds."""

    async def before(self, x: Exchange) -> None:
        await asyncio.sleep(5)
        await super().before(x)


def test_a_call_that_fails_after_its_client_left_it_to_another_is_recorded(
    gateway: Gateways, openai: FakeOpenAI
) -> None:
    told = {"cache": True, "cache_params": {"type": "local"}}
    fleet = Fleet([gateway(config(openai, litellm_settings=told))])
    headers = {"authorization": f"Bearer {fleet.admin.key()}"}
    url = f"{fleet.gateways[0].url}/v1/chat/completions"
    body = {"model": "m", "messages": [{"role": "user", "content": "one two three"}]}
    openai.fault(LateStatus(400))
    before = len(openai.requests)
    with ThreadPoolExecutor(1) as pool, httpx.Client(headers=headers, timeout=30) as second:
        leaving = pool.submit(httpx.post, url, json=body, headers=headers, timeout=2)
        fleet.until(lambda: len(openai.requests), lambda count: count > before)
        # Waits for the first one's answer, and where that fails asks for one of its own.
        assert second.post(url, json=body).status_code == 200
        with pytest.raises(httpx.ReadTimeout):
            leaving.result()
    assert len(openai.requests) == before + 2
    rows = fleet.until(fleet.rows, lambda rows: len(rows) == 2)
    assert sorted(row["status"] for row in rows) == ["failure", "success"]
