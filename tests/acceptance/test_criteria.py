"""The list of criteria is whole, and a test can only claim what stands on it."""

from __future__ import annotations

import pytest

from .criteria import requirements
from .plugin import Record

CRITERIA_OF_EACH_REQUIREMENT = [5, 6, 6, 6, 6, 9, 6, 6, 6, 6, 6, 6, 6, 6, 7]

CLAIM = """
    import pytest

    @pytest.mark.criterion({number!r})
    @pytest.mark.parametrize("case", ["one", "two"])
    def test_something(case):
        assert case == "one"
"""

CONFTEST = """
    from tests.acceptance.plugin import refuse_unknown_criteria

    def pytest_collection_modifyitems(items):
        refuse_unknown_criteria(items)
"""


INI = """
    [pytest]
    markers = criterion(*numbers): what the test shows
    asyncio_default_fixture_loop_scope = function
"""


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makeconftest(CONFTEST)
    pytester.makeini(INI)
    return pytester


def test_every_requirement_has_all_its_criteria() -> None:
    listed = requirements()

    assert [one.number for one in listed] == [f"R{number}" for number in range(1, 16)]
    assert [len(one.criteria) for one in listed] == CRITERIA_OF_EACH_REQUIREMENT
    assert sum(CRITERIA_OF_EACH_REQUIREMENT) == 93


def test_criteria_are_numbered_from_one_without_gaps() -> None:
    for requirement in requirements():
        expected = [f"{requirement.number}.{i}" for i in range(1, len(requirement.criteria) + 1)]
        assert list(requirement.criteria) == expected


def test_a_marker_with_an_unknown_criterion_ends_the_run(suite: pytest.Pytester) -> None:
    suite.makepyfile(CLAIM.format(number="R1.6"))

    result = suite.runpytest_inprocess()

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*no such criterion*", "*test_something*'R1.6'*"])


def test_the_record_knows_what_tests_show_and_how_they_ended(suite: pytest.Pytester) -> None:
    suite.makepyfile(test_it=CLAIM.format(number="R14.1"))
    record = Record()

    suite.inline_run(plugins=[record])

    one, two = "test_it.py::test_something[one]", "test_it.py::test_something[two]"
    assert record.tests == {one: ["R14.1"], two: ["R14.1"]}
    assert record.outcomes == {one: "passed", two: "failed"}
