"""Snapshots through both servers: every warm answer fetched again byte for byte, and as of any time."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any, cast

import grpc
import polars as pl
import pytest
import pytest_asyncio
from google.protobuf.message import Message

from datafacade.sim.settings import SimulatorSettings
from datafacade.sim.simulator import Simulator
from datafacade.store.pit.store import PitStore
from datafacade.store.pit.tables import table_draft
from datafacade.store.pit.vault import Vault
from datafacade.store.pit.verify import verify
from datafacade.v1 import (
    book_pb2,
    cache_pb2,
    coverage_pb2,
    health_pb2,
    lineage_pb2,
    pit_pb2,
    price_pb2,
    types_pb2,
    warm_pb2,
)
from datafacade.v1.pit_pb2_grpc import SnapshotServiceStub
from datafacade.warm import snapshots
from datafacade.warm.prices import METHODS
from datafacade.warm.reconcile import Quote, Rate, Rules, reconcile
from tests.integration.cli.running import run
from tests.integration.service.bench import Bench, Reader, service, simulated, spawn

PRODUCTS = (
    "binance/spot",
    "binance/usdm",
    "kraken/spot",
    "okx/public",
    "coinbase/advanced",
    "coinbase/exchange",
)
KLINES = warm_pb2.WarmKlinesRequest(venue="kraken", symbol="BTC-USD", interval="1h", limit=24)
TICKER = warm_pb2.WarmTickerRequest(venue="kraken", symbol="BTC-USD")
PIT = lineage_pb2.CACHE_TIER_PIT
Code = grpc.StatusCode


@pytest_asyncio.fixture(params=["rust", "grpcio"])
async def bench(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    async with service(tmp_path / "config", edge=request.param, products=PRODUCTS) as running:
        yield running


def store_of(tmp_path: Path) -> Path:
    return tmp_path / "config" / "data" / "artifacts" / "pit"


def stub_of(bench: Bench) -> Any:  # noqa: ANN401  a stub
    return SnapshotServiceStub(bench.channel)


async def fetched(bench: Bench, snapshot_id: str, encoding: int = 0) -> tuple[pit_pb2.PitRef, bytes]:
    """Return a snapshot as PitGet streams it."""
    request = pit_pb2.PitGetRequest(snapshot_id=snapshot_id, encoding=cast("Any", encoding))
    whole = pit_pb2.PitGetResponse()
    async for part in stub_of(bench).PitGet(request):
        whole.MergeFrom(part)
    return whole.ref, b"".join(whole.chunks)


async def refused(call: Any) -> grpc.aio.AioRpcError:  # noqa: ANN401  a call of the stub
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value


def bare(answer: Message) -> bytes:
    """Return an answer's bytes without ``served``, fields in the order of the contract."""
    copy = type(answer).FromString(answer.SerializeToString())
    copy.ClearField("served")
    return copy.SerializeToString(deterministic=True)


REQUESTS: dict[str, Message] = {
    "WarmKlines": KLINES,
    "WarmTrades": warm_pb2.WarmTradesRequest(venue="binance", symbol="BTC-USDT", limit=10),
    "WarmTicker": warm_pb2.WarmTickerRequest(venue="okx", symbol="BTC-USDT"),
    "WarmFunding": warm_pb2.WarmFundingRequest(venue="binance-usdm", symbol="BTC-USDT"),
    "ReconciledPrice": price_pb2.ReconciledPriceRequest(symbol="BTC-USD"),
    "L2Book": book_pb2.L2BookRequest(venue="kraken", symbol="ETH-USD", depth=10, allow_unverified=True),
}


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


