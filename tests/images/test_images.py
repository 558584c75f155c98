"""The images that `make image` builds, run as Docker would run them: read-only, as their user.

Only `make image` runs these tests, on the platforms that it has built for: TRUNKLINE_IMAGES names
them. On a platform that is emulated everything takes ten times as long.
"""

from __future__ import annotations

import json
import os
import re
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.fakes import FakeBedrock, FakeOpenAI, Hold
from tests.support.gateway import free_port, write_config
from tests.support.providers import Providers
from tools.image import buildah
from tools.image.__main__ import CANARY
from tools.image.container import Container, running

BUILT = os.environ.get("TRUNKLINE_IMAGES", "").split()
SECONDS = 600.0
MOST = 350_000_000
"""Bytes that the image may add to its base."""
LARGEST = 6
NOT_FOR_RUNNING = re.compile(
    r"/(cc|gcc|g\+\+|c\+\+|clang|ld|as|make|strip|cargo|rustc|pip3?|uv|hatch\w*)$|/\.cache/|/pip/|/wheels/"
    r"|/run/secrets/|pip\.conf$|\.key$|/\.git/|/id_[a-z0-9]+$"
)
ASK = {"messages": [{"role": "user", "content": "Hello there"}]}

pytestmark = [
    pytest.mark.skipif(not BUILT, reason="only `make image` builds the images"),
    pytest.mark.timeout(3 * SECONDS),
]


