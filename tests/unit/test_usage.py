"""What a call consumed is learned from every wire's answers and streams, in one way of counting."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.call import Usage
from trunkline.providers.usage import UsageReader, read_answer, read_object

pytestmark = pytest.mark.criterion("R12.1")

KINDS = ("openai", "responses", "media", "runs", "anthropic", "google", "none")


def of_answer(kind: str, answer: Any) -> Usage:
    usage = Usage()
    read_answer(kind, json.dumps(answer).encode(), usage)
    return usage


def of_stream(kind: str, *frames: Any) -> Usage:
    usage = Usage()
    reader = UsageReader(kind, usage)
    for frame in frames:
        reader.feed(frame if isinstance(frame, bytes) else json.dumps(frame).encode())
    return usage


def figures(usage: Usage) -> tuple[int | None, ...]:
    return (
        usage.input_tokens,
        usage.output_tokens,
        usage.cached_tokens,
        usage.cache_creation_tokens,
        usage.reasoning_tokens,
    )


OPENAI = {
    "prompt_tokens": 100,
    "completion_tokens": 30,
    "total_tokens": 130,
    "prompt_tokens_details": {"cached_tokens": 64, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 20},
}
RESPONSES = {
    "input_tokens": 100,
    "output_tokens": 30,
    "input_tokens_details": {"cached_tokens": 64},
    "output_tokens_details": {"reasoning_tokens": 20},
}


def test_openai_s_answer() -> None:
    usage = of_answer("openai", {"id": "x", "choices": [], "usage": OPENAI})
    assert figures(usage) == (100, 30, 64, None, 20)
    assert usage.raw == OPENAI
    assert usage.total_tokens == 130


def test_a_response_of_the_responses_api() -> None:
    assert figures(of_answer("responses", {"usage": RESPONSES})) == (100, 30, 64, None, 20)


def test_anthropic_s_cached_tokens_are_input_too() -> None:
    counted = {
        "input_tokens": 10,
        "cache_creation_input_tokens": 200,
        "cache_read_input_tokens": 3_000,
        "output_tokens": 7,
    }
    usage = of_answer("anthropic", {"type": "message", "usage": counted})
    assert figures(usage) == (3_210, 7, 3_000, 200, None)
    assert usage.raw == counted


def test_google_s_thoughts_are_output_too() -> None:
    counted = {
        "promptTokenCount": 50,
        "toolUsePromptTokenCount": 5,
        "cachedContentTokenCount": 40,
        "candidatesTokenCount": 12,
        "thoughtsTokenCount": 30,
        "totalTokenCount": 97,
    }
    usage = of_answer("google", {"candidates": [], "usageMetadata": counted})
    assert figures(usage) == (55, 42, 40, None, 30)


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"prompt_tokens": 5, "prompt_cache_hit_tokens": 3}, (5, None, 3, None, None)),
        ({"prompt_tokens": 5, "cache_read_input_tokens": 2, "cache_creation_input_tokens": 1},
         (5, None, 2, 1, None)),
        ({"type": "tokens", "input_tokens": 14, "output_tokens": 45}, (14, 45, None, None, None)),
        ({"type": "duration", "seconds": 3}, (None, None, None, None, None)),
        ({"input_tokens": 9, "output_tokens": 4_000, "input_tokens_details": {"image_tokens": 1}},
         (9, 4_000, None, None, None)),
    ],
)  # fmt: skip
def test_variants_of_openai_s_usage(usage: Any, expected: tuple[int | None, ...]) -> None:
    assert figures(of_answer("openai", {"usage": usage})) == expected


def test_a_rerank_s_tokens() -> None:
    answer = {"results": [], "meta": {"tokens": {"input_tokens": 8}}}
    assert of_answer("openai", answer).input_tokens == 8


@pytest.mark.parametrize("kind", KINDS)
def test_an_answer_without_usage_leaves_everything_unknown(kind: str) -> None:
    for answer in ({"choices": []}, {"usage": None}, {"usage": {}}, [], "usage", 3):
        usage = of_answer(kind, answer)
        assert figures(usage) == (None,) * 5
        assert usage.raw is None


def test_media_and_runs_tell_it_in_their_last_event() -> None:
    counted = {"type": "tokens", "input_tokens": 14, "output_tokens": 45}
    frames = [{"type": "transcript.text.delta", "delta": "a"}, {"usage": counted}]
    assert figures(of_stream("media", *frames)) == (14, 45, None, None, None)
    step = {"object": "thread.run.step", "usage": {"prompt_tokens": 1, "completion_tokens": 1}}
    run = {"object": "thread.run", "usage": {"prompt_tokens": 20, "completion_tokens": 5}}
    assert figures(of_stream("runs", {"usage": None}, step, run))[:2] == (20, 5)


def test_an_explicit_zero_is_a_figure() -> None:
    zero = {
        "prompt_tokens": 0,
        "completion_tokens": 0,
        "prompt_tokens_details": {"cached_tokens": 0},
    }
    assert figures(of_answer("openai", {"usage": zero})) == (0, 0, 0, None, None)
    anthropic = {"input_tokens": 0, "output_tokens": 0, "cache_read_input_tokens": 0}
    assert figures(of_answer("anthropic", {"usage": anthropic})) == (0, 0, 0, None, None)
    assert figures(of_answer("google", {"usageMetadata": {"promptTokenCount": 0}}))[0] == 0


def test_figures_that_are_none_are_not_taken() -> None:
    odd = {"prompt_tokens": "12", "completion_tokens": True, "reasoning_tokens": -4}
    assert figures(of_answer("openai", {"usage": odd})) == (None,) * 5


def test_an_openai_stream_tells_it_in_its_last_frame() -> None:
    text = {"choices": [{"delta": {"content": 'say "usage": {"prompt_tokens": 7}'}}], "usage": None}
    usage = of_stream("openai", text, text, {"choices": [], "usage": OPENAI}, b"[DONE]")
    assert figures(usage) == (100, 30, 64, None, 20)


def test_a_stream_that_counts_along_keeps_the_last_figures() -> None:
    frames = [{"usage": {"prompt_tokens": 9, "completion_tokens": n}} for n in range(1, 4)]
    assert figures(of_stream("openai", *frames, {"usage": None}))[:2] == (9, 3)


def test_groq_tells_it_beside_the_usual_place() -> None:
    frame = {"choices": [], "usage": None, "x_groq": {"usage": {"prompt_tokens": 3}}}
    assert of_stream("openai", json.dumps(frame, separators=(",", ":")).encode()).input_tokens == 3


def test_a_responses_stream_tells_it_in_the_completed_response() -> None:
    created = {"type": "response.created", "response": {"id": "r", "usage": None}}
    completed = {"type": "response.completed", "response": {"id": "r", "usage": RESPONSES}}
    assert figures(of_stream("responses", created, completed)) == (100, 30, 64, None, 20)


def test_an_anthropic_stream_tells_it_at_both_ends() -> None:
    start = {
        "type": "message_start",
        "message": {
            "usage": {"input_tokens": 25, "cache_read_input_tokens": 100, "output_tokens": 1}
        },
    }
    delta = {"type": "message_delta", "delta": {}, "usage": {"output_tokens": 15}}
    assert figures(of_stream("anthropic", start, delta)) == (125, 15, 100, None, None)


def test_an_anthropic_stream_s_later_zero_does_not_undo_what_was_counted() -> None:
    start = {
        "type": "message_start",
        "message": {"usage": {"input_tokens": 25, "output_tokens": 0}},
    }
    delta = {"type": "message_delta", "usage": {"input_tokens": 0, "output_tokens": 15}}
    assert figures(of_stream("anthropic", start, delta))[:2] == (25, 15)


def test_a_cut_anthropic_stream_leaves_what_was_told_so_far() -> None:
    start = {
        "type": "message_start",
        "message": {"usage": {"input_tokens": 25, "output_tokens": 1}},
    }
    assert figures(of_stream("anthropic", start))[:2] == (25, 1)


def test_a_google_stream_merges_the_figures_of_its_frames() -> None:
    first = {"usageMetadata": {"promptTokenCount": 8, "cachedContentTokenCount": 4}}
    last = {"usageMetadata": {"promptTokenCount": 8, "candidatesTokenCount": 20}}
    assert figures(of_stream("google", first, last)) == (8, 20, 4, None, None)


def test_a_google_stream_may_be_one_array() -> None:
    frames = [
        {"usageMetadata": {"promptTokenCount": 8}},
        {"usageMetadata": {"candidatesTokenCount": 2}},
    ]
    assert figures(of_answer("google", frames))[:2] == (8, 2)


@pytest.mark.parametrize("spaced", [True, False])
def test_a_large_answer_s_usage_is_found_wherever_it_stands(spaced: bool) -> None:
    separators = (", ", ": ") if spaced else (",", ":")
    vectors = [{"embedding": [0.125] * 12_000, "text": '"usage":{"prompt_tokens":1}'}]
    for answer in ({"usage": OPENAI, "data": vectors}, {"data": vectors, "usage": OPENAI}):
        usage = Usage()
        read_answer("openai", json.dumps(answer, separators=separators).encode(), usage)
        assert figures(usage) == (100, 30, 64, None, 20)


def test_a_large_answer_whose_usage_is_elsewhere_is_read_whole() -> None:
    answer = {"pad": "x" * 40_000, "meta": {"tokens": {"input_tokens": 4}}, "name": "usage"}
    assert of_answer("openai", answer).input_tokens == 4


def test_a_decoded_answer_is_read_too() -> None:
    usage = Usage()
    read_object("openai", {"usage": OPENAI}, usage)
    assert figures(usage) == (100, 30, 64, None, 20)


@given(
    st.sampled_from(KINDS),
    st.binary(max_size=60) | st.sampled_from(
        [b'{"usage":', b'"usage":{}', b'{"usage":{"prompt_tokens":1e999}}', b"[DONE]",
         b'{"usage":[1]}', b'{"message":3,"usage":{"input_tokens":[]}}', b'{"usageMetadata":7}',
         b'{"usage":{"prompt_tokens":9e99,"prompt_tokens_details":4}}']
    ),
)  # fmt: skip
def test_no_bytes_make_it_fail(kind: str, payload: bytes) -> None:
    usage = Usage()
    UsageReader(kind, usage).feed(payload)
    read_answer(kind, payload, usage)
    read_answer(kind, payload + b" " * 40_000, usage)