@pytest.mark.parametrize("method", REQUESTS)
async def test_the_past_is_refused_in_clear_words(bench: Bench, method: str) -> None:
    call, request = getattr(bench.stub, method), REQUESTS[method]
    other = "WarmTicker" if method != "WarmTicker" else "WarmKlines"
    foreign = (await getattr(bench.stub, other)(REQUESTS[other])).served.snapshot_id
    cases: list[tuple[dict[str, Any], grpc.StatusCode, str]] = [
        ({"ts_as_of": time.time_ns() + 10**12}, Code.INVALID_ARGUMENT, "ts_as_of"),
        ({"ts_as_of": -1}, Code.INVALID_ARGUMENT, "ts_as_of"),
        ({"ts_as_of": 1}, Code.NOT_FOUND, "no snapshot"),
        ({"snapshot_id": "ab" * 32}, Code.NOT_FOUND, "no snapshot"),
        ({"snapshot_id": "../../etc/passwd"}, Code.NOT_FOUND, "no snapshot"),
        ({"snapshot_id": foreign}, Code.INVALID_ARGUMENT, "snapshot_id"),
        ({"snapshot_id": foreign, "ts_as_of": 1}, Code.INVALID_ARGUMENT, "ts_as_of"),
    ]
    for past, code, words in cases:
        asked = type(request).FromString(request.SerializeToString())
        for name, value in past.items():
            setattr(asked, name, value)
        error = await refused(call(asked))
        assert (error.code(), words in (error.details() or "")) == (code, True), error.details()


async def test_what_is_asked_as_of_a_time_is_the_newest_of_then(bench: Bench) -> None:
    request = warm_pb2.WarmTickerRequest(venue="kraken", symbol="BTC-USD")
    seen: list[tuple[int, str]] = []
    async with asyncio.timeout(20):  # the cache forgets a ticker after 5 s
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


@pytest.mark.parametrize(
    ("method", "request_", "field"),
    [
        ("PitAt", pit_pb2.PitAtRequest(), "entity"),
        ("PitAt", pit_pb2.PitAtRequest(entity="a/b/c", snapshot_id="ab"), "snapshot_id"),
        ("PitAt", pit_pb2.PitAtRequest(entity="a/b/c", ts_as_of=2**62), "ts_as_of"),
        ("PitList", pit_pb2.PitListRequest(limit=10_001), "limit"),
        ("PitList", pit_pb2.PitListRequest(snapshot_id="ab"), "snapshot_id"),
        ("VerifyPit", pit_pb2.VerifyPitRequest(ts_as_of=1), "ts_as_of"),
        ("PitStats", pit_pb2.PitStatsRequest(ts_as_of=1), "ts_as_of"),
        ("PitStats", pit_pb2.PitStatsRequest(snapshot_id="ab"), "snapshot_id"),
    ],
)
async def test_a_bad_request_is_refused_by_its_field(
    bench: Bench, method: str, request_: Message, field: str
) -> None:
    error = await refused(getattr(stub_of(bench), method)(request_))
    assert error.code() is Code.INVALID_ARGUMENT
    assert (error.details() or "").startswith(field)


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (pit_pb2.PitGetRequest(), "snapshot_id"),
        (pit_pb2.PitGetRequest(snapshot_id="ab" * 32, ts_as_of=1), "ts_as_of"),
        (pit_pb2.PitGetRequest(snapshot_id="ab" * 32, encoding=cast("Any", 9)), "encoding"),
    ],
)
async def test_a_bad_request_for_a_snapshot_is_refused_by_its_field(
    bench: Bench, request_: pit_pb2.PitGetRequest, field: str
) -> None:
    error = await refused(anext(aiter(stub_of(bench).PitGet(request_))))
    assert error.code() is Code.INVALID_ARGUMENT
    assert (error.details() or "").startswith(field)


async def test_a_damaged_snapshot_is_never_served(bench: Bench, tmp_path: Path) -> None:
    answer = await bench.stub.WarmKlines(KLINES)
    snapshot_id = answer.served.snapshot_id
    (path,) = store_of(tmp_path).rglob(f"*{snapshot_id[:32]}.pb")
    path.chmod(0o640)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)
    asked = warm_pb2.WarmKlinesRequest(snapshot_id=snapshot_id)
    assert (await refused(bench.stub.WarmKlines(asked))).code() is Code.DATA_LOSS
    verdict = await stub_of(bench).VerifyPit(pit_pb2.VerifyPitRequest())
    assert {damage.what for damage in verdict.damages} == {snapshot_id}


