"""Naive clients written from the venue sheets alone; they share no code with product or simulator.

Each takes text frames in order and keeps one book as a plain dict of decimals; what a sheet calls a reason to
start over is raised.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from decimal import Decimal
from typing import Any, TypeAlias

Json: TypeAlias = Any


class StartOver(Exception):
    """The sheet says: this book can no longer be trusted."""


class Gap(StartOver):
    """Sequence numbers do not join."""


class WrongChecksum(StartOver):
    """The checksum does not fit the book."""


class SnapshotTooOld(StartOver):
    """The REST snapshot cannot be bridged."""


class Undecodable(StartOver):
    """The frame is no JSON."""


def parse(text: str) -> Json:
    try:
        return json.loads(text, parse_float=Decimal, parse_int=int)
    except ValueError as error:
        raise Undecodable(text[:80]) from error


def plain(value: Decimal) -> str:
    return f"{value.normalize():f}"


class NaiveBook:
    def __init__(self) -> None:
        self.bids: dict[Decimal, Decimal] = {}
        self.asks: dict[Decimal, Decimal] = {}
        self.unknown_deletes = 0

    def set(self, side: str, price: object, quantity: object) -> None:
        ladder = self.bids if side in ("bid", "buy", "b") else self.asks
        at, amount = Decimal(str(price)), Decimal(str(quantity))
        if amount == 0:
            if ladder.pop(at, None) is None:
                self.unknown_deletes += 1
        else:
            ladder[at] = amount

    def clear(self) -> None:
        self.bids, self.asks = {}, {}

    def truncate(self, depth: int) -> None:
        self.bids = dict(sorted(self.bids.items(), reverse=True)[:depth])
        self.asks = dict(sorted(self.asks.items())[:depth])

    def is_crossed(self) -> bool:
        return bool(self.bids and self.asks) and max(self.bids) >= min(self.asks)

    def text(self, depth: int | None = None) -> str:
        rows = [("b", *level) for level in sorted(self.bids.items(), reverse=True)[:depth]]
        rows += [("a", *level) for level in sorted(self.asks.items())[:depth]]
        return "\n".join(f"{side},{plain(price)},{plain(quantity)}" for side, price, quantity in rows)

    def sha256(self) -> str:
        return hashlib.sha256(self.text().encode()).hexdigest()


class NaiveBinance:
    """Sheet binance.md section 5 (spot) and 7 (futures)."""

    def __init__(self, *, is_futures: bool = False) -> None:
        self.is_futures = is_futures
        self.book = NaiveBook()
        self.snapshot_id: int | None = None
        self.last: int | None = None
        self.buffer: list[dict[str, Any]] = []
        self.is_bridged = False

    def on_snapshot(self, body: dict[str, Any]) -> None:
        self.book.clear()
        for name, side in (("bids", "b"), ("asks", "a")):
            for price, quantity in body[name]:
                self.book.set(side, price, quantity)
        self.snapshot_id = self.last = body["lastUpdateId"]
        if self.buffer and not self.is_futures and self.snapshot_id < self.buffer[0]["U"] - 1:
            raise SnapshotTooOld(f"{self.snapshot_id} before {self.buffer[0]['U']}")
        waiting, self.buffer = self.buffer, []
        for event in waiting:
            self._apply(event)

    def on_frame(self, text: str) -> bool:
        event = parse(text)
        event = event.get("data", event)
        if event.get("e") != "depthUpdate":
            return False
        if self.last is None:
            self.buffer.append(event)
            return False
        return self._apply(event)

    def _apply(self, event: dict[str, Any]) -> bool:
        assert self.last is not None
        assert self.snapshot_id is not None
        if self.is_bridged:
            joins = event["pu"] == self.last if self.is_futures else event["U"] == self.last + 1
            if not joins:
                raise Gap(f"{event['U']} after {self.last}")
        else:
            if event["u"] < self.snapshot_id or (event["u"] == self.snapshot_id and not self.is_futures):
                return False
            wanted = self.snapshot_id if self.is_futures else self.snapshot_id + 1
            if not event["U"] <= wanted <= event["u"]:
                raise SnapshotTooOld(f"{self.snapshot_id} not in {event['U']}..{event['u']}")
            self.is_bridged = True
        for name, side in (("b", "b"), ("a", "a")):
            for level in event[name]:
                self.book.set(side, level[0], level[1])
        self.last = event["u"]
        return True


class NaiveOkx:
    """Sheet okx.md section 5."""

    def __init__(self) -> None:
        self.book = NaiveBook()
        self.last: int | None = None
        self.resets = self.keep_alives = 0

    def on_frame(self, text: str) -> bool:
        if text == "pong":
            return False
        body = parse(text)
        if "event" in body or body["arg"]["channel"] != "books":
            return False
        data = body["data"][0]
        if body["action"] == "snapshot":
            assert data["prevSeqId"] == -1
            self.book.clear()
        elif self.last is None:
            return False
        elif data["prevSeqId"] != self.last:
            raise Gap(f"{data['prevSeqId']} after {self.last}")
        else:
            self.resets += data["seqId"] < data["prevSeqId"]
            self.keep_alives += data["seqId"] == data["prevSeqId"]
        for name, side in (("bids", "b"), ("asks", "a")):
            for price, size, zero, orders in data[name]:
                assert zero == "0"
                assert orders.isdigit()
                self.book.set(side, price, size)
        self.last = data["seqId"]
        if data["checksum"] != 0 and data["checksum"] != self.checksum():
            raise WrongChecksum(str(data["checksum"]))
        return True

    def checksum(self) -> int:
        bids, asks = sorted(self.book.bids.items(), reverse=True)[:25], sorted(self.book.asks.items())[:25]
        parts: list[str] = []
        for rank in range(25):
            for levels in (bids, asks):
                parts += [plain(value) for value in levels[rank]] if rank < len(levels) else []
        value = zlib.crc32(":".join(parts).encode())
        return value - 2**32 if value >= 2**31 else value


class NaiveCoinbaseAdvanced:
    """Sheet coinbase.md sections A3 to A5, for one product."""

    def __init__(self, product: str) -> None:
        self.product = product
        self.book = NaiveBook()
        self.expected = 0
        self.has_snapshot = False
        self.channels: list[str] = []

    def on_frame(self, text: str) -> bool:
        body = parse(text)
        if "sequence_num" not in body:
            return False
        self.channels.append(body["channel"])
        if body["sequence_num"] < self.expected:
            return False
        if body["sequence_num"] > self.expected:
            raise Gap(f"{body['sequence_num']} instead of {self.expected}")
        self.expected += 1
        is_changed = False
        if body["channel"] == "l2_data":
            for event in body["events"]:
                is_changed = self._event(event) or is_changed
        return is_changed

    def _event(self, event: dict[str, Any]) -> bool:
        if event["product_id"] != self.product:
            return False
        if event["type"] == "snapshot":
            self.book.clear()
            self.has_snapshot = True
        elif not self.has_snapshot:
            return False
        for update in event["updates"]:
            assert update["side"] in ("bid", "offer")
            self.book.set(update["side"], update["price_level"], update["new_quantity"])
        return True


class NaiveCoinbaseExchange:
    """Sheet coinbase.md section B3, for one product."""

    def __init__(self, product: str) -> None:
        self.product = product
        self.book = NaiveBook()
        self.has_snapshot = False

    def on_frame(self, text: str) -> bool:
        body = parse(text)
        if body.get("product_id") != self.product:
            return False
        if body["type"] == "snapshot":
            self.book.clear()
            self.has_snapshot = True
            for name, side in (("bids", "b"), ("asks", "a")):
                for price, size in body[name]:
                    self.book.set(side, price, size)
            return True
        if body["type"] == "l2update":
            assert self.has_snapshot
            for side, price, size in body["changes"]:
                self.book.set(side, price, size)
            return True
        return False


class NaiveKraken:
    """Sheet kraken.md section 5: precisions from the instrument channel, truncate, then the checksum."""

    def __init__(self, symbol: str, depth: int) -> None:
        self.symbol = symbol
        self.depth = depth
        self.book = NaiveBook()
        self.precisions: tuple[int, int] | None = None
        self.checked = 0

    def on_frame(self, text: str) -> bool:
        body = parse(text)
        if body.get("channel") == "instrument":
            for pair in body["data"]["pairs"]:
                if pair["symbol"] == self.symbol:
                    self.precisions = (pair["price_precision"], pair["qty_precision"])
        if body.get("channel") != "book" or body["data"][0]["symbol"] != self.symbol:
            return False
        data = body["data"][0]
        if body["type"] == "snapshot":
            self.book.clear()
        for name, side in (("bids", "b"), ("asks", "a")):
            for level in data[name]:
                self.book.set(side, level["price"], level["qty"])
        self.book.truncate(self.depth)
        if self.checksum() != data["checksum"]:
            raise WrongChecksum(str(data["checksum"]))
        self.checked += 1
        return True

    def checksum(self) -> int:
        assert self.precisions is not None
        asks, bids = sorted(self.book.asks.items())[:10], sorted(self.book.bids.items(), reverse=True)[:10]
        text = ""
        for price, quantity in asks + bids:
            for value, decimals in ((price, self.precisions[0]), (quantity, self.precisions[1])):
                text += f"{value:.{decimals}f}".replace(".", "").lstrip("0")
        return zlib.crc32(text.encode())
