"""The pointer: what it says, what becomes of it, who decides a call on trial, what ends a trial."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.bundles import mock, quality_files, routed, write
from tests.support.gateway import write_config
from trunkline.call import Call
from trunkline.live.depot import Conflict, Gone, depot
from trunkline.live.depot_folder import FolderDepot
from trunkline.live.following import followed
from trunkline.live.pointer import (
    Canary,
    Guards,
    Pointer,
    PointerError,
    Target,
    changed,
    decode,
    encode,
    is_changed,
)
from trunkline.live.sources import SourceError, Unfit
from trunkline.operations import OPERATIONS
from trunkline.rollout.guards import verdict
from trunkline.rollout.judges import BundleJudge
from trunkline.rollout.outcomes import Action
from trunkline.rollout.rollout import Rollout, Trials, marked
from trunkline.routing.trial import SESSION, Trial
from trunkline.settings import load
from trunkline.state.arms import ARMS, CANDIDATE, CURRENT, MILLIONTHS, MemoryArms, Tally, trial_id

CHAT = next(each for each in OPERATIONS if each.name == "chat")


def target(name: str, uploaded: float = 1.0) -> Target:
    return Target(f"incoming/{name}.tar", name, f'"{name}"', "0" * 64, 9, name, uploaded, uploaded)


def canary(**guards: Any) -> Canary:
    return Canary(target("b"), 0.1, 100.0, 200.0, Guards(**guards))


def test_a_pointer_is_what_was_written_and_nothing_else():
    pointer = Pointer().accepted(target("a")).tried(canary())
    assert decode(encode(pointer)) == pointer
    assert pointer.revision == 2
    plain = json.loads(encode(pointer))
    bad: list[tuple[Any, str]] = [
        ([], "all"),
        (plain | {"format": 2}, "format 1, not 2"),
        (plain | {"revision": 0}, "revision"),
        (plain | {"revision": "7"}, "revision"),
        (plain | {"more": 1}, "more"),
        (plain | {"current": None}, "nothing in force"),
        (plain | {"current": plain["current"] | {"sha256": "x"}}, r"current\.sha256"),
        (plain | {"current": plain["current"] | {"size": -1}}, r"current\.size"),
        (plain | {"canary": plain["canary"] | {"share": 1.5}}, r"canary\.share"),
        (plain | {"canary": plain["canary"] | {"until": float("inf")}}, "not JSON|canary"),
    ]
    for found, told in bad:
        with pytest.raises(PointerError, match=told):
            decode(json.dumps(found).encode())
    for data in (b"{", b" " * 100_000):
        with pytest.raises(PointerError):
            decode(data)


def test_what_becomes_of_a_pointer():
    a, b = target("a"), target("b")
    first = Pointer().accepted(a)
    tried = first.tried(canary())
    promoted = tried.promoted(300.0)
    assert (promoted.current, promoted.previous) == (replace(b, since=300.0), a)
    assert promoted.canary is None
    withdrawn = tried.withdrawn()
    assert (withdrawn.current, withdrawn.canary, withdrawn.revision) == (a, None, 3)
    back = promoted.rolled_back(400.0)
    assert (back.current, back.previous) == (replace(a, since=400.0), promoted.current)
    message = changed("s3://b/active.json")
    assert is_changed(message, "s3://b/active.json")
    assert is_changed("", "s3://b/active.json")
    assert not is_changed(message, "s3://c/active.json")


# A folder


@pytest.fixture
def folder(tmp_path: Path) -> FolderDepot:
    found = depot(f"{tmp_path}/depot/active.json")
    assert isinstance(found, FolderDepot)
    return found


def put(folder: FolderDepot, tmp_path: Path, name: str, text: str) -> Target:
    file = tmp_path / name
    file.write_text(text)
    found = folder.upload(name, file)
    return Target(found.key, found.version_id, found.etag, found.version_id, found.size, name, 1, 1)


def test_a_pointer_in_a_folder_is_followed_to_the_version_that_it_names(
    folder: FolderDepot, tmp_path: Path
):
    source = followed(folder.name, 100, trials=True)
    assert source is not None
    assert followed(str(tmp_path / "other.tar"), 100) is None
    with pytest.raises(SourceError, match="nothing was rolled out"):
        source.fetch(None, tmp_path / "0")
    with pytest.raises(Gone):
        folder.look("incoming/none.tar")
    one = put(folder, tmp_path, "r.tar", "one")
    folder.write(Pointer().accepted(one), None)
    put(folder, tmp_path, "r.tar", "two")  # the same name again, not accepted
    first = source.fetch(None, tmp_path / "1")
    assert first is not None
    assert first.path.read_text() == "one"
    assert source.fetch(first.tag, tmp_path / "2") is None
    found = folder.read()
    assert found is not None
    with pytest.raises(Conflict):
        folder.write(found.pointer.withdrawn(), None)
    with pytest.raises(Conflict):
        folder.write(found.pointer.withdrawn(), "another")
    # What isn't what was accepted isn't taken.
    folder.write(found.pointer.accepted(replace(one, sha256="1" * 64)), found.tag)
    with pytest.raises(Unfit, match="not what was accepted"):
        source.fetch(first.tag, tmp_path / "3")
    Path(folder.name).write_text("{}")
    with pytest.raises(Unfit, match="revision"):
        source.fetch(None, tmp_path / "4")


def test_a_missing_candidate_doesnt_keep_what_is_in_force_from_being_served(
    folder: FolderDepot, tmp_path: Path
):
    one = put(folder, tmp_path, "r.tar", "one")
    missing = replace(target("b"), version_id="f" * 64)
    trial = Canary(missing, 0.5, 1, 2)
    folder.write(Pointer().accepted(one).tried(trial), None)
    source = followed(folder.name, 100, trials=True)
    assert source is not None
    found = source.fetch(None, tmp_path / "1")
    assert found is not None
    assert (found.path / "current").read_text() == "one"
    assert "No such file" in json.loads((found.path / "trial.json").read_text())["problem"]


# Who decides


def call(number: int, **fields: Any) -> Call:
    return Call(id=f"{number:032x}", operation=CHAT, group="auto", body={}, started=0.0, **fields)


def test_a_persons_calls_are_decided_by_the_same_bundle():
    trial = Trial("t", 0.2, None)
    random = [trial.arm(call(number)) for number in range(2000)]
    assert 0.15 < random.count(CANDIDATE) / len(random) < 0.25
    people = []
    for person in range(500):
        headers = {SESSION: f"session-{person}"}
        arms = {trial.arm(call(number, headers=headers)) for number in range(5)}
        assert len(arms) == 1
        people += arms
    assert 0.1 < people.count(CANDIDATE) / len(people) < 0.3
    kept = [trial.is_remembered(call(n), CURRENT) for n in range(2000)]
    assert 0.2 < sum(kept) / len(kept) < 0.3  # as many as the candidate's
    assert all(trial.is_remembered(call(n), CANDIDATE) for n in range(100))


async def test_what_becomes_of_a_trial_is_counted_for_each_arm():
    arms, trial = MemoryArms(), trial_id("s3://b/active.json", 7)
    assert trial_id("s3://b/active.json", 8) != trial
    arms.ended(trial, CURRENT, failed=False, cost=30)
    arms.ended(trial, CANDIDATE, failed=True, cost=None)
    arms.ended(trial, CANDIDATE, failed=False, cost=None)
    arms.decided(trial, CANDIDATE, "call-1")
    await arms.judged(trial, "call-1", 0.25)
    await arms.judged(trial, "unheard-of", 1.0)
    found = await arms.read(trial)
    assert found[CURRENT] == Tally(tries=1, priced=1, cost=30)
    assert found[CANDIDATE] == Tally(tries=2, errors=1, scored=1, score=MILLIONTHS // 4)
    assert (found[CANDIDATE].mean_cost, found[CANDIDATE].mean_score) == (None, 0.25)


@pytest.mark.parametrize(
    ("current", "candidate", "now", "action", "told"),
    [
        (Tally(900, 9), Tally(50, 1), 150, Action.WAITING, "50 of 100"),
        (Tally(900, 9), Tally(100, 3), 150, Action.WAITING, "50 s left"),
        (Tally(900, 9), Tally(100, 3), 200, Action.PROMOTED, "100 calls"),
        (Tally(900, 9), Tally(100, 4), 150, Action.WITHDRAWN, "4.0% of its 100"),
        (Tally(900, 9), Tally(10, 10), 101, Action.WITHDRAWN, "100.0% of its 10"),
        (Tally(900, 9), Tally(9, 9), 101, Action.WAITING, "9 of 100"),
        (Tally(900, 9), Tally(20, 1), 101, Action.WAITING, "20 of 100"),
        (Tally(), Tally(50), 250, Action.WAITING, "time is over"),
        (Tally(), Tally(50), 300, Action.WITHDRAWN, "50 of 100 calls only"),
        (Tally(priced=9, cost=900), Tally(100, 0, 9, 1081), 150, Action.WITHDRAWN, "costs"),
        (Tally(priced=9, cost=900), Tally(100, 0, 9, 1079), 200, Action.PROMOTED, ""),
        (Tally(), Tally(unusable=1), 101, Action.WITHDRAWN, "can't decide"),
        (
            Tally(scored=10, score=8 * MILLIONTHS),
            Tally(scored=10, score=7 * MILLIONTHS),
            101,
            Action.WITHDRAWN,
            "judged 0.700",
        ),
        (
            Tally(scored=9, score=9 * MILLIONTHS),
            Tally(tries=100, scored=90, score=0),
            200,
            Action.PROMOTED,
            "",
        ),
    ],
)
def test_what_ends_a_trial(current: Tally, candidate: Tally, now: float, action: Action, told: str):
    found = verdict(canary(), {CURRENT: current, CANDIDATE: candidate}, now)
    assert found.action is action, found
    assert told in found.reason


def test_a_trial_whose_pointer_somebody_else_wrote_isnt_ended_twice(
    folder: FolderDepot, tmp_path: Path
):
    a, b = put(folder, tmp_path, "a.tar", "a"), put(folder, tmp_path, "b.tar", "b")
    started = Pointer().accepted(a).tried(Canary(b, 0.5, 1, 2))
    folder.write(started, None)
    rollout = Rollout(folder)

    def meanwhile(pointer: Pointer) -> dict[str, Tally]:
        found = folder.read()
        assert found is not None
        folder.write(pointer.withdrawn(), found.tag)
        return {CURRENT: Tally(), CANDIDATE: Tally(tries=500)}

    outcome = rollout.tick(meanwhile)
    assert (outcome.action, outcome.reason) == (Action.IDLE, "the trial has ended already")
    assert rollout.status().current == a


def test_reasons_become_tags_that_s3_takes():
    text = marked("«a»: 4 > 3; it's 100% wrong\n" + "x" * 300)
    assert text.startswith("a : 4 3 it s 100 wrong x")
    assert len(text) == 256


def test_the_judge_takes_labels_from_the_configuration_in_force(
    folder: FolderDepot, tmp_path: Path
):
    prices = {"small": 1.0, "large": 2.0}
    bundle = write(quality_files({"small": 0.2, "large": 0.9}, prices), tmp_path / "b.tar")
    config = routed([mock("small", "Hi")], "trunkline-cluster", model_path=str(bundle))
    settings = load(write_config(tmp_path, config), {})
    rollout = Rollout(folder, Trials())
    key = folder.upload("b.tar", bundle).key
    refused = rollout.judge(BundleJudge(settings), key)
    assert refused.action is Action.REFUSED
    assert "no deployment is called 'large'" in refused.reason
    assert rollout.judge(BundleJudge(), key).action is Action.UNCHANGED  # judged before
    assert rollout.judge(BundleJudge(), key, anew=True).action is Action.ACCEPTED
    assert rollout.status().current is not None
    assert time.time() >= rollout.status().current.since  # type: ignore[union-attr]
    assert set(ARMS) == {CURRENT, CANDIDATE}
