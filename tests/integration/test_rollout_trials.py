"""A candidate decides for a share of the calls, and what becomes of them decides about it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.fakes import FakeOpenAI, Status
from tests.support.bundles import TRAINING, mock, routed, used
from tests.support.gateway import Gateway, Gateways
from tests.support.providers import Providers
from tests.support.redis import RedisServer, redis_server
from tests.support.rollout import Buckets
from tests.support.s3 import S3, moto
from trunkline.routing.bundles.manifest import Label
from trunkline.routing.bundles.writing import bundle_files, tar

from .test_hot_reload import ALLOWED, CLIENT, KEY, wait_until, watched

GOOD, FAILS, DEAR = "good", "fails", "dear"
LEAST = 20
SHARE = 0.5


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    with moto(tmp_path_factory.mktemp("moto")) as s3:
        yield s3


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    with redis_server(tmp_path, password="redis-secret") as server:
        yield server


def to(model: str, version: str) -> bytes:
    """A bundle by which everything goes to one model. version: of it."""
    files = bundle_files(
        strategy="llmrouter-knn",
        labels=[Label(name=model)],
        tensors={
            "points": np.ones((1, used().dimension), np.float32),
            "point_labels": np.zeros(1, np.int64),
        },
        parameters={"n_neighbors": 1, "weights": "uniform", "metric": "euclidean"},
        training=TRAINING,
        created="2026-01-02",
        embedder=used(),
        version=version,
    )
    return tar(files)


def model(upstream: FakeOpenAI, name: str, dollars: float) -> dict[str, Any]:
    params = {"model": f"openai/{name}", "api_base": upstream.base_url, "api_key": "sk-up"}
    prices = {"input_cost_per_token": dollars, "output_cost_per_token": dollars}
    return {"model_name": name, "litellm_params": params, "model_info": prices}


def ask(server: Gateway, **fields: Any) -> tuple[int, str, str]:
    """Status, bundle and call id."""
    body = {"model": "auto", "messages": [{"role": "user", "content": "Hi"}], **fields}
    answer = CLIENT.post(f"{server.url}/v1/chat/completions", json=body, headers=ALLOWED)
    headers = answer.headers
    return (
        answer.status_code,
        headers.get("x-trunkline-bundle", ""),
        headers["x-trunkline-call-id"],
    )


def judge(server: Gateway, call_id: str, score: float) -> None:
    body = {"call_id": call_id, "score": score}
    assert CLIENT.post(f"{server.url}/v1/feedback", json=body, headers=ALLOWED).status_code == 200


@pytest.mark.timeout(300)
@pytest.mark.criterion("R3.2")
def test_a_candidate_comes_into_force_or_goes_by_what_becomes_of_its_calls(
    s3: S3,
    redis: RedisServer,
    gateway: Gateways,
    fakes: Providers,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    buckets = Buckets(s3, "trials", monkeypatch)
    buckets.secret("cache", {"REDIS_PASSWORD": redis.password})
    trial = {"canary_share": SHARE, "canary_minutes": 60, "guard_least_calls": LEAST}
    trial |= {"secrets": "trials/cache"}
    shared = {"REDIS_HOST": "127.0.0.1", "REDIS_PORT": redis.port}
    buckets.configure(**trial, **shared)
    good, failing = fakes(FakeOpenAI), fakes(FakeOpenAI)
    failing.fault(Status(500), always=True)
    place = f"s3://{buckets.bundles}/active.json"
    config = routed(
        [model(good, GOOD, 1e-6), model(failing, FAILS, 1e-6), model(good, DEAR, 5e-6)],
        "llmrouter-knn",
        model_path=place,
    )
    config["router_settings"] |= {
        "redis_url": redis.url,
        "num_retries": 0,
        "disable_cooldowns": True,
    }
    config["general_settings"] = {"master_key": KEY}
    # The first bundle has nothing beside which it could be tried.
    assert buckets.upload("incoming/1.tar", to(GOOD, "v1"))["action"] == "accepted"
    server = gateway(config, arguments=["--workers", "2"], env=s3.environment())
    buckets.told()

    def begin(number: int, name: str) -> None:
        assert (
            buckets.upload(f"incoming/{number}.tar", to(name, f"v{number}"))["action"] == "canary"
        )
        wait_until(lambda: f"v{number} for 50%" in watched(server)["version"])
        # Both processes have it when calls of both arms come from every one of them.
        server.wait_until_said(f"v{number} for 50%", times=2)

    def calls(least: int, **fields: Any) -> list[tuple[int, str, str]]:
        """So many of each arm at least."""
        found: list[tuple[int, str, str]] = []
        while min((Counter(bundle for _, bundle, _ in found) or {"": 0}).values()) < least or (
            len({bundle for _, bundle, _ in found}) < 2
        ):
            found.append(ask(server, **fields))
        return found

    def ends(action: str, reason: str) -> None:
        """Counts come half a second late."""
        last: dict[str, Any] = {}

        def ended() -> bool:
            last.update(buckets.tick())
            return last["action"] != "waiting"

        wait_until(ended)
        assert (last["action"], reason in last["reason"]) == (action, True), last
        ((subject, message),) = buckets.told()
        assert (action in subject, last["reason"] in message) == (True, True)
        version = buckets.pointer.current
        assert version is not None
        wait_until(lambda: watched(server)["version"] == version.name)

    # One that fails.
    begin(2, FAILS)
    found = calls(LEAST)
    assert {(status, bundle) for status, bundle, _ in found} == {
        (200, "v1"),
        (500, ""),
    }  # errors tell no bundle
    ends("withdrawn", "100.0% of its")
    assert {ask(server)[:2] for _ in range(20)} == {(200, "v1")}
    # One that costs too much. A person's calls are all decided by one of the two.
    begin(3, DEAR)
    for person in range(8):
        assert len({ask(server, user=f"person-{person}")[1] for _ in range(4)}) == 1
    calls(LEAST)
    ends("withdrawn", "a call costs")
    # One whose answers nobody likes; what is said of calls of no trial counts for nothing.
    judge(server, "0" * 32, 0.0)
    # It knows the deployment by another of its names.
    begin(4, f"openai/{GOOD}")
    found = calls(LEAST)
    assert {(status, bundle) for status, bundle, _ in found} == {(200, "v1"), (200, "v4")}
    for _, bundle, call_id in found:
        judge(server, call_id, 0.2 if bundle == "v4" else 0.9)
    ends("withdrawn", "its answers are judged 0.200 on average, and the others 0.900")
    # One that the gateway can't use, though the function, which knows no configuration, could.
    begin_unusable = buckets.upload("incoming/5.tar", to("nowhere", "v5"))
    assert begin_unusable["action"] == "canary"
    ends("withdrawn", "processes that can't decide by it")
    # One that is as good, once its time is over.
    buckets.configure(**trial | {"canary_minutes": 0.02}, **shared)
    begin(6, GOOD)
    calls(LEAST)
    ends("promoted", "every guard held")
    assert {ask(server)[:2] for _ in range(20)} == {(200, "v6")}
    assert buckets.pointer.previous is not None
    assert buckets.pointer.previous.name == "v1"
    assert buckets.tick()["action"] == "idle"
    tags = buckets.s3.client.get_object_tagging(Bucket=buckets.bundles, Key="incoming/4.tar")
    assert {"Key": "trunkline", "Value": "withdrawn"} in tags["TagSet"]


def test_a_trial_goes_on_while_redis_is_away(
    s3: S3,
    redis: RedisServer,
    gateway: Gateways,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
):
    """Calls are decided as before, nobody waits for counts, and nothing is concluded of none."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    buckets = Buckets(s3, "away", monkeypatch)
    buckets.secret("REDIS_PASSWORD", redis.password)
    buckets.configure(
        canary_share=SHARE,
        secrets="away/REDIS_PASSWORD",
        REDIS_HOST="127.0.0.1",
        REDIS_PORT=redis.port,
    )
    config = routed(
        [mock(GOOD, "Hi")], "llmrouter-knn", model_path=f"s3://{buckets.bundles}/active.json"
    )
    config["router_settings"]["redis_url"] = redis.url
    config["general_settings"] = {"master_key": KEY, "accounts": False}
    buckets.upload("incoming/1.tar", to(GOOD, "v1"))
    server = gateway(config, env=s3.environment())
    buckets.upload("incoming/2.tar", to(GOOD, "v2"))
    wait_until(lambda: "v2 for 50%" in watched(server)["version"])
    redis.kill()
    assert {ask(server)[:2] for _ in range(40)} == {(200, "v1"), (200, "v2")}
    with pytest.raises(Exception, match="what became of the trial can't be read"):
        buckets.tick()
    redis.start()

    def counted() -> bool:
        ask(server)
        reason = buckets.tick()["reason"]
        return not reason.startswith("0 of")

    wait_until(counted)
