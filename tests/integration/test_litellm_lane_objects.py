"""Objects that live with a provider are made, read, changed and deleted through LiteLLM."""

from __future__ import annotations

import inspect
import io
import re
from typing import Any

import pytest

from tests.fakes import FakeOpenAI
from tests.support.lanes import BY_NAME, KEY, Got, ask, call, deployment
from tests.support.providers import Providers
from trunkline.call import Upload
from trunkline.errors import ErrorKind, ProviderError
from trunkline.providers.litellm_arguments import MODEL_FUNCTIONS
from trunkline.providers.litellm_lane import LitellmLane
from trunkline.providers.litellm_sdk import SdkLoader

pytestmark = [pytest.mark.criterion("R1.1", "R1.2"), pytest.mark.timeout(180)]


class Objects:
    """Calls one operation after another, with the ids that came before."""

    def __init__(self, lane: LitellmLane, fake: FakeOpenAI, model: str = "openai/gpt-4o") -> None:
        self._lane = lane
        self._target = deployment(model, api_base=fake.base_url, api_key=KEY)
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
        return await ask(self._lane, asked, self._target)

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
    assert (await objects("videos.content")).content_type == "video/mp4"
    assert (await objects("videos.list")).json["data"]


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
