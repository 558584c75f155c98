"""Three gateways behind the nginx of `examples/ha` are one: what they share, and what may end."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from websockets.sync.client import connect

from tests.fakes import Delay, FakeOpenAI, SlowDrip, Status
from tests.support.accounts import Fleet, config, price_of_one, statuses
from tests.support.gateway import Gateway, Gateways, free_port, trunkline
from tests.support.management import MASTER, Management
from tests.support.nginx import CONFIG, Nginx, nginx
from tests.support.providers import Providers
from tests.support.redis import RedisServer, redis_server
from tests.support.traffic import Traffic

EXAMPLE = CONFIG.parent
GATEWAYS = 3
CLIENTS = 12
PARALLEL = 120
COVERED = 20
ADMIN = {"authorization": f"Bearer {MASTER}"}
QUESTION = {"model": "m", "messages": [{"role": "user", "content": "one two three"}]}


@dataclass(frozen=True, slots=True)
class House:
    """settings: of each gateway. front: what clients ask. fleet: asks it, and reads the rows."""

    settings: dict[str, Any]
    gateways: list[Gateway]
    front: Nginx

    @property
    def fleet(self) -> Fleet:
        return Fleet([self.front], self.settings["general_settings"]["database_url"])

    @property
    def behind(self) -> Fleet:
        """Asks the gateways themselves, in turn."""
        return Fleet(self.gateways)


def started(gateways: Gateways, settings: dict[str, Any], port: int) -> Gateway:
    """A gateway on a port of one's choice."""
    server = gateways(settings, arguments=["--port", str(port)], ready=False)
    server.port = port
    server.wait_until_ready()
    return server


@contextlib.contextmanager
def house(
    gateways: Gateways, folder: Path, first: FakeOpenAI, second: FakeOpenAI, shared: dict[str, Any]
) -> Iterator[House]:
    """shared: `database_url`, `redis_url`."""
    redis = shared["redis_url"]
    settings = config(
        first,
        general_settings={"database_url": shared["database_url"]},
        router_settings={"redis_url": redis, "cooldown_time": 60},
        litellm_settings={
            "cache": True,
            "cache_params": {"type": "redis", "redis_url": redis, "mode": "default_off"},
        },
    )
    settings["model_list"] += [
        pair("failing", first, "bad"),
        pair("working", second, "good"),
        {
            "model_name": "realtime",
            "litellm_params": {
                "model": "openai/gpt-realtime",
                "api_base": f"{first.url}/v1",
                "api_key": "sk-up",
            },
        },
    ]
    running = [started(gateways, settings, free_port()) for _ in range(GATEWAYS)]
    with nginx(folder, running) as front:
        yield House(settings, running, front)


def pair(name: str, upstream: FakeOpenAI, model: str) -> dict[str, Any]:
    """One of the two deployments of the model `pair`."""
    params = {"model": f"openai/{model}", "api_base": f"{upstream.url}/v1", "api_key": "sk-up"}
    return {"model_name": "pair", "litellm_params": params, "model_info": {"id": f"{name}:1"}}


@pytest.fixture(scope="module")
def openai(fakes: Providers) -> FakeOpenAI:
    return fakes(FakeOpenAI)


@pytest.fixture(scope="module")
def second(fakes: Providers) -> FakeOpenAI:
    return fakes(FakeOpenAI)


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="module")
def shared(request: pytest.FixtureRequest, redis: RedisServer) -> dict[str, Any]:
    database = request.getfixturevalue("postgres").database()
    return {"database_url": database, "redis_url": redis.url}


@pytest.fixture(scope="module")
def ha(
    module_gateway: Gateways,
    tmp_path_factory: pytest.TempPathFactory,
    openai: FakeOpenAI,
    second: FakeOpenAI,
    shared: dict[str, Any],
) -> Iterator[House]:
    with house(module_gateway, tmp_path_factory.mktemp("ha"), openai, second, shared) as made:
        yield made


