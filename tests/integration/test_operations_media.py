"""Images, speech, transcriptions, videos: forms in, bytes and events out."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import httpx
import pytest
from openai import AzureOpenAI, OpenAI

from tests.fakes import CutMidStream, FakeAzure, FakeOpenAI, Hold, Status

pytestmark = pytest.mark.criterion("R1.1", "R1.2")

MEBIBYTE = 1024 * 1024
LIMIT = 400 * MEBIBYTE


@pytest.fixture(scope="module")
def provider(fakes):
    return fakes(FakeOpenAI)


@pytest.fixture(scope="module")
def azure(fakes):
    return fakes(FakeAzure)


@pytest.fixture(scope="module")
def server(module_gateway, provider, azure):
    def entry(name: str, model: str, **params: Any) -> dict[str, Any]:
        where = {"api_base": provider.base_url, "api_key": "sk-p"}
        return {"model_name": name, "litellm_params": {"model": model, **where, **params}}

    return module_gateway(
        {
            "model_list": [
                entry("images", "openai/gpt-image-1"),
                entry("voice", "openai/gpt-4o-mini-tts"),
                entry("ears", "openai/gpt-4o-transcribe"),
                entry("whisper", "openai/whisper-1"),
                entry("film", "openai/sora-2"),
                entry("judge", "openai/omni-moderation-latest"),
                entry("azure-ears", "azure/my-whisper", api_base=azure.url, api_key="az"),
                entry("azure-images", "azure/my-images", api_base=azure.url, api_key="az"),
            ],
            "general_settings": {"max_request_size_mb": LIMIT // MEBIBYTE},
            "router_settings": {"num_retries": 1, "retry_after": 0},
        }
    )


@pytest.fixture(scope="module")
def client(server):
    with OpenAI(base_url=f"{server.url}/v1", api_key="x", max_retries=0) as client:
        yield client


def test_images_are_made(client, provider):
    made = client.images.generate(model="images", prompt="a cat", quality="low")
    assert made.data
    assert made.data[0].b64_json
    assert provider.last.json == {"model": "gpt-image-1", "prompt": "a cat", "quality": "low"}


def test_images_come_in_parts(client):
    events = client.images.generate(model="images", prompt="a cat", stream=True, partial_images=2)
    kinds = [event.type for event in events]
    assert kinds == ["image_generation.partial_image"] * 2 + ["image_generation.completed"]


def test_a_form_goes_on_with_its_parts_in_their_order(server, provider):
    parts = [
        ("image[]", ("1.png", b"\x89PNG\r\n--x\r\n", "image/png")),
        ("prompt", (None, 'a "new" hat €')),
        ("image[]", ('2 "x".png', b"\x00" * 70_000, "image/webp")),
        ("model", (None, "images")),
        ("mask", ("m.png", b"", "image/png")),
        ("n", (None, "2")),
    ]
    answer = httpx.post(f"{server.url}/v1/images/edits", files=parts, timeout=30)
    assert answer.status_code == 200
    sent = provider.last.parts
    assert [part.name for part in sent] == ["image[]", "prompt", "image[]", "model", "mask", "n"]
    assert [part.body for part in sent] == [
        b"\x89PNG\r\n--x\r\n", 'a "new" hat €'.encode(), b"\x00" * 70_000, b"gpt-image-1", b"", b"2"
    ]  # fmt: skip
    assert [part.content_type for part in sent if part.filename] == [
        "image/png",
        "image/webp",
        "image/png",
    ]
    assert int(provider.last.headers["content-length"]) == len(provider.last.body)


def test_what_is_for_the_gateway_is_taken_out_of_a_form(client, provider):
    client.images.edit(
        model="images",
        prompt="a hat",
        image=("1.png", b"png"),
        extra_body={"num_retries": 0, "timeout": "30"},
    )
    assert set(provider.last.form) == {"model", "prompt"}


def test_edited_images_come_in_parts(client):
    events = client.images.edit(
        model="images", prompt="a hat", image=("1.png", b"png"), stream=True, partial_images=1
    )
    assert [event.type for event in events] == ["image_edit.partial_image", "image_edit.completed"]


def test_images_are_edited_by_address_too(server, provider):
    body = {"model": "images", "prompt": "a hat", "images": [{"image_url": "https://a.test/1.png"}]}
    answer = httpx.post(f"{server.url}/v1/images/edits", json=body)
    assert answer.status_code == 200
    assert provider.last.json == body | {"model": "gpt-image-1"}


def test_speech_is_handed_on_as_it_is_spoken(client, provider):
    hold = Hold(after_chunks=2)
    provider.fault(hold)
    request = {"model": "voice", "voice": "alloy", "input": "one two three"}
    with client.audio.speech.with_streaming_response.create(**request) as answer:
        pieces = answer.iter_bytes()
        assert next(pieces).startswith(b"ID3")
        hold.release()
        assert b"".join(pieces).endswith(b" two three")
        assert answer.headers["content-type"] == "audio/mpeg"


def test_speech_comes_as_events(client):
    request = {"model": "voice", "voice": "alloy", "input": "one two", "stream_format": "sse"}
    with client.audio.speech.with_streaming_response.create(**request) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        text = answer.read().decode()
    assert text.count("speech.audio.delta") == 2
    assert text.count("speech.audio.done") == 1
    assert "[DONE]" not in text


def test_speech_that_breaks_off_breaks_off_for_the_client(server, provider):
    provider.fault(CutMidStream(after_chunks=2), always=True)
    body = {"model": "voice", "voice": "alloy", "input": "one two three"}
    with httpx.stream("POST", f"{server.url}/v1/audio/speech", json=body) as answer:
        assert answer.status_code == 200
        with pytest.raises(httpx.RemoteProtocolError):
            answer.read()
    assert answer.num_bytes_downloaded > 0


def test_a_transcription_of_any_format(client, provider):
    made = client.audio.transcriptions.create(
        model="ears",
        file=("talk.mp3", b"sound"),
        timestamp_granularities=["word", "segment"],
        temperature=0.5,
    )
    assert made.text == "echo: talk.mp3 5 bytes"
    assert provider.last.form == {
        "model": "gpt-4o-transcribe",
        "temperature": "0.5",
        "timestamp_granularities[]": ["word", "segment"],
    }
    for style, beginning in (("text", "echo:"), ("srt", "1\n"), ("vtt", "WEBVTT")):
        made = client.audio.transcriptions.create(
            model="whisper", file=("talk.mp3", b"sound"), response_format=style
        )
        assert str(made).startswith(beginning)


def test_a_transcription_comes_in_parts(client):
    events = client.audio.transcriptions.create(
        model="ears", file=("talk.mp3", b"sound"), stream=True
    )
    kinds = [event.type for event in events]
    assert kinds[0] == "transcript.text.delta"
    assert kinds[-1] == "transcript.text.done"


def test_a_transcription_into_english(client, provider):
    client.audio.translations.create(model="whisper", file=("talk.mp3", b"sound"))
    assert provider.last.path == "/v1/audio/translations"


def test_an_upload_is_sent_again_after_a_failure(client, provider):
    provider.fault(Status(503))
    sound = b"sound" * 500_000
    made = client.audio.transcriptions.create(model="ears", file=("talk.mp3", sound))
    assert made.text == f"echo: talk.mp3 {len(sound)} bytes"
    first, second = provider.requests
    assert first.files[0].body == second.files[0].body == sound


def test_azure_has_the_model_in_its_path(client, azure):
    client.audio.transcriptions.create(model="azure-ears", file=("talk.mp3", b"sound"))
    assert azure.last.path == "/openai/deployments/my-whisper/audio/transcriptions"
    client.images.edit(model="azure-images", prompt="a hat", image=("1.png", b"png"))
    assert azure.last.path == "/openai/deployments/my-images/images/edits"
    assert azure.last.headers["api-key"] == "az"


def test_azures_own_client_names_the_model_in_the_path(server, provider):
    client = AzureOpenAI(azure_endpoint=server.url, api_key="x", api_version="2024-10-21")
    client.audio.transcriptions.create(model="ears", file=("talk.mp3", b"sound"))
    assert provider.last.form["model"] == "gpt-4o-transcribe"
    client.images.generate(model="images", prompt="a cat")
    assert provider.last.json["model"] == "gpt-image-1"
    assert provider.last.query == []


def test_videos_are_made_and_downloaded(client, provider):
    made = client.videos.create_and_poll(model="film", prompt="a cat", poll_interval_ms=10)
    created = next(one for one in provider.requests if one.method == "POST")
    assert (created.form or created.json)["model"] == "sora-2"
    assert made.status == "completed"
    assert client.videos.download_content(made.id).read()
    assert [one.id for one in client.videos.list()] == [made.id]
    assert client.videos.remix(made.id, prompt="a dog").id
    assert client.videos.delete(made.id).id == made.id


def test_moderation_needs_no_model(client, provider):
    assert client.moderations.create(input="violence").results[0].flagged
    assert "model" not in provider.last.json
    client.moderations.create(input="x", model="judge")
    assert provider.last.json["model"] == "omni-moderation-latest"
    client.moderations.create(input="x", model="text-moderation-stable")
    assert provider.last.json["model"] == "text-moderation-stable"


@pytest.mark.parametrize(
    ("path", "fields", "files", "param"),
    [
        ("/v1/audio/transcriptions", {"model": "ears"}, {}, "file"),
        ("/v1/audio/transcriptions", {}, {"file": b"x"}, "model"),
        ("/v1/images/edits", {"model": "images"}, {"image": b"x"}, "prompt"),
        ("/v1/files", {}, {"file": b"x"}, "purpose"),
        ("/v1/images/edits", {"model": "images", "prompt": "x", "stream": "maybe"},
         {"image": b"x"}, "stream"),
        ("/v1/images/edits", {"model": "images", "prompt": "x", "api_base": "http://evil.test"},
         {"image": b"x"}, "api_base"),
    ],
)  # fmt: skip
def test_a_form_that_lacks_something_names_it(server, provider, path, fields, files, param):
    files = files or {"other": b"x"}
    answer = httpx.post(f"{server.url}{path}", data=fields, files=files)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == param
    assert provider.requests == []


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/form-data", b"--x--"),
        ("multipart/form-data; boundary=x", b"nothing of a form"),
        ("multipart/form-data; boundary=x", b"--x\r\n\r\nno name\r\n--x--\r\n"),
        ("multipart/form-data; boundary=" + "x" * 300, b""),
    ],
)
def test_a_broken_form_is_refused(server, provider, kind, body):
    answer = httpx.post(
        f"{server.url}/v1/audio/transcriptions", content=body, headers={"content-type": kind}
    )
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"
    assert provider.requests == []


def big_form(size: int) -> tuple[dict[str, str], Any]:
    head = (
        b'--b\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nuser_data\r\n'
        b'--b\r\ncontent-disposition: form-data; name="file"; filename="big"\r\n\r\n'
    )
    tail = b"\r\n--b--\r\n"

    def chunks():
        yield head
        block = b"x" * MEBIBYTE
        for _ in range(size // MEBIBYTE):
            yield block
        yield tail

    return {"content-type": "multipart/form-data; boundary=b"}, chunks()


def test_an_upload_above_the_limit_is_refused_before_it_has_arrived(server, provider):
    """The client is still sending: it never gets to send everything."""
    with socket.create_connection((server.host, server.port), timeout=30) as connection:
        connection.sendall(
            b"POST /v1/files HTTP/1.1\r\nhost: x\r\ncontent-type: multipart/form-data; boundary=b"
            b"\r\ncontent-length: %d\r\n\r\n--b\r\n" % (LIMIT + 1)
        )
        answer = connection.recv(65536)
    assert answer.startswith(b"HTTP/1.1 413")
    assert provider.requests == []


def test_a_large_upload_needs_no_more_memory_than_a_small_one(server, provider, client):
    """Both the form that comes in and the form that goes out are never whole in memory."""
    client.files.create(file=b"warm", purpose="user_data")
    before = peak(server)
    headers, content = big_form(300 * MEBIBYTE)
    answer = httpx.post(f"{server.url}/v1/files", content=content, headers=headers, timeout=120)
    assert answer.status_code == 200
    assert answer.json()["bytes"] == 300 * MEBIBYTE
    assert peak(server) - before < 40 * MEBIBYTE
    downloaded = 0
    url = f"{server.url}/v1/files/{answer.json()['id']}/content"
    with httpx.stream("GET", url, timeout=120) as content:
        for piece in content.iter_raw():
            downloaded += len(piece)
    assert downloaded == 300 * MEBIBYTE
    assert peak(server) - before < 60 * MEBIBYTE


def peak(server: Any) -> int:
    """The most memory that any process of the gateway has held, in bytes."""
    group = server.process.pid
    return max(
        int(line.split()[1]) * 1024
        for status in Path("/proc").glob("[0-9]*/status")
        if _group(status.parent) == group
        for line in status.read_text().splitlines()
        if line.startswith("VmHWM")
    )


def _group(process: Path) -> int | None:
    try:
        return int((process / "stat").read_text().rpartition(")")[2].split()[2])
    except OSError:
        return None