@pytest.mark.parametrize(
    "path", ["DataFacadeService/PitStats", "SnapshotService/Health", "SnapshotService/Nope", "Nope/Health"]
)
async def test_a_method_that_a_service_does_not_have_is_unimplemented(bench: Bench, path: str) -> None:
    call = cast("Any", bench.channel.unary_unary(f"/datafacade.v1.{path}"))
    assert (await refused(call(b""))).code() is Code.UNIMPLEMENTED


async def test_health_knows_the_service_of_snapshots(bench: Bench) -> None:
    assert await bench.health("datafacade.v1.SnapshotService") == 1


async def test_methods_without_a_past_say_so(bench: Bench) -> None:
    for call, request in (
        (bench.stub.Health, health_pb2.HealthRequest(ts_as_of=1)),
        (bench.stub.CacheStats, cache_pb2.CacheStatsRequest(snapshot_id="ab")),
        (bench.stub.Coverage, coverage_pb2.CoverageRequest(ts_as_of=1)),
    ):
        assert (await refused(call(request))).code() is Code.UNIMPLEMENTED


async def test_followed_books_are_kept_on_an_interval(tmp_path: Path) -> None:
    settings: dict[str, Any] = {}
    async with service(
        tmp_path / "config", settings=settings, files={"pit.yaml": {"books_sec": 0.1}}
    ) as bench:
        reader = Reader(bench)
        await reader.subscribe(["BTC-USD"], [types_pb2.CHANNEL_BOOK_L2], venues=["kraken"])
        await reader.until(lambda: reader.is_live("kraken"))
        listed = pit_pb2.PitListRequest(entity="hot.book/kraken/BTC-USD")
        async with asyncio.timeout(10):
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


async def test_a_disk_that_refuses_costs_no_answer_and_is_announced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from datafacade.errors import PitFull
    from datafacade.store.pit.vault import Vault as Written

    async with service(tmp_path / "config") as bench:
        healthy: Callable[..., Any] = Written.commit

        def full(_: Written, group: Any) -> Any:  # noqa: ANN401
            return [PitFull("no space left on device") for _ in group]

        monkeypatch.setattr(Written, "commit", full)
        answer = await bench.stub.WarmKlines(KLINES)
        assert len(answer.klines) == 24
        health = await bench.stub.Health(health_pb2.HealthRequest())
        assert "PIT_SKIPPED" in health.warnings
        assert health.status == health_pb2.HEALTH_STATUS_DEGRADED
        stats = await stub_of(bench).PitStats(pit_pb2.PitStatsRequest())
        assert stats.skipped == stats.failed >= 1  # lists of instruments come beside it
        assert "no space" in stats.failure
        asked = warm_pb2.WarmKlinesRequest(snapshot_id=answer.served.snapshot_id)
        assert (await refused(bench.stub.WarmKlines(asked))).code() is Code.NOT_FOUND
        monkeypatch.setattr(Written, "commit", healthy)
        other = await bench.stub.WarmKlines(
            warm_pb2.WarmKlinesRequest(venue="kraken", symbol="ETH-USD", interval="1h")
        )
        assert (await fetched(bench, other.served.snapshot_id))[0].rows == 500


async def test_a_service_without_a_store_says_so_and_serves(
    tmp_path: Path,
) -> None:
    off = {"cache.yaml": {"pit_snapshots": {"enabled": False}}}
    async with service(tmp_path / "off", files=off) as bench:
        assert len((await bench.stub.WarmKlines(KLINES)).klines) == 24
        assert (
            await refused(stub_of(bench).PitStats(pit_pb2.PitStatsRequest()))
        ).code() is Code.UNIMPLEMENTED
        assert "PIT_SKIPPED" not in (await bench.stub.Health(health_pb2.HealthRequest())).warnings


