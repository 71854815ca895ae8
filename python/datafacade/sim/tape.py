"""What a market traded: the matches by number and by time, and the candles they make. Pure.

Match numbers of one market follow each other without holes. A candle is summed up in integers, so that a
checker can compare sums to the last digit.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final, Literal

from datafacade.sim.intervals import MINUTE_NS, Interval

CANDLES_KEPT: Final = 10_000  # minutes


@dataclass(frozen=True, slots=True)
class Trade:
    """One match of a resting order with a taker."""

    trade_id: int
    price: int
    quantity: int
    taker: Literal["buy", "sell"]
    ts_event: int  # ns since 1970
    order: int  # matches of one taker order share this number
    group: int = 0  # matches of one taker order at one price share this number


@dataclass(slots=True)
class Candle:
    """Trades of one interval. Prices and quantities in the market's units, notional in their product."""

    open_ns: int  # begin of the interval, ns since 1970
    open: int
    high: int
    low: int
    close: int
    volume: int = 0
    notional: int = 0
    count: int = 0
    taker_volume: int = 0  # bought by takers
    taker_notional: int = 0
    first_id: int = 0
    last_id: int = 0

    def add(self, trade: Trade) -> None:
        """Count ``trade``."""
        self.high, self.low = max(self.high, trade.price), min(self.low, trade.price)
        self.close = trade.price
        notional = trade.price * trade.quantity
        self.volume += trade.quantity
        self.notional += notional
        self.first_id = self.first_id or trade.trade_id
        self.last_id = trade.trade_id
        self.count += 1
        if trade.taker == "buy":
            self.taker_volume += trade.quantity
            self.taker_notional += notional

    def join(self, later: Candle) -> None:
        """Count all that ``later`` counted; it lies behind this one."""
        self.high, self.low = max(self.high, later.high), min(self.low, later.low)
        self.close = later.close
        self.volume += later.volume
        self.notional += later.notional
        self.count += later.count
        self.taker_volume += later.taker_volume
        self.taker_notional += later.taker_notional
        self.first_id = self.first_id or later.first_id
        self.last_id = later.last_id


def everything(trade: Trade) -> bool:
    """Take every trade for one of the market."""
    del trade
    return True


@dataclass(slots=True)
class Tape:
    """The newest ``kept`` matches of one market, and its candles of a minute."""

    kept: int
    counts: Callable[[Trade], bool] = everything  # whether a match is one of the market (futures: not all)
    trades: list[Trade] = field(default_factory=list)
    minutes: list[Candle] = field(default_factory=list)
    hidden: set[int] = field(default_factory=set)  # numbers that REST does not tell

    def add(self, trade: Trade) -> None:
        """Append a match."""
        self.trades.append(trade)
        if len(self.trades) > 2 * self.kept:
            del self.trades[: self.kept]
        if not self.counts(trade):
            return
        start = trade.ts_event - trade.ts_event % MINUTE_NS
        if not self.minutes or self.minutes[-1].open_ns < start:
            self.minutes.append(Candle(start, trade.price, trade.price, trade.price, trade.price))
            if len(self.minutes) > 2 * CANDLES_KEPT:
                del self.minutes[:CANDLES_KEPT]
        self.minutes[-1].add(trade)

    # By number and by time

    def newest(self, count: int) -> list[Trade]:
        """Return the newest ``count`` matches, oldest first."""
        return self._told(self.trades[-count:] if count > 0 else [])

    def since_id(self, first: int, count: int) -> list[Trade]:
        """Return up to ``count`` matches from number ``first`` on, oldest first."""
        at = self._at(first)
        return self._told(self.trades[at : at + count])

    def before_id(self, end: int, count: int) -> list[Trade]:
        """Return the newest ``count`` matches below number ``end``, oldest first."""
        at = self._at(end)
        return self._told(self.trades[max(0, at - count) : at])

    def between(self, start_ns: int | None, end_ns: int | None) -> list[Trade]:
        """Return the matches of ``start_ns <= time <= end_ns``, oldest first."""
        trades = self.trades
        low = 0 if start_ns is None else bisect_left(trades, start_ns, key=_time_of)
        high = len(trades) if end_ns is None else bisect_right(trades, end_ns, key=_time_of)
        return self._told(trades[low:high])

    def _told(self, trades: list[Trade]) -> list[Trade]:
        """Return ``trades`` without those that are hidden."""
        return [trade for trade in trades if trade.trade_id not in self.hidden] if self.hidden else trades

    def _at(self, number: int) -> int:
        """Return the place of match ``number``, or of the next one that is kept."""
        if not self.trades:
            return 0
        return min(max(0, number - self.trades[0].trade_id), len(self.trades))

    # Candles

    def candles(self, interval: Interval, start_ns: int, end_ns: int) -> list[Candle]:
        """Return the candles whose begin lies in ``start_ns .. end_ns``, oldest first, none without trades.

        Args:
            interval: Length.
            start_ns: Earliest begin, ns since 1970.
            end_ns: Latest begin, ns since 1970.
        """
        if not interval.months and interval.ns < MINUTE_NS:
            parts: Iterable[Candle] = _single(filter(self.counts, self.between(start_ns, None)))
        else:
            at = bisect_left(self.minutes, interval.begin(start_ns), key=_begin_of)
            parts = self.minutes[at:]
        return [candle for candle in grouped(parts, interval) if start_ns <= candle.open_ns <= end_ns]

    def close_before(self, ns: int) -> int | None:
        """Return the price of the last match of the market before ``ns``, or None."""
        for at in range(bisect_left(self.trades, ns, key=_time_of) - 1, -1, -1):
            if self.counts(self.trades[at]):
                return self.trades[at].price
        at = bisect_right(self.minutes, ns - MINUTE_NS, key=_begin_of)
        return self.minutes[at - 1].close if at else None


def grouped(parts: Iterable[Candle], interval: Interval) -> list[Candle]:
    """Return the candles of ``interval`` that ``parts`` make, which must be in order."""
    made: list[Candle] = []
    for part in parts:
        start = interval.begin(part.open_ns)
        if not made or made[-1].open_ns != start:
            made.append(Candle(start, part.open, part.high, part.low, part.close))
        made[-1].join(part)
    return made


def _single(trades: Iterable[Trade]) -> Iterable[Candle]:
    """Yield a candle of each trade alone."""
    for trade in trades:
        candle = Candle(trade.ts_event, trade.price, trade.price, trade.price, trade.price)
        candle.add(trade)
        yield candle


def _time_of(trade: Trade) -> int:
    return trade.ts_event


def _begin_of(candle: Candle) -> int:
    return candle.open_ns
