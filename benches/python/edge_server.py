"""Serve played trades through the whole service: only the venue's socket and REST are not real.

``python -m benches.python.edge_server EDGE COUNT RATE`` prints its address, plays once ``go`` comes on
stdin, and ends with stdin.
"""

import asyncio
import os
import re
import sys
from collections import deque
from collections.abc import Sequence
from random import Random
from typing import Final

import uvloop

from benches.python.edge_played import (
    CACHED_INTERVAL,
    CACHED_ROWS,
    CORE_SERVER,
    Timer,
    frames,
    listing,
    pin,
    symbols,
)
from datafacade._core import Clock, Feed, Hub
from datafacade.app.rests import RestMaker
from datafacade.app.run import _grpcio_edge, _rust_edge, _subscriptions
from datafacade.app.warm import build_warm
from datafacade.config import load_config
from datafacade.facade import DataFacade
from datafacade.guard.breaker import Breaker
from datafacade.guard.budget import Budget
from datafacade.hot.connection import Connection
from datafacade.hot.feed import FeedRunner, Line
from datafacade.hot.fetch import Fetcher
from datafacade.hot.instruments import InstrumentList
from datafacade.hot.reader import HubReader
from datafacade.hot.roll import RollFigures
from datafacade.hot.tier import HotTier, VenueLine
from datafacade.serve.handlers import Handlers
from datafacade.serve.lifecycle import Lifecycle
from datafacade.types import Closed, FeedKey, Priority
from datafacade.v1.market_pb2 import Kline
from datafacade.v1.warm_pb2 import WarmKlinesResponse
from datafacade.venues.binance import SPOT
from datafacade.venues.dial import tls_context
from datafacade.venues.rest import RestAnswer

OWED_BYTES: Final = 1 << 18  # what the slowest subscriber may owe before a flat-out publisher waits
FRAMES_PER_LOOK: Final = 256  # between two looks at what is owed
NS_PER_S: Final = 1_000_000_000


class PlayedRest:
    """A venue's REST that lists our instruments and nothing else."""

    def url(self, path: str) -> str:
        """Return a URL that leads nowhere."""
        return f"https://played.invalid{path}"

    async def get(self, path: str, *, priority: Priority, weight: int | None = None) -> RestAnswer:  # noqa: ARG002
        """Return the list."""
        return RestAnswer(status=200, headers={}, body=listing(), ts_recv=1)


class PlayedSocket:
    """A venue's connection that acknowledges what is subscribed and plays trades, flat out or at times."""

    def __init__(self, hub: Hub, clock: Clock, *, count: int, rate: int) -> None:
        self._hub = hub
        self._clock = clock
        self._timer = Timer(rate) if rate else None
        self._frames = frames(count)
        self._at = 0
        self._answers: deque[bytes] = deque()
        self._news = asyncio.Event()
        self._is_playing = False

    def go(self) -> None:
        """Begin to play."""
        self._is_playing = True
        if self._timer is not None:
            self._timer.start(self._clock.wall_ns(), self._news.set)
        self._news.set()

    def __aiter__(self) -> "PlayedSocket":
        """Return itself."""
        return self

    async def __anext__(self) -> tuple[bytes, int]:
        """Return the next frame and when it was due, wall ns."""
        while True:
            if self._answers:
                return self._answers.popleft(), self._clock.wall_ns()
            if self._is_playing and self._at < len(self._frames):
                due = await self._due()
                if due:
                    self._at += 1
                    return self._frames[self._at - 1], due
            self._news.clear()
            await self._news.wait()

    @property
    def has_frame(self) -> bool:
        """Whether the next frame comes without waiting."""
        if not self._is_playing or self._at >= len(self._frames):
            return False
        if self._timer is not None:
            return self._timer.due_ns(self._at) <= self._clock.wall_ns()
        return self._at % FRAMES_PER_LOOK != 0

    async def _due(self) -> int:
        now = self._clock.wall_ns()
        if self._timer is not None:
            due = self._timer.due_ns(self._at)
            return due if due <= now else 0
        if self._at % FRAMES_PER_LOOK == 0:
            while self._hub.stats()["owed_bytes_max"] > OWED_BYTES:  # noqa: ASYNC110  the Hub tells nobody
                await asyncio.sleep(0.001)
        return now

    def send(self, text: str) -> None:
        """Acknowledge whatever is asked for."""
        found = re.search(r'"id":(\d+)', text)
        if found is not None:
            self._answers.append(b'{"result":null,"id":%b}' % found[1].encode())
            self._news.set()

    def close(self, code: int, reason: str) -> None:
        """Do nothing: the process ends."""

    async def wait_closed(self) -> Closed:
        """Return an end in order."""
        return Closed(code=1000, reason="")


