"""YAML is read with the line of everything, and nothing in it can surprise or exhaust."""

from __future__ import annotations

from typing import Any

import pytest

from trunkline.errors import ConfigError
from trunkline.settings.document import parse


def plain(text: str) -> Any:
    return parse(text, "c.yaml").plain()


@pytest.mark.criterion("R1.5")
@pytest.mark.parametrize(
    ("text", "line", "told"),
    [
        ("a: 1\n\tb: 2", 2, "a tab character that violates indentation"),
        ("a: 'x\nb: 1", 2, "unexpected end of stream"),
        ("a: 1\nb: c: d", 2, "mapping values are not allowed"),
        ("a: {", 2, "did not find expected node content"),
        ("a: 1\nb: \x07", 2, "control characters are not allowed"),
        ("a: 1\n--- \nb: 2", 2, "expected one YAML document, got a second one"),
        ("a: *b", 1, "no anchor stands before it"),
        ("a:\n  &x [*x]", 2, "it stands in its own anchor"),
        ("a: !!python/object/apply:os.system [ls]", 1, "a YAML tag isn't supported"),
        ("a: !!binary aGk=", 1, "a YAML tag isn't supported"),
        ("a: !secret b", 1, "a YAML tag isn't supported"),
        ("a: 1\n? [b, c]\n: 2", 2, "expected a text as the key, got a list or a mapping"),
        ("a: 1\nb: !!int c", 2, "not a valid int"),
        (f"a: {'9' * 5000}", 1, "not a valid int"),
        ("a: 1\n<<: b", 2, "expected a mapping, or a list of them, after <<"),
    ],
)
def test_a_fault_is_named_with_its_line(text: str, line: int, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text, "c.yaml")
    assert str(caught.value).startswith(f"c.yaml:{line}: ")
    assert told in str(caught.value)


@pytest.mark.criterion("R1.5")
def test_a_key_that_is_given_twice_is_refused_with_both_lines() -> None:
    with pytest.raises(ConfigError) as caught:
        parse("a: 1\nb: {c: 1, d: 2,\n  c: 3}\n'a': 4", "c.yaml")
    assert str(caught.value).splitlines() == [
        "c.yaml:3: c: this key is already given on line 2",
        "c.yaml:4: a: this key is already given on line 1",
    ]


def test_everything_knows_its_line() -> None:
    root = parse("a:\n  - b: 1\n    c:\n      - 2\n      - 3\n", "c.yaml")
    lines = {path: root.find(path).line for path in [("a",), ("a", 0, "c"), ("a", 0, "c", 1)]}
    assert lines == {("a",): 1, ("a", 0, "c"): 3, ("a", 0, "c", 1): 5}


def test_a_path_that_leads_nowhere_ends_at_the_last_thing_on_the_way() -> None:
    root = parse("a:\n  b: 1\n", "c.yaml")
    assert root.find(("a", "missing", 3)).line == 1
    assert root.find(("a", "b", "c")).line == 2


def test_merged_keys_give_way_to_own_ones_and_to_earlier_ones() -> None:
    text = "x: &x {a: 1, b: 1}\ny: &y {b: 2, c: 2}\nz: {<<: [*x, *y], a: 3}"
    assert plain(text)["z"] == {"a": 3, "b": 1, "c": 2}


def test_an_alias_is_the_value_of_its_anchor() -> None:
    assert plain("a: &v [1]\nb: *v\n&k c: 2\nd: *k\ne: {*k : 3}") == {
        "a": [1],
        "b": [1],
        "c": 2,
        "d": "c",
        "e": {"c": 3},
    }


def test_keys_are_texts_as_they_are_written() -> None:
    keys = "50256: a\ntrue: b\n~: c\n1.50: d\n2024-10-21: e\non: f"
    assert list(plain(keys)) == ["50256", "true", "~", "1.50", "2024-10-21", "on"]


def test_values_are_what_litellm_takes_them_for_but_dates_stay_text() -> None:
    text = "a: 1_000\nb: yes\nc: ~\nd: 0x1F\ne: 2024-10-21\nf: '5'\ng: !!str 5\nh: 1.5e+3\ni: <<"
    assert plain(text) == {
        "a": 1000,
        "b": True,
        "c": None,
        "d": 31,
        "e": "2024-10-21",
        "f": "5",
        "g": "5",
        "h": 1500.0,
        "i": "<<",
    }


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "--- ~"])
def test_an_empty_document_is_nothing(text: str) -> None:
    assert plain(text) is None


@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "? "])
def test_depth_is_bounded(opening: str) -> None:
    with pytest.raises(ConfigError, match=r"nested more than 64 levels deep|as the key"):
        parse(opening * 100_000, "c.yaml")


def test_aliases_of_aliases_are_bounded() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 30)]
    with pytest.raises(ConfigError, match="more than 250000 values, aliases written out"):
        parse("\n".join(lines), "c.yaml")


def test_merge_keys_of_merge_keys_are_bounded() -> None:
    lines = ["a0: &a0 {x: [1, 2, 3, 4, 5, 6, 7, 8, 9]}"]
    for n in range(1, 30):
        inner = ", ".join(f"k{m}: {{<<: *a{n - 1}}}" for m in range(10))
        lines.append(f"a{n}: &a{n} {{{inner}}}")
    with pytest.raises(ConfigError, match="more than 250000 values, aliases written out"):
        parse("\n".join(lines), "c.yaml")
