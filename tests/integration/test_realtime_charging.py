"""Realtime sessions are charged response by response, and end when nothing is left for the next."""

from __future__ import annotations

import asyncio
import contextlib
import json
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
from aiohttp import WSMsgType, web

from tests.fakes import FakeOpenAI, Tokens
from tests.support.accounts import INPUT, OUTPUT, Fleet
from tests.support.gateway import Gateways
from tests.support.management import MASTER
from tests.support.providers import Providers
from tests.support.redis import RedisServer, redis_server

READ, SAID = 1_000, 100
EACH = READ * INPUT + SAID * OUTPUT
"""Nano-dollars of a response of the fake."""
HELLO = {
    "type": "conversation.item.create",
    "item": {
        "type": "message",
        "role": "user",
        "content": [{"type": "input_text", "text": "hello there"}],
    },
}
ASK = {"type": "response.create"}
AUDIO = {
    "input_tokens": 900,
    "output_tokens": 300,
    "total_tokens": 1200,
    "input_token_details": {
        "text_tokens": 400,
        "audio_tokens": 500,
        "image_tokens": 0,
        "cached_tokens": 320,
        "cached_tokens_details": {"text_tokens": 192, "audio_tokens": 128, "image_tokens": 0},
    },
    "output_token_details": {"text_tokens": 60, "audio_tokens": 240},
}
AUDIO_COST = round((208 * 4e-6 + 372 * 32e-6 + 320 * 0.4e-6 + 60 * 16e-6 + 240 * 64e-6) * 1e9)
"""Nano-dollars of that at the price map's prices of gpt-realtime."""


class Talker:
    """A provider whose every word is the test's. sockets: its ends of sessions, as they open."""

    def __init__(self) -> None:
        self.sockets: asyncio.Queue[web.WebSocketResponse] = asyncio.Queue()
        self.heard: asyncio.Queue[Any] = asyncio.Queue()

    async def __aenter__(self) -> Talker:
        app = web.Application()
        app.router.add_get("/v1/realtime", self._serve)
        self.runner = web.AppRunner(app)
        await self.runner.setup()
        await web.TCPSite(self.runner, "127.0.0.1", 0).start()
        self.base = f"http://127.0.0.1:{self.runner.addresses[0][1]}/v1"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.runner.cleanup()

    async def _serve(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await self.sockets.put(socket)
        async for message in socket:
            await self.heard.put(json.loads(message.data))
        await self.heard.put({"type": "closed"})
        return socket

    async def opened(self) -> web.WebSocketResponse:
        return await asyncio.wait_for(self.sockets.get(), 30)

    async def hears(self, kind: str) -> dict[str, Any]:
        async with asyncio.timeout(30):
            while (event := await self.heard.get())["type"] != kind:
                pass
        return event


def model(group: str, upstream: str, base: str, **info: Any) -> dict[str, Any]:
    params = {"model": upstream, "api_base": base, "api_key": "k"}
    return {"model_name": group, "litellm_params": params, "model_info": info}


PRICES = {
    "input_cost_per_token": INPUT / 1e9,
    "output_cost_per_token": OUTPUT / 1e9,
    "max_output_tokens": SAID,
}


def config(openai: FakeOpenAI, talker: str = "http://127.0.0.1:9/v1", **router: Any) -> dict:
    capped = model("capped", "openai/voice", openai.base_url, **PRICES)
    capped["litellm_params"]["max_budget"] = 3 * EACH / 1e9
    led_through = {"path": "/led", "target": f"{talker}/realtime", "auth": True}
    return {
        "general_settings": {
            "master_key": MASTER,
            "salt_key": "salt",
            "pass_through_endpoints": [led_through],
        },
        "router_settings": {"num_retries": 0, **router},
        "model_list": [
            model("voice", "openai/voice", openai.base_url, **PRICES),
            model("talk", "openai/gpt-realtime", talker),
            model("listen", "openai/gpt-realtime-whisper", talker),
            capped,
        ],
    }


@pytest.fixture(scope="module")
def openai(fakes: Providers) -> FakeOpenAI:
    return fakes(FakeOpenAI)


@pytest.fixture(autouse=True)
def _same_usage(openai: FakeOpenAI) -> None:
    openai.answer("fine", usage=Tokens(input=READ, output=SAID), always=True)


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="module", params=["alone", "redis"])
def fleet(request: pytest.FixtureRequest, module_gateway: Gateways, openai: FakeOpenAI) -> Fleet:
    shared = {}
    if request.param == "redis":
        shared = {"redis_url": request.getfixturevalue("redis").url}
    return Fleet([module_gateway(config(openai, **shared))])


