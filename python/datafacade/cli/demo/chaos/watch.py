"""What is seen of the service while a storm goes on: Health, /proc, and what its clients are told."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Final

import grpc

from datafacade.check.held import held
from datafacade.check.names import BOOK, Topic
from datafacade.check.probe import ProbeReader
from datafacade.check.story import Story, is_state
from datafacade.cli.demo.chaos.scene import Scene
from datafacade.v1 import health_pb2, types_pb2
from datafacade.v1.service_pb2_grpc import DataFacadeServiceStub

if TYPE_CHECKING:
    from datafacade.v1.service_pb2_grpc import DataFacadeServiceAsyncStub  # a type only

EVERY_S: Final = 0.25
ANSWER_S: Final = 2.0
DURING: Final = "during"
LIVE: Final = types_pb2.STATE_LIVE
OPTIONS: Final = [("grpc.enable_http_proxy", 0), ("grpc.max_receive_message_length", 1 << 26)]


def sample(scene: Scene, phase: str) -> dict[str, int]:
    """Write down what the service holds, and return it; nothing if it does not run."""
    if scene.service is None:
        return {}
    with contextlib.suppress(OSError):
        now = asdict(held(scene.service.pid, scene.rest_ports))
        scene.control.note("resources", phase=phase, **now)
        return now
    return {}


async def watch_memory(scene: Scene) -> None:
    """Sample the service until cancelled."""
    while True:
        sample(scene, DURING)
        await asyncio.sleep(EVERY_S)


async def watch_health(scene: Scene) -> None:
    """Ask for Health until cancelled, and write down each answer."""
    while True:
        with contextlib.suppress(grpc.aio.AioRpcError):
            async with grpc.aio.insecure_channel(scene.target, options=OPTIONS) as channel:
                while True:
                    await _ask(scene, DataFacadeServiceStub(channel))
                    await asyncio.sleep(EVERY_S)
        await asyncio.sleep(EVERY_S)


async def _ask(scene: Scene, stub: DataFacadeServiceAsyncStub) -> None:
    since = time.monotonic_ns()
    answer = await stub.Health(health_pb2.HealthRequest(), timeout=ANSWER_S)
    states = {
        str(Topic(venue.venue, row.symbol, row.channel, row.variant)): row.state
        for venue in answer.venues
        for row in venue.streams
    }
    scene.control.note("health", since_mono_ns=since, states=states)


class Reading:
    """The log of one client while it grows."""

    def __init__(self, path: Path) -> None:
        self.story = Story()
        self._reader = ProbeReader(path)
        self._path = path

    def read(self) -> None:
        """Read what is new."""
        if self._path.exists():
            self.story.add(self._reader.news())

    def lacking(self, topics: Iterable[Topic], *, since_ns: int) -> list[Topic]:
        """Return the topics that are not LIVE, or of which nothing came that was published since then (wall).

        A slow client that comes back reads old records first, and hears at once that it was let in: neither
        tells how it is now.
        """
        return [topic for topic in topics if not self._is_live(topic, since_ns)]

    def _is_live(self, topic: Topic, since_ns: int) -> bool:
        told = self.story.of(topic)
        newest = next((one for one in reversed(told) if one.is_heard), None)
        if newest is None or newest.update.ts_publish < since_ns:
            return False
        states = [one for one in told if is_state(one)]
        is_whole = topic.channel != BOOK or any(one.kind == "book_snapshot" for one in told)
        return bool(states) and is_state(states[-1], LIVE) and is_whole


async def wait_live(readings: Iterable[tuple[Reading, list[Topic]]], *, within_s: float) -> list[str]:
    """Wait until all clients hear that all their topics are LIVE; return those that are not in time."""
    pairs = list(readings)
    since, begin = time.time_ns(), time.monotonic()
    while True:
        lacking = []
        for reading, topics in pairs:
            reading.read()
            lacking += [str(topic) for topic in reading.lacking(topics, since_ns=since)]
        if not lacking or time.monotonic() - begin > within_s:
            return sorted(set(lacking))
        await asyncio.sleep(EVERY_S)
