"""A pytest plugin: criteria that markers name must exist; what shows them is recorded."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from .criteria import numbers


def shown_by(item: pytest.Item) -> list[str]:
    """The criteria that a test says it shows."""
    return [str(number) for marker in item.iter_markers("criterion") for number in marker.args]


def refuse_unknown_criteria(items: Iterable[pytest.Item]) -> None:
    """End the run when a marker names a criterion that does not exist."""
    known = numbers()
    unknown = [
        f"{item.nodeid}: {number!r}"
        for item in items
        for number in shown_by(item)
        if number not in known
    ]
    if unknown:
        raise pytest.UsageError("no such criterion:\n  " + "\n  ".join(unknown))


class Record:
    """Which tests show which criteria, and how those that ran ended.

    tests: node id to the criteria that the test shows.
    outcomes: node id to "passed", "failed" or "skipped"; the worst of its phases.
    """

    def __init__(self) -> None:
        self.tests: dict[str, list[str]] = {}
        self.outcomes: dict[str, str] = {}

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        for item in session.items:
            self.tests[item.nodeid] = shown_by(item)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" or report.outcome != "passed":
            before = self.outcomes.get(report.nodeid)
            self.outcomes[report.nodeid] = "failed" if before == "failed" else report.outcome
