"""Print each criterion with the tests that show it, then what no test shows.

--run runs the suite first and adds how the tests ended.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator

import pytest

from .criteria import requirements
from .plugin import Record


def collect(record: Record) -> None:
    """Fill the record with every test of the suite."""
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        status = pytest.main(["--collect-only", "-q", "-p", "no:cacheprovider"], plugins=[record])
    if status not in {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED}:
        sys.exit(output.getvalue())


def functions(record: Record) -> dict[str, dict[str, list[str]]]:
    """Criterion to the test functions that show it, each with its cases' node ids."""
    shown: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for nodeid, numbers in record.tests.items():
        for number in numbers:
            shown[number][nodeid.partition("[")[0]].append(nodeid)
    return shown


def described(function: str, cases: list[str], outcomes: dict[str, str]) -> str:
    """One line about a test function: name, number of cases, how they ended."""
    count = f" ({len(cases)} cases)" if len(cases) > 1 else ""
    ended = Counter(outcomes[case] for case in cases if case in outcomes)
    result = ", ".join(f"{number} {outcome}" for outcome, number in sorted(ended.items()))
    return f"{function}{count}{': ' + result if result else ''}"


def report(record: Record) -> Iterator[str]:
    """The lines of the report."""
    shown = functions(record)
    uncovered = []
    total = 0
    for requirement in requirements():
        yield f"\n{requirement.number} {requirement.title}"
        for number, text in requirement.criteria.items():
            total += 1
            yield f"  {number:<6} {text}"
            for function, cases in shown.get(number, {}).items():
                yield f"           {described(function, cases, record.outcomes)}"
            if number not in shown:
                uncovered.append(number)
                yield "           (no test)"
    yield f"\n{total - len(uncovered)} of {total} criteria are shown by tests."
    if uncovered:
        yield f"Uncovered: {' '.join(uncovered)}"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.acceptance", description=__doc__)
    parser.add_argument("--run", action="store_true", help="run the suite and show how tests ended")
    arguments = parser.parse_args()
    record = Record()
    collect(record)
    status = 0
    if arguments.run:
        status = int(pytest.main(["-n", "auto", "--dist", "loadfile"], plugins=[record]))
    print("\n".join(report(record)))
    return status


if __name__ == "__main__":
    sys.exit(main())
