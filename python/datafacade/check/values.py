"""Trades and klines hold the numbers that the market made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from datafacade.check.book import plain, whole
from datafacade.check.names import KLINES, TRADES, Topic
from datafacade.check.story import Story, Told
from datafacade.check.truth import Row, Truth
from datafacade.check.verdict import Verdict
from datafacade.v1 import market_pb2, types_pb2

MERGED: Final = frozenset({"okx"})  # one row may stand for several fills
LATE_NS: Final = 2_000_000_000  # so long behind the end of its kline a trade still enters (docs/klines.md)
MACHINE_NS: Final = 500_000_000  # so near to that bound nobody can say from outside
STAMP_NS: Final = 1_000_000  # the coarsest unit of a venue's times
BACKFILLED: Final = types_pb2.UPDATE_FLAG_BACKFILLED
BAD_TICK: Final = types_pb2.UPDATE_FLAG_BAD_TICK
BAD_TS: Final = types_pb2.UPDATE_FLAG_BAD_TS
SIDES: Final = {"buy": types_pb2.SIDE_BUY, "sell": types_pb2.SIDE_SELL}
FINAL: Final = market_pb2.KLINE_STATE_FINAL
COMPLETE: Final = market_pb2.COMPLETENESS_COMPLETE


def odd_trades(truth: Truth, topic: Topic) -> set[int]:
    """Return the trades of which the venue told other numbers than the true ones."""
    return {
        number
        for fault in truth.applied
        if fault.verb == "odd_numbers" and fault.topic == topic
        for number in fault.trade_ids
    }


def right_trades(verdict: Verdict, truth: Truth, story: Story) -> None:
    """Compare price, quantity and side of each trade with the market's."""
    for topic, told in story.topics.items():
        if topic.channel != TRADES:
            continue
        rows, odd = truth.trades.get(topic, {}), odd_trades(truth, topic)
        for one in told:
            number = one.update.trade.trade_id if one.kind == "trade" else 0
            if number not in rows or number in odd:
                continue
            verdict.compared += 1
            what = _differs(one, rows[number], is_merged=topic.venue in MERGED)
            if what:
                verdict.add(str(topic), one.t_mono_ns, f"trade {number}: {what}")


def _differs(one: Told, row: Row, *, is_merged: bool) -> str:
    update, trade = one.update, one.update.trade
    price = plain(whole(trade.price, update.price_exponent))
    quantity = plain(whole(trade.quantity, update.quantity_exponent))
    if Decimal(price) != Decimal(row.price) and row.is_market:
        return f"price {price}, true is {row.price}"
    if not is_merged and Decimal(quantity) != Decimal(row.quantity):
        return f"quantity {quantity}, true is {row.quantity}"
    return f"side {trade.side}, true is {row.taker}" if trade.side != SIDES[row.taker] else ""


@dataclass(frozen=True, slots=True)
class Bar:
    """What an interval holds."""

    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    quote_volume: Decimal
    taker_buy_volume: Decimal
    count: int


def right_klines(verdict: Verdict, truth: Truth, story: Story) -> None:
    """Compare the last word about each final and complete kline with the sums of the market's trades."""
    for topic, told in story.topics.items():
        if topic.channel != KLINES:
            continue
        source = Topic(topic.venue, topic.symbol, TRADES)
        placed = _placed(truth, source, story.of(source))
        for open_ns, one in _last_words(told).items():
            _judge(verdict, topic, one, _members(placed, open_ns, one.update.kline.ts_close))


def _last_words(told: Sequence[Told]) -> dict[int, Told]:
    """Return the newest record of each bar by its open, if that claims to be final and complete.

    A publisher that was ended before a late trade could enter had no time for its last word.
    """
    words = {one.update.kline.ts_open: one for one in told if one.kind == "kline"}
    ends: dict[int, int] = {}
    for one in (one for one in told if one.update.seq):
        ends[one.update.epoch] = max(ends.get(one.update.epoch, 0), one.update.ts_publish)
    return {
        open_ns: one
        for open_ns, one in words.items()
        if one.update.kline.state == FINAL and one.update.kline.completeness == COMPLETE
        if 0 < one.update.kline.ts_close < ends[one.update.epoch] - LATE_NS - MACHINE_NS
    }


