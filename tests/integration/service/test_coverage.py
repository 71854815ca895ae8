"""Coverage over real gRPC: what was followed, what a broken line cost, what a killed service knows later."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from itertools import pairwise
from pathlib import Path
from typing import Final

import grpc
import pytest

from datafacade.client import Client
from datafacade.sim.settings import SimulatorSettings
from datafacade.sim.simulator import Simulator
from datafacade.v1 import coverage_pb2, types_pb2
from tests.integration.service.bench import PATIENCE_S, Bench, Reader, service, simulated, spawn

TRADES: Final = types_pb2.CHANNEL_TRADES
BOOK: Final = types_pb2.CHANNEL_BOOK_L2
C = coverage_pb2


async def asked(bench: Bench, channel: int = TRADES, **fields: object) -> C.CoverageResponse:
    """Ask for Kraken's BTC-USD, and check that the spans are the interval."""
    question = C.CoverageRequest(venue="kraken", symbol="XBT/USD", channel=channel, **fields)  # type: ignore[arg-type]
    answer: C.CoverageResponse = await bench.stub.Coverage(question)
    assert (answer.venue, answer.symbol, answer.channel) == ("kraken", "BTC-USD", channel)
    assert answer.spans
    assert all(span.ts_start < span.ts_end for span in answer.spans)
    assert all(left.ts_end == right.ts_start for left, right in pairwise(answer.spans))
    assert answer.is_complete == all(span.state == C.COVERAGE_STATE_COMPLETE for span in answer.spans)
    return answer


