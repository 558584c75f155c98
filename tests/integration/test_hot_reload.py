"""A gateway that routes by a bundle takes another one into use while it serves."""

from __future__ import annotations

import asyncio
import concurrent.futures
import resource
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import numpy as np
import pytest

from tests.fakes import FakeOpenAI, Hold, Status
from tests.fakes.faults import Fault
from tests.fakes.reply import Exchange
from tests.fakes.s3 import FakeS3
from tests.support.bundles import TRAINING, knn_files, mock, routed, used, write
from tests.support.gateway import Gateway, Gateways, trunkline, write_config
from tests.support.providers import Providers
from tests.support.s3 import S3, moto
from trunkline.routing.bundles.manifest import EmbedderUsed, Label
from trunkline.routing.bundles.writing import bundle_files, tar
from trunkline.routing.embedding.known import embedder

KEY = "sk-master"
ALLOWED = {"authorization": f"Bearer {KEY}"}
EASY, HARD = "What is two plus two?", "Prove the four colour theorem in full detail."
SMALL, LARGE = "small", "large"
WAIT = 60.0
CLIENT = httpx.Client(limits=httpx.Limits(max_keepalive_connections=0), timeout=WAIT)
"""Makes a connection for each request, which falls to any of the workers."""


@lru_cache
def embedded() -> tuple[EmbedderUsed, np.ndarray]:
    """The embedder that ships, and what it makes of the two questions."""
    return used(), np.stack([embedder("static", None).embed(text) for text in (EASY, HARD)])


