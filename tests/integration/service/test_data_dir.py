"""The service and its data directory, judged from outside the process."""

from __future__ import annotations

import asyncio
from pathlib import Path

from datafacade._core import Clock, Hub, Journal
from datafacade.v1 import health_pb2, hot_pb2
from tests.integration.service.bench import PATIENCE_S, Reader, simulator, spawn, started

TRADES = 1


def opened(folder: Path, epoch: int) -> Journal:
    """Open the journal that a dead service left."""
    return Journal(Hub(epoch=epoch), folder / "data" / "journal", clock=Clock.real(), epoch=epoch)


async def test_what_a_client_was_given_survives_sigkill(tmp_path: Path) -> None:
    folder = tmp_path / "config"
    async with simulator(folder) as running:
        async with started(folder, running) as (process, bench):
            reader = Reader(bench)
            await reader.subscribe(["BTC-USD"], [TRADES])
            await reader.until(lambda: len(reader.payloads("trade")) > 100)
            health = await bench.stub.Health(health_pb2.HealthRequest())
            assert set(health.warnings) <= {"LOOP_PAUSED"}  # a busy machine may have held it up
            assert health.edge.topics >= 1
            assert health.edge.ring_bytes > 0
            given = list(reader.updates)
            await bench.kept(TRADES)
            process.kill()
            await process.wait()
        expected = [update for update in given if update.seq and update.WhichOneof("payload") != "heartbeat"]
        epoch = expected[0].epoch
        journal = opened(folder, epoch + 1)
        [(held, oldest, last)] = journal.ranges("kraken", "BTC-USD", TRADES, "")
        assert (held, oldest) == (epoch, 1)
        assert last >= expected[-1].seq
        entries, seq, kept = b"x", expected[0].seq - 1, dict[int, hot_pb2.Update]()
        while entries:
            entries, seq = journal.read(
                "kraken", "BTC-USD", TRADES, "", epoch=epoch, seq_after=seq, bytes_max=500
            )
            for update in hot_pb2.HotSubscribeResponse.FromString(entries).updates:
                kept[update.seq] = update
        assert seq == last
        assert [kept[update.seq] for update in expected] == expected
        async with started(folder, running) as (_, bench):
            again = Reader(bench)
            await again.subscribe(["BTC-USD"], [TRADES])
            await again.until(lambda: again.payloads("trade"))
            assert again.payloads("trade")[0].epoch > epoch


async def test_two_services_never_share_a_data_directory(tmp_path: Path) -> None:
    folder = tmp_path / "config"
    async with simulator(folder) as running, started(folder, running) as (first, _):
        second = await spawn(folder)
        _, said = await asyncio.wait_for(second.communicate(), PATIENCE_S)
        assert second.returncode == 1
        assert f"data directory {folder / 'data'} is in use by pid {first.pid}" in said.decode()
