"""Tags of accounts: on what they stand, where they are found, what they decide."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.call import Answer, Call, Deployment
from trunkline.errors import InvalidRequest
from trunkline.operations import OPERATIONS
from trunkline.providers import labels
from trunkline.providers.affinity import Accounts, tag_of

pytestmark = pytest.mark.criterion("R1.2")

BY_NAME = {operation.name: operation for operation in OPERATIONS}


def deployment(provider: str, key: str = "k", **params: Any) -> Deployment:
    return Deployment(
        id=f"{provider}-{key}",
        group=f"{provider}-{key}",
        model=f"{provider}/m",
        provider=provider,
        upstream_model="m",
        params={"model": f"{provider}/m", "api_key": key, "api_base": "https://a.test", **params},
        info={},
    )


def call(name: str, body: dict[str, Any] | None = None, **fields: Any) -> Call:
    body = body or {}
    raw = json.dumps(body).encode()
    return Call("id", BY_NAME[name], fields.pop("group", ""), body, 0.0, raw=raw, **fields)


def groups(*deployments: Deployment) -> Any:
    return lambda group: tuple(each for each in deployments if each.group == group)


ONE, TWO = deployment("openai", "one"), deployment("openai", "two")
AZURE, GROQ = deployment("azure", "three"), deployment("groq", "four")


def test_an_account_is_a_provider_an_address_and_credentials():
    same = replace(ONE, id="other", group="other", upstream_model="n", rpm=5)
    assert tag_of(same) == tag_of(ONE)
    others = [
        TWO,
        deployment("azure", "one"),
        deployment("openai", "one", api_base="https://b.test"),
        deployment("openai", "one", organization="org-1"),
        deployment("openai", "one", aws_region_name="eu-west-1"),
    ]
    assert len({tag_of(each) for each in (ONE, *others)}) == len(others) + 1
    assert "one" not in tag_of(ONE)


@pytest.mark.parametrize(
    ("deployments", "name", "chosen"),
    [
        ((GROQ, AZURE, TWO, ONE), "files.list", TWO),
        ((GROQ, AZURE), "files.list", AZURE),
        ((deployment("vertex_ai"), GROQ), "files.list", None),
        ((deployment("openai", lane="litellm"), AZURE), "files.list", AZURE),
        ((deployment("anthropic"), ONE), "moderations", ONE),
    ],
)
def test_the_default_account(deployments, name, chosen):
    accounts = Accounts(deployments)
    found = accounts.candidates(call(name), "", groups(*deployments))
    assert found == ((chosen or deployments[0]),)


def test_a_deployment_without_its_credentials_is_no_account():
    accounts = Accounts([replace(ONE, missing=("OPENAI_API_KEY",)), TWO])
    assert accounts.candidates(call("files.list"), "", groups()) == (TWO,)


def test_what_nobody_serves_is_refused():
    with pytest.raises(InvalidRequest, match=r"No deployment serves threads\.get"):
        Accounts([GROQ]).candidates(call("threads.get"), "", groups(GROQ))


@pytest.mark.parametrize("deployments", [(ONE,), (ONE, GROQ), (ONE, replace(ONE, id="b"))])
def test_with_one_account_answers_stay_as_they_are(deployments):
    body = b'{ "id": "file-1", "object": "file" }'
    answer = Accounts(deployments).labelled(call("files.get"), ONE, Answer(200, [], body))
    assert answer.body is body


def test_answers_of_calls_that_keep_nothing_stay_as_they_are():
    body = b'{"id": "x"}'
    answer = Accounts([ONE, TWO]).labelled(call("chat", group="g"), ONE, Answer(200, [], body))
    assert answer.body is body


@pytest.mark.parametrize(
    ("answer", "tagged"),
    [
        ({"id": "file-1", "object": "file"}, {"id": "file-1@", "object": "file"}),
        (
            {"id": "a", "object": "assistant.deleted", "deleted": True},
            {"id": "a@", "object": "assistant.deleted", "deleted": True},
        ),
        (
            {"object": "list", "data": [{"id": "b1", "object": "batch"},
                                        {"id": "b2", "object": "batch", "input_file_id": "f"}],
             "first_id": "b1", "last_id": "b2", "has_more": False},
            {"object": "list", "data": [{"id": "b1@", "object": "batch"},
                                        {"id": "b2@", "object": "batch", "input_file_id": "f@"}],
             "first_id": "b1@", "last_id": "b2@", "has_more": False},
        ),
        (
            {"data": [{"id": "m1", "object": "thread.message", "thread_id": "t"}],
             "object": "list", "first_id": "m1", "last_id": "m1"},
            {"data": [{"id": "m1", "object": "thread.message", "thread_id": "t@"}],
             "object": "list", "first_id": "m1", "last_id": "m1"},
        ),
        (
            {"id": "resp_1", "object": "response", "previous_response_id": None,
             "conversation": {"id": "conv_1"}, "metadata": {"id": "x", "file_id": "y"},
             "tools": [{"type": "file_search", "vector_store_ids": ["vs_1", "vs_2"]},
                       {"type": "code_interpreter", "container": {"type": "auto"}}],
             "output": [{"id": "msg_1", "type": "message", "content": [{"type": "output_text",
                "text": "file_id", "annotations": [{"type": "file_citation", "file_id": "f"}]}]}]},
            {"id": "resp_1@", "object": "response", "previous_response_id": None,
             "conversation": {"id": "conv_1@"}, "metadata": {"id": "x", "file_id": "y"},
             "tools": [{"type": "file_search", "vector_store_ids": ["vs_1@", "vs_2@"]},
                       {"type": "code_interpreter", "container": {"type": "auto"}}],
             "output": [{"id": "msg_1", "type": "message", "content": [{"type": "output_text",
                "text": "file_id", "annotations": [{"type": "file_citation", "file_id": "f@"}]}]}]},
        ),
        ({"id": "of-no-kind"}, {"id": "of-no-kind@"}),
        ([], []),
    ],
)  # fmt: skip
def test_ids_in_an_answer_carry_the_tag(answer, tagged):
    text = json.dumps(tagged).replace("@", f"_tl_{tag_of(ONE)}")
    given = Answer(200, [], json.dumps(answer).encode())
    labelled = Accounts([ONE, TWO]).labelled(call("files.get"), ONE, given)
    assert json.loads(labelled.body) == json.loads(text)
    assert json.loads(labels.put_on(labelled.body, tag_of(ONE))) == json.loads(text)


HIDDEN = base64.urlsafe_b64encode(
    b"litellm:custom_llm_provider:openai;model_id:None;response_id:resp_1"
).decode()


@pytest.mark.parametrize("hidden", [HIDDEN, HIDDEN.rstrip("=")])
def test_clients_are_given_the_providers_ids_and_not_litellms(hidden):
    body = f'{{"id": "resp_{hidden}", "text": "about resp_{hidden}"}}'.encode()
    answer = Accounts([ONE]).labelled(call("responses", group="g"), ONE, Answer(200, [], body))
    assert json.loads(answer.body) == {"id": "resp_1", "text": f"about resp_{hidden}"}


def test_ids_of_litellms_are_understood_too():
    asked = call("responses.get", path={"response_id": f"resp_{HIDDEN}_tl_{tag_of(TWO)}"})
    Accounts([ONE, TWO]).claim(asked, groups(ONE, TWO))
    assert asked.path == {"response_id": "resp_1"}
    assert asked.account == tag_of(TWO)


@pytest.mark.parametrize("value", ["resp_bGl0ZWxsbTo", "resp_bGl0ZWxsbTo!", "x_bGl0ZWxsbTpmb28="])
def test_what_only_looks_like_an_id_of_litellms_stays_as_it_is(value):
    assert labels.without(value, set()) == value


def test_bytes_that_are_no_json_stay_as_they_are():
    given = Answer(200, [], b"\x00not json")
    assert Accounts([ONE, TWO]).labelled(call("files.get"), ONE, given).body == b"\x00not json"


async def test_ids_in_the_events_of_a_stream_carry_the_tag():
    frames = [
        b'event: response.created\ndata: {"type":"response.created","response":{"id":"resp_1",'
        b'"object":"response"}}\n\n',
        b'event: d\ndata: {"type":"response.output_text.delta","delta":"\\"response\\" resp_1"}\n\n'
        b'data: {"type":"response.completed","response":{"id":"resp_1","object":"response"}}\n\n',
        b"data: [DONE]\n\n",
    ]

    async def chunks():
        for frame in frames:
            yield frame

    given = Answer(200, [("content-type", "text/event-stream; charset=utf-8")], chunks=chunks())
    asked = call("responses", group="g", stream=True)
    labelled = Accounts([ONE, TWO]).labelled(asked, ONE, given)
    assert labelled.chunks is not None
    seen = [chunk async for chunk in labelled.chunks]
    tag = f"_tl_{tag_of(ONE)}".encode()
    assert seen[0] == frames[0].replace(b"resp_1", b"resp_1" + tag)
    first, second = frames[1].split(b"\n\n", 1)
    assert seen[1] == first + b"\n\n" + second.replace(b"resp_1", b"resp_1" + tag)
    assert seen[2] == frames[2]


def test_tags_are_taken_off_wherever_ids_stand():
    tag = f"_tl_{tag_of(TWO)}"
    asked = call(
        "threads.runs.create",
        {"assistant_id": f"a{tag}", "tools": [{"file_ids": [f"f{tag}", "g"]}],
         "metadata": {"file_id": f"f{tag}"}, "instructions": f"about f{tag}"},
        path={"thread_id": f"t{tag}"},
        query=[("after", f"b{tag}"), ("limit", "3")],
    )  # fmt: skip
    Accounts([ONE, TWO]).claim(asked, groups(ONE, TWO))
    assert asked.account == tag_of(TWO)
    assert asked.path == {"thread_id": "t"}
    assert asked.query == [("after", "b"), ("limit", "3")]
    assert asked.body == {
        "assistant_id": "a",
        "tools": [{"file_ids": ["f", "g"]}],
        "metadata": {"file_id": f"f{tag}"},
        "instructions": f"about f{tag}",
    }


@given(
    value=st.text(min_size=1).filter(lambda text: "_tl_" not in text),
    tag=st.text("0123456789abcdef", min_size=8, max_size=8),
)
def test_a_tag_comes_off_as_it_was_put_on(value, tag):
    body = json.dumps({"id": value, "object": "file"}).encode()
    tagged = json.loads(labels.put_on(body, tag))["id"]
    tags: set[str] = set()
    assert labels.without(tagged, tags) == value
    assert tags == {tag}


@given(value=st.text())
def test_a_value_without_a_tag_stays_as_it_is(value):
    tags: set[str] = set()
    if not labels._TAGGED.fullmatch(value):
        assert labels.without(value, tags) == value
        assert not tags


def test_a_very_deep_body_is_looked_through():
    deep: Any = {"file_id": "f_tl_00000000"}
    for _ in range(50_000):
        deep = {"x": [deep]}
    tags: set[str] = set()
    labels.take_off(deep, tags)
    assert tags == {"00000000"}


def test_a_model_of_the_providers_own_is_no_group():
    asked = call("fine_tuning.create", {"model": "gpt-4o-mini"}, group="gpt-4o-mini")
    accounts = Accounts([ONE])
    accounts.claim(asked, groups(ONE))
    assert asked.group == ""
    assert accounts.candidates(asked, "", groups(ONE)) == (ONE,)


def test_calls_that_name_no_object_are_not_looked_at():
    accounts = Accounts([ONE, TWO])
    assert not accounts.concerns(call("chat", {"messages": []}, group="g"))
    assert accounts.concerns(call("chat", {"file_id": "f_tl_00000000"}, group="g"))
    assert accounts.concerns(call("responses", group="g"))
    assert accounts.concerns(call("moderations", group="g"))
