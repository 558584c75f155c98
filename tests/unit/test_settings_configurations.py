"""Configurations of the shapes that LiteLLM documents load as they are."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from trunkline.live.snapshot import Snapshot, build_snapshot
from trunkline.settings import load

FOLDER = Path(__file__).parent.parent / "configurations"


@dataclass(frozen=True)
class Loaded:
    """What a configuration gives: group sizes, and the keys that a warning names."""

    groups: dict[str, int]
    warned: tuple[str, ...] = ()


EXPECTED = {
    "aliases": Loaded({"gpt-4o": 1, "mistral/*": 1}),
    "azure": Loaded({"gpt-4o": 1, "whisper": 1, "entra": 1}),
    "bedrock": Loaded({"claude": 2, "titan-embeddings": 1}),
    "caching": Loaded({"gpt-4o-mini": 1, "text-embedding-3-small": 1}),
    "callbacks": Loaded(
        {"gpt-4o": 1},
        (
            "litellm_settings.service_callback",
            "litellm_settings.turn_off_message_logging",
            "litellm_settings.redact_user_api_key_info",
            "litellm_settings.default_team_settings",
            "general_settings.alerting",
            "general_settings.alerting_threshold",
            "general_settings.background_health_checks",
            "general_settings.health_check_interval",
            "litellm_settings.callbacks",
            "litellm_settings.success_callback",
            "litellm_settings.failure_callback",
        ),
    ),
    "environment": Loaded({"gpt-4o": 2}),
    "fallbacks": Loaded({"small": 1, "large": 1, "claude": 1, "last-resort": 1}),
    "include": Loaded({"here": 1, "beside": 1, "further": 1}, ("litellm_settings",)),
    "load_balancing": Loaded({"gpt-4o": 3}),
    "mock": Loaded({"parrot": 1, "broken": 1}),
    "modalities": Loaded(
        dict.fromkeys("embed draw speak listen moderate rank talk film".split(), 1)
    ),
    "pass_through": Loaded({"command": 1}),
    "self_hosted": Loaded({"llama": 2, "local-openai": 1}),
    "tags": Loaded({"assistant": 3}),
    "teams": Loaded(
        {"gpt-4o": 2},
        (
            "guardrails",
            "mcp_servers",
            "litellm_settings.guardrails",
            "general_settings.allowed_ips",
            "general_settings.proxy_batch_write_at",
        ),
    ),
    "timeouts_and_retries": Loaded({"fast": 1, "thinking": 1}),
    "vertex": Loaded({"gemini-flash": 2, "claude-on-vertex": 1}),
    "wildcards": Loaded(
        dict.fromkeys(["openai/*", "anthropic/*", "bedrock/us.*", "team-*", "*"], 1)
    ),
}

NUMBERS = {"FAST_STREAM_TIMEOUT": "1.5", "REDIS_PORT": "6379"}


def environment() -> dict[str, str]:
    """A value for every variable that any of the configurations names."""
    texts = [path.read_text("utf-8") for path in FOLDER.rglob("*.yaml")]
    names = set(re.findall(r"os\.environ/(\w+)", "\n".join(texts)))
    return {name: NUMBERS.get(name, f"the-{name.lower()}") for name in names}


def snapshot_of(name: str) -> Snapshot:
    return build_snapshot(load(FOLDER / f"{name}.yaml", environment()), version=1)


def test_every_configuration_is_expected_to_give_something() -> None:
    assert {path.stem for path in FOLDER.glob("*.yaml")} == set(EXPECTED)


@pytest.mark.criterion("R1.5")
@pytest.mark.parametrize("name", EXPECTED)
def test_a_documented_shape_loads_and_gives_its_model_groups(name: str) -> None:
    snapshot = snapshot_of(name)
    groups = {group: len(members) for group, members in snapshot.groups.items()}
    assert groups == EXPECTED[name].groups
    assert not [each for each in snapshot.deployments if each.missing]


@pytest.mark.criterion("R1.5")
@pytest.mark.parametrize("name", EXPECTED)
def test_a_key_that_has_no_effect_yet_is_named_once_with_its_line(name: str) -> None:
    warnings = snapshot_of(name).settings.warnings
    places = [re.match(r"(\S+\.yaml):(\d+): ([^:]+): ", warning) for warning in warnings]
    assert tuple(place[3] for place in places if place) == EXPECTED[name].warned
    for place in places:
        assert place
        line = Path(place[1]).read_text("utf-8").splitlines()[int(place[2]) - 1]
        assert line.strip().startswith(f"{place[3].rpartition('.')[2]}:")


@pytest.mark.parametrize("name", EXPECTED)
def test_without_any_variable_only_the_models_that_need_one_are_out_of_use(name: str) -> None:
    if "os.environ/LITELLM_KEY" in (FOLDER / f"{name}.yaml").read_text("utf-8"):
        variables = {"LITELLM_KEY": "a-master-key"}
    else:
        variables = {}
    settings = load(FOLDER / f"{name}.yaml", variables)
    for entry in settings.model_list:
        for variable in entry.missing:
            told = [text for text in settings.warnings if variable in text]
            assert any(entry.model_name in text for text in told)


def test_numbers_come_from_the_environment_and_from_text() -> None:
    fast, thinking = snapshot_of("timeouts_and_retries").deployments
    assert (fast.timeout, fast.stream_timeout) == (0.5, 1.5)
    assert thinking.timeout == 900.0
    assert thinking.params["num_retries"] == 0


def test_a_date_is_a_text_such_as_azure_wants_it() -> None:
    assert snapshot_of("azure").groups["whisper"][0].params["api_version"] == "2024-06-01"


def test_a_base_model_tells_what_an_azure_deployment_costs() -> None:
    snapshot = snapshot_of("azure")
    facts = snapshot.facts_of(snapshot.groups["gpt-4o"][0])
    assert facts["input_cost_per_token"] == 2.5e-06
    assert facts["max_input_tokens"] == 128000


def test_merge_keys_give_every_deployment_the_same_role() -> None:
    west, central = snapshot_of("bedrock").groups["claude"]
    assert west.params["aws_role_name"] == central.params["aws_role_name"]
    assert west.params["aws_region_name"] == "us-west-2"
    assert central.params["aws_region_name"] == "eu-central-1"


def test_variables_of_the_file_are_exported_and_serve_its_own_references() -> None:
    snapshot = snapshot_of("environment")
    assert snapshot.settings.environment == {
        "OPENAI_API_KEY": "the-company_openai_key",
        "LANGFUSE_HOST": "https://traces.example.com",
        "WORKERS": "4",
    }
    assert snapshot.deployments[0].params["api_key"] == "the-company_openai_key"


def test_a_named_credential_gives_its_parameters_to_the_model() -> None:
    azure = snapshot_of("environment").deployments[1]
    assert azure.params == {
        "api_key": "the-azure_api_key",
        "api_base": "https://company.openai.example.com/",
        "api_version": "2024-10-21",
        "model": "azure/gpt-4o",
    }


def test_several_organizations_are_several_deployments() -> None:
    members = snapshot_of("teams").groups["gpt-4o"]
    assert [each.params["organization"] for each in members] == ["org-a", "org-b"]
    assert members[0].id != members[1].id


def test_pass_through_endpoints_are_read_with_their_secrets() -> None:
    settings = snapshot_of("pass_through").settings
    rerank, traces = settings.general_settings.pass_through_endpoints
    assert rerank.headers["Authorization"] == "the-cohere_api_key"
    assert traces.include_subpath
    assert traces.forward_headers


def test_the_quickstarts_commented_models_load_as_soon_as_they_are_wanted(tmp_path: Path) -> None:
    quickstart = FOLDER.parents[1] / "examples" / "quickstart" / "config.yaml"
    text = re.sub(r"(?m)^  # ?((?:- |  ).*)?$", r"  \1", quickstart.read_text("utf-8"))
    wanted = tmp_path / "config.yaml"
    wanted.write_text(text, "utf-8")
    (tmp_path / "router").symlink_to(quickstart.parent / "router")

    settings = load(wanted, {})
    groups = {entry.model_name for entry in settings.model_list}

    assert groups > {"hello", "gpt", "claude", "nova", "gemini", "llama", "openai/*", "local"}
    assert all("isn't set" in warning for warning in settings.warnings)
