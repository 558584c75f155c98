"""Moves a pointer: to what is uploaded and found good, on to a candidate that held, and back."""

from __future__ import annotations

import logging
import re
import tempfile
import time
from collections.abc import Callable
from dataclasses import field
from pathlib import Path
from typing import Final

from ..dataclass import dataclass
from ..live.depot import Conflict, Depot, Found, Gone, Upload
from ..live.pointer import Canary, Guards, Pointer, Target
from ..live.sources import Unfit
from ..state.arms import Tallies
from .guards import verdict
from .judges import Judge
from .outcomes import Action, Outcome, Refused, RolloutError

log = logging.getLogger("trunkline.rollout")

MARK: Final = "trunkline"
REASON: Final = "trunkline-reason"
TRIES = 20
"""At writing a pointer that others write, too."""
LONGEST_MARK = 256

_UNMARKABLE = re.compile(r"[^A-Za-z0-9+\-=._:/@]+")
"""What tags of S3 may not hold, or not everywhere."""


@dataclass(frozen=True, slots=True)
class Trials:
    """How bundles are tried before they are in force for all.

    share: of the calls; 0 for no trial. seconds: that it takes.
    """

    share: float = 0.0
    seconds: float = 1800.0
    guards: Guards = field(default_factory=Guards)


NO_TRIALS = Trials()


