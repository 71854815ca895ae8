"""What a subscriber of the core sees: every published record of a session's books, mirrored and checked.

A mirror trusts nothing: ``seq`` has no hole, a delta comes only while the book is LIVE, prices stand once,
the venue's numbers join, checkpoints hash alike. Its levels sum up to the fingerprint of the witness.
"""

import hashlib
import heapq
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qs, urlsplit

from datafacade._core import Clock, Feed, Hub
from datafacade.v1 import hot_pb2, types_pb2
from tests.conformance.capture_file import Capture, Record
from tests.conformance.sessions import Session
from tests.conformance.witness import FINGERPRINT_BITS, UNIT_DIGITS, level_print

TAKE_BYTES: Final = 1 << 24
UNBOUNDED: Final = 1 << 40
RING_BYTES: Final = 1 << 28
MORE: Final = 1
CHANNEL: Final = types_pb2.CHANNEL_BOOK_L2
LIVE: Final = types_pb2.STATE_LIVE
VENUES_WITHOUT_CHAIN: Final = frozenset({"coinbase", "kraken"})  # whose numbers a subscriber cannot join


@dataclass(slots=True)
class Mirror:
    """One book as a client holds it."""

    bids: dict[int, int] = field(default_factory=dict)  # quantity by price, both in units of 1e-18
    asks: dict[int, int] = field(default_factory=dict)
    fingerprint: int = 0
    state: "types_pb2.State.ValueType" = types_pb2.STATE_UNSPECIFIED
    integrities: set[str] = field(default_factory=set)  # of all data so far
    seq: int = 0
    venue_sequence: int | None = None
    is_synced: bool = False
    checkpoints: int = 0  # compared
    snapshots: int = 0  # whole ones
    _is_partial: bool = False
    _is_fresh: bool = False  # no delta came behind the snapshot: a Binance delta may straddle it

    @property
    def is_live(self) -> bool:
        """Whether the book is told to be LIVE."""
        return self.state == LIVE

    def take(self, update: hot_pb2.Update) -> None:
        """Apply one record."""
        kind = update.WhichOneof("payload")
        if kind in {"stream_state", "gap", "book_snapshot", "book_delta"} and not self._is_partial:
            assert update.seq == self.seq + 1, f"{update.symbol}: seq {update.seq} follows {self.seq}"
            self.seq = update.seq
        if kind in {"book_snapshot", "book_delta", "checkpoint"}:
            self.integrities.add(types_pb2.Integrity.Name(update.integrity).removeprefix("INTEGRITY_"))
        match kind:
            case "stream_state":
                self.state = update.stream_state.state
                self.is_synced = self.is_synced and self.is_live
            case "book_snapshot":
                self._snapshot(update)
            case "book_delta":
                self._delta(update)
            case "checkpoint":
                self._checkpoint(update)

    def best_values(self, levels: int) -> list[tuple[int, int]]:
        """Return the best bids, then the best asks, in units of 1e-18."""
        bids = heapq.nlargest(levels or len(self.bids), self.bids)
        asks = heapq.nsmallest(levels or len(self.asks), self.asks)
        return [(price, self.bids[price]) for price in bids] + [(price, self.asks[price]) for price in asks]

    def _snapshot(self, update: hot_pb2.Update) -> None:
        if not self._is_partial:
            self.bids.clear()
            self.asks.clear()
            self.fingerprint = 0
        self._is_partial = bool(update.flags & MORE)
        book = update.book_snapshot
        self._set(update, book.bid_prices, book.bid_quantities, is_bid=True)
        self._set(update, book.ask_prices, book.ask_quantities, is_bid=False)
        self.is_synced = not self._is_partial
        self.snapshots += self.is_synced
        self._is_fresh = True
        self.venue_sequence = update.venue_sequence if update.HasField("venue_sequence") else None

    def _delta(self, update: hot_pb2.Update) -> None:
        assert self.is_live, f"{update.symbol}: a delta while {types_pb2.State.Name(self.state)}"
        assert self.is_synced, f"{update.symbol}: a delta before a snapshot"
        if update.HasField("venue_sequence_previous") and update.venue not in VENUES_WITHOUT_CHAIN:
            self._join(update)
        self._is_fresh = False
        self.venue_sequence = update.venue_sequence if update.HasField("venue_sequence") else None
        delta = update.book_delta
        self._set(update, delta.bid_prices, delta.bid_quantities, is_bid=True)
        self._set(update, delta.ask_prices, delta.ask_quantities, is_bid=False)

    def _join(self, update: hot_pb2.Update) -> None:
        held = self.venue_sequence
        joins = update.venue_sequence_previous == held
        straddles = (
            self._is_fresh
            and held is not None
            and update.venue_sequence_previous <= held <= update.venue_sequence
        )
        assert joins or straddles, f"{update.symbol}: {update.venue_sequence_previous} follows {held}"

    def _set(
        self, update: hot_pb2.Update, prices: Iterable[int], quantities: Iterable[int], *, is_bid: bool
    ) -> None:
        side = self.bids if is_bid else self.asks
        price_unit = 10 ** (UNIT_DIGITS + update.price_exponent)
        quantity_unit = 10 ** (UNIT_DIGITS + update.quantity_exponent)
        seen: set[int] = set()
        for price, quantity in zip(prices, quantities, strict=True):
            assert price not in seen, f"{update.symbol}: a price stands twice in one update"
            seen.add(price)
            key = price * price_unit
            held = side.pop(key, None)
            if held is not None:
                self.fingerprint -= level_print(is_bid, key, held)
            if quantity:
                side[key] = quantity * quantity_unit
                self.fingerprint += level_print(is_bid, key, side[key])
        self.fingerprint &= FINGERPRINT_BITS

    def _checkpoint(self, update: hot_pb2.Update) -> None:
        if update.seq != self.seq or not self.is_synced:
            return
        checkpoint = update.checkpoint
        assert (checkpoint.bid_levels, checkpoint.ask_levels) == (len(self.bids), len(self.asks))
        levels = checkpoint.levels or max(len(self.bids), len(self.asks))
        bids = min(levels, len(self.bids))
        lines = [
            f"{'b' if at < bids else 'a'},{plain_units(price)},{plain_units(quantity)}"
            for at, (price, quantity) in enumerate(self.best_values(levels))
        ]
        self.checkpoints += 1
        assert hashlib.sha256("\n".join(lines).encode()).digest() == checkpoint.sha256


