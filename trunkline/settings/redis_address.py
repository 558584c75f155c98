"""Where the Redis is in which processes share what they count.

    redis://[user:password@]host[:port][/db]            one server; rediss:// with TLS
    unix://[user:password@]/path[?db=0]                 one server, by a socket
    redis+sentinel://[user:password@]host:port,…/service[/db]
    redis+cluster://[user:password@]host:port,…

With TLS: rediss+sentinel:// and rediss+cluster://. The query may hold, as the client redis-py names
them, `ssl_ca_certs`, `ssl_certfile`, `ssl_keyfile`, `ssl_cert_reqs` (`none` checks nothing) and
`ssl_check_hostname`; `db`; and `sentinel_username`, `sentinel_password` for the sentinels, which
don't get the password of the servers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field
from enum import StrEnum
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from ..dataclass import dataclass
from ..errors import Place
from .document import Node
from .problems import Problem
from .schema import RouterSettings

PORT = 6379
SENTINEL_PORT = 26379

EXPECTED = (
    "expected redis://, rediss:// or unix:// and an address,"
    " redis+sentinel://host:port,host:port/service or redis+cluster://host:port,host:port"
)


class Topology(StrEnum):
    """How the server is found."""

    SERVER = "server"
    SENTINEL = "sentinel"
    CLUSTER = "cluster"


@dataclass(frozen=True, slots=True)
class Tls:
    """How servers are known, and this client to them; files by their names.

    authorities: empty for the system's. check: whether certificates are checked. check_host:
    whether they must be for the host.
    """

    authorities: str = ""
    certificate: str = ""
    key: str = ""
    check: bool = True
    check_host: bool = True


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """An address as it was configured.

    hosts: the server, or the sentinels, or some nodes of the cluster. path: of a socket, in their
    place. service: what the sentinels call it. user, password: of the servers; empty for none.
    sentinel_user, sentinel_password: of the sentinels. tls: None without.
    """

    topology: Topology = Topology.SERVER
    hosts: tuple[tuple[str, int], ...] = ()
    path: str = ""
    service: str = ""
    user: str = ""
    password: str = field(default="", repr=False)
    database: int = 0
    sentinel_user: str = ""
    sentinel_password: str = field(default="", repr=False)
    tls: Tls | None = None


def address_of(settings: RouterSettings) -> RedisAddress | None:
    """The configured Redis; None where there is none. Raises ValueError."""
    if settings.redis_url:
        return parse(settings.redis_url)
    if not settings.redis_host:
        return None
    return RedisAddress(
        hosts=((settings.redis_host, settings.redis_port or PORT),),
        user=settings.redis_username or "",
        password=settings.redis_password or "",
        database=settings.redis_db or 0,
        tls=Tls() if settings.redis_ssl else None,
    )


def parse(url: str) -> RedisAddress:
    """Raises ValueError for what is no address: what is expected, without what is secret in it."""
    try:
        return _parsed(urlsplit(url))
    except (LookupError, ValueError):
        raise ValueError(EXPECTED) from None


def problems_of(settings: RouterSettings, root: Node) -> Iterator[Problem]:
    """What is wrong with the address, and with its files."""
    try:
        address = address_of(settings)
    except ValueError as error:
        yield _place(root), str(error)
        return
    tls = address.tls if address else None
    for name in (tls.authorities, tls.certificate, tls.key) if tls else ():
        if name and not Path(name).is_file():
            yield _place(root), "names a file for TLS that isn't there"


def _place(root: Node) -> Place:
    path = ("router_settings", "redis_url")
    return root.find(path).place(*path)


def _parsed(url: SplitResult) -> RedisAddress:
    login, _, places = url.netloc.rpartition("@")
    user, _, password = login.partition(":")
    query = dict(parse_qsl(url.query, strict_parsing=bool(url.query)))
    steps = [unquote(step) for step in url.path.split("/") if step]
    topology, secure = _SCHEMES[url.scheme]
    socket = url.scheme == "unix"
    if socket and (places or not steps):
        raise ValueError
    service = steps.pop(0) if topology is Topology.SENTINEL else ""
    if topology is Topology.CLUSTER and steps not in ([], ["0"]):
        raise ValueError
    port = SENTINEL_PORT if topology is Topology.SENTINEL else PORT
    return RedisAddress(
        topology=topology,
        hosts=() if socket else tuple(_hosts(places, port, topology)),
        path=unquote(url.path) if socket else "",
        service=service,
        user=unquote(user),
        password=unquote(password),
        database=_database([] if socket else steps, query),
        sentinel_user=query.get("sentinel_username", ""),
        sentinel_password=query.get("sentinel_password", ""),
        tls=_tls(query) if secure else None,
    )


_SCHEMES: Mapping[str, tuple[Topology, bool]] = {
    "redis": (Topology.SERVER, False),
    "rediss": (Topology.SERVER, True),
    "unix": (Topology.SERVER, False),
    "redis+sentinel": (Topology.SENTINEL, False),
    "rediss+sentinel": (Topology.SENTINEL, True),
    "redis+cluster": (Topology.CLUSTER, False),
    "rediss+cluster": (Topology.CLUSTER, True),
}


def _hosts(places: str, port: int, topology: Topology) -> Iterator[tuple[str, int]]:
    """Host and port of each; raises ValueError for none, or for several where one is due."""
    several = places.split(",")
    if topology is Topology.SERVER and len(several) > 1:
        raise ValueError
    for each in several:
        place = urlsplit(f"//{each}")
        if place.path or (not place.hostname and (each or topology is not Topology.SERVER)):
            raise ValueError
        yield place.hostname or "127.0.0.1", place.port or port


def _database(steps: list[str], query: Mapping[str, str]) -> int:
    if len(steps) > 1:
        raise ValueError
    number = int(steps[0] if steps else query.get("db", "0"))
    if number < 0:
        raise ValueError
    return number


def _tls(query: Mapping[str, str]) -> Tls:
    check = query.get("ssl_cert_reqs", "required").lower() not in ("none", "cert_none", "0")
    host = query.get("ssl_check_hostname", "true").lower() not in ("false", "no", "0")
    return Tls(
        authorities=query.get("ssl_ca_certs", ""),
        certificate=query.get("ssl_certfile", ""),
        key=query.get("ssl_keyfile", ""),
        check=check,
        check_host=check and host,
    )
