"""Watching: what changes is taken, what is bad is refused, and all processes agree."""

from __future__ import annotations

import asyncio
import gc
import shutil
import weakref
from collections.abc import AsyncIterator, Callable
from itertools import pairwise
from pathlib import Path

import pytest

from tests.support.watching import INTERVAL, House, Source
from trunkline.errors import BundleError
from trunkline.live.clock import LONGEST_WAIT_SECONDS
from trunkline.live.sources import SourceError, Unfit
from trunkline.live.status import NoPrevious, Result


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with House(tmp_path / "monday").open() as house:
        yield house


async def test_what_is_there_is_loaded_at_the_start(house: House):
    process = await house.start()
    assert process.serves == "good 1"
    assert process.swapped == []
    status = process.watch.status()
    assert (status.version, status.etag, status.loaded_at) == ("good 1", "1", house.time.now)
    assert (status.checks, status.reloads, status.last_error) == (1, 0, None)
    assert status.previous_version is None
    assert house.counted() == {}


@pytest.mark.criterion("R3.1")
@pytest.mark.criterion("R3.2")
async def test_a_change_is_taken_at_the_interval_and_not_before(house: House):
    process = await house.start()
    house.source.put("good 2")
    await house.passes(INTERVAL - 1)
    assert process.serves == "good 1"
    await house.passes(2)
    assert process.serves == "good 2"
    assert process.swapped == ["good 2"]
    status = process.watch.status()
    assert (status.version, status.previous_version, status.reloads) == ("good 2", "good 1", 1)
    assert house.counted() == {"reloaded": 1}


async def test_what_has_not_changed_is_not_built_again(house: House):
    process = await house.start()
    await house.passes(10 * INTERVAL)
    assert process.built == ["good 1"]
    assert process.watch.status().checks > 5


async def test_without_an_interval_it_is_checked_on_request_only(house: House):
    process = await house.start(interval=None)
    house.source.put("good 2")
    await house.passes(1000)
    assert process.serves == "good 1"
    assert (await process.watch.trigger()).result is Result.RELOADED
    assert process.serves == "good 2"


BAD = pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("bad", "somewhere: not good"),
        ("good but?", "no decision"),
        ("broken", "somewhere: IndexError: list index out of range"),
    ],
    ids=["not built", "fails its check", "a fault of ours"],
)


@BAD
async def test_what_is_bad_is_refused_once_and_the_old_goes_on(
    house: House, text: str, reason: str
):
    process = await house.start()
    house.source.put(text)
    await house.passes(5 * INTERVAL)
    assert process.serves == "good 1"
    assert process.swapped == []
    assert process.built == ["good 1", text]
    status = process.watch.status()
    assert (status.version, status.last_error, status.refusals) == ("good 1", reason, 1)
    assert house.counted() == {"refused": 1}
    house.source.put("good 2")
    await house.passes(INTERVAL + 1)
    assert process.serves == "good 2"
    assert process.watch.status().last_error is None


async def test_what_must_not_be_fetched_is_refused(house: House):
    process = await house.start()
    house.source.error = Unfit("too large", "2")
    assert (await process.watch.trigger()).error == "too large"
    house.source.tag, house.source.error = 2, None
    outcome = await process.watch.trigger()
    assert (outcome.result, outcome.error) == (Result.REFUSED, "too large")
    assert process.built == ["good 1"]


async def test_a_source_that_fails_is_asked_less_and_less(house: House):
    process = await house.start()
    house.source.error = SourceError("gone")
    times: list[float] = []
    for _ in range(1000):
        before = house.source.fetches
        await house.passes(1)
        if house.source.fetches > before:
            times.append(house.time.now)
    waits = [later - earlier for earlier, later in pairwise(times)]
    assert waits[0] < waits[1] < waits[2] < waits[3]
    assert max(waits) <= LONGEST_WAIT_SECONDS * 1.25 + 2
    assert process.serves == "good 1"
    assert process.watch.status().last_error == "gone"
    assert set(house.counted()) == {"unreachable"}
    house.source.put("good 2")
    await house.passes(LONGEST_WAIT_SECONDS * 1.25 + 2)
    assert process.serves == "good 2"
    fetches = house.source.fetches
    await house.passes(INTERVAL + 1)
    assert house.source.fetches == fetches + 1


async def test_a_request_tells_what_came_of_it(house: House):
    process = await house.start()
    results = [(await process.watch.trigger()).result]
    for text in ("bad", "good 2"):
        house.source.put(text)
        results.append((await process.watch.trigger()).result)
    house.source.error = SourceError("gone")
    outcome = await process.watch.trigger()
    assert [*results, outcome.result] == ["unchanged", "refused", "reloaded", "unreachable"]
    assert (outcome.version, outcome.previous_version) == ("good 2", "good 1")
    assert outcome.error == "gone"


