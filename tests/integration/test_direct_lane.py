"""Whatever a provider does, the direct lane says what it was, and never with its secrets."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest

from tests.fakes import (
    ContentPolicyViolation,
    ContextWindowExceeded,
    CutAfterHeaders,
    CutBeforeHeaders,
    CutMidStream,
    EmptyBody,
    ErrorEventMidStream,
    FakeAnthropic,
    FakeGemini,
    FakeOpenAI,
    FakeProvider,
    Fragmented,
    Hang,
    Hold,
    HtmlErrorPage,
    HugeAnswer,
    InvalidApiKey,
    MalformedJson,
    ModelNotFound,
    RateLimitHeaders,
    SlowDrip,
    Status,
    WrongContentType,
)
from tests.support.gateway import free_port
from tests.support.parity import Request, deployment, request
from trunkline.call import Answer, Call, Deployment, Timeouts
from trunkline.deadline import Alarms
from trunkline.errors import ErrorKind, ProviderError
from trunkline.providers.direct import LARGEST_REFUSAL, DirectLane

pytestmark = pytest.mark.criterion("R1.2", "R1.4")

KEY = "sk-upstream-5ecret-c4nary"
MEBIBYTE = 1024 * 1024
PATIENT = Timeouts(total=30, idle=30)
HI = [{"role": "user", "content": "Hi"}]
CHAT = request("chat", {"model": "d", "messages": HI})
STREAM = request("chat", {"model": "d", "messages": HI, "stream": True})


@pytest.fixture
def openai(fakes) -> FakeOpenAI:
    return next((one for one in fakes.started), None) or fakes(FakeOpenAI)


@pytest.fixture
async def lane() -> AsyncIterator[DirectLane]:
    jar = aiohttp.DummyCookieJar()
    async with aiohttp.ClientSession(cookie_jar=jar) as session:
        yield DirectLane(session, Alarms(asyncio.get_running_loop()), largest_answer=8 * MEBIBYTE)


@pytest.fixture
def target(tmp_path, openai) -> Deployment:
    return of(tmp_path, openai)


def of(folder: Path, fake: FakeProvider, model: str = "openai/gpt-4o", **params: Any) -> Deployment:
    return deployment(
        folder, **{"model": model, "api_base": fake.base_url, "api_key": KEY} | params
    )


async def ask(
    lane: DirectLane, target: Deployment, asked: Request, timeouts: Timeouts = PATIENT
) -> tuple[Call, Answer, bytes]:
    """The call, its answer, and the answer's whole body."""
    call = asked.call()
    answer = await lane.send(call, target, timeouts)
    if answer.chunks is None:
        return call, answer, answer.body
    return call, answer, b"".join([chunk async for chunk in answer.chunks])


async def failure(
    lane: DirectLane, target: Deployment, asked: Request, timeouts: Timeouts = PATIENT
) -> ProviderError:
    with pytest.raises(ProviderError) as raised:
        await ask(lane, target, asked, timeouts)
    assert KEY not in raised.value.message
    return raised.value


@pytest.mark.parametrize("asked", [CHAT, STREAM], ids=["whole", "stream"])
@pytest.mark.parametrize(
    ("fault", "kind", "status"),
    [
        (Status(400), ErrorKind.BAD_REQUEST, 400),
        (InvalidApiKey(), ErrorKind.AUTHENTICATION, 401),
        (Status(403), ErrorKind.PERMISSION, 403),
        (ModelNotFound(), ErrorKind.NOT_FOUND, 404),
        (Status(408), ErrorKind.TIMEOUT, 408),
        (Status(409), ErrorKind.BAD_REQUEST, 409),
        (ContextWindowExceeded(), ErrorKind.CONTEXT_WINDOW, 400),
        (ContentPolicyViolation(), ErrorKind.CONTENT_POLICY, 400),
        (Status(422), ErrorKind.BAD_REQUEST, 422),
        (Status(429), ErrorKind.RATE_LIMIT, 429),
        (Status(500), ErrorKind.INTERNAL, 500),
        (Status(503), ErrorKind.UNAVAILABLE, 503),
        (HtmlErrorPage(502), ErrorKind.UNAVAILABLE, 502),
        (Status(504, "upstream request timeout"), ErrorKind.TIMEOUT, 504),
        (CutBeforeHeaders(), ErrorKind.CONNECTION, 503),
        (CutAfterHeaders(), ErrorKind.CONNECTION, 503),
        (CutMidStream(), ErrorKind.CONNECTION, 503),
        (EmptyBody(), None, None),
    ],
    ids=repr,
)
async def test_every_failure_has_its_kind(lane, openai, target, asked, fault, kind, status):
    openai.fault(fault)
    error = await failure(lane, target, asked)
    if kind is None:
        # A stream without a byte was broken off; an answer without one can't be read.
        kind = ErrorKind.CONNECTION if asked is STREAM else ErrorKind.MALFORMED
        status = 503 if asked is STREAM else 502
    assert (error.kind, error.status) == (kind, status)