def _placed(truth: Truth, source: Topic, told: Sequence[Told]) -> dict[int, Place]:
    """Return where each trade of a market counts, by its number."""
    seen = {one.update.trade.trade_id: one.update for one in told if one.kind == "trade"}
    odd = odd_trades(truth, source)
    placed: dict[int, Place] = {}
    for number, row in truth.trades.get(source, {}).items():
        update = seen.get(number)
        flags = update.flags if update is not None else 0
        if not row.is_market or flags & BAD_TICK:
            continue
        at = update.ts_recv if update is not None and flags & BAD_TS else row.ts_event
        came = update.ts_publish if update is not None and not flags & BACKFILLED else 0
        placed[number] = Place(at, came, None if number in odd and not flags & BAD_TS else row)
    return placed


@dataclass(frozen=True, slots=True)
class Place:
    """Where a trade of the market counts."""

    at: int  # wall time
    came: int  # when it was told, if it was told as it happened; else 0
    row: Row | None  # None: the venue told numbers that nobody could know odd

    def is_counted_late(self, close_ns: int) -> bool:
        """Tell whether it came too late for a kline that ends then."""
        return self.came > close_ns + LATE_NS + MACHINE_NS

    def may_be_either(self, close_ns: int) -> bool:
        """Tell whether it came so near to the bound that it may be in the kline or not."""
        return abs(self.came - close_ns - LATE_NS) <= MACHINE_NS


def _members(placed: Mapping[int, Place], open_ns: int, close_ns: int) -> list[Row | None]:
    """Return the trades of an interval in order; None stands for one that nobody can place from outside."""
    found = [
        (place.at - place.at % STAMP_NS, number, None if place.may_be_either(close_ns) else place.row)
        for number, place in placed.items()
        if open_ns <= place.at < close_ns and not place.is_counted_late(close_ns)
    ]
    return [row for _, _, row in sorted(found, key=lambda member: member[:2])]


def _judge(verdict: Verdict, topic: Topic, one: Told, members: Sequence[Row | None]) -> None:
    rows = [row for row in members if row is not None]
    if len(rows) < len(members):
        return  # odd numbers that the protocol does not show, or a matter of milliseconds
    verdict.compared += 1
    name = f"kline of {one.update.kline.ts_open} revision {one.update.kline.revision}"
    if not rows:
        if one.update.kline.trade_count:
            verdict.add(str(topic), one.t_mono_ns, f"{name} has trades where the market made none")
        return
    told, true = _told(one), _sum(rows)
    for field in ("count", "volume", "quote_volume", "taker_buy_volume", "open", "high", "low", "close"):
        is_merged = field == "count" and topic.venue in MERGED
        if getattr(told, field) != getattr(true, field) and not is_merged:
            what = f"{name} is complete with {field} {getattr(told, field)}, true is {getattr(true, field)}"
            verdict.add(str(topic), one.t_mono_ns, what)
            return


def _told(one: Told) -> Bar:
    kline, exponent = one.update.kline, one.update.price_exponent

    def price(mantissa: int) -> Decimal:
        return Decimal(plain(whole(mantissa, exponent)))

    return Bar(
        price(kline.open),
        price(kline.high),
        price(kline.low),
        price(kline.close),
        Decimal(kline.volume or 0),
        Decimal(kline.quote_volume or 0),
        Decimal(kline.taker_buy_volume or 0),
        kline.trade_count,
    )


def _sum(rows: Sequence[Row]) -> Bar:
    prices = [Decimal(row.price) for row in rows]
    quantities = [Decimal(row.quantity) for row in rows]
    return Bar(
        prices[0],
        max(prices),
        min(prices),
        prices[-1],
        _total(quantities),
        _total(price * quantity for price, quantity in zip(prices, quantities, strict=True)),
        _total(quantity for quantity, row in zip(quantities, rows, strict=True) if row.taker == "buy"),
        len(rows),
    )


def _total(numbers: Iterable[Decimal]) -> Decimal:
    return sum(numbers, Decimal(0))