async def test_requests_wait_for_each_other(house: House):
    one, other = await house.start(), await house.start()
    house.source.open.clear()
    asked = [asyncio.create_task(each.watch.trigger()) for each in (one, other, one, other)]
    await house.time.asleep(3)  # the two that watch, and one whose turn it isn't
    house.source.open.set()
    while not all(task.done() for task in asked):
        await house.time.passes(1)
    assert house.source.most_at_once == 1
    assert house.source.fetches == 5


async def test_going_back_stays_until_the_source_changes(house: House):
    process = await house.start()
    house.source.put("good 2")
    await process.watch.trigger()
    outcome = await process.watch.rollback()
    assert (outcome.result, outcome.version, outcome.previous_version) == (
        "rolled_back",
        "good 1",
        "good 2",
    )
    await house.passes(5 * INTERVAL)
    assert process.serves == "good 1"
    assert process.swapped == ["good 2", "good 1"]
    assert process.watch.status().pinned
    house.source.put("good 3")
    await house.passes(INTERVAL + 1)
    assert process.serves == "good 3"
    status = process.watch.status()
    assert (status.previous_version, status.pinned) == ("good 1", False)
    assert house.counted() == {"reloaded": 2, "rolled_back": 1}


async def test_going_back_twice_returns(house: House):
    process = await house.start()
    house.source.put("good 2")
    await process.watch.trigger()
    await process.watch.rollback()
    await process.watch.rollback()
    assert process.serves == "good 2"
    assert not process.watch.status().pinned
    assert process.built == ["good 1", "good 2"]


async def test_there_may_be_nothing_to_go_back_to(house: House):
    process = await house.start()
    with pytest.raises(NoPrevious):
        await process.watch.rollback()
    assert process.serves == "good 1"


async def test_a_file_that_is_only_touched_does_not_lose_the_version_before(house: House):
    process = await house.start()
    house.source.put("good 2")
    await process.watch.trigger()
    house.source.put("good 2")
    house.time.now += 5
    assert (await process.watch.trigger()).result is Result.RELOADED
    status = process.watch.status()
    assert (status.version, status.previous_version) == ("good 2", "good 1")
    assert status.loaded_at == house.time.now
    await process.watch.rollback()
    assert process.serves == "good 1"
    assert process.built == ["good 1", "good 2", "good 2"]


async def test_another_process_follows_without_asking_the_source(house: House):
    one, other = await house.start(), await house.start()
    assert house.source.fetches == 1
    house.source.put("good 2")
    await one.watch.trigger()
    house.source.put("bad")
    await house.passes(2)
    assert (one.serves, other.serves) == ("good 2", "good 2")
    assert house.source.fetches == 2
    await other.watch.rollback()
    await house.passes(2)
    assert (one.serves, other.serves) == ("good 1", "good 1")
    first, second = one.watch.status(), other.watch.status()
    assert first == second


async def test_processes_agree_on_what_to_go_back_to(house: House):
    one, other = await house.start(), await house.start()
    for text in ("good 2", "good 3"):
        house.source.put(text)
        await one.watch.trigger()
    await house.passes(2)  # the other has never had the second
    await other.watch.rollback()
    await house.passes(2)
    assert (one.serves, other.serves) == ("good 2", "good 2")


async def test_one_process_checks_for_all(house: House):
    for _ in range(4):
        await house.start()
    await house.passes(10 * INTERVAL)
    assert house.source.fetches <= 11
    house.source.put("bad")
    await house.passes(3 * INTERVAL)
    assert house.counted() == {"refused": 1}


async def test_a_request_leaves_the_process_with_what_another_has_loaded(house: House):
    one, other = await house.start(), await house.start()
    house.source.put("good 2")
    await one.watch.trigger()
    outcome = await other.watch.trigger()
    assert (outcome.result, outcome.version) == ("unchanged", "good 2")
    assert other.serves == "good 2"


async def test_a_process_that_starts_again_joins_the_others(house: House):
    one = await house.start()
    house.source.put("good 2")
    await one.watch.trigger()
    await one.watch.rollback()
    again = await house.start()
    assert again.serves == "good 1"
    await house.passes(3 * INTERVAL)
    assert (one.serves, again.serves) == ("good 1", "good 1")


async def test_the_next_run_starts_from_the_copy_where_the_source_is_gone(house: House):
    await house.start(run="monday")
    house.source.error = SourceError("gone")
    process = await house.start(run="tuesday")
    assert process.serves == "good 1"
    status = process.watch.status()
    assert (status.version, status.last_error, status.checks) == ("good 1", "gone", 1)
    house.source.put("good 2")
    await house.passes(INTERVAL * 1.25 + 2)
    assert process.serves == "good 2"
    assert process.watch.status().previous_version == "good 1"


async def test_the_next_run_does_not_fetch_what_it_has_a_copy_of(house: House):
    await house.start(run="monday")
    assert (await house.start(run="tuesday")).serves == "good 1"
    assert house.source.fetches == 2
    house.source.put("good 2")
    assert (await house.start(run="wednesday")).serves == "good 2"