def plain_units(value: int) -> str:
    """Return the plain decimal text of a value in units of 1e-18."""
    text = f"{abs(value):0{UNIT_DIGITS + 1}d}"
    sign = "-" if value < 0 else ""
    return f"{sign}{text[:-UNIT_DIGITS]}.{text[-UNIT_DIGITS:]}".rstrip("0").rstrip(".")


class Subscriber:
    """Feed a capture to the core as a replay does, and mirror what it publishes.

    Args:
        session: Whose capture it is.
        symbols: Books to follow.
        capture: The capture, damaged or not.
    """

    def __init__(self, session: Session, symbols: Iterable[str], capture: Capture) -> None:
        self._created_ns = capture.created_ns
        epoch = self._created_ns // 1_000_000_000
        self._clock = Clock.manual(self._created_ns)
        self._hub = Hub(
            epoch=epoch, ring_bytes=RING_BYTES, owed_bytes=UNBOUNDED, lag_ms=UNBOUNDED, ring_age_ms=UNBOUNDED
        )
        self._feed = Feed(
            venue=session.capture_venue,
            product=session.product,
            hub=self._hub,
            clock=self._clock,
            epoch=epoch,
            is_replay=True,
        )
        self._subscriber = self._hub.subscriber()
        self._urls: dict[int, str] = {}
        self.books = {symbol: Mirror() for symbol in symbols}
        self.errors = 0
        for symbol in self.books:
            self._hub.attach(
                self._subscriber,
                session.venue,
                symbol,
                CHANNEL,
                "",
                start="next",
                wall_ns=self._created_ns,
                request_id=0,
                subscription_id=0,
                requested_symbol=symbol,
            )

    def take(self, record: Record) -> set[str]:
        """Take a record; return the symbols of which data was published."""
        self._clock.set(record.ts_recv, record.ts_recv - self._created_ns)
        match record.kind:
            case "o":
                self._feed.on_opened()
            case "f":
                self._learn_depth(record.payload)
                self._feed.on_frame(record.payload, record.ts_recv)
            case "q":
                request = json.loads(record.payload)
                self._urls[request["id"]] = request["url"]
            case "r":
                self._answer(record)
            case "c":
                self._feed.on_closed(1006)
        return self._drain()

    def _learn_depth(self, payload: bytes) -> None:
        if b'"depth"' in payload and b'"method"' in payload:
            self._feed.set_book_depth(json.loads(payload)["result"]["depth"])

    def _answer(self, record: Record) -> None:
        head, _, body = record.payload.partition(b"\n")
        url = urlsplit(self._urls[json.loads(head)["id"]])
        if url.path.endswith("/depth"):
            symbol = parse_qs(url.query)["symbol"][0]
            self._feed.on_recorded_snapshot(symbol, body, record.ts_recv)
        else:
            self._feed.add_instruments(body)

    def _drain(self) -> set[str]:
        published: set[str] = set()
        now = self._clock.monotonic_ns()
        while entries := self._hub.take(self._subscriber, TAKE_BYTES, monotonic_ns=now)[0]:
            for update in hot_pb2.HotSubscribeResponse.FromString(entries).updates:
                if update.seq == 0:
                    continue  # the status of the subscription
                self.books[update.symbol].take(update)
                if update.WhichOneof("payload") in {"book_delta", "book_snapshot"}:
                    published.add(update.symbol)
        return published
