"""Files, folders and S3 objects as sources: what is whole and new is fetched, and nothing else."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.fakes import CutAfterHeaders, CutBeforeHeaders, CutMidStream, Hold, HtmlErrorPage, Status
from tests.fakes.faults import Fault
from tests.fakes.s3 import FakeS3
from tests.support.gateway import free_port
from tests.support.s3 import S3, moto
from trunkline.errors import BundleError
from trunkline.live.bundles import copies_folder, share, watch_bundle
from trunkline.live.s3 import ATTEMPTS, S3Source, parse_url
from trunkline.live.sources import LOOKS, SETTLE_SECONDS, FileSource, Source, SourceError, Unfit
from trunkline.live.status import Result
from trunkline.live.steps import Steps
from trunkline.live.watch import Watch
from trunkline.telemetry.metrics import Metrics

LIMIT = 1000
AWS = (
    "AWS_PROFILE",
    "AWS_SESSION_TOKEN",
    "AWS_DEFAULT_REGION",
    "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    with moto(tmp_path_factory.mktemp("moto")) as server:
        yield server


@pytest.fixture
def fake() -> Iterator[FakeS3]:
    with FakeS3() as fake:
        yield fake


@pytest.fixture
def lead(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[dict[str, str]], None]:
    """Leads boto3 of this process to a server, with none of the tester's settings."""

    def lead(environment: dict[str, str]) -> None:
        for name in AWS:
            monkeypatch.delenv(name, raising=False)
        for name, value in {"HOME": str(tmp_path), **environment}.items():
            monkeypatch.setenv(name, value)

    return lead


def files(path: Path, pause: Callable[[float], None] = lambda seconds: None) -> FileSource:
    """A source whose files have always just been written. pause: what happens meanwhile."""
    return FileSource(path, LIMIT, now=lambda: 0.0, pause=pause)


@dataclass
class Place:
    """Somewhere that a source watches. put: writes a text there. remove: takes it away."""

    source: Source
    put: Callable[[str], object]
    remove: Callable[[], object]


