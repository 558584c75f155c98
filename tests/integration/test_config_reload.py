"""A gateway takes another configuration into service while it serves, from wherever it comes."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.fakes import FakeOpenAI, Hold, Status
from tests.fakes.gcs import HMAC, FakeGcs
from tests.support.bundles import knn_files, mock, write
from tests.support.gateway import DidNotStart, Gateway, Gateways, trunkline
from tests.support.providers import Providers
from tests.support.redis import redis_server
from tests.support.s3 import S3, moto
from trunkline.live.pointer import Pointer, Target, encode
from trunkline.rollout.shared import announce
from trunkline.settings.redis_address import address_of
from trunkline.settings.schema import RouterSettings
from trunkline.state.keys import CHANGES

KEY = "sk-master-key-1"
WAIT = 90.0
MANY = 12
"""Connections, each of which falls to any of two workers."""
CLIENT = httpx.Client(limits=httpx.Limits(max_keepalive_connections=0), timeout=WAIT)
"""Makes a connection for each request."""

Config = dict[str, Any]


def config(*models: dict[str, Any], key: str = KEY, **general: Any) -> Config:
    """One that is watched every half second."""
    told = {"master_key": key, "config_hot_reload": True, "config_reload_interval": 0.5}
    return {"model_list": list(models), "general_settings": {**told, **general}}


def put(path: Path, found: Config | str) -> None:
    """Writes a configuration as careful programs do: whole, or not at all."""
    new = path.with_suffix(".new")
    new.write_text(found if isinstance(found, str) else yaml.safe_dump(found), "utf-8")
    new.replace(path)


def ask(server: Gateway, model: str, *, key: str = KEY, **more: Any) -> httpx.Response:
    """A call over a connection of its own."""
    body = {"model": model, "messages": [{"role": "user", "content": "Hi"}], **more}
    headers = {"authorization": f"Bearer {key}"}
    url = f"{server.url}/v1/chat/completions"
    return CLIENT.post(url, json=body, headers=headers)


def said(answer: httpx.Response) -> str:
    if answer.status_code != httpx.codes.OK:
        return str(answer.status_code)
    return str(answer.json()["choices"][0]["message"]["content"])


def get(server: Gateway, path: str, *, key: str = KEY) -> httpx.Response:
    return CLIENT.get(f"{server.url}{path}", headers={"authorization": f"Bearer {key}"})


def look(server: Gateway, path: str = "/hot-reload", *, key: str = KEY) -> httpx.Response:
    headers = {"authorization": f"Bearer {key}"}
    return CLIENT.post(f"{server.url}{path}", headers=headers)


def watched(server: Gateway, *, key: str = KEY) -> dict[str, Any]:
    found = get(server, "/hot-reload/status", key=key).json()["watched"]
    return next(each for each in found if each["name"] == "configuration")


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def until_all(holds: Callable[[], bool]) -> None:
    """Waits until it holds whichever worker is asked."""
    until(lambda: all(holds() for _ in range(MANY)))


class Caller:
    """Asks for a model over and over, by connections that last and by new ones."""

    def __init__(self, server: Gateway, model: str) -> None:
        self.answers = 0
        self.failed: list[str] = []
        self._ended = threading.Event()
        self._asks = (server, model)
        self._threads = [threading.Thread(target=self._run, args=[n]) for n in range(3)]

    def _run(self, number: int) -> None:
        server, model = self._asks
        body = {"model": model, "messages": [{"role": "user", "content": "Hi"}]}
        body |= {"stream": number == 1}
        url, headers = f"{server.url}/v1/chat/completions", {"authorization": f"Bearer {KEY}"}
        with httpx.Client(timeout=WAIT, headers=headers) as client:
            while not self._ended.wait(0.02):
                try:
                    send = CLIENT.post if number == 2 else client.post
                    answer = send(url, json=body, headers=headers)
                    if answer.status_code != httpx.codes.OK or "echo: Hi" not in said_by(answer):
                        self.failed.append(f"{answer.status_code} {answer.text}")
                except httpx.HTTPError as error:
                    self.failed.append(repr(error))
                self.answers += 1

    def __enter__(self) -> Caller:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()


def said_by(answer: httpx.Response) -> str:
    """All that an answer says, whether in one piece or in many."""
    if answer.headers["content-type"].startswith("application/json"):
        return said(answer)
    events = [line.removeprefix("data: ") for line in answer.text.splitlines() if line]
    pieces = [json.loads(each)["choices"] for each in events if each != "[DONE]"]
    return "".join(c["delta"].get("content") or "" for each in pieces for c in each)


@contextmanager
def stream_of(server: Gateway, model: str) -> Iterator[Iterator[str]]:
    """The lines of a streamed answer, as they come."""
    body = {"model": model, "messages": [{"role": "user", "content": "Hi"}], "stream": True}
    headers = {"authorization": f"Bearer {KEY}"}
    with httpx.stream(
        "POST", f"{server.url}/v1/chat/completions", json=body, headers=headers, timeout=WAIT
    ) as answer:
        yield answer.iter_lines()


# A file


@pytest.mark.criterion("R3.3")
@pytest.mark.criterion("R3.5")
def test_everything_follows_the_file_and_no_call_fails(
    gateway: Gateways, fakes: Providers, tmp_path: Path
):
    fake, other, slow = fakes(FakeOpenAI), fakes(FakeOpenAI), fakes(FakeOpenAI)
    hold = Hold(after_chunks=2)
    slow.fault(hold)
    bundle = write(knn_files({"Hi": "large", "Prove it.": "small"}), tmp_path / "bundle.tar")

    def model(name: str, at: FakeOpenAI = fake, **params: Any) -> dict[str, Any]:
        params = {"model": "openai/gpt", "api_base": at.base_url, "api_key": "k", **params}
        return {"model_name": name, "litellm_params": params}

    steady = model("steady")
    path = tmp_path / "config.yaml"
    put(path, config(steady, model("leaving", slow)) | {"include": ["more.yaml"]})
    more = tmp_path / "more.yaml"
    put(more, {"model_list": [mock("one", "first")]})
    server = gateway(path, arguments=["--workers", "2"], env={"SPARE": "from the environment"})
    assert said(ask(server, "one")) == "first"
    with Caller(server, "steady") as caller, stream_of(server, "leaving") as lines:
        # A stream that outlasts everything that it began with.
        assert "data" in next(lines)

        # Models, also of included files, and aliases.
        put(more, {"model_list": [mock("one", "second")]})
        until_all(lambda: said(ask(server, "one")) == "second")
        alias = {"router_settings": {"model_group_alias": {"uno": "one"}}}
        put(path, config(steady, mock("one", "third")) | alias)
        until_all(lambda: said(ask(server, "uno")) == "third")

        # The master key and the size of requests.
        put(path, config(steady, key="sk-master-key-2", max_request_size_mb=0.001))
        until_all(lambda: ask(server, "steady").status_code == 401)
        told = [ask(server, "steady", key="sk-master-key-2", user="x" * n) for n in (10, 2000)]
        assert [each.status_code for each in told] == [200, 413]
        caller_failed = [each for each in caller.failed if not each.startswith("401")]
        assert not caller_failed
        put(path, config(steady))
        until_all(lambda: ask(server, "steady").status_code == 200)
        caller.failed.clear()

        # A learned strategy, and a built-in one again.
        both = [mock("small", "from the small"), mock("large", "from the large")]
        args = {"model_path": str(bundle)}
        learned = {"routing_strategy": "llmrouter-knn", "routing_strategy_args": args}
        put(path, config(steady, *both) | {"router_settings": learned})
        until_all(lambda: said(ask(server, "auto")) == "from the large")
        names = [each["name"] for each in get(server, "/hot-reload/status").json()["watched"]]
        assert names == ["configuration", "bundle"]
        write(knn_files({"Hi": "small", "Prove it.": "large"}), bundle)
        assert [each["result"] for each in look(server).json()["outcomes"]] == [
            "unchanged",
            "reloaded",
        ]
        until_all(lambda: said(ask(server, "auto")) == "from the small")
        put(path, config(steady, both[0]) | {"router_settings": learned})
        until(lambda: "no deployment is called 'large'" in (watched(server)["last_error"] or ""))
        assert said(ask(server, "large")) == "from the large"
        put(path, config(steady, *both))
        until_all(lambda: said(ask(server, "auto")) == "404")

        # Counts, answers that are kept, variables of the file, paths that are passed on.
        through = {"path": "/there", "target": other.base_url, "include_subpath": True}
        through |= {"headers": {"authorization": "Bearer k"}}
        kept = {
            "environment_variables": {"SPARE": "of the file"},
            "litellm_settings": {"callbacks": ["prometheus"], "cache": True},
        }
        cached = model("cached", other, api_key="os.environ/SPARE")
        put(path, config(steady, cached, pass_through_endpoints=[through]) | kept)
        until_all(lambda: get(server, "/metrics").status_code == 200)
        until_all(lambda: get(server, "/there/models").status_code == 200)
        assert said(ask(server, "cached")) == "echo: Hi"
        assert other.last.headers["authorization"] == "Bearer of the file"
        put(path, config(steady, cached, mock("one", "fifth")) | kept)
        until_all(lambda: said(ask(server, "one")) == "fifth")
        assert get(server, "/there/models").status_code == 404
        until_all(lambda: "x-trunkline-cache" in ask(server, "cached").headers)
        put(path, config(steady, cached))
        until_all(lambda: get(server, "/metrics").status_code != 200)
        assert said(ask(server, "cached")) == "echo: Hi"
        assert other.last.headers["authorization"] == "Bearer from the environment"
        assert said(ask(server, "leaving")) == "404"
        hold.released.set()
        assert list(lines)[-2:] == ["data: [DONE]", ""]
        before = caller.answers
        until(lambda: caller.answers > before + 20)
    assert not caller.failed
    assert server.stop() == 0
    assert "Traceback" not in server.log()


def test_what_was_learned_while_serving_outlives_the_configuration(
    gateway: Gateways, fakes: Providers, tmp_path: Path
):
    failing, working = fakes(FakeOpenAI), fakes(FakeOpenAI)
    failing.fault(Status(401), always=True)

    def model(name: str, at: FakeOpenAI) -> dict[str, Any]:
        params = {"model": "openai/gpt", "api_base": at.base_url, "api_key": "k"}
        return {"model_name": name, "litellm_params": params}

    lasting = {
        "router_settings": {"cooldown_time": 600, "num_retries": 2},
        "litellm_settings": {"cache": True, "cache_params": {"mode": "default_off"}},
    }
    told = {"salt_key": "salt", "store_model_in_db": True, "data_directory": str(tmp_path)}
    models = [model("pair", failing), model("pair", working), model("kept", working)]
    path = tmp_path / "config.yaml"
    put(path, config(*models, **told) | lasting)
    server = gateway(path)
    stored = CLIENT.post(
        f"{server.url}/model/new",
        json=mock("stored", "from the database"),
        headers={"authorization": f"Bearer {KEY}"},
    )
    assert stored.status_code == httpx.codes.OK
    until(lambda: said(ask(server, "pair")) == "echo: Hi" and failing.requests != [])
    asked = len(failing.requests)
    use = {"cache": {"use-cache": True}}
    assert ask(server, "kept", **use).headers["x-trunkline-cache"] == "miss"

    put(path, config(*models, mock("one", "first"), **told) | lasting)
    until(lambda: said(ask(server, "one")) == "first")
    assert {said(ask(server, "pair")) for _ in range(10)} == {"echo: Hi"}
    assert len(failing.requests) == asked
    assert ask(server, "kept", **use).headers["x-trunkline-cache"] == "hit"
    assert said(ask(server, "stored")) == "from the database"


@pytest.mark.criterion("R3.3")
@pytest.mark.criterion("R3.6")
def test_a_bad_file_is_refused_as_config_check_refuses_it(gateway: Gateways, tmp_path: Path):
    path = tmp_path / "config.yaml"
    counted = {"litellm_settings": {"callbacks": ["prometheus"]}}
    put(path, config(mock("one", "first")) | counted)
    server = gateway(path, host="0.0.0.0")
    first = watched(server)
    assert (first["source"], first["interval"], first["last_error"]) == (str(path), 0.5, None)

    bad = config(mock("one", "second")) | {"router_settings": {"fallbacks": [{"one": ["two"]}]}}
    put(path, bad)
    until(lambda: watched(server)["last_error"] is not None)
    checked = trunkline("config", "check", str(path), folder=tmp_path)
    assert checked.returncode == 2
    assert checked.stderr.strip() == watched(server)["last_error"]
    assert checked.stderr.strip() in server.log()
    answer = look(server)
    assert (answer.status_code, answer.json()["outcomes"][0]["result"]) == (422, "refused")
    assert said(ask(server, "one")) == "first"
    until(
        lambda: (
            'outcome="refused",watched="configuration"' in get(server, "/metrics").text
            or 'watched="configuration",outcome="refused"' in get(server, "/metrics").text
        )
    )

    # What `serve` would refuse on this address is refused now, too.
    put(path, {"model_list": [mock("one", "third")]})
    until(lambda: "no general_settings.master_key" in (watched(server)["last_error"] or ""))
    path.unlink()
    until(lambda: "can't be read" in (watched(server)["last_error"] or ""))
    assert said(ask(server, "one")) == "first"

    # So is what asks for records where there can be none.
    (tmp_path / ".trunkline" / "routing.db").mkdir()
    put(path, config(mock("one", "third"), routing_records=True))
    until(lambda: "routing.db: unable to open" in (watched(server)["last_error"] or ""))
    assert look(server).json()["outcomes"][0]["result"] == "refused"
    assert said(ask(server, "one")) == "first"

    put(path, config(mock("one", "fourth")) | counted)
    until(lambda: watched(server)["version"] != first["version"])
    now = watched(server)
    assert (now["previous_version"], now["last_error"]) == (first["version"], None)
    assert said(ask(server, "one")) == "fourth"
    assert look(server, "/hot-reload/rollback?name=configuration").status_code == 200
    assert said(ask(server, "one")) == "first"
    assert (watched(server)["version"], watched(server)["pinned"]) == (first["version"], True)


def test_what_a_running_process_cannot_change_waits_for_the_next_start(
    gateway: Gateways, fakes: Providers, tmp_path: Path
):
    fake = fakes(FakeOpenAI)
    fake.fault(Hold(after_chunks=2))
    path = tmp_path / "config.yaml"
    by_environment = {"config_hot_reload": None}
    slow = {"model": "openai/gpt", "api_base": fake.base_url, "api_key": "k"}
    put(
        path,
        config(mock("one", "first"), data_directory="first", drain_seconds=3600, **by_environment),
    )
    server = gateway(path, env={"CONFIG_HOT_RELOAD": "true"})
    headers = {"authorization": f"Bearer {KEY}"}
    made = CLIENT.post(f"{server.url}/key/generate", json={}, headers=headers).json()["key"]
    assert said(ask(server, "one", key=made)) == "first"

    # Also the key by which others are hashed.
    other = config(
        mock("one", "second"),
        key="sk-master-key-2",
        data_directory="second",
        database_url="postgresql://nobody@localhost/nowhere",
        **by_environment,
    )
    settings = {
        "router_settings": {"redis_url": "redis://localhost:1"},
        "litellm_settings": {"callbacks": ["otel"]},
    }
    put(path, other | settings)
    until(lambda: said(ask(server, "one", key=made)) == "second")
    pending = watched(server, key="sk-master-key-2")["pending_restart"]
    assert sorted(pending) == [
        "general_settings.data_directory",
        "general_settings.database_url",
        "general_settings.salt_key",
        "litellm_settings.callbacks: otel",
        "router_settings.redis_url",
    ]
    assert "what takes effect at the next start: general_settings.database_url" in server.log()
    assert not (tmp_path / "second").exists()
    assert ask(server, "one").status_code == 401

    # What was configured first, and holds again, waits for nothing; nor does what can change.
    entry = {"model_name": "slow", "litellm_params": slow}
    put(
        path,
        config(
            entry, mock("one", "third"), data_directory="first", drain_seconds=1, **by_environment
        ),
    )
    until(lambda: said(ask(server, "one", key=made)) == "third")
    assert watched(server)["pending_restart"] == []
    with stream_of(server, "slow") as lines:
        next(lines)
        # By the first configuration it would go on for an hour.
        assert server.stop() == 0


# Elsewhere


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    with moto(tmp_path_factory.mktemp("moto")) as server:
        yield server


def written(*models: dict[str, Any], **general: Any) -> bytes:
    return yaml.safe_dump(config(*models, **general)).encode()


@pytest.mark.criterion("R3.4")
@pytest.mark.criterion("R3.5")
def test_a_configuration_in_s3_is_followed_and_outlives_s3(
    gateway: Gateways, s3: S3, tmp_path: Path
):
    place = "s3://configurations/gateway/config.yaml"
    cache = {"XDG_CACHE_HOME": str(tmp_path)}
    env = s3.environment() | cache
    unused = config(mock("none", "none"))
    arguments = ["--config", place, "--workers", "2"]

    def upload(body: bytes) -> None:
        s3.put("configurations", "gateway/config.yaml", body)

    upload(b"include: [other.yaml]\n")
    with pytest.raises(DidNotStart, match=r"config\.yaml:1: include: .* can't include others"):
        gateway(unused, env=env, arguments=arguments)
    upload(written(mock("one", "first")))
    checked = trunkline("config", "check", place, folder=tmp_path, env=env)
    assert checked.stdout == f"{place}: 1 deployments in 1 model groups, 0 warnings\n"
    server = gateway(unused, env=env, arguments=arguments)
    assert said(ask(server, "one")) == "first"
    upload(written(mock("one", "second")))
    until_all(lambda: said(ask(server, "one")) == "second")
    # A worker that takes a dead one's place serves what the others do.
    dead = server.workers()[0]
    os.kill(dead, signal.SIGKILL)
    until(lambda: len(server.workers()) == 2 and dead not in server.workers())
    server.wait_until_said("loaded watched=configuration", times=3)
    until_all(lambda: said(ask(server, "one")) == "second")
    upload(b"model_list: [")
    until(lambda: "not valid YAML" in (watched(server)["last_error"] or ""))
    assert watched(server)["last_error"].startswith(f"{place}:2: ")
    assert said(ask(server, "one")) == "second"
    server.stop()

    # At the next start neither the bad file nor a lost bucket keeps it from serving.
    server = gateway(unused, env=env, arguments=arguments)
    assert said(ask(server, "one")) == "second"
    assert "the last good copy is served" in server.log()
    server.stop()
    nowhere = env | {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}
    server = gateway(unused, env=nowhere, arguments=["--config", place])
    assert said(ask(server, "one")) == "second"
    assert "Could not connect" in watched(server)["last_error"]


def pointer(s3: S3, key: str, revision: int) -> bytes:
    """One that names the latest version of an object of the bucket."""
    body = s3.client.get_object(Bucket="rolled-out", Key=key)["Body"].read()
    head = s3.client.head_object(Bucket="rolled-out", Key=key)
    target = Target(
        key, "", head["ETag"], hashlib.sha256(body).hexdigest(), len(body), key, 1.0, 1.0
    )
    return encode(Pointer(revision, target))


def test_a_configuration_that_is_rolled_out_is_taken_when_that_is_said(
    gateway: Gateways, s3: S3, tmp_path: Path
):
    place = "s3://rolled-out/active.json"
    with redis_server(tmp_path) as redis:
        shared = {"router_settings": {"redis_url": redis.url}}

        def roll_out(number: int) -> None:
            key = f"incoming/{number}.yaml"
            # An hour between looks: only who is told will know.
            found = config(mock("one", str(number)), config_reload_interval=3600) | shared
            s3.put("rolled-out", key, yaml.safe_dump(found).encode())
            s3.put("rolled-out", "active.json", pointer(s3, key, number))

        roll_out(1)
        env = s3.environment() | {"XDG_CACHE_HOME": str(tmp_path)}
        arguments = ["--config", place, "--workers", "2"]
        server = gateway(config(mock("none", "none")), env=env, arguments=arguments)
        assert said(ask(server, "one")) == "1"
        until(lambda: redis.client.pubsub_numsub(CHANGES)[0][1] == 2)
        roll_out(2)
        assert announce(address_of(RouterSettings(redis_url=redis.url)), place)
        until_all(lambda: said(ask(server, "one")) == "2")


@pytest.mark.criterion("R3.5")
@pytest.mark.parametrize("shown", ["nothing", "a token", "a signature"])
def test_a_configuration_in_cloud_storage_is_followed(
    gateway: Gateways, tmp_path: Path, shown: str
):
    with FakeGcs() as fake:
        place = "gs://configurations/gateway/config.yaml"
        env = {"STORAGE_EMULATOR_HOST": fake.url, "XDG_CACHE_HOME": str(tmp_path)}
        if shown == "a token":
            fake.open = False
            env |= fake.account(tmp_path)
        elif shown == "a signature":
            env |= {"GS_ACCESS_KEY_ID": HMAC[0], "GS_SECRET_ACCESS_KEY": HMAC[1]}
        arguments = ["--config", place]
        fake.put("configurations", "gateway/config.yaml", written(mock("one", "first")))
        server = gateway(config(mock("none", "none")), env=env, arguments=arguments)
        assert said(ask(server, "one")) == "first"
        until(lambda: any(each.status == 304 for each in fake.requests))
        fake.put("configurations", "gateway/config.yaml", written(mock("one", "second")))
        until(lambda: said(ask(server, "one")) == "second")
        fake.objects["configurations"].clear()
        until(lambda: "there is no such object" in (watched(server)["last_error"] or ""))
        assert said(ask(server, "one")) == "second"
        server.stop()
        server = gateway(config(mock("none", "none")), env=env, arguments=arguments)
        assert said(ask(server, "one")) == "second"


@contextmanager
def secrets(s3: S3, **values: str) -> Iterator[Callable[[str, str], None]]:
    """Secrets of AWS; gives what rotates one."""
    import boto3

    client = boto3.session.Session().client(
        "secretsmanager",
        endpoint_url=s3.url,
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
        region_name="us-east-1",
    )
    for name, value in values.items():
        client.create_secret(Name=name.replace("__", "/"), SecretString=value)

    def rotate(name: str, value: str) -> None:
        client.put_secret_value(SecretId=name, SecretString=value)

    yield rotate


@pytest.mark.criterion("R10.3")
@pytest.mark.criterion("R10.4")
def test_rotated_secrets_are_in_use_without_a_restart(
    gateway: Gateways, fakes: Providers, tmp_path: Path
):
    fake = fakes(FakeOpenAI)
    params = {"model": "openai/gpt", "api_base": fake.base_url}
    entry = {"model_name": "one", "litellm_params": {**params, "api_key": "os.environ/ONE_KEY"}}
    # The key of the second stands nowhere in the file: it is found by its usual name.
    bare = {"model_name": "two", "litellm_params": params}
    managed = {
        "key_management_system": "aws_secret_manager",
        "key_management_settings": {"primary_secret_name": "primary"},
        "secrets_refresh_interval": 0.5,
    }
    found = {"model_list": [entry, bare], "general_settings": managed}
    with moto(tmp_path) as s3:
        gateway_secret = json.dumps({"LITELLM_MASTER_KEY": "sk-from-a-secret", "ONE_KEY": "one-1"})
        with secrets(
            s3,
            prod__gateway=gateway_secret,
            prod__OPENAI_API_KEY="openai-key-1",
            primary=json.dumps({"ONE_KEY": "not this one", "SPARE": "unused-value"}),
        ) as rotate:
            env = s3.environment() | {"TRUNKLINE_SECRETS": "prod/gateway, prod/OPENAI_API_KEY"}
            with pytest.raises(DidNotStart, match="the secret prod/none can't be read: there is"):
                gateway(found, env=env | {"TRUNKLINE_SECRETS": "prod/none"})
            server = gateway(found, env=env, arguments=["--workers", "2"])
            key = "sk-from-a-secret"

            def sent(model: str) -> str:
                assert said(ask(server, model, key=key)) == "echo: Hi"
                return fake.last.headers["authorization"].removeprefix("Bearer ")

            assert (sent("one"), sent("two")) == ("one-1", "openai-key-1")
            rotate("prod/OPENAI_API_KEY", "openai-key-2")
            rotate("prod/gateway", gateway_secret.replace("one-1", "one-2"))
            until_all(lambda: (sent("one"), sent("two")) == ("one-2", "openai-key-2"))
            rotate("prod/gateway", json.dumps({"LITELLM_MASTER_KEY": "sk-rotated-key"}))
            until_all(lambda: ask(server, "one", key="sk-rotated-key").status_code == 200)
            key = "sk-rotated-key"
            # What TRUNKLINE_SECRETS has no more, the secret of the file has.
            until_all(lambda: sent("one") == "not this one")
    # Secrets Manager is away: what was known goes on.
    server.wait_until_said("Could not connect")
    assert (sent("one"), sent("two")) == ("not this one", "openai-key-2")
    log = server.log()
    shown = ("sk-from-a-secret", "sk-rotated-key", "openai-key-1", "openai-key-2")
    assert not [each for each in shown if each in log]
