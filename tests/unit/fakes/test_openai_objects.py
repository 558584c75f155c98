"""OpenAI's SDK, validating strictly, accepts the fake's media, files, jobs and stores."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from tests.fakes import FakeOpenAI

PNG = ("cat.png", b"\x89PNG\r\n\x1a\n\x00binary", "image/png")
MP3 = ("hello.mp3", b"ID3\x00\r\n--not a boundary", "audio/mpeg")


@pytest.fixture(scope="module")
def running() -> Iterator[FakeOpenAI]:
    with FakeOpenAI() as fake:
        yield fake


@pytest.fixture
def fake(running: FakeOpenAI) -> FakeOpenAI:
    running.reset()
    return running


@pytest.fixture
def client(fake: FakeOpenAI) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(
        api_key="sk-a", base_url=fake.base_url, max_retries=0, _strict_response_validation=True
    ) as client:
        yield client


def test_images_are_made_edited_and_varied(fake: FakeOpenAI, client: openai.OpenAI) -> None:
    by_address = client.images.generate(model="dall-e-3", prompt="a cat", n=1)
    in_base64 = client.images.generate(model="gpt-image-1", prompt="a cat", n=2)
    assert by_address.data is not None
    assert in_base64.data is not None
    assert by_address.data[0].url
    assert len(in_base64.data) == 2
    assert in_base64.usage is not None
    assert in_base64.usage.total_tokens == 202
    edited = client.images.edit(model="gpt-image-1", image=[PNG, PNG], prompt="a dog")
    assert edited.usage is not None
    assert edited.usage.input_tokens_details.image_tokens == 100
    assert [part.body for part in fake.last.files] == [PNG[1], PNG[1]]
    assert client.images.create_variation(image=PNG).data


def test_images_can_be_streamed(fake: FakeOpenAI, client: openai.OpenAI) -> None:
    events = client.images.generate(
        model="gpt-image-1", prompt="a cat", stream=True, partial_images=2
    )
    assert [event.type for event in events] == [
        "image_generation.partial_image",
        "image_generation.partial_image",
        "image_generation.completed",
    ]


def test_speech_is_binary_and_streamed(fake: FakeOpenAI, client: openai.OpenAI) -> None:
    with client.audio.speech.with_streaming_response.create(
        model="tts-1", voice="alloy", input="hello there"
    ) as answer:
        assert answer.headers["content-type"] == "audio/mpeg"
        assert answer.headers["transfer-encoding"] == "chunked"
        assert answer.read().endswith(b"hello there")


def test_audio_is_heard_in_every_format(fake: FakeOpenAI, client: openai.OpenAI) -> None:
    expected = f"echo: hello.mp3 {len(MP3[1])} bytes"
    heard = client.audio.transcriptions
    assert heard.create(model="gpt-4o-transcribe", file=MP3).text == expected
    assert fake.last.form["model"] == "gpt-4o-transcribe"
    assert fake.last.files[0].body == MP3[1]
    assert heard.create(model="whisper-1", file=MP3, response_format="text") == expected + "\n"
    verbose = heard.create(model="whisper-1", file=MP3, response_format="verbose_json")
    assert verbose.segments is not None
    assert verbose.segments[0].text == expected
    events = heard.create(model="gpt-4o-transcribe", file=MP3, stream=True)
    assert [event.type for event in events][-1] == "transcript.text.done"
    assert client.audio.translations.create(model="whisper-1", file=MP3).text == expected


def test_a_file_lives_from_upload_to_deletion(fake: FakeOpenAI, client: openai.OpenAI) -> None:
    made = client.files.create(file=("a.txt", b"one\r\ntwo\n"), purpose="assistants")
    assert client.files.retrieve(made.id).bytes == 9
    assert client.files.content(made.id).read() == b"one\r\ntwo\n"
    assert [one.id for one in client.files.list(purpose="assistants")] == [made.id]
    assert list(client.files.list(purpose="batch")) == []
    assert client.files.delete(made.id).deleted
    with pytest.raises(openai.NotFoundError):
        client.files.retrieve(made.id)


def test_parts_of_an_upload_become_a_file(fake: FakeOpenAI, client: openai.OpenAI) -> None:
    upload = client.uploads.create(
        filename="a.txt", purpose="assistants", bytes=6, mime_type="text/plain"
    )
    parts = [client.uploads.parts.create(upload.id, data=data) for data in (b"abc", b"def")]
    done = client.uploads.complete(upload.id, part_ids=[part.id for part in parts])
    assert done.file is not None
    assert client.files.content(done.file.id).read() == b"abcdef"
    other = client.uploads.create(
        filename="b.txt", purpose="assistants", bytes=1, mime_type="text/plain"
    )
    assert client.uploads.cancel(other.id).status == "cancelled"


def test_a_batch_answers_every_line_of_its_file(fake: FakeOpenAI, client: openai.OpenAI) -> None:
    lines = [
        {
            "custom_id": f"line-{number}",
            "method": "POST",
            "url": "/v1/chat/completions",
            "body": {"model": "m", "messages": [{"role": "user", "content": f"n {number}"}]},
        }
        for number in range(2)
    ]
    body = "\n".join(map(json.dumps, lines)).encode()
    given = client.files.create(file=("in.jsonl", body), purpose="batch")
    batch = client.batches.create(
        input_file_id=given.id, endpoint="/v1/chat/completions", completion_window="24h"
    )
    assert batch.status == "validating"
    done = client.batches.retrieve(batch.id)
    assert done.status == "completed"
    assert done.output_file_id is not None
    answers = [json.loads(line) for line in client.files.content(done.output_file_id).iter_lines()]
    assert [one["custom_id"] for one in answers] == ["line-0", "line-1"]
    said = answers[1]["response"]["body"]["choices"][0]["message"]["content"]
    assert said == "echo: n 1"
    assert [one.id for one in client.batches.list()] == [batch.id]
    waiting = client.batches.create(
        input_file_id=given.id, endpoint="/v1/chat/completions", completion_window="24h"
    )
    assert client.batches.cancel(waiting.id).status == "cancelling"


def test_a_fine_tuning_job_ends_with_a_model(fake: FakeOpenAI, client: openai.OpenAI) -> None:
    job = client.fine_tuning.jobs.create(model="gpt-4o-mini", training_file="file-x", suffix="me")
    assert job.status == "validating_files"
    tuned = client.fine_tuning.jobs.retrieve(job.id)
    assert tuned.status == "succeeded"
    assert str(tuned.fine_tuned_model).startswith("ft:gpt-4o-mini:org-fake:me:")
    assert [one.id for one in client.fine_tuning.jobs.list()] == [job.id]
    assert list(client.fine_tuning.jobs.list_events(job.id))
    other = client.fine_tuning.jobs.create(model="m", training_file="file-x")
    assert client.fine_tuning.jobs.cancel(other.id).status == "cancelled"


def test_a_vector_store_finds_its_files(fake: FakeOpenAI, client: openai.OpenAI) -> None:
    ids = [
        client.files.create(file=(name, text), purpose="assistants").id
        for name, text in (("cats.txt", b"cats purr"), ("dogs.txt", b"dogs bark"))
    ]
    store = client.vector_stores.create(name="pets", file_ids=ids[:1])
    assert store.file_counts.completed == 1
    added = client.vector_stores.files.create(vector_store_id=store.id, file_id=ids[1])
    assert added.id == ids[1]
    found = client.vector_stores.search(vector_store_id=store.id, query="which dogs bark")
    assert [one.filename for one in found] == ["dogs.txt", "cats.txt"]
    text = client.vector_stores.files.content(ids[1], vector_store_id=store.id)
    assert [one.text for one in text] == ["dogs bark"]
    assert client.vector_stores.retrieve(store.id).usage_bytes == 18
    assert client.vector_stores.update(store.id, name="animals").name == "animals"
    assert len(list(client.vector_stores.files.list(store.id))) == 2
    assert client.vector_stores.files.delete(ids[0], vector_store_id=store.id).deleted
    batch = client.vector_stores.file_batches.create(store.id, file_ids=ids)
    assert batch.file_counts.total == 2
    assert client.vector_stores.delete(store.id).deleted


def test_a_container_holds_files(fake: FakeOpenAI, client: openai.OpenAI) -> None:
    container = client.containers.create(name="box")
    stored = client.containers.files.create(container.id, file=("a.txt", b"abc"))
    content = client.containers.files.content.retrieve(stored.id, container_id=container.id)
    assert content.read() == b"abc"
    assert [one.id for one in client.containers.files.list(container.id)] == [stored.id]
    assert client.containers.retrieve(container.id).name == "box"
    client.containers.files.delete(stored.id, container_id=container.id)
    client.containers.delete(container.id)
    assert list(client.containers.list()) == []


def test_a_video_is_ready_when_it_is_read(fake: FakeOpenAI, client: openai.OpenAI) -> None:
    video = client.videos.create(prompt="a wave", model="sora-2")
    assert video.status == "queued"
    assert client.videos.retrieve(video.id).status == "completed"
    assert client.videos.download_content(video.id).read().endswith(b"a wave")
    remix = client.videos.remix(video.id, prompt="a bigger wave")
    assert remix.remixed_from_video_id == video.id
    assert len(list(client.videos.list())) == 2
    assert client.videos.delete(video.id).deleted


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_an_assistant_answers_in_a_thread(fake: FakeOpenAI, client: openai.OpenAI) -> None:
    beta: Any = client.beta
    assistant = beta.assistants.create(model="gpt-4o", instructions="be kind")
    thread = beta.threads.create()
    beta.threads.messages.create(thread.id, role="user", content="hello there")
    run = beta.threads.runs.create(thread.id, assistant_id=assistant.id)
    assert run.status == "queued"
    done = beta.threads.runs.retrieve(run.id, thread_id=thread.id)
    assert done.status == "completed"
    assert done.usage.prompt_tokens == 4
    messages = list(beta.threads.messages.list(thread.id, order="asc"))
    assert [one.content[0].text.value for one in messages] == ["hello there", "echo: hello there"]
    steps = list(beta.threads.runs.steps.list(run.id, thread_id=thread.id))
    assert steps[0].step_details.message_creation.message_id == messages[1].id
    assert beta.assistants.delete(assistant.id).deleted
    assert beta.threads.delete(thread.id).deleted


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_run_streams_its_events(fake: FakeOpenAI, client: openai.OpenAI) -> None:
    beta: Any = client.beta
    assistant = beta.assistants.create(model="gpt-4o")
    thread = {"messages": [{"role": "user", "content": "hello there"}]}
    with beta.threads.create_and_run_stream(assistant_id=assistant.id, thread=thread) as events:
        kinds = [event.event for event in events]
    assert kinds[0] == "thread.created"
    assert kinds[-1] == "thread.run.completed"
    assert kinds.count("thread.message.delta") == 3


def test_the_assistants_api_asks_for_its_header(fake: FakeOpenAI, client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="OpenAI-Beta"):
        client.post("/assistants", body={"model": "m"}, cast_to=object)


def test_models_are_listed(client: openai.OpenAI) -> None:
    with FakeOpenAI(models=["only-this"]) as small:
        other = client.with_options(base_url=small.base_url)
        assert [model.id for model in other.models.list()] == ["only-this"]
        assert other.models.retrieve("only-this").owned_by == "fake"
        with pytest.raises(openai.NotFoundError):
            other.models.retrieve("gpt-4o")