@pytest.mark.proves("ROW-F11")
async def test_a_store_that_cannot_be_used_is_used_as_soon_as_it_can_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshots, "TURN_S", 0.1)
    monkeypatch.setattr(snapshots, "TOLD_NS", 0)
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where the store should be")
    async with service(tmp_path / "on", files={"pit.yaml": {"base_path": str(blocked)}}) as bench:
        assert len((await bench.stub.WarmKlines(KLINES)).klines) == 24
        health = await bench.stub.Health(health_pb2.HealthRequest())
        assert "PIT_SKIPPED" in health.warnings
        assert health.status == health_pb2.HEALTH_STATUS_DEGRADED
        assert (
            await refused(stub_of(bench).PitStats(pit_pb2.PitStatsRequest()))
        ).code() is Code.UNIMPLEMENTED
        blocked.unlink()
        async with asyncio.timeout(10):
            while "PIT_SKIPPED" in (await bench.stub.Health(health_pb2.HealthRequest())).warnings:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        answer = await bench.stub.WarmTicker(TICKER)
        assert (await fetched(bench, answer.served.snapshot_id))[0].kind == "WarmTickerResponse"


@pytest.mark.proves("ROW-F10")
async def test_a_disk_that_hangs_delays_answers_for_a_moment_and_those_in_excess_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshots, "PATIENCE_S", 0.5)
    healthy, gate = Vault.commit, threading.Event()

    def hanging(self: Vault, group: Any) -> Any:  # noqa: ANN401
        gate.wait(30)
        return healthy(self, group)

    async with service(tmp_path / "config", products=("binance/spot",)) as bench:
        await bench.stub.WarmKlines(
            warm_pb2.WarmKlinesRequest(venue="binance", symbol="BTC-USDT", interval="1h")
        )
        monkeypatch.setattr(Vault, "commit", hanging)
        asked = [
            warm_pb2.WarmKlinesRequest(venue="binance", symbol="BTC-USDT", interval="1h", limit=limit)
            for limit in range(1, 101)
        ]
        answers = await asyncio.gather(*(bench.stub.WarmKlines(request) for request in asked))
        assert [len(answer.klines) for answer in answers] == list(range(1, 101))
        stats = await stub_of(bench).PitStats(pit_pb2.PitStatsRequest())
        assert stats.skipped == 100
        assert stats.waiting <= 64
        assert "PIT_SKIPPED" in (await bench.stub.Health(health_pb2.HealthRequest())).warnings
        gate.set()
        later = await bench.stub.WarmKlines(
            warm_pb2.WarmKlinesRequest(venue="binance", symbol="ETH-USDT", interval="1h")
        )
        assert (await fetched(bench, later.served.snapshot_id))[0].rows == 500


async def test_a_store_outlives_its_service(tmp_path: Path) -> None:
    async with service(tmp_path / "config") as bench:
        first = await bench.stub.WarmKlines(KLINES)
    path = store_of(tmp_path)
    vault = Vault.open(path, is_writable=False)
    assert not verify(vault.root).damages
    vault.close()
    async with service(tmp_path / "config") as bench:
        asked = warm_pb2.WarmKlinesRequest(snapshot_id=first.served.snapshot_id)
        assert bare(await bench.stub.WarmKlines(asked)) == bare(first)


async def test_the_command_line_shows_the_same_from_a_service_and_from_its_directory(tmp_path: Path) -> None:
    async with service(tmp_path / "config") as bench:
        snapshot_id = (await bench.stub.WarmKlines(KLINES)).served.snapshot_id
        for words in (["get", snapshot_id], ["at", "warm.klines/kraken/BTC-USD/1h:24", "now"]):
            told = [
                await asyncio.to_thread(run, "pit", *words, "--json", *place)
                for place in (["--target", bench.address], ["--dir", str(store_of(tmp_path))])
            ]
            assert [json.loads(one.stdout)["id"] for one in told] == [snapshot_id] * 2
            assert told[0].stdout == told[1].stdout
        lost = await asyncio.to_thread(run, "pit", "get", "ab" * 32, "--target", bench.address)
        assert (lost.returncode, "no snapshot" in lost.stderr) == (1, True)


