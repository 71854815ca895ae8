"""Check what a client asks for, and bring it into the one form that equal questions share. Pure."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from datafacade._core import parse_variant
from datafacade.clock import NS_PER_S
from datafacade.errors import InvalidRequest
from datafacade.types import Channel, InstrumentRow
from datafacade.warm.native import SHAPES, Ask, Kind, Shape

MONTH: Final = "1M"
_SECONDS: Final = MappingProxyType({"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800})


def check_named(**names: str) -> None:
    """Refuse a request that leaves a name out.

    Args:
        **names: Values by the field of the request, in the order in which they are looked at.

    Raises:
        InvalidRequest: One is empty.
    """
    for field, name in names.items():
        if not name:
            raise InvalidRequest(field, "expected a name, received nothing")


def series(
    kind: Kind,
    venue: str,
    row: InstrumentRow,
    *,
    interval: str = "",
    limit: int = 0,
    ts_start: int = 0,
    ts_end: int = 0,
    now_ns: int,
) -> Ask:
    """Return the question for klines, trades or funding rates.

    A span of klines begins and ends where bars do, so that all who ask for the same bars share one answer.

    Raises:
        InvalidRequest: An interval that is none, or rows or times outside what is allowed.

    Example:
        >>> row = {"symbol": "BTC-USD"}
        >>> series("klines", "kraken", row, interval="60m", now_ns=1).key
        'klines:kraken:BTC-USD:1h:500'
    """
    length_ns, step_ns = 0, 1
    if kind == "klines":
        interval, length_ns = interval_of(interval)
        step_ns = length_ns or NS_PER_S
    _check_span(ts_start, ts_end, now_ns)
    return Ask(
        kind=kind,
        venue=venue,
        row=row,
        interval=interval,
        interval_ns=length_ns,
        limit=_rows(limit, SHAPES[kind]),
        ts_from=-(-ts_start // step_ns) * step_ns,
        ts_until=0 if ts_end > now_ns else -(-ts_end // step_ns) * step_ns,
    )


def ticker(venue: str, row: InstrumentRow) -> Ask:
    """Return the question for a ticker."""
    return Ask(kind="ticker", venue=venue, row=row)


def book(venue: str, row: InstrumentRow, *, depth: int) -> Ask:
    """Return the question for a book that nobody follows."""
    return Ask(kind="book", venue=venue, row=row, limit=depth)


def interval_of(text: str) -> tuple[str, int]:
    """Return an interval's canonical text and its length, ns; 0: a month.

    Raises:
        InvalidRequest: It is none.

    Example:
        >>> interval_of("60m")
        ('1h', 3600000000000)
    """
    problem = f"expected an interval as 1m, 1h, 1d or {MONTH}, received {text[:32]!r}"
    if text == MONTH:
        return text, 0
    try:
        canonical = parse_variant(int(Channel.KLINES), text) if text else ""
    except ValueError:
        raise InvalidRequest("interval", problem) from None
    if not canonical or canonical[-1] not in _SECONDS:
        raise InvalidRequest("interval", problem)
    return canonical, int(canonical[:-1]) * _SECONDS[canonical[-1]] * NS_PER_S


def _rows(limit: int, shape: Shape) -> int:
    if limit > shape.rows_max:
        raise InvalidRequest("limit", f"expected 1 to {shape.rows_max}, received {limit}")
    return limit or shape.rows_usual


def _check_span(ts_start: int, ts_end: int, now_ns: int) -> None:
    for name, value in (("ts_start", ts_start), ("ts_end", ts_end)):
        if value < 0:
            raise InvalidRequest(name, f"expected a time since 1970, received {value}")
    if ts_start >= now_ns:
        raise InvalidRequest("ts_start", f"expected a time in the past, received {ts_start}")
    if ts_end and ts_start >= ts_end:
        raise InvalidRequest("ts_end", f"expected a time above ts_start {ts_start}, received {ts_end}")
