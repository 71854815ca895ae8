"""The verbs of the warm tier against a running service, as a user types them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from datafacade.cli.main import main
from tests.integration.cli.running import served, simulated


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with simulated(tmp_path_factory.mktemp("warm")) as config, served(config) as address:
        yield address


def said(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Run a verb in this process; return its exit code, stdout and stderr."""
    code = main(words)
    streams = capsys.readouterr()
    return code, streams.out, streams.err


def json_of(capsys: pytest.CaptureFixture[str], *words: str) -> Any:  # noqa: ANN401  JSON
    """Run a verb that prints JSON and succeeds."""
    code, out, err = said(capsys, *words, "--json")
    assert code == 0, err
    return json.loads(out)


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "170")


def test_klines_are_printed_with_where_they_come_from(
    capsys: pytest.CaptureFixture[str], target: str
) -> None:
    words = ("klines", "kraken", "XBT/USD", "--interval", "1h", "--limit", "5", "-t", target)
    told = json_of(capsys, *words)
    assert [row["is_final"] for row in told["rows"]] == [True] * 4 + [False]
    for row in told["rows"]:
        assert Decimal(row["low"]) <= Decimal(row["close"]) <= Decimal(row["high"])
    assert told["provenance"]["cache_tier"] == "MISS"
    code, out, _ = said(capsys, *words)
    assert code == 0
    assert "kraken:BTC-USD  1h   5 klines" in out
    assert "still open" in out
    assert "from the cache (L1), age " in out
    assert "source kraken, answered in " in out
    assert f"snapshot {told['provenance']['snapshot_id']}" in out


def test_trades_and_ticker_are_those_of_the_venue(capsys: pytest.CaptureFixture[str], target: str) -> None:
    rows = json_of(capsys, "trades", "binance", "BTCUSDT", "-n", "10", "-t", target)["rows"]
    ids = [row["trade_id"] for row in rows]
    assert len(ids) == 10
    assert ids == sorted(set(ids))
    assert {row["side"] for row in rows} <= {"BUY", "SELL"}
    code, out, _ = said(capsys, "trades", "binance", "BTCUSDT", "-n", "10", "-t", target)
    assert code == 0
    assert str(ids[0]) in out
    told = json_of(capsys, "ticker", "binance", "BTCUSDT", "-t", target)
    assert 0 < Decimal(told["bid_price"]) < Decimal(told["ask_price"])
    code, out, _ = said(capsys, "ticker", "binance", "BTCUSDT", "-t", target)
    assert code == 0
    assert f"{Decimal(told['bid_price']):,f}" in out


def test_a_book_that_nobody_follows_comes_from_rest_if_that_is_allowed(
    capsys: pytest.CaptureFixture[str], target: str
) -> None:
    words = ("book", "binance", "SOLUSDT", "--allow-unverified", "-t", target)
    told = json_of(capsys, *words)
    assert (told["is_from_rest"], told["integrity"]) == (True, "UNVERIFIABLE")
    assert [source["source"] for source in told["provenance"]["sources"]] == ["binance"]
    code, out, _ = said(capsys, *words)
    assert code == 0
    assert "REST, followed by nobody   proven by nothing" in out
    assert "from the cache (L1)" in out
    told = json_of(capsys, "book", "binance", "SOLUSDT", "-t", target)
    assert (told["is_from_rest"], told["state"], told["integrity"]) == (False, "LIVE", "SEQUENCE")


@pytest.mark.proves("REQ-M9")
def test_a_price_shows_who_was_used_who_was_dropped_and_why(
    capsys: pytest.CaptureFixture[str], target: str
) -> None:
    told = json_of(capsys, "price", "BTC-USD", "-t", target)
    fates = {quote["source"]: (quote["is_used"], quote["reason"]) for quote in told["quotes"]}
    assert fates["kraken"] == (True, "")
    assert fates["coingecko"] == (True, "")
    assert fates["binance"] == (False, "NOT_CONVERTIBLE")
    used = [Decimal(quote["price"]) for quote in told["quotes"] if quote["is_used"]]
    assert min(used) <= Decimal(told["price"]) <= max(used)
    code, out, _ = said(capsys, "price", "BTC-USD", "-t", target)
    assert code == 0
    lines = {line.split()[0]: line for line in out.splitlines() if line.split()}
    assert "dropped: not convertible" in lines["binance"]
    assert "USDT" in lines["binance"]
    assert "used" in lines["kraken"]
    assert "aggregator" in lines["coingecko"]
    assert "confidence" in out
    assert "trimmed median of 3 of 4 sources, at least 2" in out


@pytest.mark.proves("REQ-M9")
def test_a_price_that_is_refused_shows_what_each_source_said(
    capsys: pytest.CaptureFixture[str], target: str
) -> None:
    code, out, err = said(capsys, "price", "BTC-USD", "-s", "kraken", "-s", "binance", "-t", target)
    assert (code, out) == (1, "")
    assert "dropped: not convertible" in err
    code, out, _ = said(capsys, "price", "BTC-USD", "-s", "kraken", "-t", target, "--json")
    assert code == 1
    assert [quote["source"] for quote in json.loads(out)["quotes"]] == ["kraken"]
    code, _, err = said(capsys, "price", "BTC-USD", "-m", "mode", "-t", target)
    assert code == 2
    assert "expected trimmed_median or trimmed_mean" in err


def test_an_aggregator_is_refused_where_only_venues_may_answer(
    capsys: pytest.CaptureFixture[str], target: str
) -> None:
    code, out, err = said(capsys, "trades", "coingecko", "BTC-USD", "-t", target)
    assert (code, out) == (1, "")
    assert "coingecko" in err


@pytest.mark.proves("REQ-M7")
def test_budgets_shrink_with_each_question_and_name_their_reset(
    capsys: pytest.CaptureFixture[str], target: str
) -> None:
    def left() -> dict[str, Any]:
        told = json_of(capsys, "budget", "-v", "binance", "-t", target)
        return next(row for row in told["venues"]["binance"]["budgets"] if row["budget"] == "rest:spot")

    before = left()
    code, _, err = said(capsys, "klines", "binance", "BTCUSDT", "-i", "4h", "-n", "1000", "-t", target)
    assert code == 0, err
    after = left()
    assert after["limit"] == before["limit"]
    assert after["remaining"] < before["remaining"]
    assert after["ts_reset"] > 0
    code, out, _ = said(capsys, "budget", "-t", target)
    assert code == 0
    assert "full again in" in out
    assert "http:spot" in out
    assert "closed" in out
