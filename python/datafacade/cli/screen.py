"""Feed a tally from a subscription and draw it as it changes."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import time
from collections.abc import Callable, Iterator
from typing import Final

from rich.console import Console, RenderableType
from rich.live import Live

from datafacade.cli.board import Heading, board
from datafacade.cli.tally import Tally
from datafacade.client import Client, ClientError, ConnectionLost, Event, Reconnected, Subscription

FRAMES_PER_S: Final = 4
ASK_S: Final = 1.0
SWITCH_S: Final = 0.000_5  # what drawing may add to a latency
FROM_SOCKET: Final = "from the service's socket to here"


class Screen:
    """The live picture of one subscription.

    Args:
        subscription: What is shown.
        title: Stands above the table.
        target: Where the data come from.
        latency_of: What the latency columns measure.
        client: Asked for the service's own counts once a second; None: only this client's are shown.
        on_event: Hears each event beside the tally.
        before_frame: Called before each picture; returns a line for below the table, or nothing.
    """

    def __init__(
        self,
        subscription: Subscription,
        *,
        title: str,
        target: str,
        latency_of: str = FROM_SOCKET,
        client: Client | None = None,
        on_event: Callable[[Event], None] | None = None,
        before_frame: Callable[[], str] | None = None,
    ) -> None:
        self.tally = Tally(is_latency_measured=latency_of == FROM_SOCKET)
        self._subscription = subscription
        self._title = title
        self._target = target
        self._latency_of = latency_of
        self._client = client
        self._on_event = on_event
        self._before_frame = before_frame
        self._started_at = time.monotonic()
        self._is_connected = True

    async def run(self, console: Console | None, *, seconds: float | None = None) -> None:
        """Draw until Ctrl-C or for some seconds; without a console only count.

        Raises:
            ClientError: The service is not there, or refuses everything.
        """
        self._started_at = time.monotonic()
        stop = asyncio.Event()
        with contextlib.ExitStack() as stack:
            stack.enter_context(on_interrupt(stop.set))
            stack.enter_context(switching_every(SWITCH_S))
            live = None
            if console is not None:
                live = stack.enter_context(Live(console=console, auto_refresh=False))
            tasks = [
                asyncio.create_task(self._feed(), name="feed"),
                asyncio.create_task(self._draw(live), name="draw"),
                asyncio.create_task(self._ask(), name="ask"),
                asyncio.create_task(self._wait(stop), name="stop"),
            ]
            try:
                done, _ = await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
            self.tally.on_reports(self._subscription.reports)
            if live is not None:
                live.update(self.picture(live.console.width), refresh=True)

    def picture(self, width: int) -> RenderableType:
        """Return what there is to see now, for so many columns."""
        note = self._before_frame() if self._before_frame is not None else ""
        self.tally.on_reports(self._subscription.reports)
        now = time.monotonic()
        heading = Heading(
            title=self._title,
            target=self._target,
            running_s=now - self._started_at,
            is_connected=self._is_connected,
            latency_of=self._latency_of,
            note=note if self._is_connected else "connection lost, trying again",
        )
        return board(self.tally, heading, now=now, width=width)

    async def _feed(self) -> None:
        async for event in self._subscription:
            match event:
                case ConnectionLost():
                    self._is_connected = False
                case Reconnected():
                    self._is_connected = True
                case _:
                    self.tally.on_event(event, now=time.monotonic(), wall_ns=time.time_ns())
            if self._on_event is not None:
                self._on_event(event)

    async def _draw(self, live: Live | None) -> None:
        while True:
            if live is not None:  # drawing takes some 20 ms: the loop goes on receiving meanwhile
                await asyncio.to_thread(live.update, self.picture(live.console.width), refresh=True)
            elif self._before_frame is not None:
                self._before_frame()
            await asyncio.sleep(1 / FRAMES_PER_S)

    async def _ask(self) -> None:
        """Ask the service for its counts, again and again; without a client wait for ever."""
        while self._client is not None:
            with contextlib.suppress(ClientError):  # the table shows that the connection is lost
                self.tally.on_health(await self._client.health())
            await asyncio.sleep(ASK_S)
        await asyncio.Event().wait()

    async def _wait(self, stop: asyncio.Event) -> None:
        await stop.wait()


@contextlib.contextmanager
def switching_every(seconds: float) -> Iterator[None]:
    """Let the threads of this process take turns so often meanwhile."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(seconds)
    try:
        yield
    finally:
        sys.setswitchinterval(usual)


@contextlib.contextmanager
def on_interrupt(stop: Callable[[], None]) -> Iterator[None]:
    """Call ``stop`` on Ctrl-C and SIGTERM meanwhile."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    try:
        yield
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
