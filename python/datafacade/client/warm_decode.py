"""Turn cached REST answers of the contract into views. Pure."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from datafacade.client.decode import ticker
from datafacade.client.errors import ServiceFault
from datafacade.client.provenance import provenance_of, sources_of
from datafacade.client.stamp import Received, Stamp
from datafacade.client.warm import (
    Conversion,
    Funding,
    FundingRow,
    Hole,
    KlineRow,
    Klines,
    Price,
    TickerAnswer,
    TradeRow,
    Trades,
)
from datafacade.rows.numbers import decimal, exact
from datafacade.rows.words import COMPLETENESS, FUNDING_STATE, KLINE_STATE, RECONCILE_METHOD, SIDE
from datafacade.v1 import market_pb2, price_pb2, warm_pb2

_Ohlc = Literal["open", "high", "low", "close"]


def klines_of(answer: warm_pb2.WarmKlinesResponse) -> Klines:
    """Return the klines of an answer."""
    return Klines(
        venue=answer.venue,
        symbol=answer.symbol,
        interval=answer.interval,
        rows=tuple(_kline(row, answer.price_exponent) for row in answer.klines),
        holes=tuple(
            Hole(ts_start=hole.ts_start, ts_end=hole.ts_end, reason=hole.reason) for hole in answer.holes
        ),
        provenance=provenance_of(answer.served, answer.lineage),
    )


def _kline(row: market_pb2.Kline, exponent: int) -> KlineRow:
    def price(name: _Ohlc) -> Decimal | None:
        return decimal(getattr(row, name), exponent) if row.HasField(name) else None

    return KlineRow(
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
        completeness=COMPLETENESS(row.completeness),
    )


def trades_of(answer: warm_pb2.WarmTradesResponse) -> Trades:
    """Return the trades of an answer."""
    return Trades(
        venue=answer.venue,
        symbol=answer.symbol,
        rows=tuple(_trade(row, answer.price_exponent, answer.quantity_exponent) for row in answer.trades),
        provenance=provenance_of(answer.served, answer.lineage),
    )


def _trade(row: market_pb2.TradeRow, price_exponent: int, quantity_exponent: int) -> TradeRow:
    trade = row.trade
    return TradeRow(
        ts_event=row.ts_event,
        price=decimal(trade.price, price_exponent),
        quantity=decimal(trade.quantity, quantity_exponent),
        side=SIDE(trade.side),
        trade_id=trade.trade_id if trade.HasField("trade_id") else None,
    )


def ticker_answer_of(answer: warm_pb2.WarmTickerResponse, received: Received) -> TickerAnswer:
    """Return the ticker of an answer."""
    stamp = Stamp(
        epoch=0,
        seq=0,
        ts_event=answer.ts_event,
        ts_recv=answer.ts_recv,
        ts_publish=0,
        ts_client=received.wall_ns,
        mono_client_ns=received.mono_ns,
        integrity="",
        flags=0,
        venue_sequence=None,
    )
    told = ticker(
        answer.ticker,
        answer.price_exponent,
        answer.quantity_exponent,
        venue=answer.venue,
        symbol=answer.symbol,
        stamp=stamp,
    )
    return TickerAnswer(ticker=told, provenance=provenance_of(answer.served, answer.lineage))


def funding_of(answer: warm_pb2.WarmFundingResponse) -> Funding:
    """Return the funding rates of an answer; a rate that is no number is left out."""
    rows = (_funding(row) for row in answer.rates)
    return Funding(
        venue=answer.venue,
        symbol=answer.symbol,
        rows=tuple(row for row in rows if row is not None),
        next=_funding(answer.next) if answer.HasField("next") else None,
        provenance=provenance_of(answer.served, answer.lineage),
    )


def _funding(row: market_pb2.FundingRate) -> FundingRow | None:
    rate = exact(row.rate)
    if rate is None:
        return None
    return FundingRow(
        ts_funding=row.ts_funding,
        rate=rate,
        interval_s=row.interval_s,
        state=FUNDING_STATE(row.state),
        mark_price=exact(row.mark_price),
        index_price=exact(row.index_price),
    )


def price_of(answer: price_pb2.ReconciledPriceResponse) -> Price:
    """Return the price of an answer.

    Raises:
        ServiceFault: It holds none.
    """
    price, parameters = exact(answer.price), answer.parameters
    if price is None:
        raise ServiceFault("the service answered without a price")
    return Price(
        symbol=answer.symbol,
        price=price,
        volume_24h=exact(answer.volume_24h),
        confidence_ratio=answer.confidence_ratio,
        deviation_ratio=answer.deviation_ratio,
        method=RECONCILE_METHOD(parameters.method),
        deviation_ratio_max=parameters.deviation_ratio_max,
        sources_min=parameters.sources_min,
        confidence_ratio_min=parameters.confidence_ratio_min,
        quotes=sources_of(answer.quotes),
        conversions=tuple(
            Conversion(
                source_currency=getattr(row, "from"),
                target_currency=row.to,
                rate=exact(row.rate) or Decimal(0),
                source=row.source,
                ts_source=row.ts_source,
            )
            for row in answer.conversions
        ),
        warnings=tuple(answer.warnings),
        provenance=provenance_of(answer.served, answer.lineage),
    )
