"""Make an answer of one venue's own data: klines, trades, ticker, funding, book."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal, NamedTuple, Protocol

from google.protobuf.message import Message

from datafacade.clock import NS_PER_MS, NS_PER_S, Clock
from datafacade.store.pit.names import Entity
from datafacade.types import InstrumentRow, Priority
from datafacade.v1 import book_pb2, lineage_pb2, types_pb2, warm_pb2
from datafacade.warm.answers import Made
from datafacade.warm.attribution import Attribution
from datafacade.warm.authority import DataKind

Kind = Literal["klines", "trades", "ticker", "funding", "book"]


class Shape(NamedTuple):
    """What all answers of one kind share."""

    data: DataKind  # whose authority counts
    cache_class: str
    carrier: type[Message]
    rows_usual: int = 0  # where the client names no number; 0: these are no rows of a series
    rows_max: int = 0


SHAPES: Final[Mapping[Kind, Shape]] = MappingProxyType(
    {
        "klines": Shape(DataKind.KLINES, "prices_warm", warm_pb2.WarmKlinesResponse, 500, 5_000),
        "trades": Shape(DataKind.TRADES, "prices_hot", warm_pb2.WarmTradesResponse, 100, 1_000),
        "funding": Shape(DataKind.FUNDING, "funding", warm_pb2.WarmFundingResponse, 100, 1_000),
        "ticker": Shape(DataKind.TICKER, "prices_hot", warm_pb2.WarmTickerResponse),
        "book": Shape(DataKind.BOOK, "depth_spread", book_pb2.L2BookResponse),
    }
)


class Rows(Protocol):
    """What a venue told, decoded (``datafacade._core.Rows``)."""

    def __len__(self) -> int:
        """Return the number of rows."""
        ...

    def ts_newest(self) -> int:
        """Return the newest time that the venue tells, ns UTC; 0: none."""
        ...

    def encode(self, venue: str, symbol: str, interval: str) -> bytes:
        """Return the response message without its lineage."""
        ...


class VenueSource(Protocol):
    """A venue's REST, inside its budget (``venues.adapter``)."""

    async def ask(
        self,
        kind: Kind,
        row: InstrumentRow,
        *,
        interval: str = "",
        limit: int = 0,
        ts_from: int = 0,
        ts_until: int = 0,
        priority: Priority = Priority.CLIENT,
        deadline_ns: int | None = None,
    ) -> Rows:
        """Return all pages of an answer, joined.

        Raises:
            NotSupported: The venue has no such data.
            VenueFailed, VenueRateLimited, CircuitOpen: It did not answer.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What is asked of one venue, checked and canonical."""

    kind: Kind
    venue: str
    row: InstrumentRow
    interval: str = ""
    interval_ns: int = 0  # of klines; 0: other data, or a month
    limit: int = 0  # rows, of a book levels a side
    ts_from: int = 0  # ns UTC; 0: as early as limit allows
    ts_until: int = 0  # ns UTC, excluded; 0: now

    @property
    def shape(self) -> Shape:
        """What it shares with all answers of its kind."""
        return SHAPES[self.kind]

    def is_past(self, now_ns: int) -> bool:
        """Whether all that is asked for lies in the past: age says nothing of such data."""
        return 0 < self.ts_until <= now_ns

    @property
    def key(self) -> str:
        """The one spelling of the question; it ends with its times only where there are any."""
        parts = [self.kind, self.venue, self.row["symbol"]]
        if self.interval:
            parts.append(self.interval)
        if self.limit:
            parts.append(str(self.limit))
        if self.ts_from or self.ts_until:
            parts += [str(self.ts_from), str(self.ts_until)]
        return ":".join(parts)

    @property
    def entity(self) -> Entity:
        """The question as snapshots of its answers are filed; what is usual is left out of its name."""
        has_span = bool(self.ts_from or self.ts_until)
        parts = [self.interval] if self.interval else []
        if has_span or self.limit != self.shape.rows_usual:
            parts.append(str(self.limit))
        if has_span:
            parts += [str(self.ts_from), str(self.ts_until)]
        return Entity(f"warm.{self.kind}", self.venue, self.row["symbol"], ":".join(parts))


async def make_native(
    ask: Ask,
    source: VenueSource,
    *,
    priority: Priority,
    clock: Clock,
    attribution: Attribution,
    deadline_ns: int,
) -> Made:
    """Fetch and encode.

    Raises:
        NotSupported: The venue has no such data.
        VenueFailed, VenueRateLimited, CircuitOpen: It did not answer.
    """
    started = clock.monotonic_ns()
    try:
        rows = await source.ask(
            ask.kind,
            ask.row,
            interval=ask.interval,
            limit=ask.limit,
            ts_from=ask.ts_from,
            ts_until=ask.ts_until,
            priority=priority,
            deadline_ns=deadline_ns,
        )
    except Exception:
        attribution.dropped(ask.venue, ask.venue)
        raise
    latency_ns = clock.monotonic_ns() - started
    now = clock.wall_ns()
    quote = lineage_pb2.SourceQuote(source=ask.venue, used=True, latency_ns=latency_ns)
    ts_source = rows.ts_newest()
    attribution.used(
        ask.venue,
        ask.venue,
        latency_ns=latency_ns,
        data_class="" if ask.is_past(now) else ask.shape.cache_class,
        ts_newest=ts_source,
    )
    if ts_source:
        quote.ts_source, quote.age_ns = ts_source, max(0, now - ts_source)
    lineage = lineage_pb2.Lineage(sources=[quote], cache_misses=1, latency_ns=latency_ns, ts_made=now)
    message = rows.encode(ask.venue, ask.row["symbol"], ask.interval) + _rest_of(ask.shape.carrier, lineage)
    return Made(message=message, ttl_ms=_until_close_ms(ask, now))


def _rest_of(carrier: type[Message], lineage: lineage_pb2.Lineage) -> bytes:
    """Return what stands behind the rows: messages that are concatenated merge."""
    rest = carrier(lineage=lineage)
    if isinstance(rest, book_pb2.L2BookResponse):  # the venue's own word at one moment: no chain proves it
        rest.state = types_pb2.STATE_EMPTY
        rest.integrity = types_pb2.INTEGRITY_UNVERIFIABLE
        rest.flags = types_pb2.UPDATE_FLAG_REST_FALLBACK
    return rest.SerializeToString()


def _until_close_ms(ask: Ask, now_ns: int) -> int | None:
    """Return how long the open bar of an answer stays open; None: no bar of it is open."""
    if not ask.interval_ns or ask.is_past(now_ns):
        return None
    left_ns = ask.interval_ns - now_ns % ask.interval_ns
    return max(1, min(left_ns, NS_PER_S * 3_600) // NS_PER_MS)
