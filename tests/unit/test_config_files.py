"""A configuration with its includes as a source: what it holds tells versions apart."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from trunkline.errors import ConfigError
from trunkline.live.config_files import ConfigFiles
from trunkline.live.sources import SourceError
from trunkline.settings import Settings, load
from trunkline.settings.files import Copied

MODEL = "model_list: [{model_name: %s, litellm_params: {model: openai/gpt}}]\n"


def source(path: Path, pause: Callable[[float], None] = lambda seconds: None) -> ConfigFiles:
    """One whose files have always just been written. pause: what happens meanwhile."""
    return ConfigFiles(path, now=lambda: 0.0, pause=pause)


def read(path: Path, copy: Path) -> Settings:
    return load(path, {}, files=Copied(copy))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text("include: [more/one.yaml]\n" + MODEL % "main")
    (tmp_path / "more").mkdir()
    (tmp_path / "more/one.yaml").write_text("include: [two.yaml]\n" + MODEL % "one")
    (tmp_path / "more/two.yaml").write_text(MODEL % "two")
    return path


def test_a_copy_holds_all_files_and_says_what_they_said(path: Path, tmp_path: Path):
    fetched = source(path).fetch(None, tmp_path / "copy")
    assert fetched is not None
    (tmp_path / "more/two.yaml").write_text(MODEL % "other")
    path.unlink()
    names = [entry.model_name for entry in read(path, fetched.path).model_list]
    assert names == ["main", "one", "two"]


def test_a_change_of_any_file_is_one_and_a_touch_is_none(path: Path, tmp_path: Path):
    watched = source(path)
    first = watched.fetch(None, tmp_path / "1")
    assert first is not None
    assert watched.fetch(first.tag, tmp_path / "2") is None
    os.utime(tmp_path / "more/two.yaml")
    assert watched.fetch(first.tag, tmp_path / "3") is None
    (tmp_path / "more/two.yaml").write_text(MODEL % "other")
    second = watched.fetch(first.tag, tmp_path / "4")
    assert second is not None
    # As for another process, which has read nothing yet.
    assert source(path).fetch(second.tag, tmp_path / "5") is None
    assert [each.model_name for each in read(path, second.path).model_list][-1] == "other"


def test_a_file_that_comes_into_being_is_a_change(path: Path, tmp_path: Path):
    (tmp_path / "more/two.yaml").unlink()
    watched = source(path)
    first = watched.fetch(None, tmp_path / "1")
    assert first is not None
    with pytest.raises(ConfigError, match=r"two\.yaml can't be read: No such file or directory"):
        read(path, first.path)
    # Beside the main file, as in LiteLLM's older versions.
    (tmp_path / "two.yaml").write_text(MODEL % "two")
    second = watched.fetch(first.tag, tmp_path / "2")
    assert second is not None
    assert len(read(path, second.path).model_list) == 3


def test_what_is_no_yaml_is_copied_for_whoever_tells_why(path: Path, tmp_path: Path):
    path.write_text("include: [more/one.yaml")
    fetched = source(path).fetch(None, tmp_path / "1")
    assert fetched is not None
    with pytest.raises(ConfigError, match=rf"^{path}:\d: not valid YAML"):
        read(path, fetched.path)


def test_a_file_that_is_still_being_written_is_waited_for(path: Path, tmp_path: Path):
    first = source(path).fetch(None, tmp_path / "1")
    assert first is not None
    path.write_text("mod")
    steps = iter(["model_list:", MODEL % "whole"])

    def write(seconds: float) -> None:
        if text := next(steps, None):
            path.write_text(text)

    found = source(path, write).fetch(first.tag, tmp_path / "2")
    assert found is not None
    assert [entry.model_name for entry in read(path, found.path).model_list] == ["whole"]


def test_a_file_that_is_gone_is_no_version(path: Path, tmp_path: Path):
    watched = source(path)
    first = watched.fetch(None, tmp_path / "1")
    assert first is not None
    path.unlink()
    with pytest.raises(SourceError, match="can't be read"):
        watched.fetch(first.tag, tmp_path / "2")