@pytest.fixture
async def talker() -> AsyncIterator[Talker]:
    async with Talker() as one:
        yield one


@pytest.fixture
async def talked(talker: Talker, openai: FakeOpenAI, gateway: Gateways) -> Fleet:
    """A gateway before the talker."""
    return Fleet([await asyncio.to_thread(gateway, config(openai, talker.base))])


@dataclass(frozen=True, slots=True)
class Caller:
    """A virtual key, and its alias, by which its rows are found."""

    key: str
    name: str


async def calling(fleet: Fleet, **limits: Any) -> Caller:
    """A new key."""
    name = uuid.uuid4().hex
    return Caller(await of(fleet.admin.key, key_alias=name, **limits), name)


@contextlib.asynccontextmanager
async def session(
    fleet: Fleet, key: str, group: str = "voice"
) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    url = f"{fleet.gateways[0].url}/v1/realtime?model={group}"
    headers = {"authorization": f"Bearer {key}"}
    async with aiohttp.ClientSession() as http, http.ws_connect(url, headers=headers) as socket:
        yield socket


async def events(socket: aiohttp.ClientWebSocketResponse, *last: str) -> list[dict[str, Any]]:
    """What arrives up to an event of one of the types."""
    seen: list[dict[str, Any]] = []
    async with asyncio.timeout(30):
        while not seen or seen[-1]["type"] not in last:
            message = await socket.receive()
            assert message.type is WSMsgType.TEXT, (message, seen)
            seen.append(json.loads(message.data))
    return seen


async def closed(socket: aiohttp.ClientWebSocketResponse) -> int:
    async with asyncio.timeout(30):
        while (message := await socket.receive()).type is WSMsgType.TEXT:
            pass
    assert message.type is WSMsgType.CLOSE, message
    return int(message.data)


async def said(socket: aiohttp.ClientWebSocketResponse) -> dict[str, Any] | None:
    """Has the model say something; None, or the error that came in its place."""
    await socket.send_json(ASK)
    last = (await events(socket, "response.done", "error"))[-1]
    return last["error"] if last["type"] == "error" else None


async def ended(socket: aiohttp.ClientWebSocketResponse) -> tuple[int, dict[str, Any]]:
    """Has the model speak until the session ends; how often it did, and the error."""
    times = 0
    while True:
        try:
            error = await said(socket)
        except ConnectionError:
            error = None
        if error is not None:
            return times, error
        times += 1
        with contextlib.suppress(TimeoutError):
            # The refusal comes right after what was said last.
            return times, (await asyncio.wait_for(events(socket, "error"), 0.5))[-1]["error"]


async def rows(fleet: Fleet, caller: Caller, count: int) -> list[dict[str, Any]]:
    """The rows of a key, once there are so many; those of one session lie in their order."""

    def found() -> list[dict[str, Any]]:
        mine = [row for row in fleet.rows() if row["key_alias"] == caller.name]
        return sorted(mine, key=lambda row: row["request_id"])

    return await of(Fleet.until, found, lambda seen: len(seen) >= count)


async def of(work: Any, *args: Any, **fields: Any) -> Any:
    """What a function gives that waits."""
    return await asyncio.to_thread(work, *args, **fields)


