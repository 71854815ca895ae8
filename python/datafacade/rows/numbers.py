"""Read the contract's numbers: value = mantissa * 10^exponent, exact in every direction. Pure."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Final

DIGITS_MAX: Final = 200


def plain(mantissa: int, exponent: int) -> str:
    """Return the canonical text: plain decimal, no exponent, no trailing zeros behind the point.

    Example:
        >>> plain(16717700, -7), plain(5, 2), plain(-25, -1)
        ('1.67177', '500', '-2.5')
    """
    if mantissa == 0:
        return "0"
    if exponent >= 0:
        return f"{mantissa}{'0' * exponent}"
    digits = str(abs(mantissa)).rjust(1 - exponent, "0")
    whole, behind = digits[:exponent], digits[exponent:].rstrip("0")
    sign = "-" if mantissa < 0 else ""
    return f"{sign}{whole}.{behind}" if behind else f"{sign}{whole}"


def decimal(mantissa: int, exponent: int) -> Decimal:
    """Return the value, whatever precision the caller's decimal context has.

    Example:
        >>> decimal(6160201, -2)
        Decimal('61602.01')
    """
    if exponent >= 0:
        return Decimal(mantissa * 10**exponent)
    return Decimal(f"{mantissa}e{exponent}")


def exact(text: str) -> Decimal | None:
    """Return an exact decimal text of the contract; None: empty, or no number of sensible size.

    Example:
        >>> exact("2799.70"), exact(""), exact("NaN")
        (Decimal('2799.70'), None, None)
    """
    try:
        value = Decimal(text) if 0 < len(text) <= DIGITS_MAX else None
    except InvalidOperation:
        return None
    # Beyond these a plain text of it would fill the memory: 1e999999999 has few signs.
    is_sane = value is not None and value.is_finite() and abs(value.adjusted()) <= DIGITS_MAX
    return value if is_sane else None


def finer(exponent: int, other: int) -> tuple[int, int, int]:
    """Return the finer of two exponents and the factors that bring mantissas of each to it.

    Example:
        >>> finer(-2, -5)
        (-5, 1000, 1)
    """
    finest = min(exponent, other)
    return finest, 10 ** (exponent - finest), 10 ** (other - finest)
