"""Topics with variants over real gRPC: klines of any interval, books of limited depth, each its own seq."""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path

import pytest
import pytest_asyncio

from datafacade.v1 import health_pb2, market_pb2, stream_pb2, types_pb2
from tests.integration.service.bench import Bench, Reader, service

TRADES, BOOK, TOP, KLINES, TICKER = 1, 2, 3, 4, 5
ACCEPTED = stream_pb2.SUBSCRIPTION_PHASE_ACCEPTED
REJECTED = stream_pb2.SUBSCRIPTION_PHASE_REJECTED


@pytest_asyncio.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    settings = {"hot": {"max_pairs": 1, "linger_sec": 0.5}}
    async with service(tmp_path / "config", products=("kraken/spot",), settings=settings) as made:
        yield made


async def test_each_channel_takes_its_own_variants_and_each_variant_is_a_topic(bench: Bench) -> None:
    reader = Reader(bench)
    variants = ["1s", "100t", "25", "10"]
    await reader.subscribe(["XBT/USD"], [TRADES, BOOK, KLINES], venues=["kraken"], variants=variants)
    await reader.until(lambda: len(reader.statuses()) == 5)
    told = {
        (u.channel, u.variant): u.subscription_status.phase for u in reader.payloads("subscription_status")
    }
    expected = [(TRADES, ""), (BOOK, "25"), (BOOK, "10"), (KLINES, "1s"), (KLINES, "100t")]
    assert told == dict.fromkeys(expected, ACCEPTED)


async def test_klines_come_final_and_in_order_by_any_name_of_their_interval(bench: Bench) -> None:
    reader = Reader(bench)
    await reader.subscribe(["BTC-USD"], [KLINES], venues=["kraken"], variants=["1s"])

    def final() -> list[market_pb2.Kline]:
        bars = [update.kline for update in reader.payloads("kline")]
        return [bar for bar in bars if bar.state == market_pb2.KLINE_STATE_FINAL]

    await reader.until(lambda: len(final()) >= 3)
    assert {update.variant for update in reader.payloads("kline")} == {"1s"}
    opens = [bar.ts_open for bar in final() if not bar.revision]
    assert all(before < after for before, after in pairwise(opens))
    assert all(at % 10**9 == 0 for at in opens)
    other = Reader(bench)
    await other.subscribe(["BTC-USD"], [KLINES], venues=["kraken"], variants=["60s"])
    await other.until(other.statuses)
    assert other.updates[0].variant == "1m"
    assert other.statuses()[0].delivery == types_pb2.DELIVERY_MODE_EVERY


async def test_a_book_of_limited_depth_never_shows_more(bench: Bench) -> None:
    reader = Reader(bench)
    await reader.subscribe(["BTC-USD"], [BOOK], venues=["kraken"], variants=["10"])
    await reader.until(lambda: reader.payloads("book_snapshot") and reader.payloads("book_delta"))
    assert {u.variant for u in reader.updates} == {"10"}
    for update in reader.payloads("book_snapshot"):
        assert len(update.book_snapshot.bid_prices) <= 10
        assert len(update.book_snapshot.ask_prices) <= 10


async def test_variants_are_one_symbol_and_health_shows_each(bench: Bench) -> None:
    reader = Reader(bench)
    await reader.subscribe(["BTC-USD"], [KLINES], venues=["kraken"], variants=["1s", "1m", "5m"])
    await reader.subscribe(["ETH-USD"], [KLINES], venues=["kraken"])
    await reader.until(lambda: len(reader.statuses()) == 4)
    refused = [status.requested_symbol for status in reader.statuses() if status.phase == REJECTED]
    assert refused == ["ETH-USD"]  # one symbol too many, however many variants the other has
    health = await bench.stub.Health(health_pb2.HealthRequest(venues=["kraken"]))
    shown = {(s.channel, s.variant): s.subscribers for s in health.venues[0].streams}
    assert {variant: shown[KLINES, variant] for variant in ("1s", "1m", "5m")} == dict.fromkeys(
        ("1s", "1m", "5m"), 1
    )


@pytest.mark.parametrize("channel", [TOP, TICKER])
async def test_what_a_client_chose_is_told_back(bench: Bench, channel: int) -> None:
    reader = Reader(bench)
    fields = {"delivery": types_pb2.DELIVERY_MODE_INTERVAL, "interval_ms": 200}
    await reader.subscribe(["BTC-USD"], [channel], venues=["kraken"], **fields)
    await reader.until(reader.statuses)
    status = reader.statuses()[0]
    assert (status.delivery, status.interval_ms) == (types_pb2.DELIVERY_MODE_INTERVAL, 200)
