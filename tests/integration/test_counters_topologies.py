"""Redis is found and spoken to as it is run: behind TLS, with users, by sentinels, in a cluster."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import ipaddress
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from redis import Redis
from redis.exceptions import RedisError

from tests.support.gateway import free_port
from trunkline.settings.redis_address import address_of
from trunkline.settings.schema import RouterSettings
from trunkline.state.build import State, build, warning
from trunkline.state.contract import Admitted, Hold, Kind, Refused
from trunkline.telemetry.metrics import Metrics, PrometheusMetrics

PLACE = Hold("key:k:parallel", Kind.PARALLEL, 2, 1)
REQUEST = Hold("key:k:requests", Kind.REQUESTS, 100, 1)


@contextlib.contextmanager
def run(folder: Path, port: int, *options: str, sentinel: bool = False) -> Iterator[Redis]:
    """A server with options of redis-server, which has a port of its own without TLS."""
    folder.mkdir(exist_ok=True)
    if sentinel:
        command = ["redis-server", str(folder / "sentinel.conf"), "--sentinel", *options]
    else:
        command = ["redis-server", "--save", "", "--dir", str(folder), "--bind", "127.0.0.1"]
        command += ["--port", str(port), *options]
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    client = Redis(port=port)
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                client.ping()
                break
            except RedisError:
                assert time.monotonic() < deadline, (folder / "log").read_text()
                time.sleep(0.02)
        yield client
    finally:
        client.close()
        process.kill()
        process.wait()


async def counts(state: State) -> None:
    """Whether it admits, settles, streams and tells."""
    heard: list[str] = []
    state.bus.subscribe(heard.append)
    call = await state.counters.admit("one", (REQUEST, PLACE))
    assert isinstance(call, Admitted)
    assert call.left == (99, 1)
    assert state.stream is not None
    assert await state.counters.settle(call, tokens=0, cost=0, row=b"row")
    assert await state.stream.length() == 1
    assert await state.counters.ping()
    await state.bus.publish("hello")
    assert heard[-1] == "hello"


async def close(state: State) -> None:
    await state.bus.close()
    await state.counters.close()


async def works(**settings: object) -> None:
    state = build(RouterSettings.model_validate(settings), Metrics(), workers=3)
    try:
        await counts(state)
    finally:
        await close(state)


async def fails(**settings: object) -> str:
    """Why Redis can't be used: the counters would go on without it."""
    state = build(RouterSettings.model_validate(settings), Metrics(), workers=3)
    try:
        assert not await state.counters.ping()
        return str(state.counters._redis._link.reason)
    finally:
        await close(state)


async def test_a_server_is_named_by_host_and_port_user_and_password(tmp_path: Path) -> None:
    port = free_port()
    with run(tmp_path, port) as client:
        client.acl_setuser("gateway", enabled=True, passwords=["+p@ss/word"], commands=["+@all"])
        client.execute_command("ACL", "SETUSER", "gateway", "~{trunkline}:*", "&{trunkline}:*")
        where = {"redis_host": "127.0.0.1", "redis_port": port}
        await works(**where, redis_username="gateway", redis_password="p@ss/word", redis_db=3)
        assert Redis(port=port, db=3).dbsize() > 0
        client.flushall()
        await works(redis_url=f"redis://gateway:p%40ss%2Fword@127.0.0.1:{port}/2")
        reason = await fails(**where, redis_username="gateway", redis_password="wrong-canary")
        assert "WRONGPASS" in reason
        assert "canary" not in reason


async def test_a_server_is_reached_by_its_socket(tmp_path: Path) -> None:
    socket = tmp_path / "redis.sock"
    with run(tmp_path, free_port(), "--unixsocket", str(socket)):
        await works(redis_url=f"unix://{socket}?db=1")


def _certify(folder: Path, name: str) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    files = folder / f"{name}.crt", folder / f"{name}.key"
    files[0].write_bytes(certificate.public_bytes(pem))
    files[1].write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return files


async def test_with_tls_a_server_that_is_not_known_is_not_spoken_to(tmp_path: Path) -> None:
    certificate, key = _certify(tmp_path, "server")
    port = free_port()
    options = ("--tls-port", str(port), "--tls-cert-file", str(certificate))
    options += ("--tls-key-file", str(key), "--tls-ca-cert-file", str(certificate))
    with run(tmp_path, free_port(), *options) as client:
        url = f"rediss://127.0.0.1:{port}"
        mutual = f"ssl_certfile={certificate}&ssl_keyfile={key}"
        await works(redis_url=f"{url}?ssl_ca_certs={certificate}&{mutual}")
        assert "certificate verify failed" in (await fails(redis_url=f"{url}?{mutual}")).lower()
        client.flushall()
        await works(redis_url=f"{url}?ssl_cert_reqs=none&{mutual}")