@pytest.mark.parametrize(
    "fault",
    [MalformedJson(), HtmlErrorPage(200), EmptyBody()],
    ids=repr,
)
async def test_an_answer_that_is_none_is_malformed(lane, openai, target, fault):
    openai.fault(fault)
    error = await failure(lane, target, CHAT)
    assert (error.kind, error.status) == (ErrorKind.MALFORMED, 502)


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 307, 308])
async def test_a_redirect_is_not_followed(lane, openai, target, status):
    """It would carry the key to whoever the redirect names."""
    openai.fault(Status(status, "", {"location": f"{openai.url}/v1/models"}))
    await failure(lane, target, CHAT)
    assert [one.path for one in openai.requests] == ["/v1/chat/completions"]


async def test_a_provider_that_is_not_there_is_a_connection_failure(lane, tmp_path):
    absent = f"http://127.0.0.1:{free_port()}/v1"
    target = deployment(tmp_path, model="openai/gpt-4o", api_base=absent, api_key=KEY)
    error = await failure(lane, target, CHAT)
    assert (error.kind, error.status) == (ErrorKind.CONNECTION, 503)


@pytest.mark.parametrize("asked", [CHAT, STREAM], ids=["whole", "stream"])
@pytest.mark.parametrize("fault", [Hang(), SlowDrip(0.2)], ids=repr)
async def test_a_provider_that_is_too_slow_is_timed_out(lane, openai, target, asked, fault):
    """A stream must begin in time and then go on in time; an answer must be there in time."""
    openai.fault(fault)
    idle = 30 if isinstance(fault, Hang) else 0.05
    error = await failure(lane, target, asked, Timeouts(total=0.5, idle=idle))
    assert (error.kind, error.status) == (ErrorKind.TIMEOUT, 408)
    await openai.last.over()
    assert openai.last.disconnected


async def test_a_stream_that_falls_silent_is_timed_out(lane, openai, target):
    openai.fault(Hold(after_chunks=2))
    error = await failure(lane, target, STREAM, Timeouts(total=30, idle=0.3))
    assert error.kind is ErrorKind.TIMEOUT
    await openai.last.over()
    assert openai.last.disconnected


async def test_a_stream_may_last_longer_than_it_may_take_to_begin(lane, openai, target):
    openai.answer("one two three four five six seven eight")
    openai.fault(SlowDrip(0.1))
    _, _, body = await ask(lane, target, STREAM, Timeouts(total=0.6, idle=0.6))
    assert body.endswith(b"data: [DONE]\n\n")


async def test_an_answer_of_many_megabytes_is_whole(lane, openai, target):
    openai.fault(HugeAnswer(6 * MEBIBYTE))
    call, _, body = await ask(lane, target, CHAT)
    assert len(orjson.loads(body)["choices"][0]["message"]["content"]) >= 6 * MEBIBYTE
    assert call.usage.input_tokens == 1


async def test_an_answer_beyond_all_measure_is_refused(lane, openai, target):
    openai.fault(HugeAnswer(12 * MEBIBYTE))
    error = await failure(lane, target, CHAT)
    assert (error.kind, error.status) == (ErrorKind.MALFORMED, 502)


