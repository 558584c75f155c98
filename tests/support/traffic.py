"""Clients that call over and over through one address, and what they saw."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx

BODY = {"model": "m", "messages": [{"role": "user", "content": "one two three"}]}
END = b"data: [DONE]"


@dataclass(frozen=True, slots=True)
class Failed:
    """A call that wasn't answered. began: seconds of the monotonic clock. status: 0 where the
    connection broke."""

    began: float
    status: int
    text: str


class Traffic:
    """Every other client streams.

    pause: seconds that each client waits between two calls.
    answered: ids of calls whose whole answer came, as often as it did. failed: all others.
    """

    def __init__(self, url: str, key: str, clients: int, *, pause: float = 0.0) -> None:
        self.answered: list[str] = []
        self.failed: list[Failed] = []
        self._url = f"{url}/v1/chat/completions"
        self._headers = {"authorization": f"Bearer {key}"}
        self._clients = clients
        self._pause = pause
        self._stop = threading.Event()

    @contextmanager
    def flowing(self) -> Iterator[None]:
        threads = [
            threading.Thread(target=self._run, args=(number % 2 == 1,))
            for number in range(self._clients)
        ]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()

    def _run(self, stream: bool) -> None:
        with httpx.Client(headers=self._headers, timeout=60) as client:
            while not self._stop.is_set():
                began = time.monotonic()
                try:
                    self._ask(client, stream, began)
                except httpx.HTTPError as error:
                    self.failed.append(Failed(began, 0, repr(error)))
                self._stop.wait(self._pause)

    def _ask(self, client: httpx.Client, stream: bool, began: float) -> None:
        answer = client.post(self._url, json={**BODY, "stream": stream})
        whole = not stream or END in answer.content
        if answer.status_code == 200 and whole:
            self.answered.append(answer.headers["x-trunkline-call-id"])
        else:
            self.failed.append(Failed(began, answer.status_code, answer.text[-500:]))
