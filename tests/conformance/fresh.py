"""How each venue gives a fresh book, made from the truth: what is made here was not recorded."""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from tests.conformance.capture_file import Capture, Record, dump
from tests.conformance.damage import Damaged
from tests.conformance.sessions import Moment, Proof, Session
from tests.conformance.witness import Replica
from tests.conformance.witness_venues import kraken_checksum, okx_checksum

SEQUENCE_NUM: Final = re.compile(rb'"sequence_num": ?(\d+)')


def recover(damaged: Damaged, session: Session, books: dict[str, Replica], *, after: int) -> Capture:
    """Put the venue's fresh state behind record ``after`` of the undamaged capture.

    It is made of ``books``, the truth there, and comes as this venue sends it: a REST answer, a snapshot of
    a new subscription, a new connection.
    """
    records = damaged.capture.records
    at = next(place for place, record in enumerate(records) if (record.origin or 0) > after)
    ts_recv, symbol, book = records[at - 1].ts_recv, damaged.symbol, books[damaged.symbol]
    if session.proof is Proof.CONNECTION:
        return damaged.capture.with_records([*records[:at], *reconnection(records[at:], ts_recv, books)])
    if session.capture_venue == "binance":
        fresh = binance_answer(session, symbol, book, ts_recv)
    else:
        fresh = [Record(ts_recv, 1, "f", snapshot_frame(session, symbol, book))]
    return damaged.capture.with_records([*records[:at], *fresh, *records[at:]])


def with_snapshot(
    records: Sequence[Record], session: Session, books: dict[str, Replica], moment: Moment
) -> list[Record]:
    """Let the venue send a snapshot by itself behind a message; ``books`` is the truth there."""
    before, rest = records[: moment.at + 1], records[moment.at + 1 :]
    last, book = before[-1], books[moment.symbol]
    fresh = Record(last.ts_recv, 1, "f", snapshot_frame(session, moment.symbol, book))
    if session.proof is Proof.CONNECTION:
        match = SEQUENCE_NUM.search(last.payload)
        assert match is not None
        return [*before, *renumbered([fresh, *rest], int(match.group(1)) + 1, conn=1)]
    return [*before, fresh, *rest]


def snapshot_frame(session: Session, symbol: str, book: Replica) -> bytes:
    """Return the frame with which a venue sends a whole book."""
    match session.capture_venue:
        case "kraken":
            return kraken_snapshot(symbol, book)
        case "okx":
            return okx_snapshot(symbol, book)
        case _:
            return coinbase_snapshot(symbol, book)


def binance_answer(session: Session, symbol: str, book: Replica, ts_recv: int) -> list[Record]:
    """Return a REST depth request and its answer."""
    bids, asks = book.best(len(book.bids) + len(book.asks))
    path = "fapi/v1" if session.product == "usdm" else "api/v3"
    url = f"https://rest.invalid/{path}/depth?symbol={symbol.replace('-', '')}&limit=1000"
    body = dump({"lastUpdateId": book.last, "bids": bids, "asks": asks})
    answer = dump({"id": 99, "status": 200, "headers": {"x-derived": "the truth at this moment"}})
    return [
        Record(ts_recv, 1, "q", dump({"id": 99, "url": url})),
        Record(ts_recv, 1, "r", answer + b"\n" + body),
    ]


def okx_snapshot(symbol: str, book: Replica) -> bytes:
    """Return the snapshot that a new subscription begins with."""
    bids, asks = book.best(len(book.bids) + len(book.asks))
    data: dict[str, object] = {
        "asks": [[price, quantity, "0", "1"] for price, quantity in asks],
        "bids": [[price, quantity, "0", "1"] for price, quantity in bids],
        "ts": "1652459230000",
        "checksum": 0,
    }
    if book.last is None:
        checksum = okx_checksum(book)
        data["checksum"] = checksum - (1 << 32) if checksum >> 31 else checksum
    else:
        data |= {"prevSeqId": -1, "seqId": book.last}
    return dump({"arg": {"channel": "books", "instId": symbol}, "action": "snapshot", "data": [data]})


def kraken_snapshot(symbol: str, book: Replica) -> bytes:
    """Return the snapshot that a new subscription begins with; numbers keep their digits."""
    bids, asks = book.best(len(book.bids) + len(book.asks))

    def rows(levels: Iterable[tuple[str, str]]) -> str:
        return ",".join(f'{{"price":{price},"qty":{quantity}}}' for price, quantity in levels)

    text = f'{{"channel":"book","type":"snapshot","data":[{{"symbol":"{symbol.replace("-", "/")}",'
    text += f'"bids":[{rows(bids)}],"asks":[{rows(asks)}],"checksum":{kraken_checksum(book)}}}]}}'
    return text.encode()


def reconnection(rest: Iterable[Record], ts_recv: int, books: dict[str, Replica]) -> list[Record]:
    """Close the connection and go on over a new one, which counts from 0 and begins with the whole books."""
    opening = {"venue": "coinbase", "url": "wss://advanced-trade-ws.coinbase.com", "product": "advanced"}
    closed = Record(ts_recv, 1, "c", dump({"code": 1006, "reason": ""}))
    opened = Record(ts_recv, 2, "o", dump(opening))
    fresh = [Record(ts_recv, 2, "f", coinbase_snapshot(symbol, book)) for symbol, book in books.items()]
    return [closed, opened, *renumbered([*fresh, *rest], 0, conn=2)]


def renumbered(records: Iterable[Record], first: int, *, conn: int) -> list[Record]:
    """Return frames of one connection with other sequence numbers."""
    return [
        replace(
            record,
            conn=conn,
            payload=SEQUENCE_NUM.sub(b'"sequence_num":%d' % number, record.payload, count=1),
        )
        for number, record in enumerate(records, first)
    ]


def coinbase_snapshot(symbol: str, book: Replica) -> bytes:
    """Return the snapshot frame of a product; its number is given later."""
    bids, asks = book.best(len(book.bids) + len(book.asks))
    stamp = "2026-08-09T21:05:48.000000Z"
    updates = [
        {"side": side, "event_time": stamp, "price_level": price, "new_quantity": quantity}
        for side, levels in (("bid", bids), ("offer", asks))
        for price, quantity in levels
    ]
    event = {"type": "snapshot", "product_id": symbol, "updates": updates}
    frame = {"channel": "l2_data", "client_id": "", "timestamp": stamp, "sequence_num": 0}
    return json.dumps(frame | {"events": [event]}, separators=(",", ":")).encode()
