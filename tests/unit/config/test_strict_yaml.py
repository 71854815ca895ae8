"""The YAML reader takes little, refuses the rest, and knows the line of everything."""

import pytest

from datafacade.config.strict_yaml import Document, parse
from datafacade.errors import ConfigError


def read(text: str, **environment: str) -> Document:
    return parse(text, file="x.yaml", environment=environment)


def refuse(text: str, **environment: str) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        read(text, **environment)
    return caught.value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: 1", 1),
        ("a: -7", -7),
        ("a: 1.5", 1.5),
        ("a: 2e3", 2000.0),
        ("a: true", True),
        ("a: yes", "yes"),  # YAML 1.1 would say true
        ("a: 12:30", "12:30"),  # and 750 here
        ("a: 010", 10),  # and 8 here
        ("a: 2026-01-01", "2026-01-01"),
        ("a:", None),
        ("a: '5'", "5"),
        ("a: [1, x]", [1, "x"]),
        ("a: {b: {c: 1}}", {"b": {"c": 1}}),
    ],
)
def test_plain_values_mean_what_they_look_like(text: str, value: object) -> None:
    assert read(text).data == {"a": value}


def test_each_key_knows_its_line() -> None:
    document = read("a: 1\nb:\n  c: 2\n  d: [3,\n      4]\n")
    assert document.line(("b", "c")) == 3
    assert document.line(("b", "d", 1)) == 5
    assert document.line(("b", "nothing", "here")) == 2


def test_a_key_that_stands_twice_is_refused_with_both_lines() -> None:
    error = refuse("venues:\n  kraken: {}\n  okx: {}\n  kraken: {}\n")
    assert str(error) == "x.yaml:4: venues.kraken: key stands twice, first in line 2"


@pytest.mark.parametrize("text", [".nan", "NaN", "-.inf", "inf", "Infinity"])
def test_numbers_that_are_not_finite_are_refused(text: str) -> None:
    assert refuse(f"a: {text}").problem == "expected a finite number"


@pytest.mark.proves("CTL-S29")
@pytest.mark.parametrize(
    "text", ["a: &x 1\nb: *x", "a: !!python/object:os.system {}", "a: !!str 1", "- 1", "", "a: [", "a: b: c"]
)
def test_anchors_tags_and_broken_text_are_refused(text: str) -> None:
    refuse(text)


def test_a_deep_document_is_refused() -> None:
    assert "deeply" in refuse("a: " + "[" * 40 + "]" * 40).problem


def test_a_huge_document_is_refused() -> None:
    assert "larger" in refuse("a: " + "x" * 2**20).problem


@pytest.mark.proves("REQ-G4")
def test_variables_come_from_the_environment_or_their_default() -> None:
    document = read('a: ${PORT:5}\nb: "${KEY}"\nc: "${NONE:}"\nd: http://${HOST:h}/x', KEY="007", PORT="9")
    assert document.data == {"a": 9, "b": "007", "c": "", "d": "http://h/x"}
    assert ("b",) in document.from_environment


@pytest.mark.proves("REQ-G4")
def test_a_missing_secret_names_key_and_variable_only() -> None:
    error = refuse('a: 1\nkey: "${SECRET_KEY}"', OTHER="value-of-other")
    assert str(error) == "x.yaml:2: key: environment variable SECRET_KEY is not set and has no default"
