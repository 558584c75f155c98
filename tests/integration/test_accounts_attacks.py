"""Hostile and clumsy callers: what they are charged, what they hold, and what they can't do."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from typing import Any

import httpx
import pytest

from tests.fakes import CutMidStream, Delay, FakeAnthropic, FakeOpenAI, SlowDrip, Status
from tests.fakes import MalformedJson as Malformed
from tests.support.accounts import INPUT, OUTPUT, Fleet, config, cost
from tests.support.gateway import Gateways
from tests.support.providers import Providers
from tests.support.redis import redis_server

ASKED = [{"role": "user", "content": "one two three four"}]
PRICES = {"input_cost_per_token": INPUT / 1e9, "output_cost_per_token": OUTPUT / 1e9}


@pytest.fixture(scope="module")
def openai(fakes: Providers) -> FakeOpenAI:
    return fakes(FakeOpenAI)


@pytest.fixture(scope="module")
def anthropic(fakes: Providers) -> FakeAnthropic:
    return fakes(FakeAnthropic)


@pytest.fixture(scope="module", params=["alone", "shared"])
def fleet(
    request: pytest.FixtureRequest,
    module_gateway: Gateways,
    openai: FakeOpenAI,
    anthropic: FakeAnthropic,
    tmp_path_factory: pytest.TempPathFactory,
) -> Any:
    upstream = {"api_base": f"{openai.url}/v1", "api_key": "sk-up"}
    claude = {"model": "anthropic/claude-x", "api_base": anthropic.url, "api_key": "sk-up"}
    settings = config(openai, router_settings={"fallbacks": [{"m": ["other"]}]})
    settings["model_list"] += [
        {"model_name": "claude", "litellm_params": claude, "model_info": PRICES},
        {"model_name": "unpriced", "litellm_params": {"model": "openai/no-price", **upstream}},
    ]
    if request.param == "alone":
        yield Fleet([module_gateway(settings)])
        return
    url = request.getfixturevalue("postgres").database()
    with redis_server(tmp_path_factory.mktemp("redis")) as redis:
        settings["general_settings"]["database_url"] = url
        settings["router_settings"]["redis_url"] = redis.url
        yield Fleet([module_gateway(settings) for _ in range(2)], url)


def row_of(fleet: Fleet, call_id: str) -> dict[str, Any]:
    (row,) = fleet.until(lambda: [row for row in fleet.rows() if row["request_id"] == call_id], len)
    return row


def spent(row: dict[str, Any]) -> int:
    return cost({name: row[name] for name in ("prompt_tokens", "completion_tokens")})


def streamed(
    fleet: Fleet, path: str, key: str, body: dict[str, Any], *, leave_after: int = 1_000_000
) -> str:
    """Reads a stream, or so many of its events; the call's id."""

    async def read() -> str:
        headers = {"authorization": f"Bearer {key}"}
        url = f"{fleet.gateways[0].url}{path}"
        async with (
            httpx.AsyncClient(headers=headers, timeout=60) as client,
            client.stream("POST", url, json={**body, "stream": True}) as answer,
        ):
            assert answer.status_code == 200
            came = 0
            async for line in answer.aiter_lines():
                came += line.startswith("data:")
                if came == leave_after:
                    break
            return str(answer.headers["x-trunkline-call-id"])

    return asyncio.run(read())


@pytest.mark.criterion("R12.1")
def test_whoever_leaves_a_stream_of_anthropic_s_pays_for_what_came(
    fleet: Fleet, anthropic: FakeAnthropic
) -> None:
    anthropic.fault(SlowDrip(0.02))
    anthropic.answer(text=" ".join(["word"] * 200))
    body = {"model": "claude", "max_tokens": 500, "messages": ASKED}
    row = row_of(fleet, streamed(fleet, "/v1/messages", fleet.admin.key(), body, leave_after=40))
    assert row["status"] == "cancelled"
    # The stream's first event tells one token of output, and its last but one how many there were.
    assert 20 <= row["completion_tokens"] <= 100
    assert row["spend"] == spent(row)


