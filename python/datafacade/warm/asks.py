"""Check what a client asks for, and bring it into the one form that equal questions share. Pure."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from datafacade._core import parse_variant
from datafacade.clock import NS_PER_S
from datafacade.errors import InvalidRequest
from datafacade.types import Channel, InstrumentRow
from datafacade.warm.native import USUAL_ROWS, Ask

KLINES_MAX: Final = 5_000
KLINES_DEFAULT: Final = USUAL_ROWS["klines"]
TRADES_MAX: Final = 1_000
TRADES_DEFAULT: Final = USUAL_ROWS["trades"]
FUNDING_MAX: Final = 1_000
FUNDING_DEFAULT: Final = USUAL_ROWS["funding"]
MONTH: Final = "1M"
_SECONDS: Final = MappingProxyType({"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800})


def klines(
    venue: str, row: InstrumentRow, interval: str, *, limit: int, ts_start: int, ts_end: int, now_ns: int
) -> Ask:
    """Return the question for klines.

    A span begins and ends where bars do, so that all who ask for the same bars share one answer.

    Raises:
        InvalidRequest: An interval that is none, or rows or times outside what is allowed.

    Example:
        >>> row = {"symbol": "BTC-USD"}
        >>> klines("kraken", row, "60m", limit=0, ts_start=0, ts_end=0, now_ns=1).key
        'klines:kraken:BTC-USD:1h:500'
    """
    interval, length_ns = interval_of(interval)
    _check_span(ts_start, ts_end, now_ns)
    step = length_ns or NS_PER_S
    return Ask(
        kind="klines",
        venue=venue,
        row=row,
        interval=interval,
        interval_ns=length_ns,
        limit=_rows(limit, default=KLINES_DEFAULT, most=KLINES_MAX),
        ts_from=-(-ts_start // step) * step,
        ts_until=0 if ts_end > now_ns else -(-ts_end // step) * step,
    )


def trades(venue: str, row: InstrumentRow, *, limit: int, ts_start: int, ts_end: int, now_ns: int) -> Ask:
    """Return the question for trades.

    Raises:
        InvalidRequest: Rows or times outside what is allowed.
    """
    _check_span(ts_start, ts_end, now_ns)
    return Ask(
        kind="trades",
        venue=venue,
        row=row,
        limit=_rows(limit, default=TRADES_DEFAULT, most=TRADES_MAX),
        ts_from=ts_start,
        ts_until=0 if ts_end > now_ns else ts_end,
    )


def funding(venue: str, row: InstrumentRow, *, limit: int, ts_start: int, ts_end: int, now_ns: int) -> Ask:
    """Return the question for funding rates.

    Raises:
        InvalidRequest: Rows or times outside what is allowed.
    """
    _check_span(ts_start, ts_end, now_ns)
    return Ask(
        kind="funding",
        venue=venue,
        row=row,
        limit=_rows(limit, default=FUNDING_DEFAULT, most=FUNDING_MAX),
        ts_from=ts_start,
        ts_until=0 if ts_end > now_ns else ts_end,
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


def _rows(limit: int, *, default: int, most: int) -> int:
    if limit > most:
        raise InvalidRequest("limit", f"expected 1 to {most}, received {limit}")
    return limit or default


def _check_span(ts_start: int, ts_end: int, now_ns: int) -> None:
    for name, value in (("ts_start", ts_start), ("ts_end", ts_end)):
        if value < 0:
            raise InvalidRequest(name, f"expected a time since 1970, received {value}")
    if ts_start >= now_ns:
        raise InvalidRequest("ts_start", f"expected a time in the past, received {ts_start}")
    if ts_end and ts_start >= ts_end:
        raise InvalidRequest("ts_end", f"expected a time above ts_start {ts_start}, received {ts_end}")
