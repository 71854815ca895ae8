"""Snapshots through both servers: every warm answer fetched again byte for byte, and as of any time."""

from __future__ import annotations

import asyncio
import json
import time
from decimal import Decimal
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any, cast

import polars as pl
import pytest

from datafacade.store.pit.store import PitStore
from datafacade.store.pit.tables import table_draft
from datafacade.store.pit.vault import Vault
from datafacade.v1 import book_pb2, pit_pb2, price_pb2, types_pb2, warm_pb2
from datafacade.warm.prices import METHODS
from datafacade.warm.reconcile import Quote, Rate, Rules, reconcile
from tests.integration.service.bench import PATIENCE_S, Bench, Reader, service
from tests.integration.service.kept import (
    KLINES,
    PIT,
    REQUESTS,
    Code,
    bare,
    fetched,
    refused,
    store_of,
    stub_of,
)


@pytest.mark.proves("REQ-P7")
@pytest.mark.proves("REQ-P4")
@pytest.mark.parametrize("method", REQUESTS)
async def test_every_warm_answer_is_fetched_again_byte_for_byte(
    bench: Bench, tmp_path: Path, method: str
) -> None:
    call, request = getattr(bench.stub, method), REQUESTS[method]
    first = await call(request)
    snapshot_id = first.served.snapshot_id
    ref, message = await fetched(bench, snapshot_id)
    assert sha256(message).hexdigest() == snapshot_id == ref.id
    assert (ref.kind, ref.size_bytes) == (f"{method}Response", len(message))
    assert type(first).FromString(message).SerializeToString(deterministic=True) == bare(first)
    for past in ({"snapshot_id": snapshot_id}, {"ts_as_of": time.time_ns()}):
        asked = type(request).FromString(request.SerializeToString())
        for name, value in past.items():
            setattr(asked, name, value)
        again = await call(asked)
        assert bare(again) == bare(first)
        assert (again.served.cache_tier, again.served.snapshot_id) == (PIT, snapshot_id)
        assert not again.served.is_stale
    vault = Vault.open(store_of(tmp_path), is_writable=False)
    assert vault.get(snapshot_id).message == message
    vault.close()


async def test_what_is_asked_as_of_a_time_is_the_newest_of_then(bench: Bench) -> None:
    request = warm_pb2.WarmTickerRequest(venue="kraken", symbol="BTC-USD")
    seen: list[tuple[int, str]] = []
    async with asyncio.timeout(PATIENCE_S):  # the cache forgets a ticker after 5 s
        while len(seen) < 2:
            snapshot_id = (await bench.stub.WarmTicker(request)).served.snapshot_id
            if not seen or seen[-1][1] != snapshot_id:
                seen.append((time.time_ns(), snapshot_id))
            await asyncio.sleep(0.2)
    for ts, snapshot_id in seen:
        request.ts_as_of = ts
        assert (await bench.stub.WarmTicker(request)).served.snapshot_id == snapshot_id
        at = await stub_of(bench).PitAt(
            pit_pb2.PitAtRequest(entity="warm.ticker/kraken/BTC-USD", ts_as_of=ts)
        )
        assert at.ref.id == snapshot_id


@pytest.mark.proves("REQ-Q4")
async def test_a_reconciliation_recomputes_from_its_snapshot_to_the_last_digit(bench: Bench) -> None:
    for method in METHODS.values():
        request = price_pb2.ReconciledPriceRequest(symbol="BTC-USD", method=method)
        answer = await bench.stub.ReconciledPrice(request)
        _, message = await fetched(bench, answer.served.snapshot_id)
        kept = price_pb2.ReconciledPriceResponse.FromString(message)
        told = kept.parameters
        made = reconcile(
            [
                Quote(
                    source=quote.source,
                    price=quote.price,
                    age_ns=quote.age_ns if quote.HasField("age_ns") else None,
                    currency=quote.quote,
                    volume_24h=quote.volume_24h,
                    failure="FAILED" if quote.reason == "FAILED" else "",
                )
                for quote in kept.quotes
            ],
            rules=Rules(
                method=next(cast("Any", name) for name, number in METHODS.items() if number == told.method),
                deviation_ratio_max=told.deviation_ratio_max,
                sources_min=told.sources_min,
                confidence_ratio_min=told.confidence_ratio_min,
                trim_ratio=told.trim_ratio or Rules().trim_ratio,
                age_ns_max_by_source={
                    quote.source: quote.age_ns_max for quote in kept.quotes if quote.age_ns_max
                },
                aggregators=tuple(quote.source for quote in kept.quotes if quote.is_aggregator),
            ),
            currency="USD",
            rates=[
                Rate(
                    currency=getattr(rate, "from"),
                    target=rate.to,
                    rate=rate.rate,
                    source=rate.source,
                    age_ns=0,
                )
                for rate in kept.conversions
            ],
        )
        assert (f"{made.price:f}", made.confidence_ratio, made.deviation_ratio) == (
            kept.price,
            kept.confidence_ratio,
            kept.deviation_ratio,
        )
        assert (f"{made.volume_24h:f}" if made.volume_24h is not None else "") == kept.volume_24h
        assert made.dropped == {quote.source: quote.reason for quote in kept.quotes if not quote.used}
        assert Decimal(kept.price) > 0


