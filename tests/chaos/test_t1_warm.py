"""Rows C and D through the whole service: what becomes of the venues' REST faults at a client."""

from __future__ import annotations

import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final

import grpc
import pytest

from datafacade.v1 import lineage_pb2, types_pb2, warm_pb2
from tests.chaos.harness.figures import Figures
from tests.chaos.harness.probe import ProbeProcess, subscription
from tests.chaos.harness.resources import MemorySampler
from tests.chaos.harness.tier import INJECTIONS
from tests.chaos.harness.wait import COMES_S, until
from tests.chaos.harness.warm import BINANCE, MS, WarmBed, details, reason, refused

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300)]

MANY: Final = 1_000
SLOW_MS: Final = 6_000  # so that the last of many questions, too, loses its patience before the answer
MIB: Final = 2**20
VENUES: Final = ("binance", "okx", "coinbase", "kraken")
DOLLARS: Final = ("coinbase", "kraken", "coingecko", "coinpaprika")
PATIENCE_S: Final = 2.0
OFF_MS: Final = 50
LEFT_MS: Final = 100
DEADLINE: Final = grpc.StatusCode.DEADLINE_EXCEEDED


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WarmBed]:
    made = WarmBed(tmp_path_factory.mktemp("warm"))
    try:
        yield made
    finally:
        made.close()


@pytest.fixture(autouse=True)
def healed(bed: WarmBed) -> Iterator[None]:
    """End what a row broke."""
    yield
    bed.simulator.end_all()


def middle(bed: WarmBed, venue: str, symbol: str) -> Decimal:
    """Return the true middle of a market."""
    text = bed.simulator.ask("GET", f"/truth/book?venue={venue}&symbol={symbol}&depth=1")["text"]
    bid, ask = (Decimal(line.split(",")[1]) for line in text.splitlines())
    return (bid + ask) / 2


def fates(told: Any) -> dict[str, tuple[bool, str]]:  # noqa: ANN401  an answer or a lineage
    """Return what became of each source."""
    quotes = told.quotes if hasattr(told, "quotes") else told.sources
    return {quote.source: (quote.used, quote.reason) for quote in quotes}


# D: several sources


@pytest.mark.proves("ROW-D01")
def test_a_source_that_is_off_is_dropped_by_name_and_the_price_is_the_truth(bed: WarmBed) -> None:
    with bed.fault("shift", venue="coinbase/exchange", symbol="ETH-USD", ratio=0.05):
        told = bed.price("ETH-USD", DOLLARS)
    assert fates(told) == {name: (name != "coinbase", "OUTLIER" * (name == "coinbase")) for name in DOLLARS}
    truth = middle(bed, "kraken", "ETH/USD")
    assert abs(Decimal(told.price) / truth - 1) < Decimal("0.01")


@pytest.mark.proves("ROW-D02")
def test_two_sources_against_two_are_refused_with_the_evidence(bed: WarmBed) -> None:
    with (
        bed.fault("shift", venue="coinbase/exchange", symbol="SOL-USD", ratio=0.05),
        bed.fault("shift", venue="kraken", symbol="SOL/USD", ratio=0.05),
    ):
        error: Any = refused(bed.price, "SOL-USD", DOLLARS)
    assert error.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert reason(error) in ("LOW_CONFIDENCE", "INSUFFICIENT_SOURCES")  # the middle is near nobody


@pytest.mark.proves("ROW-D03")
def test_a_source_that_is_a_minute_old_takes_no_part(bed: WarmBed) -> None:
    with bed.fault("old_answer", venue="coinbase/exchange", symbol="XRP-USD", ms=60_000, path="ticker"):
        told = bed.price("XRP-USD", DOLLARS)
    assert fates(told)["coinbase"] == (False, "TOO_OLD")
    age_ns = next(quote.age_ns for quote in told.quotes if quote.source == "coinbase")
    assert 60_000 * MS <= age_ns < 75_000 * MS


@pytest.mark.proves("ROW-D04")
def test_one_source_left_is_refused_with_the_count(bed: WarmBed) -> None:
    with bed.fault("http_status", venue="coinbase/exchange", status=503, path="ADA"):
        error: Any = refused(bed.price, "ADA-USD", ["coinbase", "coingecko"])
    assert error.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert reason(error) == "INSUFFICIENT_SOURCES"
    assert "1" in details(error).values()


