"""Asks a gateway's management API, as an administrator or with any key."""

from __future__ import annotations

from typing import Any

import httpx

MASTER = "sk-master-1234"
MODEL = {"model_name": "fast", "litellm_params": {"model": "openai/x", "mock_response": "Hello!"}}


def config(database_url: str = "", **general: Any) -> dict[str, Any]:
    """A configuration with a mock model. database_url: empty for SQLite."""
    settings: dict[str, Any] = {"master_key": MASTER, **general}
    if database_url:
        settings["database_url"] = database_url
    return {"general_settings": settings, "model_list": [MODEL]}


class Management:
    """url: of a gateway. key: that asks.

    `ask` gives the answer, which must be a success; `refused` the error, which must be one.
    """

    def __init__(self, url: str, key: str = MASTER) -> None:
        self.url = url
        self.http = httpx.Client(
            base_url=url, headers={"authorization": f"Bearer {key}"}, timeout=30
        )

    def having(self, key: str) -> Management:
        """The same asked with another key."""
        return Management(self.url, key)

    def send(self, path: str, body: Any = None, *, method: str = "", **query: Any) -> Any:
        method = method or ("GET" if body is None else "POST")
        return self.http.request(method, path, json=body, params=query or None)

    def ask(self, path: str, body: Any = None, *, method: str = "", **query: Any) -> Any:
        answer = self.send(path, body, method=method, **query)
        assert answer.status_code == 200, (path, answer.status_code, answer.text)
        return answer.json()

    def refused(
        self, path: str, body: Any = None, status: int = 400, *, method: str = "", **query: Any
    ) -> dict[str, Any]:
        answer = self.send(path, body, method=method, **query)
        assert answer.status_code == status, (path, answer.status_code, answer.text)
        error: dict[str, Any] = answer.json()["error"]
        assert error["message"]
        return error

    def key(self, **asked: Any) -> str:
        """A new key."""
        key: str = self.ask("/key/generate", asked)["key"]
        return key

    def user(self, role: str = "internal_user", **asked: Any) -> tuple[str, Management]:
        """A new user's id, and the API asked with their key."""
        made = self.ask("/user/new", {"user_role": role, **asked})
        return made["user_id"], self.having(made["key"])

    def chat(self, model: str = "fast") -> httpx.Response:
        """Whether the key may call a model."""
        body = {"model": model, "messages": [{"role": "user", "content": "Hi"}]}
        return self.http.post("/v1/chat/completions", json=body)
