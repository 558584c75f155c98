"""A configuration is understood as LiteLLM understands it, or refused with every reason."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from textwrap import dedent
from typing import Any

import certifi
import pytest

from trunkline.call import StandIn
from trunkline.errors import ConfigError
from trunkline.routing.strategies import STRATEGIES
from trunkline.settings import Settings, load
from trunkline.settings.strategies import BUILT_IN, LEARNED

Read = Callable[..., Settings]
Refused = Callable[..., list[str]]

MODEL = """\
model_list:
  - model_name: gpt
    litellm_params: {model: openai/gpt-4o}
"""


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Loads a configuration, given as YAML."""

    def load_text(text: str, environ: Mapping[str, str] | None = None) -> Settings:
        path = tmp_path / "config.yaml"
        path.write_text(dedent(text), "utf-8")
        return load(path, environ or {})

    return load_text


@pytest.fixture
def refused(read: Read, tmp_path: Path) -> Refused:
    """The problems for which a configuration is refused, without the folder."""

    def problems(text: str, environ: Mapping[str, str] | None = None) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            read(text, environ)
        return str(caught.value).replace(f"{tmp_path}{os.sep}", "").splitlines()

    return problems


@pytest.mark.criterion("R1.5")
def test_search_tools_are_read_and_checked_like_models(read: Read, refused: Refused) -> None:
    settings = read("""\
        search_tools:
          - search_tool_name: web
            litellm_params: {search_provider: tavily, api_key: os.environ/NOT_SET}
          - search_tool_name: web
            litellm_params: {search_provider: os.environ/NEITHER}
        router_settings:
          fallbacks: [{web: [web]}]
        """)
    assert [tool.missing for tool in settings.search_tools] == [("NOT_SET",), ("NEITHER",)]
    first, second = settings.warnings
    assert first.endswith(
        "search_tools[0].litellm_params.api_key: the environment variable NOT_SET isn't set;"
        " the search tool web can't be used without it"
    )
    assert "search_tools[1].litellm_params.search_provider" in second
    assert refused("""\
        search_tools:
          - search_tool_name: web
            litellm_params: {api_key: sk-any}
          - os.environ/NOT_SET
        router_settings:
          fallbacks: [{web: [wep]}]
          model_group_alias: {alias: web}
        """) == [
        "config.yaml:3: search_tools[0].litellm_params.search_provider: required, but missing",
        'config.yaml:4: search_tools[1]: expected a mapping, got "os.environ/NOT_SET"',
        "config.yaml:6: router_settings.fallbacks[0].web[0]:"
        ' expected a model of model_list (there are: none), got "wep"',
        "config.yaml:7: router_settings.model_group_alias.alias:"
        ' expected a model of model_list (there are: none), got "web"',
    ]


@pytest.mark.criterion("R1.5")
def test_search_tools_of_the_general_settings_hold_where_there_are_no_others(read: Read) -> None:
    general = """\
        general_settings:
          search_tools:
            - {search_tool_name: general, litellm_params: {search_provider: exa_ai}}
        """
    assert [tool.search_tool_name for tool in read(general).search_tools] == ["general"]
    both = read(f"""{general}
        search_tools:
            - {{search_tool_name: own, litellm_params: {{search_provider: exa_ai}}}}
        """)
    assert [tool.search_tool_name for tool in both.search_tools] == ["own"]
    assert any("general_settings.search_tools: unknown" in each for each in both.warnings)