@pytest.fixture
def fresh(
    gateway: Gateways,
    tmp_path: Path,
    openai: FakeOpenAI,
    second: FakeOpenAI,
    shared: dict[str, Any],
) -> Iterator[House]:
    """One whose gateways a test may end."""
    with house(gateway, tmp_path, openai, second, shared) as made:
        yield made


@pytest.mark.criterion("R4.3", "R11.6")
def test_a_limit_holds_for_all_gateways_together(ha: House) -> None:
    key = ha.fleet.admin.key(rpm_limit=COVERED)
    answers = ha.fleet.ask(key, PARALLEL)
    assert statuses(answers) == {200: COVERED, 429: PARALLEL - COVERED}


@pytest.mark.criterion("R4.3", "R11.5", "R12.3")
def test_a_budget_holds_for_all_gateways_together(ha: House) -> None:
    price = price_of_one(ha.fleet)
    key = ha.fleet.admin.key(max_budget=COVERED * price / 1e9)
    answers = ha.fleet.ask(key, PARALLEL)
    while (answer := ha.fleet.one(key)).status == 200:
        answers.append(answer)
    served = [answer for answer in answers if answer.status == 200]
    assert len(served) == COVERED
    assert sum(row["spend"] for row in ha.fleet.rows_of(served)) == COVERED * price


@pytest.mark.criterion("R4.3")
def test_a_deployment_that_fails_at_one_gateway_rests_at_all(
    ha: House, openai: FakeOpenAI, second: FakeOpenAI
) -> None:
    openai.fault(Status(429, headers={"retry-after": "60"}), always=True)
    first = ha.gateways[0]
    deadline = time.monotonic() + 30
    while not (resting := cooling(first)):
        assert time.monotonic() < deadline
        ask(first.url, "pair")
    assert resting.keys() == {"failing:1"}
    time.sleep(0.5)
    for each in ha.gateways[1:]:
        (found,) = cooling(each).values()
        assert found["error"] == "rate_limit"
        assert found["status"] == 429
        assert found["seconds"] <= resting["failing:1"]["seconds"]
    before = len(openai.requests)
    answers = ha.behind.ask(MASTER, 30, model="pair") + ha.fleet.ask(MASTER, 30, model="pair")
    assert statuses(answers) == {200: 60}
    assert len(openai.requests) == before
    # It is said once by each process, and not sent round and round.
    time.sleep(0.5)
    for each in ha.gateways:
        assert each.log().count("cools down") == 1
        assert "[redacted]" not in each.log()


@pytest.mark.criterion("R4.3", "R13.2")
def test_an_answer_that_one_gateway_kept_is_given_by_all(ha: House, openai: FakeOpenAI) -> None:
    key = ha.fleet.admin.key()
    fields: dict[str, Any] = {"cache": {"use-cache": True}, "user": f"asks-{time.time_ns()}"}
    first = ha.fleet.one(key, **fields)
    assert first.headers["x-trunkline-cache"] == "miss"
    again = ha.behind.ask(key, GATEWAYS, **fields) + ha.fleet.ask(key, GATEWAYS, **fields)
    assert {answer.headers["x-trunkline-cache"] for answer in again} == {"hit"}
    assert {answer.body["id"] for answer in again} == {first.body["id"]}
    assert len(openai.requests) == 1


@pytest.mark.criterion("R4.3", "R11.4")
def test_a_key_that_is_deleted_stops_at_all_gateways_within_a_second(ha: House) -> None:
    key = ha.fleet.admin.key()
    assert statuses(ha.behind.ask(key, 6)) == {200: 6}
    ha.fleet.admin.ask("/key/delete", {"keys": [key]})
    time.sleep(1.0)
    assert statuses(ha.behind.ask(key, 6) + ha.fleet.ask(key, 6)) == {401: 12}