@pytest.mark.criterion("R12.3", "R4.3")
async def test_a_response_is_charged_when_it_has_ended_not_when_the_session_has(fleet):
    caller = await calling(fleet)
    async with session(fleet, caller.key) as socket:
        for number in (1, 2, 3):
            assert await said(socket) is None
            found = await rows(fleet, caller, number)
            (call_id,) = {row["parent_id"] for row in found}
            expected = [f"{call_id}~{n}" for n in range(1, number + 1)]
            assert [row["request_id"] for row in found] == expected
            assert [row["spend"] for row in found] == [EACH] * number
        shown = await of(fleet.admin.ask, "/spend/logs", api_key=caller.key)
        assert [row["session_id"] for row in shown] == [call_id] * 3
        assert {(row["prompt_tokens"], row["completion_tokens"]) for row in shown} == {(READ, SAID)}
    await asyncio.sleep(1.0)
    assert len(await rows(fleet, caller, 3)) == 3


@pytest.mark.criterion("R12.3")
async def test_a_session_in_which_nothing_was_said_leaves_one_row(fleet):
    caller = await calling(fleet)
    async with session(fleet, caller.key) as socket:
        await events(socket, "session.created")
    (row,) = await rows(fleet, caller, 1)
    assert ("~" in row["request_id"], row["parent_id"]) == (False, "")
    assert row["spend"] is None


@pytest.mark.criterion("R11.5", "R12.3")
async def test_a_budget_ends_a_session_when_it_is_used_up(fleet):
    budget = 5 * EACH
    caller = await calling(fleet, max_budget=budget / 1e9)
    async with session(fleet, caller.key) as socket:
        times, error = await ended(socket)
        assert (error["type"], error["code"]) == ("budget_exceeded", "budget_exceeded")
        assert await closed(socket) == 1008
    assert times == 5
    found = await rows(fleet, caller, times)
    assert sum(row["spend"] for row in found) == budget
    with pytest.raises(AssertionError):
        async with session(fleet, caller.key) as again:
            await events(again, "session.created")


@pytest.mark.criterion("R11.5")
async def test_a_deployments_own_budget_ends_its_sessions(fleet):
    caller = await calling(fleet)
    async with session(fleet, caller.key, group="capped") as socket:
        times, error = await ended(socket)
        assert (times, error["code"]) == (3, "budget_exceeded")


@pytest.mark.criterion("R11.5", "R12.3")
async def test_sessions_at_once_overspend_no_budget_by_more_than_one_response(fleet):
    budget = 12 * EACH
    caller = await calling(fleet, max_budget=budget / 1e9)
    async with session(fleet, caller.key) as one, session(fleet, caller.key) as other:
        outcomes = await asyncio.gather(ended(one), ended(other))
        assert {error["code"] for _, error in outcomes} == {"budget_exceeded"}
    times = [times for times, _ in outcomes]
    found = await rows(fleet, caller, sum(max(1, each) for each in times))
    spent = sum(row["spend"] or 0 for row in found)
    assert spent == sum(times) * EACH
    assert budget - EACH <= spent <= budget


@pytest.mark.criterion("R11.5")
async def test_what_an_ended_session_held_is_free_again(fleet):
    caller = await calling(fleet, max_budget=6 * EACH / 1e9)
    for _ in range(4):
        async with session(fleet, caller.key) as socket:
            assert await said(socket) is None
        await asyncio.sleep(0.5)
    async with session(fleet, caller.key) as socket:
        assert (await ended(socket))[0] == 2


@pytest.mark.criterion("R11.6")
async def test_a_session_has_its_place_among_calls_at_once_to_its_end(fleet):
    caller = await calling(fleet, max_parallel_requests=1)
    for _ in range(2):
        async with session(fleet, caller.key) as socket:
            for _ in range(2):
                assert await said(socket) is None
                async with session(fleet, caller.key) as beside:
                    error = (await events(beside, "error"))[-1]["error"]
                    assert "calls at once" in error["message"]
                    assert await closed(beside) == 1013
        await asyncio.sleep(0.5)