@dataclass(frozen=True, slots=True)
class Rollout:
    """Of one depot.

    announce: tells the gateways that the pointer was written, as soon as it is. tell: tells people
    what became of an upload or a trial; where it fails, an upload that changed nothing isn't taken
    for judged. now: Unix time.

    Everything raises SourceError where the depot can't be reached, and RolloutError where it can't
    be done.
    """

    depot: Depot
    trials: Trials = NO_TRIALS
    announce: Callable[[], object] = lambda: None
    tell: Callable[[Outcome], object] = lambda outcome: None
    now: Callable[[], float] = time.time

    def judge(self, judge: Judge, key: str, version_id: str = "", *, anew: bool = False) -> Outcome:
        """What becomes of an upload. The same upload twice changes nothing.

        version_id: empty for the latest of its key. anew: also where it was judged before, or
        something was uploaded later.
        """
        try:
            upload = self.depot.look(key)
        except Gone:
            return self._outcome(Action.SUPERSEDED, key, reason="it is gone")
        if version_id and version_id != upload.version_id:
            return self._outcome(Action.SUPERSEDED, key, reason="it was uploaded again since")
        known = {} if anew else self.depot.marks(upload)
        if MARK in known:
            return self._outcome(Action.UNCHANGED, key, reason=f"judged before: {known[MARK]}")
        outcome = self._judged(judge, upload, anew)
        if outcome.action is not Action.SUPERSEDED:
            self._mark(upload, outcome)
        return outcome

    def _judged(self, judge: Judge, upload: Upload, anew: bool) -> Outcome:
        with tempfile.TemporaryDirectory(prefix="trunkline-rollout-") as folder:
            file = Path(folder) / Path(upload.key).name
            try:
                sha256 = self.depot.fetch(upload, file, judge.size_limit)
                name = judge.check(file, upload.key)
                return self._moved(_Candidate(judge, upload, file, sha256, name), anew)
            except (Refused, Unfit) as error:
                return self._outcome(Action.REFUSED, upload.key, reason=str(error))

    def _moved(self, candidate: _Candidate, anew: bool) -> Outcome:
        """Puts what was found good in its place. Raises Refused."""
        told, compared = "", None
        for _ in range(TRIES):
            found = self._read()
            pointer, target = found.pointer, candidate.target(self.now())
            if outcome := self._needless(pointer, target, anew):
                return outcome
            if pointer.current is not None and pointer.current != compared:
                compared = pointer.current
                told = candidate.judge.compare(candidate.file, compared, self.depot)
            action, following = self._following(pointer, target)
            try:
                self._write(following, found.tag)
            except Conflict:
                continue
            return Outcome(
                action, self.depot.name, target.key, target.name, told, following.revision
            )
        raise RolloutError(f"{self.depot.name}: others write it all the time")

    def _needless(self, pointer: Pointer, target: Target, anew: bool) -> Outcome | None:
        """What to say where the pointer needn't be another one."""
        tried = pointer.canary.candidate if pointer.canary else None
        for each, where in ((tried, "on trial"), (pointer.current, "in force")):
            if each is not None and each.sha256 == target.sha256:
                reason = f"it is {where} already"
                return self._outcome(Action.UNCHANGED, target.key, target.name, reason)
        if anew:
            return None
        if target.is_same_upload(pointer.previous):
            reason = "it was in force before"
            return self._outcome(Action.UNCHANGED, target.key, target.name, reason)
        for each in pointer.named:
            if each.uploaded > target.uploaded:
                reason = f"{each.name} was uploaded later"
                return self._outcome(Action.SUPERSEDED, target.key, target.name, reason)
        return None

    def _following(self, pointer: Pointer, target: Target) -> tuple[Action, Pointer]:
        trials, now = self.trials, self.now()
        if not trials.share or pointer.current is None:
            return Action.ACCEPTED, pointer.accepted(target)
        canary = Canary(target, trials.share, now, now + trials.seconds, trials.guards)
        return Action.TRIED, pointer.tried(canary)

    # What is in force already

    def status(self) -> Pointer:
        return self._read().pointer

    def tick(self, tallies: Callable[[Pointer], Tallies]) -> Outcome:
        """Ends a trial whose time is over, or whose guards don't hold.

        tallies: what became of the calls of the trial that a pointer names.
        """
        pointer = self._read().pointer
        canary = pointer.canary
        if canary is None:
            return self._outcome(Action.IDLE)
        found = verdict(canary, tallies(pointer), self.now())
        target = canary.candidate
        if found.action is Action.WAITING:
            return self._outcome(Action.WAITING, target.key, target.name, found.reason)
        return self._end(pointer.revision, found.action, found.reason)

    def promote(self) -> Outcome:
        """Ends the trial: the candidate is in force. Raises RolloutError where there is none."""
        pointer = self._read().pointer
        if pointer.canary is None:
            raise RolloutError(f"{self.depot.name}: nothing is on trial")
        return self._end(pointer.revision, Action.PROMOTED, "somebody asked for it")

    def rollback(self) -> Outcome:
        """Ends the trial; or without one, what was in force before is so again."""
        pointer = self._read().pointer
        if pointer.canary is not None:
            return self._end(pointer.revision, Action.WITHDRAWN, "somebody asked for it")
        for _ in range(TRIES):
            found = self._read()
            if found.pointer.previous is None:
                raise RolloutError(f"{self.depot.name}: there is nothing to go back to")
            following = found.pointer.rolled_back(self.now())
            try:
                self._write(following, found.tag)
            except Conflict:
                continue
            back = following.current
            assert back is not None
            return Outcome(
                Action.ROLLED_BACK, self.depot.name, back.key, back.name,
                revision=following.revision,
            )  # fmt: skip
        raise RolloutError(f"{self.depot.name}: others write it all the time")

    def _end(self, revision: int, action: Action, reason: str) -> Outcome:
        """Ends the trial of a revision; somebody else may have done so."""
        found = self._read()
        pointer, canary = found.pointer, found.pointer.canary
        if pointer.revision != revision or canary is None:
            return self._outcome(Action.IDLE, reason="the trial has ended already")
        promoted = action is Action.PROMOTED
        following = pointer.promoted(self.now()) if promoted else pointer.withdrawn()
        try:
            self._write(following, found.tag)
        except Conflict:
            return self._outcome(Action.IDLE, reason="the trial has ended already")
        target = canary.candidate
        outcome = Outcome(
            action, self.depot.name, target.key, target.name, reason, following.revision
        )
        self._mark(target, outcome)
        return outcome

    def _write(self, pointer: Pointer, tag: str | None) -> None:
        """Raises Conflict."""
        self.depot.write(pointer, tag)
        self.announce()

    def _read(self) -> Found:
        try:
            found = self.depot.read()
        except Unfit as error:
            raise RolloutError(str(error)) from None
        assert found is not None
        return found

    def _outcome(self, action: Action, key: str = "", name: str = "", reason: str = "") -> Outcome:
        return Outcome(action, self.depot.name, key, name, reason)

    def _mark(self, what: Upload | Target, outcome: Outcome) -> None:
        """Tells of it, and tags the upload with it, beside the tags that it has."""
        self.tell(outcome)
        action = Action.ACCEPTED if outcome.action is Action.UNCHANGED else outcome.action
        marks = {MARK: str(action)}
        if outcome.reason:
            marks[REASON] = marked(outcome.reason)
        kept = {n: value for n, value in self.depot.marks(what).items() if n not in (MARK, REASON)}
        self.depot.mark(what, kept | marks)


@dataclass(frozen=True, slots=True)
class _Candidate:
    """An upload that can be served."""

    judge: Judge
    upload: Upload
    file: Path
    sha256: str
    name: str

    def target(self, now: float) -> Target:
        found = self.upload
        return Target(
            key=found.key,
            version_id=found.version_id,
            etag=found.etag,
            sha256=self.sha256,
            size=found.size,
            name=self.name or self.sha256[:12],
            uploaded=found.uploaded,
            since=now,
        )


def marked(text: str) -> str:
    """A text as a tag can hold it."""
    return _UNMARKABLE.sub(" ", text).strip()[:LONGEST_MARK]
