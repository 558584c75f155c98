"""Finds the server that holds our keys, and connects to it.

A cluster's is the node of the slot of `{trunkline}`, which all our keys share; of a service that
sentinels watch, it is the master that they name. When a connection breaks, or a server says that it
isn't the one, it is looked for again.
"""

from __future__ import annotations

import asyncio
import binascii
import socket
import ssl
from collections.abc import Callable
from typing import Any

from ..settings.redis_address import RedisAddress, Tls, Topology
from .link import Connection, LinkDown

TAG = "{trunkline}"
"""What all keys begin with: Redis Cluster lays keys with the same tag on the same node."""

SLOTS = 16384
SLOT = binascii.crc_hqx(TAG.strip("{}").encode(), 0) % SLOTS
"""CRC-16/XMODEM of the tag: https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/"""

LOOKING = 1.0
"""Seconds for a sentinel, or a node, to say where the server is."""

Hear = Callable[[list[Any]], None]


async def open_connection(address: RedisAddress, hear: Hear | None = None) -> Connection:
    """A connection to the server itself, logged in. Raises LinkDown or OSError."""
    host, port = await _server(address)
    connection = await _connected(address, host, port, hear)
    try:
        await _log_in(connection, address.user, address.password)
        if address.database:
            await connection.ask("SELECT", address.database)
        if address.topology is Topology.SENTINEL:
            role = await connection.ask("ROLE")
            if role[0] != b"master":
                raise LinkDown("the server that the sentinels name isn't the master yet")
    except BaseException:
        connection.close("it could not be used")
        raise
    return connection


async def _server(address: RedisAddress) -> tuple[str, int]:
    match address.topology:
        case Topology.SENTINEL:
            return await _first(address, _master)
        case Topology.CLUSTER:
            return await _first(address, _node)
    return address.hosts[0] if address.hosts else ("", 0)


async def _first(address: RedisAddress, look: Any) -> tuple[str, int]:
    """What the first of the hosts says that knows."""
    reasons = []
    for host, port in address.hosts:
        try:
            async with asyncio.timeout(LOOKING):
                connection = await _connected(address, host, port)
                try:
                    found: tuple[str, int] = await look(address, connection, host)
                finally:
                    connection.close("what was looked for is known")
                return found
        except (LinkDown, OSError, TimeoutError) as error:
            reasons.append(f"{host}:{port}: {error or type(error).__name__}")
    raise LinkDown("; ".join(reasons))


async def _master(address: RedisAddress, sentinel: Connection, host: str) -> tuple[str, int]:
    await _log_in(sentinel, address.sentinel_user, address.sentinel_password)
    found = await sentinel.ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", address.service)
    if not found:
        raise LinkDown(f"knows no service {address.service}")
    return found[0].decode(), int(found[1])


async def _node(address: RedisAddress, node: Connection, host: str) -> tuple[str, int]:
    await _log_in(node, address.user, address.password)
    for first, last, master, *_ in await node.ask("CLUSTER", "SLOTS"):
        if first <= SLOT <= last:
            # A node that doesn't know its own name gives none: it is the one that was asked.
            return (master[0] or b"").decode() or host, int(master[1])
    raise LinkDown("no node has our slot")


async def _connected(
    address: RedisAddress, host: str, port: int, hear: Hear | None = None
) -> Connection:
    loop = asyncio.get_running_loop()

    def make() -> Connection:
        return Connection(hear=hear)

    if address.path:
        _, connection = await loop.create_unix_connection(make, address.path)
        return connection
    context = _context(address.tls) if address.tls else None
    name = host if context else None
    transport, connection = await loop.create_connection(
        make, host, port, ssl=context, server_hostname=name
    )
    if (raw := transport.get_extra_info("socket")) is not None:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    return connection


async def _log_in(connection: Connection, user: str, password: str) -> None:
    if password:
        await connection.ask("AUTH", *((user, password) if user else (password,)))


def _context(tls: Tls) -> ssl.SSLContext:
    """Raises OSError for files that can't be read or used."""
    context = ssl.create_default_context(cafile=tls.authorities or None)
    context.check_hostname = tls.check and tls.check_host
    if not tls.check:
        context.verify_mode = ssl.CERT_NONE
    if tls.certificate:
        context.load_cert_chain(tls.certificate, tls.key or None)
    return context
