"""Whatever YAML holds, a configuration is served or refused; it never breaks the gateway."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trunkline.errors import ConfigError
from trunkline.live.snapshot import build_snapshot
from trunkline.settings import load
from trunkline.settings.schema import (
    GeneralSettings,
    LitellmParams,
    LitellmSettings,
    ModelEntry,
    ModelInfo,
    RouterSettings,
    Settings,
)

NAMES = ["gpt", "openai/*", "openai/gpt-4o", "*", "claude-3", "azure/x", "os.environ/X", "a/b/c"]

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from([*NAMES, "http://[", "30", "-1", "true"])
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=5) | st.sampled_from(NAMES), inner, max_size=3)
    ),
    max_leaves=6,
)


def section(schema: type[Any], /, **known: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """A mapping with keys of the schema, values of every kind, and some of the right kind."""
    keys = dict.fromkeys(schema.model_fields, values) | known
    return st.fixed_dictionaries({}, optional=keys) | values


names = st.sampled_from(NAMES)
fallbacks = st.lists(st.dictionaries(names, st.lists(names, max_size=2), max_size=2), max_size=2)
params = section(LitellmParams, model=names, litellm_credential_name=names)
entries = section(
    ModelEntry, model_name=names, litellm_params=params, model_info=section(ModelInfo)
)
credentials = st.fixed_dictionaries({"credential_name": names, "credential_values": params})
configurations = section(
    Settings,
    model_list=st.lists(entries, max_size=3) | values,
    credential_list=st.lists(credentials, max_size=2) | values,
    router_settings=section(
        RouterSettings,
        fallbacks=fallbacks,
        model_group_alias=st.dictionaries(names, names, max_size=2),
    ),
    litellm_settings=section(LitellmSettings, default_fallbacks=st.lists(names, max_size=2)),
    general_settings=section(GeneralSettings),
)
sound_entries = st.fixed_dictionaries(
    {"model_name": names, "litellm_params": st.fixed_dictionaries({"model": names})},
    optional={"model_info": st.dictionaries(st.text(max_size=5), values, max_size=2)},
)

anything = settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "config.yaml"


def serve_or_refuse(file: Path) -> None:
    try:
        snapshot = build_snapshot(load(file, {"X": "x"}), version=1)
    except ConfigError:
        return
    for name in NAMES:
        for deployment in snapshot.resolve(name):
            snapshot.facts_of(deployment)
    snapshot.model_names()


@pytest.mark.criterion("R1.5")
@anything
@given(configuration=configurations | values)
def test_a_configuration_is_served_or_refused_but_never_breaks_the_gateway(
    file: Path, configuration: Any
) -> None:
    file.write_text(yaml.safe_dump(configuration, allow_unicode=True), "utf-8", errors="replace")
    serve_or_refuse(file)


@settings(anything, max_examples=60)
@given(entries=st.lists(sound_entries, max_size=4))
def test_sound_entries_make_a_snapshot_whatever_their_names(file: Path, entries: Any) -> None:
    file.write_text(yaml.safe_dump({"model_list": entries}), "utf-8", errors="replace")
    serve_or_refuse(file)


@anything
@given(
    content=st.binary(max_size=200)
    | st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace"))
)
def test_any_bytes_are_served_or_refused(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    serve_or_refuse(file)
