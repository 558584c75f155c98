"""Which deployments a label stands for, and which text of a request is routed."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.routing import call, deployment
from trunkline.errors import BundleError
from trunkline.routing.labels import by_label, check_labels, label_of
from trunkline.routing.query import query_of, user_of


def labelled(*deployments: Any, labels: tuple[str, ...]) -> dict[str, list[str]]:
    found = by_label(deployments, labels)
    return {label: [each.id for each in members] for label, members in found.items()}


# --- labels


def test_a_label_is_a_model_name_or_the_name_of_the_model() -> None:
    one = deployment("d0", group="chat", model="azure/gpt-x")
    other = deployment("d1", group="other", model="openai/gpt-y")
    labels = ("chat", "openai/gpt-y", "gpt-y", "azure/gpt-x", "gpt", "GPT-Y", "")
    assert labelled(one, other, labels=labels) == {
        "chat": ["d0"],
        "openai/gpt-y": ["d1"],
        "gpt-y": ["d1"],
        "azure/gpt-x": ["d0"],
    }


def test_a_name_of_its_own_takes_the_place_of_a_deployments_other_names() -> None:
    named = deployment("d0", group="chat", model="openai/gpt-x", info={"llmrouter_name": "big"})
    other = deployment("d1", group="big", model="openai/gpt-x")
    assert labelled(named, other, labels=("big",)) == {"big": ["d0"]}
    assert labelled(named, labels=("chat", "gpt-x", "openai/gpt-x")) == {}
    assert labelled(named, other, labels=("gpt-x",)) == {"gpt-x": ["d1"]}


def test_a_model_name_comes_before_the_name_of_another_groups_model() -> None:
    group = deployment("d0", group="gpt-x", model="azure/whatever")
    model = deployment("d1", group="chat", model="openai/gpt-x")
    assert labelled(group, model, labels=("gpt-x",)) == {"gpt-x": ["d0"]}


def test_all_deployments_of_a_model_have_its_label() -> None:
    several = [deployment(f"d{n}", group="chat") for n in range(3)]
    found = by_label(several, ("chat",))
    assert label_of(found) == {"d0": "chat", "d1": "chat", "d2": "chat"}


def test_a_label_without_a_deployment_is_an_error_that_names_it() -> None:
    with pytest.raises(BundleError, match=r"no deployment is called 'gpt-4'.*model names: chat"):
        check_labels([deployment("d0", group="chat", model="openai/gpt-4o")], ("chat", "gpt-4"))


# --- the query


@pytest.mark.criterion("R2.5")
@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"messages": [{"role": "user", "content": "a"}]}, "a"),
        ({"messages": [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]}, "b"),
        ({"messages": [{"role": "user", "content": "a"}, {"role": "assistant"}]}, "a"),
        (
            {
                "messages": [
                    {"role": "user", "content": [{"type": "text", "text": t} for t in "ab"]}
                ]
            },
            "a\nb",
        ),
        (
            {
                "messages": [
                    {"role": "user", "content": "a"},
                    {"role": "user", "content": [{"type": "tool_result", "content": "x"}]},
                ]
            },
            "a",
        ),
        ({"input": "a"}, "a"),
        ({"input": [{"role": "user", "content": [{"type": "input_text", "text": "a"}]}]}, "a"),
        ({"contents": [{"parts": [{"text": "a"}]}]}, "a"),
        ({"contents": {"role": "user", "parts": {"text": "a"}}}, ""),
        ({"contents": [{"role": "model", "parts": [{"text": "b"}]}]}, ""),
        ({"prompt": "a"}, "a"),
        ({"prompt": ["a", "b"]}, "b"),
        ({"prompt": [1, 2]}, ""),
        ({"prompt": {}}, ""),
        ({}, ""),
        ({"messages": "a"}, "a"),
        ({"messages": [1, None, {"role": 1}, {"role": "user", "content": 1}]}, ""),
        ({"messages": [{"role": "user", "content": [1, None, {"type": [1], "text": "x"}]}]}, ""),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": 5}]}]}, ""),
        ({"messages": [{"role": "user", "content": {"type": "text", "text": "a"}}]}, "a"),
    ],
)
def test_the_query_is_the_last_text_of_the_user(body: dict[str, Any], text: str) -> None:
    assert query_of(call(body=body)) == text


@pytest.mark.parametrize(
    ("body", "user"),
    [
        ({"user": "u"}, "u"),
        ({"metadata": {"user_id": "u"}}, "u"),
        ({"user": 5}, ""),
        ({"metadata": "x"}, ""),
        ({}, ""),
    ],
)
def test_the_user_is_who_the_request_says(body: dict[str, Any], user: str) -> None:
    assert user_of(call(body=body)) == user
