"""One small call of every kind that a model can be made for, with the answer that the fakes give.

Each asks a model by name, through a client that carries the gateway's address and key, and fails
unless the provider's own answer came back.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import httpx
import pytest
from websockets.sync.client import connect

from tests.fakes.openai.completions import vector
from tests.fakes.script import PIXEL

Ask = Callable[[httpx.Client, str], None]

SAID = "echo: Hi"
_HI = [{"role": "user", "content": "Hi"}]


def chat_of(model: str) -> dict[str, Any]:
    """The body of a chat that says hi."""
    return {"model": model, "messages": _HI}


def chat(client: httpx.Client, model: str) -> None:
    answer = _post(client, "/v1/chat/completions", chat_of(model))
    assert answer["choices"][0]["message"]["content"] == SAID


def streamed_chat(client: httpx.Client, model: str) -> None:
    body = {**chat_of(model), "stream": True}
    with client.stream("POST", "/v1/chat/completions", json=body) as answer:
        lines = [line.removeprefix("data: ") for line in answer.iter_lines() if line]
    assert lines.pop() == "[DONE]"
    choices = [choice for line in lines for choice in json.loads(line)["choices"]]
    assert "".join(choice["delta"].get("content") or "" for choice in choices) == SAID


def messages(client: httpx.Client, model: str) -> None:
    body = {"model": model, "max_tokens": 50, "messages": _HI}
    answer = _post(client, "/v1/messages", body)
    assert answer["content"][0]["text"] == SAID


def generate_content(client: httpx.Client, model: str) -> None:
    body = {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}
    answer = _post(client, f"/v1beta/models/{model}:generateContent", body)
    assert answer["candidates"][0]["content"]["parts"][0]["text"] == SAID


def embeddings(client: httpx.Client, model: str) -> None:
    answer = _post(client, "/v1/embeddings", {"model": model, "input": "Hi"})
    assert answer["data"][0]["embedding"] == vector("Hi")


def images(client: httpx.Client, model: str) -> None:
    answer = _post(client, "/v1/images/generations", {"model": model, "prompt": "a cat"})
    assert answer["data"][0]["b64_json"] == PIXEL


def speech(client: httpx.Client, model: str) -> None:
    body = {"model": model, "input": "Hi", "voice": "alloy"}
    answer = client.post("/v1/audio/speech", json=body)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "audio/mpeg")
    assert answer.content


def transcription(client: httpx.Client, model: str) -> None:
    form = {"data": {"model": model}, "files": {"file": ("hi.wav", b"RIFF", "audio/wav")}}
    answer = client.post("/v1/audio/transcriptions", **form)
    assert answer.json()["text"] == "echo: hi.wav 4 bytes"


def moderation(client: httpx.Client, model: str) -> None:
    body = {"model": model, "input": "violence against a chess clock"}
    verdict = _post(client, "/v1/moderations", body)["results"][0]
    assert [harm for harm, found in verdict["categories"].items() if found] == ["violence"]


def rerank(client: httpx.Client, model: str) -> None:
    documents = ["a blue whale", "the red fox"]
    answer = _post(
        client, "/v1/rerank", {"model": model, "query": "red fox", "documents": documents}
    )
    assert [result["index"] for result in answer["results"]] == [1, 0]


def video(client: httpx.Client, model: str) -> None:
    made = _post(client, "/v1/videos", {"model": model, "prompt": "a cat"})
    film = client.get(f"/v1/videos/{made['id']}/content")
    assert film.content.endswith(b"a cat")


def realtime(client: httpx.Client, model: str) -> None:
    url = str(client.base_url.copy_with(scheme="ws")).rstrip("/")
    headers = {"authorization": client.headers["authorization"]}
    content = [{"type": "input_text", "text": "Hi"}]
    item = {"type": "message", "role": "user", "content": content}
    with connect(f"{url}/v1/realtime?model={model}", additional_headers=headers) as socket:
        socket.send(json.dumps({"type": "conversation.item.create", "item": item}))
        response = {"output_modalities": ["text"]}
        socket.send(json.dumps({"type": "response.create", "response": response}))
        events = [json.loads(socket.recv(timeout=30))]
        while events[-1]["type"] != "response.done":
            events.append(json.loads(socket.recv(timeout=30)))
    deltas = [e["delta"] for e in events if e["type"] == "response.output_text.delta"]
    assert "".join(deltas) == SAID


def _post(client: httpx.Client, path: str, body: Mapping[str, Any]) -> Any:
    answer = client.post(path, json=body)
    if answer.status_code != httpx.codes.OK:
        pytest.fail(f"{path} for {body.get('model')}: {answer.status_code} {answer.text}")
    return answer.json()
