"""The candles of one market: those before the start, those of its trades, and what was revised. Pure.

A candle that lies over the start holds both parts. All begins and times are ns since 1970.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from datafacade.sim.intervals import DAY_NS, MINUTE_NS, Interval
from datafacade.sim.listings import Instrument
from datafacade.sim.past import FIRST_DAY, UNIT, Bar, Past
from datafacade.sim.tape import Candle, Tape

FIRST_NS: Final = FIRST_DAY * DAY_NS
VOLUME_SHARE: Final = 10  # a unit of past volume is this part of a typical level
ROWS_KEPT: Final = 100_000  # texts of closed candles, of all markets together


RowWriter = Callable[[Instrument, Candle, bool], str]  # the bool tells whether the candle is closed


@dataclass(frozen=True, slots=True)
class Revision:
    """A change of closed candles that begin in ``first_ns .. last_ns``."""

    first_ns: int
    last_ns: int
    price_ratio: float  # prices times 1 + this
    volume_ratio: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Which candles are wanted: begins in ``first_ns .. last_ns``, at most ``count``."""

    interval: Interval
    first_ns: int = FIRST_NS
    last_ns: int
    count: int
    is_oldest: bool = False  # the oldest ``count`` of the range, else the newest
    with_empty: bool = True  # intervals without trades, at the close before them


@dataclass(slots=True)
class RowCache:
    """Texts of closed candles, so that an answer costs little the second time."""

    rows: dict[tuple[object, ...], str] = field(default_factory=dict)

    def keep(self, key: tuple[object, ...], row: str) -> str:
        """Remember and return ``row``."""
        if len(self.rows) >= ROWS_KEPT:
            self.rows.clear()
        self.rows[key] = row
        return row


