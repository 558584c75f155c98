"""A provider that answers with the bytes that a test wrote, whether they are HTTP or not."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Self


class RawProvider:
    """Answers each request with `answer`, byte for byte, and closes the connection.

        with RawProvider(b"HTTP/1.1 200 OK\\r\\n...") as provider: ...

    answer: may be set anew between requests. requests: how many there were.
    """

    def __init__(self, answer: bytes = b"") -> None:
        self.answer = answer
        self.requests = 0
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)

    @property
    def base_url(self) -> str:
        """What a configuration calls `api_base`."""
        return f"http://127.0.0.1:{self._listening.getsockname()[1]}/v1"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        # Shutting it down wakes the thread that waits for a connection; closing alone doesn't.
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join(20)

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                with connection, contextlib.suppress(OSError):
                    connection.settimeout(20)
                    self._take_request(connection)
                    self.requests += 1
                    connection.sendall(self.answer)

    @staticmethod
    def _take_request(connection: socket.socket) -> None:
        head, _, body = b"", b"", b""
        while b"\r\n\r\n" not in head:
            data = connection.recv(65_536)
            if not data:
                return
            head += data
        head, _, body = head.partition(b"\r\n\r\n")
        length = 0
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                length = int(line.partition(b":")[2])
        while len(body) < length:
            body += connection.recv(65_536)
