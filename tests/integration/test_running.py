"""Starting, stopping and refusing to start."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import certifi
import httpx
import pytest

from tests.fakes import FakeOpenAI, Hold
from tests.support.gateway import Gateways, free_port, trunkline, write_config
from tests.support.providers import Providers

MOCK = {
    "model_list": [
        {
            "model_name": "fast",
            "litellm_params": {"model": "openai/gpt-4o-mini", "mock_response": "Hello!"},
        }
    ]
}
ASK = {"model": "fast", "messages": [{"role": "user", "content": "Hi"}]}


def served_by(fake: FakeOpenAI) -> dict:
    params = {"model": "openai/gpt-4o-mini", "api_base": f"{fake.url}/v1", "api_key": "sk-upstream"}
    return {"model_list": [{"model_name": "fast", "litellm_params": params}]}


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_lets_the_streams_under_way_finish(
    gateway: Gateways, fakes: Providers, number: signal.Signals
):
    openai = fakes(FakeOpenAI)
    hold = Hold(after_chunks=2)
    openai.answer("one two three four")
    openai.fault(hold)
    server = gateway(served_by(openai))
    with httpx.stream(
        "POST", f"{server.url}/v1/chat/completions", json={**ASK, "stream": True}, timeout=30
    ) as answer:
        lines = answer.iter_lines()
        next(lines)
        server.signal(number)
        threading.Timer(0.5, hold.release).start()
        rest = "".join(lines)
    assert "four" in rest
    assert rest.endswith("data: [DONE]")
    assert server.wait() == 0


def test_a_stop_lets_the_streams_of_all_workers_finish(gateway: Gateways, fakes: Providers):
    openai = fakes(FakeOpenAI)
    hold = Hold(after_chunks=2)
    openai.answer("one two three four", always=True)
    openai.fault(hold, always=True)
    server = gateway(served_by(openai), arguments=["--workers", "2"])
    url, body = f"{server.url}/v1/chat/completions", {**ASK, "stream": True}
    # Each connection falls to one of the two at random.
    with httpx.Client(timeout=30) as client, ExitStack() as streams:
        answers = [streams.enter_context(client.stream("POST", url, json=body)) for _ in range(12)]
        lines = [answer.iter_lines() for answer in answers]
        for each in lines:
            next(each)
        server.signal(signal.SIGTERM)
        threading.Timer(0.5, hold.release).start()
        rests = ["".join(each) for each in lines]
    assert all("four" in rest and rest.endswith("data: [DONE]") for rest in rests)
    assert server.wait() == 0


@pytest.mark.parametrize("group", [False, True], ids=["the process", "the process group"])
@pytest.mark.parametrize("said", ["listening", "no master key"])
def test_a_stop_while_it_starts_ends_it_at_once(gateway: Gateways, group: bool, said: str):
    patient = MOCK | {"general_settings": {"drain_seconds": 3600}}
    server = gateway(patient, arguments=["--workers", "2"], ready=False)
    server.wait_until_said(said)
    server.signal(signal.SIGINT, group=group)
    assert server.wait() == 0
    assert "Traceback" not in server.log()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells which signals are handled")
@pytest.mark.parametrize("after", [0, 0.002, 0.005, 0.01])
def test_a_stop_between_starting_and_serving_ends_it(gateway: Gateways, after: float):
    patient = MOCK | {"general_settings": {"drain_seconds": 3600}}
    server = gateway(patient, ready=False)
    server.wait_until_said("listening")
    for handled in (False, True):  # not as the parent does any more, then as a worker does
        while handled not in map(handles_stops, server.workers()):
            time.sleep(0.0005)
    time.sleep(after)
    server.signal(signal.SIGTERM)
    assert server.wait() == 0


def handles_stops(process: int) -> bool:
    """Whether a process has a handler for SIGTERM."""
    status = Path(f"/proc/{process}/status").read_text()
    mask = next(line for line in status.splitlines() if line.startswith("SigCgt:")).split()[1]
    return bool(int(mask, 16) >> (signal.SIGTERM - 1) & 1)


def test_a_stop_cuts_what_outlasts_the_drain(gateway: Gateways, fakes: Providers):
    openai = fakes(FakeOpenAI)
    openai.fault(Hold(after_chunks=2))
    server = gateway(served_by(openai) | {"general_settings": {"drain_seconds": 1}})
    with httpx.stream(
        "POST", f"{server.url}/v1/chat/completions", json={**ASK, "stream": True}, timeout=30
    ) as answer:
        next(answer.iter_lines())
        assert server.stop() == 0


def test_a_silent_connection_is_closed_when_it_is_configured_to_be(gateway: Gateways):
    server = gateway(MOCK | {"general_settings": {"keep_alive_seconds": 0.5}})
    with socket.create_connection((server.host, server.port), timeout=60) as connection:
        connection.sendall(b"GET /health/liveness HTTP/1.1\r\nhost: gateway\r\n\r\n")
        received = b""
        # By default it would outlast the socket's own patience.
        while more := connection.recv(4096):
            received += more
    assert received.startswith(b"HTTP/1.1 200")


def test_workers_share_the_port(gateway: Gateways):
    server = gateway(MOCK, arguments=["--workers", "2"])
    with httpx.Client() as client:
        for _ in range(20):
            answer = client.post(f"{server.url}/v1/chat/completions", json=ASK)
            assert answer.json()["choices"][0]["message"]["content"] == "Hello!"
    assert server.stop() == 0


def test_a_worker_that_dies_is_told_and_replaced(gateway: Gateways):
    server = gateway(MOCK)
    (worker,) = server.workers()
    os.kill(worker, signal.SIGKILL)
    server.wait_until_said("Unexpected exit from worker-1")
    server.wait_until_ready()
    answer = httpx.post(f"{server.url}/v1/chat/completions", json=ASK)
    assert answer.status_code == 200
    assert server.workers() != [worker]


def test_workers_that_die_again_and_again_do_not_end_the_service(gateway: Gateways):
    server = gateway(MOCK, arguments=["--workers", "2"])
    for times in range(1, 5):
        os.kill(server.workers()[0], signal.SIGKILL)
        server.wait_until_said("Unexpected exit from worker", times=times)
    server.wait_until_ready()
    assert httpx.post(f"{server.url}/v1/chat/completions", json=ASK).status_code == 200
    assert server.stop() == 0


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children of it")
def test_a_gateway_that_is_killed_leaves_no_worker_behind(gateway: Gateways):
    server = gateway(MOCK, arguments=["--workers", "2"])
    server.signal(signal.SIGKILL)
    server.wait()
    deadline = time.monotonic() + 30
    while server.status("/health/liveness") is not None:
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.skipif(not has_ipv6(), reason="this machine's loopback has no IPv6")
def test_an_address_of_ipv6_is_served(gateway: Gateways):
    server = gateway(MOCK, host="::1")
    answer = httpx.post(f"{server.url}/v1/chat/completions", json=ASK)
    assert answer.status_code == 200
    assert f"listening on http://[::1]:{server.port}" in server.log()


def test_a_port_in_use_is_one_clear_line(tmp_path):
    config = write_config(tmp_path, MOCK)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ended = trunkline("serve", "--config", str(config), "--port", str(port), folder=tmp_path)
    assert ended.returncode == 2
    assert f"127.0.0.1:{port}" in ended.stderr
    assert "in use" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("host", ["no..where", "192.0.2.1"])
def test_an_address_that_is_not_this_machines_is_one_clear_line(tmp_path: Path, host: str):
    config = write_config(tmp_path, MOCK | {"general_settings": {"master_key": "sk-master"}})
    ended = trunkline("serve", "--config", str(config), "--host", host, folder=tmp_path)
    assert ended.returncode == 2
    assert ended.stderr.startswith(f"trunkline: cannot listen on {host}:4000: ")
    assert len(ended.stderr.splitlines()) == 1


@pytest.mark.parametrize("name", ["nowhere.yaml", ".", "loop.yaml", "file/config.yaml"])
@pytest.mark.parametrize("command", [("serve", "--config"), ("config", "check")])
def test_a_file_that_cannot_be_read_is_one_clear_line(
    tmp_path: Path, command: tuple[str, ...], name: str
):
    (tmp_path / "loop.yaml").symlink_to("loop.yaml")
    (tmp_path / "file").touch()
    ended = trunkline(*command, name, folder=tmp_path)
    assert ended.returncode == 2
    assert f"{name} can't be read: " in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def kept(what: str, folder: str) -> dict:
    """A configuration by which something is kept in a folder."""
    general: dict = {"data_directory": folder}
    told: dict = {}
    if what == "records":
        general["routing_records"] = True
    elif what == "accounts":
        general["master_key"] = "sk-master"
    elif what == "answers":
        told = {"cache": True, "cache_params": {"type": "disk"}}
    return MOCK | {"general_settings": general, "litellm_settings": told}


@pytest.mark.parametrize("what", ["records", "accounts", "answers"])
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("a file", "Not a directory"),
        ("a file/below", "Not a directory"),
        ("/proc/none/below", "No such file or directory"),
        ("of\0nothing", "embedded null byte"),
    ],
)
def test_a_data_directory_that_cannot_be_written_to_is_one_clear_line(
    tmp_path: Path, what: str, name: str, reason: str
):
    (tmp_path / "a file").touch()
    path = str(write_config(tmp_path, kept(what, name)))
    for command in ("serve", "--config"), ("config", "check"):
        ended = trunkline(*command, path, folder=tmp_path)
        assert (ended.returncode, ended.stdout) == (2, "")
        setting = "trunkline: general_settings.data_directory"
        told = f"{setting}: nothing can be written to {tmp_path / name}: {reason}\n"
        assert ended.stderr == told


def test_so_is_another_folder_of_the_cache(tmp_path: Path):
    config = kept("answers", "fine")
    config["litellm_settings"]["cache_params"]["disk_cache_dir"] = "/proc/none"
    ended = trunkline("config", "check", str(write_config(tmp_path, config)), folder=tmp_path)
    assert ended.returncode == 2
    setting = "trunkline: litellm_settings.cache_params.disk_cache_dir"
    assert ended.stderr.startswith(f"{setting}: nothing can be written to /proc/none: ")


def test_a_check_leaves_no_folder_behind(tmp_path: Path):
    path = write_config(tmp_path, kept("accounts", "new/below"))
    assert trunkline("config", "check", str(path), folder=tmp_path).returncode == 0
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_in_which_nothing_is_kept_need_not_be_there(gateway: Gateways):
    assert gateway(kept("nothing", "/proc/none")).stop() == 0


def test_routing_records_that_cannot_be_kept_are_one_clear_line(tmp_path: Path):
    (tmp_path / "data" / "routing.db").mkdir(parents=True)
    path = write_config(tmp_path, kept("records", "data"))
    ended = trunkline("serve", "--config", str(path), folder=tmp_path)
    assert (ended.returncode, ended.stdout) == (2, "")
    (line,) = ended.stderr.splitlines()
    assert line.startswith("trunkline: the routing records can't be kept: ")
    assert f"{Path('data', 'routing.db')}" in line


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "AWS_CA_BUNDLE"])
@pytest.mark.parametrize(
    ("name", "reason"),
    [("nowhere.pem", "No such file or directory"), ("config.yaml", "this isn't one")],
)
@pytest.mark.parametrize("command", [("serve", "--config"), ("config", "check")])
def test_a_variable_that_names_no_authorities_is_one_clear_line(
    tmp_path: Path, command: tuple[str, ...], name: str, reason: str, variable: str
):
    config = write_config(tmp_path, MOCK)
    path = str(tmp_path / name)
    ended = trunkline(*command, str(config), folder=tmp_path, env={variable: path})
    assert (ended.returncode, ended.stdout) == (2, "")
    (line,) = ended.stderr.splitlines()
    assert line.startswith(f"trunkline: the environment variable {variable} names {path}: expected")
    assert line.endswith(f"({reason})")


def test_a_file_of_the_configuration_stands_in_for_the_variable_s(
    gateway: Gateways, tmp_path: Path
):
    elsewhere = {"SSL_CERT_FILE": str(tmp_path / "nowhere.pem")}
    own = MOCK | {"litellm_settings": {"ssl_verify": certifi.where()}}
    assert gateway(own, env=elsewhere).stop() == 0
    wrong = write_config(tmp_path, MOCK | {"environment_variables": elsewhere})
    ended = trunkline("config", "check", str(wrong), folder=tmp_path)
    assert ended.returncode == 2


@pytest.mark.parametrize(
    ("option", "value", "complaint"),
    [
        ("--port", "none", "a port is a number from 1 to 65535"),
        ("--port", "65536", "a port is a number from 1 to 65535"),
        ("--port", "-1", "a port is a number from 1 to 65535"),
        ("--workers", "0", "workers are a number from 1 to 256"),
        ("--workers", "two", "workers are a number from 1 to 256"),
    ],
)
def test_a_wrong_number_is_refused(tmp_path: Path, option: str, value: str, complaint: str):
    config = write_config(tmp_path, MOCK)
    ended = trunkline("serve", "--config", str(config), f"{option}={value}", folder=tmp_path)
    assert ended.returncode == 2
    assert ended.stderr.endswith(f"error: argument {option}: {complaint}\n")


@pytest.mark.parametrize("command", [(), ("config",), ("serve",), ("reload",)])
def test_a_command_that_is_not_whole_tells_its_usage(tmp_path: Path, command: tuple[str, ...]):
    ended = trunkline(*command, folder=tmp_path)
    assert ended.returncode == 2
    assert ended.stderr.startswith("usage: trunkline")


@pytest.mark.criterion("R1.5")
def test_a_check_tells_what_serving_tells(gateway: Gateways, tmp_path: Path):
    config = write_config(
        tmp_path,
        """
