"""The last good copy outlives the process that made it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from trunkline.live.last_good import KEPT_SECONDS, LastGood
from trunkline.live.record import Record, Version


def record(number: int, *, seen: str = "", pinned: bool = False) -> Record:
    version = Version(number, f"tag {number}", f"v{number}", 1000.0 + number)
    return Record(current=version, seen=seen or version.tag, pinned=pinned)


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_is_kept_is_found_as_the_first_version(tmp_path: Path, kind: str):
    copy = tmp_path / "copy"
    if kind == "folder":
        copy.mkdir()
    (copy / "one" if kind == "folder" else copy).write_text("content")
    LastGood(tmp_path / "last").save(copy, record(7))
    found = LastGood(tmp_path / "last").restore(tmp_path / "restored")
    assert found == Record(current=Version(1, "tag 7", "v7", 1007.0), seen="tag 7")
    restored = tmp_path / "restored"
    assert (restored / "one" if kind == "folder" else restored).read_text() == "content"


def test_what_was_gone_back_from_is_remembered_and_what_was_refused_is_not(tmp_path: Path):
    copy = tmp_path / "copy"
    copy.write_text("content")
    last = LastGood(tmp_path / "last")
    last.save(copy, record(1, seen="tag 2", pinned=True))
    pinned = last.restore(tmp_path / "1")
    last.save(copy, record(1, seen="a bad tag"))
    refused = last.restore(tmp_path / "2")
    assert pinned is not None
    assert refused is not None
    assert (pinned.seen, pinned.pinned) == ("tag 2", True)
    assert (refused.seen, refused.pinned) == ("tag 1", False)


def test_there_may_be_none(tmp_path: Path):
    assert LastGood(tmp_path / "last").restore(tmp_path / "restored") is None
    assert not (tmp_path / "last").exists()


def test_copies_of_before_are_removed_once_nobody_can_be_reading_them(tmp_path: Path):
    copy, folder = tmp_path / "copy", tmp_path / "last"
    copy.write_text("content")
    last = LastGood(folder)
    for number in (1, 2):
        last.save(copy, record(number))
    assert len(list(folder.iterdir())) == 3
    for each in folder.iterdir():
        old = each.stat().st_mtime - KEPT_SECONDS - 60
        os.utime(each, (old, old))
    last.save(copy, record(3))
    assert len(list(folder.iterdir())) == 2
    assert last.restore(tmp_path / "restored") is not None
