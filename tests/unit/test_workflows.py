"""What workflows read in models' answers, whatever these hold, and how they add usage up."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.call import Usage
from trunkline.errors import BundleError
from trunkline.providers.usage_sums import added_to_answer, added_to_frames, total
from trunkline.routing.bundles.manifest import Label
from trunkline.routing.strength import by_strength
from trunkline.routing.workflows import prompts
from trunkline.routing.workflows.confidence import rule_of
from trunkline.routing.workflows.reading import (
    LONGEST_QUESTION,
    Question,
    Ready,
    addressed,
    move,
    parts,
    verdict,
)
from trunkline.routing.workflows.wires import CONVERSATIONS

LABELS = ("gpt", "qwen2.5:7b", "qwen2.5", "模型")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Fine.\nVerdict: correct", True),
        ("**Verdict:** Incorrect.", False),
        ("VERDICT - correct", True),
        ("Verdict: correct\nNo, wait.\nVerdict: incorrect", False),
        ("<think>Verdict: correct</think>Verdict: incorrect", False),
        ("Verdict: correct</think>\nVerdict: incorrect", False),
        ("<think>Verdict: correct", None),
        ("The answer is correct.", None),
        ("Verdict:\ncorrect", None),
        ("Verdict: correctly put, no", None),
        ("", None),
        ("\x00 🙂 מה", None),
    ],
)
def test_verdicts(text, found):
    assert verdict(text) is found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("<search>gpt: Who?</search>", Question("gpt", "Who?")),
        ("<SEARCH> gpt : Who? </Search>", Question("gpt", "Who?")),
        ("<search>qwen2.5:7b: Who?</search>", Question("qwen2.5:7b", "Who?")),
        ("<search>qwen2.5: Who?</search>", Question("qwen2.5", "Who?")),
        ("<search>模型：谁?</search>", Question("模型", "谁?")),
        ("<search>GPT: Who?</search>", Question("", "GPT: Who?")),
        ("<search>gpt-4: Who?</search>", Question("", "gpt-4: Who?")),
        ("<search>Who?</search>", Question("", "Who?")),
        ("<search>gpt:</search>", Question("gpt", "")),
        ("<search>gpt: Who?", Question("gpt", "Who?")),
        ("<search>gpt: <answer>x</answer></search>", Question("gpt", "<answer>x</answer>")),
        ("<think><search>gpt: no</search></think><answer>42</answer>", Ready("42")),
        ("why</think><search>gpt: Who?</search>", Question("gpt", "Who?")),
        ("<search>gpt: one</search><answer>two</answer>", Question("gpt", "one")),
        ("<answer>two</answer><search>gpt: one</search>", Ready("two")),
        ("Just an answer.", Ready("Just an answer.")),
        ("<think>endless", Ready("")),
        ("", Ready("")),
    ],
)
def test_moves(text, found):
    assert move(text, LABELS) == found


def test_parts_are_taken_once_and_not_too_many():
    text = "1. <part>a</part> <part> b </part><part>a</part><part></part><part>c</part>"
    assert parts(text, 2) == ["a", "b"]
    assert parts(f"<part>{'x' * 50_000}</part>", 2) == ["x" * LONGEST_QUESTION]
    assert parts("no parts", 2) == []
    assert addressed("gpt: a: b", LABELS) == Question("gpt", "a: b")


@pytest.mark.parametrize(
    "piece", ["<think>", "</think>", "<search>", "<part>a", "<", "verdict: ", "verdict" + ":" * 7]
)
def test_huge_answers_are_read_as_far_as_they_may_be_long(piece):
    text = piece * (4_000_000 // len(piece)) + "<part>gpt: too late</part> Verdict: correct"
    assert verdict(text) is None
    assert "too late" not in parts(text, 4)
    assert "too late" not in repr(move(text, LABELS))


@given(st.text(), st.lists(st.text(min_size=1), max_size=4))
def test_whatever_a_model_says_only_known_models_are_named(text, labels):
    for tried in (text, f"<search>{text}</search>", f"<part>{text}</part>"):
        found = move(tried, labels)
        assert isinstance(found, Ready) or found.label in {"", *labels}
        assert verdict(tried) in {True, False, None}
        assert len(parts(tried, 3)) <= 3


@given(
    st.sampled_from(sorted(CONVERSATIONS)),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(
                    "choices message content text delta output type candidates parts".split()
                ),
                inner,
            )
        ),
    ),
)
def test_whatever_a_provider_answers_it_says_a_text(name, answer):
    conversation = CONVERSATIONS[name]
    assert isinstance(conversation.said(json.dumps(answer).encode()), str)
    event = b"data: " + json.dumps(answer).encode() + b"\n\n"
    assert isinstance(conversation.said(event * 2), str)


@pytest.mark.parametrize(
    ("name", "body", "noted"),
    [
        (
            "chat",
            {"messages": [{"role": "user", "content": "Q"}]},
            {"messages": [{"role": "user", "content": "Q\n\nN"}]},
        ),
        (
            "messages",
            {"messages": [{"role": "user", "content": [{"type": "text", "text": "Q"}]}]},
            {
                "messages": [
                    {
                        "role": "user",
                        "content": [{"type": "text", "text": "Q"}, {"type": "text", "text": "N"}],
                    }
                ]
            },
        ),
        ("responses", {"input": "Q"}, {"input": "Q\n\nN"}),
        (
            "responses",
            {"input": [{"role": "user", "content": [{"type": "input_text", "text": "Q"}]}]},
            {
                "input": [
                    {
                        "role": "user",
                        "content": [
                            {"type": "input_text", "text": "Q"},
                            {"type": "input_text", "text": "N"},
                        ],
                    }
                ]
            },
        ),
        ("completions", {"prompt": "Q"}, {"prompt": "N\n\nQ"}),
        ("generate_content", {"contents": "Q"}, {"contents": "Q\n\nN"}),
        ("generate_content", {"contents": ["Q"]}, {"contents": ["Q\n\nN"]}),
        (
            "generate_content",
            {"contents": [{"parts": [{"text": "Q"}]}]},
            {"contents": [{"parts": [{"text": "Q"}, {"text": "N"}]}]},
        ),
        (
            "generate_content",
            {"contents": [{"parts": {"text": "Q"}}]},
            {"contents": [{"parts": [{"text": "Q"}, {"text": "N"}]}]},
        ),
    ],
)
def test_notes_stand_behind_what_the_user_said(name, body, noted):
    before = json.dumps(body)
    assert CONVERSATIONS[name].noted(body, "N") == noted
    assert json.dumps(body) == before


def test_prompts_hold_texts_with_braces_and_cut_long_ones():
    text = "{question} {0} {{" + "x" * 50_000
    prompt = prompts.verification(text, [("user", "{a}")], text)
    assert prompt.count("{question} {0} {{x") == 2
    assert len(prompt) < 50_000
    assert "{b}" in prompts.reasoning("{b}", [], {"gpt": "{c}"}, ["{d}"], 1)


USED = Usage(
    input_tokens=100,
    output_tokens=50,
    cached_tokens=20,
    cache_creation_tokens=10,
    reasoning_tokens=5,
)


def test_usage_adds_up_figure_by_figure():
    assert total([USED, Usage(output_tokens=1), USED]) == Usage(200, 101, 40, 20, 10)
    assert total([]) == Usage()


@pytest.mark.parametrize(
    ("kind", "told", "sum_"),
    [
        (
            "openai",
            {"usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}},
            {
                "usage": {
                    "prompt_tokens": 101,
                    "completion_tokens": 52,
                    "total_tokens": 153,
                    "prompt_tokens_details": {"cached_tokens": 20},
                    "completion_tokens_details": {"reasoning_tokens": 5},
                }
            },
        ),
        (
            "responses",
            {
                "type": "response.completed",
                "response": {
                    "usage": {
                        "input_tokens": 1,
                        "input_tokens_details": {"cached_tokens": 1},
                        "output_tokens": 2,
                        "output_tokens_details": {"reasoning_tokens": 1},
                        "total_tokens": 3,
                    }
                },
            },
            {
                "type": "response.completed",
                "response": {
                    "usage": {
                        "input_tokens": 101,
                        "input_tokens_details": {"cached_tokens": 21},
                        "output_tokens": 52,
                        "output_tokens_details": {"reasoning_tokens": 6},
                        "total_tokens": 153,
                    }
                },
            },
        ),
        (
            "anthropic",
            {"usage": {"input_tokens": 1, "cache_read_input_tokens": 2, "output_tokens": 3}},
            {
                "usage": {
                    "input_tokens": 71,
                    "cache_read_input_tokens": 22,
                    "output_tokens": 53,
                    "cache_creation_input_tokens": 10,
                }
            },
        ),
        (
            "anthropic",
            {"type": "message_delta", "usage": {"output_tokens": 3}},
            {"type": "message_delta", "usage": {"output_tokens": 53}},
        ),
        (
            "google",
            {
                "usageMetadata": {
                    "promptTokenCount": 1,
                    "candidatesTokenCount": 2,
                    "thoughtsTokenCount": 3,
                    "totalTokenCount": 6,
                }
            },
            {
                "usageMetadata": {
                    "promptTokenCount": 101,
                    "candidatesTokenCount": 47,
                    "thoughtsTokenCount": 8,
                    "totalTokenCount": 156,
                    "cachedContentTokenCount": 20,
                }
            },
        ),
        ("openai", {"usage": None}, {"usage": None}),
        ("openai", {"usage": {"prompt_tokens": "many"}}, {"usage": {"prompt_tokens": "many"}}),
        ("google", {"candidates": []}, {"candidates": []}),
    ],
)
def test_each_wire_tells_the_sum_under_its_own_names(kind, told, sum_):
    used = USED
    if told.get("usage") == {"prompt_tokens": "many"}:
        used = Usage(input_tokens=100)
    body = json.dumps(told).encode()
    assert json.loads(added_to_answer(kind, body, used)) == sum_
    frames = b"event: x\ndata: " + body + b"\n\ndata: [DONE]\n\n"
    head, told_again, *rest = added_to_frames(kind, frames, used).split(b"\n")
    assert (head, json.loads(told_again.removeprefix(b"data: "))) == (b"event: x", sum_)
    assert b"\n".join(rest) == b"\ndata: [DONE]\n\n"


def test_a_threshold_decides_or_what_was_trained():
    labels = ("a", "b")
    plain = rule_of({}, {}, labels)
    assert [plain.escalated(each, 4) for each in range(5)] == [True, True, True, False, False]
    trained = rule_of({"escalates": [False, True, True, False], "small": "a"}, {}, labels)
    assert (trained.samples, trained.small, trained.large) == (3, "a", "")
    assert [trained.escalated(each, 3) for each in range(4)] == [False, True, True, False]
    assert trained.escalated(1, 1) is False
    strict = rule_of({"escalates": [False, False]}, {"threshold": 1, "samples": 2}, labels)
    assert strict.escalated(2, 2)


@pytest.mark.parametrize(
    "parameters",
    [
        {"small": "nobody"},
        {"escalates": [True]},
        {"escalates": "yes"},
        {"escalates": [1, 0]},
        {"escalates": [True] * 66},
    ],
)
def test_parameters_that_are_no_rule_are_refused(parameters):
    with pytest.raises(BundleError, match=r"manifest\.json: parameters"):
        rule_of(parameters, {}, ("a", "b"))


@pytest.mark.parametrize(
    ("labels", "order"),
    [
        ([Label(name="a", size="7B"), Label(name="b"), Label(name="c", size="70B")], "cab"),
        ([Label(name="a", input_price=1.0), Label(name="b", output_price=2.0)], "ba"),
        ([Label(name="a"), Label(name="b")], "ab"),
    ],
)
def test_models_are_ordered_by_size_else_by_price(labels, order):
    assert by_strength(labels, strongest_first=True) == list(order)
