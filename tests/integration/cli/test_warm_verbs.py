"""The verbs of the warm tier against a running service, as a user types them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from importlib.metadata import entry_points
from math import sqrt
from typing import Any

import pytest

from datafacade.cli.main import main
from tests.integration.cli.running import CTRL_C, Terminal, served, simulated

PRODUCTS = "binance/spot,binance/usdm,kraken/spot,coinbase/advanced,coinbase/exchange"


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with simulated(tmp_path_factory.mktemp("warm"), PRODUCTS) as config, served(config) as address:
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


def test_klines_of_all_venues_name_each_of_them(capsys: pytest.CaptureFixture[str], target: str) -> None:
    words = ("klines", "all", "BTC-USD", "-i", "1h", "-n", "3", "-t", target)
    told = json_of(capsys, *words)
    assert (told["venue"], len(told["rows"])) == ("", 3)
    fates = {source["source"]: source["is_used"] for source in told["provenance"]["sources"]}
    assert fates["coinbase"]
    assert fates["kraken"]
    code, out, _ = said(capsys, *words)
    assert code == 0
    assert "all:BTC-USD" in out
    assert "source coinbase, kraken" in out


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
    assert "trimmed median of 4 of 5 sources, at least 2" in out


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


def test_funding_is_settled_and_then_estimated(capsys: pytest.CaptureFixture[str], target: str) -> None:
    told = json_of(capsys, "funding", "binance-usdm", "BTCUSDT", "-n", "5", "-t", target)
    times = [row["ts_funding"] for row in told["rows"]]
    assert times == sorted(set(times))
    assert 0 < len(times) <= 5
    code, out, _ = said(capsys, "funding", "binance-usdm", "BTCUSDT", "-n", "5", "-t", target)
    assert code == 0
    assert f"{Decimal(told['rows'][0]['rate']) * 100:+f} %" in out
    assert "settled" in out
    code, _, err = said(capsys, "funding", "coinbase", "BTC-USD", "-t", target)
    assert code == 1
    assert "coinbase" in err


def test_cache_and_sources_count_what_was_asked(capsys: pytest.CaptureFixture[str], target: str) -> None:
    def counted() -> tuple[int, int]:
        classes = json_of(capsys, "cache", "-t", target)["classes"]
        (row,) = json_of(capsys, "sources", "-v", "binance", "-t", target)
        asked = sum(one["hits"] + one["misses"] for one in classes)
        return asked, row["cache_hits"] + row["cache_misses"]

    json_of(capsys, "ticker", "binance", "ETHUSDT", "-t", target)
    first = counted()
    json_of(capsys, "ticker", "binance", "ETHUSDT", "-t", target)
    assert counted() == (first[0] + 1, first[1] + 1)
    code, out, _ = said(capsys, "cache", "-t", target)
    assert code == 0
    assert "of 10,000 entries" in out
    code, out, _ = said(capsys, "sources", "-t", target)
    assert code == 0
    assert "binance" in out


# Probing


@pytest.mark.proves("REQ-M1")
def test_a_probe_shows_venues_cache_fetch_test_vadr_and_attribution(
    capsys: pytest.CaptureFixture[str], target: str
) -> None:
    words = ("probe", "data", "--venue", "kraken", "--pair", "BTCUSD", "--mins", "5", "-t", target)
    code, out, err = said(capsys, *words)
    assert code == 0, err
    for heading in (
        ("VENUE", "STATUS", "WS", "REST", "LATENCY", "P99", "RECOMMENDATION"),
        ("TIER", "TTL", "HITS", "MISSES", "ENTRIES", "HIT_RATIO"),
    ):
        assert list(heading) in [line.split() for line in out.splitlines()]
    for text in ("24 x 1h klines", "10 trades, 10 of the last 5 min", " bps, 10 + 10 levels", "Attribution"):
        assert text in out
    assert "VADR" in out
    told = json_of(capsys, *words)
    assert {venue["venue"] for venue in told["venues"]} == {
        "binance",
        "binance-usdm",
        "coinbase",
        "kraken",
    }
    assert (len(told["fetch"]["klines"]["rows"]), len(told["fetch"]["trades"]["rows"])) == (24, 10)
    book = told["fetch"]["book"]
    bid, ask = Decimal(book["bids"][0][0]), Decimal(book["asks"][0][0])
    assert book["spread_bps"] == pytest.approx(float((ask - bid) / (ask + bid) * 20_000))
    assert told["vadr"]["bars"] == 23
    assert told["vadr"]["vadr"] == pytest.approx(vadr_by_hand(told["fetch"]["klines"]["rows"]))
    assert [row["venue"] for row in told["attribution"]] == ["kraken"]


def vadr_by_hand(rows: list[dict[str, Any]]) -> float:
    """Return the mean of (high - low) / close * sqrt(volume) * 100 over the closed bars."""
    closed = [{name: float(row[name]) for name in ("high", "low", "close", "volume")} for row in rows[:-1]]
    bars = [(bar["high"] - bar["low"]) / bar["close"] * sqrt(bar["volume"]) * 100 for bar in closed]
    return sum(bars) / len(bars)


@pytest.mark.proves("REQ-M1")
def test_figures_of_a_probe_are_live(capsys: pytest.CaptureFixture[str], target: str) -> None:
    def misses() -> int:
        words = ("probe", "data", "-v", "binance", "-p", "ETHUSDT", "-t", target)
        told = json_of(capsys, *words)
        assert told["fetch"]["klines"]["ok"]
        return sum(row["hits"] + row["misses"] for row in told["cache"]["classes"])

    first = misses()
    assert misses() == first + 3


def test_a_probe_of_what_is_not_there_says_so_and_exits_1(
    capsys: pytest.CaptureFixture[str], target: str
) -> None:
    code, out, _ = said(capsys, "probe", "data", "-v", "kraken", "-p", "NOPEUSD", "-t", target)
    assert code == 1
    assert out.count("failed: unknown symbol") == 3
    assert "no klines, no analysis" in out
    words = ("probe", "data", "-v", "kraken", "-p", "NOPEUSD", "--stream", "-t", target)
    code, _, err = said(capsys, *words)
    assert code == 1
    assert "NOPEUSD" in err


@pytest.mark.proves("REQ-M2")
def test_a_streaming_probe_shows_trades_books_status_and_a_summary(
    capsys: pytest.CaptureFixture[str], target: str
) -> None:
    words = ("probe", "data", "--venue", "kraken", "--pair", "BTCUSD", "--stream", "--mins", "0.1")
    code, out, err = said(capsys, *words, "--status-s", "0.5", "-t", target)
    assert code == 0, err
    lines = out.splitlines()
    kinds = [line.split()[0] for line in lines]
    assert min(kinds.count(kind) for kind in ("TRADE", "BOOK")) > 0
    assert kinds.count("STATUS") >= 3
    book = next(line for line in lines if line.startswith("BOOK"))
    assert book.endswith(" bps")
    assert kinds[-2:] == ["SUMMARY", "STATUS"]
    assert f"{kinds.count('TRADE')} trades" in lines[-1]
    assert "trades/min" in lines[-1]
    told = json_of(capsys, *words, "-t", target)
    assert (told["state"], told["integrity"], told["gaps"]) == ("LIVE", "CHECKSUM", 0)
    assert told["trades_per_min"] == pytest.approx(told["trades"] * 60 / told["seconds"], rel=0.01)


@pytest.mark.proves("REQ-M2")
def test_ctrl_c_ends_a_streaming_probe_with_its_summary(target: str) -> None:
    words = ("probe", "data", "--venue", "kraken", "--pair", "BTCUSD", "--stream", "--mins", "10")
    with Terminal(*words, "-t", target) as terminal:
        terminal.read_until("TRADE")
        terminal.press(CTRL_C)
        assert terminal.ended() == 0
    assert "SUMMARY" in terminal.text
    assert "Traceback" not in terminal.text


@pytest.mark.proves("REQ-M1")
def test_the_program_has_its_other_name_too() -> None:
    names = {entry.name: entry.value for entry in entry_points(group="console_scripts")}
    assert names["cryptorun"] == names["datafacade"] == "datafacade.cli.main:run"


# The menu


PANELS = ("📊 Venue Health", "💾 Cache Performance", "🔄 Data Freshness", "⏱️", "💡 Available Commands")


@pytest.mark.proves("REQ-M3")
def test_the_menu_shows_all_panels_on_d_and_ends_on_q(target: str) -> None:
    with Terminal("menu", "-t", target) as terminal:
        terminal.read_until("d) Data Facade Status")
        terminal.read_until("> ")
        terminal.press(b"x\n")
        terminal.read_until("expected one of")
        terminal.press(b"d\n")
        terminal.read_until("Available Commands")
        terminal.press(b"q\n")
        assert terminal.ended() == 0
    for panel in PANELS:
        assert panel in terminal.text
    for text in ("rest:spot", "coingecko", "stream"):
        assert text in terminal.text
    assert "Traceback" not in terminal.text


def test_the_menu_outlives_a_service_that_is_away() -> None:
    with Terminal("menu", "-t", "127.0.0.1:1") as terminal:
        terminal.read_until("> ")
        terminal.press(b"d\n")
        terminal.read_until("datafacade serve")
        terminal.press(b"q\n")
        assert terminal.ended() == 0
    assert "no service answers at 127.0.0.1:1" in terminal.text


@pytest.mark.proves("REQ-M3")
def test_without_a_terminal_the_menu_shows_the_status_once(
    capsys: pytest.CaptureFixture[str], target: str
) -> None:
    json_of(capsys, "ticker", "kraken", "ETH-USD", "-t", target)
    code, out, _ = said(capsys, "menu", "--once", "-t", target)
    assert code == 0
    places = [out.index(panel) for panel in PANELS]
    assert places == sorted(places)
    assert "datafacade probe data" in out
    assert "datafacade pit verify" in out
    told = json_of(capsys, "menu", "-t", target)
    row = next(row for row in told["cache"]["classes"] if row["cache_class"] == "prices_hot")
    assert row["hits"] + row["misses"] > 0
    shown = next(line for line in out.splitlines() if line.split()[:2] == ["prices_hot", "(L1)"])
    assert f" {row['misses']} " in shown


# Filling the cache


@pytest.mark.proves("REQ-M10")
def test_the_cache_is_filled_and_a_second_time_it_holds_everything(
    capsys: pytest.CaptureFixture[str], target: str
) -> None:
    words = ("populate_cache", "-v", "binance", "--symbols", "BTCUSDT,ETH-USDT", "--timeframes", "15m,1h")
    told = json_of(capsys, *words, "-n", "50", "-t", target)
    assert (told["asked"], told["fetched"], told["failed"], told["rows"]) == (4, 4, 0, 200)
    told = json_of(capsys, *words, "-n", "50", "-t", target)
    assert (told["asked"], told["fetched"], told["held"]) == (4, 0, 4)
    kline = json_of(capsys, "klines", "binance", "BTC-USDT", "-i", "15m", "-n", "50", "-t", target)
    assert kline["provenance"]["cache_tier"] == "L1"
    code, out, err = said(capsys, *words, "-n", "50", "-t", target)
    assert code == 0
    assert "4 asked: 0 fetched, 4 held already, 0 failed" in out
    assert "populate_cache" in err, "a bar shows how far it is"


def test_what_cannot_be_fetched_is_told_and_the_rest_is_held(
    capsys: pytest.CaptureFixture[str], target: str
) -> None:
    words = ("populate_cache", "-v", "kraken", "-s", "BTC-USD,NOPE-USD", "-i", "1h", "-t", target)
    code, out, _ = said(capsys, *words, "--json")
    assert code == 1
    told = json.loads(out)
    assert [(item["symbol"], item["outcome"]) for item in told["items"]][1] == ("NOPE-USD", "failed")
    assert told["failed"] == 1
    code, out, _ = said(capsys, *words)
    assert code == 1
    assert "UNKNOWN_SYMBOL" in out
    assert said(capsys, "populate_cache", "-i", " , ", "-t", target)[0] == 2
