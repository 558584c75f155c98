"""Changes under load, and the end of it all."""

from __future__ import annotations

from tests.support.traffic import Traffic

from ..cast import Cast
from ..documents import LARGE, SMALL
from ..remains import remains
from ..user import Asking

CLIENTS, PAUSE = 4, 0.08
"""As many calls as the API takes in at most would be refused with 429 on a fast machine."""
ROLLOUTS = 10


def update(cast: Cast) -> str:
    calls = Traffic(cast.deployment.url, cast.key, CLIENTS, pause=PAUSE)
    short = Asking(cast.user)
    with calls.flowing(), short.flowing():
        for number in range(ROLLOUTS):
            cast.roll_out_bundle((SMALL, LARGE)[number % 2], f"2026-02-{number + 1:02}")
        # Another image makes another task definition; other memory, another version of a function.
        cast.cdk.synthesise(image="ghcr.io/example/trunkline:next", lambda_memory="1152")
        cast.cdk.deploy()
        cast.service.replace()
    failed = [*calls.failed, *short.failed]
    assert not failed, f"{len(failed)} failed: {failed[:5]}"
    assert calls.answered, "no call was made"
    assert short.answered, "no short call was made"
    return f"{len(calls.answered)} answers by tasks, {short.answered} by the function, 0 failed"


def destroy(cast: Cast) -> None:
    cast.service.stop()
    cast.cdk.destroy()
    left = remains(cast.aws)
    assert not left, f"left behind: {left}"