@pytest.mark.criterion("R1.5")
def test_every_problem_is_listed_with_file_line_path_and_what_was_expected(
    refused: Refused,
) -> None:
    assert refused("""\
        model_list:
          - model_name: gpt
            litellm_params:
              model: openai/gpt-4o
              timeout: soon
              rpm: 1.5
              tags: {a: b}
          - litellm_params: {api_base: http://127.0.0.1}
          - nothing
        router_settings:
          routing_strategy: fastest
          num_retries: -1
          disable_cooldowns: perhaps
          fallbacks: {gpt: [gpt]}
          allowed_fails_policy: 3
          model_group_alias: {old: [gpt]}
        litellm_settings: [drop_params]
        general_settings:
          pass_through_endpoints: [{path: /x}]
        environment_variables: {A: [b]}
        """) == [
        "config.yaml:5: model_list[0].litellm_params.timeout:"
        ' expected a number of seconds, got "soon"',
        "config.yaml:6: model_list[0].litellm_params.rpm:"
        " expected a whole number that isn't negative, got 1.5",
        "config.yaml:7: model_list[0].litellm_params.tags: expected a list of texts, got a mapping",
        "config.yaml:8: model_list[1].model_name: required, but missing",
        "config.yaml:8: model_list[1].litellm_params.model: required, but missing",
        'config.yaml:9: model_list[2]: expected a mapping, got "nothing"',
        "config.yaml:11: router_settings.routing_strategy: expected one of"
        f' {", ".join((*BUILT_IN, *LEARNED))}, got "fastest"',
        "config.yaml:12: router_settings.num_retries:"
        " expected a whole number that isn't negative, got -1",
        'config.yaml:13: router_settings.disable_cooldowns: expected true or false, got "perhaps"',
        "config.yaml:14: router_settings.fallbacks: expected a list, got a mapping",
        "config.yaml:15: router_settings.allowed_fails_policy: expected a mapping, got 3",
        "config.yaml:16: router_settings.model_group_alias.old:"
        " expected a model group, or a mapping with model and hidden, got a list",
        "config.yaml:17: litellm_settings: expected a mapping, got a list",
        "config.yaml:19: general_settings.pass_through_endpoints[0].target: required, but missing",
        "config.yaml:20: environment_variables: expected a text or a number for A, got a mapping",
    ]


@pytest.mark.criterion("R1.5")
@pytest.mark.parametrize(
    ("section", "setting"),
    [
        ("litellm_settings", "fallbacks: [{gpt: [gtp]}]"),
        ("router_settings", "fallbacks: [{gpt: gtp}]"),
        ("router_settings", "fallbacks: [{gpt: [{model: gtp, temperature: 0}]}]"),
        ("router_settings", "fallbacks: [gtp]"),
        ("router_settings", "fallbacks: [{gtp: [gpt]}]"),
        ("router_settings", "context_window_fallbacks: [{gpt: [gpt, gtp]}]"),
        ("litellm_settings", "content_policy_fallbacks: [{'*': [gtp]}]"),
        ("litellm_settings", "default_fallbacks: [gtp]"),
        ("router_settings", "model_group_alias: {old: gtp}"),
        ("router_settings", "model_group_alias: {old: {model: gtp}}"),
        ("general_settings", "completion_model: gtp"),
    ],
)
def test_a_model_that_nothing_serves_is_refused_wherever_it_is_named(
    refused: Refused, section: str, setting: str
) -> None:
    (problem,) = refused(f"{MODEL}{section}:\n  {setting}\n")
    assert problem.startswith(f"config.yaml:5: {section}.{setting.partition(':')[0]}")
    assert problem.endswith('expected a model of model_list (there are: gpt), got "gtp"')


@pytest.mark.parametrize(
    "name", ["gpt", "old", "main", "17", "openai/o3", "o3", "team-blue-x", "vertex_ai/x"]
)
def test_fallbacks_may_name_groups_aliases_ids_and_what_wildcards_match(
    read: Read, name: str
) -> None:
    settings = read(f"""\
        model_list:
          - {{model_name: gpt, litellm_params: {{model: openai/gpt-4o}}, model_info: {{id: main}}}}
          - {{model_name: gpt, litellm_params: {{model: openai/gpt-4o}}, model_info: {{id: 17}}}}
          - {{model_name: openai/*, litellm_params: {{model: openai/*}}}}
          - {{model_name: vertex_ai/x, litellm_params: {{model: vertex_ai/x}}}}
          - {{model_name: team-*-x, litellm_params: {{model: groq/*}}}}
        router_settings:
          model_group_alias: {{old: gpt}}
          fallbacks: [{{"{name}": ["{name}"]}}]
        """)
    assert settings.router_settings.fallbacks == [{name: [StandIn(name)]}]


