"""Venue lines that break in ways of the network, judged by what a subscriber sees (FAULTS 3.A)."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import grpc
import pytest
import yaml

from datafacade.app import run_service
from datafacade.config import load_config
from datafacade.sim.proxy import Proxy, Route
from datafacade.sim.settings import SimulatorSettings
from datafacade.sim.simulator import Simulator
from datafacade.v1 import health_pb2, types_pb2
from tests.integration.service.bench import PATIENCE_S, Bench, Reader, simulated, spawn
from tests.integration.service.peer import frame, raw_venue
from tests.integration.sim.harness import eventually
from tests.starved import Starved

BOOK = 2
SCALE = 0.2
BLOCKING = "from tests.chaos.harness.failpoint import block_on_signal\nblock_on_signal(2)\n"
SLACK_S = 0.5  # of a busy machine, beside each deadline


def redirect(folder: Path, ports: dict[str, int]) -> None:
    """Let the sockets of some venues lead to other ports."""
    path = folder / "venues.yaml"
    venues = yaml.safe_load(path.read_text())
    for name, port in ports.items():
        for endpoint in venues["venues"][name]["feeds"].values():
            endpoint["ws_url"] = f"ws://127.0.0.1:{port}{urlsplit(endpoint['ws_url']).path}"
    path.write_text(yaml.safe_dump(venues))


@contextlib.asynccontextmanager
async def spawned(folder: Path) -> AsyncIterator[tuple[asyncio.subprocess.Process, grpc.aio.Channel]]:
    """Run the service in a process of its own; SIGUSR1 blocks its event loop."""
    process = await spawn(folder, prelude=BLOCKING)
    try:
        assert process.stdout is not None
        address = (await asyncio.wait_for(process.stdout.readline(), PATIENCE_S)).decode().strip()
        async with grpc.aio.insecure_channel(address) as channel:
            yield process, channel
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@contextlib.asynccontextmanager
async def proxied(folder: Path, product: str = "kraken/spot") -> AsyncIterator[tuple[Bench, Proxy]]:
    """Run simulator, proxy (before one venue) and service."""
    name = product.partition("/")[0]
    settings = SimulatorSettings(seed=7, products=(product, "binance/spot"), bases=("BTC",))  # type: ignore[arg-type]
    async with Simulator(settings) as simulator:
        simulated(simulator, folder, scale=SCALE, patience={name: SCALE})
        url = urlsplit(simulator.urls[product]["ws"])
        assert url.port is not None
        async with Proxy((Route(name, ("127.0.0.1", url.port)),)) as proxy:
            redirect(folder, {name: proxy.ports[name]})
            async with spawned(folder) as (_, channel):
                yield Bench(simulator=simulator, address="", channel=channel), proxy


async def both_live(bench: Bench, venue: str) -> Reader:
    reader = Reader(bench)
    await reader.subscribe(["BTC-USD" if venue == "kraken" else "BTC-USDT"], [BOOK], venues=[venue])
    await reader.subscribe(["BTC-USDT"], [BOOK], venues=["binance"])
    await reader.until(lambda: reader.is_live(venue) and reader.is_live("binance"))
    return reader


async def lost_and_found(reader: Reader, proxy: Proxy, venue: str, **fault: Any) -> tuple[Any, float, float]:  # noqa: ANN401
    """Arm a fault; return the first state that is not LIVE, and the seconds to it and back to LIVE.

    The service stamps both when it tells them: how soon this process reads them says nothing of it.
    """
    binance = len(reader.payloads("stream_state", "binance"))
    with Starved() as starved:
        started = time.time_ns()
        armed = proxy.arm({"verb": "black_hole", "scope": "open", "discard": True, **fault})
        await reader.until(lambda: not reader.is_live(venue))
        lost = reader.payloads("stream_state", venue)[-1]
        starved_before_s = starved.seconds
        await reader.until(lambda: reader.is_live(venue))
        live = reader.payloads("stream_state", venue)[-1]
    detected = (lost.ts_publish - started) / 1e9 - starved_before_s
    recovered = (live.ts_publish - lost.ts_publish) / 1e9 - starved.seconds
    state = lost.stream_state
    assert armed.applied, "the fault never acted"
    proxy.heal()
    assert len(reader.payloads("stream_state", "binance")) == binance, "another venue noticed"
    return state, detected, recovered


@pytest.mark.proves("ROW-A03")
@pytest.mark.proves("ROW-A04")
@pytest.mark.parametrize("direction", [None, "to_client"])
@pytest.mark.parametrize(("product", "seconds"), [("kraken/spot", 3), ("okx/public", 10)])
async def test_a_black_hole_towards_us_is_noticed_by_silence(
    tmp_path: Path, product: str, seconds: float, direction: str | None
) -> None:
    venue = product.partition("/")[0]
    async with proxied(tmp_path / "config", product) as (bench, proxy):
        reader = await both_live(bench, venue)
        fault = {"direction": direction} if direction else {}
        state, detected, recovered = await lost_and_found(reader, proxy, venue, **fault)
        heard = (state.state, state.reason)
        silent = (types_pb2.STATE_STALE, types_pb2.STATE_REASON_SILENT)
        no_pong = (types_pb2.STATE_DOWN, types_pb2.STATE_REASON_CONNECTION_CLOSED)  # 10 s too: a race at OKX
        assert heard == silent or (venue == "okx" and heard == no_pong)
        assert detected <= seconds * SCALE + SLACK_S
        assert recovered <= 6 * SCALE + SLACK_S


@pytest.mark.proves("ROW-A04")
async def test_a_black_hole_from_us_is_noticed_by_the_missing_pong(tmp_path: Path) -> None:
    async with proxied(tmp_path / "config") as (bench, proxy):
        reader = await both_live(bench, "kraken")
        state, detected, recovered = await lost_and_found(reader, proxy, "kraken", direction="to_upstream")
        assert (state.state, state.message) == (types_pb2.STATE_DOWN, "no pong")
        assert detected <= 10 * SCALE + SLACK_S
        assert recovered <= 6 * SCALE + SLACK_S


@pytest.mark.proves("ROW-A05")
async def test_dials_that_lead_nowhere_end_after_5_s_and_are_tried_again(tmp_path: Path) -> None:
    """Real time: one venue accepts and says nothing, the other upgrades at a byte a second."""
    folder = tmp_path / "config"
    lives: dict[str, list[tuple[float, float]]] = {"kraken": [], "binance": []}
    dials = dict.fromkeys(lives, 0)

    async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        dials["kraken"] += 1
        started = time.monotonic()
        while await reader.read(1_000):
            pass
        lives["kraken"].append((started, time.monotonic()))

    async def dripping(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        dials["binance"] += 1
        started = time.monotonic()
        gone = asyncio.ensure_future(reader.read(-1))
        for at in range(60):
            writer.write(b"HTTP/1.1 101 Switching Protocols\r\n"[at : at + 1])
            await asyncio.wait([gone], timeout=1)
            if gone.done():
                break
        lives["binance"].append((started, time.monotonic()))

    settings = SimulatorSettings(products=("kraken/spot", "binance/spot"), bases=("BTC",))
    async with (
        Simulator(settings) as simulator,
        raw_venue(silent, upgrades=False) as one,
        raw_venue(dripping, upgrades=False) as two,
    ):
        simulated(simulator, folder, scale=1)
        redirect(folder, {"kraken": one, "binance": two})
        async with spawned(folder) as (process, channel):
            reader = Reader(Bench(simulator=simulator, address="", channel=channel))
            await reader.subscribe(["BTC-USD", "BTC-USDT"], [BOOK])
            with Starved() as starved:
                await reader.until(lambda: all(lives.values()))
            for (started, ended), *_ in lives.values():
                assert ended - started + starved.seconds >= 4.7
                assert ended - started - starved.seconds <= 5.3
            states = [u.stream_state for u in reader.payloads("stream_state")]
            assert types_pb2.STATE_REASON_DIAL_FAILED in {state.reason for state in states}
            await reader.until(lambda: min(dials.values()) > 1)
            process.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(process.wait(), PATIENCE_S) == 0
            await eventually(lambda: all(len(lives[name]) == dials[name] for name in lives))
            for _, *others in lives.values():
                assert min(ended - started for started, ended in others) < 4.7, "the dial was waited for"


def cpu_s(pid: int) -> float:
    """Return the processor time of a process, seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.proves("ROW-A18")