async def test_an_error_of_many_megabytes_is_read_only_in_part(lane, openai, target):
    openai.fault(Status(500, "x" * 20 * MEBIBYTE))
    error = await failure(lane, target, CHAT)
    assert error.kind is ErrorKind.INTERNAL
    assert len(error.message) < 10_000 < LARGEST_REFUSAL


@pytest.mark.parametrize("asked", [CHAT, STREAM], ids=["whole", "stream"])
async def test_a_provider_that_repeats_the_key_does_not_give_it_away(lane, openai, target, asked):
    said = {"error": {"message": f"bad key {KEY}", "type": "x", "param": KEY, "code": KEY}}
    openai.fault(Status(401, said, {"x-request-id": KEY}))
    error = await failure(lane, target, asked)
    told = repr((error.message, error.param, error.code, error.type, error.detail, error.headers))
    assert "bad key" in told
    assert KEY not in told


async def test_json_under_another_type_is_still_json(lane, openai, target):
    openai.fault(WrongContentType())
    _, answer, body = await ask(lane, target, CHAT)
    assert orjson.loads(body)["object"] == "chat.completion"
    assert ("content-type", "text/plain") in answer.headers


@pytest.mark.parametrize("size", [1, 3, 7, 100_000])
async def test_a_stream_comes_whole_however_it_is_cut(lane, openai, target, size):
    openai.answer("one two", always=True)
    _, _, expected = await ask(lane, target, STREAM)
    openai.fault(Fragmented(size))
    call, _, body = await ask(lane, target, STREAM)
    texts = [_text(one) for one in (expected, body)]
    assert texts[0] == texts[1] == "one two"
    assert call.usage.output_tokens == 2


def _text(stream: bytes) -> str:
    payloads = [line[6:] for line in stream.split(b"\n") if line.startswith(b"data: {")]
    chunks = [orjson.loads(payload) for payload in payloads]
    deltas = [choice["delta"].get("content") for one in chunks for choice in one["choices"]]
    return "".join(filter(None, deltas))


@pytest.mark.parametrize(
    ("kind", "model", "asked"),
    [
        (FakeOpenAI, "openai/gpt-4o", STREAM),
        (FakeOpenAI, "openai/gpt-4o", request("completions", {
            "model": "d", "prompt": "Hi", "stream": True})),
        (FakeOpenAI, "openai/gpt-4o", request("responses", {
            "model": "d", "input": "Hi", "stream": True})),
        (FakeOpenAI, "openai/gpt-image-1", request("images.generate", {
            "model": "d", "prompt": "x", "stream": True, "partial_images": 2})),
        (FakeAnthropic, "anthropic/claude-sonnet-4-5", request("messages", {
            "model": "d", "messages": HI, "max_tokens": 9, "stream": True})),
        (FakeGemini, "gemini/gemini-2.5-flash", request("stream_generate_content", {
            "contents": [{"parts": [{"text": "one two three four"}]}]}, path={"model": "d"},
            query="alt=sse")),
        (FakeGemini, "gemini/gemini-2.5-flash", request("stream_generate_content", {
            "contents": [{"parts": [{"text": "one two three four"}]}]}, path={"model": "d"})),
    ],
    ids=["chat", "completions", "responses", "images", "messages", "events", "array"],
)  # fmt: skip
async def test_every_stream_that_breaks_off_is_told_from_one_that_ends(
    lane, tmp_path, kind, model, asked
):
    with kind() as fake:
        target = of(tmp_path, fake, model)
        fake.fault(None, CutMidStream(after_chunks=1))
        call, _, body = await ask(lane, target, asked)
        assert body
        assert call.usage.input_tokens
        error = await failure(lane, target, asked)
        assert error.kind is ErrorKind.CONNECTION


