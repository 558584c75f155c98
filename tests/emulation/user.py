"""Calls the API over HTTP as a user would."""

from __future__ import annotations

import time
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


def _chat(model: str) -> dict[str, Any]:
    question = {"role": "user", "content": "How far is the moon, and what is it made of?"}
    return {"model": model, "messages": [question]}