def test_a_stream_comes_through_nginx_piece_by_piece(ha: House, openai: FakeOpenAI) -> None:
    openai.fault(SlowDrip(0.1))
    openai.answer(text="one two three four five six")
    arrived = []
    url = f"{ha.front.url}/v1/chat/completions"
    with httpx.stream("POST", url, json={**QUESTION, "stream": True}, headers=ADMIN) as answer:
        for line in answer.iter_lines():
            if line.startswith("data:"):
                arrived.append(time.monotonic())
    assert len(arrived) > 5
    assert arrived[-1] - arrived[0] > 0.1 * (len(arrived) - 3)
    assert all(later - sooner < 0.4 for sooner, later in pairwise(arrived))


def test_a_realtime_session_goes_through_nginx(ha: House) -> None:
    url = f"{ha.front.url.replace('http', 'ws', 1)}/v1/realtime?model=realtime"
    with connect(url, additional_headers=ADMIN) as session:
        assert "session.created" in session.recv(timeout=10)


def test_metrics_are_asked_of_each_gateway_and_not_of_nginx(ha: House) -> None:
    assert httpx.get(f"{ha.front.url}/metrics", headers=ADMIN).status_code == 404


@pytest.mark.criterion("R11.1")
def test_nginx_writes_no_key_into_its_logs(fresh: House) -> None:
    secret = "sk-in-the-address"
    for each in fresh.gateways:
        each.kill()
    url = f"{fresh.front.url}/v1beta/models/m:generateContent?key={secret}"
    assert httpx.post(url, json={}).status_code == 502
    time.sleep(0.2)
    assert "generateContent" in fresh.front.logs()
    assert secret not in fresh.front.logs()


@pytest.mark.criterion("R4.1", "R4.3", "R12.2")
def test_a_gateway_that_is_killed_takes_no_call_with_it_that_nginx_may_try_again(
    fresh: House, openai: FakeOpenAI
) -> None:
    openai.fault(Delay(0.05), always=True)
    fleet = fresh.fleet
    traffic = Traffic(fresh.front.url, fleet.admin.key(rpm_limit=10**6, max_budget=100), CLIENTS)
    killed = fresh.gateways[1]
    with traffic.flowing():
        fleet.until(lambda: len(traffic.answered), lambda count: count > 100)
        before = len(traffic.answered)
        killed_at = kill(killed)
        fleet.until(lambda: len(traffic.answered), lambda count: count > before + 200)
    # Lost is only what the gateway had been given and could not answer any more.
    assert len(traffic.failed) <= CLIENTS
    assert [call for call in traffic.failed if call.began > killed_at] == []
    assert {call.status for call in traffic.failed} <= {0, 502, 200}
    unanswered = [tried for status, tried in fresh.front.calls() if status == "502"]
    there = f"127.0.0.1:{killed.port}"
    assert all(tried[0].startswith(there) and len(tried) <= 2 for tried in unanswered)
    fleet.recorded(traffic.answered)


@pytest.mark.criterion("R4.1", "R4.3", "R12.2")
def test_gateways_that_are_restarted_in_turn_lose_no_call(
    fresh: House, gateway: Gateways, openai: FakeOpenAI
) -> None:
    openai.fault(Delay(0.05), always=True)
    fleet = fresh.fleet
    traffic = Traffic(fresh.front.url, fleet.admin.key(rpm_limit=10**6, max_budget=100), CLIENTS)
    with traffic.flowing():
        for each in fresh.gateways:
            before = len(traffic.answered)
            fleet.until(lambda: len(traffic.answered), lambda n, least=before + 50: n > least)
            assert each.stop() == 0
            started(gateway, fresh.settings, each.port)
            # nginx leaves one alone that was away, for as long as `fail_timeout` says.
            before = answered_by(fresh.front, each)
            fleet.until(
                partial(answered_by, fresh.front, each), lambda n, least=before: n > least + 20
            )
        before = len(traffic.answered)
        fleet.until(lambda: len(traffic.answered), lambda n, least=before: n > least + 50)
    assert traffic.failed == []
    fleet.recorded(traffic.answered)


