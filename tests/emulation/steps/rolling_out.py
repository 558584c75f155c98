"""Uploads of bundles and configurations, good and bad."""

from __future__ import annotations

import time
from collections.abc import Callable

from .. import documents
from ..cast import AUTO, BUNDLE, Cast, model_of
from ..documents import ADDED, LARGE, SMALL
from ..progress import until
from ..user import User

JUDGED = 4
"""Calls by each bundle that people judge; as many new ones make a training worth while."""
SECONDS = 120.0


def judge(cast: Cast) -> None:
    """People say what some of the answers were worth."""
    for number in range(JUDGED):
        call = cast.user.chat(AUTO).headers["x-trunkline-call-id"]
        said = {"call_id": call, "thumbs": "up" if number % 2 else "down"}
        cast.user.ask("/v1/feedback", said)


def second_bundle(cast: Cast) -> str:
    assert cast.chosen() == SMALL
    judge(cast)
    begun = time.monotonic()
    body = documents.bundle(LARGE, created="2026-01-03")
    cast.deployment.upload(cast.deployment.bundles, BUNDLE, body)
    lasted = {}
    waiting = _processes(cast)
    while waiting:
        assert time.monotonic() < begun + SECONDS, f"not routed by it: {', '.join(waiting)}"
        for name in [name for name, chosen in waiting.items() if chosen() == LARGE]:
            lasted[name] = f"{name} {time.monotonic() - begun:.1f} s"
            del waiting[name]
    assert cast.chosen() == LARGE
    return f"after the upload, {', '.join(lasted.values())}"


def _processes(cast: Cast) -> dict[str, Callable[[], str]]:
    """What each of those that serve chooses for `auto` now."""

    def by_function() -> str:
        return model_of(cast.deployment.chat_by_function(cast.key, AUTO)["headers"])

    def by_task(user: User) -> Callable[[], str]:
        return lambda: model_of(user.chat(AUTO).headers)

    tasks = {f"task {number}": by_task(user) for number, user in enumerate(cast.at_tasks(), 1)}
    return {"the function": by_function, **tasks}


def bad_bundle(cast: Cast) -> str:
    bundles, key = cast.deployment.bundles, "incoming/bad.tar"
    before = cast.in_force(bundles)
    version = cast.deployment.upload(bundles, key, b"no bundle at all")

    def tagged() -> bool:
        return cast.deployment.tags(bundles, key, version).get("trunkline") == "refused"

    until(tagged, "the upload is tagged as refused")
    said = cast.inbox.told(key)
    assert cast.in_force(bundles) == before
    assert cast.chosen() == LARGE
    return said


def change_configuration(cast: Cast) -> None:
    processes = [task.process.pid for task in cast.service.running]
    assert ADDED not in cast.user.models()
    cast.roll_out_configuration(ADDED)
    until(
        lambda: all(ADDED in user.models() for user in cast.everywhere()),
        "every task and the function list the added model",
    )
    cast.user.chat(ADDED)
    assert [task.process.pid for task in cast.service.running] == processes
    assert all(task.process.poll() is None for task in cast.service.running)


def bad_configuration(cast: Cast) -> str:
    bucket, key = cast.deployment.configuration, "incoming/bad.yaml"
    before = cast.in_force(bucket)
    cast.deployment.upload(bucket, key, b"model_list: 7\n")
    said = cast.inbox.told(key)
    assert cast.in_force(bucket) == before
    return said


def after_training(cast: Cast) -> None:
    """Waits until the bundle that a training published routes every call."""
    until(lambda: {cast.chosen() for _ in range(8)} == {SMALL}, "the trained bundle is served")
