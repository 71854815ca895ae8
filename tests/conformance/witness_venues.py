"""The rules of each venue's protocol, followed naively (see ``witness``)."""

import json
import zlib
from collections.abc import Iterable, Iterator
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from tests.conformance.capture_file import Record
from tests.conformance.witness import Change, Replica, Text

LINKS_REMEMBERED: Final = 8  # OKX: how far back a repeated message is recognised
KRAKEN_PROVEN: Final = 10  # levels a side under the checksum
OKX_PROVEN: Final = 25


def digits(number: Text) -> str:
    """Return the digits of a checksum: no point, no leading zeros."""
    return number.replace(".", "").lstrip("0")


def pairs(rows: Iterable[Any], *, is_bid: bool) -> Iterator[Change]:
    """Read rows that begin with price and quantity."""
    for row in rows:
        yield Change(is_bid, row[0], row[1])


def both(book: dict[str, Any], bids: str, asks: str) -> list[Change]:
    """Read the two arrays of a message."""
    return [*pairs(book.get(bids, ()), is_bid=True), *pairs(book.get(asks, ()), is_bid=False)]


class BinanceWitness:
    """Spot (`U`, `u`) and futures (`pu`): deltas wait for a REST snapshot that they bridge."""

    def __init__(self, symbols: dict[str, str], *, is_futures: bool) -> None:
        self._symbols = symbols
        self._is_futures = is_futures
        self._urls: dict[int, str] = {}
        self.books: dict[str, Replica] = {symbol: Replica() for symbol in symbols.values()}

    def take(self, record: Record) -> list[str]:
        """Take a record; return the symbols whose deltas or snapshot it held."""
        if record.kind == "q":
            request = json.loads(record.payload)
            self._urls[request["id"]] = request["url"]
        elif record.kind == "r":
            return self._answer(record.payload)
        elif record.kind == "f" and b'"depthUpdate"' in record.payload:
            event = json.loads(record.payload)["data"]
            symbol = self._symbols[event["s"]]
            self._delta(self.books[symbol], event)
            return [symbol]
        return []

    def _answer(self, payload: bytes) -> list[str]:
        head, _, body = payload.partition(b"\n")
        url = urlsplit(self._urls[json.loads(head)["id"]])
        if not url.path.endswith("/depth"):
            return []
        symbol = self._symbols[parse_qs(url.query)["symbol"][0]]
        book = self.books[symbol]
        if book.is_live:
            return []
        snapshot = json.loads(body)
        book.load(both(snapshot, "bids", "asks"))
        book.last = snapshot["lastUpdateId"]
        waiting, book.buffer = book.buffer, []
        for event in waiting:
            self._bridge(book, event)
        return [symbol]

    def _delta(self, book: Replica, event: dict[str, Any]) -> None:
        if book.is_live:
            self._link(book, event)
        elif book.last is not None:
            self._bridge(book, event)
        else:
            book.buffer.append(event)

    def _bridge(self, book: Replica, event: dict[str, Any]) -> None:
        if book.is_live:
            self._link(book, event)
            return
        assert book.last is not None
        target = book.last if self._is_futures else book.last + 1
        if event["u"] < target:
            return
        if event["U"] > target:
            book.last = None  # the snapshot is too old
            book.buffer.append(event)
            return
        book.is_live = True
        self._apply(book, event)

    def _link(self, book: Replica, event: dict[str, Any]) -> None:
        assert book.last is not None
        joins = event["pu"] == book.last if self._is_futures else event["U"] == book.last + 1
        if joins:
            self._apply(book, event)
        elif event["u"] <= book.last:
            book.duplicates += 1
        else:
            book.checked += 1
            book.break_off()
            book.last = None
            book.buffer = [event]

    def _apply(self, book: Replica, event: dict[str, Any]) -> None:
        changes = both(event, "b", "a")
        book.change(changes)
        book.last = event["u"]
        book.checked += 1
        book.updates += 1
        book.level_changes += len(changes)


class OkxWitness:
    """`prevSeqId -> seqId` where frames have them, a checksum of the top 25 where it is not 0."""

    def __init__(self) -> None:
        self.books: dict[str, Replica] = {}

    def take(self, record: Record) -> list[str]:
        """Take a record; return the instruments whose books it held."""
        if record.kind != "f" or b'"books"' not in record.payload:
            return []
        frame = json.loads(record.payload)
        if "data" not in frame:
            return []
        book = self.books.setdefault(frame["arg"]["instId"], Replica())
        for data in frame["data"]:
            self._message(book, data, is_snapshot=frame["action"] == "snapshot")
        return [frame["arg"]["instId"]]

    def _message(self, book: Replica, data: dict[str, Any], *, is_snapshot: bool) -> None:
        previous, number = data.get("prevSeqId"), data.get("seqId")
        changes = both(data, "bids", "asks")
        if is_snapshot:
            book.load(changes)
            book.is_live = True
        elif not book.is_live:
            return
        elif previous is not None and previous != book.last:
            if (previous, number) in book.links:
                book.duplicates += 1
                return
            book.checked += 1
            book.break_off()
            return
        else:
            book.change(changes)
            book.checked += previous is not None
        if data["checksum"]:
            book.checked += 1
            if okx_checksum(book) != data["checksum"] & 0xFFFFFFFF:
                book.break_off()
                return
        book.last = number
        book.links = [*book.links[1 - LINKS_REMEMBERED :], (previous, number)]
        if not is_snapshot:
            book.updates += 1
            book.level_changes += len(changes)


