"""Feed a capture through the same machine as live data, and say what came of it (CAPTURE "Replay").

Timers are off, commands are not executed, time is the file's: the same file gives the same bytes anywhere.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Context, Decimal, localcontext
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from datafacade._core import Clock, Feed, Hub, parse_variant
from datafacade.hot.capture import CaptureReader, NotACapture, Record
from datafacade.v1 import hot_pb2, market_pb2, types_pb2

TAKE_BYTES: Final = 1 << 22
DRAIN_EVERY: Final = 256  # frames between two looks at the published trades
UNBOUNDED: Final = 1 << 40
VWAP_STEP: Final = Decimal("0.00000001")
INSTRUMENT_PATHS: Final = ("exchangeInfo", "instruments", "AssetPairs", "products")
VENUES_WITHOUT_TRADE_COUNT: Final = frozenset({"okx"})  # its ids jump legally
EXACT: Final = Context(prec=60, rounding=ROUND_HALF_EVEN)

# open_ms, open, high, low, close, volume, quote volume, trades, volume that takers bought
KlineRow = list[int | str]
Klines = dict[tuple[int, int], KlineRow]  # by open and by the seq of the first trade


class ReplayError(Exception):
    """The capture cannot be replayed; the message names what is missing or contradictory."""


@dataclass(slots=True)
class TradeTally:
    """Exact sums over the trades of one instrument."""

    ids: set[int] = field(default_factory=set)
    missing: int = 0
    quantity: Decimal = Decimal(0)
    notional: Decimal = Decimal(0)

    def add(self, trade_id: int, price: Decimal, quantity: Decimal) -> None:
        """Count one trade once."""
        if trade_id in self.ids:
            return
        self.ids.add(trade_id)
        self.quantity += quantity
        self.notional += price * quantity

    def report(self, *, has_gaps: bool) -> dict[str, Any]:
        """Describe the tally as CAPTURE demands it."""
        vwap = (self.notional / self.quantity).quantize(VWAP_STEP) if self.quantity else Decimal(0)
        return {
            "count": len(self.ids),
            "quantity": plain(self.quantity),
            "notional": plain(self.notional),
            "first_id": min(self.ids, default=0),
            "last_id": max(self.ids, default=0),
            "id_gaps": self.missing if has_gaps else None,
            "vwap": plain(vwap),
        }


@dataclass(slots=True)
class Line:
    """One socket of the capture and the machine behind it."""

    venue: str
    product: str
    feed: Feed
    hub: Hub
    subscriber: int
    conn: int
    is_open: bool = True
    has_depth: bool = False
    trades: dict[str, TradeTally] = field(default_factory=dict)
    klines: dict[tuple[str, str], Klines] = field(default_factory=dict)  # by symbol and variant


class Replay:
    """Replay one capture.

    Args:
        created_ns: The capture's ``created_ns``; its seconds are the epoch.
        checkpoint_every: Describe each book after every this many updates; 0: never.
        klines: Intervals or bar types, as ``1m``, of which klines are made of all trades.

    Raises:
        ReplayError: There are no such klines.
    """

    def __init__(self, created_ns: int, *, checkpoint_every: int = 0, klines: Sequence[str] = ()) -> None:
        self._created_ns = created_ns
        self._checkpoint_every = checkpoint_every
        self._klines = kline_variants(klines)
        self._clock = Clock.manual(created_ns)
        self._lines: dict[int, Line] = {}
        self._order: list[Line] = []
        self._requests: dict[tuple[int, int], str] = {}
        self._frames = 0

    def feed(self, record: Record) -> None:
        """Take the next record of the capture.

        Raises:
            ReplayError: The record contradicts the format.
        """
        self._clock.set(record.ts_recv, record.ts_recv - self._created_ns)
        if record.kind == "o":
            self._open(record)
            return
        line = self._lines.get(record.conn)
        if line is None:
            raise ReplayError(f"connection {record.conn} was never opened")
        match record.kind:
            case "f":
                self._frame(line, record)
            case "s":
                learn_depth(line, record.payload)
            case "q":
                request = json.loads(record.payload)
                self._requests[record.conn, int(request["id"])] = str(request["url"])
            case "r":
                self._answer(line, record)
            case _:
                closing = json.loads(record.payload) if record.payload else {}
                line.is_open = False
                line.feed.on_closed(int(closing.get("code", 1006)), str(closing.get("reason", "")))

    def report(self) -> dict[str, Any]:
        """Return the JSON object of a replay.

        Raises:
            ReplayError: An instrument list is missing, or two open sockets feed one topic.
        """
        errors = 0
        books: dict[str, Any] = {}
        trades: dict[str, TradeTally] = {}
        owners: dict[str, Line] = {}
        for line in self._order:
            self._drain(line)
            stats = line.feed.stats()
            errors += stats["errors"]
            if stats["missing_instruments"]:
                names = ", ".join(stats["missing_instruments"])
                raise ReplayError(f"the capture has no instrument list of {line.venue} that names {names}")
            for symbol, book in line.feed.report().items():
                key = f"{line.venue}:{symbol}"
                if owners.setdefault(key, line) is not line and owners[key].is_open:
                    raise ReplayError(f"{key} is fed by two open sockets, and neither replaces the other")
                if owners[key] is line or book["state"] == "LIVE" or book["updates"]:
                    owners[key], books[key] = line, book
            for symbol, tally in line.trades.items():
                merge(trades.setdefault(f"{line.venue}:{symbol}", TradeTally()), tally)
        report: dict[str, Any] = {
            "frames": self._frames,
            "errors": errors,
            "books": dict(sorted(books.items())),
            "trades": {
                key: tally.report(has_gaps=key.split(":")[0] not in VENUES_WITHOUT_TRADE_COUNT)
                for key, tally in sorted(trades.items())
            },
        }
        if self._klines:
            report["klines"] = self._kline_report()
        return report

    def _kline_report(self) -> dict[str, list[KlineRow]]:
        """Return the complete klines, oldest first; the variant stands in the name if there are several."""
        all_klines: dict[str, Klines] = {}
        for line in self._order:
            for (symbol, variant), klines in line.klines.items():
                name = (
                    f"{line.venue}:{symbol}" if len(self._klines) == 1 else f"{line.venue}:{symbol}/{variant}"
                )
                all_klines.setdefault(name, {}).update(klines)
        return {
            name: [rows[key] for key in sorted(rows)] for name, rows in sorted(all_klines.items()) if rows
        }

    def _open(self, record: Record) -> None:
        opening = json.loads(record.payload)
        venue, product = str(opening["venue"]), str(opening["product"])
        if record.conn in self._lines:
            raise ReplayError(f"connection {record.conn} is opened twice")
        line = next(
            (
                old
                for old in self._order
                if (old.venue, old.product) == (public_name(venue, product), product) and not old.is_open
            ),
            None,
        )
        if line is None:
            line = self._new_line(venue, product, record.conn)
            self._order.append(line)
        line.is_open = True
        line.conn = record.conn
        self._lines[record.conn] = line
        line.feed.on_opened()

    def _new_line(self, venue: str, product: str, conn: int) -> Line:
        epoch = self._created_ns // 1_000_000_000
        hub = Hub(epoch=epoch, owed_bytes=UNBOUNDED, lag_ms=UNBOUNDED, ring_age_ms=UNBOUNDED)
        try:
            feed = Feed(
                venue=venue,
                product=product,
                hub=hub,
                clock=self._clock,
                epoch=epoch,
                is_replay=True,
                report_every=self._checkpoint_every,
                klines=list(self._klines),
            )
        except ValueError as error:
            raise ReplayError(str(error)) from error
        return Line(public_name(venue, product), product, feed, hub, hub.subscriber(), conn)

    def _frame(self, line: Line, record: Record) -> None:
        if not line.has_depth and line.venue == "kraken":
            learn_depth(line, record.payload)
        line.feed.on_frame(record.payload, record.ts_recv)
        self._frames += 1
        if self._frames % DRAIN_EVERY == 0:
            self._drain(line)

    def _answer(self, line: Line, record: Record) -> None:
        head, _, body = record.payload.partition(b"\n")
        answer = json.loads(head)
        url = urlsplit(self._requests.get((record.conn, int(answer["id"])), ""))
        name = url.path.rstrip("/").rsplit("/", 1)[-1]
        if int(answer.get("status", 200)) != 200:
            return
        if name in INSTRUMENT_PATHS:
            try:
                line.feed.add_instruments(body)
            except ValueError as error:
                raise ReplayError(f"{url.path} of {line.venue}: {error}") from error
            self._follow_trades(line, record.ts_recv)
        elif name == "depth":
            for symbol in parse_qs(url.query).get("symbol", []):
                line.feed.on_recorded_snapshot(symbol, body, record.ts_recv)

    def _follow_trades(self, line: Line, wall_ns: int) -> None:
        for instrument in line.feed.instruments():
            symbol = instrument["symbol"]
            if symbol in line.trades:
                continue
            line.trades[symbol] = TradeTally()
            self._attach(line, symbol, types_pb2.CHANNEL_TRADES, "", wall_ns)
            for variant in self._klines:
                self._attach(line, symbol, types_pb2.CHANNEL_KLINES, variant, wall_ns)

    @staticmethod
    def _attach(line: Line, symbol: str, channel: int, variant: str, wall_ns: int) -> None:
        line.hub.attach(
            line.subscriber,
            line.venue,
            symbol,
            channel,
            variant,
            start="next",
            wall_ns=wall_ns,
            request_id=0,
            subscription_id=0,
            requested_symbol=symbol,
        )

    def _drain(self, line: Line) -> None:
        while True:
            now = self._clock.monotonic_ns()
            entries, *_ = line.hub.take(line.subscriber, TAKE_BYTES, monotonic_ns=now)
            if not entries:
                return
            for update in hot_pb2.HotSubscribeResponse.FromString(entries).updates:
                count_update(line, update)


def replay_file(
    path: Path, *, checkpoint_every: int = 0, klines: Sequence[str] = ()
) -> tuple[dict[str, Any], bool]:
    """Replay a capture; return its report and whether the file was cut.

    Raises:
        NotACapture: The file is no capture.
        ReplayError: The capture cannot be replayed.
        OSError: The file cannot be read.
    """
    reader = CaptureReader(path)
    replay = Replay(reader.created_ns, checkpoint_every=checkpoint_every, klines=klines)
    with localcontext(EXACT):
        for record in reader:
            try:
                replay.feed(record)
            except (KeyError, TypeError, ValueError) as error:
                raise NotACapture(f"{path}: a {record.kind!r} record cannot be read: {error}") from error
        report = replay.report()
        for key in [key for key, tally in report["trades"].items() if not tally["count"]]:
            del report["trades"][key]
    return report, reader.is_cut


def public_name(venue: str, product: str) -> str:
    """Return the venue's name in the contract: Binance futures are venues of their own."""
    return f"{venue}-{product}" if venue == "binance" and product in {"usdm", "coinm"} else venue


