"""Count what a subscription yields, per venue and symbol: rates, latencies, prices, proofs. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from datafacade.cli.text import quantile
from datafacade.client import (
    Book,
    BookMismatch,
    Channel,
    Event,
    Gap,
    StreamState,
    TopicReport,
    TopOfBook,
    Trade,
)

WINDOW_S: Final = 5.0  # of rates
LATENCIES_MAX: Final = 2_000  # newest ones that quantiles are taken of
TREND_MAX: Final = 240
TREND_EVERY_S: Final = 0.25
NOTES_MAX: Final = 4


class Rate:
    """Events per second over the last few seconds."""

    def __init__(self) -> None:
        self._times: deque[float] = deque()
        self._since: float | None = None

    def add(self, now: float) -> None:
        """Count one event; ``now`` in seconds."""
        if self._since is None:
            self._since = now
        self._times.append(now)

    def per_s(self, now: float) -> float:
        """Return the rate."""
        while self._times and self._times[0] <= now - WINDOW_S:
            self._times.popleft()
        if self._since is None:
            return 0.0
        return len(self._times) / max(1.0, min(WINDOW_S, now - self._since))


@dataclass(slots=True)
class Row:
    """One venue and symbol."""

    venue: str
    symbol: str
    state: str = ""
    reason: str = ""
    integrity: str = ""
    proofs_checked: int = 0  # links and hashes that this client checked
    proofs_failed: int = 0
    bid: Decimal | None = None
    ask: Decimal | None = None
    spread_bps: float | None = None
    last_price: Decimal | None = None
    last_side: str = ""
    gaps: int = 0
    trades: int = 0
    updates: int = 0
    trend: deque[float] = field(default_factory=lambda: deque(maxlen=TREND_MAX))  # mid prices
    trend_at: float = 0.0
    latencies_ns: deque[int] = field(default_factory=lambda: deque(maxlen=LATENCIES_MAX))
    trade_rate: Rate = field(default_factory=Rate)
    update_rate: Rate = field(default_factory=Rate)

    def latency(self) -> tuple[int, int]:
        """Return median and 99th percentile, ns; 0: none was measured."""
        ordered = sorted(self.latencies_ns)
        return quantile(ordered, 0.5), quantile(ordered, 0.99)


class Tally:
    """All rows, and the newest remarkable events."""

    def __init__(self, *, is_latency_measured: bool = True) -> None:
        self.rows: dict[tuple[str, str], Row] = {}
        self.notes: deque[tuple[float, str, str]] = deque(maxlen=NOTES_MAX)  # wall time, topic, text
        self._is_latency_measured = (
            is_latency_measured  # from the service's socket to here; else by the owner
        )

    def row(self, venue: str, symbol: str) -> Row:
        """Return the row of a venue and symbol."""
        found = self.rows.get((venue, symbol))
        if found is None:
            found = self.rows[venue, symbol] = Row(venue, symbol)
        return found

    def on_event(self, event: Event, now: float) -> None:
        """Count one event; ``now`` in seconds of any steady clock."""
        match event:
            case Book():
                self._on_book(event, now)
            case Trade():
                row = self.row(event.venue, event.symbol)
                row.trades += 1
                row.trade_rate.add(now)
                row.last_price, row.last_side = event.price, event.side
                self._latency(row, event.stamp.ts_client - event.stamp.ts_recv)
            case TopOfBook():
                row = self.row(event.venue, event.symbol)
                row.updates += 1
                row.update_rate.add(now)
            case StreamState() if event.topic.channel is Channel.BOOK_L2:
                row = self.row(event.topic.venue, event.topic.symbol)
                if row.state and row.state != event.state:
                    self._note(
                        event.stamp.ts_client, event.topic, f"{row.state} to {event.state} {event.reason}"
                    )
                row.state, row.reason = event.state, event.reason
            case Gap():
                count = "unknown" if event.count is None else str(event.count)
                self._note(event.ts_last, event.topic, f"gap {event.scope} {event.cause}, {count} missing")
            case BookMismatch():
                self._note(0, event.topic, f"book dropped: {event.reason}")

    def on_reports(self, reports: Iterable[TopicReport]) -> None:
        """Take over what the subscription itself counts."""
        totals: dict[tuple[str, str], tuple[int, int, int]] = {}
        for report in reports:
            key = report.topic.venue, report.topic.symbol
            checked, failed, gaps = totals.get(key, (0, 0, 0))
            checked += report.hashes_checked + report.links_checked
            totals[key] = checked, failed + report.mismatches, gaps + report.gaps
            if report.topic.channel is Channel.BOOK_L2:
                row = self.row(*key)
                row.state, row.reason, row.integrity = report.state, report.reason, report.integrity
        for key, (checked, failed, gaps) in totals.items():
            row = self.row(*key)
            row.proofs_checked, row.proofs_failed, row.gaps = checked, failed, gaps

    def _on_book(self, book: Book, now: float) -> None:
        row = self.row(book.venue, book.symbol)
        row.updates += 1
        row.update_rate.add(now)
        row.state, row.integrity = book.state, book.integrity
        row.bid = None if book.best_bid is None else book.best_bid.price
        row.ask = None if book.best_ask is None else book.best_ask.price
        row.spread_bps = book.spread_bps
        if row.bid is not None and row.ask is not None and now - row.trend_at >= TREND_EVERY_S:
            row.trend.append(float(row.bid + row.ask) / 2)
            row.trend_at = now
        if not book.is_snapshot:
            self._latency(row, book.stamp.ts_client - book.stamp.ts_recv)

    def _latency(self, row: Row, ns: int) -> None:
        if self._is_latency_measured and ns >= 0:
            row.latencies_ns.append(ns)

    def _note(self, ts: int, topic: object, text: str) -> None:
        self.notes.append((ts / 1e9, str(topic), text))