async def test_the_snapshot_service_lists_verifies_and_counts(bench: Bench) -> None:
    ids = {
        (await getattr(bench.stub, name)(request)).served.snapshot_id for name, request in REQUESTS.items()
    }
    stub = stub_of(bench)
    listed = await stub.PitList(pit_pb2.PitListRequest())
    assert "warm.klines/kraken/BTC-USD/1h:24" in listed.entities
    assert {"instruments/kraken/", "instruments/okx/"} <= set(listed.entities)
    found = set()
    for entity in listed.entities:
        rows = await stub.PitList(pit_pb2.PitListRequest(entity=entity))
        found |= {ref.id for ref in rows.refs}
        assert not rows.is_cut
    assert ids <= found
    cut = await stub.PitList(pit_pb2.PitListRequest(entity="warm.ticker/okx/BTC-USDT", ts_until=1))
    assert (list(cut.refs), cut.is_cut) == ([], False)
    stats = await stub.PitStats(pit_pb2.PitStatsRequest())
    assert (stats.snapshots, stats.committed, stats.skipped, stats.failed) == (len(found), len(found), 0, 0)
    verdict = await stub.VerifyPit(pit_pb2.VerifyPitRequest())
    assert (verdict.snapshots, verdict.ok, list(verdict.damages)) == (len(found), len(found), [])
    one = await stub.VerifyPit(pit_pb2.VerifyPitRequest(snapshot_id=min(ids)[:16]))
    assert (one.snapshots, one.ok) == (1, 1)
    snapshot_id = (await bench.stub.WarmKlines(KLINES)).served.snapshot_id
    _, text = await fetched(bench, snapshot_id, pit_pb2.PIT_ENCODING_JSON)
    assert len(json.loads(text)["klines"]) == 24


async def test_followed_books_are_kept_on_an_interval(tmp_path: Path) -> None:
    settings: dict[str, Any] = {}
    async with service(
        tmp_path / "config", settings=settings, files={"pit.yaml": {"books_sec": 0.1}}
    ) as bench:
        reader = Reader(bench)
        await reader.subscribe(["BTC-USD"], [types_pb2.CHANNEL_BOOK_L2], venues=["kraken"])
        await reader.until(lambda: reader.is_live("kraken"))
        listed = pit_pb2.PitListRequest(entity="hot.book/kraken/BTC-USD")
        async with asyncio.timeout(PATIENCE_S):
            while len((await stub_of(bench).PitList(listed)).refs) < 3:  # noqa: ASYNC110  it is asked by RPC
                await asyncio.sleep(0.05)
        request = book_pb2.L2BookRequest(venue="kraken", symbol="XBT/USD", ts_as_of=time.time_ns())
        kept = await bench.stub.L2Book(request)
        assert kept.state == types_pb2.STATE_LIVE
        assert kept.served.cache_tier == PIT
        assert len(kept.book.bid_prices) > 10
        request.depth = 5
        error = await refused(bench.stub.L2Book(request))
        assert (error.details() or "").startswith("depth")
        reader.call.cancel()


async def test_tables_come_as_parquet_and_as_arrow_but_not_as_json(tmp_path: Path) -> None:
    frame = pl.DataFrame({"close": [1.5, 2.5]})
    path = store_of(tmp_path)
    await asyncio.to_thread(path.parent.mkdir, parents=True)
    store = PitStore.open(path)
    table = await asyncio.wrap_future(store.submit(table_draft("study/okx/BTC-USDT", frame)))
    other = await store.put("study/okx/ETH-USDT", "Study", b"no table", readable={})
    store.close()
    async with service(tmp_path / "config") as bench:
        _, content = await fetched(bench, table.id, pit_pb2.PIT_ENCODING_ARROW)
        assert pl.read_ipc_stream(BytesIO(content)).equals(frame)
        _, content = await fetched(bench, table.id)
        assert pl.read_parquet(BytesIO(content)).equals(frame)
        for snapshot_id, encoding in (
            (table.id, pit_pb2.PIT_ENCODING_JSON),
            (other.id, pit_pb2.PIT_ENCODING_ARROW),
        ):
            request = pit_pb2.PitGetRequest(snapshot_id=snapshot_id, encoding=encoding)
            error = await refused(anext(aiter(stub_of(bench).PitGet(request))))
            assert (error.code(), (error.details() or "")[:8]) == (Code.INVALID_ARGUMENT, "encoding")
        assert (await fetched(bench, other.id, pit_pb2.PIT_ENCODING_JSON))[1] == b"{}"