async def test_tables_come_as_arrow_and_what_is_too_large_for_a_message_is_refused(tmp_path: Path) -> None:
    frame = pl.DataFrame({"close": [1.5, 2.5]})
    path = store_of(tmp_path)
    await asyncio.to_thread(path.parent.mkdir, parents=True)
    store = PitStore.open(path)
    table = await asyncio.wrap_future(store.submit(table_draft("study/okx/BTC-USDT", frame)))
    large = await store.put("study/okx/ETH-USDT", "Large", bytes(3 * 2**20 + 1), readable={})
    store.close()
    async with service(tmp_path / "config") as bench:
        _, content = await fetched(bench, table.id, pit_pb2.PIT_ENCODING_ARROW)
        assert pl.read_ipc_stream(BytesIO(content)).equals(frame)
        _, content = await fetched(bench, table.id)
        assert pl.read_parquet(BytesIO(content)).equals(frame)
        for snapshot_id, encoding, code in (
            (table.id, pit_pb2.PIT_ENCODING_JSON, Code.INVALID_ARGUMENT),
            (large.id, pit_pb2.PIT_ENCODING_ARROW, Code.INVALID_ARGUMENT),
            (large.id, pit_pb2.PIT_ENCODING_PROTOBUF, Code.RESOURCE_EXHAUSTED),
        ):
            request = pit_pb2.PitGetRequest(snapshot_id=snapshot_id, encoding=encoding)
            assert (await refused(anext(aiter(stub_of(bench).PitGet(request))))).code() is code
        assert (await fetched(bench, large.id, pit_pb2.PIT_ENCODING_JSON))[1] == b"{}"


SLOW = """
import time
from datafacade.store.pit.vault import Vault
commit = Vault.commit
def slow(self, group):
    print(*(one.values["entity"] for one in group), flush=True)
    time.sleep(0.5)
    return commit(self, group)
Vault.commit = slow
"""


@pytest.mark.proves("ROW-E14")
async def test_sigterm_in_the_middle_of_a_commit_ends_behind_it(tmp_path: Path) -> None:
    folder = tmp_path / "config"
    settings = SimulatorSettings(seed=5, products=("kraken/spot",), bases=("BTC", "ETH"))
    async with Simulator(settings) as running:
        simulated(running, folder)
        process = await spawn(folder, prelude=SLOW)
        assert process.stdout is not None
        try:
            lines = (line.decode() async for line in process.stdout)
            address = await anext(lines)
            while not address.startswith("127."):  # lists of instruments may come before
                address = await anext(lines)
            async with grpc.aio.insecure_channel(address.strip()) as channel:
                stub = Bench(simulator=running, address=address, channel=channel).stub
                asking = asyncio.ensure_future(stub.WarmKlines(KLINES))
                async with asyncio.timeout(10):
                    while "warm.klines" not in await anext(lines):
                        pass
                process.terminate()
                answer = await asking
            assert await asyncio.wait_for(process.wait(), 10) == 0
        finally:
            if process.returncode is None:
                process.kill()
            await process.communicate()
    vault = Vault.open(store_of(tmp_path), is_writable=False)
    assert vault.get(answer.served.snapshot_id).ref.kind == "WarmKlinesResponse"
    assert not verify(vault.root).damages
    vault.close()


def test_a_start_that_fails_ends_although_a_store_is_open(tmp_path: Path) -> None:
    failed = run("serve", "--host", "0.0.0.0", "--port", "0", "--data-dir", str(tmp_path))  # noqa: S104  refused
    assert (failed.returncode, "not a loopback address" in failed.stderr) == (2, True)
    assert (tmp_path / "artifacts" / "pit").is_dir()
