"""Remote text loses whatever could steer a terminal; figures read well."""

import unicodedata
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datafacade.cli.text import BARS, clean, clock, duration, grouped, quantile, sparkline


@pytest.mark.proves("CTL-S25")
@pytest.mark.parametrize(
    ("remote", "shown"),
    [
        ("plain", "plain"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;new title\x07text", "text"),
        ("\x1b]8;;https://example.com\x1b\\link", "link"),
        ("\x9b2Jgone", "gone"),
        ("\x1bcreset", "reset"),
        ("a\r\nb\tc\x08\x7f", "abc"),
        ("usd\u202edsb", "usddsb"),  # right-to-left override
        ("zero\u200bwidth\ufeff", "zerowidth"),
        ("li\u2028ne", "line"),
        ("Ünïcode ✔ 漢字", "Ünïcode ✔ 漢字"),
    ],
)
def test_control_sequences_and_hidden_signs_are_stripped(remote: str, shown: str) -> None:
    assert clean(remote) == shown


@pytest.mark.proves("CTL-S25")
@given(st.text(max_size=400), st.integers(1, 300))
def test_nothing_that_steers_a_terminal_is_left_and_the_length_is_bounded(remote: str, longest: int) -> None:
    shown = clean(remote, longest)
    assert len(shown) <= longest
    assert not any(unicodedata.category(sign) in ("Cc", "Cf", "Cs", "Zl", "Zp") for sign in shown)


def test_long_text_is_cut_with_a_mark() -> None:
    assert clean("x" * 300, 5) == "xxxx…"


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (0, "0 ns"),
        (7, "7.00 ns"),
        (45_600, "45.6 µs"),
        (1_234_567, "1.23 ms"),
        (250_000_000, "250 ms"),
        (3e9, "3.00 s"),
    ],
)
def test_durations_have_three_digits_and_a_unit(ns: float, text: str) -> None:
    assert duration(ns) == text


def test_spans_read_as_a_clock() -> None:
    assert (clock(0.9), clock(61), clock(100 * 3_600 + 5)) == ("0:00:00", "0:01:01", "100:00:05")


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "-"), (Decimal("61602.50"), "61,602.50"), (Decimal("0.000000010"), "0.000000010"),
     (Decimal("1e-30"), "1e-30"), (Decimal(-5), "-5")],
)  # fmt: skip
def test_decimals_are_grouped_and_keep_their_digits(value: Decimal | None, text: str) -> None:
    assert grouped(value) == text


@given(st.lists(st.floats(-1e9, 1e9), max_size=40), st.integers(1, 30))
def test_sparklines_are_as_long_as_asked_and_reach_top_and_bottom(values: list[float], width: int) -> None:
    line = sparkline(values, width)
    assert len(line) == min(width, len(values))
    if len(set(values[-width:])) > 1:
        assert BARS[0] in line
        assert BARS[-1] in line


@given(st.lists(st.integers(0, 10**9), min_size=1), st.sampled_from([0.01, 0.5, 0.9, 0.99, 1.0]))
def test_quantiles_are_the_nearest_rank(values: list[int], ratio: float) -> None:
    ordered = sorted(values)
    found = quantile(ordered, ratio)
    below_or_equal = sum(value <= found for value in ordered)
    assert found in ordered
    assert below_or_equal >= ratio * len(ordered)
    assert sum(value < found for value in ordered) < ratio * len(ordered)


def test_no_values_have_no_quantile() -> None:
    assert quantile([], 0.5) == 0
