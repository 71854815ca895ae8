"""Reconciliation of recorded prices (MANIFEST section 3)."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

import polars as pl
import pytest

from datafacade.warm.reconcile import Quote, Rate, Rules, reconcile
from datafacade.warm.reconcile_klines import reconcile_klines
from tests.chaos.virtual import fractions_model as model
from tests.conformance.recordings import recordings_folder

pytestmark = pytest.mark.recordings

EXCHANGES = {
    "2019-05-01": ("5383.2", ["5321.15", "5326.098", "5383.2", "5391.82", "5629.5"]),
    "2019-05-02": ("5492.87", None),
}


def read(name: str) -> list[dict[str, Any]]:
    """Return the answers of one recording, numbers as they are written."""
    data = (recordings_folder() / "aggregators" / name).read_bytes()
    data = gzip.decompress(data) if name.endswith(".gz") else data
    cassettes: list[dict[str, Any]] = json.loads(data)
    return [
        {**one, "body": json.loads(one["body_text"], parse_float=str, parse_int=str)} for one in cassettes
    ]


def exchanges() -> dict[str, list[dict[str, Any]]]:
    """Return the daily bars of five exchanges."""
    told: dict[str, list[dict[str, Any]]] = read("tiingo_crypto_price_history.json")[0]["body"][0][
        "exchangeData"
    ]
    return told


def model_price(quotes: Sequence[Quote], deviation: str) -> Fraction:
    """Return the price that the naive model makes."""
    told = [model.Told(one.source, one.price) for one in quotes]
    wanted = model.reconcile(told, deviation=deviation, least=0.0).price
    assert wanted is not None
    return wanted


@pytest.mark.parametrize("day", EXCHANGES)
def test_bitfinex_is_dropped_from_the_five_exchanges(day: str) -> None:
    median, closes = EXCHANGES[day]
    quotes = [
        Quote(source=exchange.lower(), price=row["close"], age_ns=0)
        for exchange, rows in exchanges().items()
        for row in rows
        if row["date"].startswith(day)
    ]
    assert len(quotes) == 5
    assert closes is None or sorted(quote.price for quote in quotes) == closes
    for deviation in (0.01, 0.02):
        answer = reconcile(quotes, rules=Rules(deviation_ratio_max=deviation, confidence_ratio_min=0.0))
        assert answer.median == Decimal(median)
        assert answer.dropped["bitfinex"] == "OUTLIER"
        assert Fraction(answer.price) == model_price(quotes, str(deviation))
    # bitfinex stands 4.6 % above: it alone is an outlier at 2 %; at 1 % those far below go too
    assert answer.dropped == {"bitfinex": "OUTLIER"}


def test_closes_of_the_first_day_are_those_that_were_computed_by_hand() -> None:
    quotes = [Quote(source=name, price=rows[0]["close"], age_ns=0) for name, rows in exchanges().items()]
    wide = reconcile(quotes, rules=Rules(deviation_ratio_max=0.02))
    assert (wide.median, wide.price) == (Decimal("5383.2"), Decimal("5354.649"))  # (5326.098 + 5383.2) / 2
    usual = reconcile(quotes)
    assert usual.price == Decimal("5387.51")  # (5383.2 + 5391.82) / 2: the others are 1.06 % and more off
    assert len(usual.used) == 2


def test_daily_bars_of_five_exchanges_keep_their_order() -> None:
    bars = {
        exchange: pl.DataFrame(
            {"ts_open": [row["date"] for row in rows]}
            | {name: [row[name] for row in rows] for name in ("open", "high", "low", "close", "volume")},
            schema_overrides=dict.fromkeys(("open", "high", "low", "close", "volume"), pl.String),
        ).with_columns(
            pl.col("ts_open").str.to_datetime(time_unit="ns", time_zone="UTC"),
            pl.col("volume").cast(pl.Decimal(38, 8)),
        )
        for exchange, rows in exchanges().items()
    }
    rules = Rules(deviation_ratio_max=0.02, confidence_ratio_min=0.0)  # the second day is wide
    made = reconcile_klines(bars, rules=rules, price_digits=8)
    assert made.klines.height == 2
    for row in made.klines.to_dicts():
        assert row["low"] <= min(row["open"], row["close"]) <= max(row["open"], row["close"]) <= row["high"]
        assert row["volume"] is None  # two of them tell none
    dropped = made.evidence.filter(~pl.col("used"))
    assert set(dropped["source"]) == {"BITFINEX"}


def coingecko() -> list[dict[str, Any]]:
    """Return the 100 tickers."""
    tickers: list[dict[str, Any]] = read("coingecko/a_coins_tickers.json")[0]["body"]["tickers"]
    return tickers


def ticker_quotes(tickers: Sequence[dict[str, Any]]) -> list[Quote]:
    """Return one quote a ticker, by exchange and market."""
    return [
        Quote(
            source=f"{ticker['market']['identifier']}:{ticker['base']}-{ticker['target']}",
            price=ticker["converted_last"]["usd"],
            age_ns=0,
        )
        for ticker in tickers
    ]


def test_of_a_hundred_tickers_the_two_outliers_are_dropped() -> None:
    quotes = ticker_quotes(coingecko())
    assert len(quotes) == 100
    answer = reconcile(quotes)
    assert answer.median == 49104
    assert {name.partition(":")[0] for name in answer.dropped} == {"upbit", "whitebit"}
    assert len(answer.used) == 98
    assert Fraction(answer.price) == model_price(quotes, "0.01")
    assert answer.confidence_ratio >= 0.7


def test_of_the_main_quotes_the_median_is_the_verified_one() -> None:
    main = [
        ticker
        for ticker in coingecko()
        if ticker["base"] in ("BTC", "XBT") and ticker["target"] in ("USD", "USDT", "USDC", "BUSD", "EUR")
    ]
    assert len(main) == 56
    answer = reconcile(ticker_quotes(main))
    assert answer.median == 48894


def kraken() -> dict[str, dict[str, list[str]]]:
    """Return Kraken's tickers."""
    pairs: dict[str, dict[str, list[str]]] = read("kraken_ticker_and_coingecko_20260624T1501.json.gz")[0][
        "body"
    ]["result"]
    return pairs