model_list:
  - model_name: fast
    litellm_params: {model: openai/gpt-4o-mini, mock_response: Hello!}
  - model_name: fast
    litellm_params: {model: openai/gpt-4o, api_key: os.environ/NOT_SET_ANYWHERE}
litellm_settings:
  scim_admin_group: staff
  num_retires: 3
general_settings:
  alerting: [slack]
""",
    )
    checked = trunkline("config", "check", str(config), folder=tmp_path)
    *warnings, summary = checked.stdout.splitlines()
    assert (checked.returncode, checked.stderr) == (0, "")
    assert summary == f"{config}: 2 deployments in 1 model groups, 4 warnings"
    assert len(warnings) == 4

    log = gateway(config).log()
    for warning in warnings:
        assert log.count(warning.removeprefix("warning: ")) == 1


@pytest.mark.criterion("R1.5")
def test_a_wrong_configuration_says_where_and_what(tmp_path):
    config = write_config(
        tmp_path,
        """
model_list:
  - model_name: fast
    litellm_params:
      model: openai/gpt-4o-mini
      timeout: soon
router_settings:
  fallbacks: [{fast: [missing-model]}]
""",
    )
    for command in (["serve", "--config"], ["config", "check"]):
        ended = trunkline(*command, str(config), folder=tmp_path)
        assert ended.returncode == 2
        assert "config.yaml:6: model_list[0].litellm_params.timeout" in ended.stderr
        assert "missing-model" in ended.stderr
        assert "Traceback" not in ended.stderr


def test_without_a_master_key_only_loopback_is_served(tmp_path):
    config = write_config(tmp_path, MOCK)
    ended = trunkline(
        *("serve", "--config", str(config), "--host", "0.0.0.0", "--port", str(free_port())),
        folder=tmp_path,
    )
    assert ended.returncode == 2
    assert "master_key" in ended.stderr


@pytest.mark.criterion("R11.1")
def test_whoever_wants_to_serves_others_without_a_key_and_is_told(gateway: Gateways):
    open_to_all = MOCK | {"general_settings": {"allow_unauthenticated": True}}
    server = gateway(open_to_all, host="0.0.0.0")
    answer = httpx.post(f"http://127.0.0.1:{server.port}/v1/chat/completions", json=ASK)
    assert answer.status_code == 200
    assert "no master key is configured" in server.log()


@pytest.mark.criterion("R11.1")
def test_a_master_key_whose_variable_is_missing_is_not_served_without(tmp_path: Path):
    config = write_config(
        tmp_path, MOCK | {"general_settings": {"master_key": "os.environ/ABSENT"}}
    )
    ended = trunkline("serve", "--config", str(config), folder=tmp_path)
    assert ended.returncode == 2
    told = "general_settings.master_key: the environment variable ABSENT isn't set"
    assert told in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_a_variable_that_is_missing_costs_its_model_alone(gateway: Gateways):
    missing = {"model": "openai/gpt-4o", "api_key": "os.environ/NOT_SET_ANYWHERE"}
    server = gateway(
        {"model_list": [*MOCK["model_list"], {"model_name": "smart", "litellm_params": missing}]}
    )
    assert "NOT_SET_ANYWHERE" in server.log()
    url = f"{server.url}/v1/chat/completions"
    assert httpx.post(url, json=ASK).status_code == 200
    refused = httpx.post(url, json={**ASK, "model": "smart"})
    assert refused.status_code == 503
    assert "NOT_SET_ANYWHERE" in refused.json()["error"]["message"]