async def test_ten_thousand_pings_a_second_are_no_data_and_cost_little(tmp_path: Path) -> None:
    folder = tmp_path / "config"
    sent = 0
    heard = 0

    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent, heard

        async def listen() -> None:
            nonlocal heard
            while data := await reader.read(1_000):
                heard += len(data)

        listening = asyncio.ensure_future(listen())
        loop = asyncio.get_running_loop()
        started, own = loop.time(), 0
        while not listening.done():
            while own < (loop.time() - started) * 10_000:
                writer.write(b"".join(frame(b"%d" % (own + at), opcode=9) for at in range(20)))
                own, sent = own + 20, sent + 20
            await asyncio.wait([listening], timeout=0.002)

    async with (
        Simulator(SimulatorSettings(products=("kraken/spot",), bases=("BTC",))) as simulator,
        raw_venue(peer) as port,
    ):
        simulated(simulator, folder, scale=1)
        redirect(folder, {"kraken": port})
        async with spawned(folder) as (process, channel):
            reader = Reader(Bench(simulator=simulator, address="", channel=channel))
            await reader.subscribe(["BTC-USD"], [BOOK])
            await reader.until(lambda: sent)
            started, used = time.monotonic(), cpu_s(process.pid)

            def silent() -> bool:
                states = [u.stream_state for u in reader.payloads("stream_state")]
                return bool(states) and states[-1].reason == types_pb2.STATE_REASON_SILENT

            with Starved() as starved:
                await reader.until(silent)
            passed = time.monotonic() - started
            assert passed - starved.seconds <= 3 + SLACK_S
            assert sent >= 9_000 * passed, "the peer was too slow for the fault"
            assert heard < 20 * 100
            assert cpu_s(process.pid) - used <= 0.3 * passed