@pytest.fixture(params=["file", "folder", "s3", "fake s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path, lead) -> Place:
    if request.param == "file":
        path = tmp_path / "bundle.tar"
        return Place(files(path), path.write_text, path.unlink)
    if request.param == "folder":
        path = tmp_path / "bundle"

        def put(text: str) -> None:
            path.mkdir(exist_ok=True)
            (path / "one").write_text(text)

        return Place(files(path), put, lambda: shutil.rmtree(path))
    source = S3Source("models", "router/bundle.tar", LIMIT)
    if request.param == "s3":
        server = request.getfixturevalue("server")
        lead(server.environment())
        return Place(
            source,
            lambda text: server.put("models", "router/bundle.tar", text.encode()),
            lambda: server.client.delete_object(Bucket="models", Key="router/bundle.tar"),
        )
    fake = request.getfixturevalue("fake")
    lead(fake.environment())
    return Place(
        source,
        lambda text: fake.put("models", "router/bundle.tar", text.encode()),
        fake.objects["models"].clear,
    )


def text_of(path: Path) -> str:
    return (path / "one" if path.is_dir() else path).read_text()


# What holds of every source


@pytest.mark.criterion("R3.2")
@pytest.mark.criterion("R3.4")
def test_what_is_new_is_fetched_and_what_is_known_is_not(place: Place, tmp_path: Path):
    place.put("first")
    first = place.source.fetch(None, tmp_path / "1")
    assert first is not None
    assert text_of(first.path) == "first"
    assert place.source.fetch(first.tag, tmp_path / "2") is None
    assert not (tmp_path / "2").exists()
    place.put("the second")
    second = place.source.fetch(first.tag, tmp_path / "3")
    assert second is not None
    assert second.tag != first.tag
    assert text_of(second.path) == "the second"
    assert text_of(first.path) == "first"


def test_what_is_too_large_is_refused_until_it_changes(place: Place, tmp_path: Path):
    place.put("x" * (LIMIT + 1))
    with pytest.raises(Unfit, match=f"{LIMIT + 1} bytes, more than the {LIMIT}") as caught:
        place.source.fetch(None, tmp_path / "1")
    assert not (tmp_path / "1").exists()
    assert place.source.fetch(caught.value.tag, tmp_path / "2") is None
    place.put("x" * LIMIT)
    assert place.source.fetch(caught.value.tag, tmp_path / "3") is not None


def test_what_is_gone_is_told_and_may_come_back(place: Place, tmp_path: Path):
    place.put("first")
    place.remove()
    with pytest.raises(SourceError) as caught:
        place.source.fetch(None, tmp_path / "1")
    assert str(caught.value).startswith(place.source.name)
    place.put("second")
    assert place.source.fetch(None, tmp_path / "2") is not None


# Files and folders


def test_what_is_still_being_written_is_waited_for(tmp_path: Path):
    folder = tmp_path / "bundle"
    folder.mkdir()
    (folder / "one").write_text("on")
    steps = iter(["one", "one, whole"])

    def write(seconds: float) -> None:
        if text := next(steps, None):
            (folder / "one").write_text(text)

    found = files(folder, write).fetch(None, tmp_path / "copy")
    assert found is not None
    assert text_of(found.path) == "one, whole"


def test_what_has_stayed_as_it_is_is_not_waited_for(tmp_path: Path):
    path = tmp_path / "bundle.tar"
    path.write_text("old")

    def pause(seconds: float) -> None:
        raise AssertionError("there is nothing to wait for")

    later = path.stat().st_ctime + 2 * SETTLE_SECONDS
    source = FileSource(path, LIMIT, now=lambda: later, pause=pause)
    assert source.fetch(None, tmp_path / "copy") is not None


def test_what_never_stays_as_it_is_is_not_taken(tmp_path: Path):
    path = tmp_path / "bundle.tar"
    path.write_text("x")
    pauses = []

    def write(seconds: float) -> None:
        pauses.append(seconds)
        path.write_text("x" * len(pauses) * 2)

    with pytest.raises(SourceError, match="being written"):
        files(path, write).fetch(None, tmp_path / "copy")
    assert len(pauses) == LOOKS
    assert not (tmp_path / "copy").exists()


@pytest.mark.parametrize("change", ["add", "remove", "rename", "replace", "touch"])
def test_a_folder_changes_with_each_of_its_files(tmp_path: Path, change: str):
    folder = tmp_path / "bundle"
    folder.mkdir()
    for name in ("one", "other"):
        (folder / name).write_text("same")
    source = files(folder)
    before = source.fetch(None, tmp_path / "1")
    assert before is not None
    other = folder / "other"
    if change == "add":
        (folder / "third").write_text("")
    elif change == "remove":
        other.unlink()
    elif change == "rename":
        other.rename(folder / "another")
    elif change == "replace":
        times = other.stat().st_mtime_ns
        (folder / ".new").write_text("else")
        os.utime(folder / ".new", ns=(times, times))
        (folder / ".new").rename(other)
    else:
        os.utime(other)
    assert source.fetch(before.tag, tmp_path / "2") is not None


def test_hidden_files_of_a_folder_are_nothing_to_it(tmp_path: Path):
    folder = tmp_path / "bundle"
    folder.mkdir()
    (folder / "one").write_text("one")
    source = files(folder)
    before = source.fetch(None, tmp_path / "1")
    (folder / ".one.swp").write_text("x" * 10 * LIMIT)
    assert before is not None
    assert source.fetch(before.tag, tmp_path / "2") is None
    (folder / "one").write_text("two!")
    after = source.fetch(before.tag, tmp_path / "3")
    assert after is not None
    assert [each.name for each in after.path.iterdir()] == ["one"]


def test_a_link_that_is_led_elsewhere_is_a_change(tmp_path: Path):
    for name in ("v1", "v2"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "one").write_text(name)
    current, new = tmp_path / "current", tmp_path / "new"
    current.symlink_to("v1")
    source = files(current)
    before = source.fetch(None, tmp_path / "1")
    assert before is not None
    new.symlink_to("v2")
    new.rename(current)
    after = source.fetch(before.tag, tmp_path / "2")
    assert after is not None
    assert (text_of(before.path), text_of(after.path)) == ("v1", "v2")


def test_what_is_no_plain_file_is_neither_followed_nor_waited_for(tmp_path: Path):
    folder = tmp_path / "bundle"
    folder.mkdir()
    os.mkfifo(folder / "pipe")
    (folder / "link").symlink_to("/etc/passwd")
    found = files(folder).fetch(None, tmp_path / "copy")
    assert found is not None
    assert all(each.is_dir() and not any(each.iterdir()) for each in found.path.iterdir())
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SourceError, match="neither a file nor a folder"):
        files(tmp_path / "pipe").fetch(None, tmp_path / "other")


# S3


@pytest.mark.parametrize("url", ["s3://", "s3://bucket", "s3://bucket/", "s3:///key", "s3://b/f/"])
def test_a_url_names_one_object(url: str):
    with pytest.raises(ValueError, match="s3://bucket/key"):
        parse_url(url)


def test_a_key_may_have_any_form():
    assert parse_url("s3://bucket/a/b c/é.tar") == ("bucket", "a/b c/é.tar")


@pytest.fixture
def source(fake: FakeS3, lead) -> S3Source:
    lead(fake.environment())
    fake.put("models", "b.tar", b"content")
    return S3Source("models", "b.tar", LIMIT)


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (Status(503), r"reduce your request rate. \(SlowDown\)"),
        (Status(403), r"credentials in use may not read it \(AccessDenied\)"),
        (HtmlErrorPage(502), "502"),
        (CutBeforeHeaders(), "onnection"),
        (CutAfterHeaders(), "onnection"),
        (CutMidStream(), "3 read, but total bytes expected is 7"),
    ],
    ids=["slow down", "forbidden", "load balancer", "no answer", "no body", "half a body"],
)
def test_what_fails_is_told_and_may_succeed_later(
    source: S3Source, fake: FakeS3, tmp_path: Path, fault: Fault, told: str
):
    fake.fault(*[fault] * ATTEMPTS)
    with pytest.raises(SourceError, match=told) as caught:
        source.fetch(None, tmp_path / "1")
    assert str(caught.value).startswith("s3://models/b.tar: ")
    fake.reset()
    fake.put("models", "b.tar", b"content")
    found = source.fetch(None, tmp_path / "2")
    assert found is not None
    assert found.path.read_bytes() == b"content"


