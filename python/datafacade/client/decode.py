"""Turn records of the contract into events. Pure."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from datafacade.client.events import (
    LOCAL,
    ConsolidatedQuote,
    ConsolidatedTop,
    DeliveryChange,
    Gap,
    Kline,
    StreamState,
    Ticker,
    TopOfBook,
    Trade,
)
from datafacade.client.stamp import Received, Stamp, stamp_of
from datafacade.client.topic import Topic
from datafacade.rows.numbers import decimal, exact
from datafacade.rows.words import (
    COMPLETENESS,
    DELIVERY_CAUSE,
    DELIVERY_MODE,
    GAP_CAUSE,
    GAP_SCOPE,
    GAP_STATE,
    KLINE_STATE,
    SIDE,
    STATE,
    STATE_REASON,
)
from datafacade.v1 import book_pb2, hot_pb2, market_pb2, stream_pb2

_Price = Literal["last_price", "bid_price", "ask_price", "open_24h", "high_24h", "low_24h"]
_Bar = Literal["open", "high", "low", "close"]
_Quantity = Literal["last_quantity", "bid_quantity", "ask_quantity"]


def trade_of(update: hot_pb2.Update, received: Received) -> Trade:
    """Return the trade of an update."""
    row = update.trade
    return Trade(
        venue=update.venue,
        symbol=update.symbol,
        price=decimal(row.price, update.price_exponent),
        quantity=decimal(row.quantity, update.quantity_exponent),
        side=SIDE(row.side),
        trade_id=row.trade_id if row.HasField("trade_id") else None,
        is_off_market=row.is_off_market,
        stamp=stamp_of(update, received),
    )


def top_of(update: hot_pb2.Update, received: Received) -> TopOfBook:
    """Return the best prices of an update."""
    row, px, qty = update.top_of_book, update.price_exponent, update.quantity_exponent
    return TopOfBook(
        venue=update.venue,
        symbol=update.symbol,
        bid_price=decimal(row.bid_price, px) if row.HasField("bid_price") else None,
        bid_quantity=decimal(row.bid_quantity, qty) if row.HasField("bid_quantity") else None,
        ask_price=decimal(row.ask_price, px) if row.HasField("ask_price") else None,
        ask_quantity=decimal(row.ask_quantity, qty) if row.HasField("ask_quantity") else None,
        stamp=stamp_of(update, received),
    )


def ticker_of(update: hot_pb2.Update, received: Received) -> Ticker:
    """Return the statistics of an update."""
    return ticker(
        update.ticker,
        update.price_exponent,
        update.quantity_exponent,
        venue=update.venue,
        symbol=update.symbol,
        stamp=stamp_of(update, received),
    )


def ticker(row: market_pb2.Ticker, px: int, qty: int, *, venue: str, symbol: str, stamp: Stamp) -> Ticker:
    """Return a ticker whose figures have these two exponents."""

    def price(name: _Price) -> Decimal | None:
        return decimal(getattr(row, name), px) if row.HasField(name) else None

    def quantity(name: _Quantity) -> Decimal | None:
        return decimal(getattr(row, name), qty) if row.HasField(name) else None

    return Ticker(
        venue=venue,
        symbol=symbol,
        last_price=price("last_price"),
        last_quantity=quantity("last_quantity"),
        bid_price=price("bid_price"),
        bid_quantity=quantity("bid_quantity"),
        ask_price=price("ask_price"),
        ask_quantity=quantity("ask_quantity"),
        open_24h=price("open_24h"),
        high_24h=price("high_24h"),
        low_24h=price("low_24h"),
        volume_24h=exact(row.volume_24h),
        quote_volume_24h=exact(row.quote_volume_24h),
        vwap_24h=exact(row.vwap_24h),
        change_percent_24h=exact(row.change_percent_24h),
        trade_count_24h=row.trade_count_24h if row.HasField("trade_count_24h") else None,
        stamp=stamp,
    )


def kline_of(update: hot_pb2.Update, received: Received) -> Kline:
    """Return the bar of an update."""
    row, px = update.kline, update.price_exponent

    def price(name: _Bar) -> Decimal | None:
        return decimal(getattr(row, name), px) if row.HasField(name) else None

    return Kline(
        venue=update.venue,
        symbol=update.symbol,
        interval=update.variant,
        ts_open=row.ts_open,
        ts_close=row.ts_close,
        open=price("open"),
        high=price("high"),
        low=price("low"),
        close=price("close"),
        volume=exact(row.volume),
        quote_volume=exact(row.quote_volume),
        vwap=exact(row.vwap),
        taker_buy_volume=exact(row.taker_buy_volume),
        trade_count=row.trade_count if row.HasField("trade_count") else None,
        is_final=KLINE_STATE(row.state) == "FINAL",
        revision=row.revision,
        completeness=COMPLETENESS(row.completeness),
        stamp=stamp_of(update, received),
    )


def consolidated_of(update: hot_pb2.Update, received: Received) -> ConsolidatedTop:
    """Return the best prices over several venues of an update."""
    row = update.consolidated_top

    def quote(side: book_pb2.ConsolidatedQuote) -> ConsolidatedQuote:
        return ConsolidatedQuote(
            venue=side.venue,
            price=decimal(side.price, update.price_exponent),
            quantity=decimal(side.quantity, update.quantity_exponent),
            ts_event=side.ts_event,
            ts_recv=side.ts_recv,
        )

    return ConsolidatedTop(
        symbol=update.symbol,
        bid=quote(row.bid) if row.HasField("bid") else None,
        ask=quote(row.ask) if row.HasField("ask") else None,
        left_out=tuple((venue.venue, venue.reason) for venue in row.left_out),
        stamp=stamp_of(update, received),
    )


def state_of(update: hot_pb2.Update, topic: Topic, received: Received) -> StreamState:
    """Return the change of state of an update."""
    row = update.stream_state
    return StreamState(
        topic=topic,
        state=STATE(row.state),
        reason=STATE_REASON(row.reason),
        message=row.message,
        attempt=row.attempt,
        ts_next_attempt=row.ts_next_attempt,
        close_code=row.close_code if row.HasField("close_code") else None,
        stamp=stamp_of(update, received),
    )


def gap_of(row: stream_pb2.Gap, topic: Topic) -> Gap:
    """Return the hole that a record tells."""
    return Gap(
        topic=topic,
        scope=GAP_SCOPE(row.scope),
        cause=GAP_CAUSE(row.cause),
        state=GAP_STATE(row.state),
        gap_id=row.gap_id,
        seq_first=row.seq_first,
        seq_last=row.seq_last,
        venue_sequence_first=row.venue_sequence_first if row.HasField("venue_sequence_first") else None,
        venue_sequence_last=row.venue_sequence_last if row.HasField("venue_sequence_last") else None,
        ts_first=row.ts_first,
        ts_last=row.ts_last,
        count=row.count if row.HasField("count") else None,
        filled=row.filled,
    )


def delivery_of(row: stream_pb2.DeliveryChange, topic: Topic) -> DeliveryChange:
    """Return the switch of delivery that a record tells."""
    return DeliveryChange(
        topic=topic,
        mode_old=DELIVERY_MODE(row.mode_old),
        mode_new=DELIVERY_MODE(row.mode_new),
        cause=DELIVERY_CAUSE(row.cause),
        skipped=row.skipped,
        lag_ms=row.lag_ms,
    )


def local_gap(topic: Topic, cause: str, *, seqs: tuple[int, int], ts_first: int) -> Gap:
    """Return a hole that this client noticed itself; ``seqs`` are its first and last number, 0: unknown."""
    first, last = seqs
    return Gap(
        topic=topic,
        scope=LOCAL,
        cause=cause,
        state="LOST",
        gap_id=0,
        seq_first=first,
        seq_last=last,
        venue_sequence_first=None,
        venue_sequence_last=None,
        ts_first=ts_first,
        ts_last=0,
        count=last - first + 1 if first else None,
        filled=0,
    )
