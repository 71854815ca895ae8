"""The way out: each frame passes here, is numbered, damaged if a fault wants it, logged and written."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from datafacade.sim import damage
from datafacade.sim.binance_futures import MARKET_KIND
from datafacade.sim.books import Change, rank_of
from datafacade.sim.connection import Connection
from datafacade.sim.faults import Fault, FaultBoard
from datafacade.sim.frames import Frame
from datafacade.sim.odd import odd_rows, odd_trade
from datafacade.sim.stats import Stats
from datafacade.sim.truth import TruthLog


class Outlet:
    """Sends frames of all venues. A frame meets at most one fault: the oldest that matches."""

    def __init__(self, truth: TruthLog, faults: FaultBoard, stats: Stats) -> None:
        self._truth = truth
        self._faults = faults
        self._stats = stats
        self._verbs: dict[str, Callable[[Fault, Connection, Frame], None]] = {
            "drop": self._drop,
            "duplicate": self._duplicate,
            "reorder": self._reorder,
            "delay": self._delay,
            "corrupt": self._corrupt,
            "truncate": self._truncate,
            "wrong_checksum": self._wrong_checksum,
            "suppress_delete": self._suppress_delete,
            "odd_numbers": self._odd,
            "malformed_message": self._malformed,
            "unknown_message": self._unknown,
            "slow_snapshot": self._slow_snapshot,
            "huge_snapshot": self._huge_snapshot,
        }

    def broadcast(self, connections: Iterable[Connection], frame: Frame) -> None:
        """Send ``frame`` to each of ``connections``."""
        for connection in connections:
            self.send(connection, frame)

    def send(self, connection: Connection, frame: Frame) -> None:
        """Send ``frame``, or do to it what an armed fault says."""
        if not connection.is_open:
            return
        if connection.silenced and (frame.symbol, frame.topic) in connection.silenced:
            return
        if self._faults and self._is_muted(connection, frame):
            return
        if frame.channel == "pong" and connection.ws.is_silent:
            return
        if frame.is_numbered:
            frame = frame.numbered(connection.next_number)
            connection.next_number += 1
        if connection.waiting:
            connection.waiting.append(frame)
        else:
            self._pass(connection, frame)

    def write(
        self, connection: Connection, frame: Frame, payload: bytes | None = None, fault: Fault | None = None
    ) -> None:
        """Log and write a frame, or the ``payload`` that a fault made of it."""
        if not connection.is_open:
            return
        octets = frame.text.encode() if payload is None else payload
        if frame.topic != "control":
            venue, _, product = connection.product.partition("/")
            origin = {"venue": venue, "product": product, "conn": connection.id}
            self._truth.frame(origin, frame, octets, fault.id if fault else None)
        connection.write(octets)
        if frame.topic != "control" and connection.data_sent_ns is None:
            connection.data_sent_ns = connection.sent_ns
        self._stats.sent(connection.product, len(octets))

    def _is_muted(self, connection: Connection, frame: Frame) -> bool:
        if frame.topic == "control":
            return False
        for fault in self._faults.matching(
            "mute", connection.product, connection=connection.id, symbol=frame.symbol
        ):
            what = fault.text("what")
            is_beat = frame.topic == "heartbeat"
            if what == "heartbeats" and not is_beat:
                continue
            if what in ("data", "symbol") and is_beat:
                continue
            if fault.channel not in (None, "any", frame.topic, frame.channel):
                continue
            self._use(fault, connection, frame)
            return True
        return False

    def _pass(self, connection: Connection, frame: Frame) -> None:
        key = (frame.symbol, frame.topic)
        if key in connection.held and frame.kind == "update":
            self.write(connection, frame)
            self.write(connection, connection.held.pop(key))
            return
        fault = None
        if self._faults and frame.topic != "control":
            fault = self._faults.for_frame("frame", connection.product, connection.id, frame)
        if fault is None:
            self.write(connection, frame)
        else:
            self._verbs[fault.verb.name](fault, connection, frame)

    def _use(self, fault: Fault, connection: Connection, frame: Frame) -> None:
        about = {
            "product": connection.product,
            "conn": connection.id,
            "symbol": frame.symbol,
            "channel": frame.channel,
            "sequence": frame.sequence,
        }
        self._faults.use(fault, about)

    # The verbs. Each writes what shall be written and counts what it did.

    def _drop(self, fault: Fault, connection: Connection, frame: Frame) -> None:
        self._use(fault, connection, frame)

    def _duplicate(self, fault: Fault, connection: Connection, frame: Frame) -> None:
        self._use(fault, connection, frame)
        self.write(connection, frame)
        self.write(connection, frame, fault=fault)

    def _reorder(self, fault: Fault, connection: Connection, frame: Frame) -> None:
        self._use(fault, connection, frame)
        connection.held[frame.symbol, frame.topic] = frame

    def _delay(self, fault: Fault, connection: Connection, frame: Frame) -> None:
        self._use(fault, connection, frame)
        connection.waiting.append(frame)
        asyncio.get_running_loop().call_later(fault.integer("ms") / 1000, self._release, connection)

    def _release(self, connection: Connection) -> None:
        """Write all frames that waited behind a delayed one."""
        waiting = list(connection.waiting)
        connection.waiting.clear()
        for frame in waiting:
            self.write(connection, frame)

    def _corrupt(self, fault: Fault, connection: Connection, frame: Frame) -> None:
        if fault.text("what") == "byte":
            self._use(fault, connection, frame)
            self.write(connection, frame, damage.break_byte(frame.text), fault)
            return
        rows = _corrupted(frame, fault.integer("within"))
        if rows is None or frame.encode is None:  # nothing here that the fault could hit
            self.write(connection, frame)
            return
        self._use(fault, connection, frame)
        self.write(connection, frame, frame.encode(rows).encode(), fault)

    def _truncate(self, fault: Fault, connection: Connection, frame: Frame) -> None:
        self._use(fault, connection, frame)
        octets = frame.text.encode()
        self.write(connection, frame, octets[: fault.integer("keep") or len(octets) // 2], fault)

    def _wrong_checksum(self, fault: Fault, connection: Connection, frame: Frame) -> None:
        text = damage.wrong_checksum(frame.text)
        if text is None:
            self.write(connection, frame)
            return
        self._use(fault, connection, frame)
        self.write(connection, frame, text.encode(), fault)

    def _suppress_delete(self, fault: Fault, connection: Connection, frame: Frame) -> None:
        rows = [
            row for row in frame.rows or () if not (row[0] == "a" and row[2] == 0 and row[1] in fault.prices)
        ]
        if frame.encode is None or len(rows) == len(frame.rows or ()):
            self.write(connection, frame)
            return
        self._use(fault, connection, frame)
        self.write(connection, frame, frame.encode(rows).encode(), fault)

    def _odd(self, fault: Fault, connection: Connection, frame: Frame) -> None:
        text = _odd_text(fault, frame)
        if text is None:
            self.write(connection, frame)
            return
        self._use(fault, connection, frame)
        self.write(connection, frame, text.encode(), fault)

    def _malformed(self, fault: Fault, connection: Connection, frame: Frame) -> None:
        self._use(fault, connection, frame)
        self.write(connection, frame, damage.malform(frame.text, fault.text("kind")), fault)
        if fault.text("mode") != "replace":
            self.write(connection, frame)

    def _unknown(self, fault: Fault, connection: Connection, frame: Frame) -> None:
        self._use(fault, connection, frame)
        if fault.text("kind") == "field":
            self.write(connection, frame, damage.unknown_field(frame.text).encode(), fault)
            return
        text = damage.UNKNOWN_TYPE if fault.text("kind") == "type" else damage.unknown_enum(frame.text)
        if '"sequence_num":' not in frame.text or not isinstance(frame.sequence, int):
            self.write(connection, frame, text.encode(), fault)
            self.write(connection, frame)
            return
        # on a connection that counts its messages the unknown one counts too
        first, second = f'"sequence_num":{frame.sequence}', f'"sequence_num":{connection.next_number}'
        text = text if first in text else f"{text[:-1]},{first}}}"
        self.write(connection, frame, text.encode(), fault)
        self.write(
            connection,
            replace(frame, text=frame.text.replace(first, second, 1), sequence=connection.next_number),
        )
        connection.next_number += 1

    def _slow_snapshot(self, fault: Fault, connection: Connection, frame: Frame) -> None:
        self._use(fault, connection, frame)
        asyncio.get_running_loop().call_later(fault.integer("ms") / 1000, self.write, connection, frame)

    def _huge_snapshot(self, fault: Fault, connection: Connection, frame: Frame) -> None:
        self._use(fault, connection, frame)
        self.write(connection, frame, damage.pad(frame.text, fault.integer("mib") << 20).encode(), fault)


def _corrupted(frame: Frame, within: int) -> Sequence[Change] | None:
    """Return the rows with one digit of the best placed quantity changed; None if none is near enough."""
    if frame.rows is None or frame.book is None:
        return None
    last = {(side, price): at for at, (side, price, _) in enumerate(frame.rows)}  # what stands in the end
    ranked = [
        (rank_of(frame.book, side, price), at)
        for at, (side, price, quantity) in enumerate(frame.rows)
        if quantity and last[side, price] == at
    ]
    if not ranked or min(ranked)[0] >= within:
        return None
    at = min(ranked)[1]
    side, price, quantity = frame.rows[at]
    return [*frame.rows[:at], (side, price, damage.change_digit(quantity)), *frame.rows[at + 1 :]]


def _odd_text(fault: Fault, frame: Frame) -> str | None:
    """Return the frame with one odd number, or None where it has none that could be odd."""
    kind = fault.text("kind")
    if any(trade.get("kind", MARKET_KIND) != MARKET_KIND for trade in frame.trades or ()):
        return None  # who reads well leaves it out, odd or not
    if frame.traded and frame.tell is not None:
        fault.equal_ns = fault.equal_ns or frame.traded[0].ts_event
        try:
            return frame.tell([odd_trade(trade, kind, fault.equal_ns) for trade in frame.traded])
        except (ValueError, OverflowError):  # a calendar ends before that time
            return None
    rows = odd_rows(frame.rows or (), kind)
    return None if rows is None or frame.encode is None else frame.encode(rows)