@pytest.mark.proves("ROW-D06")
@pytest.mark.parametrize(
    ("base", "raw"), [("BTC", "0"), ("LINK", "-1"), ("AVAX", "1e30"), ("DOT", "NaN"), ("ATOM", '"oops"')]
)
def test_a_price_that_is_none_takes_no_part(bed: WarmBed, base: str, raw: str) -> None:
    """Each text another symbol, so that no cache answers."""
    with bed.fault(
        "odd_field", venue="coinbase/exchange", symbol=f"{base}-USD", path="ticker", field="bid", raw=raw
    ):
        told, refusal = _price(bed, f"{base}-USD")
    if told is None:  # three of four may be too few; never may it be a fault of the service
        assert reason(refusal) in ("LOW_CONFIDENCE", "INSUFFICIENT_SOURCES")
        return
    truth = middle(bed, "kraken", f"{base}/USD")
    used = [Decimal(quote.price) for quote in told.quotes if quote.used]
    assert min(used) <= Decimal(told.price) <= max(used)
    assert abs(Decimal(told.price) / truth - 1) < Decimal("0.01")


def _price(bed: WarmBed, symbol: str) -> tuple[Any, grpc.RpcError | None]:
    """Return a price of the venues, or why there is none."""
    try:
        return bed.price(symbol, VENUES), None
    except grpc.RpcError as error:
        return None, error


@pytest.mark.proves("ROW-D07")
def test_dollar_tokens_are_pooled_by_a_stated_rate_only(bed: WarmBed) -> None:
    with bed.fault("depeg", ratio=-0.03):  # the rate from before may be held for a while
        told = until(lambda: _price(bed, "LTC-USD")[0], within_s=20, what="a price by the new rate")
        truth = middle(bed, "kraken", "LTC/USD")
    assert [round(float(rate.rate), 2) for rate in told.conversions] == [0.97]
    assert sum(used for used, _ in fates(told).values()) >= 3
    assert abs(Decimal(told.price) / truth - 1) < Decimal("0.01")


# C: one venue


@pytest.mark.proves("ROW-C03")
def test_a_thousand_equal_questions_are_one_call_and_a_failure_costs_one_more(bed: WarmBed) -> None:
    def ask(interval: str, impatient_s: float) -> list[tuple[Any, float]]:
        request = warm_pb2.WarmKlinesRequest(venue="okx", symbol="BTC-USDT", interval=interval, limit=24)
        return bed.at_once("WarmKlines", [(request, 15.0 if n % 10 else impatient_s) for n in range(MANY)])

    before = bed.ledger("okx/public")["calls"]
    with bed.fault("slow_rest", venue="okx", ms=SLOW_MS, path="candles"):
        answers = ask("4h", 1.5)
    assert bed.ledger("okx/public")["calls"] - before == 1
    late = [took for answer, took in answers if isinstance(answer, grpc.aio.AioRpcError)]
    assert len(late) == MANY // 10  # who had less patience left alone, and ended nothing
    assert min(late) >= 1.4
    ids = {answer.served.snapshot_id for answer, _ in answers if not isinstance(answer, grpc.aio.AioRpcError)}
    assert len(ids) == 1
    before = bed.ledger("okx/public")["calls"]
    with bed.fault("http_status", venue="okx", status=503, path="candles", count=1):
        ask("2h", 15.0)
    assert bed.ledger("okx/public")["calls"] - before <= 2


@pytest.mark.proves("ROW-C04")
@pytest.mark.proves("ROW-E13")
def test_a_deadline_ends_the_call_and_what_was_begun_upstream(bed: WarmBed) -> None:
    bed.klines("coinbase", "BTC-USD", "1d")  # opens the harness's own connection
    ended = Figures("C04", "ended off its deadline", OFF_MS)
    left = Figures("C04", "the venue was left behind the deadline", LEFT_MS)
    slow = {"venue": "coinbase/advanced", "ms": 5_000, "path": "candles", "count": INJECTIONS}
    with bed.fault("slow_rest", **slow):
        for _ in range(INJECTIONS):
            begun = time.monotonic_ns()
            error: Any = refused(bed.klines, "coinbase", "BTC-USD", "1h", timeout_s=PATIENCE_S)
            due = begun + round(PATIENCE_S * 1e9)
            ended.add(abs(time.monotonic_ns() - due))
            assert error.code() is DEADLINE
            left.add(until(lambda: left_at(bed, begun), within_s=COMES_S, what="the venue is left") - due)  # noqa: B023
    until(lambda: bed.ledger("coinbase/advanced")["in_flight"] == 0, within_s=1, what="no call survives")
    for figures in (ended, left):
        figures.check()


