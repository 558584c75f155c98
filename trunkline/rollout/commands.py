"""`trunkline rollout status | upload | judge | tick | promote | rollback`.

Of a bucket, or of a folder on a laptop, by the same code as the function on Lambda.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any

from ..live.depot import INCOMING, Depot, depot
from ..live.pointer import Canary, Guards, Target
from ..live.s3 import SCHEME
from ..live.sources import SourceError
from ..settings import Settings
from ..settings.redis_address import RedisAddress, address_of
from ..state.arms import ARMS, Tally
from .in_force import configuration
from .judges import BundleJudge, ConfigurationJudge, Judge, kind_of
from .margins import Margins
from .outcomes import Action, Outcome, RolloutError
from .rollout import Rollout, Trials
from .shared import address, announce, tallies_of

BAD = frozenset({Action.REFUSED, Action.WITHDRAWN})


_JUDGED_BY = {
    False: "; `trunkline rollout judge` judges it",
    True: "; the function that watches the bucket judges it, or `trunkline rollout judge`",
}


def run(name: str, options: argparse.Namespace) -> tuple[list[str], bool]:
    """What to print, and whether everything went as one wishes.

    Raises RolloutError for what can't be done.
    """
    try:
        settings = configuration(options.config, os.environ) if options.config else None
        where = (address_of(settings.router_settings) if settings else None) or address(os.environ)
        found = depot(options.place)
        rollout = Rollout(found, _trials(name, options), partial(announce, where, found.name))
        if name == "status":
            return list(_status(rollout, where)), True
        if name == "upload":
            upload = rollout.depot.upload(options.file.name, options.file)
            return [f"{upload.key}: uploaded{_JUDGED_BY[options.place.startswith(SCHEME)]}"], True
        outcomes = list(_OTHERS[name](rollout, options, settings, where))
    except (SourceError, ValueError) as error:
        raise RolloutError(str(error)) from None
    told = [
        each
        for each in outcomes
        if name != "judge" or options.key or each.action is not Action.UNCHANGED
    ]
    lines = [str(each) for each in told] or ["there is nothing new"]
    return lines, not any(each.action in BAD for each in outcomes)


def _trials(name: str, options: argparse.Namespace) -> Trials:
    if name != "judge":
        return Trials()
    if not 0 <= options.share <= 1:
        raise RolloutError("--share: expected a number from 0 to 1")
    guards = Guards(options.errors, options.cost, options.quality, options.least_calls)
    return Trials(options.share, options.minutes * 60, guards)


def _judge(
    rollout: Rollout, options: argparse.Namespace, settings: Settings | None, where: Any
) -> Iterator[Outcome]:
    keys = [options.key] if options.key else rollout.depot.listed(INCOMING)
    for key in keys if options.key else _by_age(rollout.depot, keys):
        yield rollout.judge(_judge_of(key, options, settings), key, anew=bool(options.key))


def _by_age(found: Depot, keys: list[str]) -> list[str]:
    return sorted(keys, key=lambda key: found.look(key).uploaded)


def _judge_of(key: str, options: argparse.Namespace, settings: Settings | None) -> Judge:
    if kind_of(key) == "configuration":
        return ConfigurationJudge(os.environ)
    margins = Margins(options.margin, options.cost_margin)
    return BundleJudge(settings, options.public_key, margins)


def _tick(
    rollout: Rollout, options: argparse.Namespace, settings: Any, where: RedisAddress | None
) -> Iterator[Outcome]:
    yield rollout.tick(tallies_of(where, rollout.depot.name))


def _promote(rollout: Rollout, *others: Any) -> Iterator[Outcome]:
    yield rollout.promote()


def _rollback(rollout: Rollout, *others: Any) -> Iterator[Outcome]:
    yield from (
        # Who asks for it isn't told that it went wrong.
        Outcome(Action.ROLLED_BACK, each.place, each.key, each.name, revision=each.revision)
        if each.action is Action.WITHDRAWN
        else each
        for each in [rollout.rollback()]
    )


_OTHERS: Mapping[str, Callable[..., Iterator[Outcome]]] = {
    "judge": _judge,
    "tick": _tick,
    "promote": _promote,
    "rollback": _rollback,
}


def _status(rollout: Rollout, where: RedisAddress | None) -> Iterator[str]:
    pointer = rollout.status()
    yield f"pointer    {rollout.depot.name}, revision {pointer.revision}"
    yield f"current    {_target(pointer.current)}"
    yield f"previous   {_target(pointer.previous)}"
    canary = pointer.canary
    if canary is None:
        yield "canary     none"
        return
    yield f"canary     {_canary(canary)}"
    tallies = tallies_of(where, rollout.depot.name)(pointer)
    for arm in ARMS:
        yield f"  {arm:9}  {_tally(tallies[arm])}"


def _target(target: Target | None) -> str:
    if target is None:
        return "none"
    version = f" (version {target.version_id[:12]})" if target.version_id else ""
    return f"{target.name}  {target.key}{version}, since {_time(target.since)}"


def _canary(canary: Canary) -> str:
    guards = canary.guards
    return (
        f"{_target(canary.candidate)}, for {canary.share:.0%} of the calls until"
        f" {_time(canary.until)}; guards: errors +{guards.errors:g}, cost x{guards.cost:g},"
        f" quality -{guards.quality:g}, at least {guards.least_calls} calls"
    )


def _tally(tally: Tally) -> str:
    cost, score = tally.mean_cost, tally.mean_score
    told = [f"{tally.tries} calls", f"{tally.errors} failed"]
    if cost is not None:
        told.append(f"${cost / 1e9:.6f} a call")
    if score is not None:
        told.append(f"judged {score:.3f} ({tally.scored})")
    if tally.unusable:
        told.append(f"{tally.unusable} processes can't use it")
    return ", ".join(told)


def _time(when: float) -> str:
    return datetime.fromtimestamp(when, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
