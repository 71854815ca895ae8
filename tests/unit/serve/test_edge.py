"""A stream that ends at any moment of a fetch leaves no slot behind (ROW-E06, ROW-E08)."""

import asyncio
import os
from typing import Any

import pytest

from datafacade.serve.edge import EdgeServer

STREAM = 7
CALL = 1
STEPS = ("calls", "closed", "cancelled", "credited")  # of one fetch


class FakeCall:
    """The first request of the stream."""

    id = CALL
    method = "/datafacade.v1.DataFacadeService/HotSubscribe"
    request = b""
    subscriber = STREAM
    is_refresh = False

    def reply(self, *_: object, **__: object) -> bool:
        return True


class FakeEdge:
    """The bridge as documented: the stream ends just before one step, its call's end is posted first."""

    def __init__(self, ends_before: str) -> None:
        self._ends_before = ends_before
        self._read, self._write = os.pipe()
        self._posted: dict[str, list[Any]] = {
            "calls": [FakeCall()],
            "cancelled": [],
            "credited": [],
            "closed": [],
        }
        self._is_running = True
        self._ring()

    def _ring(self) -> None:
        os.write(self._write, b"!")

    def _step(self, step: str) -> list[Any]:
        if self._is_running and step == self._ends_before:
            self._is_running = False
            if not self._posted["calls"]:
                self._posted["cancelled"] = [CALL]
                self._posted["closed"] = [STREAM]
            self._posted["calls"] = []
            self._ring()
        posted, self._posted[step] = self._posted[step], []
        return posted

    def calls(self) -> list[FakeCall]:
        os.read(self._read, 8)
        return self._step("calls")

    def closed(self) -> list[int]:
        return self._step("closed")

    def cancelled(self) -> list[int]:
        return self._step("cancelled")

    def credited(self) -> list[int]:
        return self._step("credited")

    def fd(self) -> int:
        return self._read

    def quiet(self) -> bool:
        return not self._is_running and not any(self._posted.values())

    def end(self) -> None:
        os.close(self._read)
        os.close(self._write)


class FakeHandlers:
    """Handlers that remember which streams hold a slot."""

    def __init__(self, turns: int) -> None:
        self._turns = turns  # of the event loop before the slot is taken, as while the service starts
        self.slots: set[int] = set()

    async def run(self) -> None:
        await asyncio.get_running_loop().create_future()

    async def stream_request(self, subscriber: int, _: bytes) -> None:
        for _turn in range(self._turns):
            await asyncio.sleep(0)
        self.slots.add(subscriber)

    def stream_closed(self, subscriber: int) -> None:
        self.slots.discard(subscriber)


@pytest.mark.proves("ROW-E06")
@pytest.mark.parametrize("turns", [0, 1, 20])
@pytest.mark.parametrize("ends_before", STEPS)
async def test_a_stream_that_ends_at_any_moment_of_a_fetch_gives_its_slot_back(
    ends_before: str, turns: int
) -> None:
    edge, handlers = FakeEdge(ends_before), FakeHandlers(turns)
    server = EdgeServer(edge, handlers)  # type: ignore[arg-type]
    running = asyncio.create_task(server.run())
    try:
        async with asyncio.timeout(60):
            while not edge.quiet():  # noqa: ASYNC110  a fake has no event for it
                await asyncio.sleep(0)
            for _ in range(100):
                await asyncio.sleep(0)
        assert handlers.slots == set()
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        edge.end()