def left_at(bed: WarmBed, since_ns: int) -> int:
    """Return when a venue saw a client leave before its answer, by its own log; 0: none did yet."""
    return next((one["t_mono_ns"] for one in bed.records(since_ns) if one["status"] is None), 0)


@pytest.mark.proves("ROW-C11")
@pytest.mark.proves("ROW-C16")
@pytest.mark.parametrize("kind", ["html", "empty", "error_object", "deep"])
def test_an_answer_that_is_none_is_a_typed_error_and_is_not_kept(bed: WarmBed, kind: str) -> None:
    interval = {"html": "1m", "empty": "5m", "error_object": "15m", "deep": "30m"}[kind]
    with bed.fault("broken_rest", venue="binance/usdm", kind=kind, path="klines"):
        error: Any = refused(bed.klines, "binance-usdm", "ETH-USDT", interval)
    assert error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.INTERNAL)
    assert reason(error) in ("VENUE_FAILED", "VENUE_RATE_LIMITED")
    told = bed.klines("binance-usdm", "ETH-USDT", interval)  # at once: no error is kept for a second
    assert told.served.cache_tier == lineage_pb2.CACHE_TIER_MISS
    assert len(told.klines) == 24
    row = next(row for row in bed.health().venues if row.venue == "binance-usdm")
    assert row.error_ratio > 0


@pytest.mark.proves("ROW-C08")
def test_the_larger_count_of_the_venue_is_believed(bed: WarmBed) -> None:
    bed.simulator.arm("rest_limit", venue="binance/usdm", limit=2_400, spent=900)
    bed.klines("binance-usdm", "SOL-USDT", "4h")
    rows = next(row.rate_limits for row in bed.health().venues if row.venue == "binance-usdm")
    row = next(row for row in rows if row.budget.startswith("rest:") and row.window_ms == 60_000)
    assert row.limit - row.remaining >= 900


@pytest.mark.proves("ROW-C07")
def test_a_ban_stops_all_calls_until_its_end_and_no_stream(bed: WarmBed, tmp_path: Any) -> None:  # noqa: ANN401
    probe = ProbeProcess(bed.service.address, tmp_path / "probe.bin")
    try:
        probe.send(subscription(["binance-usdm"], ["BTC-USDT"], [types_pb2.CHANNEL_TRADES], number=1))
        until(lambda: probe.news() or probe.story.topics, within_s=COMES_S, what="the stream begins")
        ban = bed.simulator.arm("ban", venue="binance/usdm", seconds=4)
        refused(bed.klines, "binance-usdm", "BTC-USDT", "1d")
        told = sum(map(len, probe.story.topics.values()))
        over_ns = int(bed.simulator.applied(ban)["armed_mono_ns"]) + 4_000 * MS  # as told, or later
        bed.simulator.end(ban)  # it is a client that must wait now, not the venue
        before = bed.ledger("binance/usdm")["calls"]
        while time.monotonic_ns() < over_ns - 500 * MS:
            error: Any = refused(bed.klines, "binance-usdm", "BTC-USDT", "1d", timeout_s=0.2)
            assert reason(error) in ("VENUE_RATE_LIMITED", "") or error.code() is DEADLINE
        assert bed.ledger("binance/usdm")["calls"] == before
        probe.news()
        assert sum(map(len, probe.story.topics.values())) > told
        answered = until(
            lambda: _answer(bed, "binance-usdm", "BTC-USDT", "1d"), within_s=COMES_S, what="answered again"
        )
        assert answered.klines
    finally:
        probe.close()


def _answer(bed: WarmBed, venue: str, symbol: str, interval: str) -> Any:  # noqa: ANN401  a response
    """Return an answer; None: it was refused."""
    try:
        return bed.klines(venue, symbol, interval)
    except grpc.RpcError:
        return None


def of_binance(record: dict[str, Any]) -> bool:
    """Whether a call went to Binance's spot host."""
    return (record["venue"], record["product"]) == ("binance", "spot")