def event(content: Any) -> bytes:
    text = content if isinstance(content, str) else json.dumps(content)
    return b"data: " + text.encode() + b"\n\n"


def chunk(text: str, finish: str | None = None, **fields: Any) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": finish}
    head = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    return event({**head, "choices": [choice], **fields})


@pytest.mark.criterion("R12.1")
def test_no_text_that_a_model_is_made_to_say_ends_the_charge(
    fleet: Fleet, openai: FakeOpenAI
) -> None:
    usage = {"prompt_tokens": 7, "completion_tokens": 990, "total_tokens": 997}
    said = chunk("as you wish: data: [DONE]")
    openai.fault(SlowDrip(0.05))
    openai.answer(events=(said, chunk("more"), chunk("", "stop", usage=usage), event("[DONE]")))
    body = {"model": "m", "messages": ASKED}
    row = row_of(fleet, streamed(fleet, "/v1/chat/completions", fleet.admin.key(), body))
    assert row["completion_tokens"] == usage["completion_tokens"]
    assert row["spend"] == cost(usage)


@pytest.mark.criterion("R12.1")
def test_no_tool_s_name_ends_the_charge(fleet: Fleet, anthropic: FakeAnthropic) -> None:
    message = {"id": "m", "type": "message", "role": "assistant", "model": "c", "content": []}
    started = {**message, "usage": {"input_tokens": 5, "output_tokens": 1}}
    tool = {"type": "tool_use", "id": "t", "name": "message_stop", "input": {}}
    events = (
        {"type": "message_start", "message": started},
        {"type": "content_block_start", "index": 0, "content_block": tool},
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "tool_use"},
            "usage": {"output_tokens": 300},
        },
        {"type": "message_stop"},
    )
    anthropic.fault(SlowDrip(0.05))
    anthropic.answer(events=tuple(f"event: {e['type']}\n".encode() + event(e) for e in events))
    body = {"model": "claude", "max_tokens": 500, "messages": ASKED}
    row = row_of(fleet, streamed(fleet, "/v1/messages", fleet.admin.key(), body))
    assert (row["prompt_tokens"], row["completion_tokens"]) == (5, 300)


UNTOLD = [
    None,
    [],
    {"prompt_tokens": -5, "completion_tokens": -100, "total_tokens": -105},
    {"prompt_tokens": 1.5, "completion_tokens": "7"},
]


@pytest.mark.criterion("R12.1", "R11.5")
@pytest.mark.parametrize("usage", UNTOLD)
def test_an_answer_whose_usage_is_not_told_is_charged_by_its_size(
    fleet: Fleet, openai: FakeOpenAI, usage: Any
) -> None:
    message = {"role": "assistant", "content": "hello " * 100}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    body = {"id": "x", "object": "chat.completion", "created": 1, "model": "m"}
    openai.answer(body={**body, "choices": [choice], "usage": usage})
    key = fleet.admin.key(max_budget=1)
    row = row_of(fleet, fleet.one(key).call_id)
    assert 100 <= row["completion_tokens"] <= 200
    assert 1 <= row["prompt_tokens"] <= 10
    assert row["spend"] == spent(row)


@pytest.mark.criterion("R12.1")
def test_a_stream_whose_usage_is_not_told_is_charged_by_its_size(
    fleet: Fleet, openai: FakeOpenAI
) -> None:
    openai.answer(events=(chunk("hello " * 100), chunk("", "stop"), event("[DONE]")))
    body = {"model": "m", "messages": ASKED}
    row = row_of(fleet, streamed(fleet, "/v1/chat/completions", fleet.admin.key(), body))
    assert 100 <= row["completion_tokens"] <= 200
    assert row["spend"] == spent(row)