def answered_by(front: Nginx, gateway: Gateway) -> int:
    """How many calls a gateway has answered that came through nginx."""
    there = f"127.0.0.1:{gateway.port}"
    return sum(tried[-1].startswith(there) for _, tried in front.calls())


def kill(server: Gateway) -> float:
    """Ends a gateway with all of its processes, as kill -9 does; when nothing listened any more."""
    for worker in server.workers():
        os.kill(worker, signal.SIGKILL)
    server.kill()
    while server.status("/health/liveness") is not None:
        time.sleep(0.001)
    return time.monotonic()


def ask(url: str, model: str) -> httpx.Response:
    body = {**QUESTION, "model": model}
    return httpx.post(f"{url}/v1/chat/completions", json=body, headers=ADMIN, timeout=30)


def cooling(server: Gateway) -> dict[str, Any]:
    found: dict[str, Any] = Management(server.url).ask("/health/readiness/details")["cooling_down"]
    return found


# The example's own files.


def compose() -> dict[str, Any]:
    made: dict[str, Any] = yaml.safe_load((EXAMPLE / "docker-compose.yaml").read_text("utf-8"))
    return made


def test_the_example_s_services_wait_for_each_other_and_say_whether_they_are_well() -> None:
    services = compose()["services"]
    names = {f"gateway-{number}" for number in range(1, GATEWAYS + 1)}
    assert services.keys() == names | {"nginx", "valkey", "postgres"}
    for name, service in services.items():
        assert service["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL"), name
        assert "build" in service or re.fullmatch(r"[\w/.-]+:[\w.-]+", service["image"]), name
        for needed, how in service.get("depends_on", {}).items():
            assert needed in services
            assert how == {"condition": "service_healthy"}
    assert services["nginx"]["depends_on"].keys() == names
    addresses = {services[name]["networks"]["default"]["ipv4_address"] for name in names}
    assert len(addresses) == GATEWAYS


def test_the_example_s_files_name_each_other_rightly() -> None:
    made = compose()
    for service in made["services"].values():
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            assert source in made["volumes"] or (EXAMPLE / source).is_file()
        if "build" in service:
            context = (EXAMPLE / service["build"]["context"]).resolve()
            dockerfile = context / service["build"]["dockerfile"]
            sources = re.findall(
                r"^COPY (?!--from)(?:--\S+ )?(.+) \S+$", dockerfile.read_text(), re.M
            )
            assert all((context / name).exists() for line in sources for name in line.split())
    servers = re.findall(r"server (gateway-\d):4000", CONFIG.read_text("utf-8"))
    assert servers == [f"gateway-{number}" for number in range(1, GATEWAYS + 1)]
    config_file = yaml.safe_load((EXAMPLE / "config.yaml").read_text("utf-8"))
    grace = int(made["services"]["gateway-1"]["stop_grace_period"].removesuffix("s"))
    assert config_file["general_settings"]["drain_seconds"] < grace


def test_no_secret_of_the_example_has_a_value() -> None:
    lines = (EXAMPLE / "env.example").read_text("utf-8").splitlines()
    set_here = [line for line in lines if line and not line.startswith("#")]
    assert all(line.endswith("=") for line in set_here)
    demanded = re.findall(r"\$\{(\w+)", (EXAMPLE / "docker-compose.yaml").read_text("utf-8"))
    assert set(demanded) <= {line.removesuffix("=") for line in set_here}


def test_the_example_s_configuration_is_right(tmp_path: Path) -> None:
    names = re.findall(r"os\.environ/(\w+)", (EXAMPLE / "config.yaml").read_text("utf-8"))
    values = dict.fromkeys(names, "a-value-of-the-test")
    values |= {"DATABASE_URL": "postgresql://a:b@127.0.0.1/c", "AZURE_API_BASE": "https://a.test"}
    checked = trunkline(
        "config", "check", str(EXAMPLE / "config.yaml"), folder=tmp_path, env=values
    )
    assert checked.returncode == 0, checked.stderr
    assert "0 warnings" in checked.stdout, checked.stdout
