"""Count what a subscription yields, per venue and symbol: rates, latencies, prices, proofs. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final, NamedTuple

from datafacade.cli.text import quantile
from datafacade.client import (
    Book,
    BookMismatch,
    Channel,
    Event,
    Gap,
    Refused,
    StreamState,
    TopicReport,
    TopOfBook,
    Trade,
)
from datafacade.client.book import LIVE
from datafacade.v1 import health_pb2, types_pb2

WINDOW_S: Final = 5.0  # of rates
LATENCIES_MAX: Final = 2_000  # newest ones that quantiles are taken of
TREND_MAX: Final = 240
TREND_EVERY_S: Final = 0.25
NOTES_MAX: Final = 6


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


class Note(NamedTuple):
    """Something that people should see."""

    ts: int  # ns since 1970 UTC
    subject: str
    text: str


@dataclass(slots=True)
class Row:
    """One venue and symbol."""

    venue: str
    symbol: str
    state: str = ""
    integrity: str = ""
    was_live: bool = False
    venue_proofs: int = 0  # links and checksums that the service checked against the venue
    copy_proofs: int = 0  # links and hashes that this client checked on its copy
    venue_failed: int = 0  # of those, the ones that did not hold: the book was made anew
    copy_failed: int = 0  # copies that were found wrong and dropped
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

    @property
    def proofs_checked(self) -> int:
        """Proofs of both kinds."""
        return self.venue_proofs + self.copy_proofs

    @property
    def proofs_failed(self) -> int:
        """Proofs of both kinds that did not hold."""
        return self.venue_failed + self.copy_failed

    def latency(self) -> tuple[int, int]:
        """Return median and 99th percentile, ns; 0: none was measured."""
        ordered = sorted(self.latencies_ns)
        return quantile(ordered, 0.5), quantile(ordered, 0.99)


class Tally:
    """All rows, and the newest remarkable events.

    Args:
        is_latency_measured: Take latencies from the service's socket to here; False: the owner adds them.
    """

    def __init__(self, *, is_latency_measured: bool = True) -> None:
        self.rows: dict[tuple[str, str], Row] = {}
        self.notes: deque[Note] = deque(maxlen=NOTES_MAX)
        self._is_latency_measured = is_latency_measured

    def row(self, venue: str, symbol: str) -> Row:
        """Return the row of a venue and symbol."""
        found = self.rows.get((venue, symbol))
        if found is None:
            found = self.rows[venue, symbol] = Row(venue, symbol)
        return found

    def on_event(self, event: Event, *, now: float, wall_ns: int) -> None:
        """Count one event that came ``now`` (seconds, steady) and at ``wall_ns`` (since 1970 UTC)."""
        self._note(event, wall_ns)
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
                row.was_live = row.was_live or event.state == LIVE
                row.state = event.state

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
                row.state, row.integrity = report.state, report.integrity
        for key, (checked, failed, gaps) in totals.items():
            row = self.row(*key)
            row.copy_proofs, row.copy_failed, row.gaps = checked, failed, gaps

    def on_health(self, answer: health_pb2.HealthResponse) -> None:
        """Take over how many proofs the service itself has checked."""
        for venue in answer.venues:
            for stream in venue.streams:
                row = self.rows.get((venue.venue, stream.symbol))
                if row is not None and stream.channel == types_pb2.CHANNEL_BOOK_L2:
                    row.venue_proofs = stream.counts.proofs_checked
                    row.venue_failed = stream.counts.proofs_failed

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

    def _note(self, event: Event, wall_ns: int) -> None:
        """Keep an event that people should see."""
        match event:
            case StreamState() if event.topic.channel is Channel.BOOK_L2:
                row = self.row(event.topic.venue, event.topic.symbol)
                if row.was_live and row.state != event.state:
                    text = f"{row.state} to {event.state}: {event.reason}"
                    self.notes.append(Note(wall_ns, str(event.topic), text))
            case Gap():
                count = "some" if event.count is None else f"{event.count:,}"
                self.notes.append(Note(wall_ns, str(event.topic), f"gap, {count} lost: {event.cause}"))
            case BookMismatch():
                text = f"the copy is wrong, a fresh one is on its way: {event.reason}"
                self.notes.append(Note(wall_ns, str(event.topic), text))
            case Refused():
                near = f", nearest {', '.join(event.suggestions)}" if event.suggestions else ""
                subject = f"{event.venue}:{event.requested_symbol}/{event.channel}"
                self.notes.append(Note(wall_ns, subject, f"{event.message or event.reason}{near}"))