def test_what_fails_once_is_tried_again(source: S3Source, fake: FakeS3, tmp_path: Path):
    fake.fault(Status(503))
    assert source.fetch(None, tmp_path / "1") is not None
    assert len(fake.requests) == 2


def test_the_body_of_what_is_too_large_is_not_read(source: S3Source, fake: FakeS3, tmp_path: Path):
    hold = Hold()
    fake.put("models", "b.tar", b"x" * (LIMIT + 1))
    fake.fault(hold)
    with pytest.raises(Unfit):
        source.fetch(None, tmp_path / "1")
    assert not hold.released.is_set()


@pytest.mark.parametrize(
    ("environment", "told"),
    [
        ({"AWS_SECRET_ACCESS_KEY": "another-secret"}, "SignatureDoesNotMatch"),
        ({"AWS_ENDPOINT_URL": f"http://127.0.0.1:{free_port()}"}, "Could not connect"),
        ({"AWS_ENDPOINT_URL": "nowhere"}, "Invalid endpoint"),
        ({"AWS_PROFILE": "missing"}, "missing"),
    ],
    ids=["key", "address", "no address", "profile"],
)
def test_what_is_configured_wrongly_is_told_without_secrets(
    source: S3Source, lead, tmp_path: Path, environment: dict[str, str], told: str
):
    lead(environment)
    with pytest.raises(SourceError, match=told) as caught:
        source.fetch(None, tmp_path / "1")
    assert "secret" not in str(caught.value)