async def test_the_next_run_stays_gone_back(house: House):
    monday = await house.start(run="monday")
    house.source.put("good 2")
    await monday.watch.trigger()
    await monday.watch.rollback()
    tuesday = await house.start(run="tuesday")
    assert tuesday.serves == "good 1"
    assert tuesday.watch.status().pinned


async def test_the_next_run_tries_anew_what_was_refused(house: House):
    monday = await house.start(run="monday")
    house.source.put("bad")
    await monday.watch.trigger()
    tuesday = await house.start(run="tuesday")
    assert (tuesday.serves, tuesday.built) == ("good 1", ["bad", "good 1"])
    assert tuesday.watch.status().last_error == "somewhere: not good"


async def test_a_copy_that_is_of_no_use_is_fetched_anew(house: House):
    await house.start(run="monday")
    for copy in house.folder.with_name("last").glob("*[!n]"):
        copy.write_text("bad")
    assert (await house.start(run="tuesday")).serves == "good 1"


@pytest.mark.parametrize("file", ["monday/record.json", "last/last.json"])
@pytest.mark.parametrize("text", ["", "{}", "[]", '{"current": 5, "version": 5}'])
async def test_what_can_not_be_read_of_what_was_is_written_anew(house: House, file: str, text: str):
    await house.start()
    (house.folder.parent / file).write_text(text)
    for run in ("monday", "tuesday"):
        process = await house.start(run=run)
        assert process.serves == "good 1"
        assert process.watch.status().version == "good 1"


async def test_serving_does_not_depend_on_keeping_a_copy(house: House):
    house.folder.with_name("last").write_text("not a folder")
    assert (await house.start()).serves == "good 1"


@pytest.mark.parametrize(
    ("prepare", "reason"),
    [
        (lambda source: source.put("bad"), "somewhere: not good"),
        (lambda source: setattr(source, "error", SourceError("gone")), "gone"),
    ],
    ids=["bad", "gone"],
)
async def test_nothing_starts_without_anything_good(
    house: House, prepare: Callable[[Source], None], reason: str
):
    prepare(house.source)
    with pytest.raises(BundleError, match=reason):
        await house.process().watch.load()
    house.source.put("good 2")
    assert (await house.start()).serves == "good 2"


async def test_a_fault_in_watching_is_told_and_outlived(house: House):
    process = await house.start()
    shutil.rmtree(house.folder)
    house.folder.write_text("not a folder")
    await house.passes(INTERVAL)
    assert house.counted()["fault"] > 1
    house.folder.unlink()
    house.source.put("good 2")
    await house.passes(LONGEST_WAIT_SECONDS * 1.25)
    assert process.serves == "good 2"
    assert process.watch.status().last_error is None


async def test_a_folder_that_is_lost_is_made_anew(house: House):
    one, other = await house.start(), await house.start()
    house.source.put("good 2")
    await one.watch.trigger()
    shutil.rmtree(house.folder)
    await house.passes(2)
    house.source.put("good 3")
    await other.watch.trigger()
    await house.passes(2)
    assert (one.serves, other.serves) == ("good 3", "good 3")


async def test_a_clock_that_is_set_back_does_not_stop_the_checks(house: House):
    process = await house.start()
    await house.passes(INTERVAL + 1)
    house.time.set_back(100_000)
    house.source.put("good 2")
    await house.passes(2)
    assert process.serves == "good 2"


async def test_stopping_does_not_wait_for_a_source_that_hangs(house: House):
    process = await house.start()
    house.source.open.clear()
    house.time.now += INTERVAL
    asked = asyncio.create_task(process.watch.trigger())
    while house.source.at_once == 0:
        await asyncio.sleep(0.001)
    asked.cancel()
    await process.watch.stop()
    with pytest.raises(asyncio.CancelledError):
        await asked
    assert house.source.at_once == 1


async def test_what_can_not_come_back_is_given_up(house: House):
    process = await house.start()
    contents = [weakref.ref(process.watch.current)]
    for number in range(2, 8):
        house.source.put(f"good {number}")
        await process.watch.trigger()
        contents.append(weakref.ref(process.watch.current))
    gc.collect()
    assert [each() is not None for each in contents] == [False] * 5 + [True] * 2
    copies = {each.name for each in house.folder.iterdir()} - {"lock", "record.json"}
    assert copies == {"6", "7"}


@pytest.mark.criterion("R3.2")
async def test_what_is_said_to_have_changed_is_checked_at_once_by_every_process(house: House):
    """Also what is said while a check is under way, which may have looked before the change."""
    one, other = [await house.start(interval=None) for _ in range(2)]
    house.source.put("good 2")
    house.source.open.clear()
    one.watch.look()
    while house.source.at_once == 0:
        await asyncio.sleep(0.001)
    for each in (one, other):
        each.watch.look()
    house.source.open.set()
    while (one.serves, other.serves) != ("good 2", "good 2"):
        await house.passes(1)
    house.source.put("good 3")
    other.watch.look()
    while other.serves != "good 3":
        await house.passes(1)
    await house.passes(2)
    assert one.serves == "good 3"
    assert house.source.most_at_once == 1
