"""Make remote text harmless and figures readable. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

# CSI, OSC and other escape sequences as a whole; what is left of them goes as control characters.
_SEQUENCES: Final = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|(?:\x1b\]|\x9d)[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?|\x1b[ -/]*[0-~]"
)
_HIDDEN: Final = frozenset(
    {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
)  # control, direction, surrogates, unassigned
TEXT_MAX: Final = 256
NOTHING: Final = "-"
BARS: Final = "▁▂▃▄▅▆▇"  # without the full block, so that rows stay apart
NS_PER_S: Final = 1_000_000_000
_DURATIONS: Final = ((1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "µs"), (1, "ns"))


def clean(text: str, longest: int = TEXT_MAX) -> str:
    """Return remote text without control sequences, control and direction characters, cut to a length.

    Example:
        >>> clean("ok" + chr(27) + "[31m red")
        'ok red'
    """
    visible = _SEQUENCES.sub("", text)
    visible = "".join(sign for sign in visible if unicodedata.category(sign) not in _HIDDEN)
    return visible if len(visible) <= longest else visible[: longest - 1] + "…"


def duration(ns: float) -> str:
    """Return a duration with three digits and its unit.

    Example:
        >>> duration(1_234_567), duration(45_600)
        ('1.23 ms', '45.6 µs')
    """
    for unit_ns, unit in _DURATIONS:
        if ns >= unit_ns:
            value = ns / unit_ns
            digits = 2 if value < 10 else 1 if value < 100 else 0
            return f"{value:.{digits}f} {unit}"
    return "0 ns"


def clock(seconds: float) -> str:
    """Return a span as hours, minutes and seconds.

    Example:
        >>> clock(3_723)
        '1:02:03'
    """
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"


def span(ns: int) -> str:
    """Return a span to read at a glance: a duration below a minute, else hours, minutes and seconds.

    Example:
        >>> span(1_500_000_000), span(90 * 10**9), span(0)
        ('1.50 s', '0:01:30', '0 ns')
    """
    return clock(ns / NS_PER_S) if ns >= 60 * NS_PER_S else duration(ns)


def moment(ts_ns: int, *, has_millis: bool = False) -> str:
    """Return a time (ns since 1970) in UTC; the number itself where there is no such year.

    Example:
        >>> moment(3_600 * 10**9), moment(1_500_000, has_millis=True)
        ('1970-01-01 01:00:00', '1970-01-01 00:00:00.001')
    """
    try:
        text = datetime.fromtimestamp(ts_ns // NS_PER_S, UTC).strftime("%Y-%m-%d %H:%M:%S")
    except (OverflowError, ValueError):
        return str(ts_ns)
    return f"{text}.{ts_ns // 1_000_000 % 1_000:03}" if has_millis else text


def grouped(value: Decimal | None, longest: int = 18) -> str:
    """Return a decimal with thousands apart; a dash if there is none.

    Example:
        >>> grouped(Decimal("61602.50"))
        '61,602.50'
    """
    if value is None:
        return NOTHING
    text = f"{value:,f}"
    return text if len(text) <= longest else f"{value:.6g}"


def full(value: Decimal | None) -> str:
    """Return a decimal with thousands apart and all its digits; a dash if there is none.

    Example:
        >>> full(Decimal("65083.601234567890123"))
        '65,083.601234567890123'
    """
    return NOTHING if value is None else f"{value:,f}"


def sparkline(values: Sequence[float], width: int) -> str:
    """Return the newest ``width`` values as bars between their smallest and largest.

    Example:
        >>> sparkline([1, 2, 3, 4], 4)
        '▁▃▅▇'
    """
    shown = values[-width:]
    if not shown:
        return ""
    low, high = min(shown), max(shown)
    if high == low:
        return BARS[3] * len(shown)
    top = len(BARS) - 1
    return "".join(BARS[round((value - low) / (high - low) * top)] for value in shown)


def quantile(ordered: Sequence[int], ratio: float) -> int:
    """Return the value at a ratio of ordered values by nearest rank; 0: there are none.

    Example:
        >>> quantile([1, 2, 3, 4], 0.5), quantile([1, 2, 3, 4], 0.99)
        (2, 4)
    """
    if not ordered:
        return 0
    rank = -(-len(ordered) * ratio // 1)  # rounded up
    return ordered[max(0, min(len(ordered), int(rank)) - 1)]