def bundle(version: str, *, swapped: bool = False, size: int = 0) -> bytes:
    """A bundle by which the hard question goes to the large model, or swapped to the small one.

    size: bytes that it has at least.
    """
    static, points = embedded()
    filler = np.random.default_rng(1).normal(size=(size // points[0].nbytes, static.dimension))
    nearest = [1, 0] if swapped else [0, 1]
    files = bundle_files(
        strategy="llmrouter-knn",
        labels=[Label(name=SMALL), Label(name=LARGE)],
        tensors={
            "points": np.concatenate([points, filler]).astype(np.float32),
            "point_labels": np.array([*nearest, *[0] * len(filler)], np.int64),
        },
        parameters={"n_neighbors": 1, "weights": "uniform", "metric": "euclidean"},
        training=TRAINING,
        created="2026-01-02",
        embedder=static,
        version=version,
    )
    return tar(files)


def decided(version: str, text: str) -> str:
    """The model that a version of odd number, which isn't swapped, or of even number names."""
    large = (text == HARD) == (int(version.removeprefix("v")) % 2 == 1)
    return LARGE if large else SMALL


def numbered(number: int, size: int = 0) -> bytes:
    return bundle(f"v{number}", swapped=number % 2 == 0, size=size)


def configuration(models: list[dict[str, Any]] | None = None, **args: Any) -> dict[str, Any]:
    models = models or [mock(SMALL, "from the small"), mock(LARGE, "from the large")]
    return routed(models, "llmrouter-knn", **args) | {
        "general_settings": {"master_key": KEY},
        "litellm_settings": {"callbacks": ["prometheus"]},
    }


def ask(server: Gateway, text: str = HARD) -> tuple[str, str]:
    """The model that answers a question put to `auto`, and the version that chose it."""
    body = {"model": "auto", "messages": [{"role": "user", "content": text}]}
    url = f"{server.url}/v1/chat/completions"
    answer = CLIENT.post(url, json=body, headers=ALLOWED)
    assert answer.status_code == 200, answer.text
    return answer.headers["x-trunkline-model"].removeprefix("openai/"), answer.headers[
        "x-trunkline-bundle"
    ]


def post(server: Gateway, path: str = "/hot-reload") -> httpx.Response:
    return CLIENT.post(f"{server.url}{path}", headers=ALLOWED)


def report(server: Gateway) -> dict[str, Any]:
    answer = CLIENT.get(f"{server.url}/hot-reload/status", headers=ALLOWED)
    assert answer.status_code == 200
    return dict(answer.json())


def watched(server: Gateway) -> dict[str, Any]:
    (one,) = report(server)["watched"]
    return dict(one)


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.criterion("R3.1")
@pytest.mark.criterion("R3.2")
@pytest.mark.criterion("R3.6")
def test_a_changed_file_is_taken_at_the_interval(gateway: Gateways, tmp_path: Path):
    path = tmp_path / "bundle.tar"
    path.write_bytes(numbered(1))
    server = gateway(configuration(model_path=str(path), hot_reload=True, reload_interval=1))
    assert ask(server) == (LARGE, "v1")
    before = report(server)
    path.write_bytes(numbered(2))
    wait_until(lambda: watched(server)["version"] == "v2")
    assert ask(server) == (SMALL, "v2")
    after = report(server)
    assert (before["enabled"], after["enabled"]) == (True, True)
    assert before["last_updated"] < after["last_updated"]
    found = after["watched"][0]
    assert found["name"] == "bundle"
    assert found["source"] == str(path)
    assert found["etag"] != before["watched"][0]["etag"]
    assert found["loaded_at"] == after["last_updated"]
    assert found["loaded_at"] <= found["last_check"]
    assert (found["previous_version"], found["last_error"]) == ("v1", None)
    assert server.log().count("reloaded") == 1


@pytest.mark.criterion("R3.2")
def test_a_bad_bundle_is_refused_and_told_everywhere(gateway: Gateways, tmp_path: Path):
    path = tmp_path / "bundle.tar"
    path.write_bytes(numbered(1))
    server = gateway(configuration(model_path=str(path)))
    path.write_bytes(numbered(2)[:2000])
    answer = post(server)
    assert answer.status_code == 422
    (outcome,) = answer.json()["outcomes"]
    assert (outcome["result"], outcome["version"]) == ("refused", "v1")
    assert outcome["error"].startswith(f"{path}: ")
    assert watched(server)["last_error"] == outcome["error"]
    assert outcome["error"] in server.log()
    counts = CLIENT.get(f"{server.url}/metrics", headers=ALLOWED).text
    assert 'reloads_total{outcome="refused",watched="bundle"} 1.0' in counts
    assert ask(server) == (LARGE, "v1")
    path.write_bytes(numbered(2))
    assert post(server).status_code == 200
    assert ask(server) == (SMALL, "v2")
    assert watched(server)["last_error"] is None


def test_going_back_and_forth(gateway: Gateways, tmp_path: Path):
    path = tmp_path / "bundle.tar"
    path.write_bytes(numbered(1))
    server = gateway(configuration(model_path=str(path)))
    answer = post(server, "/hot-reload/rollback")
    assert answer.status_code == 409
    assert answer.json()["error"]["code"] == "no_previous_version"
    path.write_bytes(numbered(2))
    assert post(server).json()["outcomes"][0]["result"] == "reloaded"
    assert post(server, "/hot-reload/rollback?name=bundle").status_code == 200
    assert ask(server) == (LARGE, "v1")
    assert post(server).json()["outcomes"][0]["result"] == "unchanged"
    assert ask(server) == (LARGE, "v1")
    assert watched(server)["pinned"]
    assert post(server, "/hot-reload/rollback").status_code == 200
    assert ask(server) == (SMALL, "v2")
    assert post(server, "/hot-reload/rollback?name=other").status_code == 404


@pytest.mark.criterion("R3.2")
def test_a_call_that_failed_goes_on_by_the_ranking_that_it_has(
    gateway: Gateways, fakes: Providers, tmp_path: Path
):
    """Though the bundle that came meanwhile knows models by other names."""
    fake, hold, path = fakes(FakeOpenAI), Hold(after_chunks=0), tmp_path / "bundle.tar"
    models = [
        {
            "model_name": name,
            "litellm_params": {"model": f"openai/{name}", "api_base": fake.base_url}
            | {"api_key": "sk-up"},
        }
        for name in (SMALL, LARGE, "other")
    ]
    write(knn_files({HARD: LARGE, EASY: SMALL, "Hi": "other"}), path)
    made = configuration(models, model_path=str(path))
    made["router_settings"] |= {"num_retries": 1, "disable_cooldowns": True}
    server = gateway(made)
    body = {"model": "auto", "messages": [{"role": "user", "content": HARD}]}
    explained = CLIENT.post(f"{server.url}/routing/explain", json=body, headers=ALLOWED)
    first, second, third = (each["label"] for each in explained.json()["ranking"])
    fake.fault((hold, Status(500)))
    with concurrent.futures.ThreadPoolExecutor() as threads:
        asking = threads.submit(ask, server)
        wait_until(lambda: bool(fake.requests))
        write(knn_files({HARD: f"openai/{third}", EASY: f"openai/{first}"}), path)
        assert post(server).json()["outcomes"][0]["result"] == "reloaded"
        hold.release()
        assert asking.result()[0] == second
    assert [request.json["model"] for request in fake.requests] == [first, second]
    assert ask(server)[0] == third


def test_nothing_may_be_watched(gateway: Gateways):
    server = gateway({"model_list": [mock(SMALL, "Hi")], "general_settings": {"master_key": KEY}})
    assert report(server) == {"enabled": False, "last_updated": None, "watched": []}
    for path in ("/hot-reload", "/hot-reload/rollback"):
        assert post(server, path).status_code == 404
        assert CLIENT.post(f"{server.url}{path}").status_code == 401
    assert server.status("/hot-reload/status") == 401


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    with moto(tmp_path_factory.mktemp("moto")) as s3:
        yield s3


@pytest.mark.criterion("R3.4")
@pytest.mark.criterion("R3.2")
def test_a_bundle_on_s3_is_watched_by_its_etag(gateway: Gateways, s3: S3):
    first = s3.put("models", "router.tar", numbered(1))
    server = gateway(
        configuration(
            model_s3_bucket="models",
            model_s3_key="router.tar",
            hot_reload=True,
            reload_interval=1,
        ),
        env=s3.environment(),
    )
    assert ask(server) == (LARGE, "v1")
    assert watched(server)["etag"] == first.strip('"')
    second = s3.put("models", "router.tar", numbered(2))
    wait_until(lambda: watched(server)["etag"] == second.strip('"'))
    assert ask(server) == (SMALL, "v2")
    assert watched(server)["source"] == "s3://models/router.tar"


def test_the_next_start_works_without_s3(gateway: Gateways, tmp_path: Path):
    config = configuration(model_path="s3://models/router.tar")
    with FakeS3() as s3:
        env = {**s3.environment(), "XDG_CACHE_HOME": str(tmp_path / "cache")}
        s3.put("models", "router.tar", numbered(1))
        assert gateway(config, env=env).stop() == 0
    server = gateway(config, env=env)
    assert ask(server) == (LARGE, "v1")
    assert "Could not connect" in watched(server)["last_error"]
    assert "the last good copy is in use" in server.log()
    assert post(server).status_code == 503


def test_nothing_starts_without_a_bundle(tmp_path: Path):
    with FakeS3() as s3:
        s3.put("models", "other.tar", b"")
        path = write_config(tmp_path, configuration(model_path="s3://models/router.tar"))
        ended = trunkline("serve", "--config", str(path), folder=tmp_path, env=s3.environment())
    assert ended.returncode == 2
    assert "s3://models/router.tar: there is no such object (NoSuchKey)" in ended.stderr


def test_all_workers_come_to_the_same_version(gateway: Gateways, tmp_path: Path):
    path = tmp_path / "bundle.tar"
    path.write_bytes(numbered(1))
    server = gateway(configuration(model_path=str(path)), arguments=["--workers", "2"])

    def all_serve(version: str) -> bool:
        """Each connection falls to one of the two at random."""
        return {ask(server) for _ in range(20)} == {(decided(version, HARD), version)}

    for number in (2, 3):
        path.write_bytes(numbered(number))
        assert post(server).json()["outcomes"][0]["result"] == "reloaded"
        wait_until(lambda number=number: all_serve(f"v{number}"))
    assert post(server, "/hot-reload/rollback").json()["outcomes"][0]["version"] == "v2"
    wait_until(lambda: all_serve("v2"))
    assert server.log().count("followed another process") == 3


# Under load

REQUESTS, SWAPS = 1000, 20


@dataclass(frozen=True)
class Gate(Fault):
    """Holds every request until it is opened."""

    opened: concurrent.futures.Future[None] = field(default_factory=concurrent.futures.Future)

    def open(self) -> None:
        self.opened.set_result(None)

    async def before(self, x: Exchange) -> None:
        await asyncio.shield(asyncio.wrap_future(self.opened))


@pytest.fixture
def many_files() -> Iterator[None]:
    """Lets this process have a connection for every request, and the fake's end of it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 8192)), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("many_files")
@pytest.mark.criterion("R3.2")
async def test_requests_in_flight_neither_fail_nor_mix_versions(
    gateway: Gateways, fakes: Providers, tmp_path: Path
):
    path = tmp_path / "bundle.tar"
    path.write_bytes(numbered(1))
    openai, gate = fakes(FakeOpenAI), Gate()
    openai.fault(gate, always=True)
    models = [
        {
            "model_name": name,
            "litellm_params": {"model": f"openai/{name}", "api_base": openai.base_url}
            | {"api_key": "sk-up"},
        }
        for name in (SMALL, LARGE)
    ]
    server = gateway(configuration(models, model_path=str(path)))
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, headers=ALLOWED) as session:

        async def request(text: str) -> tuple[str, str, str]:
            body = {"model": "auto", "messages": [{"role": "user", "content": text}]}
            async with session.post(f"{server.url}/v1/chat/completions", json=body) as answer:
                told = await answer.json()
                assert answer.status == 200, told
                headers = answer.headers
                assert headers["x-trunkline-model"] == f"openai/{told['model']}"
                return text, told["model"], headers["x-trunkline-bundle"]

        calls = []
        for number in range(2, SWAPS + 2):
            path.write_bytes(numbered(number))
            swap = asyncio.create_task(session.post(f"{server.url}/hot-reload"))
            for index in range(REQUESTS // SWAPS):
                calls.append(asyncio.create_task(request((EASY, HARD)[index % 2])))
                await asyncio.sleep(0.005)
            (outcome,) = (await (await swap).json())["outcomes"]
            assert (outcome["result"], outcome["version"]) == ("reloaded", f"v{number}")
        await openai.arrived(REQUESTS, timeout=WAIT)
        assert not any(call.done() for call in calls)
        gate.open()
        answers = await asyncio.gather(*calls)
    assert all(model == decided(version, text) for text, model, version in answers)
    assert len({version for _, _, version in answers}) > SWAPS // 2
    assert watched(server)["reloads"] == SWAPS


MEGABYTE = 1_000_000


def test_swaps_leave_no_memory_behind(gateway: Gateways, tmp_path: Path):
    path = tmp_path / "bundle.tar"
    path.write_bytes(numbered(1, MEGABYTE))
    server = gateway(
        configuration(model_path=str(path)),
        # What is freed goes back to the system at once, so that growth is what is not freed.
        env={"MALLOC_MMAP_THRESHOLD_": "65536"},
    )

    def swap(numbers: range) -> int:
        """Bytes that the serving process holds after the swaps."""
        for number in numbers:
            path.write_bytes(numbered(number, MEGABYTE))
            assert post(server).json()["outcomes"][0]["result"] == "reloaded"
            assert ask(server)[1] == f"v{number}"
        (worker,) = server.workers()
        return int(Path(f"/proc/{worker}/statm").read_text().split()[1]) * 4096

    before = swap(range(2, 7))
    assert swap(range(7, 7 + SWAPS)) - before < SWAPS * MEGABYTE // 4