def test_fallbacks_for_a_model_hold_whether_or_not_its_provider_is_named(read: Read) -> None:
    settings = read("""\
        model_list: [{model_name: openai/gpt-4o, litellm_params: {model: openai/gpt-4o}}]
        router_settings: {fallbacks: [{gpt-4o: [openai/gpt-4o]}]}
        """)
    assert not settings.warnings


def test_an_alias_of_an_alias_is_refused(refused: Refused) -> None:
    alias = "router_settings: {model_group_alias: {old: gpt, older: old}}"
    (problem,) = refused(f"{MODEL}{alias}\n")
    assert "router_settings.model_group_alias.older" in problem


def test_an_id_stands_for_one_deployment_only(refused: Refused) -> None:
    assert refused("""\
        model_list:
          - {model_name: a, litellm_params: {model: openai/a}, model_info: {id: one}}
          - model_name: b
            litellm_params: {model: openai/b}
            model_info:
              id: one
        """) == [
        "config.yaml:6: model_list[1].model_info.id: this id is already that of model_list[0]"
    ]


def test_a_credential_must_be_in_the_list(refused: Refused) -> None:
    (problem,) = refused("""\
        model_list:
          - model_name: a
            litellm_params: {model: openai/a, litellm_credential_name: other}
        """)
    assert "expected the credential_name of an entry of credential_list" in problem


@pytest.mark.criterion("R1.5")
@pytest.mark.parametrize("written", ['"30"', "30", "30.0", "os.environ/PATIENCE"])
def test_numbers_may_be_written_as_text(read: Read, written: str) -> None:
    settings = read(
        f"""\
        model_list:
          - model_name: gpt
            litellm_params: {{model: openai/gpt-4o, timeout: {written}, rpm: {written}}}
        """,
        {"PATIENCE": "30"},
    )
    params = settings.model_list[0].litellm_params
    assert (params.timeout, params.rpm) == (30.0, 30)


@pytest.mark.parametrize("written", ["true", "True", '"true"', "on", "1", "os.environ/SWITCH"])
def test_switches_may_be_written_as_text(read: Read, written: str) -> None:
    text = f"{MODEL}litellm_settings: {{drop_params: {written}}}\n"
    assert read(text, {"SWITCH": "TRUE"}).litellm_settings.drop_params is True


@pytest.mark.parametrize("written", [".inf", ".nan", "true", "1e999", "''", "[1]"])
def test_what_is_no_time_is_refused(refused: Refused, written: str) -> None:
    (problem,) = refused(f"{MODEL}router_settings: {{timeout: {written}}}\n")
    assert "router_settings.timeout: expected a number of seconds" in problem


@pytest.mark.criterion("R2.6")
def test_a_strategy_can_be_configured_if_and_only_if_it_is_there(read: Read) -> None:
    assert set(BUILT_IN) == set(STRATEGIES)
    for name in STRATEGIES:
        text = f"{MODEL}router_settings: {{routing_strategy: {name}}}\n"
        assert read(text).router_settings.routing_strategy == name


@pytest.mark.parametrize("target", ["example.com", "ftp://x", "http://", "http://[", "5"])
def test_what_is_passed_through_goes_to_a_url(refused: Refused, target: str) -> None:
    endpoint = f'[{{path: /x, target: "{target}"}}]'
    (problem,) = refused(f"{MODEL}general_settings: {{pass_through_endpoints: {endpoint}}}\n")
    assert "target: expected a URL that begins with http:// or https://" in problem