async def test_a_service_that_is_cancelled_during_a_dial_ends_at_once(tmp_path: Path) -> None:
    folder = tmp_path / "config"
    dialled = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        dialled.set()
        await reader.read(-1)

    async with (
        Simulator(SimulatorSettings(products=("kraken/spot",), bases=("BTC",))) as simulator,
        raw_venue(silent, upgrades=False) as port,
    ):
        simulated(simulator, folder, scale=1, service={"hot": {"dial_timeout_sec": 600.0}})
        redirect(folder, {"kraken": port})
        ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        running = asyncio.ensure_future(
            run_service(load_config(folder), port=0, ready=lambda addresses: ready.set_result(addresses[0]))
        )
        async with grpc.aio.insecure_channel(await ready) as channel:
            reader = Reader(Bench(simulator=simulator, address="", channel=channel))
            await reader.subscribe(["BTC-USD"], [BOOK])
            await asyncio.wait_for(dialled.wait(), PATIENCE_S)
            running.cancel()
            done, _ = await asyncio.wait([running], timeout=PATIENCE_S)
            assert done, "the dial is waited for"


@contextlib.asynccontextmanager
async def beside_simulator(
    folder: Path, *, scale: float
) -> AsyncIterator[tuple[asyncio.subprocess.Process, Reader, Bench]]:
    """Run the service with both books LIVE, in a process that can be stopped or blocked."""
    settings = SimulatorSettings(seed=9, products=("kraken/spot", "binance/spot"), bases=("BTC",))
    async with Simulator(settings) as simulator:
        simulated(simulator, folder, scale=scale, patience={"kraken": scale, "binance": scale})
        async with spawned(folder) as (process, channel):
            bench = Bench(simulator=simulator, address="", channel=channel)
            reader = await both_live(bench, "kraken")
            yield process, reader, bench


@pytest.mark.proves("ROW-H06")
async def test_after_a_pause_of_the_process_every_topic_tells_its_state_before_data(tmp_path: Path) -> None:
    async with beside_simulator(tmp_path / "config", scale=SCALE) as (process, reader, _):
        process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(2.0)  # 10 s of the service's own time: the fault itself
        resumed_at = time.time_ns()
        process.send_signal(signal.SIGCONT)

        def first(venue: str) -> Any:  # noqa: ANN401  an Update or None
            later = (u for u in reader.updates if u.venue == venue and u.seq and u.ts_publish >= resumed_at)
            return next(later, None)

        await reader.until(lambda: first("kraken") and first("binance"))
        for venue in ("kraken", "binance"):
            told = first(venue)
            assert told.HasField("stream_state"), venue
            assert told.stream_state.state == types_pb2.STATE_STALE
            assert told.ts_publish - resumed_at <= (0.1 + SLACK_S) * 1e9
        await reader.until(lambda: reader.is_live("kraken") and reader.is_live("binance"))


@pytest.mark.proves("ROW-E19")
async def test_a_blocked_event_loop_loses_nothing_and_is_warned_of(tmp_path: Path) -> None:
    async with beside_simulator(tmp_path / "config", scale=1) as (process, reader, bench):
        process.send_signal(signal.SIGUSR1)
        started = time.monotonic()
        health = await bench.stub.Health(
            health_pb2.HealthRequest()
        )  # Python answers it: the loop must be free
        assert time.monotonic() - started >= 1.5, "the loop was not blocked"
        known = len(reader.updates)
        await reader.until(lambda: len(reader.updates) >= known + 50)
        health = await bench.stub.Health(health_pb2.HealthRequest())
        assert "LOOP_PAUSED" in health.warnings
        assert {row.connection for venue in health.venues for row in venue.connections} == {1}
        for venue in ("kraken", "binance"):
            data = [u for u in reader.payloads("book_delta", venue) if u.flags & 2 == 0]
            assert [u.seq for u in data] == sorted({u.seq for u in data})
            assert not reader.payloads("gap", venue)
            numbers = {u.seq for u in reader.updates if u.venue == venue and u.seq}
            assert numbers == set(range(min(numbers), max(numbers) + 1))
