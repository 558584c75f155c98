"""Objects that live with a provider are made, read, changed and deleted through LiteLLM."""

from __future__ import annotations

import inspect
import io
import re
from typing import Any

import pytest

from tests.fakes import CutMidStream, ErrorEventMidStream, FakeOpenAI, Fault, Hold, Status
from tests.support.lanes import BY_NAME, KEY, Got, ask, call, deployment
from tests.support.litellm_targets import target
from tests.support.providers import Providers
from trunkline.call import Call, Timeouts, Upload
from trunkline.errors import ErrorKind, ProviderError
from trunkline.providers.litellm_arguments import MODEL_FUNCTIONS
from trunkline.providers.litellm_lane import LitellmLane
from trunkline.providers.litellm_sdk import SdkLoader

pytestmark = [pytest.mark.criterion("R1.1", "R1.2"), pytest.mark.timeout(180)]


class Objects:
    """Calls one operation after another, with the ids that came before."""

    def __init__(self, lane: LitellmLane, fake: FakeOpenAI, model: str = "openai/gpt-4o") -> None:
        self._lane = lane
        self.target = deployment(model, api_base=fake.base_url, api_key=KEY)
        self.ids: dict[str, str] = {}

    async def __call__(self, name: str, body: dict[str, Any] | None = None, *files: str) -> Got:
        operation = BY_NAME[name]
        wanted = set(re.findall(r"{(\w+)", operation.paths[0])) - {"model"}
        uploads = tuple(
            Upload(field, "a.bin", "application/octet-stream", io.BytesIO(b"data"))
            for field in files
        )
        asked = call(
            name,
            body,
            uploads=uploads,
            path={one: self.ids[one] for one in wanted},
            group="group" if operation.model == "body" else "",
        )
        return await ask(self._lane, asked, self.target)

    async def made(self, kind: str, name: str, body: Any = None, *files: str) -> str:
        self.ids[kind] = (await self(name, body, *files)).json["id"]
        return self.ids[kind]


@pytest.fixture
def fake(fakes: Providers) -> FakeOpenAI:
    return next(iter(fakes.started), None) or fakes(FakeOpenAI)  # type: ignore[return-value]


@pytest.fixture(scope="module")
def lane() -> LitellmLane:
    return LitellmLane()


def listed(got: Got) -> list[str]:
    return [one["id"] for one in got.json["data"]]


async def test_vector_stores(lane: LitellmLane, fake: FakeOpenAI) -> None:
    objects = Objects(lane, fake)
    file = await objects.made("file_id", "files.create", {"purpose": "assistants"}, "file")
    await objects.made("vector_store_id", "vector_stores.create", {"name": "v"})
    await objects("vector_stores.files.create", {"file_id": file})
    assert listed(await objects("vector_stores.files.list")) == [file]
    changed = await objects("vector_stores.files.update", {"attributes": {"a": "x"}})
    assert changed.json["attributes"] == {"a": "x"}
    assert (await objects("vector_stores.files.content")).json["data"][0]["text"] == "data"
    assert (await objects("vector_stores.search", {"query": "q"})).json["data"]
    assert (await objects("vector_stores.files.delete")).json["deleted"] is True


async def test_assistants_and_threads(lane: LitellmLane, fake: FakeOpenAI) -> None:
    objects = Objects(lane, fake)
    new = {"model": "gpt-4o", "name": "n"}
    assistant = await objects.made("assistant_id", "assistants.create", new)
    assert listed(await objects("assistants.list")) == [assistant]
    thread = await objects.made("thread_id", "threads.create")
    assert (await objects("threads.get")).json["id"] == thread
    await objects("threads.messages.create", {"role": "user", "content": "hello"})
    run = await objects("threads.runs.create", {"assistant_id": assistant})
    assert run.json["assistant_id"] == assistant
    assert run.call.usage.output_tokens
    assert len(listed(await objects("threads.messages.list"))) == 2
    assert (await objects("assistants.delete")).json["deleted"] is True


async def a_run(lane: LitellmLane, fake: FakeOpenAI) -> tuple[Objects, Call]:
    """A streamed run on a thread with one message, and the objects that it belongs to."""
    objects = Objects(lane, fake)
    assistant = await objects.made("assistant_id", "assistants.create", {"model": "gpt-4o"})
    thread = await objects.made("thread_id", "threads.create")
    await objects("threads.messages.create", {"role": "user", "content": "one two three"})
    asked = {"assistant_id": assistant, "instructions": "be brief"}
    path = {"thread_id": thread}
    return objects, call("threads.runs.create", asked, stream=True, path=path, group="")


async def test_a_run_streams_its_events(lane: LitellmLane, fake: FakeOpenAI) -> None:
    objects, run = await a_run(lane, fake)
    got = await ask(lane, run, objects.target)
    assert got.content_type == "text/event-stream"
    frames = got.content.decode().split("\n\n")[:-1]
    kinds = [frame.partition("\n")[0].removeprefix("event: ") for frame in frames]
    assert kinds[0] == "thread.run.created"
    assert kinds[-2:] == ["thread.run.completed", "done"]
    assert frames[-1].endswith("data: [DONE]")
    deltas = [event for event in got.events if event.get("object") == "thread.message.delta"]
    texts = [part["text"]["value"] for delta in deltas for part in delta["delta"]["content"]]
    assert "".join(texts) == "echo: one two three"
    assert fake.last.json["instructions"] == "be brief"
    assert got.tokens[1] == 4


async def test_a_run_that_can_not_begin_is_told_by_its_kind(
    lane: LitellmLane, fake: FakeOpenAI
) -> None:
    objects, run = await a_run(lane, fake)
    fake.fault(Status(429))
    with pytest.raises(ProviderError) as raised:
        await ask(lane, run, objects.target)
    assert raised.value.kind is ErrorKind.RATE_LIMIT


