"""Compare streamed books with the simulator's truth log. Pure, and nothing of core or client.

Updates wait until the log has told all that was sent before they were read; then each is joined to the frame
that caused it: by the venue's sequence, or, where the venue gives none (Kraken), by counting frames from the
snapshot on. Where the log has digests for that frame, a book kept in two dictionaries is hashed and compared.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import islice
from typing import Any, Final, NamedTuple

from datafacade.v1 import hot_pb2, types_pb2

TOP_LEVELS: Final = 50
FRAMES_KEPT: Final = 20_000  # per book, if nothing is published from them
TRADES_KEPT: Final = 50_000
WAITING_MAX: Final = 500_000  # updates; the log is at most some 100 ms behind
LIVE: Final = types_pb2.STATE_LIVE

Pair = tuple[str, str]  # venue and symbol without separators


class Frame(NamedTuple):
    """What the log says of one frame of a book."""

    is_snapshot: bool
    sequence: int | None
    sent_wall_ns: int
    sent_mono_ns: int
    top: str  # SHA-256 of the best `TOP_LEVELS` levels a side; "": not told
    whole: frozenset[str]  # SHA-256 of all levels, one for each legal view; empty: not told


class Delay(NamedTuple):
    """How long one event took from the simulator's send to here."""

    venue: str
    symbol: str  # canonical
    ns: int


class Copy:
    """A book in two dictionaries, and its canonical text."""

    def __init__(self) -> None:
        self._sides: tuple[dict[Decimal, Decimal], dict[Decimal, Decimal]] = ({}, {})

    def load(self, update: hot_pb2.Update, *, is_first: bool) -> None:
        """Take over a snapshot, or one more part of it."""
        if is_first:
            self._sides = ({}, {})
        self._set(update, update.book_snapshot)

    def change(self, update: hot_pb2.Update) -> None:
        """Apply absolute quantities; 0 removes, an unknown price is no error."""
        self._set(update, update.book_delta)

    def _set(self, update: hot_pb2.Update, levels: Any) -> None:  # noqa: ANN401  two messages of one form
        rows = ((levels.bid_prices, levels.bid_quantities), (levels.ask_prices, levels.ask_quantities))
        for side, (prices, quantities) in zip(self._sides, rows, strict=True):
            for price, quantity in zip(prices, quantities, strict=True):
                at = Decimal(price).scaleb(update.price_exponent)
                if quantity:
                    side[at] = Decimal(quantity).scaleb(update.quantity_exponent)
                else:
                    side.pop(at, None)

    def sha256(self, levels: int | None = None) -> str:
        """Return the hash of the best ``levels`` a side; None: of all."""
        bids, asks = self._sides
        lines = [f"b,{plain(price)},{plain(bids[price])}" for price in sorted(bids, reverse=True)[:levels]]
        lines += [f"a,{plain(price)},{plain(asks[price])}" for price in sorted(asks)[:levels]]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def plain(number: Decimal) -> str:
    """Return a number without exponent and without trailing zeros.

    Example:
        >>> plain(Decimal("1E+2")), plain(Decimal("0.50"))
        ('100', '0.5')
    """
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


@dataclass(slots=True)
class Witness:
    """What is known of one book from both sides."""

    state: int = 0
    compared: int = 0
    differing: int = 0
    unknown: int = 0  # changes that no frame explains
    copy: Copy = field(default_factory=Copy)
    frames: deque[Frame] = field(default_factory=lambda: deque(maxlen=FRAMES_KEPT))
    reached: Frame | None = None  # what the copy holds, unless more of the same frame follows
    is_joined: bool = False  # frames can be counted from here on
    is_partial: bool = False  # more parts of a snapshot follow

    def frame_of(self, update: hot_pb2.Update) -> Frame | None:
        """Return the frame that caused an update, and forget all before it; None: there is none."""
        if update.HasField("venue_sequence"):
            wanted = update.venue_sequence
            found = (at for at, frame in enumerate(self.frames) if frame.sequence == wanted)
        elif update.HasField("book_snapshot"):
            found = (len(self.frames) - 1 - back for back, frame in enumerate(reversed(self.frames))
                     if frame.is_snapshot and frame.sent_wall_ns <= update.ts_recv)  # fmt: skip
        else:
            found = (0 for frame in islice(self.frames, 1) if self.is_joined and not frame.is_snapshot)
        place = next(found, None)
        if place is None:
            return None
        for _ in range(place):
            self.frames.popleft()
        return self.frames.popleft()

    def continues(self, update: hot_pb2.Update) -> bool:
        """Tell whether an update is of the frame that the copy holds: Coinbase sends two events in one."""
        return (
            self.reached is not None
            and update.HasField("venue_sequence")
            and self.reached.sequence == update.venue_sequence
        )

    def conclude(self) -> None:
        """Compare with the digests of the frame that the copy has reached: nothing more of it follows."""
        frame, self.reached = self.reached, None
        if self.state != LIVE or frame is None or not (frame.top or frame.whole):
            return
        self.compared += 1
        is_top_equal = not frame.top or self.copy.sha256(TOP_LEVELS) == frame.top
        is_whole_equal = not frame.whole or self.copy.sha256() in frame.whole
        self.differing += not (is_top_equal and is_whole_equal)