def learn_depth(line: Line, text: bytes) -> None:
    """Learn the depth of a book from what the client asked, or from the venue's answer."""
    if b'"depth"' not in text or b'"method"' not in text:
        return
    try:
        message: Mapping[str, Any] = json.loads(text)
    except ValueError:
        return
    params = message.get("params") or message.get("result") or {}
    if params.get("channel") == "book" and isinstance(params.get("depth"), int):
        line.feed.set_book_depth(params["depth"])
        line.has_depth = True


def kline_variants(texts: Sequence[str]) -> tuple[str, ...]:
    """Return the canonical texts of kline variants, each once.

    Raises:
        ReplayError: There are no such klines.
    """
    try:
        return tuple(dict.fromkeys(parse_variant(types_pb2.CHANNEL_KLINES, text) for text in texts))
    except ValueError:
        raise ReplayError(f"expected klines as 1s, 5m, 1h or 100t, received {', '.join(texts)}") from None


def count_update(line: Line, update: hot_pb2.Update) -> None:
    """Count a published trade, or a hole between two, or keep a kline."""
    if update.channel == types_pb2.CHANNEL_KLINES:
        if update.WhichOneof("payload") == "kline":
            keep_kline(line.klines.setdefault((update.symbol, update.variant), {}), update)
        return
    tally = line.trades[update.symbol]
    match update.WhichOneof("payload"):
        case "trade":
            price = Decimal(update.trade.price).scaleb(update.price_exponent)
            quantity = Decimal(update.trade.quantity).scaleb(update.quantity_exponent)
            tally.add(update.trade.trade_id, price, quantity)
        case "gap":
            tally.missing += update.gap.count


