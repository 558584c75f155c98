"""What the journal holds after crashes, on full disks, and once nobody needs it."""

from __future__ import annotations

import asyncio
import fcntl
import os
import subprocess
import sys
from pathlib import Path

from trunkline.ledger.journal import SUFFIX, Journal, Segment, line, orphans, remove, rows


def found(folder: Path) -> list[bytes]:
    """The rows of all files, by file."""
    result = []
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        with path.open("rb") as file:
            result += list(rows(file))
    return result


async def test_rows_that_come_together_wait_for_the_disk_together(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    waits = [journal.append(b"[%d]" % number)[1] for number in range(1000)]
    assert all(await asyncio.gather(*waits))
    segment, _ = journal.append(b"[1000]")
    assert segment is not None
    # The kernel returns from a write when it is on the disk.
    assert fcntl.fcntl(segment.file, fcntl.F_GETFL) & os.O_DSYNC
    assert found(tmp_path)[:1000] == [b"[%d]" % number for number in range(1000)]
    await journal.close()


async def test_a_line_that_was_torn_is_left_out(tmp_path: Path) -> None:
    torn = line(b"[2]")
    content = line(b"[1]") + torn[:-3] + b"\n" + b"\n" + line(b"[3]") + torn[:5]
    (tmp_path / f"a{SUFFIX}").write_bytes(content)
    assert found(tmp_path) == [b"[1]", b"[3]"]


async def test_a_write_that_failed_half_way_spoils_no_later_one(tmp_path: Path) -> None:
    path = tmp_path / f"a{SUFFIX}"
    with path.open("xb", buffering=0) as file:
        segment = Segment(path, file)
        assert segment.write(line(b"[1]"))
        file.write(line(b"[2]")[:7])
        segment.torn = True
        assert segment.write(line(b"[3]"))
    assert found(tmp_path) == [b"[1]", b"[3]"]


async def test_a_file_is_emptied_once_the_database_has_its_rows(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    segment, done = journal.append(b"[1]")
    assert segment is not None
    segment.kept += 1
    await done
    assert journal.tidy() == []
    assert found(tmp_path) == [b"[1]"]
    segment.kept -= 1
    journal.tidy()
    assert await journal.append(b"[2]")[1]
    assert found(tmp_path) == [b"[2]"]
    await journal.close()
    assert found(tmp_path) == []


async def test_a_file_whose_rows_are_nowhere_else_is_handed_out_to_be_read(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    segment, done = journal.append(b"[1]")
    assert segment is not None
    segment.resting = True
    await done
    assert journal.tidy() == [segment]
    again, done = journal.append(b"[2]")
    assert again is not segment
    await done
    journal.discard(segment)
    await journal.close()


async def test_a_folder_that_cannot_be_made_fails_no_call(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    journal = Journal(tmp_path / "file")
    segment, done = journal.append(b"[1]")
    assert segment is None
    assert not await done
    assert journal.failures == 1
    await journal.close()


async def test_a_disk_that_is_full_is_told_and_the_next_row_is_written(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    segment, done = journal.append(b"[1]")
    assert segment is not None
    assert await done
    # A device of which every write fails as on a full disk.
    full, kept = os.open("/dev/full", os.O_WRONLY), os.dup(segment.file.fileno())
    os.dup2(full, segment.file.fileno())
    assert not await journal.append(b"[2]")[1]
    os.dup2(kept, segment.file.fileno())
    for descriptor in (full, kept):
        os.close(descriptor)
    assert await journal.append(b"[3]")[1]
    assert found(tmp_path) == [b"[1]", b"[3]"]
    assert journal.failures == 1
    segment.kept = 1
    await journal.close()


KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from trunkline.ledger.journal import Journal

async def main():
    journal = Journal(Path(sys.argv[1]))
    for number in range(10_000):
        assert await journal.append(b"[%d]" % number)[1]
        print(number, flush=True)

asyncio.run(main())
"""


def test_what_a_killed_process_recorded_is_found_and_what_a_living_one_did_is_left(
    tmp_path: Path,
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    while process.stdout.readline() != "50\n":
        pass
    assert list(orphans(tmp_path)) == []
    process.kill()
    told = [50, *map(int, process.stdout.read().split())]
    process.wait()
    ((path, file),) = orphans(tmp_path)
    recorded = [int(row.strip(b"[]")) for row in rows(file)]
    assert recorded[: told[-1] + 1] == list(range(told[-1] + 1))
    remove(path, file)
    assert not list(tmp_path.iterdir())


async def test_a_folder_that_is_none_holds_nothing_of_dead_processes(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert list(orphans(tmp_path / "nothing")) == list(orphans(tmp_path / "file")) == []
