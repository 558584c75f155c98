"""Which paths are passed on, and which entries of `allowed_routes` name them."""

from __future__ import annotations

import pytest

from trunkline.access.passed_on import PREFIXES, names_passing
from trunkline.providers.passthrough.table import BY_PREFIX


def test_every_prefix_that_is_passed_on_is_known_where_keys_are_granted() -> None:
    assert frozenset(BY_PREFIX) == PREFIXES


@pytest.mark.parametrize(
    "route", ["*", "/*", "/o*", "/openai/*", "/openai/v1/files", "/anthropic/v1*", "/openai*"]
)
def test_an_entry_may_name_paths_that_are_passed_on(route: str) -> None:
    assert names_passing(route)


@pytest.mark.parametrize(
    "route",
    ["llm_api_routes", "info_routes", "/v1/chat/completions", "/v1/*", "/chat*", "/key/generate"],
)
def test_an_entry_may_name_none(route: str) -> None:
    assert not names_passing(route)