def keep_kline(klines: Klines, update: hot_pb2.Update) -> None:
    """Keep a final kline that no gap touches; a later issue of the same one replaces it."""
    kline = update.kline
    if kline.state != market_pb2.KLINE_STATE_FINAL:
        return
    key = (kline.ts_open, kline.trades_seq_first)
    if kline.completeness == market_pb2.COMPLETENESS_INCOMPLETE:
        klines.pop(key, None)
        return
    prices = (kline.open, kline.high, kline.low, kline.close)
    texts = [plain(Decimal(price).scaleb(update.price_exponent)) for price in prices]
    sums = (kline.volume, kline.quote_volume, kline.trade_count, kline.taker_buy_volume)
    klines[key] = [kline.ts_open // 1_000_000, *texts, *sums]


def merge(into: TradeTally, tally: TradeTally) -> None:
    """Add the tally of a second socket; trades seen by both count once."""
    if not into.ids:
        into.ids, into.missing = set(tally.ids), tally.missing
        into.quantity, into.notional = tally.quantity, tally.notional
        return
    if into.ids & tally.ids:
        raise ReplayError("trades of one instrument arrive on two sockets")
    into.ids |= tally.ids
    into.missing += tally.missing
    into.quantity += tally.quantity
    into.notional += tally.notional


def plain(value: Decimal) -> str:
    """Return plain decimal text: no exponent, no trailing zeros."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
