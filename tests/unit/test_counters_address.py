"""Redis's address is understood in all its forms, or refused when the configuration is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from trunkline.errors import ConfigError
from trunkline.settings import load
from trunkline.settings.redis_address import (
    EXPECTED,
    RedisAddress,
    Tls,
    Topology,
    address_of,
    parse,
)
from trunkline.settings.schema import RouterSettings

ADDRESSES = {
    "redis://": RedisAddress(hosts=(("127.0.0.1", 6379),)),
    "redis://h": RedisAddress(hosts=(("h", 6379),)),
    "redis://:p%40@h:1/3": RedisAddress(hosts=(("h", 1),), password="p@", database=3),
    "redis://[::1]:6380?db=2": RedisAddress(hosts=(("::1", 6380),), database=2),
    "rediss://u:p@h": RedisAddress(hosts=(("h", 6379),), user="u", password="p", tls=Tls()),
    "rediss://h?ssl_cert_reqs=none": RedisAddress(
        hosts=(("h", 6379),), tls=Tls(check=False, check_host=False)
    ),
    "rediss://h?ssl_check_hostname=false&ssl_ca_certs=/ca.pem": RedisAddress(
        hosts=(("h", 6379),), tls=Tls(authorities="/ca.pem", check_host=False)
    ),
    "unix:///run/redis.sock?db=2": RedisAddress(path="/run/redis.sock", database=2),
    "unix://u:p@/run/redis.sock": RedisAddress(path="/run/redis.sock", user="u", password="p"),
    "redis+sentinel://:p@a:1,b/main/2?sentinel_password=s": RedisAddress(
        topology=Topology.SENTINEL,
        hosts=(("a", 1), ("b", 26379)),
        service="main",
        password="p",
        database=2,
        sentinel_password="s",
    ),
    "rediss+cluster://a:1,b:2": RedisAddress(
        topology=Topology.CLUSTER, hosts=(("a", 1), ("b", 2)), tls=Tls()
    ),
}

WRONG = """
    http://h localhost:6379 redis://a,b redis://h:x redis://h:99999 redis://h/x redis://h/1/2
    redis://h/-1 redis://h?db=x unix:// unix://h/x redis+sentinel://a:1 redis+sentinel:///main
    redis+cluster:// redis+cluster://a/3 redis+cluster://a,,b redis://u:canary@h:x
""".split()


@pytest.mark.parametrize(("url", "address"), ADDRESSES.items())
def test_an_address_is_understood(url: str, address: RedisAddress) -> None:
    assert parse(url) == address
    assert address_of(RouterSettings(redis_url=url)) == address


def test_an_address_may_stand_in_several_settings() -> None:
    settings = RouterSettings.model_validate(
        {
            "redis_host": "h",
            "redis_port": "1",
            "redis_username": "u",
            "redis_password": "p",
            "redis_db": 4,
            "redis_ssl": True,
        }
    )
    assert address_of(settings) == RedisAddress(
        hosts=(("h", 1),), user="u", password="p", database=4, tls=Tls()
    )
    assert address_of(RouterSettings()) is None


@pytest.mark.parametrize("url", WRONG)
def test_what_is_no_address_is_refused_without_what_is_secret_in_it(
    url: str, tmp_path: Path
) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(f'router_settings:\n  redis_url: "{url}"\n', "utf-8")
    with pytest.raises(ConfigError) as caught:
        load(path, {})
    assert f"{path}:2: router_settings.redis_url: {EXPECTED}" in str(caught.value)
    assert "canary" not in str(caught.value)


def test_a_file_for_tls_that_is_not_there_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text('router_settings: {redis_url: "rediss://h?ssl_ca_certs=/nowhere.pem"}', "utf-8")
    with pytest.raises(ConfigError, match="TLS that isn't there"):
        load(path, {})
