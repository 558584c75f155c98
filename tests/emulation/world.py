"""What the emulator asks of the world outside: see `emulator/outside.py`."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = Callable[[Any], Any]


class Refused(Exception):
    """What was asked fails. error: its name. cause: more of it."""

    def __init__(self, error: str, cause: str) -> None:
        super().__init__(f"{error}: {cause}")
        self.error, self.cause = error, cause


@contextmanager
def listening(answers: Mapping[str, Answer]) -> Iterator[str]:
    """The address under which each of the answers is given, by its name."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            try:
                status, said = 200, answers[self.path.strip("/")](body)
            except Refused as refusal:
                status, said = 400, {"error": refusal.error, "cause": refusal.cause}
            except Exception as error:  # noqa: BLE001 - the emulator is to hear of it, and say it
                status, said = 500, {"error": type(error).__name__, "cause": str(error)}
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(said).encode())

        def log_message(self, format: str, *arguments: Any) -> None:
            """Nothing: the emulator's log has it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
