"""Cached REST answers become views: exact decimals, what is absent stays absent, floats only in frames."""

import datetime as dt
from decimal import Decimal

import polars as pl
import pytest

from datafacade.client.errors import ServiceFault
from datafacade.client.stamp import Received
from datafacade.client.warm_decode import funding_of, klines_of, price_of, ticker_answer_of, trades_of
from datafacade.rows.numbers import exact
from datafacade.rows.words import method_number
from datafacade.v1 import lineage_pb2, market_pb2, price_pb2, types_pb2, warm_pb2

HOUR = 3_600 * 10**9
RECEIVED = Received(2_000, 1_000)


def lineage() -> lineage_pb2.Lineage:
    return lineage_pb2.Lineage(
        sources=[
            lineage_pb2.SourceQuote(source="kraken", price="100.10", used=True, age_ns=5, latency_ns=7),
            lineage_pb2.SourceQuote(source="okx", quote="USDT", reason="NOT_CONVERTIBLE"),
        ],
        cache_misses=1,
        latency_ns=9,
        ts_made=11,
    )


def klines() -> warm_pb2.WarmKlinesResponse:
    whole = market_pb2.Kline(
        ts_open=HOUR, ts_close=2 * HOUR, open=646336, high=653055, low=645148, close=649742, volume="2799.70",
        vwap="64857", trade_count=2817, state=market_pb2.KLINE_STATE_FINAL,
    )  # fmt: skip
    empty = market_pb2.Kline(ts_open=2 * HOUR, ts_close=3 * HOUR, state=market_pb2.KLINE_STATE_PROVISIONAL)
    return warm_pb2.WarmKlinesResponse(
        venue="kraken",
        symbol="BTC-USD",
        interval="1h",
        price_exponent=-1,
        klines=[whole, empty],
        holes=[warm_pb2.TimeRange(ts_start=0, ts_end=HOUR, reason="NOT_KEPT")],
        lineage=lineage(),
        served=lineage_pb2.Served(
            cache_tier=lineage_pb2.CACHE_TIER_L1,
            age_ns=3,
            is_stale=True,
            snapshot_id="ab",
            freshness_penalty_ratio=0.5,
        ),
    )


def test_klines_are_exact_and_an_interval_without_trades_has_no_prices() -> None:
    told = klines_of(klines())
    first, second = told.rows
    assert (first.open, first.volume, first.trade_count) == (Decimal("64633.6"), Decimal("2799.70"), 2817)
    assert (first.is_final, second.is_final) == (True, False)
    assert (second.open, second.volume, second.trade_count) == (None, None, None)
    assert [(hole.ts_end, hole.reason) for hole in told.holes] == [(HOUR, "NOT_KEPT")]


def test_provenance_tells_how_it_was_served_and_what_became_of_each_source() -> None:
    told = klines_of(klines()).provenance
    assert (told.cache_tier, told.age_ns, told.is_stale, told.snapshot_id) == ("L1", 3, True, "ab")
    assert (told.freshness_penalty_ratio, told.confidence_ratio, told.made_ns) == (0.5, None, 9)
    assert [(source.source, source.price, source.age_ns) for source in told.used] == [
        ("kraken", Decimal("100.10"), 5)
    ]
    (dropped,) = told.dropped
    assert (dropped.reason, dropped.quote, dropped.price) == ("NOT_CONVERTIBLE", "USDT", None)
    assert (dropped.age_ns, dropped.latency_ns) == (None, None)


def test_a_frame_of_klines_has_the_demanded_columns_with_naive_times() -> None:
    frame = klines_of(klines()).to_polars()
    assert frame.columns == [
        "timestamp", "symbol", "exchange", "interval", "open", "high", "low", "close", "volume", "trades",
        "vwap", "is_final",
    ]  # fmt: skip
    assert frame.schema["timestamp"] == pl.Datetime("ns", None)
    assert frame.row(0)[:5] == (dt.datetime(1970, 1, 1, 1), "BTC-USD", "kraken", "1h", 64633.6)  # noqa: DTZ001
    assert frame["close"].to_list() == [64974.2, None]
    assert klines_of(warm_pb2.WarmKlinesResponse()).to_polars().schema == frame.schema


