"""Ask as 20 clients do, and write down each answer: its time, where it was found, its bytes."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Final, Protocol

import grpc

from datafacade.cli.demo.warm.keys import Key, Zipf
from datafacade.cli.failure import ProgramFailed
from datafacade.client.errors import error_of
from datafacade.v1 import lineage_pb2, warm_pb2

CLIENTS: Final = 20
PER_S: Final = 120.0  # questions of a client and second
AT_ONCE: Final = 4  # of a client: who waits for cold keys asks for less, and catches up later
COLD_S: Final = 30.0  # deadlines
ZIPF_S: Final = 5.0
SERVICE: Final = "/datafacade.v1.DataFacadeService"
LIMITED: Final = ("VENUE_RATE_LIMITED", "DEADLINE_EXCEEDED")
VARINT_MORE: Final = 0x80
LATE_NS: Final = 100_000_000  # an answer may be told fresh so long after it ceased to be

Ask = Callable[..., grpc.aio.UnaryUnaryCall[bytes, bytes]]


class Answered(Protocol):
    """A decoded answer."""

    served: lineage_pb2.Served


@dataclass(slots=True)
class Record:
    """What happened to the questions of one phase."""

    keys: Sequence[Key]
    answers: int = 0
    hits: int = 0
    refused: int = 0  # for lack of budget, or because a turn did not come before the deadline
    stale_untold: int = 0  # answers past their time that did not say so
    latencies_ns: list[int] = field(default_factory=list)
    told: dict[tuple[int, bytes], int] = field(default_factory=dict)  # place of the key, bytes: how often

    def add(self, place: int, raw: bytes, latency_ns: int) -> None:
        """Write down an answer."""
        kind = (
            warm_pb2.WarmKlinesResponse if self.keys[place].kind == "klines" else warm_pb2.WarmTradesResponse
        )
        served = kind.FromString(raw).served
        self.answers += 1
        self.hits += served.cache_tier in (lineage_pb2.CACHE_TIER_L1, lineage_pb2.CACHE_TIER_L2)
        self.latencies_ns.append(latency_ns)
        fresh_ns = served.ts_expires - served.ts_cached
        self.stale_untold += not served.is_stale and served.age_ns > fresh_ns + LATE_NS
        name = (place, raw[: len(raw) - _tail(served)])
        self.told[name] = self.told.get(name, 0) + 1

    def quantile_us(self, ratio: float) -> int:
        """Return a latency as clients saw it, microseconds."""
        ordered = sorted(self.latencies_ns)
        return ordered[min(len(ordered) - 1, int(len(ordered) * ratio))] // 1_000 if ordered else 0


def _tail(served: lineage_pb2.Served) -> int:
    """Return how many bytes of an answer tell how it was served: the last field."""
    size = served.ByteSize()
    return size + (2 if size < VARINT_MORE else 3)


class Clients:
    """Channels of their own, as programs have them."""

    def __init__(self, channels: Sequence[grpc.aio.Channel], keys: Sequence[Key]) -> None:
        self._keys = keys
        self._requests = [key.request().SerializeToString() for key in keys]
        self._asks: list[dict[str, Ask]] = [
            {method: channel.unary_unary(f"{SERVICE}/{method}") for method in ("WarmKlines", "WarmTrades")}
            for channel in channels
        ]

    async def cold(self, places: Sequence[int]) -> Record:
        """Let every client ask for each key once, all at once."""
        record = Record(self._keys)
        asked = [
            self._ask(client, place, record, COLD_S) for place in places for client in range(len(self._asks))
        ]
        await asyncio.gather(*asked)
        return record

    async def zipf(self, seconds: float, seed: int) -> Record:
        """Let every client ask so often a second, popular keys more often."""
        record, zipf = Record(self._keys), Zipf(len(self._keys))
        await asyncio.gather(
            *(
                self._drive(client, seconds, zipf, Random(f"{seed}:client {client}"), record)  # noqa: S311  a load
                for client in range(len(self._asks))
            )
        )
        return record

    async def _drive(self, client: int, seconds: float, zipf: Zipf, random: Random, record: Record) -> None:
        """Ask by the clock: a slow answer keeps nobody waiting, until `AT_ONCE` are under way."""
        room = asyncio.Semaphore(AT_ONCE)
        places = zipf.draw(random, int(seconds * PER_S))
        begin = time.monotonic() + random.uniform(0.0, 1.0 / PER_S)
        asked: list[asyncio.Task[None]] = []
        for number, place in enumerate(places):
            wait_s = begin + number / PER_S - time.monotonic()
            if wait_s > 0:
                await asyncio.sleep(wait_s)
            await room.acquire()
            if time.monotonic() > begin + seconds:  # a machine that cannot keep up
                break
            asked.append(asyncio.create_task(self._ask(client, place, record, ZIPF_S)))
            asked[-1].add_done_callback(lambda _: room.release())
        await asyncio.gather(*asked)

    async def _ask(self, client: int, place: int, record: Record, deadline_s: float) -> None:
        begun = time.monotonic_ns()
        try:
            raw = await self._asks[client][self._keys[place].method](
                self._requests[place], timeout=deadline_s
            )
        except grpc.aio.AioRpcError as failed:
            error = error_of(failed)
            if error.reason not in LIMITED and failed.code() is not grpc.StatusCode.DEADLINE_EXCEEDED:
                raise ProgramFailed(f"the service refused {self._keys[place]}: {error}") from failed
            record.refused += 1
            return
        record.add(place, raw, time.monotonic_ns() - begun)


@contextlib.asynccontextmanager
async def connected(target: str, keys: Sequence[Key]) -> AsyncIterator[Clients]:
    """Open the channels of all clients while the context lasts."""
    options = [("grpc.use_local_subchannel_pool", 1)]  # else they share one connection
    async with contextlib.AsyncExitStack() as stack:
        channels = [
            await stack.enter_async_context(grpc.aio.insecure_channel(target, options=options))
            for _ in range(CLIENTS)
        ]
        yield Clients(channels, keys)