def mid(pair: dict[str, list[str]]) -> Decimal:
    """Return the middle of the best prices."""
    return (Decimal(pair["a"][0]) + Decimal(pair["b"][0])) / 2


def test_five_routes_to_a_bitcoin_agree_within_a_twentieth_of_a_percent() -> None:
    pairs = kraken()
    quotes = [Quote(source="kraken:USD", price=str(mid(pairs["BTC/USD"])), age_ns=0)]
    rates = []
    for currency in ("EUR", "USDT", "USDC", "GBP"):
        quotes.append(
            Quote(
                source=f"kraken:{currency}",
                price=str(mid(pairs[f"BTC/{currency}"])),
                age_ns=0,
                currency=currency,
            )
        )
        rate = str(mid(pairs[f"{currency}/USD"]))
        rates.append(Rate(currency=currency, target="USD", rate=rate, source="kraken", age_ns=0))
    answer = reconcile(quotes, rates=rates)
    assert (answer.dropped, len(answer.conversions)) == ({}, 4)
    converted = {one.quote.source: one.price for one in answer.quotes}
    told = {"EUR": "61015.33", "GBP": "61022.24", "USD": "61018.60", "USDC": "61019.25", "USDT": "61024.23"}
    for currency, price in told.items():
        reached = converted[f"kraken:{currency}"]
        assert reached is not None
        assert abs(reached - Decimal(price)) <= Decimal("0.005")
        assert abs(reached / answer.price - 1) <= Decimal("0.0005")
    assert answer.price == converted["kraken:USDC"]  # the third of five


def test_coingecko_agrees_with_kraken() -> None:
    price = read("kraken_ticker_and_coingecko_20260624T1501.json.gz")[1]["body"]["bitcoin"]["usd"]
    quotes = [
        Quote(source="coingecko", price=price, age_ns=0),
        Quote(source="kraken", price=str(mid(kraken()["BTC/USD"])), age_ns=0),
    ]
    answer = reconcile(quotes)
    assert answer.price == Decimal("61007.8")
    assert Decimal("-0.00036") < Decimal(price) / mid(kraken()["BTC/USD"]) - 1 < Decimal("-0.00035")


def test_zero_is_no_price_in_any_of_krakens_tickers() -> None:
    absent = [name for name, pair in kraken().items() if Decimal(pair["a"][0]) <= Decimal(pair["b"][0])]
    assert len(absent) == 17
    for name in absent:
        quotes = [
            Quote(source="a", price=kraken_price, age_ns=0) for kraken_price in [kraken()[name]["a"][0]]
        ] + [Quote(source="b", price="1", age_ns=0), Quote(source="c", price="1", age_ns=0)]
        assert reconcile(quotes).dropped == {"a": "NOT_POSITIVE"}
