"""Numbers of the contract read exactly; the oracle is Python's Decimal with room enough."""

from decimal import Context, Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datafacade.rows.numbers import decimal, finer, plain

MANTISSAS = st.integers(-(2**63), 2**63 - 1)
EXPONENTS = st.integers(-30, 30)


@given(MANTISSAS, EXPONENTS)
def test_plain_text_is_the_value_without_exponent_and_trailing_zeros(mantissa: int, exponent: int) -> None:
    text = plain(mantissa, exponent)
    assert Decimal(text) == Decimal(mantissa).scaleb(exponent, Context(prec=100))
    assert set(text) <= set("-.0123456789")
    assert not text.startswith(("-0", ".")) or text.startswith("-0.")
    if "." in text:
        assert not text.endswith(("0", "."))


@pytest.mark.parametrize(
    ("mantissa", "exponent", "text"),
    [(0, -8, "0"), (0, 5, "0"), (6160202, -2, "61602.02"), (5, -1, "0.5"), (-5, -3, "-0.005"),
     (500, 0, "500"), (5, 2, "500"), (1000, -3, "1"), (1, -18, "0.000000000000000001")],
)  # fmt: skip
def test_plain_text_of_known_numbers(mantissa: int, exponent: int, text: str) -> None:
    assert plain(mantissa, exponent) == text


@given(MANTISSAS, EXPONENTS)
def test_decimals_are_exact_whatever_the_callers_precision(mantissa: int, exponent: int) -> None:
    with localcontext(Context(prec=3)):
        value = decimal(mantissa, exponent)
    assert value == Decimal(mantissa).scaleb(exponent, Context(prec=100))


@given(MANTISSAS, EXPONENTS, EXPONENTS)
def test_factors_bring_two_exponents_to_the_finer_one(mantissa: int, one: int, other: int) -> None:
    finest, factor, _ = finer(one, other)
    assert finest == min(one, other)
    assert decimal(mantissa * factor, finest) == decimal(mantissa, one)
