"""Ollama on loopback: its chat, whole. Source: its API reference, "Generate a chat completion"."""

from __future__ import annotations

from tests.fakes import FakeProvider
from tests.fakes.reply import Exchange, Reply, ok
from tests.fakes.script import echo, text_of
from tests.fakes.server import Route


class FakeOllama(FakeProvider):
    """Needs no key, as Ollama itself."""

    name = "ollama"

    def routes(self) -> list[Route]:
        return [("POST", "/api/chat", self._chat)]

    def error(self, status: int, message: str = "") -> Reply:
        return Reply(status, b'{"error": "not found"}')

    def _chat(self, x: Exchange) -> Reply:
        said = echo(text_of(x.json["messages"][-1]["content"]))
        return ok(
            {
                "model": x.json["model"],
                "created_at": "2025-01-01T00:00:00Z",
                "message": {"role": "assistant", "content": said},
                "done_reason": "stop",
                "done": True,
                "prompt_eval_count": 1,
                "eval_count": 2,
            }
        )