@dataclass(slots=True)
class History:
    """Candles of one market."""

    instrument: Instrument
    tape: Tape
    past: Past | None  # None: nothing before the first trade
    cache: RowCache
    revisions: list[Revision] = field(default_factory=list)
    _straddling: dict[Interval, Candle | None] = field(default_factory=dict)

    @property
    def live_ns(self) -> int:
        """Return the begin of the first minute whose candle is made of trades."""
        return self.tape.minutes[0].open_ns if self.tape.minutes else 0

    def rows(self, page: Page, now_ns: int, write: RowWriter) -> list[str]:
        """Return the candles of ``page`` as ``write`` puts them, ascending."""
        name = (id(self), write, page.interval, len(self.revisions))
        kept = self.cache.rows
        begins = self._begins(page)
        ready = {begin: kept[(*name, begin)] for begin in begins if (*name, begin) in kept}
        missing = [begin for begin in begins if begin not in ready]
        if not missing:
            return [ready[begin] for begin in begins]
        for candle in self._candles(page, missing[0], missing[-1]):
            if candle.open_ns not in ready:
                is_closed = page.interval.end(candle.open_ns) <= now_ns
                ready[candle.open_ns] = row = write(self.instrument, candle, is_closed)
                if page.interval.end(candle.open_ns) + MINUTE_NS <= now_ns:
                    self.cache.keep((*name, candle.open_ns), row)
        return [ready[begin] for begin in begins if begin in ready]

    def candles(self, page: Page) -> list[Candle]:
        """Return the candles of ``page``, ascending."""
        begins = self._begins(page)
        return self._candles(page, begins[0], begins[-1]) if begins else []

    def _begins(self, page: Page) -> list[int]:
        """Return the begins that ``page`` asks for, had every interval a candle."""
        interval, first = page.interval, max(page.first_ns, self._oldest(page.interval))
        if page.last_ns < first:
            return []
        if not page.is_oldest:
            newest = interval.begin(page.last_ns)
            first = max(first, interval.back(newest, page.count - 1))
            return interval.begins(first, page.last_ns)
        begin = interval.begin(first)
        last = min(page.last_ns, interval.back(begin, -page.count))
        return interval.begins(first, last)[: page.count]

    def _oldest(self, interval: Interval) -> int:
        has_past = self.past is not None and not interval.ns % MINUTE_NS
        return FIRST_NS if has_past else interval.begin(self.live_ns)

    def _candles(self, page: Page, first: int, last: int) -> list[Candle]:
        """Return the candles that begin in ``first .. last``, revised."""
        interval, live = page.interval, self.live_ns
        found: dict[int, Candle] = {}
        if self.past is not None and first < live:
            found.update(self._before(interval, first, min(last, live - 1)))
        if last >= interval.begin(live):
            self._add_live(found, interval, max(first, interval.begin(live)), last)
        begins = interval.begins(first, last)
        if page.with_empty:
            self._fill(found, begins, interval)
        made = [found[begin] for begin in begins if begin in found]
        return [self._revised(candle) for candle in made] if self.revisions else made

    def _before(self, interval: Interval, first: int, last: int) -> dict[int, Candle]:
        """Return the candles before the first trade by begin; one that holds it is whole up to there."""
        if self.past is None or interval.ns % MINUTE_NS:
            return {}
        live, begins = self.live_ns, interval.begins(max(first, FIRST_NS), last)
        found: dict[int, Candle] = {}
        if begins and interval.end(begins[-1]) > live:
            begin = begins.pop()
            if interval not in self._straddling:
                bar = self.past.span(begin // MINUTE_NS, live // MINUTE_NS)
                self._straddling[interval] = None if bar is None else self._candle(begin, bar)
            kept = self._straddling[interval]
            if kept is not None:
                found[begin] = replace(kept)
        if interval.months:
            ends = [(begin // MINUTE_NS, interval.end(begin) // MINUTE_NS) for begin in begins]
            bars: Sequence[Bar | None] = [self.past.span(*span) for span in ends]
        else:
            length = interval.ns // MINUTE_NS
            bars = self.past.runs([begin // MINUTE_NS for begin in begins], length)
        for begin, bar in zip(begins, bars, strict=True):
            if bar is not None:
                found[begin] = self._candle(begin, bar)
        return found

    def _candle(self, begin: int, bar: Bar) -> Candle:
        """Return a bar of the past in this market's units."""
        listed = self.instrument
        start, factor = listed.start_price, max(1, listed.typical_quantity // VOLUME_SHARE)
        open_, high, low, close = (max(1, price * start // UNIT) for price in bar[:4])
        volume, taken = bar.volume * factor, bar.taken * factor
        typical = (open_ + high + low + close) // 4
        return Candle(
            begin, open_, high, low, close, volume, volume * typical, bar.trades, taken, taken * typical
        )

    def _add_live(self, found: dict[int, Candle], interval: Interval, first: int, last: int) -> None:
        for candle in self.tape.candles(interval, first, last):
            if candle.open_ns in found:
                found[candle.open_ns].join(candle)
            else:
                found[candle.open_ns] = candle

    def _fill(self, found: dict[int, Candle], begins: Sequence[int], interval: Interval) -> None:
        """Put a candle at the close before into each interval without one."""
        close: int | None = None
        for begin in begins:
            if begin in found:
                close = found[begin].close
                continue
            close = self._close_before(begin, interval) if close is None else close
            if close is not None:
                found[begin] = Candle(begin, close, close, close, close)

    def _close_before(self, begin: int, interval: Interval) -> int | None:
        """Return the last price before ``begin``, or None before the first trade."""
        newest = self.tape.close_before(begin)
        if newest is not None or self.past is None or interval.ns % MINUTE_NS:
            return newest
        minute = min(begin, self.live_ns) // MINUTE_NS
        bar = self.past.span(minute - 1, minute)
        return None if bar is None else self._candle(begin, bar).close

    def _revised(self, candle: Candle) -> Candle:
        for change in self.revisions:
            if change.first_ns <= candle.open_ns <= change.last_ns:
                ratio = 1 + change.price_ratio
                candle = replace(
                    candle,
                    open=int(candle.open * ratio),
                    high=int(candle.high * ratio) + 1,
                    low=int(candle.low * ratio),
                    close=int(candle.close * ratio),
                    volume=int(candle.volume * change.volume_ratio),
                    notional=int(candle.notional * ratio * change.volume_ratio),
                    taker_volume=int(candle.taker_volume * change.volume_ratio),
                    taker_notional=int(candle.taker_notional * ratio * change.volume_ratio),
                )
        return candle

    def before_start(self, first_ns: int) -> Candle | None:
        """Return what lies between ``first_ns`` (a whole minute) and the first trade as one candle."""
        if self.past is None or first_ns >= self.live_ns:
            return None
        bar = self.past.span(first_ns // MINUTE_NS, self.live_ns // MINUTE_NS)
        return None if bar is None else self._candle(first_ns, bar)
