"""Recorded answers of CoinGecko and Kraken (MANIFEST section 3)."""

import gzip
import json
from decimal import Decimal
from statistics import mean, median
from typing import Any

import pytest

from datafacade import _core
from datafacade.config import load_config
from datafacade.venues.aggregator import AggregatorPrice, parse
from datafacade.venues.coingecko import CoinGecko
from datafacade.venues.rest import RestAnswer
from tests.conformance.recordings import recordings_folder

pytestmark = pytest.mark.recordings

CONFIG = load_config(environment={}).aggregators.aggregators["coingecko"]


def cassette(name: str) -> list[dict[str, Any]]:
    """Return the recorded answers of one file."""
    path = recordings_folder() / "aggregators" / name
    text = gzip.decompress(path.read_bytes()) if name.endswith(".gz") else path.read_bytes()
    answers: list[dict[str, Any]] = json.loads(text)
    return answers


def status_of(answer: dict[str, Any]) -> int:
    """Return the HTTP status of a recorded answer."""
    status = answer["status"]
    return int(status["code"] if isinstance(status, dict) else status)


def test_a_hundred_tickers_of_coingecko_are_read_to_the_last_digit() -> None:
    [answer] = cassette("coingecko/a_coins_tickers.json")
    told: Any = parse(answer["body_text"].encode())
    prices = sorted(row["converted_last"]["usd"] for row in told["tickers"])
    assert len(prices) == 100
    assert (prices[0], prices[-1], median(prices)) == (48_722, 53_528, 49_104)
    assert round(mean(prices), 1) == Decimal("49081.9")
    assert round(mean(prices[10:-10]), 2) == Decimal("49026.94"), "the mean without 10 % at each end"
    outliers = {
        row["market"]["identifier"]
        for row in told["tickers"]
        if row["converted_last"]["usd"] > median(prices) * Decimal("1.01")
    }
    assert outliers == {"upbit", "whitebit"}


def test_recorded_errors_of_coingecko_are_errors_and_absent_coins_are_absent() -> None:
    gecko, seen = CoinGecko(), []
    folder = recordings_folder() / "aggregators/coingecko"
    for path in sorted(folder.glob("*.json")):
        for answer in cassette(f"coingecko/{path.name}"):
            body = answer["body_text"].encode()
            told = RestAnswer(status=status_of(answer), headers={}, body=body, ts_recv=1)
            problem = gecko.problem(told, parse(body))
            assert bool(problem) == (told.status != 200), answer["url"]
            seen.append(told.status)
    assert (seen.count(422), seen.count(500)) == (4, 1)
    [answer] = cassette("coingecko/price_for_multiple_coins_in_different_currencies.json")
    table = gecko.table(CONFIG, "USD", parse(answer["body_text"].encode()))
    assert table == {"BTC": AggregatorPrice("49357", "", 0)}, "two of three coins are silently missing"


def test_zeros_of_krakens_tickers_are_absent_prices() -> None:
    body = json.loads(cassette("kraken_ticker_and_coingecko_20260624T1501.json.gz")[0]["body_text"])
    count = without_ask = without_volume = 0
    for pair, row in body["result"].items():
        one = json.dumps({"error": [], "result": {pair: row}}).encode()
        rows = _core.rest_rows("kraken", "spot", "ticker", one, now=1, ts_recv=1)
        told = rows.ticker()
        count += 1
        assert Decimal(0) not in {Decimal(told[name]) for name in told if "price" in name}, pair
        if Decimal(row["b"][0]) >= Decimal(row["a"][0]):
            assert "ask_price" not in told, pair
            without_ask += 1
        without_volume += Decimal(told["volume_24h"]) == 0
        if pair == "BTC/USD":
            assert (Decimal(told["bid_price"]) + Decimal(told["ask_price"])) / 2 == Decimal("61018.60")
    assert (count, without_ask, without_volume) == (1_530, 17, 108)
