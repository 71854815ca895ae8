"""Decimal texts against Python's own Decimal."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from datafacade.sim.digits import fixed, padded, scientific, trimmed

values = st.integers(min_value=-(10**18), max_value=10**18)
scales = st.integers(min_value=0, max_value=18)


@given(values, scales)
def test_every_spelling_has_the_exact_value(value: int, scale: int) -> None:
    exact = Decimal(value).scaleb(-scale)
    assert Decimal(padded(value, scale)) == exact
    assert Decimal(trimmed(value, scale)) == exact
    assert Decimal(scientific(value, scale)) == exact


@given(values, scales)
def test_trimmed_text_has_no_exponent_and_no_trailing_zero(value: int, scale: int) -> None:
    text = trimmed(value, scale)
    assert "e" not in text.lower()
    assert "." not in text or text[-1] not in "0."


def test_padding_to_more_decimals_keeps_the_value() -> None:
    assert fixed(9701201, 2, 8) == "97012.01000000"
    assert padded(5, 8) == "0.00000005"
    assert scientific(1, 8) == "1e-08"