@pytest.fixture(params=BUILT or ["native"], scope="module")
def architecture(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def model(name: str, **params: object) -> dict[str, object]:
    return {"model_name": name, "litellm_params": params}


@pytest.mark.criterion("R9.1", "R9.3", "R9.4", "R9.5")
def test_the_image_serves_read_only_as_user_1000_under_tini_and_drains(
    architecture: str, fakes: Providers, tmp_path: Path
) -> None:
    openai, bedrock = fakes(FakeOpenAI), fakes(FakeBedrock)
    port = free_port()
    configuration = tmp_path / "etc"
    configuration.mkdir()
    write_config(configuration, configured(openai, bedrock))
    with running(architecture, configuration, tmp_path / "log", {"PORT": str(port)}) as container:
        assert not container.healthy()
        container.wait_until_healthy(SECONDS)
        assert is_user_1000_with_nothing_to_write_but_volumes(container)
        url = f"http://127.0.0.1:{port}"
        with httpx.Client(base_url=url, timeout=SECONDS, headers=KEY) as client:
            answers(client, openai)
            reaps(container)
            streams_to_its_end_when_told_to_stop(client, container, openai)
    assert "Traceback" not in (tmp_path / "log").read_text()


KEY = {"authorization": "Bearer sk-of-the-image"}


def configured(openai: FakeOpenAI, bedrock: FakeBedrock) -> dict[str, object]:
    """A model of the direct lane, and one of LiteLLM's that is signed for by AWS's library."""
    direct = model("direct", model="openai/gpt-4o", api_base=openai.base_url, api_key="sk-1")
    through_litellm = model(
        "claude",
        model="bedrock/anthropic.claude-3-5-sonnet-20240620-v1:0",
        aws_access_key_id=bedrock.access_key,
        aws_secret_access_key=bedrock.secret_key,
        aws_region_name="us-east-1",
        aws_bedrock_runtime_endpoint=bedrock.url,
    )
    general = {"master_key": "sk-of-the-image", "drain_seconds": SECONDS}
    return {"model_list": [direct, through_litellm], "general_settings": general}


def is_user_1000_with_nothing_to_write_but_volumes(container: Container) -> bool:
    assert container.run("id", "-u").stdout == "1000\n"
    assert container.run("id", "-un").stdout == "trunkline\n"
    for folder in ("/", "/opt/trunkline", "/etc/trunkline", "/usr/bin"):
        assert "Read-only" in container.run("touch", f"{folder}/new").stderr
    for folder in container.image["Volumes"]:
        assert container.run("touch", f"{folder}/new").returncode == 0
    # What the gateway keeps is where it was told to keep it.
    return "trunkline.db" in container.run("ls", "/var/lib/trunkline").stdout


def answers(client: httpx.Client, openai: FakeOpenAI) -> None:
    for name in ("direct", "claude"):
        answer = client.post("/v1/chat/completions", json={"model": name, **ASK})
        assert answer.status_code == 200, answer.text
        assert "Hello there" in answer.json()["choices"][0]["message"]["content"]
    body = {"model": "claude", **ASK, "stream": True}
    assert client.post("/v1/chat/completions", json=body).text.endswith("data: [DONE]\n\n")
    # The key is made in the database in the data directory.
    key = client.post("/key/generate", json={"models": ["direct"]}).json()["key"]
    theirs = client.get("/v1/models", headers={"authorization": f"Bearer {key}"})
    assert [each["id"] for each in theirs.json()["data"]] == ["direct"]


def reaps(container: Container) -> None:
    """A process whose parent is gone becomes a child of PID 1, and leaves no zombie."""
    assert container.processes()[0].command == "tini"
    container.run("sh", "-c", "sleep 1 >/dev/null 2>&1 &")
    orphans = [each for each in container.processes() if each.command == "sleep"]
    assert [each.parent for each in orphans] == [1]
    deadline = time.monotonic() + 60
    while any(each.id == orphans[0].id for each in container.processes()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert not [each for each in container.processes() if each.state == "Z"]


def streams_to_its_end_when_told_to_stop(
    client: httpx.Client, container: Container, openai: FakeOpenAI
) -> None:
    hold = Hold(after_chunks=2)
    openai.answer("one two three four")
    openai.fault(hold)
    body = {"model": "direct", **ASK, "stream": True}
    stopped: list[int] = []
    with client.stream("POST", "/v1/chat/completions", json=body) as answer:
        lines = answer.iter_lines()
        next(lines)
        stop = threading.Thread(target=lambda: stopped.append(container.stop(SECONDS)))
        stop.start()
        threading.Timer(1, hold.release).start()
        rest = "".join(lines)
    stop.join(SECONDS)
    assert "four" in rest
    assert rest.endswith("data: [DONE]")
    assert stopped == [0]


@pytest.mark.criterion("R9.2")
def test_the_image_holds_only_what_runs(architecture: str) -> None:
    image = buildah.image_of(architecture)
    with (
        buildah.mounted(image, architecture) as root,
        buildah.mounted(buildah.base_of(architecture), architecture) as base,
    ):
        added = sorted(f"/{path}" for path in files(root) - files(base))
        assert "/usr/bin/tini" in added
        assert [path for path in added if NOT_FOR_RUNNING.search(path)] == []
        assert [path for path in added if is_private_key(root / path[1:])] == []
        assert writable(root, added) == []
        canary = CANARY.read_text()
        assert all(canary.encode() not in (root / path[1:]).read_bytes() for path in added)
        told = json.dumps(buildah.config(image)) + buildah.history(image)
        assert canary not in told
        size, of_base = total(root), total(base)
        largest = parts(root)[:LARGEST]
    more = size - of_base
    print(f"\n{architecture}: {size / 1e6:.0f} MB, of which the base is {of_base / 1e6:.0f} MB")
    print(f"{architecture}: {more / 1e6:.0f} MB above the base, of {MOST / 1e6:.0f} MB at most")
    print("\n".join(f"  {name}: {bytes / 1e6:.0f} MB" for name, bytes in largest))
    assert more <= MOST


def parts(root: Path) -> list[tuple[str, int]]:
    """What was installed and its bytes, the largest first."""
    (packages,) = root.glob("opt/trunkline/lib/python3*/site-packages")
    found = [(each.name, total(each)) for each in packages.iterdir() if each.is_dir()]
    return sorted(found, key=lambda part: -part[1])


def files(root: Path) -> set[Path]:
    return {path.relative_to(root) for path in walk(root)}


def walk(root: Path) -> Iterator[Path]:
    """The root's files, without links and devices."""
    for folder, _, names in os.walk(root):
        for name in names:
            path = Path(folder, name)
            if stat.S_ISREG(path.lstat().st_mode):
                yield path


def is_private_key(path: Path) -> bool:
    return path.suffix == ".pem" and b"PRIVATE KEY-" in path.read_bytes()


def writable(root: Path, paths: list[str]) -> list[str]:
    """Files that aren't root's alone to write."""
    found = ((path, (root / path[1:]).lstat()) for path in paths)
    return [path for path, info in found if info.st_uid or info.st_gid or info.st_mode & 0o022]


def total(root: Path) -> int:
    """Bytes of the root's files, each of those with several names once."""
    sizes = {(info.st_dev, info.st_ino): info.st_size for info in map(Path.lstat, walk(root))}
    return sum(sizes.values())