def test_a_required_setting_whose_variable_is_missing_names_the_variable(
    refused: Refused,
) -> None:
    endpoint = "[{path: /x, target: os.environ/ABSENT}]"
    (problem,) = refused(f"{MODEL}general_settings: {{pass_through_endpoints: {endpoint}}}\n")
    assert problem.endswith("target: required, but the environment variable ABSENT isn't set")


@pytest.mark.parametrize(
    ("written", "value"), [("false", False), ('"False"', False), (certifi.where(), certifi.where())]
)
def test_certificates_are_checked_or_not_or_against_a_file(
    read: Read, written: str, value: bool | str
) -> None:
    settings = read(f"{MODEL}litellm_settings: {{ssl_verify: {written}}}\n")
    assert settings.litellm_settings.ssl_verify == value


@pytest.mark.parametrize(
    ("setting", "complaint"),
    [
        ("ssl_verify: /nowhere/ca.pem", "authorities (No such file or directory)"),
        (f"ssl_verify: {__file__}", "authorities, which this isn't"),
        (f"ssl_certificate: {certifi.where()}", "a certificate and its private key, which this"),
    ],
)
def test_a_file_of_certificates_that_cannot_be_used_is_refused_before_serving(
    refused: Refused, setting: str, complaint: str
) -> None:
    (problem,) = refused(f"{MODEL}litellm_settings:\n  {setting}\n")
    assert f"litellm_settings.{setting.partition(':')[0]}: expected " in problem
    assert complaint in problem


def test_a_key_without_a_value_counts_as_absent(read: Read) -> None:
    settings = read(f"""{MODEL}
router_settings:
litellm_settings: {{num_retries: , fallbacks: null}}
general_settings: {{max_request_size_mb: }}
""")
    assert settings.router_settings.routing_strategy == "simple-shuffle"
    assert settings.litellm_settings.num_retries is None
    assert settings.general_settings.max_request_size_mb == 100
    assert not settings.warnings


@pytest.mark.criterion("R1.5")
def test_references_are_resolved_at_any_depth(read: Read) -> None:
    settings = read(
        """\
        model_list:
          - model_name: gpt
            litellm_params:
              model: os.environ/MODEL
              api_key: os.environ/KEY
              nested: [{deep: {deeper: [os.environ/KEY]}}]
            model_info: {note: os.environ/KEY}
        """,
        {"MODEL": "openai/gpt-4o", "KEY": "k"},
    )
    (entry,) = settings.model_list
    assert entry.litellm_params.model == "openai/gpt-4o"
    assert entry.litellm_params.model_extra == {"nested": [{"deep": {"deeper": ["k"]}}]}
    assert entry.model_info.model_extra == {"note": "k"}
    assert not settings.warnings


@pytest.mark.criterion("R1.5")
def test_a_missing_variable_is_the_affair_of_the_model_that_needs_it(
    read: Read, tmp_path: Path
) -> None:
    settings = read("""\
        model_list:
          - model_name: gpt
            litellm_params:
              model: openai/gpt-4o
              api_key: os.environ/ABSENT
              timeout: os.environ/ABSENT_TOO
          - model_name: os.environ/NAME
            litellm_params: {model: os.environ/MODEL}
          - model_name: mine
            litellm_params: {model: openai/mine, api_key: x}
        """)
    assert [entry.missing for entry in settings.model_list] == [
        ("ABSENT", "ABSENT_TOO"),
        ("NAME", "MODEL"),
        (),
    ]
    assert (
        f"{tmp_path}/config.yaml:5: model_list[0].litellm_params.api_key: the environment"
        " variable ABSENT isn't set; this deployment of gpt can't be used without it"
    ) in settings.warnings


def test_a_missing_variable_of_a_setting_leaves_the_setting_out(read: Read) -> None:
    settings = read(f"{MODEL}router_settings: {{timeout: os.environ/ABSENT}}\n")
    assert settings.router_settings.timeout is None
    (warning,) = settings.warnings
    assert "router_settings.timeout: the environment variable ABSENT isn't set" in warning


