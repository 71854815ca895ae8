"""The data fetch test of a probe: klines, trades and a book, each with whence and how fast."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from rich.table import Table
from rich.text import Text

from datafacade.cli.output import table_of
from datafacade.cli.text import NOTHING, clean, full, moment, span
from datafacade.cli.values import values
from datafacade.client import Book, Client, ClientError, Klines, Provenance, Trades

KLINES: Final = 24
INTERVAL: Final = "1h"
TRADES: Final = 10
DEPTH: Final = 10
NS_PER_MIN: Final = 60_000_000_000

Found = Klines | Trades | Book


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One answer, or why there is none."""

    name: str
    found: Found | None
    error: ClientError | None
    took_ns: int  # from the question to the answer, seen from here

    @property
    def provenance(self) -> Provenance | None:
        """Where the answer comes from."""
        return self.found.provenance if self.found is not None else None


async def fetch(client: Client, venue: str, pair: str) -> tuple[Part, ...]:
    """Ask for 24 klines of 1 h, 10 trades and 10 levels of the book, at once; a book from REST will do."""
    return tuple(
        await asyncio.gather(
            _part("klines", lambda: client.klines(venue, pair, INTERVAL, limit=KLINES)),
            _part("trades", lambda: client.trades(venue, pair, limit=TRADES)),
            _part("book", lambda: client.get_book_l2(venue, pair, depth=DEPTH, allow_unverified=True)),
        )
    )


async def _part(name: str, question: Callable[[], Awaitable[Found]]) -> Part:
    started = time.monotonic_ns()
    found, error = None, None
    try:
        found = await question()
    except ClientError as failed:
        error = failed
    return Part(name=name, found=found, error=error, took_ns=time.monotonic_ns() - started)


def fetch_table(parts: tuple[Part, ...], *, minutes: float, now: int) -> Table:
    """Return a row for each part: what came, from where, how old, how fast; ``now`` in ns UTC."""
    table = table_of("TEST", "RESULT", "CACHE", "SOURCE", ">AGE", ">TOOK")
    table.columns[1].no_wrap = False
    for part in parts:
        told = part.provenance
        table.add_row(
            Text(part.name, style="bold"),
            result(part, minutes=minutes, now=now),
            NOTHING if told is None else told.cache_tier.lower() or NOTHING,
            Text(_source(told)),
            NOTHING if told is None else span(told.age_ns),
            span(part.took_ns),
        )
    return table


def result(part: Part, *, minutes: float, now: int) -> Text:
    """Return in a few words what came."""
    match part.found:
        case Klines() as klines:
            last = klines.rows[-1] if klines.rows else None
            newest = f", newest {moment(last.ts_open)} at {full(last.close)}" if last else ""
            return Text(f"{len(klines.rows)} x {INTERVAL} klines, {len(klines.holes)} holes{newest}")
        case Trades() as trades:
            recent = sum(row.ts_event >= now - int(minutes * NS_PER_MIN) for row in trades.rows)
            newest = (
                f", newest {trades.rows[-1].side.lower()} at {full(trades.rows[-1].price)}"
                if trades.rows
                else ""
            )
            return Text(f"{len(trades.rows)} trades, {recent} of the last {minutes:g} min{newest}")
        case Book() as book:
            bid, ask = book.best_bid, book.best_ask
            prices = f"{full(bid and bid.price)} / {full(ask and ask.price)}"
            levels = "{} + {} levels".format(*book.level_counts)
            proof = "REST, nothing proves it" if book.is_from_rest else clean(book.integrity, 32).lower()
            return Text(f"{prices}, spread {bps(book.spread_bps)}, {levels}, {proof or 'no proof'}")
    error = part.error
    return Text(f"failed: {clean(str(error))}" if error is not None else "failed", style="bold red")


def bps(spread: float | None) -> str:
    """Return a spread in hundredths of a percent.

    Example:
        >>> bps(1.5), bps(None)
        ('1.50 bps', '-')
    """
    return NOTHING if spread is None else f"{spread:.2f} bps"


def _source(told: Provenance | None) -> str:
    """Return whose answer it is: sources that were used, or the stream."""
    if told is None:
        return NOTHING
    return ", ".join(clean(source.source, 32) for source in told.used) or "stream"


def as_values(parts: tuple[Part, ...]) -> dict[str, Any]:
    """Return all parts for programs."""
    return {
        part.name: {
            "ok": part.error is None,
            "error": None
            if part.error is None
            else {"reason": part.error.reason, "message": str(part.error)},
            "took_ns": part.took_ns,
            **_figures(part.found),
            "provenance": values(part.provenance),
        }
        for part in parts
    }


def _figures(found: Found | None) -> dict[str, Any]:
    match found:
        case Klines() as klines:
            return {"rows": values(klines.rows), "holes": values(klines.holes)}
        case Trades() as trades:
            return {"rows": values(trades.rows)}
        case Book() as book:
            bids, asks = book.top(DEPTH)
            levels = {
                "bids": values([tuple(level) for level in bids]),
                "asks": values([tuple(level) for level in asks]),
            }
            return {"spread_bps": book.spread_bps, "is_from_rest": book.is_from_rest, **levels}
    return {}