# Bundles


def build(path: Path) -> str:
    text = path.read_text()
    if not text.startswith("good"):
        raise BundleError(f"{path}: not good")
    return text


class Run:
    """A run of the gateway that watches one thing."""

    def __init__(self, where: str, copies: Path) -> None:
        self.folder = share()
        self.swapped: list[str] = []
        self.watch: Watch[str] = watch_bundle(
            "router",
            where,
            Steps(build, lambda text: None, self.swapped.append, lambda text: text),
            shared=Path(self.folder.name),
            copies=copies,
            size_limit=LIMIT,
            interval=3600,
            metrics=Metrics(),
        )


@pytest.mark.criterion("R3.4")
@pytest.mark.criterion("R3.6")
async def test_a_bundle_on_s3_is_watched_by_its_etag(server: S3, lead, tmp_path: Path):
    lead(server.environment())
    first = server.put("models", "watched.tar", b"good 1")
    run = Run("s3://models/watched.tar", tmp_path)
    assert await run.watch.load() == "good 1"
    assert (await run.watch.trigger()).result is Result.UNCHANGED
    second = server.put("models", "watched.tar", b"good 2")
    assert (await run.watch.trigger()).result is Result.RELOADED
    server.put("models", "watched.tar", b"bad")
    assert (await run.watch.trigger()).result is Result.REFUSED
    status = run.watch.status()
    assert (status.version, status.previous_version) == ("good 2", "good 1")
    assert status.etag == second.strip('"') != first.strip('"')
    assert status.last_error == "s3://models/watched.tar: not good"
    assert run.swapped == ["good 2"]


async def test_the_next_start_works_without_s3(fake: FakeS3, lead, tmp_path: Path):
    lead(fake.environment())
    where = "s3://models/b.tar"
    fake.put("models", "b.tar", b"good 1")
    await Run(where, tmp_path).watch.load()
    fake.fault(CutBeforeHeaders(), always=True)
    run = Run(where, tmp_path)
    assert await run.watch.load() == "good 1"
    assert (run.watch.status().last_error or "").startswith(where)
    fake.reset()
    fake.put("models", "b.tar", b"good 2")
    assert (await run.watch.trigger()).result is Result.RELOADED
    assert run.watch.status().last_error is None
    with pytest.raises(BundleError, match="no such object"):
        await Run("s3://models/other.tar", tmp_path).watch.load()


async def test_the_next_start_does_not_fetch_what_it_has(fake: FakeS3, lead, tmp_path: Path):
    lead(fake.environment())
    etag = fake.put("models", "b.tar", b"good 1")
    await Run("s3://models/b.tar", tmp_path).watch.load()
    assert await Run("s3://models/b.tar", tmp_path).watch.load() == "good 1"
    assert fake.last.headers["if-none-match"] == etag
    assert fake.last.status == 304


async def test_a_bundle_on_disk_is_told_by_its_path(tmp_path: Path):
    path = tmp_path / "bundle.tar"
    path.write_text("good 1")
    run = Run(str(path), tmp_path / "copies")
    assert await run.watch.load() == "good 1"
    path.write_text("bad")
    outcome = await run.watch.trigger()
    assert (outcome.result, outcome.error) == (Result.REFUSED, f"{path}: not good")
    assert not (tmp_path / "copies").exists()


def test_copies_are_kept_where_they_can_be(tmp_path: Path):
    home = tmp_path / "home"
    assert copies_folder({"HOME": str(home)}) == home / ".cache/trunkline/bundles"
    cache = tmp_path / "cache"
    found = copies_folder({"HOME": str(home), "XDG_CACHE_HOME": str(cache)})
    assert found == cache / "trunkline/bundles"
    (tmp_path / "file").write_text("")
    for environ in ({}, {"HOME": str(tmp_path / "file")}):
        assert f"trunkline-{os.getuid()}" in str(copies_folder(environ))