async def test_in_a_cluster_the_node_with_our_keys_is_found(tmp_path: Path) -> None:
    first, second = free_port(), free_port()
    cluster = ("--cluster-enabled", "yes", "--cluster-config-file")
    with (
        run(tmp_path / "a", first, *cluster, "a.conf") as a,
        run(tmp_path / "b", second, *cluster, "b.conf") as b,
    ):
        slot = a.execute_command("CLUSTER KEYSLOT", "{trunkline}")
        a.execute_command("CLUSTER ADDSLOTSRANGE", 0, slot - 1, slot + 1, 16383)
        b.execute_command("CLUSTER ADDSLOTS", slot)
        a.execute_command("CLUSTER MEET", "127.0.0.1", second)

        def ready() -> bool:
            states = [each.execute_command("CLUSTER INFO") for each in (a, b)]
            return all(each["cluster_state"] == "ok" for each in states)

        deadline = time.monotonic() + 20
        while not ready():
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)
        nobody = free_port()
        await works(redis_url=f"redis+cluster://127.0.0.1:{nobody},127.0.0.1:{first}")
        assert b.dbsize() > 0

        # The slot moves to the other node, while the counters are in use.
        url = f"redis+cluster://127.0.0.1:{first},127.0.0.1:{second}"
        state = build(RouterSettings(redis_url=url), Metrics(), workers=1)
        assert isinstance(await state.counters.admit("two", (REQUEST,)), Admitted)
        b.flushall()
        node = a.execute_command("CLUSTER MYID")
        for each in (b, a):
            each.execute_command("CLUSTER SETSLOT", slot, "NODE", node)
        deadline = time.monotonic() + 20
        while not a.dbsize():
            assert isinstance(
                await state.counters.admit(f"{time.monotonic()}", (REQUEST,)), Admitted
            )
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)
        await close(state)


async def test_sentinels_tell_which_server_is_the_master_also_after_it_has_changed(
    tmp_path: Path,
) -> None:
    first, second, guard = free_port(), free_port(), free_port()
    conf = f"port {guard}\ndir {tmp_path}\nsentinel monitor main 127.0.0.1 {first} 1\n"
    conf += "sentinel down-after-milliseconds main 500\nsentinel failover-timeout main 3000\n"
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "sentinel.conf").write_text(conf)
    with contextlib.ExitStack() as stack:
        master = stack.enter_context(run(tmp_path / "a", first))
        with run(tmp_path / "b", second, "--replicaof", "127.0.0.1", str(first)) as replica:
            deadline = time.monotonic() + 20
            while replica.info("replication")["master_link_status"] != "up":
                assert time.monotonic() < deadline
                await asyncio.sleep(0.05)
            stack.enter_context(run(tmp_path / "s", guard, sentinel=True))
            url = f"redis+sentinel://127.0.0.1:{free_port()},127.0.0.1:{guard}/main/0"
            state = build(RouterSettings(redis_url=url), Metrics(), workers=1)
            await counts(state)
            assert master.dbsize() > 0
            # A sentinel has to have heard of the replica before it can make it the master.
            sentinel = Redis(port=guard)
            while not sentinel.sentinel_slaves("main"):
                await asyncio.sleep(0.1)
            with contextlib.suppress(RedisError):
                master.shutdown(nosave=True)

            async def shared() -> bool:
                await state.counters.admit(f"{time.monotonic()}", (REQUEST,))
                return await state.counters.ping()

            deadline = time.monotonic() + 40
            while not (replica.info("replication")["role"] == "master" and await shared()):
                assert time.monotonic() < deadline
                await asyncio.sleep(0.1)
            await close(state)


async def test_without_redis_each_of_several_workers_enforces_its_share() -> None:
    settings = RouterSettings()
    alone = build(settings, Metrics(), workers=1)
    assert isinstance(await alone.counters.admit("one", (REQUEST,)), Admitted)
    assert warning(settings, 1) is None
    one = build(settings, Metrics(), workers=4)
    assert one.stream is None
    outcomes = [await one.counters.admit(str(number), (REQUEST,)) for number in range(26)]
    assert sum(isinstance(each, Admitted) for each in outcomes) == 25
    spent = Hold("key:k:budget", Kind.BUDGET, 1000, 100, spent=200)
    assert isinstance(await one.counters.admit("a", (spent,)), Admitted)
    assert isinstance(await one.counters.admit("b", (spent,)), Admitted)
    assert isinstance(await one.counters.admit("c", (spent,)), Refused)
    told = warning(settings, 4)
    assert told is not None
    assert "1/4" in told
    assert warning(RouterSettings(redis_host="redis"), 4) is None


async def test_outages_of_redis_are_counted_for_prometheus(tmp_path: Path) -> None:
    metrics = PrometheusMetrics()
    port = free_port()
    with run(tmp_path, port):
        settings = RouterSettings(redis_host="127.0.0.1", redis_port=port)
        state = build(settings, metrics, workers=1)
        await counts(state)
        await asyncio.sleep(0.1)
        told = metrics.exposition("text/plain")
        assert told is not None
        assert b"trunkline_redis_up 1.0" in told[1]
    await state.counters.admit("two", (REQUEST,))
    told = metrics.exposition("text/plain")
    assert told is not None
    assert b"trunkline_redis_up 0.0" in told[1]
    assert b"trunkline_redis_failures_total 1.0" in told[1]
    await close(state)


def test_secrets_of_an_address_are_not_shown() -> None:
    address = address_of(RouterSettings(redis_url="redis://u:hush-canary@host"))
    assert "canary" not in repr(address)