def test_trades_are_exact_and_a_frame_keeps_what_is_absent() -> None:
    row = market_pb2.Trade(price=650835, quantity=18665736, side=types_pb2.SIDE_SELL, trade_id=2**63)
    bare = market_pb2.Trade(price=1, quantity=1)
    told = trades_of(
        warm_pb2.WarmTradesResponse(
            venue="kraken",
            symbol="BTC-USD",
            price_exponent=-1,
            quantity_exponent=-8,
            trades=[market_pb2.TradeRow(trade=row, ts_event=HOUR), market_pb2.TradeRow(trade=bare)],
        )
    )
    first = told.rows[0]
    assert (first.price, first.quantity, first.side) == (Decimal("65083.5"), Decimal("0.18665736"), "SELL")
    frame = told.to_polars()
    assert frame.columns == ["timestamp", "symbol", "exchange", "price", "quantity", "side", "trade_id"]
    assert frame["trade_id"].to_list() == [2**63, None]
    assert frame["side"].to_list() == ["sell", None]
    assert frame["timestamp"].to_list() == [dt.datetime(1970, 1, 1, 1), None]  # noqa: DTZ001


def test_a_ticker_and_funding_are_exact() -> None:
    row = market_pb2.Ticker(last_price=5, volume_24h="8.50", trade_count_24h=3)
    told = ticker_answer_of(
        warm_pb2.WarmTickerResponse(venue="okx", symbol="BTC-USDT", price_exponent=1, ts_recv=9, ticker=row),
        RECEIVED,
    ).ticker
    assert (told.last_price, told.volume_24h, told.bid_price) == (Decimal(50), Decimal("8.50"), None)
    assert (told.stamp.ts_recv, told.stamp.ts_client) == (9, 2_000)
    rates = [market_pb2.FundingRate(ts_funding=1, rate="-0.0001"), market_pb2.FundingRate(rate="no number")]
    funding = funding_of(warm_pb2.WarmFundingResponse(rates=rates))
    assert [(one.rate, one.mark_price) for one in funding.rows] == [(Decimal("-0.0001"), None)]
    assert funding.next is None


def test_a_price_names_its_conversions_and_without_a_price_there_is_an_error() -> None:
    rate_told = price_pb2.ConversionRate(to="USD", rate="0.999", source="kraken")
    setattr(rate_told, "from", "USDT")
    answer = price_pb2.ReconciledPriceResponse(
        symbol="BTC-USD",
        price="100.125",
        parameters=price_pb2.ReconcileParameters(method=price_pb2.RECONCILE_METHOD_TRIMMED_MEAN),
        quotes=lineage().sources,
        conversions=[rate_told],
    )
    told = price_of(answer)
    assert (told.price, told.method, told.volume_24h) == (Decimal("100.125"), "TRIMMED_MEAN", None)
    assert [source.source for source in told.used] == ["kraken"]
    assert [source.source for source in told.dropped] == ["okx"]
    (rate,) = told.conversions
    assert (rate.source_currency, rate.target_currency, rate.rate) == ("USDT", "USD", Decimal("0.999"))
    with pytest.raises(ServiceFault):
        price_of(price_pb2.ReconciledPriceResponse())


@pytest.mark.parametrize(
    "text", ["", "x", "NaN", "Infinity", "-inf", "1e", "1e999999999", "0e-999999999", "9" * 201]
)
def test_what_is_no_finite_number_is_none(text: str) -> None:
    assert exact(text) is None


def test_methods_have_names_and_others_are_refused() -> None:
    assert method_number("") == price_pb2.RECONCILE_METHOD_UNSPECIFIED
    assert method_number("Trimmed_Mean") == price_pb2.RECONCILE_METHOD_TRIMMED_MEAN
    with pytest.raises(ValueError, match="expected trimmed_median or trimmed_mean"):
        method_number("mode")
