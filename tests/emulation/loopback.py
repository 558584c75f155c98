"""Addresses of this machine alone, on which servers keep the ports that they have at AWS.

All of 127.0.0.0/8 is the loopback interface on Linux; so nothing that runs already is in the way.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import ssl
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path


def address(ports: Sequence[int]) -> str:
    """A loopback address on which nothing listens on any of the ports."""
    for _ in range(100):
        chosen = f"127.{random.randint(16, 250)}.{random.randint(1, 250)}.{random.randint(1, 250)}"
        if all(_free(chosen, port) for port in ports):
            return chosen
    raise RuntimeError("no free loopback address found")


def _free(host: str, port: int) -> bool:
    with socket.socket() as probe, contextlib.suppress(OSError):
        probe.bind((host, port))
        return True
    return False


@contextlib.contextmanager
def relay(host: str, port: int, to: int, tls: tuple[Path, Path] | None = None) -> Iterator[None]:
    """Passes connections to (host, port) on to a local port, out of TLS if it is given."""
    loop = asyncio.new_event_loop()
    context = None
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*tls)

    async def both(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            there, back = await asyncio.open_connection("127.0.0.1", to)
            await asyncio.gather(_pass_on(reader, back), _pass_on(there, writer))

    server = loop.run_until_complete(asyncio.start_server(both, host, port, ssl=context))
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(server.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while piece := await reader.read(65_536):
            writer.write(piece)
            await writer.drain()
    with contextlib.suppress(OSError):
        writer.close()
