"""What is uploaded to a bucket is judged by the function on Lambda, and served by every process."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import numpy as np
import pytest

from tests.support.bundles import TRAINING, knn_files, mock, routed, used
from tests.support.gateway import Gateway, Gateways
from tests.support.redis import redis_server
from tests.support.rollout import Buckets
from tests.support.s3 import S3, moto
from trunkline.cli import main
from trunkline.routing.bundles.manifest import Label
from trunkline.routing.bundles.signing import generate
from trunkline.routing.bundles.writing import bundle_files, tar

from .test_hot_reload import (
    ALLOWED,
    EASY,
    HARD,
    KEY,
    LARGE,
    SMALL,
    ask,
    decided,
    numbered,
    wait_until,
    watched,
)

ROLLOUTS = 10
MODELS = [mock(SMALL, "from the small"), mock(LARGE, "from the large")]


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    with moto(tmp_path_factory.mktemp("moto")) as s3:
        yield s3


@pytest.fixture
def buckets(
    s3: S3, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Buckets:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    name = f"t{abs(hash(request.node.nodeid)) % 10**9}"
    return Buckets(s3, name, monkeypatch)


def configuration(buckets: Buckets, *, accounts: bool = True, **args: Any) -> dict[str, Any]:
    place = f"s3://{buckets.bundles}/active.json"
    found = routed(MODELS, "llmrouter-knn", model_path=place, **args)
    return found | {"general_settings": {"master_key": KEY, "accounts": accounts}}


def in_config(found: dict[str, Any]) -> bytes:
    return json.dumps(found).encode()  # which is YAML


def everybody_serves(servers: list[Gateway], version: str) -> bool:
    """Each connection to a gateway of several processes falls to one of them at random."""
    wanted = {(decided(version, HARD), version)}
    return all({ask(server) for _ in range(16)} == wanted for server in servers)


@asynccontextmanager
async def calling(servers: list[Gateway]) -> AsyncIterator[list[tuple[int, str, str, str]]]:
    """Calls over and over; gives status, question, model and version of each."""
    found: list[tuple[int, str, str, str]] = []
    stop = asyncio.Event()

    async def client(server: Gateway, text: str) -> None:
        connector = aiohttp.TCPConnector(force_close=True)
        async with aiohttp.ClientSession(connector=connector, headers=ALLOWED) as session:
            body = {"model": "auto", "messages": [{"role": "user", "content": text}]}
            while not stop.is_set():
                url = f"{server.url}/v1/chat/completions"
                async with session.post(url, json=body) as answer:
                    await answer.read()
                    model = answer.headers.get("x-trunkline-model", "").removeprefix("openai/")
                    version = answer.headers.get("x-trunkline-bundle", "")
                    found.append((answer.status, text, model, version))

    clients = [asyncio.create_task(client(each, text)) for each in servers for text in (EASY, HARD)]
    try:
        yield found
    finally:
        stop.set()
        await asyncio.gather(*clients)


@pytest.mark.timeout(300)
@pytest.mark.criterion("R3.2")
@pytest.mark.criterion("R3.4")
@pytest.mark.criterion("R5.5")
async def test_uploads_reach_every_process_at_once_and_no_call_fails(
    buckets: Buckets, gateway: Gateways, tmp_path: Path
):
    """No process looks by itself; Redis tells all of them."""
    with redis_server(tmp_path) as redis:
        buckets.configure(REDIS_HOST="127.0.0.1", REDIS_PORT=redis.port)
        first = await asyncio.to_thread(buckets.upload, "incoming/v1.tar", numbered(1))
        assert first["action"] == "accepted"
        servers = []
        for accounts, workers in ((True, "2"), (False, "1")):
            config = configuration(buckets, accounts=accounts)
            config["router_settings"]["redis_url"] = redis.url
            env = buckets.s3.environment()
            servers.append(gateway(config, arguments=["--workers", workers], env=env))
        async with calling(servers) as calls:
            for number in range(2, ROLLOUTS + 2):
                version = f"v{number}"
                await asyncio.to_thread(buckets.upload, "incoming/r.tar", numbered(number))
                await asyncio.to_thread(
                    wait_until, lambda version=version: everybody_serves(servers, version)
                )
    assert {status for status, *_ in calls} == {200}
    assert all(model == decided(version, text) for _, text, model, version in calls)
    assert len({version for *_, version in calls}) > ROLLOUTS // 2
    assert buckets.pointer.revision == ROLLOUTS + 1
    found = watched(servers[0])
    assert found["interval"] is None
    assert found["reloads"] == ROLLOUTS
    assert found["previous_version"] == f"v{ROLLOUTS}"


@pytest.mark.criterion("R3.1")
def test_without_redis_every_gateway_looks_for_itself(buckets: Buckets, gateway: Gateways):
    buckets.upload("incoming/r.tar", numbered(1))
    config = configuration(buckets, hot_reload=True, reload_interval=1)
    server = gateway(config, env=buckets.s3.environment())
    assert ask(server) == (LARGE, "v1")
    found = watched(server)
    assert found["source"] == f"s3://{buckets.bundles}/active.json"
    buckets.upload("incoming/r.tar", numbered(2))
    wait_until(lambda: watched(server)["version"] == "v2")
    assert ask(server) == (SMALL, "v2")
    # What lies beside the pointer is nothing to it.
    buckets.put("incoming/r.tar", numbered(3))
    place = ["--bundles", f"s3://{buckets.bundles}"]
    assert command("rollback", *place)[0] == 0
    wait_until(lambda: watched(server)["version"] == "v1")
    assert ask(server) == (LARGE, "v1")


def command(*arguments: str) -> tuple[int, str]:
    """The exit code of `trunkline rollout …`, and what it printed."""
    import contextlib
    import io

    said = io.StringIO()
    with (
        contextlib.redirect_stdout(said),
        contextlib.redirect_stderr(said),
        pytest.raises(SystemExit) as ended,
    ):
        main(["rollout", *arguments])
    return int(ended.value.code or 0), said.getvalue()


def knn(**fields: Any) -> bytes:
    return tar(knn_files({EASY: SMALL, HARD: LARGE}, **fields))


def points(change: Callable[[np.ndarray], np.ndarray]) -> dict[str, Any]:
    found = change(np.ones((2, used().dimension), np.float32))
    return {"tensors": {"points": found, "point_labels": np.array([0, 1], np.int64)}}


@pytest.mark.timeout(300)
@pytest.mark.criterion("R3.2")
def test_what_is_bad_is_refused_told_and_tagged_and_nothing_changes(buckets: Buckets):
    private, public = generate()
    other, _ = generate()
    config = configuration(buckets)
    good = numbered(1)
    assert buckets.upload("incoming/good.tar", good)["action"] == "accepted"
    uploaded = buckets.put("incoming/c.yaml", in_config(config), buckets.configuration)
    assert buckets.invoke(uploaded)["action"] == "accepted"
    assert buckets.tags(uploaded) == {"trunkline": "accepted"}
    buckets.told()
    nan = points(lambda found: found * np.nan)
    narrow = points(lambda found: found[:, :3])
    doubles = points(lambda found: found.astype(np.float64))
    strange = tar(knn_files({EASY: SMALL, HARD: "enormous"}))
    cluster = bundle_files(
        strategy="llmrouter-mlp",
        labels=[Label(name=SMALL)],
        tensors={"x": np.zeros(1, np.float32)},
        training=TRAINING,
        created="2026-01-02",
        embedder=used(),
    )
    bundles: list[tuple[str, bytes, str]] = [
        ("no tar", b"junk", "not a bundle"),
        ("cut", good[:2000], "missing"),
        ("not a number", knn(**nan), "not finite"),
        ("narrow", knn(**narrow), "must have the shape"),
        ("doubles", knn(**doubles), "must be float16 or float32"),
        ("strange label", strange, "no deployment is called 'enormous'"),
        ("another strategy", tar(cluster), "it is a bundle of llmrouter-mlp"),
        ("too large", bytes(2**20), "more than the"),
    ]
    buckets.upload(
        "incoming/limit.yaml",
        in_config(config | {"general_settings": {"master_key": KEY, "bundle_size_limit_mb": 0.5}}),
        buckets.configuration,
    )
    before = buckets.pointer, buckets.found(buckets.configuration)
    for name, data, told in bundles:
        event = buckets.put("incoming/bad.tar", data)
        found = buckets.invoke(event)
        assert found["action"] == "refused", name
        assert told in found["reason"], name
        tags = buckets.tags(event)
        assert tags["trunkline"] == "refused"
        assert tags["trunkline-reason"]
        ((subject, message),) = buckets.told()
        assert subject == "Trunkline: refused: incoming/bad.tar"
        assert found["reason"] in message
    buckets.configure(public_key=public.decode())
    signed = knn(signing_key=private)
    altered = signed.replace(b'"queries":2', b'"queries":9')
    for name, data, told in [
        ("unsigned", knn(), "not signed"),
        ("altered", altered, "altered after it was signed"),
        ("another's", knn(signing_key=other), "is trusted"),
    ]:
        found = buckets.upload("incoming/bad.tar", data)
        assert (found["action"], told in found["reason"]) == ("refused", True), name
    for text, told in [
        (b"model_list: 3", "incoming/bad.yaml:1: model_list: expected a list"),
        (b"model_list: [", "incoming/bad.yaml"),
        (in_config(config | {"general_settings": {"bundle_size_limit_mb": "x"}}), "bundle_size"),
        (in_config(config | {"model_list": MODELS[:1]}), "no deployment is called 'large'"),
    ]:
        found = buckets.upload("incoming/bad.yaml", text, buckets.configuration)
        assert (found["action"], told in found["reason"]) == ("refused", True), found
    assert (buckets.pointer, buckets.found(buckets.configuration)) == before
    assert len(buckets.told()) == 7
    assert buckets.upload("incoming/r.tar", signed)["action"] == "accepted"
    # What else lies there is not rolled out.
    for key in ("active.json", "evaluation/x.jsonl", "incoming/readme.txt"):
        event = buckets.put("other", b"")
        event["detail"]["object"]["key"] = key
        assert buckets.invoke(event) == {"action": "ignored"}


def test_events_may_come_twice_and_late_and_at_once(buckets: Buckets):
    one, two = (buckets.put(f"incoming/{n}.tar", numbered(n)) for n in (1, 2))
    assert buckets.invoke(two)["action"] == "accepted"
    assert buckets.invoke(two)["action"] == "unchanged"
    # S3 tells times in seconds; the first is older.
    if buckets.invoke(one)["action"] == "accepted":
        assert buckets.pointer.revision == 2
        assert buckets.upload("incoming/2.tar", numbered(2))["action"] == "accepted"
    revision = buckets.pointer.revision
    # The same again, as another version, and under another name.
    assert buckets.upload("incoming/2.tar", numbered(2))["action"] == "unchanged"
    assert buckets.upload("incoming/copy.tar", numbered(2))["action"] == "unchanged"
    assert buckets.pointer.revision == revision
    # An event of a version that isn't the latest any more.
    old = buckets.put("incoming/r.tar", numbered(3))
    new = buckets.put("incoming/r.tar", numbered(4))
    assert buckets.invoke(old)["action"] == "superseded"
    assert buckets.invoke(new)["action"] == "accepted"
    # What somebody went back from doesn't come back by itself.
    assert command("rollback", "--bundles", f"s3://{buckets.bundles}")[0] == 0
    assert buckets.invoke(new)["action"] == "unchanged"
    current = buckets.pointer.current
    assert current is not None
    assert current.name == "v2"
    time.sleep(1.1)  # times are told in seconds
    events = [buckets.put(f"incoming/{n}.tar", numbered(n)) for n in (5, 6)]
    time.sleep(1.1)
    events.append(buckets.put("incoming/7.tar", numbered(7)))
    threads = [threading.Thread(target=buckets.invoke, args=(event,)) for event in events]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    current = buckets.pointer.current
    assert current is not None
    assert current.name == "v7"
    # What is gone before its event comes is no failure.
    event = buckets.put("incoming/gone.tar", numbered(8))
    buckets.s3.client.delete_object(Bucket=buckets.bundles, Key="incoming/gone.tar")
    assert buckets.invoke(event)["action"] == "superseded"


def evaluation(quality: dict[str, dict[str, float]]) -> bytes:
    """Every question so often that chance plays no part. quality: by question and model."""
    rows = [
        {"query": f"{query} {n}", "model_name": name, "performance": score, "output_tokens": 100}
        for query, scores in quality.items()
        for n in range(20)
        for name, score in scores.items()
    ]
    return "\n".join(map(json.dumps, rows)).encode()


def test_a_bundle_that_is_worse_on_the_evaluation_set_is_refused(buckets: Buckets):
    buckets.put(
        "evaluation/one.jsonl",
        evaluation({EASY: {SMALL: 1.0, LARGE: 1.0}, HARD: {SMALL: 0.2, LARGE: 0.9}}),
    )
    assert buckets.upload("incoming/1.tar", numbered(1))["action"] == "accepted"
    worse = buckets.upload("incoming/2.tar", numbered(2))  # the hard question to the small model
    assert worse["action"] == "refused"
    assert "its quality may be worse than that of v1" in worse["reason"]
    same = buckets.upload("incoming/3.tar", numbered(3))
    assert (same["action"], same["reason"]) == ("accepted", "quality +0.0000 over 40 queries")
    priced = {"labels": [Label(name=LARGE, output_price=9.0), Label(name=SMALL, output_price=1.0)]}
    for number, texts, action in (
        (4, {HARD: LARGE, EASY: SMALL}, "accepted"),
        (5, {HARD: LARGE, EASY: LARGE, "Anything else?": SMALL}, "refused"),
    ):
        files = knn_files(texts, **priced, version=f"v{number}")
        found = buckets.upload(f"incoming/{number}.tar", tar(files))
        assert found["action"] == action
    assert found["reason"] == "it costs 80% more than v4"
    strange = buckets.upload("incoming/6.tar", tar(knn_files({HARD: "other", EASY: SMALL})))
    assert "the evaluation set has no answers of other" in strange["reason"]
    buckets.put("evaluation/two.jsonl", b'{"query": 1}')
    with pytest.raises(Exception, match=r"1\.jsonl:1: expected an object"):
        buckets.upload("incoming/7.tar", numbered(7))


def test_the_whole_of_it_on_a_laptop(gateway: Gateways, tmp_path: Path):
    """A folder in the place of the bucket, commands in that of the function."""
    depot = tmp_path / "depot"
    place = ["--bundles", str(depot)]
    for number in (1, 2, 3):
        (tmp_path / f"v{number}.tar").write_bytes(numbered(number))
    (tmp_path / "bad.tar").write_bytes(b"junk")
    assert command("judge", *place) == (0, "there is nothing new\n")
    assert command("rollback", *place)[0] == 2
    assert command("upload", *place, str(tmp_path / "v1.tar"))[0] == 0
    assert command("judge", *place) == (0, "v1 (incoming/v1.tar): accepted\n")
    config = routed(
        MODELS,
        "llmrouter-knn",
        model_path=str(depot / "active.json"),
        hot_reload=True,
        reload_interval=1,
    )
    server = gateway(config | {"general_settings": {"master_key": KEY}})
    assert ask(server) == (LARGE, "v1")
    command("upload", *place, str(tmp_path / "bad.tar"))
    code, said = command("judge", *place)
    assert (code, "incoming/bad.tar: refused" in said) == (2, True)
    command("upload", *place, str(tmp_path / "v2.tar"))
    code, said = command("judge", *place, "--share", "0.5", "--least-calls", "20", "--minutes", "0")
    assert (code, said) == (0, "v2 (incoming/v2.tar): canary\n")
    wait_until(lambda: watched(server)["version"] == "v1 (v2 for 50%)")
    answers = [ask(server) for _ in range(80)]
    assert set(answers) == {(LARGE, "v1"), (SMALL, "v2")}

    def counted() -> bool:
        said = command("status", *place)[1]
        return f"candidate  {answers.count((SMALL, 'v2'))} calls, 0 failed" in said

    wait_until(counted)
    assert command("tick", *place)[0] == 0
    wait_until(lambda: watched(server)["version"] == "v2")
    command("upload", *place, str(tmp_path / "v3.tar"))
    command("judge", *place, "--share", "0.1")
    assert "canary     v3" in command("status", *place)[1]
    assert command("promote", *place)[1].startswith("v3 (incoming/v3.tar): promoted")
    assert command("promote", *place)[0] == 2
    assert command("rollback", *place) == (0, "v2 (incoming/v2.tar): rolled-back\n")
    wait_until(lambda: watched(server)["version"] == "v2")
    assert ask(server) == (SMALL, "v2")


def test_a_configuration_is_rolled_out_from_a_folder(gateway: Gateways, tmp_path: Path):
    """Its pointer is what is served."""
    place = ["--configurations", str(tmp_path / "depot")]
    general = {"master_key": KEY, "config_hot_reload": True, "config_reload_interval": 0.5}

    def rolled_out(said: str, **changed: Any) -> tuple[int, str]:
        config = {"model_list": [mock(SMALL, said)], "general_settings": general | changed}
        (tmp_path / "config.yaml").write_text(json.dumps(config))
        command("upload", *place, str(tmp_path / "config.yaml"))
        return command("judge", *place)

    code, said = rolled_out("one")
    assert (code, "(incoming/config.yaml): accepted" in said) == (0, True)
    server = gateway(tmp_path / "depot" / "active.json")
    assert answered(server) == "one"
    assert rolled_out("two")[0] == 0
    wait_until(lambda: answered(server) == "two")
    code, said = rolled_out("three", config_reload_interval="often")
    assert (code, "config_reload_interval" in said) == (2, True)
    assert command("rollback", *place)[0] == 0
    wait_until(lambda: answered(server) == "one")


def answered(server: Gateway) -> str:
    body = {"model": SMALL, "messages": [{"role": "user", "content": "Hi"}]}
    answer = httpx.post(f"{server.url}/v1/chat/completions", json=body, headers=ALLOWED)
    return str(answer.json()["choices"][0]["message"]["content"])