def okx_checksum(book: Replica) -> int:
    """Return the CRC-32 of the best 25 of each side, digits as sent, bid and ask in turn."""
    bids, asks = book.best(OKX_PROVEN)
    words: list[str] = []
    for at in range(OKX_PROVEN):
        for side in (bids, asks):
            if at < len(side):
                words += side[at]
    return zlib.crc32(":".join(words).encode())


class CoinbaseAdvancedWitness:
    """`sequence_num` counts every frame of a connection: a hole breaks all its books."""

    def __init__(self) -> None:
        self.books: dict[str, Replica] = {}
        self._next: dict[int, int] = {}

    def take(self, record: Record) -> list[str]:
        """Take a record; return the products whose books it held."""
        if record.kind == "o":
            self._next[record.conn] = 0
        if record.kind == "c":
            for book in self.books.values():
                book.is_live = False
        if record.kind != "f":
            return []
        frame = json.loads(record.payload)
        number = frame["sequence_num"]
        if number < self._next[record.conn]:
            return []
        if number > self._next[record.conn]:
            for book in self.books.values():
                if book.is_live:
                    book.checked += 1
                    book.break_off()
        self._next[record.conn] = number + 1
        if frame["channel"] != "l2_data":
            return []
        return [self._event(event, number) for event in frame["events"]]

    def _event(self, event: dict[str, Any], number: int) -> str:
        name: str = event["product_id"]
        book = self.books.setdefault(name, Replica())
        changes = [
            Change(level["side"] == "bid", level["price_level"], level["new_quantity"])
            for level in event["updates"]
        ]
        if event["type"] == "snapshot":
            book.load(changes)
            book.is_live = True
        elif not book.is_live:
            return name
        else:
            book.change(changes)
            book.updates += 1
            book.level_changes += len(changes)
        book.checked += 1
        book.last = number
        return name


class CoinbaseExchangeWitness:
    """No number and no checksum: whatever comes is applied."""

    def __init__(self) -> None:
        self.books: dict[str, Replica] = {}

    def take(self, record: Record) -> list[str]:
        """Take a record; return the product whose book it held."""
        if record.kind != "f":
            return []
        frame = json.loads(record.payload)
        if frame["type"] == "snapshot":
            book = self.books.setdefault(frame["product_id"], Replica())
            book.load(both(frame, "bids", "asks"))
            book.is_live = True
        elif frame["type"] == "l2update":
            book = self.books[frame["product_id"]]
            changes = [Change(side == "buy", price, size) for side, price, size in frame["changes"]]
            book.change(changes)
            book.updates += 1
            book.level_changes += len(changes)
        else:
            return []
        return [frame["product_id"]]


class KrakenWitness:
    """A checksum of the top 10 in every message, after the book was cut to its depth."""

    def __init__(self, depth: int) -> None:
        self._depth = depth
        self.books: dict[str, Replica] = {}

    def take(self, record: Record) -> list[str]:
        """Take a record; return the symbol whose book it held."""
        if record.kind != "f" or b'"book"' not in record.payload:
            return []
        frame = json.loads(record.payload, parse_float=str, parse_int=str)
        if frame.get("channel") != "book":
            return []
        names = []
        for data in frame["data"]:
            name = data["symbol"].replace("/", "-")
            self._message(self.books.setdefault(name, Replica()), data, frame["type"] == "snapshot")
            names.append(name)
        return names

    def _message(self, book: Replica, data: dict[str, Any], is_snapshot: bool) -> None:
        changes = [
            Change(side == "bids", level["price"], level["qty"])
            for side in ("bids", "asks")
            for level in data.get(side, ())
        ]
        if is_snapshot:
            book.load(changes)
            book.is_live = True
        elif not book.is_live:
            return
        else:
            book.change(changes)
        book.truncate(self._depth)
        book.checked += 1
        if kraken_checksum(book) != int(data["checksum"]):
            book.break_off()
        elif not is_snapshot:
            book.updates += 1
            book.level_changes += len(changes)


def kraken_checksum(book: Replica) -> int:
    """Return the CRC-32 of the best 10 asks, then bids: digits as sent."""
    bids, asks = book.best(KRAKEN_PROVEN)
    return zlib.crc32("".join(digits(price) + digits(quantity) for price, quantity in asks + bids).encode())