@pytest.mark.criterion("R11.6")
async def test_tokens_a_minute_end_a_session(fleet):
    caller = await calling(fleet, tpm_limit=3 * (READ + SAID))
    async with session(fleet, caller.key) as socket:
        times, error = await ended(socket)
        assert error["code"] == "rate_limit_exceeded"
        assert "tokens a minute" in error["message"]
        assert await closed(socket) == 1013
    assert 1 <= times <= 3


@pytest.mark.criterion("R11.6")
async def test_a_session_is_one_request_however_much_is_said_in_it(fleet):
    caller = await calling(fleet, rpm_limit=2)
    for _ in range(2):
        async with session(fleet, caller.key) as socket:
            for _ in range(3):
                assert await said(socket) is None
    async with session(fleet, caller.key) as socket:
        error = (await events(socket, "error"))[-1]["error"]
        assert "requests a minute" in error["message"]


@pytest.mark.criterion("R11.1")
@pytest.mark.parametrize("change", ["/key/delete", "/key/block"])
async def test_a_key_that_is_deleted_or_blocked_ends_its_sessions(fleet, change):
    caller = await calling(fleet)
    async with session(fleet, caller.key) as socket:
        assert await said(socket) is None
        body = {"keys": [caller.key]} if change == "/key/delete" else {"key": caller.key}
        await of(fleet.admin.ask, change, body)
        error = (await events(socket, "error"))[-1]["error"]
        assert error["type"] == "authentication_error"
        assert await closed(socket) == 1008
    assert [row["spend"] for row in await rows(fleet, caller, 1)] == [EACH]


@pytest.mark.criterion("R11.1")
async def test_a_key_that_is_deleted_ends_what_is_led_through_for_it(talked, talker):
    caller = await calling(talked)
    url, headers = f"{talked.gateways[0].url}/led", {"authorization": f"Bearer {caller.key}"}
    async with aiohttp.ClientSession() as http, http.ws_connect(url, headers=headers) as socket:
        await talker.opened()
        await of(talked.admin.ask, "/key/delete", {"keys": [caller.key]})
        assert await closed(socket) == 1008


@pytest.mark.criterion("R11.5", "R1.1")
async def test_a_session_of_a_client_secret_is_charged_to_whoever_asked_for_it(fleet):
    caller = await calling(fleet, max_budget=3 * EACH / 1e9)
    asked = {"session": {"type": "realtime", "model": "voice"}}
    made = await of(fleet.admin.having(caller.key).ask, "/v1/realtime/client_secrets", asked)
    async with session(fleet, made["value"]) as socket:
        times, error = await ended(socket)
        assert (times, error["code"]) == (3, "budget_exceeded")
    found = await rows(fleet, caller, 4)
    assert {row["call_type"]: row["spend"] for row in found} == {
        "realtime.client_secrets": None,
        "realtime": EACH,
    }

    other = await of(fleet.admin.key)
    made = await of(fleet.admin.having(other).ask, "/v1/realtime/client_secrets", asked)
    async with session(fleet, made["value"]) as socket:
        assert await said(socket) is None
        await of(fleet.admin.ask, "/key/delete", {"keys": [other]})
        assert (await events(socket, "error"))[-1]["error"]["code"] == "invalid_api_key"
        assert await closed(socket) == 1008


@pytest.mark.criterion("R11.5")
async def test_a_budget_that_is_raised_meanwhile_counts_for_the_next_response(fleet):
    caller = await calling(fleet, max_budget=2 * EACH / 1e9)
    async with session(fleet, caller.key) as socket:
        assert await said(socket) is None
        await of(fleet.admin.ask, "/key/update", {"key": caller.key, "max_budget": 1.0})
        for _ in range(4):
            assert await said(socket) is None


