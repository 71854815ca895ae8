"""Read the simulator's truth log (docs/simulator.md): what was sent, what is right, what was damaged."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from datafacade.check.names import BOOK, Topic, channel_of, symbol_of, venue_of

Record = dict[str, Any]
HTTP_OK: Final = 200


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


@dataclass(slots=True)
class Truth:
    """The whole log."""

    sent: list[Sent] = field(default_factory=list)
    applied: list[Applied] = field(default_factory=list)
    connections: list[Record] = field(default_factory=list)
    snapshots: list[tuple[Topic, int]] = field(default_factory=list)  # whole books, wall time
    t_mono_ns: int = 0  # of the last record

    def of(self, topic: Topic) -> list[Sent]:
        """Return the frames of one topic, in order."""
        return [frame for frame in self.sent if frame.topic == topic]


class TruthReader:
    """Reads a truth log, also while it grows."""

    def __init__(self) -> None:
        self.truth = Truth()
        self._options: dict[int, Record] = {}

    def read(self, lines: Iterable[str]) -> Truth:
        """Take whole lines; return all that was read so far."""
        for line in lines:
            self._take(json.loads(line))
        return self.truth

    def _take(self, record: Record) -> None:
        truth = self.truth
        truth.t_mono_ns = record["t_mono_ns"]
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


def read_truth(lines: Iterable[str]) -> Truth:
    """Read JSON lines; a last line that is not whole is left out."""
    return TruthReader().read(line for line in lines if line.endswith("\n"))


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