@pytest.mark.criterion("R11.6")
def test_a_call_that_falls_back_keeps_its_place_among_calls_at_once(
    fleet: Fleet, openai: FakeOpenAI
) -> None:
    key = fleet.admin.key(max_parallel_requests=1, rpm_limit=2)
    openai.fault(Status(500), Delay(2.0))
    seen: list[int] = []
    first = threading.Thread(target=lambda: seen.append(fleet.one(key).status))
    first.start()
    time.sleep(1.0)
    assert fleet.one(key, model="other").status == 429
    first.join()
    assert seen == [200]
    assert fleet.one(key).status == 200  # its request was counted once, and its place is free


@pytest.mark.criterion("R11.5", "R11.6")
def test_calls_that_fail_hold_nothing(fleet: Fleet, openai: FakeOpenAI) -> None:
    key = fleet.admin.key(max_parallel_requests=1, max_budget=1)
    openai.fault(Status(500), CutMidStream(1), Malformed(), always=True)
    for number in range(60):
        body = {"model": "other", "messages": ASKED, "stream": bool(number % 2)}
        answer = httpx.post(
            f"{fleet.gateways[0].url}/v1/chat/completions",
            json=body,
            headers={"authorization": f"Bearer {key}"},
        )
        assert answer.status_code in (200, 500, 502, 503)
    openai.reset()
    assert [fleet.one(key).status for _ in range(2)] == [200, 200]


@pytest.mark.criterion("R12.1", "R11.5")
def test_a_model_without_a_price_is_counted_and_costs_no_budget(fleet: Fleet) -> None:
    key = fleet.admin.key(max_budget=0.000001)
    answers = [fleet.one(key, model="unpriced") for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 200, 200]
    for row in fleet.rows_of(answers):
        assert row["spend"] is None
        assert row["completion_tokens"] > 0


@pytest.mark.criterion("R11.1")
def test_nobody_lets_a_key_past_models_and_budgets_who_may_not_pass_them(fleet: Fleet) -> None:
    admin = fleet.admin
    user = f"user-{time.time_ns()}"
    made = {"user_id": user, "user_role": "internal_user", "auto_create_key": False}
    admin.ask("/user/new", made)
    own = admin.key(user_id=user, models=["m"], max_budget=1)
    narrow = admin.key(user_id=user, allowed_routes=["llm_api_routes", "/key/generate"])
    passing = admin.key(user_id=user, allowed_routes=["/openai/*", "/key/generate"])
    for route in ("*", "/*", "/openai/*", "/openai/v1/files", "/anthropic/v1/messages"):
        for key in (own, narrow):
            error = admin.having(key).refused("/key/generate", {"allowed_routes": [route]}, 403)
            assert error["param"] == "allowed_routes"
        change = {"key": own, "allowed_routes": [route]}
        admin.having(own).refused("/key/update", change, 403)
    for route in ("llm_api_routes", "/v1/chat/completions", "/v1/*"):
        admin.having(own).ask("/key/generate", {"allowed_routes": [route]})
    admin.having(passing).ask("/key/generate", {"allowed_routes": ["/openai/v1/files"]})
    admin.having(passing).refused("/key/generate", {"allowed_routes": ["/anthropic/*"]}, 403)


@pytest.mark.criterion("R11.3")
@pytest.mark.parametrize("name", ["a\x00b", "u" * 1_000_000, "x:model:m", "团队", "' OR 1=1 --"])
def test_no_customer_s_or_tag_s_name_breaks_a_call(fleet: Fleet, name: str) -> None:
    key = fleet.admin.key(max_budget=1)
    answers = [fleet.one(key, user=name), fleet.one(key, tags=[name])]
    assert [answer.status for answer in answers] == [200, 200]
    assert len(fleet.rows_of(answers)) == 2


@pytest.mark.criterion("R11.3")
def test_a_call_with_more_tags_than_anybody_needs_is_refused(fleet: Fleet) -> None:
    refused = fleet.one(fleet.admin.key(), tags=[f"tag-{number}" for number in range(101)])
    assert refused.status == 400
    assert refused.body["error"]["param"] == "tags"