def response(kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": f"response.{kind}", "event_id": "e", "response": {"id": "r", **fields}}


@pytest.mark.criterion("R12.1", "R12.3")
async def test_audio_and_what_was_cached_have_their_own_prices(talked, talker):
    caller = await calling(talked)
    async with session(talked, caller.key, group="talk") as socket:
        provider = await talker.opened()
        for _ in range(2):
            await provider.send_json(response("created", status="in_progress"))
            await provider.send_json(response("done", status="completed", usage=AUDIO))
        await events(socket, "response.done")
        await events(socket, "response.done")
    found = await rows(talked, caller, 2)
    assert [row["spend"] for row in found] == [AUDIO_COST] * 2
    assert {row["cached_tokens"] for row in found} == {320}


def transcribed(usage: dict[str, Any]) -> dict[str, Any]:
    kind = "conversation.item.input_audio_transcription.completed"
    return {"type": kind, "item_id": "i", "content_index": 0, "transcript": "hi", "usage": usage}


@pytest.mark.criterion("R12.1", "R12.3")
@pytest.mark.parametrize(
    ("transcriber", "usage", "cost"),
    [
        ("whisper-1", {"type": "duration", "seconds": 12.0}, 1_200_000),
        (
            "gpt-4o-transcribe",
            {
                "type": "tokens",
                "input_tokens": 100,
                "output_tokens": 10,
                "total_tokens": 110,
                "input_token_details": {"audio_tokens": 100, "text_tokens": 0},
            },
            350_000,
        ),
        ("made-up", {"type": "tokens", "input_tokens": 100, "output_tokens": 10}, None),
    ],
)
async def test_transcriptions_have_the_prices_of_the_model_that_transcribes(
    talked, talker, transcriber, usage, cost
):
    caller = await calling(talked)
    async with session(talked, caller.key, group="talk") as socket:
        provider = await talker.opened()
        heard = {"transcription": {"model": transcriber}}
        configured = {"type": "session.updated", "session": {"audio": {"input": heard}}}
        await provider.send_json(configured)
        await provider.send_json(transcribed(usage))
        await events(socket, "conversation.item.input_audio_transcription.completed")
        (row,) = await rows(talked, caller, 1)
    assert (row["call_type"], row["spend"]) == ("transcriptions", cost)
    assert (transcriber in row["model"]) == (cost is not None)


@pytest.mark.criterion("R12.1")
async def test_a_session_that_transcribes_is_charged_for_each_transcription(talked, talker):
    caller = await calling(talked)
    async with session(talked, caller.key, group="listen"):
        provider = await talker.opened()
        await provider.send_json({"type": "session.created", "session": {"type": "transcription"}})
        for _ in range(2):
            await provider.send_json(transcribed({"type": "duration", "seconds": 3.0}))
    found = await rows(talked, caller, 2)
    assert [row["spend"] for row in found] == [850_000] * 2


ODD = {
    "none": None,
    "text": "many",
    "empty": {},
    "negative": {"input_tokens": -5, "output_tokens": -1},
    "huge": {"input_tokens": 2**60, "output_tokens": 2**60},
    "no whole numbers": {"input_tokens": 1.5, "output_tokens": "2"},
    "details that are none": {
        "input_tokens": 10,
        "output_tokens": 10,
        "input_token_details": [1],
        "output_token_details": {"audio_tokens": -3},
    },
}


@pytest.mark.criterion("R12.3", "R14.5")
async def test_odd_usage_ends_no_session_and_is_never_free_of_charge(talked, talker):
    output = [
        {"type": "message", "content": [{"type": "output_audio", "transcript": "word " * 80}]},
        "odd",
    ]
    caller = await calling(talked)
    async with session(talked, caller.key, group="talk") as socket:
        provider = await talker.opened()
        for usage in ODD.values():
            await provider.send_json(response("created"))
            await provider.send_json(response("done", usage=usage, output=output))
            await events(socket, "response.done")
        for text in ('{"type":"response.done"}', '{"type":"response.done","response":7}'):
            await provider.send_str(text)
            await events(socket, "response.done")
        for text in ('{"type":"response.done",', '["response.done"]', '"response.done"'):
            await provider.send_str(text)
            assert (await socket.receive(timeout=30)).data == text
        found = await rows(talked, caller, len(ODD) + 2)
    costs = [row["spend"] for row in found]
    assert all(cost > 0 for cost in costs[: len(ODD)]), costs
    assert costs[len(ODD) :] == [None, None]


@pytest.mark.criterion("R12.3", "R4.3")
async def test_a_client_that_leaves_before_a_response_has_ended_pays_for_it(talked, talker):
    caller = await calling(talked)
    async with session(talked, caller.key, group="talk") as socket:
        provider = await talker.opened()
        await provider.send_json(response("created"))
        await events(socket, "response.created")
        leaving = asyncio.create_task(socket.close())
        await talker.hears("response.cancel")
        assert not await rows(talked, caller, 0)
        await provider.send_json(response("done", status="cancelled", usage=AUDIO))
        await talker.hears("closed")
        await leaving
    (row,) = await rows(talked, caller, 1)
    assert (row["spend"], row["status"]) == (AUDIO_COST, "success")


@pytest.mark.criterion("R12.3")
async def test_of_a_provider_that_does_not_tell_what_a_client_left_the_cost_is_unknown(
    talked, talker
):
    caller = await calling(talked)
    async with session(talked, caller.key, group="talk") as socket:
        provider = await talker.opened()
        await provider.send_json(response("created"))
        await events(socket, "response.created")
    (row,) = await rows(talked, caller, 1)
    assert row["spend"] is None


@pytest.mark.criterion("R12.3", "R14.5")
async def test_a_provider_that_dies_leaves_what_was_settled_and_what_was_under_way(talked, talker):
    caller = await calling(talked)
    async with session(talked, caller.key, group="talk") as socket:
        provider = await talker.opened()
        await provider.send_json(response("created"))
        await provider.send_json(response("done", usage=AUDIO))
        await provider.send_json(response("created"))
        await events(socket, "response.done")
        await events(socket, "response.created")
        assert provider._req is not None
        assert provider._req.transport is not None
        provider._req.transport.abort()
        await events(socket, "error")
        assert await closed(socket) == 1011
    found = await rows(talked, caller, 2)
    assert [(row["spend"], row["status"]) for row in found] == [
        (AUDIO_COST, "success"),
        (None, "failure"),
    ]


@pytest.mark.criterion("R12.3", "R11.5")
async def test_responses_at_once_each_hold_what_they_may_cost(talked, talker):
    each = 3 * AUDIO_COST
    caller = await calling(talked, max_budget=each / 1e9)
    async with session(talked, caller.key, group="talk") as socket:
        provider = await talker.opened()
        for _ in range(3):
            await provider.send_json(response("created"))
        error = (await events(socket, "error"))[-1]["error"]
        assert error["code"] == "budget_exceeded"
    await talker.hears("response.cancel")


@pytest.mark.criterion("R4.3", "R12.3")
async def test_a_gateway_that_is_killed_loses_no_response_that_a_client_has_heard_of(
    openai, gateway: Gateways, tmp_path
):
    lasting = config(openai)
    lasting["general_settings"]["data_directory"] = str(tmp_path)
    server = await asyncio.to_thread(gateway, lasting)
    async with session(Fleet([server]), MASTER) as socket:
        for _ in range(3):
            assert await said(socket) is None
        server.kill()
    admin = Fleet([await asyncio.to_thread(gateway, lasting)]).admin
    found = await asyncio.to_thread(
        Fleet.until, lambda: admin.ask("/spend/logs"), lambda seen: len(seen) >= 3
    )
    assert len({row["session_id"] for row in found}) == 1
    assert [row["spend"] for row in found] == [EACH / 1e9] * 3