class Truth:
    """Takes the truth log on one side, updates on the other, and judges."""

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        self.books: dict[Pair, Witness] = {pair_of(venue, symbol): Witness() for venue, symbol in pairs}
        self._trades: OrderedDict[tuple[Pair, int], int] = OrderedDict()
        self._waiting: deque[tuple[hot_pb2.Update, int]] = deque(maxlen=WAITING_MAX)
        self._told_until_ns = 0  # wall time of the newest record

    @property
    def is_equal(self) -> bool:
        """Whether each book was compared and never differed."""
        return bool(self.books) and not self.has_differed and all(b.compared for b in self.books.values())

    @property
    def has_differed(self) -> bool:
        """Whether a book ever differed, or changed as nobody told it to."""
        return any(book.differing or book.unknown for book in self.books.values())

    @property
    def comparisons(self) -> int:
        """How often a book was compared."""
        return sum(book.compared for book in self.books.values())

    @property
    def waiting(self) -> int:
        """Updates that the log has not reached yet."""
        return len(self._waiting)

    def on_record(self, record: Mapping[str, Any]) -> None:
        """Take one record of the log."""
        self._told_until_ns = max(self._told_until_ns, int(record["t_wall_ns"]))
        if record["type"] != "frame" or record.get("product") in ("usdm", "coinm"):
            return
        pair = pair_of(str(record["venue"]), str(record["symbol"] or ""))
        book = self.books.get(pair)
        if book is None:
            return
        if record["channel"] in ("book", "books", "l2_data", "depth@100ms"):
            book.frames.append(_frame(record))
        elif record["kind"] == "update":
            for trade in record.get("trades", ()):
                self._trades.setdefault((pair, int(trade["id"])), int(record["t_mono_ns"]))
            while len(self._trades) > TRADES_KEPT:
                self._trades.popitem(last=False)

    def on_update(self, update: hot_pb2.Update, received_mono_ns: int) -> None:
        """Take one update; it is judged by `settle`."""
        self._waiting.append((update, received_mono_ns))

    def settle(self) -> list[Delay]:
        """Judge all updates that the log has reached; return how long they took."""
        delays: list[Delay] = []
        while self._waiting and self._waiting[0][0].ts_recv <= self._told_until_ns:
            update, received = self._waiting.popleft()
            sent = self._judge(update, pair_of(update.venue, update.symbol))
            if sent is not None:
                delays.append(Delay(update.venue, update.symbol, received - sent))
        return delays

    def _judge(self, update: hot_pb2.Update, pair: Pair) -> int | None:
        """Return when the cause was sent if the update is live data, monotonic ns."""
        kind, book = update.WhichOneof("payload"), self.books.get(pair)
        if book is None:
            return None
        if kind == "trade" and not update.flags & types_pb2.UPDATE_FLAG_BACKFILLED:
            return self._trades.pop((pair, update.trade.trade_id), None)
        if update.channel != types_pb2.CHANNEL_BOOK_L2:
            return None
        match kind:
            case "stream_state":
                if book.state == LIVE:
                    book.conclude()
                book.state = update.stream_state.state
            case "book_snapshot":
                _on_snapshot(book, update)
            case "book_delta":
                return _on_delta(book, update)
        return None


def _on_snapshot(book: Witness, update: hot_pb2.Update) -> None:
    book.conclude()
    book.copy.load(update, is_first=not book.is_partial)
    book.is_partial = bool(update.flags & types_pb2.UPDATE_FLAG_MORE)
    if book.is_partial:
        return
    is_cut = bool(update.flags & types_pb2.UPDATE_FLAG_CUT)  # made for us: no frame of its own
    book.reached = None if is_cut and not update.HasField("venue_sequence") else book.frame_of(update)
    book.is_joined = book.reached is not None


def _on_delta(book: Witness, update: hot_pb2.Update) -> int | None:
    if not book.continues(update):
        book.conclude()
        book.reached = book.frame_of(update)
        book.unknown += book.reached is None
    book.copy.change(update)
    return None if book.reached is None else book.reached.sent_mono_ns


def _frame(record: Mapping[str, Any]) -> Frame:
    whole = [record["book_sha256"]] if "book_sha256" in record else []
    whole += [view["book_sha256"] for view in record.get("views", ()) if whole and "book_sha256" in view]
    return Frame(
        is_snapshot=record["kind"] == "snapshot",
        sequence=record["sequence"],
        sent_wall_ns=int(record["t_wall_ns"]),
        sent_mono_ns=int(record["t_mono_ns"]),
        top=record.get("top50_sha256", ""),
        whole=frozenset(whole),
    )


def pair_of(venue: str, symbol: str) -> Pair:
    """Return the key that simulator and service agree on.

    Example:
        >>> pair_of("kraken", "BTC/USD") == pair_of("kraken", "BTC-USD")
        True
    """
    return venue, symbol.replace("-", "").replace("/", "")
