"""What a probe says: the fetch test, the VADR analysis, the lines of a stream."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from datafacade.cli.probe import analysis
from datafacade.cli.probe.fetch import Part, as_values, fetch_table, result
from datafacade.cli.probe.stream import StreamLog
from datafacade.client import (
    Book,
    BookMismatch,
    Channel,
    ClientError,
    ConnectionLost,
    Event,
    Klines,
    Reconnected,
    Refused,
    Topic,
    Trade,
)
from datafacade.client.decode import local_gap, state_of, trade_of
from datafacade.client.mirror import Mirror
from datafacade.client.stamp import Received
from datafacade.client.warm_decode import klines_of, trades_of
from datafacade.v1 import market_pb2, types_pb2, warm_pb2
from tests.unit.cli.test_warm_views import EVIL, drawn, rows
from tests.unit.client.make import RECEIVED, cut, state, trade

HOUR = 3_600 * 10**9
MINUTE = 60 * 10**9
TOPIC = Topic("kraken", "BTC-USD", Channel.TRADES)


def klines(count: int, symbol: str = "BTC-USD", **fields: Any) -> Klines:  # noqa: ANN401  fields of the contract
    """Return so many closed bars of high 11, low 9, close 10, volume 4, and one that is open."""
    made = [
        market_pb2.Kline(
            ts_open=hour * HOUR, ts_close=(hour + 1) * HOUR, open=10, high=11, low=9, close=10, volume="4",
            state=market_pb2.KLINE_STATE_FINAL if hour < count else market_pb2.KLINE_STATE_PROVISIONAL,
            **fields,
        )
        for hour in range(count + 1)
    ]  # fmt: skip
    return klines_of(warm_pb2.WarmKlinesResponse(venue="kraken", symbol=symbol, interval="1h", klines=made))


def book(bid: str, ask: str, seq: int = 1, *, mono_ns: int = 1) -> Book:
    made = cut(seq, {bid: "1"}, {ask: "1"}, integrity=types_pb2.INTEGRITY_CHECKSUM)
    mirror = Mirror("kraken")
    mirror.on_snapshot(made)
    return mirror.view(made, "LIVE", Received(2_000, mono_ns))


def sold(trade_id: int) -> Trade:
    return trade_of(trade(trade_id, trade_id, ts_event=HOUR), RECEIVED)


# The analysis


def test_the_analysis_follows_the_formula_over_closed_bars() -> None:
    found = analysis.analyse(klines(23))
    assert found.vadr == pytest.approx(2 / 10 * 2 * 100)
    assert (found.bars, found.is_frozen) == (23, False)
    assert found.volume == Decimal(24 * 4 * 10)  # the open bar was traded too
    assert found.tier is not None
    assert (found.tier.vadr_min, found.passes) == (1.2, True)
    assert found.gate == pytest.approx(40.0)


def test_with_few_bars_it_is_frozen_and_nothing_passes() -> None:
    found = analysis.analyse(klines(19))
    assert (found.vadr, found.is_frozen, found.passes) == (0.0, True, False)
    text = drawn(*analysis.lines(found, None))
    assert "VADR frozen: 19 usable closed bars, needs 20" in text
    assert analysis.analyse(klines(0)).is_frozen


def test_the_venues_own_quote_volume_counts_first_and_then_the_mean_price() -> None:
    assert analysis.quote_volume(klines(1, quote_volume="7")) == Decimal(14)
    assert analysis.quote_volume(klines(1, vwap="9.5")) == Decimal(76)


def test_a_spread_is_held_against_the_tier_and_other_currencies_have_none() -> None:
    text = drawn(*analysis.lines(analysis.analyse(klines(23)), 80.0)).replace("\n", " ")
    assert "asks for 50,000 USD of depth" in text
    assert "75 bps at most: it is 80.00 bps" in text
    foreign = analysis.analyse(klines(23, symbol="ETH-BTC"))
    assert (foreign.tier, foreign.gate, foreign.passes) == (None, None, False)
    assert "no tier" in drawn(*analysis.lines(foreign, 1.0))
    json.dumps(analysis.as_values(foreign))
    assert analysis.as_values(analysis.analyse(klines(23)))["tier"]["spread_bps_max"] == 75


# The fetch test


def part(**fields: object) -> Part:
    made = {"name": "trades", "found": None, "error": None, "took_ns": 1_000, **fields}
    return Part(**made)  # type: ignore[arg-type]


def test_trades_of_the_last_minutes_are_counted_apart() -> None:
    made = [
        market_pb2.TradeRow(trade=market_pb2.Trade(price=1, quantity=1), ts_event=minute * MINUTE)
        for minute in (1, 7, 9)
    ]
    found = trades_of(warm_pb2.WarmTradesResponse(trades=made))
    text = result(part(found=found), minutes=3, now=10 * MINUTE).plain
    assert text.startswith("3 trades, 2 of the last 3 min")


def test_a_book_is_told_with_its_spread_and_what_proves_it() -> None:
    text = result(part(found=book("99.99", "100.01")), minutes=5, now=0).plain
    assert text == "99.99 / 100.01, spread 2.00 bps, 1 + 1 levels, checksum"


def test_a_failure_is_told_without_signs_that_harm() -> None:
    failed = part(error=ClientError(f"unknown symbol {EVIL}", reason="UNKNOWN_SYMBOL"))
    (line,) = rows(fetch_table((failed,), minutes=5, now=0))
    assert line.split() == ["trades", "failed:", "unknown", "symbol", "kraken", "-", "-", "-", "1.00", "µs"]
    told = as_values((failed, part(name="book", found=book("1", "2"))))
    assert told["trades"]["error"] == {"reason": "UNKNOWN_SYMBOL", "message": f"unknown symbol {EVIL}"}
    assert (told["book"]["ok"], told["book"]["bids"]) == (True, [["1.00", "1.00000000"]])
    json.dumps(told)


# The stream


def test_each_trade_has_a_line_and_books_one_a_second_if_the_best_prices_changed() -> None:
    log = StreamLog()
    assert (line := log.on_event(sold(1))) is not None
    assert line.plain == "TRADE  01:00:00.000 BUY  0.25000000 @ 100.50"
    second = 10**9
    shown = [
        log.on_event(book(bid, "101", mono_ns=at))
        for bid, at in (("100", 1), ("99", second), ("98", second + 1), ("98", 5 * second))
    ]
    assert [line is not None for line in shown] == [True, False, True, False]
    assert shown[0] is not None
    assert shown[0].plain.endswith("100.00 / 101.00  spread 99.50 bps")
    assert (log.trades, log.books) == (1, 4)


def test_the_status_and_the_summary_count_what_came() -> None:
    log = StreamLog()
    for number in range(3):
        log.on_event(sold(number))
    log.on_event(book("100", "101"))
    assert "3 trades, 1 book updates, 6.0 trades/min, spread 99.50 bps, book LIVE (checksum), 0 gaps" in (
        log.status(30).plain
    )
    told = json.loads(json.dumps(log.summary(30)))
    assert (told["trades"], told["trades_per_min"], told["book_updates_per_min"]) == (3, 6.0, 2.0)
    assert StreamLog().summary(0)["trades_per_min"] == 0.0


def test_what_goes_wrong_has_a_line_and_is_counted() -> None:
    log = StreamLog()
    book_topic = TOPIC._replace(channel=Channel.BOOK_L2)
    events: list[Event] = [
        local_gap(TOPIC, "DELIVERY", seqs=(3, 5), ts_first=1),
        BookMismatch(topic=book_topic, reason="CHECKPOINT", seq=1, expected="a", received="b"),
        ConnectionLost(reason="gone", retry_in_s=0.1),
        Reconnected(attempt=1, down_s=0.1),
        state_of(state(1, "STALE", "SEQUENCE_GAP"), book_topic, RECEIVED),
        state_of(state(1, "LIVE"), TOPIC, RECEIVED),
    ]
    lines = [line.plain.split()[0] for event in events if (line := log.on_event(event)) is not None]
    assert lines == ["GAP", "BOOK", "LOST", "BACK", "STATE", "STATE"]
    told = log.summary(1)
    assert (told["gaps"], told["mismatches"], told["connections_lost"], told["state"]) == (1, 1, 1, "STALE")


def test_a_refusal_is_told_without_signs_that_harm() -> None:
    refused = Refused(
        venue="kraken",
        requested_symbol="X",
        channel="trades",
        reason="UNKNOWN_SYMBOL",
        message=f"unknown {EVIL}",
        suggestions=(),
    )
    line = StreamLog().on_event(refused)
    assert line is not None
    assert drawn(line) == "REFUSED unknown kraken\n"
