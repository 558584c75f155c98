"""Answers that were given before are given again: to whom, for how long, and to nobody else."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from tests.fakes import CutMidStream, FakeAnthropic, FakeOpenAI, Hold, Status, Tokens
from tests.support import accounts
from tests.support.gateway import Gateway, Gateways
from tests.support.providers import Providers
from tests.support.redis import RedisServer, redis_server
from tests.support.s3 import S3, moto

KEY = "sk-master-of-the-cache"
BUCKET = "answers"


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis"), password="hush-redis-canary") as server:
        yield server


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    with moto(tmp_path_factory.mktemp("s3")) as server:
        server.client.create_bucket(Bucket=BUCKET)
        yield server


@pytest.fixture(scope="module")
def fake(fakes: Providers) -> FakeOpenAI:
    return fakes(FakeOpenAI)


def config(fake: FakeOpenAI, params: dict[str, Any] | None = None, **settings: Any) -> dict:
    def entry(name: str, model: str) -> dict[str, Any]:
        way = {"model": f"openai/{model}", "api_base": f"{fake.url}/v1", "api_key": "sk-upstream"}
        return {"model_name": name, "litellm_params": way}

    return {
        "model_list": [
            entry("gpt", "gpt-4o-mini"),
            entry("other", "gpt-4o"),
            entry("vectors", "text-embedding-3-small"),
        ],
        "litellm_settings": {
            "cache": True,
            "num_retries": 0,
            **({"cache_params": params} if params is not None else {}),
            **settings,
        },
        "general_settings": {"master_key": KEY},
    }


@pytest.fixture(scope="module", params=["local", "redis", "disk", "s3"])
def server(
    request: pytest.FixtureRequest, module_gateway: Gateways, fake: FakeOpenAI, tmp_path_factory
) -> Gateway:
    params: dict[str, Any] = {"type": request.param}
    if request.param == "redis":
        redis = request.getfixturevalue("redis")
        params |= {"host": "127.0.0.1", "port": redis.port, "password": redis.password}
    if request.param == "disk":
        params["disk_cache_dir"] = str(tmp_path_factory.mktemp("disk"))
    if request.param == "s3":
        s3 = request.getfixturevalue("s3")
        params |= {"s3_bucket_name": BUCKET, "s3_endpoint_url": s3.url, "s3_path": "kept"}
        params |= {"s3_aws_access_key_id": "testing", "s3_aws_secret_access_key": "testing"}
        params["s3_region_name"] = "us-east-1"
    server = module_gateway(config(fake, params))
    # Connects to the store, which the first question may else wait for for seconds.
    assert control(server, "GET", "/cache/ping").status_code == 200
    return server


def ask(server: Gateway, text: str, path: str = "/v1/chat/completions", **more: Any):
    headers = {"authorization": f"Bearer {KEY}", **more.pop("headers", {})}
    body = {"model": "gpt", "messages": [{"role": "user", "content": text}], **more}
    return httpx.post(f"{server.url}{path}", json=body, headers=headers, timeout=30)


def embed(server: Gateway, *texts: str) -> httpx.Response:
    return httpx.post(
        f"{server.url}/v1/embeddings",
        json={"model": "vectors", "input": list(texts)},
        headers={"authorization": f"Bearer {KEY}"},
        timeout=30,
    )


def control(server: Gateway, method: str, path: str, **more: Any) -> httpx.Response:
    headers = {"authorization": f"Bearer {KEY}"}
    return httpx.request(method, f"{server.url}{path}", headers=headers, timeout=30, **more)


@pytest.mark.criterion("R13.1", "R13.2", "R4.2")
def test_the_same_question_is_answered_once(server: Gateway, fake: FakeOpenAI):
    fake.answer("the only answer", usage=Tokens(input=10, output=5))
    first, second = ask(server, "the same?"), ask(server, "the same?")

    assert first.json() == second.json()
    assert len(fake.requests) == 1
    assert first.headers["x-trunkline-cache"] == "miss"
    assert second.headers["x-trunkline-cache"] == "hit"
    assert second.headers["x-litellm-cache-key"] == first.headers["x-litellm-cache-key"]
    assert float(first.headers["x-trunkline-cost"]) > 0
    assert float(second.headers["x-trunkline-cost"]) == 0
    assert second.headers["content-type"] == "application/json"


@pytest.mark.criterion("R13.1")
@pytest.mark.parametrize(
    "change",
    [
        {"temperature": 0.5},
        {"model": "other"},
        {"user": "somebody"},
        {"max_tokens": 5},
        {"headers": {"x-litellm-tags": "blue"}},
        {"messages": [{"role": "user", "content": "other"}]},
    ],
)
def test_another_question_has_an_answer_of_its_own(
    server: Gateway, fake: FakeOpenAI, change: dict[str, Any]
):
    asked = f"other than {json.dumps(change)}?"
    ask(server, asked)
    assert ask(server, asked, **change).headers["x-trunkline-cache"] == "miss"
    assert len(fake.requests) == 2


def test_what_no_answer_depends_on_is_not_compared(server: Gateway, fake: FakeOpenAI):
    ask(server, "the same for all?")
    again = ask(server, "the same for all?", metadata={"trace": "x"}, litellm_trace_id="abc")
    assert again.headers["x-trunkline-cache"] == "hit"
    assert len(fake.requests) == 1


def test_a_stream_is_replayed_as_a_stream(server: Gateway, fake: FakeOpenAI):
    fake.answer("one two three four")
    first, second = (ask(server, "in pieces?", stream=True) for _ in range(2))

    assert first.content == second.content
    assert second.content.count(b"data: ") > 3
    assert second.headers["content-type"].startswith("text/event-stream")
    assert second.headers["x-trunkline-cache"] == "hit"
    assert len(fake.requests) == 1
    assert ask(server, "in pieces?").headers["x-trunkline-cache"] == "miss"


def test_a_client_of_openai_reads_what_is_kept(server: Gateway, fake: FakeOpenAI):
    fake.answer("one two three")
    client = openai.OpenAI(base_url=f"{server.url}/v1", api_key=KEY, max_retries=0)
    said = []
    for _ in range(2):
        chunks = client.chat.completions.create(
            model="gpt",
            messages=[{"role": "user", "content": "streamed to a client?"}],
            stream=True,
        )
        said.append("".join(chunk.choices[0].delta.content or "" for chunk in chunks))
    assert said[0] == said[1] == "one two three"
    assert len(fake.requests) == 1


def test_a_stream_that_broke_is_not_kept(server: Gateway, fake: FakeOpenAI):
    fake.fault(CutMidStream(after_chunks=2))
    ask(server, "broken?", stream=True)
    assert ask(server, "broken?", stream=True).headers["x-trunkline-cache"] == "miss"
    assert len(fake.requests) == 2


def test_a_failure_is_not_kept(server: Gateway, fake: FakeOpenAI):
    fake.fault(Status(500))
    assert ask(server, "failed?").status_code == 500
    again = ask(server, "failed?")
    assert again.status_code == 200
    assert again.headers["x-trunkline-cache"] == "miss"


@pytest.mark.criterion("R13.3", "R13.6")
def test_a_kept_answer_expires(server: Gateway, fake: FakeOpenAI):
    ask(server, "for how long?", cache={"ttl": 0.3})
    assert ask(server, "for how long?").headers["x-trunkline-cache"] == "hit"
    time.sleep(0.5)
    assert ask(server, "for how long?").headers["x-trunkline-cache"] == "miss"


def test_a_client_says_how_old_an_answer_may_be(server: Gateway, fake: FakeOpenAI):
    ask(server, "how old?")
    time.sleep(0.2)
    assert ask(server, "how old?", cache={"s-maxage": 60}).headers["x-trunkline-cache"] == "hit"
    assert ask(server, "how old?", cache={"s-maxage": 0.1}).headers["x-trunkline-cache"] == "miss"


@pytest.mark.parametrize(
    "control", [{"cache": {"no-cache": True}}, {"headers": {"cache-control": "no-cache"}}]
)
def test_a_client_asks_for_a_new_answer_which_is_kept(
    server: Gateway, fake: FakeOpenAI, control: dict[str, Any]
):
    asked = f"anew by {json.dumps(control)}?"
    fake.answer("the first")
    ask(server, asked)
    fake.answer("the second")
    anew = ask(server, asked, **control)
    assert anew.headers["x-trunkline-cache"] == "miss"
    assert ask(server, asked).json() == anew.json()
    assert len(fake.requests) == 2


@pytest.mark.parametrize(
    "control", [{"cache": {"no-store": True}}, {"headers": {"cache-control": "no-store"}}]
)
def test_a_client_keeps_its_answer_out(server: Gateway, fake: FakeOpenAI, control: dict[str, Any]):
    asked = f"not kept by {json.dumps(control)}?"
    ask(server, asked, **control)
    assert ask(server, asked).headers["x-trunkline-cache"] == "miss"


def test_namespaces_do_not_share(server: Gateway, fake: FakeOpenAI):
    ask(server, "whose?", cache={"namespace": "one"})
    assert ask(server, "whose?", cache={"namespace": "two"}).headers["x-trunkline-cache"] == "miss"
    assert ask(server, "whose?", cache={"namespace": "one"}).headers["x-trunkline-cache"] == "hit"


@pytest.mark.parametrize(
    ("cache", "named"),
    [
        ("yes", "cache"),
        ({"ttl": "long"}, "cache.ttl"),
        ({"ttl": -1}, "cache.ttl"),
        ({"ttl": 1e300}, "cache.ttl"),
        ({"no-cache": 1}, "cache.no-cache"),
        ({"namespace": 7}, "cache.namespace"),
        ({"forever": True}, "cache"),
    ],
)
def test_a_wrong_wish_is_named(server: Gateway, cache: Any, named: str):
    refused = ask(server, "wrong?", cache=cache)
    assert refused.status_code == 400
    assert refused.json()["error"]["param"] == named


@pytest.mark.parametrize("text", ["🙂 é \x00", "\ud800", "x" * 200_000, ""])
def test_any_text_is_answered(server: Gateway, fake: FakeOpenAI, text: str):
    for more in ({}, {"cache": {"namespace": text[:200]}}):
        body = {"model": "gpt", "messages": [{"role": "user", "content": text}], **more}
        headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
        for _ in range(2):
            answer = httpx.post(
                f"{server.url}/v1/chat/completions",
                content=json.dumps(body),
                headers=headers,
                timeout=30,
            )
            assert answer.status_code < 500, answer.text
    deleted = control(server, "POST", "/cache/delete", json={"keys": ["trunkline:answers:🙂"]})
    assert deleted.json()["deleted"] == 0


def test_embeddings_are_kept_text_by_text(server: Gateway, fake: FakeOpenAI):
    whole = embed(server, "ant", "bee").json()
    other = embed(server, "bee", "cat", "ant").json()
    again = embed(server, "cat", "ant")

    assert [request.json["input"] for request in fake.requests] == [["ant", "bee"], ["cat"]]
    vectors = [row["embedding"] for row in other["data"]]
    assert vectors[0] == whole["data"][1]["embedding"]
    assert vectors[2] == whole["data"][0]["embedding"]
    assert [row["index"] for row in other["data"]] == [0, 1, 2]
    assert again.headers["x-trunkline-cache"] == "hit"
    assert [row["embedding"] for row in again.json()["data"]] == [vectors[1], vectors[2]]
    assert again.json()["model"] == whole["model"]
    assert again.json()["usage"]["total_tokens"] == 0


def test_those_who_ask_the_same_at_once_ask_the_provider_once(server: Gateway, fake: FakeOpenAI):
    hold = Hold(after_chunks=1)
    fake.fault(hold)
    fake.answer("one two three four five")
    with ThreadPoolExecutor(20) as pool:
        asked = [pool.submit(ask, server, "all at once?", stream=True) for _ in range(20)]
        time.sleep(4)  # in which all have looked into the store, on a slow machine too
        hold.release()
        answers = [each.result() for each in asked]

    assert len(fake.requests) == 1
    assert len({answer.content for answer in answers}) == 1
    assert b"[DONE]" in answers[0].content
    states = [answer.headers["x-trunkline-cache"] for answer in answers]
    assert states.count("miss") == 1


def test_who_leaves_first_takes_the_answer_from_nobody(server: Gateway, fake: FakeOpenAI):
    hold = Hold(after_chunks=1)
    fake.fault(hold)
    fake.answer("one two three four five")
    body = {"model": "gpt", "stream": True, "messages": [{"role": "user", "content": "left?"}]}
    headers = {"authorization": f"Bearer {KEY}"}
    url = f"{server.url}/v1/chat/completions"
    # Made before, since that may take as long on a slow machine as the first client stays.
    with httpx.Client(headers=headers, timeout=30) as client, ThreadPoolExecutor(1) as pool:
        with httpx.stream("POST", url, json=body, headers=headers, timeout=30) as first:
            next(first.iter_lines())
            other = pool.submit(client.post, url, json=body)
            time.sleep(3.0)  # the slowest store has said by then that it has nothing
        time.sleep(0.3)
        hold.release()
        assert b"[DONE]" in other.result().content
    assert len(fake.requests) == 1


@pytest.mark.criterion("R13.6")
def test_an_answer_is_forgotten_by_its_key(server: Gateway, fake: FakeOpenAI):
    kept = ask(server, "by its key?").headers["x-litellm-cache-key"]
    ask(server, "another key?")
    deleted = control(server, "POST", "/cache/delete", json={"keys": [kept, "elsewhere:1"]})
    assert deleted.json()["deleted"] == 1
    assert ask(server, "by its key?").headers["x-trunkline-cache"] == "miss"
    assert ask(server, "another key?").headers["x-trunkline-cache"] == "hit"


@pytest.mark.criterion("R13.6")
def test_all_answers_are_forgotten(server: Gateway, fake: FakeOpenAI):
    ask(server, "all of it?")
    assert control(server, "POST", "/cache/flushall").json()["deleted"] >= 1
    assert ask(server, "all of it?").headers["x-trunkline-cache"] == "miss"


def test_the_cache_is_managed_with_the_master_key_alone(server: Gateway):
    assert control(server, "GET", "/cache/ping").json()["status"] == "healthy"
    for method, path in (("GET", "/cache/ping"), ("POST", "/cache/flushall")):
        assert httpx.request(method, f"{server.url}{path}").status_code == 401
    refused = control(server, "POST", "/cache/delete", json={"keys": "all"})
    assert refused.status_code == 400
    assert refused.json()["error"]["param"] == "keys"


# What isn't kept, and when there is no cache


@pytest.mark.criterion("R13.4")
def test_parameters_of_single_providers_are_compared_where_that_is_configured(
    gateway: Gateways, fake: FakeOpenAI
):
    on = gateway(config(fake, enable_caching_on_provider_specific_optional_params=True))
    assert ask(on, "top?", top_k=1).headers["x-trunkline-cache"] == "miss"
    assert ask(on, "top?", top_k=2).headers["x-trunkline-cache"] == "miss"
    assert ask(on, "top?", top_k=1).headers["x-trunkline-cache"] == "hit"

    off = gateway(config(fake))
    for _ in range(2):
        assert "x-trunkline-cache" not in ask(off, "top?", top_k=1).headers


def test_where_only_wanted_answers_are_kept_others_are_not(gateway: Gateways, fake: FakeOpenAI):
    server = gateway(config(fake, {"type": "local", "mode": "default_off"}))
    for _ in range(2):
        assert "x-trunkline-cache" not in ask(server, "wanted?").headers
    ask(server, "wanted?", cache={"use-cache": True})
    again = ask(server, "wanted?", cache={"use-cache": True})
    assert again.headers["x-trunkline-cache"] == "hit"


def test_only_the_configured_call_types_are_kept(gateway: Gateways, fake: FakeOpenAI):
    params = {"type": "local", "supported_call_types": ["aembedding", "embedding"]}
    server = gateway(config(fake, params))
    assert "x-trunkline-cache" not in ask(server, "chat?").headers
    embed(server, "dog")
    assert embed(server, "dog").headers["x-trunkline-cache"] == "hit"


def test_what_another_model_answered_is_not_kept(gateway: Gateways, fakes: Providers):
    fake = fakes(FakeOpenAI)
    fallbacks = [{"gpt": ["other"]}]
    server = gateway(config(fake, {"type": "local"}, fallbacks=fallbacks))
    fake.fault(Status(500))
    assert ask(server, "in its place?").headers["x-trunkline-fallbacks"] == "1"
    assert ask(server, "in its place?").headers["x-trunkline-cache"] == "miss"


def test_without_a_cache_nothing_is_kept(gateway: Gateways, fake: FakeOpenAI):
    server = gateway(config(fake) | {"litellm_settings": {"cache": False}})
    for _ in range(2):
        answer = ask(server, "kept?", cache={"ttl": 5})
        assert "x-trunkline-cache" not in answer.headers
    assert len(fake.requests) == 2
    assert "cache" not in fake.requests[0].json
    assert control(server, "POST", "/cache/flushall").status_code == 404


def test_messages_are_kept_too(gateway: Gateways, fakes: Providers):
    claude = fakes(FakeAnthropic)
    way = {"model": "anthropic/claude-sonnet-5", "api_base": claude.url, "api_key": "sk-upstream"}
    models = [{"model_name": "claude", "litellm_params": way}]
    server = gateway({"model_list": models, "litellm_settings": {"cache": True}})
    body = {"model": "claude", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}
    answers = [
        httpx.post(f"{server.url}/v1/messages", json=body | more, timeout=30)
        for more in ({}, {}, {"thinking": {"type": "disabled"}})
    ]
    assert [each.headers["x-trunkline-cache"] for each in answers] == ["miss", "hit", "miss"]
    assert answers[0].content == answers[1].content


@pytest.mark.criterion("R13.5")
def test_hits_and_misses_are_counted(gateway: Gateways, fake: FakeOpenAI):
    settings = {"callbacks": ["prometheus"], "require_auth_for_metrics_endpoint": False}
    server = gateway(config(fake, {"type": "local"}, **settings))
    fake.answer("counted", usage=Tokens(input=10, output=5))
    for _ in range(3):
        ask(server, "counted?")
    counts = httpx.get(f"{server.url}/metrics").text
    assert 'litellm_cache_misses_metric_total{requested_model="gpt"} 1.0' in counts
    assert 'litellm_cache_hits_metric_total{requested_model="gpt"} 2.0' in counts
    assert 'litellm_cached_tokens_metric_total{requested_model="gpt"} 30.0' in counts


# Redis


def test_gateways_share_what_redis_keeps(gateway: Gateways, fake: FakeOpenAI, redis: RedisServer):
    params = {"type": "redis", "redis_url": redis.url, "namespace": "shared"}
    one, two = (gateway(config(fake, params)) for _ in range(2))
    ask(one, "shared?")
    assert ask(two, "shared?").headers["x-trunkline-cache"] == "hit"
    assert all(key.startswith(b"shared:") for key in redis.client.keys("shared*"))
    assert redis.client.pttl(redis.client.keys("shared*")[0]) > 0


def test_the_environment_names_a_redis(gateway: Gateways, fake: FakeOpenAI, redis: RedisServer):
    server = gateway(config(fake), env={"REDIS_URL": redis.url})
    assert control(server, "GET", "/cache/ping").json()["cache_type"] == "redis"


@pytest.mark.parametrize("cache", [False, True])
def test_what_kubernetes_says_of_a_service_called_redis_is_no_port(
    gateway: Gateways, fake: FakeOpenAI, redis: RedisServer, cache: bool
):
    said = {"REDIS_PORT": "tcp://10.0.0.1:6379"}
    server = gateway(config(fake, cache=cache), env=said)
    assert ask(server, "in a cluster?").status_code == 200
    host = {"REDIS_HOST": "127.0.0.1", "REDIS_PASSWORD": redis.password}
    named = {"port": redis.port, "type": "redis"}
    server = gateway(config(fake, named, cache=True), env={**said, **host})
    assert control(server, "GET", "/cache/ping").status_code == 200


def test_without_its_redis_a_gateway_answers_and_with_it_again_keeps(
    gateway: Gateways, fake: FakeOpenAI, tmp_path: Path
):
    with redis_server(tmp_path, password="hush-redis-canary") as redis:
        params = {"type": "redis", "redis_url": redis.url}
        settings = {"callbacks": ["prometheus"], "require_auth_for_metrics_endpoint": False}
        server = gateway(config(fake, params, **settings))
        ask(server, "gone?")
        redis.kill()
        began = time.monotonic()
        for _ in range(5):
            gone = ask(server, "gone?")
            assert gone.status_code == 200
            assert gone.headers["x-trunkline-cache"] == "miss"
        assert time.monotonic() - began < 20
        assert control(server, "GET", "/cache/ping").status_code == 503
        assert httpx.get(f"{server.url}/health/readiness").status_code == 200
        redis.start()
        deadline = time.monotonic() + 20
        while ask(server, "gone?").headers["x-trunkline-cache"] != "hit":
            assert time.monotonic() < deadline
            time.sleep(0.1)
        counts = httpx.get(f"{server.url}/metrics").text
    assert 'trunkline_cache_failures_total{store="redis"}' in counts
    log = server.log()
    assert "answers can't be cached" in log
    assert "hush-redis-canary" not in log


def test_what_somebody_else_wrote_under_a_key_is_a_miss(
    gateway: Gateways, fake: FakeOpenAI, redis: RedisServer
):
    params = {"type": "redis", "redis_url": redis.url, "namespace": "spoilt"}
    server = gateway(config(fake, params))
    key = ask(server, "spoilt?").headers["x-litellm-cache-key"]
    for junk in (b"", b"{}", b"\x00\x00\x00\x02{}rest", b"\xff" * 40):
        redis.client.set(key, junk)
        assert ask(server, "spoilt?").headers["x-trunkline-cache"] == "miss"
        assert ask(server, "spoilt?").headers["x-trunkline-cache"] == "hit"


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"type": "semantic"}, "cache_params.type"),
        ({"type": "s3"}, "cache_params"),
        ({"type": "local", "ttl": "soon"}, "cache_params.ttl"),
        ({"mode": "sometimes"}, "cache_params.mode"),
        ({"redis_url": "nonsense://x"}, "cache_params.redis_url: expected redis://"),
        ({"redis_url": "redis://h:port"}, "cache_params.redis_url: expected redis://"),
    ],
)
def test_a_wrong_configuration_is_refused(
    gateway: Gateways, fake: FakeOpenAI, params: dict[str, Any], said: str
):
    server = gateway(config(fake, params), ready=False)
    assert server.wait() != 0
    assert said in server.log()
    assert "Traceback" not in server.log()


def test_a_restart_keeps_what_is_on_disk(gateway: Gateways, fake: FakeOpenAI, tmp_path: Path):
    params = {"type": "disk", "disk_cache_dir": str(tmp_path)}
    first = gateway(config(fake, params))
    ask(first, "after a restart?")
    first.stop()
    assert (
        ask(gateway(config(fake, params)), "after a restart?").headers["x-trunkline-cache"] == "hit"
    )


def test_two_workers_find_each_others_answers_on_disk(
    gateway: Gateways, fake: FakeOpenAI, tmp_path: Path
):
    params = {"type": "disk", "disk_cache_dir": str(tmp_path)}
    server = gateway(config(fake, params), arguments=["--workers", "2"])

    async def all_of_them() -> list[str]:
        async with httpx.AsyncClient(timeout=30) as client:
            body = {"model": "gpt", "messages": [{"role": "user", "content": "both?"}]}
            headers = {"authorization": f"Bearer {KEY}"}
            url = f"{server.url}/v1/chat/completions"
            asked = [client.post(url, json=body, headers=headers) for _ in range(20)]
            return [each.headers["x-trunkline-cache"] for each in await asyncio.gather(*asked)]

    ask(server, "both?")
    assert set(asyncio.run(all_of_them())) == {"hit"}


@pytest.mark.criterion("R13.1")
@pytest.mark.parametrize(
    ("scope", "shared"), [("key", False), ("team", True), ("global", True)], ids=str
)
def test_keys_share_answers_as_far_as_is_configured(
    gateway: Gateways, fakes: Providers, scope: str, shared: bool
) -> None:
    settings = accounts.config(
        fakes(FakeOpenAI),
        litellm_settings={"cache": True, "cache_params": {"type": "local", "scope": scope}},
    )
    fleet = accounts.Fleet([gateway(settings)])
    team = fleet.admin.ask("/team/new", {"team_alias": "cached"})["team_id"]
    first, second = (fleet.admin.key(team_id=team, max_budget=1) for _ in range(2))
    stranger = fleet.admin.key()
    assert fleet.one(first).headers["x-trunkline-cache"] == "miss"
    hit = fleet.one(first)
    assert hit.headers["x-trunkline-cache"] == "hit"
    other = fleet.one(second)
    assert other.headers["x-trunkline-cache"] == ("hit" if shared else "miss")
    of_stranger = fleet.one(stranger).headers["x-trunkline-cache"]
    assert of_stranger == ("hit" if scope == "global" else "miss")
    (row,) = fleet.rows_of([hit])
    assert (row["cache_hit"], row["spend"]) == (1, 0)
