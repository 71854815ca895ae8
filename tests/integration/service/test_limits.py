"""Who asks for more than one may have is refused by the limit's name, and disturbs nobody."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
import pytest_asyncio

from datafacade.v1 import hot_pb2, service_pb2_grpc
from tests.integration.service.bench import Bench, Reader, service

STREAMS = 1_000
CONNECTIONS = 10
TICKER = 5


@pytest_asyncio.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with service(tmp_path / "config", products=("kraken/spot",)) as made:
        yield made


async def opened(bench: Bench) -> tuple[Reader, str]:
    """Open a stream; return it and the limit that it broke, if it did."""
    reader = Reader(bench)
    await reader.subscribe(["BTC-USD"], [TICKER], venues=["kraken"])
    await reader.until(lambda: reader.statuses() or reader.error)
    if reader.error is None:
        return reader, ""
    assert reader.error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    return reader, str(reader.error.details()).partition(" ")[0]


@pytest.mark.proves("ROW-E08")
async def test_a_thousand_streams_by_one_client_are_refused_naming_the_limit(bench: Bench) -> None:
    witness = Reader(bench)
    await witness.subscribe(["BTC-USD"], [TICKER], venues=["kraken"])
    await witness.until(witness.statuses)
    async with contextlib.AsyncExitStack() as stack:
        options = [("grpc.use_local_subchannel_pool", 1)]
        channels = [
            await stack.enter_async_context(grpc.aio.insecure_channel(bench.address, options=options))
            for _ in range(CONNECTIONS)
        ]
        benches = [Bench(simulator=bench.simulator, address=bench.address, channel=one) for one in channels]
        found = await asyncio.gather(*(opened(benches[number % CONNECTIONS]) for number in range(STREAMS)))
        told = Counter(limit for _, limit in found)
        assert told == {"": 511, "server.streams_max": STREAMS - 511}  # the witness is one of 512
        for reader, _ in found:
            reader.call.cancel()
    await witness.until(lambda: len(witness.responses) > 3)
    reader, limit = await opened(bench)  # there is room again
    assert limit == ""
    reader.call.cancel()


async def refusal(bench: Bench, one: hot_pb2.Subscription) -> str:
    """Return why a call with one subscription was ended.

    grpcio's asyncio client forgets the status of a call that is ended while it writes; this one does not.
    """

    def ask() -> str:
        with grpc.insecure_channel(bench.address) as channel:
            stub = service_pb2_grpc.DataFacadeServiceStub(channel)
            call = stub.HotSubscribe(iter([hot_pb2.HotSubscribeRequest(subscribe=[one])]))
            return str(call.details())  # when it has ended

    return await asyncio.to_thread(ask)


@pytest.mark.proves("ROW-E08")
async def test_topics_are_bounded_by_instruments_and_by_variants(bench: Bench) -> None:
    variants = [f"{number}t" for number in range(1, 41)]
    symbols = [f"S{number}" for number in range(110)]
    one = hot_pb2.Subscription(symbols=symbols, venues=["kraken"], variants=variants)
    one.channels.append(4)  # type: ignore[arg-type]  # a number on the wire
    assert (await refusal(bench, one)).startswith("server.topics_max allows 4000, 4400 were asked for")


async def test_a_request_of_nonsense_variants_is_refused_at_once(bench: Bench) -> None:
    one = hot_pb2.Subscription(symbols=["BTC-USD"], variants=[f"x{number}" for number in range(5_000)])
    one.channels.append(4)  # type: ignore[arg-type]  # a number on the wire
    assert (await refusal(bench, one)).startswith("server.topics_max")