def snapshots(bed: WarmBed) -> list[dict[str, Any]]:
    """Return the book snapshots that Binance was asked for."""
    return [one for one in bed.records(0) if of_binance(one) and "/depth" in one["path"]]


@pytest.mark.proves("ROW-C06")
def test_three_times_the_budget_breaks_no_limit_and_a_book_goes_first(bed: WarmBed, tmp_path: Any) -> None:  # noqa: ANN401
    intervals = ("1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d")
    requests = [
        (
            warm_pb2.WarmKlinesRequest(venue="binance", symbol=symbol, interval=interval, limit=limit),
            2.0,
        )
        for limit in range(10, 30)
        for symbol in ("BTC-USDT", "ETH-USDT", "SOL-USDT", "XRP-USDT", "ADA-USDT", "DOGE-USDT")
        for interval in intervals
    ]
    assert 2 * len(requests) >= 2.8 * BINANCE
    answers = [answer for answer, _ in bed.at_once("WarmKlines", requests)]
    limited = [one for one in answers if isinstance(one, grpc.aio.AioRpcError)]
    assert 0 < len(limited) < len(answers)
    probe = ProbeProcess(bed.service.address, tmp_path / "probe.bin")
    try:  # clients have spent what is theirs; a book that is out of sync has a reserve
        probe.send(subscription(["binance"], ["BTC-USDT"], [types_pb2.CHANNEL_BOOK_L2], number=1))
        until(
            lambda: [one for one in bed.records(0) if "/depth" in one["path"]],
            within_s=COMES_S,
            what="a snapshot",
        )
    finally:
        probe.close()
    ledger = bed.ledger("binance/spot")
    assert (ledger["http_429"], ledger["http_418"], ledger["refused"]) == (0, 0, 0)
    until(lambda: counts_alike(bed), within_s=COMES_S, what="the service counts what the venue does, to 1 %")


def counts_alike(bed: WarmBed) -> bool:
    """Whether service and venue count the same in the last minute; a call under way stands in one alone."""
    rows = next(row.rate_limits for row in bed.health().venues if row.venue == "binance")
    row = next(row for row in rows if row.budget.startswith("rest:") and row.window_ms == 60_000)
    spent = sum(one["weight"] for one in bed.records(time.monotonic_ns() - 60_000 * MS) if of_binance(one))
    return bool(abs((row.limit - row.remaining) / spent - 1) <= 0.01)


@pytest.mark.proves("ROW-C01")
def test_while_a_circuit_is_open_stale_answers_are_given_and_say_so(bed: WarmBed) -> None:
    first = bed.ticker("okx", "LTC-USDT")
    with bed.fault("http_status", venue="okx", status=503, count=1_000):
        for base in ("BTC", "ETH", "SOL", "XRP", "ADA"):
            refused(bed.ticker, "okx", f"{base}-USDT")
        until(lambda: time.time_ns() > first.served.ts_expires + 100 * MS, within_s=8, what="it is stale")
        calls = bed.ledger("okx/public")["calls"]
        stale = bed.ticker("okx", "LTC-USDT")
        assert stale.served.is_stale
        assert stale.served.age_ns >= 5_000 * MS
        assert stale.served.snapshot_id == first.served.snapshot_id
        took = []
        for _ in range(20):
            begun = time.monotonic()
            error: Any = refused(bed.ticker, "okx", "DOGE-USDT")
            took.append(time.monotonic() - begun)
            if reason(error) != "CIRCUIT_OPEN":  # half open: a probe
                took.pop()
        assert min(took) <= 0.005
        assert bed.ledger("okx/public")["calls"] - calls <= 3


@pytest.mark.proves("ROW-C09")
@pytest.mark.parametrize(("kind", "interval"), [("drip", "5m"), ("endless", "15m"), ("gzip_bomb", "1d")])
def test_hostile_bodies_are_abandoned_in_time_and_cost_little_memory(
    bed: WarmBed, kind: str, interval: str
) -> None:
    bed.health()
    with bed.fault("broken_rest", venue="coinbase/advanced", kind=kind, path="candles"):
        begun = time.monotonic()
        with MemorySampler(bed.service.pid) as memory:
            error: Any = refused(bed.klines, "coinbase", "ETH-USD", interval)
        assert time.monotonic() - begun <= 10.5
    assert error.code() in (grpc.StatusCode.UNAVAILABLE, DEADLINE)
    assert memory.worst - memory.first <= 40 * MIB
