"""A configuration may stand in several files, merged as LiteLLM merges them."""

from __future__ import annotations

from pathlib import Path

import pytest

from trunkline.errors import ConfigError
from trunkline.settings import Settings, load


def entry(name: str) -> str:
    return f"model_list: [{{model_name: {name}, litellm_params: {{model: openai/{name}}}}}]\n"


def load_files(folder: Path, **files: str) -> Settings:
    """Writes files by name, `_` standing for a slash, and loads `main`."""
    for name, text in files.items():
        path = folder / f"{name.replace('_', '/')}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return load(folder / "main.yaml", {})


def names(settings: Settings) -> list[str]:
    return [each.model_name for each in settings.model_list]


@pytest.mark.criterion("R1.5")
def test_lists_are_joined_and_sections_replaced_as_litellm_does(tmp_path: Path) -> None:
    settings = load_files(
        tmp_path,
        main="include: [more.yaml]\n" + entry("a") + "litellm_settings: {num_retries: 5}\n",
        more=entry("b") + "litellm_settings: {request_timeout: 9}\n",
    )
    assert names(settings) == ["a", "b"]
    assert settings.litellm_settings.request_timeout == 9
    assert settings.litellm_settings.num_retries is None
    (warning,) = settings.warnings
    assert warning == (
        f"{tmp_path}/more.yaml:2: litellm_settings: takes the place of the whole"
        f" litellm_settings at {tmp_path}/main.yaml:3"
    )


def test_included_files_name_further_ones_beside_themselves(tmp_path: Path) -> None:
    settings = load_files(
        tmp_path,
        main="include: [sub/one.yaml, two.yaml]\n" + entry("main"),
        sub_one="include: [three.yaml, ../four.yaml]\n" + entry("one"),
        two=entry("two"),
        sub_three=entry("three"),
        four=entry("four"),
    )
    assert names(settings) == ["main", "one", "two", "three", "four"]


def test_a_file_beside_the_main_one_is_found_as_in_litellms_older_versions(tmp_path: Path) -> None:
    settings = load_files(
        tmp_path,
        main="include: [sub/one.yaml]\n",
        sub_one="include: [shared.yaml]\n",
        shared=entry("shared"),
    )
    assert names(settings) == ["shared"]


def test_a_file_that_two_name_is_merged_once(tmp_path: Path) -> None:
    settings = load_files(
        tmp_path,
        main="include: [one.yaml, two.yaml]\n",
        one="include: [shared.yaml]\n",
        two="include: [./shared.yaml]\n",
        shared=entry("shared"),
    )
    assert names(settings) == ["shared"]


def test_an_empty_included_file_adds_nothing(tmp_path: Path) -> None:
    main = "include: [none.yaml]\n" + entry("a")
    assert names(load_files(tmp_path, main=main, none="# nothing yet\n")) == ["a"]


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"main": "include: [main.yaml]\n"}, "main.yaml:1: include: {}/main.yaml includes itself"),
        (
            {"main": "include: [one.yaml]\n", "one": "a: 1\ninclude:\n- main.yaml\n"},
            "one.yaml:3: include: {}/main.yaml includes itself",
        ),
        (
            {"main": "include:\n  - ok.yaml\n  - gone.yaml\n", "ok": ""},
            "main.yaml:3: include: {}/gone.yaml can't be read: No such file or directory",
        ),
        ({"main": "include: one.yaml\n"}, "main.yaml:1: include: expected a list of files"),
        ({"main": "include: [{a: b}]\n"}, "main.yaml:1: include: expected a list of files"),
        ({"main": 'include: ["a\\0b"]\n'}, "main.yaml:1: include: expected a list of files"),
        (
            {"main": "include: [one.yaml]\n", "one": "- a\n"},
            "one.yaml:1: expected a mapping with model_list and settings, got a list",
        ),
        (
            {"main": "include: [one.yaml]\n", "one": "a: 1\nb: c: d\n"},
            "one.yaml:2: not valid YAML",
        ),
        (
            {"main": "include: [one.yaml]\n", "one": "\nrouter_settings: {timeout: soon}\n"},
            'one.yaml:2: router_settings.timeout: expected a number of seconds, got "soon"',
        ),
        (
            {
                "main": "include: [one.yaml]\n" + entry("a"),
                "one": "model_list:\n- {litellm_params: {model: openai/b}}\n",
            },
            "one.yaml:2: model_list[1].model_name: required, but missing",
        ),
    ],
)
def test_what_is_wrong_is_placed_in_the_file_where_it_stands(
    tmp_path: Path, files: dict[str, str], told: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load_files(tmp_path, **files)
    assert f"{tmp_path}/{told.format(tmp_path)}" in str(caught.value)


@pytest.mark.parametrize("text", ["", "~", "# nothing", "- a", "text", "5"])
def test_the_main_file_must_be_a_mapping(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match="expected a mapping with model_list and settings, got"):
        load_files(tmp_path, main=text)
