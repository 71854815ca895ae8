"""Starting, draining and stopping, judged from outside the process."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.internal import api_implementation

from datafacade.app import Factory, run, run_service
from datafacade.app.run import refuse_slow_protobuf
from datafacade.config import load_config
from datafacade.errors import AddressTaken, ConfigError
from datafacade.sim.settings import SimulatorSettings
from datafacade.sim.simulator import Simulator
from datafacade.types import Channel
from datafacade.v1 import health_pb2, warm_pb2
from tests.integration.service.bench import PATIENCE_S, Bench, Reader, service, simulated, spawn

BOOK = 2


@contextlib.asynccontextmanager
async def spawned(
    folder: Path, edge: str = "rust", *, service: dict[str, Any] | None = None
) -> AsyncIterator[tuple[asyncio.subprocess.Process, Bench]]:
    """Run the service in a process of its own beside a simulator in ours."""
    settings = SimulatorSettings(seed=5, products=("kraken/spot", "binance/spot"), bases=("BTC", "ETH"))
    async with Simulator(settings) as simulator:
        simulated(simulator, folder, service=service)
        process = await spawn(folder, edge=edge)
        try:
            assert process.stdout is not None
            address = (await asyncio.wait_for(process.stdout.readline(), PATIENCE_S)).decode().strip()
            async with grpc.aio.insecure_channel(address) as channel:
                yield process, Bench(simulator=simulator, address=address, channel=channel)
        finally:
            if process.returncode is None:
                process.kill()
            await process.communicate()


@pytest.mark.proves("ROW-E14")
@pytest.mark.proves("REQ-A7")
@pytest.mark.parametrize("edge", ["rust", "grpcio"])
async def test_sigterm_drains_streams_with_positions_and_exits_0(tmp_path: Path, edge: str) -> None:
    async with spawned(tmp_path / "config", edge) as (process, bench):
        reader = Reader(bench)
        await reader.subscribe(["BTC-USD", "BTC-USDT"], [BOOK, 1])
        await reader.until(lambda: reader.is_live("kraken") and reader.is_live("binance"))
        watch: Any = bench.channel.unary_stream("/grpc.health.v1.Health/Watch")
        watching = watch(b"")
        assert await watching.read() == b"\x08\x01"
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(PATIENCE_S):
            assert await watching.read() == b"\x08\x02"
        await reader.until(lambda: reader.error)
        assert reader.error is not None
        assert reader.error.code() is grpc.StatusCode.UNAVAILABLE
        draining = reader.updates[-1].draining
        newest = {(u.venue, u.symbol, u.channel): u.seq for u in reader.updates if u.seq}
        assert {(p.venue, p.symbol, p.channel): p.seq for p in draining.positions} == newest
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await bench.stub.Health(health_pb2.HealthRequest())
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        assert await asyncio.wait_for(process.wait(), PATIENCE_S) == 0


@pytest.mark.proves("ROW-E14")
async def test_a_second_sigterm_ends_the_drain(tmp_path: Path) -> None:
    """What the drain waits for never comes: only the second signal can end it."""
    long = {"server": {"drain_sec": 600.0, "unary_timeout_sec": 600.0}, "hot": {"timeout_sec": 600.0}}
    async with spawned(tmp_path / "config", service=long) as (process, bench):
        fault = bench.simulator.arm({"verb": "slow_rest", "venue": "kraken", "ms": 600_000})
        request = warm_pb2.WarmTickerRequest(venue="kraken", symbol="BTC-USD")
        asking = asyncio.ensure_future(bench.stub.WarmTicker(request))
        async with asyncio.timeout(PATIENCE_S):
            while not fault.applied:  # noqa: ASYNC110  a count of the simulator
                await asyncio.sleep(0.01)
        watch: Any = bench.channel.unary_stream("/grpc.health.v1.Health/Watch")
        watching = watch(b"")
        assert await watching.read() == b"\x08\x01"
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(PATIENCE_S):
            assert await watching.read() == b"\x08\x02"
        assert not asking.done(), "it is drained already"
        process.send_signal(signal.SIGINT)
        assert await asyncio.wait_for(process.wait(), PATIENCE_S) == 0
        with pytest.raises(grpc.aio.AioRpcError):
            await asking


@pytest.mark.proves("ROW-E14")
async def test_sigterm_during_the_start_ends_it(tmp_path: Path) -> None:
    settings = SimulatorSettings(products=("kraken/spot",))
    async with Simulator(settings) as simulator:
        simulated(simulator, tmp_path / "config")
    process = await spawn(tmp_path / "config")  # its venue is gone: the list never comes
    assert process.stderr is not None
    async for line in process.stderr:
        if b"service.listening" in line:
            break
    process.send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(process.wait(), PATIENCE_S) == 0
    await process.communicate()


@pytest.mark.proves("ROW-E17")
@pytest.mark.proves("CTL-S3")
@pytest.mark.parametrize("edge", ["rust", "grpcio"])
async def test_a_taken_port_ends_the_start_naming_the_address(tmp_path: Path, edge: str) -> None:
    async with service(tmp_path / "config") as bench:
        port = int(bench.address.rpartition(":")[2])
        process = await spawn(tmp_path / "config", port=port, edge=edge)
        _, stderr = await process.communicate()
        assert process.returncode == 1
        assert f"cannot listen on {bench.address}: address in use" in stderr.decode()
        with pytest.raises(AddressTaken):
            await run_service(load_config(tmp_path / "config"), port=port, edge=edge)  # type: ignore[arg-type]


@pytest.mark.proves("CTL-S2")
@pytest.mark.parametrize("edge", ["rust", "grpcio"])
@pytest.mark.parametrize("host", ["0.0.0.0", "localhost"])  # noqa: S104  must be refused
async def test_an_address_that_others_reach_is_refused(tmp_path: Path, host: str, edge: str) -> None:
    async with Simulator(SimulatorSettings(products=("kraken/spot",))) as simulator:
        config = simulated(simulator, tmp_path / "config")
        with pytest.raises(ConfigError):
            await run_service(config, host=host, port=0, edge=edge)  # type: ignore[arg-type]


@pytest.mark.proves("CTL-S25")
async def test_logs_are_json_lines_on_stderr(tmp_path: Path) -> None:
    async with spawned(tmp_path / "config") as (process, bench):
        reader = Reader(bench)
        await reader.subscribe(["BTC-USD"], [BOOK])
        await reader.until(lambda: reader.is_live("kraken"))
        process.send_signal(signal.SIGTERM)
        assert process.stderr is not None
        lines = [json.loads(line) async for line in process.stderr]
    events = [line["event"] for line in lines]
    assert events[0] == "service.listening"
    assert events[-1] == "service.stopped"
    assert {"service.ready", "feed.opened", "instruments.listed", "service.draining"} <= set(events)


@pytest.mark.proves("CTL-S18")
def test_the_pure_python_parser_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_slow_protobuf()
    monkeypatch.setattr(api_implementation, "Type", lambda: "python")
    with pytest.raises(ConfigError, match="pure Python"):
        refuse_slow_protobuf()


# Connections


@pytest.mark.proves("ROW-A02")
@pytest.mark.proves("REQ-B5")
async def test_a_closed_connection_comes_back_and_the_gap_is_told(tmp_path: Path) -> None:
    async with service(tmp_path / "config", products=("kraken/spot",)) as bench:
        reader = Reader(bench)
        await reader.subscribe(["BTC-USD"], [BOOK], venues=["kraken"])
        await reader.until(lambda: reader.is_live("kraken"))
        bench.simulator.arm({"verb": "close", "venue": "kraken", "code": 1012})
        await reader.until(lambda: not reader.is_live("kraken"))
        state = reader.payloads("stream_state")[-1].stream_state
        assert state.close_code == 1012
        await reader.until(lambda: reader.is_live("kraken"))
        assert reader.payloads("gap")
        assert reader.payloads("stream_state")[-1].stream_state.connection == 2


@pytest.mark.proves("REQ-B9")
@pytest.mark.proves("REQ-A8")
async def test_a_venue_that_is_down_at_start_does_not_hold_up_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "LISTED_WITHIN_S", 5.0)  # as it is
    async with Simulator(SimulatorSettings(products=("kraken/spot", "okx/public"))) as simulator:
        config = simulated(simulator, tmp_path / "config", scale=0.1)
        await next(iter(simulator.rests.values())).stop()
        ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        running = asyncio.ensure_future(
            run_service(config, port=0, ready=lambda addresses: ready.set_result(addresses[0]))
        )
        async with grpc.aio.insecure_channel(await asyncio.wait_for(ready, PATIENCE_S)) as channel:
            bench = Bench(simulator=simulator, address="", channel=channel)
            reader = Reader(bench)
            await reader.subscribe(["BTC-USD", "BTC-USDT"], [BOOK], venues=["kraken", "okx"])
            await reader.until(lambda: reader.is_live("okx") and len(reader.statuses()) == 4)
            refused = {(s.code, s.reason) for s in reader.statuses() if s.code}
            assert (14, "VENUE_FAILED") in refused
            health = await bench.stub.Health(health_pb2.HealthRequest(venues=["kraken"]))
            assert health.venues[0].status == health_pb2.HEALTH_STATUS_OFFLINE
            assert health.venues[0].recommendation == health_pb2.RECOMMENDATION_AVOID
        running.cancel()
        await asyncio.wait([running])


@pytest.mark.proves("REQ-A1")
@pytest.mark.proves("REQ-A10")
async def test_the_facade_serves_in_process_too(tmp_path: Path) -> None:
    async with Simulator(SimulatorSettings(products=("binance/spot",))) as simulator:
        facade = Factory(simulated(simulator, tmp_path / "config")).create_data_facade()
        await facade.start()
        try:
            seen = []
            async for update in facade.subscribe_trades("binance", "BTC/USDT"):
                if update.HasField("trade"):
                    seen.append(update.trade.trade_id)
                if len(seen) == 3:
                    break
            assert seen == sorted(seen)
            book = await facade.l2_book("binance", "BTC/USDT", depth=1)
            assert len(book.book.bid_prices) == 1
            assert facade.venue_health("binance").ws_connected
            kinds = []
            async for update in facade.updates("binance", "ETHUSDT", Channel.BOOK_L2):
                kinds.append(update.WhichOneof("payload"))
                if kinds[-1] == "book_delta":
                    break
            assert "book_snapshot" in kinds
        finally:
            await facade.shutdown()
