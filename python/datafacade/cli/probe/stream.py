"""The stream of a probe: a line for each trade, books with their spread, a status now and then, a summary."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Any, Final

from rich.text import Text

from datafacade.cli.demo.children import first_of
from datafacade.cli.probe.fetch import bps
from datafacade.cli.screen import on_interrupt
from datafacade.cli.text import clean, clock, grouped, moment
from datafacade.client import (
    Book,
    BookMismatch,
    Channel,
    ConnectionLost,
    Event,
    Gap,
    Reconnected,
    Refused,
    StreamState,
    Subscription,
    Trade,
)

BOOK_EVERY_NS: Final = 1_000_000_000  # a book line at most so often, and only if the best prices changed
STYLES: Final = {"BUY": "green", "SELL": "red"}


class StreamLog:
    """Turns events into lines, and counts them."""

    def __init__(self) -> None:
        self.trades = 0
        self.books = 0
        self.gaps = 0
        self.mismatches = 0
        self.losses = 0  # of the connection to the service
        self.state = ""
        self.integrity = ""
        self.spread_bps: float | None = None
        self.spread_bps_max: float | None = None
        self._shown: tuple[object, object] = (None, None)
        self._shown_at = 0

    def on_event(self, event: Event) -> Text | None:
        """Count an event; return its line if it has one."""
        match event:
            case Trade():
                return self._on_trade(event)
            case Book():
                return self._on_book(event)
            case StreamState():
                if event.topic.channel is Channel.BOOK_L2:
                    self.state = event.state
                reason = clean(event.reason, 64).lower().replace("_", " ")
                return Text(
                    f"STATE  {clean(str(event.topic), 96)} {clean(event.state, 16)} {reason}", style="dim"
                )
            case Gap():
                self.gaps += 1
                count = "some" if event.count is None else f"{event.count:,}"
                return Text(f"GAP    {clean(str(event.topic), 96)}: {count} lost", style="bold red")
            case BookMismatch():
                self.mismatches += 1
                return Text("BOOK   the copy is wrong, a fresh one is on its way", style="bold red")
            case ConnectionLost():
                self.losses += 1
                return Text("LOST   the connection to the service, trying again", style="bold red")
            case Reconnected():
                return Text("BACK   connected again", style="green")
            case Refused():
                return Text(f"REFUSED {clean(event.message or event.reason)}", style="bold red")
        return None

    def status(self, elapsed_s: float) -> Text:
        """Return how it goes."""
        proof = clean(self.integrity, 32).lower().replace("_", " ") or "no proof yet"
        return Text(
            f"STATUS {clock(elapsed_s)}: {self.trades:,} trades, {self.books:,} book updates,"
            f" {self.trades_per_min(elapsed_s):.1f} trades/min, spread {bps(self.spread_bps)},"
            f" book {clean(self.state, 16) or 'not there yet'} ({proof}), {self.gaps} gaps",
            style="bold",
        )

    def trades_per_min(self, elapsed_s: float) -> float:
        """Return the rate of trades."""
        return self.trades * 60 / elapsed_s if elapsed_s > 0 else 0.0

    def summary(self, elapsed_s: float) -> dict[str, Any]:
        """Return all counts, for programs."""
        return {
            "seconds": round(elapsed_s, 3),
            "trades": self.trades,
            "trades_per_min": round(self.trades_per_min(elapsed_s), 3),
            "book_updates": self.books,
            "book_updates_per_min": round(self.books * 60 / elapsed_s, 3) if elapsed_s > 0 else 0.0,
            "spread_bps": self.spread_bps,
            "spread_bps_max": self.spread_bps_max,
            "state": self.state,
            "integrity": self.integrity,
            "gaps": self.gaps,
            "mismatches": self.mismatches,
            "connections_lost": self.losses,
        }

    def _on_trade(self, trade: Trade) -> Text:
        self.trades += 1
        side = clean(trade.side, 8) or "-"
        when = moment(trade.stamp.ts_event or trade.stamp.ts_recv, has_millis=True)[11:]
        return Text.assemble(
            f"TRADE  {when} ",
            (f"{side:<4}", STYLES.get(side, "")),
            f" {trade.quantity:f} @ {grouped(trade.price)}",
        )

    def _on_book(self, book: Book) -> Text | None:
        self.books += 1
        self.state, self.integrity, self.spread_bps = book.state, book.integrity, book.spread_bps
        if book.spread_bps is not None:
            self.spread_bps_max = max(book.spread_bps, self.spread_bps_max or 0.0)
        best = book.best_bid, book.best_ask
        now = book.stamp.mono_client_ns
        is_soon = self._shown_at > 0 and now - self._shown_at < BOOK_EVERY_NS
        if best == self._shown or is_soon:
            return None
        self._shown, self._shown_at = best, now
        when = moment(book.stamp.ts_event or book.stamp.ts_recv, has_millis=True)[11:]
        bid, ask = (grouped(level.price) if level is not None else "-" for level in best)
        return Text(f"BOOK   {when} {bid} / {ask}  spread {bps(book.spread_bps)}", style="cyan")


async def listen(
    subscription: Subscription,
    log: StreamLog,
    write: Callable[[Text], None],
    *,
    seconds: float,
    every_s: float,
) -> float:
    """Write lines until the time is over or Ctrl-C; return how long it took, seconds.

    Raises:
        ClientError: The service is not there, or refuses everything.
    """
    started = time.monotonic()

    async def feed() -> None:
        async for event in subscription:
            line = log.on_event(event)
            if line is not None:
                write(line)

    async def report() -> None:
        while True:
            await asyncio.sleep(every_s)
            write(log.status(time.monotonic() - started))

    async def until(stop: asyncio.Event) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await stop.wait()

    stop = asyncio.Event()
    with on_interrupt(stop.set):
        await first_of(feed(), report(), until(stop))
    return time.monotonic() - started