async def until(
    bench: Bench, holds: Callable[[C.CoverageResponse], bool], channel: int = TRADES
) -> C.CoverageResponse:
    """Ask until the answer is as wanted."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            answer = await asked(bench, channel)
            if holds(answer):
                return answer
            await asyncio.sleep(0.02)


def states(answer: C.CoverageResponse) -> list[int]:
    """Return the states in order, without repeats."""
    told = [int(span.state) for span in answer.spans]
    return [state for number, state in enumerate(told) if number == 0 or told[number - 1] != state]


def is_complete_now(answer: C.CoverageResponse) -> bool:
    """Whether nothing is missing at the end of the interval."""
    return answer.spans[-1].state == C.COVERAGE_STATE_COMPLETE


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with service(tmp_path / "config") as running:
        yield running


@pytest.mark.parametrize("channel", [TRADES, BOOK])
async def test_what_is_followed_is_complete_and_what_came_before_is_not_covered(
    bench: Bench, channel: int
) -> None:
    begun = time.time_ns()
    never = await asked(bench, channel, ts_start=begun - 10**9)
    assert states(never) == [C.COVERAGE_STATE_NOT_COVERED]
    reader = Reader(bench)
    await reader.subscribe(["BTC-USD"], [channel])
    await reader.until(lambda: reader.is_live("kraken", channel) and len(reader.updates) > 10)
    answer = await asked(bench, channel, ts_start=begun - 10**9)
    assert states(answer) == [C.COVERAGE_STATE_NOT_COVERED, C.COVERAGE_STATE_COMPLETE]
    live = answer.spans[-1]
    assert answer.spans[0].ts_start == begun - 10**9
    assert begun < live.ts_start < live.ts_end <= time.time_ns()
    assert live.epoch == reader.updates[-1].epoch
    known = await asked(bench, channel)
    assert known.is_complete, "from the oldest that is known, without a word on the time before"
    assert known.spans[0].ts_start == live.ts_start


async def test_a_broken_line_is_told_with_its_gap_and_the_time_it_took(bench: Bench) -> None:
    reader = Reader(bench)
    await reader.subscribe(["BTC-USD"], [TRADES])
    await reader.until(lambda: bool(reader.payloads("trade", "kraken")))
    bench.simulator.arm({"verb": "http_status", "venue": "kraken"})  # what REST fills is COMPLETE again
    broken = time.time_ns()
    bench.simulator.arm({"verb": "rst", "venue": "kraken"})
    answer = await until(bench, lambda answer: len(states(answer)) >= 3 and is_complete_now(answer))
    outage = [span for span in answer.spans if span.state != C.COVERAGE_STATE_COMPLETE]
    assert outage[-1].ts_end > broken
    assert not answer.is_complete
    before = await asked(bench, ts_end=answer.spans[0].ts_end)
    assert before.is_complete


async def test_what_nobody_follows_any_more_is_not_covered(tmp_path: Path) -> None:
    async with service(tmp_path / "config", settings={"hot": {"linger_sec": 0.1}}) as bench:
        reader = Reader(bench)
        await reader.subscribe(["BTC-USD"], [TRADES])
        await reader.until(lambda: bool(reader.payloads("trade", "kraken")))
        reader.call.cancel()
        answer = await until(bench, lambda answer: states(answer)[-1] == C.COVERAGE_STATE_NOT_COVERED)
        assert states(answer) == [C.COVERAGE_STATE_COMPLETE, C.COVERAGE_STATE_NOT_COVERED]


@contextlib.asynccontextmanager
async def started(
    folder: Path, running: Simulator
) -> AsyncIterator[tuple[asyncio.subprocess.Process, Bench]]:
    """Run the service in a process of its own, and kill it at the end."""
    process = await spawn(folder)
    try:
        assert process.stdout is not None
        address = (await asyncio.wait_for(process.stdout.readline(), PATIENCE_S)).decode().strip()
        async with grpc.aio.insecure_channel(address) as channel:
            yield process, Bench(simulator=running, address=address, channel=channel)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_a_killed_service_is_honest_about_its_death(tmp_path: Path) -> None:
    folder = tmp_path / "config"
    settings = SimulatorSettings(seed=5, products=("kraken/spot",), bases=("BTC",))
    async with Simulator(settings) as running:
        simulated(running, folder)
        async with started(folder, running) as (process, bench):
            reader = Reader(bench)
            await reader.subscribe(["BTC-USD"], [TRADES])
            await reader.until(lambda: len(reader.payloads("trade")) > 5)
            asked_at = (await until(bench, is_complete_now)).spans[-1].ts_end
            given = [update.seq for update in reader.updates if update.seq]
            await reader.until(lambda: time.time_ns() - asked_at > 2 * 10**8)
            process.kill()
            killed = time.time_ns()
            await process.wait()
        async with started(folder, running) as (_, bench):
            reader = Reader(bench)
            await reader.subscribe(["BTC-USD"], [TRADES])
            await reader.until(lambda: len(reader.payloads("trade")) > 1)
            spans = (await until(bench, is_complete_now)).spans
    dead = next(span for span in spans if span.ts_start <= killed < span.ts_end)
    before = [span for span in spans if span.ts_end <= dead.ts_start]
    after = [span for span in spans if span.ts_start >= dead.ts_end]
    assert (dead.state, dead.epoch, dead.seq_last) == (C.COVERAGE_STATE_NOT_COVERED, 0, 0)
    assert asked_at <= dead.ts_start, "what was known of the time before the question is known still"
    assert before[-1].state == after[0].state == C.COVERAGE_STATE_COMPLETE
    assert before[-1].epoch < after[0].epoch
    assert max(span.seq_last for span in before) >= max(given), "the journal knows what was given out"


async def test_a_service_without_a_data_directory_says_so(tmp_path: Path) -> None:
    async with service(tmp_path / "config", settings={"data": {"dir": "none"}}) as bench:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await asked(bench)
        assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize(
    ("field", "request_"),
    [
        ("venue", C.CoverageRequest(symbol="BTC-USD", channel=TRADES)),
        ("venues", C.CoverageRequest(venue="nyse", symbol="BTC-USD", channel=TRADES)),
        ("symbol", C.CoverageRequest(venue="kraken", channel=TRADES)),
        ("channel", C.CoverageRequest(venue="kraken", symbol="BTC-USD")),
        ("variants", C.CoverageRequest(venue="kraken", symbol="BTC-USD", channel=BOOK, variant="7")),
        ("ts_end", C.CoverageRequest(venue="kraken", symbol="BTC-USD", channel=TRADES, ts_start=5, ts_end=5)),
        ("ts_start", C.CoverageRequest(venue="kraken", symbol="BTC-USD", channel=TRADES, ts_start=2**62)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_question_without_sense_names_its_field(
    bench: Bench, field: str, request_: C.CoverageRequest
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await bench.stub.Coverage(request_)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert str(refused.value.details()).startswith(f"{field}: ")


async def test_the_client_asks_in_its_own_words(bench: Bench) -> None:
    async with Client(bench.address) as client:
        answer = await client.coverage("kraken", "XBTUSD", "book", ts_start=time.time_ns() - 10**9)
        assert (answer.symbol, answer.is_complete) == ("BTC-USD", False)
        with pytest.raises(ValueError, match="unknown channel"):
            await client.coverage("kraken", "XBTUSD", "candles")
