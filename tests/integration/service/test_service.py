"""The service as a client meets it, with both servers, against simulated venues."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path
from typing import Any

import grpc
import pytest
import pytest_asyncio
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]  # no py.typed

from datafacade.v1 import (
    book_pb2,
    health_pb2,
    hot_pb2,
    lineage_pb2,
    reference_pb2,
    stream_pb2,
    types_pb2,
)
from tests.integration.service.bench import PATIENCE_S, Bench, Reader, service

TRADES, BOOK, TOP, KLINES, TICKER, CONSOLIDATED_TOP = 1, 2, 3, 4, 5, 6
ACCEPTED = stream_pb2.SUBSCRIPTION_PHASE_ACCEPTED
REJECTED = stream_pb2.SUBSCRIPTION_PHASE_REJECTED


@pytest_asyncio.fixture(params=["rust", "grpcio"])
async def bench(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    settings = {"hot": {"max_pairs": 3, "linger_sec": 0.5}, "server": {"instruments_max": 50}}
    async with service(tmp_path / "config", edge=request.param, settings=settings) as made:
        yield made


def reason(error: grpc.aio.AioRpcError) -> Any:  # noqa: ANN401  the generated class has no stub
    """Return the ErrorInfo of a refusal."""
    trailers = {str(key): value for key, value in error.trailing_metadata()}
    status = status_pb2.Status.FromString(trailers["grpc-status-details-bin"])
    assert (status.code, status.message) == (error.code().value[0], error.details())
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    return info


async def refused(call: Awaitable[object]) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value


@pytest.mark.proves("REQ-A8")
@pytest.mark.proves("REQ-L3")
@pytest.mark.proves("REQ-B4")
async def test_one_stream_carries_all_channels_of_several_venues_in_order(bench: Bench) -> None:
    reader = Reader(bench)
    await reader.subscribe(["BTCUSDT", "BTC/USD"], [TRADES, BOOK, TOP, TICKER], subscription_id=1)
    kinds = ("trade", "book_snapshot", "book_delta", "top_of_book", "ticker", "checkpoint")
    await reader.until(
        lambda: all(reader.payloads(kind, venue) for kind in kinds for venue in ("binance", "kraken"))
    )
    assert {status.phase for status in reader.statuses()} == {ACCEPTED}
    modes = {u.channel: u.subscription_status.delivery for u in reader.payloads("subscription_status")}
    latest = types_pb2.DELIVERY_MODE_LATEST
    assert modes == {TRADES: types_pb2.DELIVERY_MODE_EVERY, BOOK: latest, TOP: latest, TICKER: latest}
    by_topic: dict[tuple[str, str, int], list[int]] = {}
    for update in reader.updates:
        position_only = update.HasField("checkpoint") or update.HasField("heartbeat") or update.flags & 2
        if update.seq and not position_only:
            by_topic.setdefault((update.venue, update.symbol, update.channel), []).append(update.seq)
    assert by_topic
    for sequence in by_topic.values():
        assert sequence == list(range(sequence[0], sequence[0] + len(sequence)))
    numbers = [response.stream_seq for response in reader.responses]
    assert numbers == list(range(1, len(numbers) + 1))


@pytest.mark.proves("ROW-E07")
async def test_an_unknown_symbol_among_known_ones_is_refused_alone(bench: Bench) -> None:
    await bench.stub.ListInstruments(reference_pb2.ListInstrumentsRequest())
    reader = Reader(bench)
    symbols = ["BTC-USD", "ETH-USD", *(f"NO{number}-USD" for number in range(28))]
    await reader.subscribe(symbols, [BOOK], venues=["kraken"], subscription_id=4)
    await reader.until(lambda: len(reader.statuses()) >= 30)
    phases = {status.requested_symbol: status.phase for status in reader.statuses()}
    assert {symbol for symbol, phase in phases.items() if phase == ACCEPTED} == {"BTC-USD", "ETH-USD"}
    unknown = next(status for status in reader.statuses() if status.phase == REJECTED)
    assert (unknown.code, unknown.reason) == (5, "UNKNOWN_SYMBOL")
    assert (unknown.request_id, unknown.subscription_id) == (9, 4)
    await reader.until(lambda: reader.payloads("book_snapshot", "kraken", "ETH-USD"))


async def test_a_misspelled_symbol_comes_with_suggestions(bench: Bench) -> None:
    reader = Reader(bench)
    await reader.subscribe(["BTC-USDD"], [TRADES])
    await reader.until(reader.statuses)
    assert "BTC-USD" in reader.statuses()[0].suggestions


@pytest.mark.proves("ROW-E08")
async def test_ten_thousand_symbols_are_refused_naming_the_limit(bench: Bench) -> None:
    reader = Reader(bench)
    await reader.subscribe([f"S{number}" for number in range(9_000)], [BOOK])
    await reader.until(lambda: reader.error)
    assert reader.error is not None
    assert reader.error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert reason(reader.error).metadata["limit"] == "server.instruments_max"


@pytest.mark.proves("REQ-B1")
async def test_one_pair_too_many_is_refused_per_item_and_the_call_lives_on(bench: Bench) -> None:
    reader = Reader(bench)
    await reader.subscribe(["BTC-USD", "ETH-USD", "BTC-USDT", "ETH-USDT"], [TRADES])
    await reader.until(lambda: len(reader.statuses()) == 4)
    rejected = [status for status in reader.statuses() if status.phase == REJECTED]
    assert [(one.code, one.reason) for one in rejected] == [(8, "QUOTA_EXCEEDED")]
    assert "hot.max_pairs allows 3" in rejected[0].message
    await reader.until(lambda: reader.payloads("trade"))


@pytest.mark.parametrize(
    "fields",
    [
        {"filter": hot_pb2.Filter()},
    ],
)
async def test_what_is_not_served_yet_is_refused_never_ignored(bench: Bench, fields: dict[str, Any]) -> None:
    reader = Reader(bench)
    asked: dict[str, Any] = {"channels": [TRADES]} | fields
    await reader.subscribe(["BTC-USD"], venues=["kraken"], **asked)
    await reader.until(reader.statuses)
    assert [(one.phase, one.code, one.reason) for one in reader.statuses()] == [
        (REJECTED, 12, "NOT_SUPPORTED")
    ]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"symbols": [], "channels": [1]}, "subscribe[0].symbols"),
        ({"symbols": ["A"], "channels": []}, "subscribe[0].channels"),
    ],
)
async def test_a_subscription_without_items_ends_the_call(
    bench: Bench, fields: dict[str, Any], field: str
) -> None:
    reader = Reader(bench)
    await reader.subscribe(**fields)
    await reader.until(lambda: reader.error)
    assert reader.error is not None
    assert reader.error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert str(reader.error.details()).startswith(field)


@pytest.mark.proves("CTL-S21")
@pytest.mark.parametrize(
    "fields",
    [
        {"channels": [0]},
        {"channels": [99]},
        {"venues": ["mtgox"]},
        {"delivery": 9},
        {"delivery": types_pb2.DELIVERY_MODE_LATEST},  # trades are never conflated
        {"delivery": types_pb2.DELIVERY_MODE_INTERVAL, "interval_ms": 100},
        {"channels": [TICKER], "delivery": types_pb2.DELIVERY_MODE_INTERVAL, "interval_ms": 9},
        {"channels": [BOOK], "delivery": types_pb2.DELIVERY_MODE_INTERVAL, "interval_ms": 100},
        {"channels": [TICKER], "interval_ms": 100},
        {"variants": ["25"]},
        {"channels": [BOOK], "variants": ["7"]},
        {"channels": [KLINES], "variants": ["2w"]},
        {"channels": [CONSOLIDATED_TOP]},  # takes all venues, not one
        {"venues": ["consolidated"]},
        {"channels": [BOOK], "ts_history_start": 1},  # a book has no past
        {"ts_history_start": 2**62},
    ],
)
async def test_an_impossible_item_is_refused_alone(bench: Bench, fields: dict[str, Any]) -> None:
    reader = Reader(bench)
    asked: dict[str, Any] = {"symbols": ["BTC-USD"], "channels": [TRADES], "venues": ["kraken"]} | fields
    await reader.subscribe(**asked)
    await reader.until(reader.statuses)
    assert [(one.phase, one.code) for one in reader.statuses()] == [(REJECTED, 3)]


async def test_requests_add_remove_and_acknowledge_in_a_live_call(bench: Bench) -> None:
    reader = Reader(bench)
    await reader.subscribe(["BTC-USD"], [TRADES], venues=["kraken"], subscription_id=1)
    await reader.until(lambda: reader.payloads("trade"))
    one = hot_pb2.Subscription(subscription_id=2, symbols=["ETH-USD"], venues=["kraken"])
    one.channels.append(types_pb2.CHANNEL_TRADES)
    await reader.ask(unsubscribe=[1, 77], subscribe=[one], ack_stream_seq=len(reader.responses))
    await reader.until(lambda: reader.payloads("trade", "kraken", "ETH-USD"))
    ended = [s for s in reader.statuses() if s.phase == stream_pb2.SUBSCRIPTION_PHASE_ENDED]
    assert [(s.subscription_id, s.requested_symbol) for s in ended] == [(1, "BTC-USD")]
    at = next(n for n, u in enumerate(reader.updates) if u.subscription_status.phase == 6)
    assert not [u for u in reader.updates[at + 1 :] if u.symbol == "BTC-USD"]
    await reader.subscribe(["BTC-USD"], [TRADES], venues=["kraken"], subscription_id=1)
    await reader.until(
        lambda: reader.payloads("trade", "kraken", "BTC-USD")[-1:] != [] and len(reader.statuses()) == 4
    )


async def test_the_same_topic_twice_or_an_id_in_use_is_refused(bench: Bench) -> None:
    reader = Reader(bench)
    await reader.subscribe(["BTC-USD"], [TRADES], venues=["kraken"], subscription_id=1)
    await reader.subscribe(["XBT/USD"], [TRADES], venues=["kraken"], subscription_id=2)
    await reader.subscribe(["ETH-USD"], [TRADES], venues=["kraken"], subscription_id=1)
    await reader.until(lambda: len(reader.statuses()) == 3)
    assert [s.phase for s in reader.statuses()] == [ACCEPTED, REJECTED, REJECTED]


async def test_an_acknowledgement_of_what_was_never_sent_ends_the_call(bench: Bench) -> None:
    reader = Reader(bench)
    await reader.subscribe(["BTC-USD"], [TRADES], venues=["kraken"])
    await reader.until(reader.responses.__len__)
    await reader.ask(ack_stream_seq=10_000)
    await reader.until(lambda: reader.error)
    assert reader.error is not None
    assert reader.error.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_quiet_call_still_shows_life_every_second(bench: Bench) -> None:
    reader = Reader(bench)
    await reader.subscribe(["NO-SUCH"], [TRADES])
    await reader.until(lambda: len(reader.responses) >= 3)
    assert len(reader.responses[-1].updates) == 0


@pytest.mark.proves("REQ-A15")
async def test_the_venue_is_left_after_the_last_subscriber_and_the_linger(bench: Bench) -> None:
    reader = Reader(bench)
    await reader.subscribe(["BTC-USD"], [BOOK], venues=["kraken"])
    await reader.until(lambda: reader.is_live("kraken"))

    async def topics() -> int:
        health = await bench.stub.Health(health_pb2.HealthRequest(venues=["kraken"]))
        return len(health.venues[0].streams)

    assert await topics() == 1
    reader.call.cancel()
    async with asyncio.timeout(PATIENCE_S):
        while await topics():  # noqa: ASYNC110  the service has no event for it
            await asyncio.sleep(0.05)


@pytest.mark.proves("ROW-E06")
@pytest.mark.proves("ROW-E04")
async def test_hundreds_of_calls_that_come_and_go_leave_nothing_behind(bench: Bench) -> None:
    async def visit(number: int) -> None:
        reader = Reader(bench)
        await reader.subscribe(["BTC-USD", "BTC-USDT", f"NO{number}"], [BOOK, TRADES])
        await reader.until(reader.statuses)
        reader.call.cancel()

    await visit(0)
    before = len(asyncio.all_tasks())
    for start in range(0, 300, 20):
        await asyncio.gather(*(visit(start + number) for number in range(20)))

    async def followed() -> int:
        health = await bench.stub.Health(health_pb2.HealthRequest())
        return sum(len(venue.streams) for venue in health.venues)

    async with asyncio.timeout(PATIENCE_S):
        while await followed() or len(asyncio.all_tasks()) > before:  # noqa: ASYNC110  no event for it
            await asyncio.sleep(0.05)


# Unary


@pytest.mark.proves("REQ-A8")
@pytest.mark.proves("REQ-L5")
@pytest.mark.proves("REQ-T2")
@pytest.mark.proves("REQ-A5")
@pytest.mark.proves("REQ-L2")
async def test_a_book_is_answered_from_the_live_one_with_its_proof(bench: Bench) -> None:
    reader = Reader(bench)
    await reader.subscribe(["BTC-USD"], [BOOK], venues=["kraken"])
    await reader.until(lambda: reader.is_live("kraken"))
    book = await bench.stub.L2Book(book_pb2.L2BookRequest(venue="kraken", symbol="XBTUSD", depth=5))
    assert (book.venue, book.symbol, book.state) == ("kraken", "BTC-USD", types_pb2.STATE_LIVE)
    assert book.integrity == types_pb2.INTEGRITY_CHECKSUM
    bids, asks = list(book.book.bid_prices), list(book.book.ask_prices)
    assert (len(bids), len(asks)) == (5, 5)
    assert bids == sorted(bids, reverse=True)
    assert asks == sorted(asks)
    assert bids[0] < asks[0]
    assert book.checkpoint.sha256
    assert float(book.spread) == pytest.approx((asks[0] - bids[0]) * 10.0**book.price_exponent)
    assert 0 < float(book.spread_percent) < 1
    assert book.served.cache_tier == lineage_pb2.CACHE_TIER_LIVE
    assert book.served.latency_ns > 0


async def test_a_book_that_nobody_follows_is_followed_for_the_answer(bench: Bench) -> None:
    book = await bench.stub.L2Book(book_pb2.L2BookRequest(venue="binance", symbol="ETHUSDT", depth=1))
    assert book.state == types_pb2.STATE_LIVE
    assert book.integrity == types_pb2.INTEGRITY_SEQUENCE


@pytest.mark.parametrize(
    ("fields", "code", "why"),
    [
        ({"symbol": "BTC-USD"}, grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST"),
        ({"venue": "kraken"}, grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST"),
        ({"venue": "mtgox", "symbol": "BTC-USD"}, grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST"),
        ({"venue": "kraken", "symbol": "NO-SUCH"}, grpc.StatusCode.NOT_FOUND, "UNKNOWN_SYMBOL"),
        (
            {"venue": "kraken", "symbol": "BTC-USD", "ts_as_of": 1},
            grpc.StatusCode.NOT_FOUND,
            "PIT_NOT_FOUND",
        ),
        (
            {"venue": "kraken", "symbol": "BTC-USD", "snapshot_id": "x"},
            grpc.StatusCode.NOT_FOUND,
            "PIT_NOT_FOUND",
        ),
    ],
)
async def test_a_book_that_cannot_be_is_refused(
    bench: Bench, fields: dict[str, Any], code: grpc.StatusCode, why: str
) -> None:
    error = await refused(bench.stub.L2Book(book_pb2.L2BookRequest(**fields)))
    assert error.code() is code
    assert reason(error).reason == why


@pytest.mark.proves("REQ-A8")
@pytest.mark.proves("REQ-B7")
@pytest.mark.proves("REQ-B9")
@pytest.mark.proves("REQ-H1")
@pytest.mark.proves("REQ-H6")
async def test_health_tells_live_numbers_per_venue_and_stream(bench: Bench) -> None:
    reader = Reader(bench)
    await reader.subscribe(["BTC-USD", "BTCUSDT"], [BOOK, TRADES])
    await reader.until(lambda: reader.is_live("kraken") and reader.is_live("binance"))
    await reader.until(lambda: len(reader.payloads("book_delta")) > 20)
    health = await bench.stub.Health(health_pb2.HealthRequest())
    assert [venue.venue for venue in health.venues] == ["binance", "kraken"]
    assert (health.limits.pairs_max, health.limits.pairs) == (3, 2)
    for venue in health.venues:
        assert venue.status == health_pb2.HEALTH_STATUS_HEALTHY
        assert venue.recommendation == health_pb2.RECOMMENDATION_USE_PRIMARY
        assert venue.ws_connected
        assert venue.rest_healthy
        assert venue.counts.messages > 0
        assert venue.counts.proofs_checked > 0
        assert (venue.counts.gaps, venue.counts.proofs_failed) == (0, 0)
        stages = {row.stage: row.quantiles for row in venue.latencies}
        publish = stages[health_pb2.LATENCY_STAGE_RECV_TO_PUBLISH]
        assert 0 < publish.p50_ns <= publish.p99_ns <= publish.p999_ns
        states = {(one.channel, one.state, one.subscribers) for one in venue.streams}
        assert states == {(BOOK, types_pb2.STATE_LIVE, 1), (TRADES, types_pb2.STATE_LIVE, 1)}
        assert venue.rate_limits
        assert {one.state for one in venue.breakers} == {health_pb2.BREAKER_STATE_CLOSED}
    summary = await bench.stub.Health(health_pb2.HealthRequest(venues=["kraken"], summary_only=True))
    assert [len(venue.streams) for venue in summary.venues] == [0]


@pytest.mark.proves("REQ-T6")
async def test_instruments_are_listed_page_by_page(bench: Bench) -> None:
    request = reference_pb2.ListInstrumentsRequest(page_size=3)
    pages = [await bench.stub.ListInstruments(request)]
    while pages[-1].next_page_token:
        request.page_token = pages[-1].next_page_token
        pages.append(await bench.stub.ListInstruments(request))
    rows = [(one.venue, one.symbol) for page in pages for one in page.instruments]
    assert rows == [
        ("binance", "BTC-USDT"),
        ("binance", "ETH-USDT"),
        ("kraken", "BTC-USD"),
        ("kraken", "ETH-USD"),
    ]
    assert {page.total for page in pages} == {4}
    named = await bench.stub.ListInstruments(reference_pb2.ListInstrumentsRequest(symbols=["xbt/usd"]))
    (kraken,) = named.instruments
    assert (kraken.venue_symbol, kraken.type) == ("BTC/USD", reference_pb2.INSTRUMENT_TYPE_SPOT)
    assert "XBT/USD" in kraken.aliases
    assert kraken.tick_size
    error = await refused(bench.stub.ListInstruments(reference_pb2.ListInstrumentsRequest(symbols=["NO"])))
    assert error.code() is grpc.StatusCode.NOT_FOUND


async def test_health_checks_know_the_service_and_each_venue(bench: Bench) -> None:
    for name in ("", "datafacade.v1.DataFacadeService", "venue/kraken"):
        async with asyncio.timeout(PATIENCE_S):
            while await bench.health(name) != 1:  # noqa: ASYNC110  the service has no event for it
                await asyncio.sleep(0.05)
    error = await refused(bench.health("venue/mtgox"))
    assert error.code() is grpc.StatusCode.NOT_FOUND


async def test_bytes_that_are_no_request_are_refused(bench: Bench) -> None:
    call: Any = bench.channel.unary_unary("/datafacade.v1.DataFacadeService/L2Book")
    error = await refused(call(b"\xff\xff\xff"))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