@pytest.mark.criterion("R11.1")
@pytest.mark.parametrize(
    ("written", "variables"),
    [
        ("os.environ/ABSENT", {}),
        ("os.environ/EMPTY", {"EMPTY": ""}),
        ("''", {}),
        ("'  '", {}),
        ("123456", {}),
    ],
)
def test_a_master_key_that_is_named_but_not_there_is_never_ignored(
    refused: Refused, written: str, variables: dict[str, str]
) -> None:
    (problem,) = refused(f"{MODEL}general_settings: {{master_key: {written}}}\n", variables)
    assert problem.startswith("config.yaml:4: general_settings.master_key: ")
    assert "123456" not in problem


@pytest.mark.criterion("R11.1")
def test_the_master_key_may_come_from_where_litellm_takes_it(read: Read) -> None:
    variables = {"LITELLM_MASTER_KEY": "from-environment"}
    assert read(MODEL, variables).general_settings.master_key == "from-environment"
    text = f"{MODEL}general_settings: {{master_key: from-file}}\n"
    assert read(text, variables).general_settings.master_key == "from-file"


SECRET = "sk-canary0123456789abcdef"


@pytest.mark.parametrize(
    "text",
    [
        f"model_list: [{{model_name: a, litellm_params: {{model: [{SECRET}]}}}}]",
        f"model_list: [{{model_name: a, litellm_params: {{model: x, timeout: {SECRET}}}}}]",
        f"model_list: [{{model_name: a, litellm_params: {{model: x, lane: {SECRET}}}}}]",
        f"model_list: [{{model_name: a, litellm_params: {{model: x, api_key: [{SECRET}]}}}}]",
        f"model_list: [{{model_name: a, litellm_params: {{model: x, headers: {SECRET}}}}}]",
        f"model_list: {SECRET}",
        "router_settings: {timeout: os.environ/SECRET}",
        "router_settings: {routing_strategy: os.environ/SECRET}",
        "router_settings: {default_fallbacks: [os.environ/SECRET]}",
        f"a: *{SECRET}",
        f"a: !{SECRET} b",
        f"a: '{SECRET}",
        f"a: b: {SECRET}",
        f"{SECRET}",
        f"a: {{{SECRET}",
        f'a: "\\q{SECRET}"',
    ],
)
def test_no_secret_stands_in_what_is_said_about_a_faulty_configuration(
    read: Read, text: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        read(text, {"SECRET": SECRET})
    assert "canary" not in str(caught.value)


def test_no_secret_stands_in_warnings_or_in_how_settings_print(read: Read) -> None:
    settings = read(f"""\
        model_list:
          - model_name: gpt
            litellm_params: {{model: openai/gpt-4o, api_key: {SECRET}, extra: {SECRET}}}
            unknown: {SECRET}
        general_settings: {{master_key: {SECRET}, database_url: {SECRET}}}
        """)
    assert len(settings.warnings) == 1
    assert "canary" not in repr(settings) + str(settings) + "".join(settings.warnings)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("router_settings: {num_retires: 3}", "did you mean num_retries?"),
        ("general_settings: {num_retries: 3}", "it belongs to router_settings"),
        ("router_settings: {drop_params: true}", "it belongs to litellm_settings"),
        ("routersettings: {}", "did you mean router_settings?"),
        ("general_settings: {allowed_ips: [10.0.0.1]}", "this restriction is NOT enforced"),
        ("litellm_settings: {scim_admin_group: x}", "not supported yet: it has no effect"),
        ("source: x", "unknown; it has no effect"),
        ("router_settings: {retry_policy: {Timeouts: 3}}", "unknown; it has no effect"),
        ("router_settings: {model_group_retry_policy: {gtp: {}}}", "no model of this name"),
        (
            "router_settings: {fallbacks: [{gpt: [{model: gpt, api_base: 'http://x'}]}]}",
            "fallbacks[0].gpt[0].api_base: a fallback can't set this; it has no effect",
        ),
    ],
)
def test_what_has_no_effect_is_told(read: Read, text: str, told: str) -> None:
    (warning,) = read(f"{MODEL}{text}\n").warnings
    assert told in warning
    assert "config.yaml:4: " in warning


