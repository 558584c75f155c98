"""Deployments that take only so many calls at once: who comes later waits, and in what order."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from tests.support.routing import answer, call, deployment, fail, failure, router
from trunkline.call import Deployment
from trunkline.errors import ErrorKind, NoDeployment
from trunkline.routing.router import Router

pytestmark = pytest.mark.criterion("R14.1")


def waiting(
    over: Router, deployments: tuple[Deployment, ...], served: list[Any], name: Any, **fields: Any
) -> asyncio.Task[Deployment]:
    """A call that takes a place as soon as it gets one, and tells `served` so."""

    async def come() -> Deployment:
        request = call(**fields)
        chosen = await over.choose(deployments, request)
        over.started(chosen, request)
        served.append(name)
        return chosen

    return asyncio.create_task(come())


async def turn() -> None:
    """Lets every task go as far as it can."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_call_goes_where_there_is_a_place_whatever_the_weights() -> None:
    deployments = deployment("d0", max_parallel_requests=1, weight=1000), deployment("d1", weight=1)
    over = router(deployments)
    over.started(deployments[0], call())
    assert (await over.choose(deployments, call())).id == "d1"


async def test_calls_wait_for_a_place_and_are_served_in_the_order_of_arrival() -> None:
    deployments = (deployment("d0", max_parallel_requests=2),)
    over = router(deployments)
    for _ in range(2):
        over.started(deployments[0], call())
    served: list[int] = []
    tasks = [waiting(over, deployments, served, number) for number in range(4)]
    await turn()
    assert served == []
    for count in range(1, 5):
        over.cancelled(deployments[0], call())
        await turn()
        assert served == list(range(count))
    await asyncio.gather(*tasks)


@pytest.mark.parametrize("ending", ["succeeded", "failed", "cancelled"])
async def test_a_place_is_free_however_the_attempt_ended(ending: str) -> None:
    deployments = (deployment("d0", max_parallel_requests=1),)
    over = router(deployments)
    endings = {
        "succeeded": lambda: answer(over, deployments[0], call()),
        "failed": lambda: fail(over, deployments[0], call(), failure(ErrorKind.INTERNAL)),
        "cancelled": lambda: (
            over.started(deployments[0], call()),
            over.cancelled(deployments[0], call()),
        ),
    }
    over.started(deployments[0], call())
    served: list[int] = []
    task = waiting(over, deployments, served, 1)
    await turn()
    over.cancelled(deployments[0], call())
    await task
    over.cancelled(deployments[0], call())
    endings[ending]()
    assert (await asyncio.wait_for(over.choose(deployments, call()), 5)).id == "d0"


async def test_who_waits_takes_the_first_place_that_any_deployment_has() -> None:
    deployments = tuple(deployment(f"d{i}", max_parallel_requests=1) for i in range(3))
    over = router(deployments)
    for each in deployments:
        over.started(each, call())
    task = waiting(over, deployments, [], 0)
    await turn()
    over.cancelled(deployments[1], call())
    assert (await task).id == "d1"


async def test_nobody_overtakes_a_call_that_was_just_given_a_place() -> None:
    deployments = (deployment("d0", max_parallel_requests=1),)
    over = router(deployments)
    over.started(deployments[0], call())
    served: list[str] = []
    first = waiting(over, deployments, served, "first")
    await turn()
    over.cancelled(deployments[0], call())
    second = waiting(over, deployments, served, "second")
    await turn()
    assert served == ["first"]
    over.cancelled(deployments[0], call())
    await asyncio.gather(first, second)
    assert served == ["first", "second"]


@pytest.mark.criterion("R14.4")
async def test_a_call_waits_no_longer_than_an_attempt_may_take() -> None:
    deployments = (deployment("d0", max_parallel_requests=1, timeout=0.01),)
    over = router(deployments)
    over.started(deployments[0], call())
    with pytest.raises(NoDeployment, match="max_parallel_requests") as refused:
        await over.choose(deployments, call())
    assert refused.value.status == 429
    over.cancelled(deployments[0], call())
    assert (await over.choose(deployments, call())).id == "d0"


async def test_a_place_given_to_a_client_that_left_goes_to_the_next() -> None:
    deployments = (deployment("d0", max_parallel_requests=1),)
    over = router(deployments)
    over.started(deployments[0], call())
    served: list[str] = []
    gone = waiting(over, deployments, served, "gone")
    here = waiting(over, deployments, served, "here")
    await turn()
    over.cancelled(deployments[0], call())
    gone.cancel()
    await here
    assert served == ["here"]
    over.cancelled(deployments[0], call())
    assert (await asyncio.wait_for(over.choose(deployments, call()), 5)).id == "d0"


async def test_who_waits_for_a_deployment_that_cools_down_meanwhile_is_told_so() -> None:
    deployments = tuple(deployment(f"d{i}", max_parallel_requests=1) for i in range(2))
    over = router(deployments, allowed_fails=0)
    requests = [call(), call()]
    for each, request in zip(deployments, requests, strict=True):
        over.started(each, request)
    tasks = [waiting(over, deployments, [], number) for number in range(3)]
    await turn()
    for each, request in zip(deployments, requests, strict=True):
        over.failed(each, request, failure(ErrorKind.RATE_LIMIT), seconds=1.0)
    for task in tasks:
        with pytest.raises(NoDeployment, match="cooling down"):
            await task


@pytest.mark.parametrize(
    ("fields", "places"),
    [
        ({"max_parallel_requests": 3, "rpm": 1}, 3),
        ({"rpm": 2, "tpm": 500}, 2),
        ({"tpm": 500}, 3),
        ({"tpm": 1}, 1),
        ({}, 4),
    ],
)
async def test_a_limit_a_minute_limits_what_runs_at_once_as_in_litellm(
    fields: dict[str, int], places: int
) -> None:
    deployments = (deployment("d0", **fields),)
    over = router(deployments, default_max_parallel_requests=4)
    for _ in range(places):
        over.started(await asyncio.wait_for(over.choose(deployments, call()), 5), call())
    late = asyncio.create_task(over.choose(deployments, call()))
    await turn()
    assert not late.done()
    late.cancel()


@examples(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(1, 2), min_size=1, max_size=3),
    st.lists(st.sampled_from(["come", "leave", "give up", "wait"]), max_size=40),
)
async def test_places_are_never_lost_nor_given_twice(limits: list[int], events: list[str]) -> None:
    deployments = tuple(
        deployment(f"d{i}", max_parallel_requests=limit) for i, limit in enumerate(limits)
    )
    over = router(deployments)
    running: list[Deployment] = []
    tasks: list[asyncio.Task[Deployment]] = []
    for event in events:
        if event == "come":
            tasks.append(waiting(over, deployments, [], None))
        elif event == "leave" and running:
            over.cancelled(running.pop(), call())
        elif event == "give up" and tasks:
            tasks[0].cancel()
        if event == "wait":
            await turn()
        for task in [each for each in tasks if each.done()]:
            tasks.remove(task)
            if not task.cancelled():
                running.append(task.result())
    while tasks or running:
        await turn()
        for task in [each for each in tasks if each.done()]:
            tasks.remove(task)
            if not task.cancelled():
                running.append(task.result())
        for each, limit in zip(deployments, limits, strict=True):
            assert running.count(each) <= limit
        assert len(running) == sum(limits) or not tasks, "a free place is not given"
        if running:
            over.cancelled(running.pop(), call())
