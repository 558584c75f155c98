"""What goes wrong behind LiteLLM is told by kind, in the provider's words, and never with a key."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from tests.fakes import (
    ContentPolicyViolation,
    ContextWindowExceeded,
    CutAfterHeaders,
    CutBeforeHeaders,
    CutMidStream,
    EmptyBody,
    ErrorEventMidStream,
    FakeOpenAI,
    Fault,
    Hang,
    Hold,
    HtmlErrorPage,
    InvalidApiKey,
    MalformedJson,
    ModelNotFound,
    Recorded,
    SlowDrip,
    Status,
)
from tests.support.lanes import KEY, ask, call, deployment
from tests.support.litellm_targets import KINDS, target
from tests.support.providers import Providers
from trunkline.call import Call, Timeouts
from trunkline.errors import ErrorKind, ProviderError
from trunkline.providers.litellm_lane import LitellmLane

pytestmark = [pytest.mark.criterion("R1.2", "R14.5"), pytest.mark.timeout(180)]

PROVIDERS = sorted(KINDS)
USER = [{"role": "user", "content": "one two three four five six"}]
CONTENTS = [{"role": "user", "parts": [{"text": "one two three four five six"}]}]
LONG = Timeouts(60, 60)

STREAMS: dict[str, dict[str, Any]] = {
    "chat": {"messages": USER},
    "messages": {"messages": USER, "max_tokens": 50},
    "stream_generate_content": {"contents": CONTENTS},
    "responses": {"input": "one two three four five six"},
}


@pytest.fixture(scope="module")
def lane() -> LitellmLane:
    return LitellmLane()


def model_requests(fake: Any) -> list[Recorded]:
    """The requests without those for an access token."""
    return [recorded for recorded in fake.requests if recorded.path != "/token"]


def breaks(fake: Any, fault: Fault, *, always: bool = False) -> None:
    """Lets the next request to a model fail."""
    fake.fault(fault, always=always, when=lambda recorded: recorded.path != "/token")


def asked(operation: str = "chat", *, stream: bool = False) -> Call:
    return call(operation, STREAMS[operation], stream=stream)


async def failure(lane: LitellmLane, sent: Call, deployed: Any, **limits: float) -> ProviderError:
    with pytest.raises(ProviderError) as raised:
        await ask(lane, sent, deployed, **limits)
    error = raised.value
    told = f"{error.message} {error.detail} {error.headers} {error.code} {error.type}"
    secrets = (KEY, "fake-secret-key", "PRIVATE KEY", "litellm.", "Traceback")
    assert not [secret for secret in secrets if secret in told]
    assert error.message.strip()
    return error


FAILURES: list[tuple[Fault, ErrorKind]] = [
    (Status(429), ErrorKind.RATE_LIMIT),
    (Status(500), ErrorKind.INTERNAL),
    (Status(503), ErrorKind.UNAVAILABLE),
    (InvalidApiKey(), ErrorKind.AUTHENTICATION),
    (ModelNotFound(), ErrorKind.NOT_FOUND),
    (ContextWindowExceeded(), ErrorKind.CONTEXT_WINDOW),
    (ContentPolicyViolation(), ErrorKind.CONTENT_POLICY),
    (HtmlErrorPage(502), ErrorKind.UNAVAILABLE),
    (MalformedJson(), ErrorKind.MALFORMED),
    (EmptyBody(), ErrorKind.MALFORMED),
    (CutAfterHeaders(), ErrorKind.CONNECTION),
]
BLOCKING = {"gemini", "vertex"}
"""Providers that answer a prompt that breaks their policy with an empty message."""


@pytest.mark.parametrize(
    ("provider", "fault", "kind"),
    [
        (provider, fault, kind)
        for provider in PROVIDERS
        for fault, kind in FAILURES
        if not (kind is ErrorKind.CONTENT_POLICY and provider in BLOCKING)
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
async def test_every_failure_is_told_by_its_kind(
    lane: LitellmLane, fakes: Providers, provider: str, fault: Fault, kind: ErrorKind
) -> None:
    fake, deployed = target(fakes, provider)
    breaks(fake, fault)
    error = await failure(lane, asked(), deployed)
    assert error.kind is kind
    assert len(model_requests(fake)) == 1


@pytest.mark.parametrize("provider", sorted(BLOCKING))
async def test_a_prompt_that_google_blocks_is_answered_without_text(
    lane: LitellmLane, fakes: Providers, provider: str
) -> None:
    fake, deployed = target(fakes, provider)
    breaks(fake, ContentPolicyViolation())
    choice = (await ask(lane, asked(), deployed)).json["choices"][0]
    assert choice["finish_reason"] == "content_filter"
    assert not choice["message"]["content"]


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_the_message_is_the_provider_s_own(
    lane: LitellmLane, fakes: Providers, provider: str
) -> None:
    fake, deployed = target(fakes, provider)
    breaks(fake, Status(429))
    error = await failure(lane, asked(), deployed)
    own = json.loads(fake.error(429).body)
    own = own.get("error", own)
    assert error.message == own["message"]
    assert error.status == 429


@pytest.mark.criterion("R14.2")
@pytest.mark.parametrize("provider", PROVIDERS)
async def test_the_provider_s_wait_is_learned(
    lane: LitellmLane, fakes: Providers, provider: str
) -> None:
    fake, deployed = target(fakes, provider)
    breaks(fake, Status(429, headers={"Retry-After": "7"}))
    # Azure says it in milliseconds too, which go first.
    expected = 6 if provider == "azure" else 7
    assert (await failure(lane, asked(), deployed)).retry_after == expected


@pytest.mark.parametrize("operation", [name for name in STREAMS if name != "chat"])
@pytest.mark.parametrize("provider", ["openai", "anthropic", "gemini"])
async def test_failures_are_told_on_every_wire(
    lane: LitellmLane, fakes: Providers, operation: str, provider: str
) -> None:
    fake, deployed = target(fakes, provider)
    for stream in {True, operation == "stream_generate_content"}:
        breaks(fake, ContextWindowExceeded())
        error = await failure(lane, asked(operation, stream=stream), deployed)
        assert error.kind is ErrorKind.CONTEXT_WINDOW


async def test_an_echoed_key_is_not_shown(lane: LitellmLane, fakes: Providers) -> None:
    fake, deployed = target(fakes, "openai")
    echoed = {"error": {"message": f"no such key: {KEY}", "type": KEY, "param": None, "code": KEY}}
    breaks(fake, Status(401, echoed))
    error = await failure(lane, asked(), deployed)
    assert "no such key" in error.message


async def test_an_anthropic_error_keeps_its_shape_for_anthropic_s_clients(
    lane: LitellmLane, fakes: Providers
) -> None:
    fake, deployed = target(fakes, "anthropic")
    breaks(
        fake, Status(529, {"type": "error", "error": {"type": "overloaded_error", "message": "!"}})
    )
    error = await failure(lane, asked("messages"), deployed)
    assert (error.kind, error.status) == (ErrorKind.UNAVAILABLE, 529)
    assert error.detail == {"type": "overloaded_error", "message": "!"}


async def test_a_server_that_is_not_there(lane: LitellmLane) -> None:
    for model in ("openai/m", "anthropic/m", "gemini/m"):
        nowhere = deployment(model, api_base="http://127.0.0.1:9", api_key=KEY)
        error = await failure(lane, asked(), nowhere)
        assert error.kind is ErrorKind.CONNECTION
        assert "127.0.0.1" not in error.message


@pytest.mark.parametrize("provider", ["openai", "azure"])
async def test_a_reset_connection(lane: LitellmLane, fakes: Providers, provider: str) -> None:
    fake, deployed = target(fakes, provider)
    breaks(fake, CutBeforeHeaders(), always=True)
    assert (await failure(lane, asked(), deployed)).kind is ErrorKind.CONNECTION
    assert len(model_requests(fake)) == 1


async def test_what_a_provider_does_not_do_is_the_request_s_fault(
    lane: LitellmLane, fakes: Providers
) -> None:
    _, deployed = target(fakes, "openai")
    sent = call("rerank", {"query": "a", "documents": ["b"]})
    assert (await failure(lane, sent, deployed)).kind is ErrorKind.BAD_REQUEST
    unsupported = call("chat", {"messages": USER, "logit_bias": {"1": 2}})
    error = await failure(lane, unsupported, target(fakes, "anthropic")[1])
    assert error.kind is ErrorKind.BAD_REQUEST
    assert "logit_bias" in error.message


async def test_parameters_are_dropped_where_the_configuration_says_so(fakes: Providers) -> None:
    fake, deployed = target(fakes, "anthropic")
    sent = call("chat", {"messages": USER, "logit_bias": {"1": 2}})
    dropping = LitellmLane({"drop_params": True})
    got = await ask(dropping, sent, deployed)
    assert got.answer.status == 200
    assert "logit_bias" not in fake.last.json
    dropping.configure({})
    assert (await failure(dropping, sent, deployed)).kind is ErrorKind.BAD_REQUEST
    _, here = target(fakes, "anthropic", drop_params=True)
    assert (await ask(dropping, sent, here)).answer.status == 200


async def test_missing_credentials_are_told_as_such(
    lane: LitellmLane, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY", "GOOGLE_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    for model in ("openai/m", "anthropic/m"):
        error = await failure(lane, asked(), deployment(model, api_base="http://127.0.0.1:9"))
        assert error.kind is ErrorKind.AUTHENTICATION


# Streams that break


# Why Cohere's streams end is lost on LiteLLM.
@pytest.mark.parametrize("provider", [name for name in PROVIDERS if name != "cohere"])
@pytest.mark.parametrize("operation", sorted(STREAMS))
@pytest.mark.parametrize("fault", [CutMidStream(3), ErrorEventMidStream(3)], ids=["cut", "error"])
async def test_a_stream_that_breaks_is_an_error_never_a_silent_end(
    lane: LitellmLane, fakes: Providers, provider: str, operation: str, fault: Fault
) -> None:
    fake, deployed = target(fakes, provider)
    breaks(fake, fault)
    error = await failure(lane, asked(operation, stream=True), deployed)
    assert error.kind in {ErrorKind.CONNECTION, ErrorKind.INTERNAL, ErrorKind.UNAVAILABLE}


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
async def test_what_came_before_the_break_is_forwarded(
    lane: LitellmLane, fakes: Providers, provider: str
) -> None:
    fake, deployed = target(fakes, provider)
    breaks(fake, CutMidStream(6))
    answer = await lane.send(asked(stream=True), deployed, LONG)
    assert answer.chunks is not None
    received = b""
    broken = False
    try:
        async for chunk in answer.chunks:
            received += chunk
    except ProviderError:
        broken = True
    assert broken
    assert b"echo:" in received
    assert b"[DONE]" not in received


# Time


@pytest.mark.criterion("R14.4")
@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("stream", [False, True])
async def test_a_provider_that_never_answers(
    lane: LitellmLane, fakes: Providers, provider: str, stream: bool
) -> None:
    fake, deployed = target(fakes, provider)
    await lane.load()
    breaks(fake, Hang())
    error = await failure(lane, asked(stream=stream), deployed, total=0.5, idle=30)
    assert (error.kind, error.status) == (ErrorKind.TIMEOUT, 408)
    recorded = await model_requests(fake)[0].over()
    assert recorded.disconnected


@pytest.mark.criterion("R14.4")
@pytest.mark.parametrize("provider", ["openai", "anthropic", "gemini", "bedrock"])
async def test_a_stream_that_falls_silent(
    lane: LitellmLane, fakes: Providers, provider: str
) -> None:
    fake, deployed = target(fakes, provider)
    breaks(fake, Hold(after_chunks=4))
    error = await failure(lane, asked(stream=True), deployed, total=30, idle=0.5)
    assert error.kind is ErrorKind.TIMEOUT
    assert (await model_requests(fake)[0].over()).disconnected


# Clients that go away


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("operation", sorted(STREAMS))
async def test_closing_a_stream_ends_the_provider_s_request(
    lane: LitellmLane, fakes: Providers, provider: str, operation: str
) -> None:
    fake, deployed = target(fakes, provider)
    # LiteLLM looks whether a client of these is still there only when a piece arrives.
    slow = (provider, operation) == ("bedrock", "messages")
    breaks(fake, SlowDrip(0.1) if slow else Hold(after_chunks=4))
    answer = await lane.send(asked(operation, stream=True), deployed, LONG)
    assert answer.chunks is not None
    await anext(answer.chunks)
    await answer.chunks.aclose()  # type: ignore[attr-defined]
    assert (await model_requests(fake)[0].over()).disconnected


async def test_cancelling_a_call_ends_the_provider_s_request(
    lane: LitellmLane, fakes: Providers
) -> None:
    for provider in PROVIDERS:
        fake, deployed = target(fakes, provider)
        breaks(fake, Hang())
        waiting = asyncio.create_task(lane.send(asked(), deployed, LONG))
        while not model_requests(fake):
            await asyncio.sleep(0.01)
        recorded = model_requests(fake)[0]
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert (await recorded.over()).disconnected


async def test_a_stream_s_first_piece_does_not_wait_for_the_rest(
    lane: LitellmLane, fakes: Providers
) -> None:
    for provider in ("openai", "anthropic", "gemini", "bedrock"):
        fake, deployed = target(fakes, provider)
        hold = Hold(after_chunks=5)
        breaks(fake, hold)
        answer = await lane.send(asked(stream=True), deployed, LONG)
        assert answer.chunks is not None
        first = await anext(answer.chunks)
        assert b"chat.completion.chunk" in first
        hold.release()
        rest = [chunk async for chunk in answer.chunks]
        assert rest[-1] == b"data: [DONE]\n\n"


async def test_many_streams_at_once_keep_apart(lane: LitellmLane, fakes: Providers) -> None:
    fake = fakes(FakeOpenAI)
    deployed = deployment("openai/gpt-4o", api_base=fake.base_url, api_key=KEY)

    async def one(number: int) -> str:
        words = [{"role": "user", "content": f"number {number}"}]
        got = await ask(lane, call("chat", {"messages": words}, stream=True), deployed)
        deltas = [event["choices"][0]["delta"] for event in got.events if event["choices"]]
        return "".join(delta.get("content") or "" for delta in deltas)

    texts = await asyncio.gather(*(one(number) for number in range(40)))
    assert texts == [f"echo: number {number}" for number in range(40)]
