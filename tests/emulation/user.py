"""Calls the API over HTTP as a user would."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import httpx

SECONDS = 120.0
"""A function's first call, on a slow machine, imports everything."""


@dataclass
class User:
    """url: of the API. key: that asks; empty for none."""

    url: str
    key: str = ""

    @cached_property
    def http(self) -> httpx.Client:
        headers = {"authorization": f"Bearer {self.key}"} if self.key else {}
        return httpx.Client(base_url=self.url, headers=headers, timeout=SECONDS)

    def ask(self, path: str, body: Any = None, **query: Any) -> Any:
        """The JSON of an answer, which must be a success."""
        answer = self.send(path, body, **query)
        assert answer.status_code == 200, (path, answer.status_code, answer.text[:2000])
        return answer.json()

    def send(self, path: str, body: Any = None, **query: Any) -> httpx.Response:
        method = "GET" if body is None else "POST"
        return self.http.request(method, path, json=body, params=query or None)

    def chat(self, model: str) -> httpx.Response:
        """An answer, which must be a success."""
        answer = self.send("/v1/chat/completions", _chat(model))
        assert answer.status_code == 200, (model, answer.status_code, answer.text[:2000])
        return answer

    def streamed(self, model: str) -> list[tuple[float, bytes]]:
        """The pieces of a streamed answer, each with the seconds of its arrival."""
        body = {**_chat(model), "stream": True}
        with self.http.stream("POST", "/v1/chat/completions", json=body) as answer:
            assert answer.status_code == 200, (answer.status_code, answer.read()[:2000])
            return [(time.monotonic(), piece) for piece in answer.iter_raw()]

    def models(self) -> set[str]:
        return {model["id"] for model in self.ask("/v1/models")["data"]}


class Asking:
    """Asks for the list of models over and over, which is short, so that the function answers.

    answered: how often. failed: the status and the text of every other answer.
    """

    def __init__(self, user: User) -> None:
        self.answered = 0
        self.failed: list[tuple[int, str]] = []
        self._user = user
        self._stop = threading.Event()

    @contextmanager
    def flowing(self) -> Iterator[None]:
        thread = threading.Thread(target=self._run)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()

    def _run(self) -> None:
        while not self._stop.wait(0.05):
            try:
                answer = self._user.send("/v1/models")
            except httpx.HTTPError as error:
                self.failed.append((0, repr(error)))
                continue
            if answer.status_code == 200:
                self.answered += 1
            else:
                self.failed.append((answer.status_code, answer.text[-500:]))


def _chat(model: str) -> dict[str, Any]:
    question = {"role": "user", "content": "How far is the moon, and what is it made of?"}
    return {"model": model, "messages": [question]}
