"""Resume over real gRPC, with both servers: each position leads to what the contract says."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from datafacade.sim.simulator import Simulator
from datafacade.v1 import hot_pb2, stream_pb2, types_pb2
from tests.integration.service.bench import Bench, Reader, service, simulator, started

TRADES, BOOK, TOP = 1, 2, 3
REJECTED = stream_pb2.SUBSCRIPTION_PHASE_REJECTED
RESUMED = stream_pb2.SUBSCRIPTION_PHASE_RESUMED
RESUME_LOST = stream_pb2.SUBSCRIPTION_PHASE_RESUME_LOST
CAUGHT_UP = stream_pb2.SUBSCRIPTION_PHASE_CAUGHT_UP


@pytest_asyncio.fixture(params=["rust", "grpcio"])
async def bench(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    async with service(tmp_path / "config", edge=request.param, products=("kraken/spot",)) as made:
        yield made


@pytest_asyncio.fixture
async def forgetful(tmp_path: Path) -> AsyncIterator[Bench]:
    """Run a service whose ring holds next to nothing, and nothing on disk."""
    settings = {"hub": {"ring_sec": 0.2}, "data": {"dir": "none"}}
    async with service(tmp_path / "config", products=("kraken/spot",), settings=settings) as made:
        yield made


@pytest_asyncio.fixture
async def diarist(tmp_path: Path) -> AsyncIterator[Bench]:
    """Run a service whose ring holds next to nothing, and whose disk holds all."""
    settings = {"hub": {"ring_sec": 0.2}}
    async with service(tmp_path / "config", products=("kraken/spot",), settings=settings) as made:
        yield made


def at(update: hot_pb2.Update, seq: int | None = None, epoch: int | None = None) -> types_pb2.Position:
    return types_pb2.Position(
        venue=update.venue,
        symbol=update.symbol,
        channel=update.channel,
        epoch=update.epoch if epoch is None else epoch,
        seq=update.seq if seq is None else seq,
    )


def of_topic(reader: Reader) -> list[hot_pb2.Update]:
    """Return the topic records: those that take a number."""
    return [
        update
        for update in reader.updates
        if update.seq
        and not update.flags & types_pb2.UPDATE_FLAG_CUT
        and not update.HasField("heartbeat")
        and not update.HasField("checkpoint")
    ]


def phases(reader: Reader) -> list[int]:
    return [status.phase for status in reader.statuses()]


def losses(reader: Reader) -> list[hot_pb2.Update]:
    """Return the gaps between the service and this client."""
    return [u for u in reader.payloads("gap") if u.gap.scope == stream_pb2.GAP_SCOPE_DELIVERY]


async def crashed(
    bench: Bench, channel: int, *, records: int = 3, seconds: float = 0
) -> list[hot_pb2.Update]:
    """Follow a topic, vanish for so long while another client keeps it going; return the records."""
    keeper = Reader(bench)
    await keeper.subscribe(["BTC-USD"], [channel], venues=["kraken"])
    reader = Reader(bench)
    await reader.subscribe(["BTC-USD"], [channel], venues=["kraken"])
    await reader.until(lambda: len(of_topic(reader)) >= records)
    reader.call.cancel()
    last, until = of_topic(reader)[-1].seq, time.time_ns() + seconds * 1e9
    await keeper.until(lambda: of_topic(keeper) and of_topic(keeper)[-1].seq >= last + 5)
    await keeper.until(lambda: of_topic(keeper)[-1].ts_publish >= until)
    bench.keepers = [*getattr(bench, "keepers", []), keeper]  # type: ignore[attr-defined]  # it must outlive this
    return of_topic(reader)


async def resumed(bench: Bench, positions: list[types_pb2.Position], **fields: bool) -> Reader:
    reader = Reader(bench)
    channels = [positions[0].channel]
    await reader.subscribe(["XBT/USD"], channels, venues=["kraken"], resume=positions, **fields)
    return reader


@pytest.mark.proves("ROW-E16")
@pytest.mark.parametrize("channel", [TRADES, BOOK, TOP])
async def test_who_comes_back_gets_exactly_what_was_missed_once(bench: Bench, channel: int) -> None:
    before = await crashed(bench, channel)
    reader = await resumed(bench, [at(before[-1])])
    await reader.until(lambda: CAUGHT_UP in phases(reader))
    await reader.until(lambda: len(of_topic(reader)) >= 12)
    assert phases(reader) == [RESUMED, CAUGHT_UP]
    seqs = [update.seq for update in of_topic(reader)]
    assert seqs == list(range(before[-1].seq + 1, before[-1].seq + 1 + len(seqs)))
    assert not losses(reader)


@pytest.mark.proves("ROW-E16")
async def test_a_position_above_the_head_is_refused_alone(bench: Bench) -> None:
    before = await crashed(bench, TRADES)
    reader = await resumed(bench, [at(before[-1], seq=10**9)])
    await reader.until(reader.statuses)
    status = reader.statuses()[0]
    assert (status.phase, status.code, status.reason) == (REJECTED, 3, "INVALID_REQUEST")
    await reader.subscribe(["BTC-USD"], [TRADES], venues=["kraken"])  # the call lives, the topic is free
    await reader.until(lambda: reader.payloads("trade"))


@pytest.mark.proves("ROW-E16")
async def test_outside_the_ring_the_loss_is_told_before_a_snapshot(forgetful: Bench) -> None:
    before = await crashed(forgetful, BOOK, seconds=1.5)
    reader = await resumed(forgetful, [at(before[0], seq=before[0].seq)])
    await reader.until(lambda: reader.payloads("book_snapshot") and reader.payloads("book_delta"))
    kinds = [u.WhichOneof("payload") for u in reader.updates if u.WhichOneof("payload") != "stream_state"]
    assert phases(reader)[0] == RESUME_LOST
    assert reader.statuses()[0].seq_oldest > before[0].seq + 1
    assert kinds[1] == "gap"
    gap = losses(reader)[0].gap
    assert (gap.cause, gap.scope) == (stream_pb2.GAP_CAUSE_RESUME_TOO_OLD, stream_pb2.GAP_SCOPE_DELIVERY)
    assert gap.seq_first == before[0].seq + 1
    assert gap.seq_last >= gap.seq_first
    cut = next(u for u in reader.payloads("book_snapshot") if u.flags & types_pb2.UPDATE_FLAG_CUT)
    assert cut.seq >= gap.seq_last


@pytest.mark.proves("ROW-E16")
@pytest.mark.parametrize("channel", [TRADES, BOOK])
async def test_beyond_the_ring_the_disk_has_exactly_what_was_missed(diarist: Bench, channel: int) -> None:
    before = await crashed(diarist, channel, seconds=1.5)
    reader = await resumed(diarist, [at(before[0])])
    await reader.until(lambda: CAUGHT_UP in phases(reader))
    missed = len(of_topic(reader))
    await reader.until(lambda: len(of_topic(reader)) > missed + 3)
    assert phases(reader) == [RESUMED, CAUGHT_UP]
    seqs = [update.seq for update in of_topic(reader)]
    assert seqs == list(range(before[0].seq + 1, before[0].seq + 1 + len(seqs)))
    assert not losses(reader)


@pytest.mark.proves("ROW-E16")
async def test_an_epoch_that_nobody_remembers_is_lost_in_band(bench: Bench) -> None:
    before = await crashed(bench, TRADES)
    reader = await resumed(bench, [at(before[-1], epoch=before[-1].epoch - 1000)])
    await reader.until(lambda: reader.payloads("trade"))
    assert phases(reader) == [RESUME_LOST, CAUGHT_UP]
    assert losses(reader)[0].gap.cause == stream_pb2.GAP_CAUSE_RESUME_TOO_OLD


async def test_who_insists_on_every_update_gets_nothing_behind_a_loss(bench: Bench) -> None:
    before = await crashed(bench, TRADES)
    lost = at(before[-1], epoch=1)
    reader = await resumed(bench, [lost], require_exact_resume=True)
    await reader.until(reader.statuses)
    assert phases(reader) == [RESUME_LOST]
    assert (reader.statuses()[0].code, reader.statuses()[0].reason) == (11, "RESUME_TOO_OLD")
    await reader.until(lambda: len(reader.responses) >= 3)
    assert not of_topic(reader)
    assert not losses(reader)


async def test_a_position_of_another_topic_is_refused_and_the_subscription_starts(bench: Bench) -> None:
    before = await crashed(bench, TRADES)
    stranger = at(before[-1])
    stranger.symbol = "ETH-USD"
    reader = await resumed(bench, [at(before[-1]), stranger])
    await reader.until(lambda: len(reader.statuses()) >= 3 and of_topic(reader))
    by_symbol = {(u.symbol, s.phase) for u in reader.updates if (s := u.subscription_status).phase}
    refused = [status for status in reader.statuses() if status.phase == REJECTED]
    assert [(one.code, one.requested_symbol) for one in refused] == [(3, "ETH-USD")]
    assert ("BTC-USD", RESUMED) in by_symbol


async def test_a_replay_can_be_given_up(bench: Bench) -> None:
    before = await crashed(bench, TRADES)
    reader = Reader(bench)
    one = hot_pb2.Subscription(
        subscription_id=3, venues=["kraken"], symbols=["BTC-USD"], resume=[at(before[-1])]
    )
    one.channels.append(types_pb2.CHANNEL_TRADES)
    await reader.ask(subscribe=[one])
    await reader.ask(unsubscribe=[3])
    await reader.until(lambda: stream_pb2.SUBSCRIPTION_PHASE_ENDED in phases(reader))


# The service itself was killed


async def killed(folder: Path, running: Simulator, channel: int) -> list[hot_pb2.Update]:
    """Follow a topic until the service is killed; return the records that its disk had time to take."""
    async with started(folder, running) as (process, bench):
        reader = Reader(bench)
        await reader.subscribe(["BTC-USD"], [channel], venues=["kraken"])
        await reader.until(lambda: len(of_topic(reader)) > 40)
        given = of_topic(reader)
        await bench.kept(channel)
        process.kill()
        await process.wait()
    return given


@pytest.mark.proves("ROW-E15")
@pytest.mark.proves("ROW-E16")
async def test_after_a_kill_trades_go_on_with_the_rest_a_gap_and_the_new_epoch(tmp_path: Path) -> None:
    folder = tmp_path / "config"
    async with simulator(folder) as running:
        before = await killed(folder, running, TRADES)
        async with started(folder, running) as (_, bench):
            reader = await resumed(bench, [at(before[20])])
            await reader.until(lambda: CAUGHT_UP in phases(reader))
            await reader.until(lambda: [u for u in reader.payloads("trade") if u.epoch > before[0].epoch])
    assert phases(reader) == [RESUMED, CAUGHT_UP]
    old = [update for update in of_topic(reader) if update.epoch == before[0].epoch]
    assert [update.seq for update in old] == list(range(before[21].seq, before[21].seq + len(old)))
    given = {update.seq: update for update in before[21:]}
    assert {update.seq: update for update in old if update.seq in given} == given
    [gap] = losses(reader)
    assert (gap.gap.cause, gap.epoch) == (stream_pb2.GAP_CAUSE_SERVER_RESTART, before[0].epoch)
    assert (gap.gap.seq_first, gap.gap.seq_last) == (0, 0)
    assert gap.gap.ts_first == old[-1].ts_publish < gap.gap.ts_last
    kinds = [u.epoch for u in reader.updates if u.seq or u.HasField("gap")]
    assert kinds == sorted(kinds)  # the rest of the old epoch, the gap, the new one
    new = [update.seq for update in of_topic(reader) if update.epoch > before[0].epoch]
    assert new == list(range(1, len(new) + 1))


@pytest.mark.proves("ROW-E16")
async def test_after_a_kill_a_book_starts_over_with_a_snapshot_behind_the_gap(tmp_path: Path) -> None:
    folder = tmp_path / "config"
    async with simulator(folder) as running:
        before = await killed(folder, running, BOOK)
        lost = at(before[-1], seq=before[-1].seq + 10**6)  # the crash took the disk's tail
        async with started(folder, running) as (_, bench):
            reader = await resumed(bench, [lost])
            await reader.until(lambda: reader.payloads("book_delta"))
    assert phases(reader) == [RESUMED, CAUGHT_UP]
    [gap] = losses(reader)
    assert gap.gap.cause == stream_pb2.GAP_CAUSE_SERVER_RESTART
    assert before[-1].seq < gap.gap.seq_first <= gap.gap.seq_last == lost.seq
    snapshot, delta = reader.payloads("book_snapshot")[-1], reader.payloads("book_delta")[0]
    assert snapshot.epoch == delta.epoch > before[0].epoch
    assert delta.seq > snapshot.seq
