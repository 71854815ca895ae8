"""Make records of the contract by hand."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from datafacade.client.stamp import Received
from datafacade.v1 import book_pb2, hot_pb2, market_pb2, stream_pb2, types_pb2

EPOCH = 1_700_000_000
RECEIVED = Received(wall_ns=2_000, mono_ns=1_000)
Levels = Mapping[str, str]  # quantity by price, as texts


def update(seq: int, **fields: object) -> hot_pb2.Update:
    """Return a record of the book of kraken:BTC-USD unless told otherwise."""
    usual = {"venue": "kraken", "symbol": "BTC-USD", "channel": types_pb2.CHANNEL_BOOK_L2, "epoch": EPOCH}
    made: dict[str, Any] = {**usual, **fields}
    return hot_pb2.Update(seq=seq, **made)


def mantissas(texts: Iterable[str], exponent: int) -> list[int]:
    """Return decimal texts as integers at an exponent."""
    return [int(Decimal(text).scaleb(-exponent)) for text in texts]


def sides(bids: Levels, asks: Levels, px: int, qty: int) -> dict[str, list[int]]:
    """Return the four arrays of a snapshot or delta."""
    return {
        "bid_prices": mantissas(bids, px),
        "bid_quantities": mantissas(bids.values(), qty),
        "ask_prices": mantissas(asks, px),
        "ask_quantities": mantissas(asks.values(), qty),
    }


def snapshot(
    seq: int, bids: Levels, asks: Levels, exponents: tuple[int, int] = (-2, -8), **fields: object
) -> hot_pb2.Update:
    """Return a whole book."""
    px, qty = exponents
    rows = book_pb2.BookSnapshot(**sides(bids, asks, px, qty))
    return update(seq, book_snapshot=rows, price_exponent=px, quantity_exponent=qty, **fields)


def cut(
    seq: int, bids: Levels, asks: Levels, exponents: tuple[int, int] = (-2, -8), **fields: object
) -> hot_pb2.Update:
    """Return a book made for a joiner."""
    made = snapshot(seq, bids, asks, exponents, **fields)
    made.flags |= types_pb2.UPDATE_FLAG_CUT
    return made


def delta(
    seq: int, bids: Levels, asks: Levels, exponents: tuple[int, int] = (-2, -8), **fields: object
) -> hot_pb2.Update:
    """Return changes of a book."""
    px, qty = exponents
    rows = book_pb2.BookDelta(**sides(bids, asks, px, qty))
    return update(seq, book_delta=rows, price_exponent=px, quantity_exponent=qty, **fields)


def text_of(bids: Levels, asks: Levels, levels: int = 0) -> str:
    """Return the canonical text of a naive book, straight from the words of CONTRACT."""

    def number(text: str) -> str:
        plain = f"{Decimal(text):f}"
        plain = plain.rstrip("0").rstrip(".") if "." in plain else plain
        return "0" if plain in ("", "-0") else plain

    def lines(name: str, side: Levels, *, is_bid: bool) -> list[str]:
        best_first = sorted(side, key=Decimal, reverse=is_bid)[: levels or None]
        return [f"{name},{number(price)},{number(side[price])}" for price in best_first]

    return "\n".join([*lines("b", bids, is_bid=True), *lines("a", asks, is_bid=False)])


def checkpoint(seq: int, bids: Levels, asks: Levels, levels: int = 50, **fields: object) -> hot_pb2.Update:
    """Return the proof of a naive book."""
    proof = book_pb2.Checkpoint(
        levels=levels,
        sha256=hashlib.sha256(text_of(bids, asks, levels).encode()).digest(),
        bid_levels=len(bids),
        ask_levels=len(asks),
        proof_seq=seq,
        proof_levels=10,
    )
    return update(seq, checkpoint=proof, integrity=types_pb2.INTEGRITY_CHECKSUM, **fields)


def state(seq: int, word: str, reason: str = "SYNCED", **fields: object) -> hot_pb2.Update:
    """Return a change of state."""
    row = stream_pb2.StreamState(
        state=types_pb2.State.Value(f"STATE_{word}"),
        reason=types_pb2.StateReason.Value(f"STATE_REASON_{reason}"),
    )
    return update(seq, stream_state=row, **fields)


def trade(
    seq: int, trade_id: int, price: str = "100.5", quantity: str = "0.25", **fields: object
) -> hot_pb2.Update:
    """Return one trade."""
    row = market_pb2.Trade(
        price=mantissas([price], -2)[0],
        quantity=mantissas([quantity], -8)[0],
        side=types_pb2.SIDE_BUY,
        trade_id=trade_id,
    )
    made: dict[str, object] = {"channel": types_pb2.CHANNEL_TRADES, **fields}
    return update(seq, trade=row, price_exponent=-2, quantity_exponent=-8, **made)


def status(phase: str, subscription_id: int = 1, **fields: object) -> hot_pb2.Update:
    """Return the answer to one item; delivery is EVERY unless told otherwise."""
    delivery = fields.pop("delivery", "EVERY")
    names = ("seq_next", "reason", "message", "suggestions", "requested_symbol")
    told: dict[str, Any] = {name: fields.pop(name) for name in names if name in fields}
    row = stream_pb2.SubscriptionStatus(
        subscription_id=subscription_id,
        phase=stream_pb2.SubscriptionPhase.Value(f"SUBSCRIPTION_PHASE_{phase}"),
        delivery=types_pb2.DeliveryMode.Value(f"DELIVERY_MODE_{delivery}"),
        **told,
    )
    return update(0, subscription_status=row, **fields)
