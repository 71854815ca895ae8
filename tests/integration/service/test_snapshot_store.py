"""The store under a service: damaged, full, hanging, absent, ended in the middle of a commit."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import grpc
import pytest

from datafacade.cli.main import main
from datafacade.errors import PitFull
from datafacade.sim.settings import SimulatorSettings
from datafacade.sim.simulator import Simulator
from datafacade.store.pit.vault import Vault
from datafacade.store.pit.verify import verify
from datafacade.v1 import health_pb2, pit_pb2, warm_pb2
from datafacade.warm import snapshots
from tests.integration.cli.running import run
from tests.integration.service.bench import PATIENCE_S, Bench, service, simulated, spawn
from tests.integration.service.kept import KLINES, TICKER, Code, bare, fetched, refused, store_of, stub_of


@pytest.mark.proves("ROW-F05")
@pytest.mark.proves("REQ-P9")
async def test_a_damaged_snapshot_is_never_served(bench: Bench, tmp_path: Path) -> None:
    other = (await bench.stub.WarmTicker(TICKER)).served.snapshot_id
    answer = await bench.stub.WarmKlines(KLINES)
    snapshot_id = answer.served.snapshot_id
    (path,) = store_of(tmp_path).rglob(f"*{snapshot_id[:32]}.pb")
    path.chmod(0o640)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)
    asked = warm_pb2.WarmKlinesRequest(snapshot_id=snapshot_id)
    assert (await refused(bench.stub.WarmKlines(asked))).code() is Code.DATA_LOSS
    quarantine = store_of(tmp_path) / ".quarantine"
    async with asyncio.timeout(PATIENCE_S):
        while path.exists():  # noqa: ASYNC110  another thread moves it
            await asyncio.sleep(0.02)
    assert [one.read_bytes() for one in quarantine.iterdir()] == [bytes(content)], "put aside as it was"
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await fetched(bench, snapshot_id)
    assert caught.value.code() is Code.DATA_LOSS
    assert (await fetched(bench, other))[0].id == other
    verdict = await stub_of(bench).VerifyPit(pit_pb2.VerifyPitRequest())
    assert {damage.what for damage in verdict.damages} == {snapshot_id}
    assert verdict.ok == verdict.snapshots - 1


async def test_a_disk_that_refuses_costs_no_answer_and_is_announced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with service(tmp_path / "config") as bench:
        healthy: Callable[..., Any] = Vault.commit

        def full(_: Vault, group: Any) -> Any:  # noqa: ANN401
            return [PitFull("no space left on device") for _ in group]

        monkeypatch.setattr(Vault, "commit", full)
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
        monkeypatch.setattr(Vault, "commit", healthy)
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
        async with asyncio.timeout(PATIENCE_S):
            while "PIT_SKIPPED" in (await bench.stub.Health(health_pb2.HealthRequest())).warnings:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        answer = await bench.stub.WarmTicker(TICKER)
        assert (await fetched(bench, answer.served.snapshot_id))[0].kind == "WarmTickerResponse"


@pytest.mark.proves("ROW-F10")
async def test_a_disk_that_hangs_delays_answers_for_a_moment_and_is_announced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    healthy, gate = Vault.commit, threading.Event()

    def hanging(self: Vault, group: Any) -> Any:  # noqa: ANN401
        gate.wait(100)
        return healthy(self, group)

    async with service(tmp_path / "config", products=("binance/spot",)) as bench:
        await bench.stub.WarmKlines(
            warm_pb2.WarmKlinesRequest(venue="binance", symbol="BTC-USDT", interval="1h")
        )
        async with asyncio.timeout(PATIENCE_S):  # the list of instruments is kept too
            while (await stub_of(bench).PitStats(pit_pb2.PitStatsRequest())).committed < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        monkeypatch.setattr(snapshots, "PATIENCE_S", 0.5)
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
        async with asyncio.timeout(
            PATIENCE_S
        ):  # what was given up still stands before the writer, for a moment
            for limit in count(101):
                later = await bench.stub.WarmKlines(
                    warm_pb2.WarmKlinesRequest(venue="binance", symbol="BTC-USDT", interval="1h", limit=limit)
                )
                if (await stub_of(bench).PitStats(pit_pb2.PitStatsRequest())).skipped == limit - 1:
                    break
        assert (await fetched(bench, later.served.snapshot_id))[0].rows == limit


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


async def test_the_command_line_shows_the_same_from_a_service_and_from_its_directory(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def said(*words: str) -> tuple[int, str, str]:
        code = await asyncio.to_thread(main, ["pit", *words])
        return code, *capsys.readouterr()

    entity = "warm.klines/kraken/BTC-USD/1h:24"
    async with service(tmp_path / "config") as bench:
        snapshot_id = (await bench.stub.WarmKlines(KLINES)).served.snapshot_id
        for words in (["get", snapshot_id], ["at", entity, "now"], ["ls"], ["ls", entity], ["verify"]):
            for form in ([], ["--json"]):
                remote = await said(*words, *form, "--target", bench.address)
                local = await said(*words, *form, "--dir", str(store_of(tmp_path)))
                assert remote[:2] == local[:2] == (0, remote[1])
                assert remote[1]
        told = json.loads((await said("at", entity, "--json", "--target", bench.address))[1])
        assert told["id"] == snapshot_id
        code, _, words_of_it = await said("get", "ab" * 32, "--target", bench.address)
        assert (code, "no snapshot" in words_of_it) == (1, True)
        (path,) = store_of(tmp_path).rglob(f"*{snapshot_id[:32]}.pb")
        path.chmod(0o640)
        path.write_bytes(b"other")
        remote = await said("verify", "--json", "--target", bench.address)
        assert (remote[0], json.loads(remote[1])["damaged"]) == (1, [snapshot_id])


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
                async with asyncio.timeout(PATIENCE_S):
                    while "warm.klines" not in await anext(lines):
                        pass
                process.terminate()
                answer = await asking
            assert await asyncio.wait_for(process.wait(), PATIENCE_S) == 0
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