def test_a_key_that_many_entries_have_is_told_once(read: Read) -> None:
    entry = "  - {model_name: a, litellm_params: {model: openai/a}, mode: chat, missing: 1}\n"
    (warning,) = read(f"model_list:\n{entry * 3}").warnings
    assert "config.yaml:2: model_list[0].mode: unknown" in warning


@pytest.mark.parametrize(
    "text",
    [
        "litellm_settings: {turn_off_message_logging: false}",
        "general_settings: {alerting: [], store_model_in_db: false, database_url: ''}",
        "guardrails: []",
        "x-defaults: {a: b}",
    ],
)
def test_what_is_switched_off_or_only_a_note_needs_no_warning(read: Read, text: str) -> None:
    assert not read(f"{MODEL}{text}\n").warnings


@pytest.mark.parametrize("text", ["model_list: []", "model_list:", "router_settings: {}"])
def test_a_configuration_without_models_is_told(read: Read, text: str) -> None:
    (warning,) = read(text).warnings
    assert "there are no models to serve" in warning


def test_parameters_that_nobody_here_knows_are_handed_on(read: Read) -> None:
    settings = read("""\
        model_list:
          - model_name: gpt
            litellm_params: {model: openai/gpt-4o, some_new_option: {a: [1, x]}}
            model_info: {some_note: y}
        """)
    assert settings.model_list[0].litellm_params.model_extra == {"some_new_option": {"a": [1, "x"]}}
    assert not settings.warnings


@pytest.mark.parametrize("value", ["os.environ/BAD=NAME", "os.environ/"])
def test_a_variable_that_cannot_exist_is_missing(read: Read, value: str) -> None:
    settings = read(f"""\
        model_list: [{{model_name: a, litellm_params: {{model: openai/a, api_key: "{value}"}}}}]
        """)
    assert settings.model_list[0].missing


@pytest.mark.parametrize(
    "section", ['{"": x}', '{"A=B": x}', '{"A\\0": x}', '{A: "x\\0"}', "[A]", "A"]
)
def test_variables_that_no_process_can_have_are_refused(refused: Refused, section: str) -> None:
    (problem,) = refused(f"{MODEL}environment_variables: {section}\n")
    assert problem.startswith("config.yaml:4: environment_variables: expected ")


def _unreadable(folder: Path) -> dict[str, tuple[Path, str]]:
    """Paths that can't be read, with what is said of them."""
    (folder / "latin.yaml").write_bytes(b"a: 1\nmodel: caf\xe9\n")
    (folder / "huge.yaml").write_bytes(b"#" * (9 * 2**20))
    return {
        "missing": (folder / "none.yaml", "none.yaml can't be read: No such file or directory"),
        "folder": (folder, "can't be read: Is a directory"),
        "encoding": (folder / "latin.yaml", "latin.yaml:2: the file isn't UTF-8 text"),
        "size": (folder / "huge.yaml", "huge.yaml is larger than 8 MB"),
        "name": (folder / "a\0b", "can't be read: not a file name"),
    }


@pytest.mark.parametrize("case", ["missing", "folder", "encoding", "size", "name"])
def test_a_file_that_cannot_be_read_is_one_clear_line(tmp_path: Path, case: str) -> None:
    path, told = _unreadable(tmp_path)[case]
    with pytest.raises(ConfigError) as caught:
        load(path, {})
    (line,) = str(caught.value).splitlines()
    assert told in line


def test_a_byte_order_mark_does_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(MODEL, "utf-8-sig")
    assert len(load(path, {}).model_list) == 1


def test_settings_travel_to_worker_processes(read: Read) -> None:
    import pickle

    settings = read(f"{MODEL}router_settings: {{model_group_alias: {{old: gpt}}}}\n")
    copied: Any = pickle.loads(pickle.dumps(settings))
    assert copied == settings
