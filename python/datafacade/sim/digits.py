"""Print exact decimals from integers, in every spelling the venues use. Pure."""

from __future__ import annotations


def padded(value: int, scale: int) -> str:
    """Return ``value * 10**-scale`` with exactly ``scale`` decimals.

    Example:
        >>> padded(9701201, 4)
        '970.1201'
    """
    if scale == 0:
        return str(value)
    if value < 0:
        return f"-{padded(-value, scale)}"
    digits = str(value)
    if len(digits) <= scale:
        digits = digits.zfill(scale + 1)
    return f"{digits[:-scale]}.{digits[-scale:]}"


def trimmed(value: int, scale: int) -> str:
    """Return ``value * 10**-scale`` without exponent and without trailing zeros.

    Example:
        >>> trimmed(20000, 2), trimmed(229, 7)
        ('200', '0.0000229')
    """
    text = padded(value, scale)
    return text.rstrip("0").rstrip(".") if scale else text


def scientific(value: int, scale: int) -> str:
    """Return ``value * 10**-scale`` as a JSON number with an exponent.

    Example:
        >>> scientific(5100, 8), scientific(1, 8)
        ('5.1e-05', '1e-08')
    """
    if value == 0:
        return "0"
    sign = "-" if value < 0 else ""
    digits = str(abs(value))
    exponent = len(digits) - 1 - scale
    fraction = digits[1:].rstrip("0")
    mantissa = f"{digits[0]}.{fraction}" if fraction else digits[0]
    return f"{sign}{mantissa}e{exponent:+03d}"


def fixed(value: int, scale: int, decimals: int) -> str:
    """Return ``value * 10**-scale`` padded to ``decimals`` places, which must not be fewer than ``scale``.

    Example:
        >>> fixed(9701201, 2, 8)
        '97012.01000000'
    """
    if scale == 0:
        return padded(value * 10**decimals, decimals)
    return padded(value, scale) + "0" * (decimals - scale)
