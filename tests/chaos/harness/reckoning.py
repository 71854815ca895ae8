"""What klines hold, what was told as missing, what the market traded: it must add up (rows B22, D09).

The market's side comes from the simulator's truth log, the other two from what a client was told.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from datafacade.check.holes import Hole, holes
from datafacade.check.names import KLINES, TRADES, Topic
from datafacade.check.story import Story, Told
from datafacade.check.truth import Row
from datafacade.check.values import MERGED
from datafacade.v1 import market_pb2, types_pb2

SECOND_NS: Final = 1_000_000_000
ZERO: Final = Decimal(0)
FINAL: Final = market_pb2.KLINE_STATE_FINAL
INCOMPLETE: Final = market_pb2.COMPLETENESS_INCOMPLETE
LEFT_OUT: Final = types_pb2.UPDATE_FLAG_BAD_TICK  # such a trade is told, and is in no kline
BAD_TS: Final = types_pb2.UPDATE_FLAG_BAD_TS


@dataclass(frozen=True, slots=True)
class Reckoning:
    """Sums over a window of whole intervals, in base units."""

    topic: Topic
    klines: int  # intervals that had a kline
    incomplete: int  # of these
    held: Decimal  # volume in klines
    announced: Decimal  # volume of trades that Gap records own up to, or that are flagged
    late: Decimal  # volume of trades that were told and came too late for their kline
    true: Decimal  # volume that the market traded

    @property
    def adds_up(self) -> bool:
        """Whether nothing is missing, and nothing is there twice."""
        return self.held + self.announced + self.late == self.true

    def __str__(self) -> str:
        """Return one line."""
        sums = f"held {self.held} + announced {self.announced} + late {self.late}, true {self.true}"
        return f"{self.topic}: {self.klines} klines, {self.incomplete} incomplete, {sums}"


def klines_of(trades: Topic, variant: str) -> Topic:
    """Return the klines that are made of a topic's trades."""
    return Topic(trades.venue, trades.symbol, KLINES, variant)


def last_words(told: Sequence[Told], window: range) -> dict[int, Told]:
    """Return the newest final record of each kline that opens in a window, by its open."""
    return {
        one.update.kline.ts_open: one
        for one in told
        if one.kind == "kline" and one.update.kline.state == FINAL and one.update.kline.ts_open in window
    }


def reckon(
    story: Story, rows: Mapping[int, Row], topic: Topic, window: range, *, late: Collection[int] = ()
) -> Reckoning:
    """Add up a window.

    Args:
        story: What a client was told: klines and trades.
        rows: What the market traded, by trade id.
        topic: The klines.
        window: Nanoseconds since 1970, whole intervals.
        late: Trades that were told too late for their kline.
    """
    told = story.of(Topic(topic.venue, topic.symbol, TRADES))
    trades = _by_number([one for one in told if one.kind == "trade"], rows, is_merged=topic.venue in MERGED)
    flagged = {number for number, one in trades.items() if one.update.flags & LEFT_OUT}
    late = {number for number, one in trades.items() if one.update.trade.trade_id in late}
    lost = holes(told)
    inside = {
        number: row for number, row in rows.items() if row.is_market and _at(number, row, trades) in window
    }
    words = last_words(story.of(topic), window).values()
    return Reckoning(
        topic=topic,
        klines=len(words),
        incomplete=sum(one.update.kline.completeness == INCOMPLETE for one in words),
        held=sum((Decimal(one.update.kline.volume or 0) for one in words), ZERO),
        announced=sum(
            (
                Decimal(row.quantity)
                for number, row in inside.items()
                if number in flagged or (number not in trades and _is_covered(lost, number, row))
            ),
            ZERO,
        ),
        late=sum((Decimal(row.quantity) for number, row in inside.items() if number in late), ZERO),
        true=sum((Decimal(row.quantity) for row in inside.values()), ZERO),
    )


def _by_number(told: Sequence[Told], rows: Mapping[int, Row], *, is_merged: bool) -> dict[int, Told]:
    """Return what was told of each trade: a merged one stands under its last number for those before it."""
    found = {one.update.trade.trade_id: one for one in told}
    if is_merged:
        numbers = sorted(found)
        for number in rows:
            at = bisect_left(numbers, number)
            if at < len(numbers):
                found.setdefault(number, found[numbers[at]])
    return found


def _at(number: int, row: Row, trades: Mapping[int, Told]) -> int:
    """Return when a trade counts: by the venue's time, by ours where that is flagged."""
    one = trades.get(number)
    return one.update.ts_recv if one is not None and one.update.flags & BAD_TS else row.ts_event


def _is_covered(lost: Sequence[Hole], number: int, row: Row) -> bool:
    return any(hole.covers(number, row.ts_event) for hole in lost)


def invented(story: Story, topic: Topic, window: range) -> list[str]:
    """Return the klines whose prices are not those of trades that were told in their interval."""
    told = story.of(Topic(topic.venue, topic.symbol, TRADES))
    trades = [one.update for one in told if one.kind == "trade" and not one.update.flags & LEFT_OUT]
    found = []
    for one in last_words(story.of(topic), window).values():
        kline = one.update.kline
        prices = {
            Decimal(trade.trade.price).scaleb(trade.price_exponent)
            for trade in trades
            if kline.ts_open <= (trade.ts_recv if trade.flags & BAD_TS else trade.ts_event) < kline.ts_close
        }
        shown = {
            Decimal(mantissa).scaleb(one.update.price_exponent)
            for mantissa in (kline.open, kline.high, kline.low, kline.close)
        }
        if not shown <= prices or max(prices) != max(shown) or min(prices) != min(shown):
            found.append(f"{topic} at {kline.ts_open}: {shown} of {prices}")
    return found