@pytest.mark.parametrize(
    ("kind", "model", "asked"),
    [
        (FakeOpenAI, "openai/gpt-4o", STREAM),
        (FakeAnthropic, "anthropic/claude-sonnet-4-5", request("messages", {
            "model": "d", "messages": HI, "max_tokens": 9, "stream": True})),
    ],
    ids=["chat", "messages"],
)  # fmt: skip
async def test_an_error_inside_of_a_stream_is_an_error(lane, tmp_path, kind, model, asked):
    with kind() as fake:
        fake.fault(ErrorEventMidStream(after_chunks=1))
        error = await failure(lane, of(tmp_path, fake, model), asked)
        assert error.kind in {ErrorKind.INTERNAL, ErrorKind.UNAVAILABLE}


async def test_a_stream_that_nobody_reads_on_is_given_up(lane, openai, target):
    openai.fault(Hold(after_chunks=2))
    answer = await lane.send(STREAM.call(), target, PATIENT)
    assert answer.chunks is not None
    await anext(answer.chunks)
    await answer.chunks.aclose()  # type: ignore[attr-defined]
    await openai.last.over()
    assert openai.last.disconnected


async def test_a_call_that_is_cancelled_is_given_up(lane, openai, target):
    openai.fault(Hang())
    waiting = asyncio.create_task(lane.send(CHAT.call(), target, PATIENT))
    await openai.arrived()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await openai.last.over()
    assert openai.last.disconnected


@pytest.mark.parametrize("fault", [None, Status(500), Status(429)], ids=repr)
async def test_a_connection_is_used_again(lane, openai, target, fault):
    openai.fault(fault, None)
    with contextlib.suppress(ProviderError):
        await ask(lane, target, CHAT)
    await ask(lane, target, STREAM)
    await ask(lane, target, CHAT)
    assert len(openai.requests) == 3
    assert len({one.peer for one in openai.requests}) == 1


async def test_clients_see_the_providers_limits_and_the_requests_id(lane, openai, target):
    openai.fault(RateLimitHeaders(limit_requests=5, remaining_requests=4))
    _, answer, _ = await ask(lane, target, CHAT)
    headers = dict(answer.headers)
    assert headers["x-ratelimit-remaining-requests"] == "4"
    assert headers["x-request-id"].startswith("req_")
    assert not {"connection", "content-length", "transfer-encoding", "server", "date"} & set(
        headers
    )


async def test_a_deployments_parameters_are_defaults_and_headers(lane, tmp_path, openai):
    target = of(tmp_path, openai, temperature=0.3, seed=7, extra_body={"foo": 1},
                extra_headers={"x-team": "blue"}, organization="org-1")  # fmt: skip
    asked = request("chat", {"model": "d", "messages": HI, "seed": 8})
    await ask(lane, target, asked)
    sent = openai.last
    assert sent.json == {"model": "gpt-4o", "messages": HI, "temperature": 0.3, "seed": 8, "foo": 1}
    assert sent.headers["x-team"] == "blue"
    assert sent.headers["openai-organization"] == "org-1"
    assert sent.headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize(
    "params",
    [
        {"lane": "litellm"},
        {"additional_drop_params": ["seed"]},
        {"aws_region_name": "eu-west-1"},
        {"api_base": "http://127.0.0.1:9/v1/chat/completions"},
        {"reasoning_effort": "low"},
    ],
    ids=repr,
)
def test_a_deployment_that_asks_for_litellms_handling_is_not_direct(tmp_path, openai, params):
    lane = DirectLane(None, None)  # type: ignore[arg-type]
    assert not lane.takes(CHAT.call(), of(tmp_path, openai, **params))
    assert lane.takes(CHAT.call(), of(tmp_path, openai))


@pytest.mark.parametrize("value", ["x", ["x"], 1], ids=repr)
async def test_stream_options_that_are_none_are_the_providers_to_refuse(
    lane, openai, target, value
):
    asked = request("chat", {"model": "d", "messages": HI, "stream": True, "stream_options": value})
    openai.fault(Status(400))
    assert (await failure(lane, target, asked)).kind is ErrorKind.BAD_REQUEST
    assert openai.last.json["stream_options"] == value