@pytest.mark.parametrize("fault", [CutMidStream(3), ErrorEventMidStream(3)], ids=["cut", "error"])
async def test_a_run_that_breaks_is_an_error_never_a_silent_end(
    lane: LitellmLane, fake: FakeOpenAI, fault: Fault
) -> None:
    objects, run = await a_run(lane, fake)
    fake.fault(fault)
    with pytest.raises(ProviderError) as raised:
        await ask(lane, run, objects.target)
    assert raised.value.kind in {ErrorKind.CONNECTION, ErrorKind.INTERNAL}


async def test_closing_a_run_s_stream_ends_the_provider_s_request(
    lane: LitellmLane, fake: FakeOpenAI
) -> None:
    objects, run = await a_run(lane, fake)
    fake.fault(Hold(after_chunks=3))
    answer = await lane.send(run, objects.target, Timeouts(60, 60))
    assert answer.chunks is not None
    assert (await anext(answer.chunks)).startswith(b"event: thread.run.created\n")
    await answer.chunks.aclose()  # type: ignore[attr-defined]
    assert (await fake.last.over()).disconnected


async def test_containers(lane: LitellmLane, fake: FakeOpenAI) -> None:
    objects = Objects(lane, fake)
    container = await objects.made("container_id", "containers.create", {"name": "c"})
    assert listed(await objects("containers.list")) == [container]
    file = await objects.made("file_id", "containers.files.create", None, "file")
    assert listed(await objects("containers.files.list")) == [file]
    got = await objects("containers.files.content")
    assert (got.content, got.content_type) == (b"data", "application/octet-stream")
    assert (await objects("containers.files.delete")).json["deleted"] is True
    assert (await objects("containers.delete")).json["deleted"] is True


async def test_fine_tuning_keeps_the_provider_s_own_name_of_the_model(
    lane: LitellmLane, fake: FakeOpenAI
) -> None:
    objects = Objects(lane, fake)
    file = await objects.made("file_id", "files.create", {"purpose": "fine-tune"}, "file")
    asked = {"model": "gpt-4o-mini-2024-07-18", "training_file": file}
    job = await objects.made("fine_tuning_job_id", "fine_tuning.create", asked)
    assert fake.last.json["model"] == "gpt-4o-mini-2024-07-18"
    assert listed(await objects("fine_tuning.list")) == [job]
    assert (await objects("fine_tuning.get")).json["id"] == job


async def test_videos(lane: LitellmLane, fake: FakeOpenAI) -> None:
    objects = Objects(lane, fake, "openai/sora-2")
    await objects.made("video_id", "videos.create", {"prompt": "a cat", "seconds": "4"})
    assert (await objects("videos.get")).json["object"] == "video"
    got = await objects("videos.content")
    assert (got.content_type, got.content[4:8]) == ("video/mp4", b"ftyp")
    asked = call("videos.content", path=objects.ids, query={"variant": "thumbnail"}, group="")
    assert (await ask(lane, asked, objects.target)).content_type == "image/webp"
    assert (await objects("videos.list")).json["data"]


@pytest.mark.parametrize("version", ["2024-10-21", "preview", None])
async def test_azure_s_videos(lane: LitellmLane, fakes: Providers, version: str | None) -> None:
    azure, deployed = target(fakes, "azure", model="azure/sora-2", api_version=version)
    objects = Objects(lane, azure)
    objects.target = deployed
    await objects.made("video_id", "videos.create", {"prompt": "a cat"})
    assert (await objects("videos.get")).json["object"] == "video"
    assert (await objects("videos.content")).content[4:8] == b"ftyp"
    await objects("videos.remix", {"prompt": "a dog"})
    assert all(one.path.startswith("/openai/v1/videos") for one in azure.requests)


async def test_azure_s_fine_tuning_of_a_model_group(lane: LitellmLane, fakes: Providers) -> None:
    azure, deployed = target(fakes, "azure")
    asked = call("fine_tuning.create", {"model": "group", "training_file": "file-1"})
    assert (await ask(lane, asked, deployed)).json["object"] == "fine_tuning.job"
    assert azure.last.json["model"] == "gpt-4o"
    assert azure.last.parameter("api-version") == "2024-10-21"


async def test_responses_are_kept_and_deleted(lane: LitellmLane, fake: FakeOpenAI) -> None:
    objects = Objects(lane, fake)
    made = await objects.made("response_id", "responses", {"input": "hi"})
    assert (await objects("responses.get")).json["id"] == made
    assert (await objects("responses.input_items")).json["data"]
    assert (await objects("responses.delete")).json["deleted"] is True


async def test_a_provider_that_does_not_search_or_read_documents_says_so(
    lane: LitellmLane, fake: FakeOpenAI
) -> None:
    objects = Objects(lane, fake)
    for name, body in (("search", {"query": "x"}), ("ocr", {"document": {"type": "x"}})):
        with pytest.raises(ProviderError) as raised:
            await objects(name, body)
        assert raised.value.kind is ErrorKind.BAD_REQUEST


async def test_litellm_has_every_function_that_the_operations_name() -> None:
    sdk = await SdkLoader({}).load()
    for operation in BY_NAME.values():
        if not operation.function:
            continue
        takes = inspect.signature(sdk.function(operation.function)).parameters
        named = set(re.findall(r"{(\w+)", "".join(operation.paths))) - {"model", "provider"}
        anything = any(one.kind is one.VAR_KEYWORD for one in takes.values())
        assert anything or named <= takes.keys(), operation.name
        if operation.model == "body" and operation.function != "acount_tokens":
            known = MODEL_FUNCTIONS | {"asearch"}
            assert operation.function in known, operation.name