def make(count: int, rate: int) -> tuple[DataFacade, PlayedSocket]:
    """Return a facade of one venue, Binance, whose connection is the returned socket."""
    config, clock, random = load_config(), Clock.real(), Random(1)
    epoch = clock.wall_ns() // NS_PER_S
    hub = Hub(epoch=epoch)
    socket = PlayedSocket(hub, clock, count=count, rate=rate)
    rest = PlayedRest()

    async def dial() -> PlayedSocket:
        return socket

    dials = Budget(config.rate_limits.venues["binance"].connections, clock=clock, venue="binance")
    breaker = Breaker(config.circuits.of("binance").websocket, clock=clock, random=random)
    key = FeedKey("binance", "spot")

    def connect(predecessor: Connection | None = None) -> Connection:
        del predecessor  # the played venue lives as long as the bench
        return Connection(
            key,
            feed=Feed(venue="binance", product="spot", hub=hub, clock=clock, epoch=epoch, seed=1),
            fetcher=Fetcher(rest, venue="binance", clock=clock),
            clock=clock,
            product="spot",
            url="played",
            large_bytes=1 << 18,
            recorder=None,
        )

    runner = FeedRunner(
        key,
        make=connect,
        line=Line(dial=dial, dials=dials, breaker=breaker),
        clock=clock,
        random=random,
        roll=RollFigures(),
    )
    instruments = InstrumentList(
        runner=runner,
        rest=rest,
        paths=SPOT.feeds[0].instrument_paths,
        clock=clock,
        random=random,
        refresh_s=3_600.0,
        scale=1.0,
    )
    line = VenueLine(SPOT, runners={"spot": runner}, lists=[instruments], rests={}, dials=dials)
    tier = HotTier({"binance": line}, hub=hub, clock=clock, config=config)
    rests = RestMaker(config, clock=clock, random=random, tls=tls_context(), kept=None)
    facade = DataFacade(
        config=config,
        tier=tier,
        warm=build_warm(config, tier, rests=rests, clock=clock, snapshots=None, line=None),
        hub=hub,
        reader=HubReader(hub),
        clock=clock,
        epoch=epoch,
    )
    hold_klines(facade)
    return facade, socket


def hold_klines(facade: DataFacade) -> None:
    """Put klines into the cache, as a venue's REST would have."""
    hour = 3_600 * NS_PER_S
    rows = [
        Kline(
            ts_open=at * hour,
            ts_close=(at + 1) * hour,
            open=100 + at,
            high=200,
            low=50,
            close=120,
            volume="1.5",
        )
        for at in range(CACHED_ROWS)
    ]
    venue, symbol, interval = "binance", symbols()[0], CACHED_INTERVAL
    answer = WarmKlinesResponse(venue=venue, symbol=symbol, interval=interval, klines=rows)
    facade.warm.cache.put(
        f"klines:{venue}:{symbol}:{interval}:{CACHED_ROWS}",
        answer.SerializeToString(),
        cache_class="prices_warm",
        ts_cached=facade.clock.wall_ns(),
        ttl_ms=3_600_000,
        stale_ms=0,
    )


async def serve(edge: str, count: int, rate: int) -> None:
    """Serve until stdin ends."""
    facade, socket = make(count, rate)
    handlers, address = Handlers(facade, _subscriptions(facade)), ("127.0.0.1", 0)
    server = (
        _rust_edge(facade, handlers, address, dev=False, insecure_public=False)
        if edge == "rust"
        else _grpcio_edge(facade, handlers, address)
    )
    lifecycle = Lifecycle(facade, server, listed_within_s=5.0, drain_s=0.2)

    def told() -> None:
        if os.read(sys.stdin.fileno(), 16):
            socket.go()
        else:
            asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
            lifecycle.request_stop()
            lifecycle.request_stop()

    def ready(addresses: Sequence[str]) -> None:
        asyncio.get_running_loop().add_reader(sys.stdin.fileno(), told)
        print(addresses[0], flush=True)

    await lifecycle.run(ready)


if __name__ == "__main__":
    pin(CORE_SERVER)
    uvloop.run(serve(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
