"""Hand-written fakes of what a feed runner touches."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from datafacade.hot.ports import Command, Commands
from datafacade.types import Closed, CloseReason, Priority
from datafacade.venues.rest import RestAnswer


class FakeFeed:
    """Notes every call and answers with what the test planned for it."""

    def __init__(self) -> None:
        self.calls: list[tuple[object, ...]] = []
        self.plans: dict[str, list[list[Command]]] = {}
        self.on_call: Callable[[str], None] = lambda _: None
        self.frames: list[bytes] = []
        self.held: list[bool] = []  # for each frame: whether its subscribers were left asleep
        self.deadline = 2**63 - 1
        self.roll_cause: str | None = None
        self.is_taking = False  # what the next take_over says

    def plan(self, name: str, *commands: Command) -> None:
        self.plans.setdefault(name, []).append(list(commands))

    def _note(self, name: str, *arguments: object) -> Commands:
        self.calls.append((name, *arguments))
        self.on_call(name)
        planned = self.plans.get(name)
        return planned.pop(0) if planned else None

    def names(self) -> list[object]:
        """Return the calls without the ticks, which come whenever time passes."""
        return [call[0] for call in self.calls if call[0] != "on_tick"]

    @property
    def ticks(self) -> int:
        return sum(call[0] == "on_tick" for call in self.calls)

    def add_instruments(self, body: bytes) -> int:
        self._note("add_instruments", body)
        return 1

    def instruments(self) -> list[dict[str, Any]]:
        return []

    def subscribe(
        self, venue_symbol: str, channel: int, variant: str = "", *, told: tuple[int, int] | None = None
    ) -> Commands:
        self.told = told
        return self._note("subscribe", venue_symbol, channel, variant)

    def unsubscribe(self, venue_symbol: str, channel: int, variant: str = "") -> Commands:
        return self._note("unsubscribe", venue_symbol, channel, variant)

    def start(self) -> Commands:
        return self._note("start")

    def on_opened(self) -> Commands:
        return self._note("on_opened")

    def on_frame(self, frame: bytes, ts_recv: int, has_more: bool = False) -> Commands:
        self.held.append(has_more)
        self.frames.append(frame)
        return self._note("on_frame", frame, ts_recv)

    def on_large_frame(self, frame: bytes, ts_recv: int) -> Commands:
        self.frames.append(frame)
        return self._note("on_large_frame", frame[:5], ts_recv)

    def on_response(self, request_id: int, status: int, body: bytes, ts_recv: int) -> Commands:
        return self._note("on_response", request_id, status, body, ts_recv)

    def on_large_response(self, request_id: int, status: int, body: bytes, ts_recv: int) -> Commands:
        return self._note("on_large_response", request_id, status, len(body), ts_recv)

    def on_tick(self) -> Commands:
        return self._note("on_tick")

    def roll_due(self) -> str | None:
        return self.roll_cause

    def adopt_instruments(self, old: object) -> int:
        self._note("adopt_instruments", old)
        return 1

    def take_over(self, old: object) -> tuple[bool, Commands]:
        self._note("take_over", old)
        return self.is_taking, None

    def on_closed(self, code: int, message: str) -> Commands:
        return self._note("on_closed", code, message)

    def on_dial_failed(self, cause: str, message: str, wait_ns: int = 0) -> Commands:
        return self._note("on_dial_failed", cause, message, wait_ns)

    def deadline_ns(self) -> int:
        return self.deadline

    def serve_cuts(self, wanted: object) -> Commands:
        return self._note("serve_cuts", wanted)

    def book(self, symbol: str, depth: int) -> tuple[bytes, bytes] | None:
        del symbol, depth
        return None

    def stats(self) -> dict[str, Any]:
        return {"connection": len([name for name in self.names() if name == "on_opened"])}

    def topics(self) -> list[dict[str, Any]]:
        return []


class FakeSocket:
    """Delivers what the test puts in; ends when the test says so, or when it is closed by us."""

    def __init__(self) -> None:
        self.frames: asyncio.Queue[tuple[bytes, int] | None] = asyncio.Queue()
        self.sent: list[str] = []
        self.closes: list[tuple[int, str]] = []
        self.closed_at_ns = 0  # by us, monotonic
        self.closed: asyncio.Future[Closed] = asyncio.get_running_loop().create_future()

    def __aiter__(self) -> FakeSocket:
        """Return itself."""
        return self

    async def __anext__(self) -> tuple[bytes, int]:
        """Return the next frame."""
        item = await self.frames.get()
        if item is None:
            raise StopAsyncIteration
        return item

    @property
    def has_frame(self) -> bool:
        waiting: deque[tuple[bytes, int] | None] = self.frames._queue  # type: ignore[attr-defined]  # peek
        return bool(waiting) and waiting[0] is not None

    def receive(self, frame: bytes, ts_recv: int = 1) -> None:
        self.frames.put_nowait((frame, ts_recv))

    def end(self, code: int = 1006, reason: str = CloseReason.EOF) -> None:
        if not self.closed.done():
            self.closed.set_result(Closed(code=code, reason=reason))
        self.frames.put_nowait(None)

    def send(self, text: str) -> None:
        self.sent.append(text)

    def close(self, code: int, reason: str) -> None:
        self.closes.append((code, reason))
        self.closed_at_ns = time.monotonic_ns()
        self.end(code, reason)

    async def wait_closed(self) -> Closed:
        return await asyncio.shield(self.closed)


class FakeRest:
    """Answers when the test lets it."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Priority, int | None]] = []
        self.answers: asyncio.Queue[RestAnswer | Exception] = asyncio.Queue()

    def url(self, path: str) -> str:
        return f"https://venue{path}"

    async def get(self, path: str, *, priority: Priority, weight: int | None = None) -> RestAnswer:
        self.asked.append((path, priority, weight))
        answer = await self.answers.get()
        if isinstance(answer, Exception):
            raise answer
        return answer


def answer(body: bytes = b"{}", status: int = 200, ts_recv: int = 5) -> RestAnswer:
    return RestAnswer(status=status, headers={"x-used": "1"}, body=body, ts_recv=ts_recv)


async def until(condition: Callable[[], object], what: str = "the condition") -> None:
    """Let the loop run until something holds; fail after a minute."""
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110  the condition belongs to the code under test
            await asyncio.sleep(0.001)
    assert condition(), what
