"""Read the simulator's truth log (docs/simulator.md): what was sent, what is right, what was damaged."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from datafacade.check.names import BOOK, TRADES, TRADES_FROM, Topic, channel_of, symbol_of, venue_of

Record = dict[str, Any]
HTTP_OK: Final = 200
FOREVER: Final = 1 << 63
AT_ONCE: Final = frozenset(
    {"rst", "eof", "close", "sequence_reset", "keep_alive", "shutdown_notice", "repeat_trades", "burst"}
)


@dataclass(frozen=True, slots=True)
class Sent:
    """One frame of a topic that the checker judges."""

    topic: Topic
    conn: int
    kind: str  # snapshot or update
    sequence: int | None  # of a book message
    trades: tuple[Record, ...]
    t_mono_ns: int
    t_wall_ns: int
    fault: int | None  # the fault that made this frame what it is
    top50: str | None
    full: str | None
    views: tuple[str, ...]  # hashes of the whole book as holders of a cut snapshot have it


@dataclass(frozen=True, slots=True)
class Applied:
    """One application of a fault."""

    verb: str
    options: Record
    topic: Topic | None  # None: it hit a connection
    venue: str
    conn: int | None
    sequence: int | None
    trade_ids: tuple[int, ...]
    t_mono_ns: int
    t_wall_ns: int


@dataclass(frozen=True, slots=True)
class Row:
    """One trade as the market made it, told to anybody or not."""

    price: str
    quantity: str
    taker: str  # buy or sell
    ts_event: int
    is_market: bool


@dataclass(slots=True)
class Trouble:
    """One fault from when it was armed until it was over."""

    verb: str
    venue: str  # as the product names it; a beginning of it, as `binance`
    symbol: str  # empty: a connection, or all symbols
    since_wall_ns: int
    until_wall_ns: int  # FOREVER: it is not over
    since_mono_ns: int
    applied: int = 0

    @property
    def is_at_once(self) -> bool:
        """Whether it acts at the moment it is armed, and is over then."""
        return self.verb in AT_ONCE


@dataclass(slots=True)
class Truth:
    """The whole log."""

    sent: list[Sent] = field(default_factory=list)
    applied: list[Applied] = field(default_factory=list)
    connections: list[Record] = field(default_factory=list)
    snapshots: list[tuple[Topic, int]] = field(default_factory=list)  # whole books, wall time
    t_mono_ns: int = 0  # of the last record
    trades: dict[Topic, dict[int, Row]] = field(default_factory=dict)  # by the venue's number
    troubles: list[Trouble] = field(default_factory=list)
    wall_minus_mono_ns: int = 0  # of the clocks, at the last record

    def of(self, topic: Topic) -> list[Sent]:
        """Return the frames of one topic, in order."""
        return [frame for frame in self.sent if frame.topic == topic]


class TruthReader:
    """Reads a truth log, also while it grows."""

    def __init__(self) -> None:
        self.truth = Truth()
        self._options: dict[int, Record] = {}
        self._troubles: dict[tuple[str, int], Trouble] = {}  # by who makes them, and number

    def read(self, lines: Iterable[str]) -> Truth:
        """Take whole lines; return all that was read so far."""
        for line in lines:
            record = json.loads(line)
            if record["type"] == "fault" or record.get("event") == "fault":
                self._trouble(record)
            self._take(record)
        return self.truth

    def _take(self, record: Record) -> None:
        truth = self.truth
        truth.t_mono_ns = record["t_mono_ns"]
        truth.wall_minus_mono_ns = record["t_wall_ns"] - record["t_mono_ns"]
        match record["type"]:
            case "frame":
                sent = _sent(record)
                if sent is not None:
                    truth.sent.append(sent)
                    if sent.kind == "snapshot":
                        truth.snapshots.append((sent.topic, sent.t_wall_ns))
            case "fault" if record["phase"] == "armed":
                self._options[record["id"]] = record.get("options") or {}
            case "fault" if record["phase"] == "applied":
                truth.applied.append(_applied(record, self._options.get(record["id"], {})))
            case "rest" if record.get("symbol") and record["status"] == HTTP_OK:
                venue = venue_of(record["venue"], record["product"])
                topic = Topic(venue, symbol_of(record["venue"], record["symbol"]), BOOK)
                truth.snapshots.append((topic, record["t_wall_ns"]))
            case "connection":
                truth.connections.append(record)
            case "trades":
                self._rows(record)

    def _rows(self, record: Record) -> None:
        """Take what a market traded."""
        if record["product"] != TRADES_FROM.get(record["venue"], record["product"]):
            return
        venue = venue_of(record["venue"], record["product"])
        topic = Topic(venue, symbol_of(record["venue"], record["symbol"]), TRADES)
        rows = self.truth.trades.setdefault(topic, {})
        for number, price, quantity, taker, ts_event, *kind in record["rows"]:
            rows[number] = Row(price, quantity, taker, ts_event, not kind)

    def _trouble(self, record: Record) -> None:
        """Follow a fault from its arming to its end."""
        key = (record["type"], record["id"])
        if record["phase"] == "armed":
            trouble = self._troubles[key] = _armed(record)
            self.truth.troubles.append(trouble)
        trouble = self._troubles[key]
        if record["phase"] == "applied":
            trouble.applied += 1
        elif record["phase"] == "ended":
            trouble.until_wall_ns = record["t_wall_ns"]
            trouble.applied = max(trouble.applied, record.get("applied") or 0)


def read_truth(lines: Iterable[str]) -> Truth:
    """Read JSON lines; a last line that is not whole is left out."""
    return TruthReader().read(line for line in lines if line.endswith("\n"))


def _armed(record: Record) -> Trouble:
    """Return a fault of the simulator or of its proxy that begins."""
    place = str(record.get("route") or record.get("venue") or "")
    venue, _, rest = place.partition("/")
    product = rest.partition("/")[0] or str(record.get("product") or "")
    symbol = str(record.get("symbol") or "")
    return Trouble(
        verb=record["verb"],
        venue=venue_of(venue, product),
        symbol=symbol_of(venue, symbol) if symbol else "",
        since_wall_ns=record["t_wall_ns"],
        until_wall_ns=FOREVER,
        since_mono_ns=record["t_mono_ns"],
    )


def _topic(record: Record) -> Topic | None:
    channel = channel_of(str(record.get("channel")))
    if channel is None or record.get("symbol") is None:
        return None
    venue, product = record["venue"], record["product"]
    return Topic(venue_of(venue, product), symbol_of(venue, record["symbol"]), channel)


def _sent(record: Record) -> Sent | None:
    topic = _topic(record)
    if topic is None:
        return None
    sequence = record.get("sequence")
    return Sent(
        topic=topic,
        conn=record["conn"],
        kind=record["kind"],
        sequence=sequence if isinstance(sequence, int) else None,
        trades=tuple(record.get("trades") or ()),
        t_mono_ns=record["t_mono_ns"],
        t_wall_ns=record["t_wall_ns"],
        fault=record.get("fault"),
        top50=record.get("top50_sha256"),
        full=record.get("book_sha256"),
        views=tuple(view["book_sha256"] for view in record.get("views") or ()),
    )


def _applied(record: Record, options: Record) -> Applied:
    product = str(record.get("product") or "")  # venue/product, as the simulator names its parts
    venue, _, kind = product.partition("/")
    sequence = record.get("sequence")
    if isinstance(sequence, list) and not record.get("channel"):
        record = {**record, "channel": "trades"}  # it hit the trades themselves, not a frame of theirs
    is_named = bool(record.get("symbol") and record.get("channel"))
    return Applied(
        verb=record["fault"],
        options=options,
        topic=_topic({**record, "venue": venue, "product": kind}) if is_named else None,
        venue=venue_of(venue, kind),
        conn=record.get("conn"),
        sequence=sequence if isinstance(sequence, int) else None,
        trade_ids=tuple(sequence) if isinstance(sequence, list) else (),
        t_mono_ns=record["t_mono_ns"],
        t_wall_ns=record["t_wall_ns"],
    )
