"""A client's own copy of one book: snapshots and deltas in, proofs checked, books out (CONTRACT). Pure.

A record that does not fit raises `MirrorBroken`; whoever owns the mirror drops it and asks for a fresh one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from datafacade.client.book import Book, Proof, Sides
from datafacade.client.stamp import Received, Stamp, stamp_of
from datafacade.rows.numbers import finer, plain
from datafacade.rows.words import INTEGRITY
from datafacade.v1 import book_pb2, hot_pb2, types_pb2

PARTS_MAX: Final = 64  # of one snapshot: a million levels a side
CHAIN_LESS: Final = frozenset({"coinbase"})  # its numbers count over the whole connection
SPOT_BRIDGE: Final = frozenset({"binance"})  # the first delta behind a REST snapshot may straddle it
FUTURES_BRIDGE: Final = frozenset({"binance-usdm", "binance-coinm"})


@dataclass(eq=False)
class MirrorBroken(Exception):
    """A record does not fit the mirror, so the mirror is worth nothing."""

    reason: str  # CHECKPOINT, SEQ, VENUE_SEQUENCE, LEVELS, NO_BASE
    expected: str
    received: str


class Mirror:
    """One book of one venue. Its owner checks ``seq``; the mirror checks everything else."""

    def __init__(self, venue: str) -> None:
        self._venue = venue
        self._sides: Sides | None = None
        self._parts: list[hot_pb2.Update] = []  # of a snapshot that is not whole yet
        self._venue_sequence: int | None = None
        self._is_behind_rest = False  # whether the last data record was a snapshot that may be straddled
        self.proof = Proof()
        self.links_checked = 0
        self.hashes_checked = 0

    @property
    def is_whole(self) -> bool:
        """Whether there is a book."""
        return self._sides is not None

    def clear(self) -> None:
        """Forget the book; the counts stay."""
        self._sides, self._venue_sequence = None, None
        self._parts.clear()
        self.proof = self._counted()

    def forget_parts(self) -> None:
        """Forget a snapshot that is not whole: what follows begins with it anew."""
        self._parts.clear()

    def on_snapshot(self, update: hot_pb2.Update) -> bool:
        """Take a snapshot or a part of one; tell whether the book was swapped.

        Raises:
            MirrorBroken: Parts of different snapshots are mixed, or arrays differ in length.
        """
        parts = self._parts
        if parts and parts[0].seq != update.seq:
            raise MirrorBroken("LEVELS", f"parts of the snapshot of seq {parts[0].seq}", f"seq {update.seq}")
        if len(parts) >= PARTS_MAX:
            raise MirrorBroken("LEVELS", f"at most {PARTS_MAX} parts of a snapshot", f"{len(parts) + 1}")
        _check_lengths(update.book_snapshot)
        parts.append(update)
        if update.flags & types_pb2.UPDATE_FLAG_MORE:
            return False
        self._sides = _joined(parts)
        parts.clear()
        self.proof = self._counted()
        self._venue_sequence = update.venue_sequence if update.HasField("venue_sequence") else None
        self._is_behind_rest = not update.flags & types_pb2.UPDATE_FLAG_CUT
        return True

    def on_delta(self, update: hot_pb2.Update) -> None:
        """Apply changes.

        Raises:
            MirrorBroken: There is no book, the venue's numbers do not join, or arrays differ in length.
        """
        sides = self._sides
        if sides is None or self._parts:
            raise MirrorBroken("NO_BASE", "a whole snapshot first", f"a delta of seq {update.seq}")
        delta = update.book_delta
        _check_lengths(delta)
        self._check_link(update)
        factors = _align(sides, update.price_exponent, update.quantity_exponent)
        sides.version += 1
        sides.bids.apply(_scaled(delta.bid_prices, delta.bid_quantities, *factors))
        sides.asks.apply(_scaled(delta.ask_prices, delta.ask_quantities, *factors))
        if update.HasField("venue_sequence"):
            self._venue_sequence = update.venue_sequence
        self._is_behind_rest = False

    def on_checkpoint(self, update: hot_pb2.Update) -> None:
        """Compare the copy with a checkpoint of the same ``seq``.

        Raises:
            MirrorBroken: It differs.
        """
        sides, checkpoint = self._sides, update.checkpoint
        if sides is None or self._parts:
            return
        self.hashes_checked += 1
        own, theirs = self.sha256(checkpoint.levels), checkpoint.sha256
        if own != theirs:
            raise MirrorBroken("CHECKPOINT", theirs.hex(), own.hex())
        counts, told = (len(sides.bids), len(sides.asks)), (checkpoint.bid_levels, checkpoint.ask_levels)
        if counts != told and not update.variant:
            raise MirrorBroken("CHECKPOINT", f"{told[0]} + {told[1]} levels", f"{counts[0]} + {counts[1]}")
        has_number = checkpoint.HasField("proof_venue_sequence")
        self.proof = Proof(
            integrity=INTEGRITY(update.integrity),
            levels=checkpoint.proof_levels,
            seq=checkpoint.proof_seq,
            venue_sequence=checkpoint.proof_venue_sequence if has_number else None,
            hash_seq=update.seq,
            hash_levels=checkpoint.levels,
            hashes_checked=self.hashes_checked,
            links_checked=self.links_checked,
        )

    def sha256(self, levels: int = 0) -> bytes:
        """Return the hash of the best ``levels`` (0: all) a side over the canonical text."""
        sides = self._sides
        if sides is None:
            return hashlib.sha256(b"").digest()
        px, qty = sides.price_exponent, sides.quantity_exponent
        lines = [
            f"{name},{plain(price, px)},{plain(quantity, qty)}"
            for name, ladder in (("b", sides.bids), ("a", sides.asks))
            for price, quantity in ladder.levels(levels)
        ]
        return hashlib.sha256("\n".join(lines).encode()).digest()

    def view(self, update: hot_pb2.Update, state: str, received: Received) -> Book:
        """Return the book as the record ``update`` left it."""
        return self.book(update.symbol, state, stamp_of(update, received), update.HasField("book_snapshot"))

    def book(self, symbol: str, state: str, stamp: Stamp, is_snapshot: bool) -> Book:
        """Return the book as it is.

        Raises:
            MirrorBroken: There is none.
        """
        sides = self._sides
        if sides is None:
            raise MirrorBroken("NO_BASE", "a whole snapshot first", "nothing")
        return Book(
            venue=self._venue,
            symbol=symbol,
            state=state,
            stamp=stamp,
            proof=self.proof,
            is_snapshot=is_snapshot,
            _sides=sides,
            _version=sides.version,
            _best=sides.best(),
        )

    def _counted(self) -> Proof:
        return Proof(hashes_checked=self.hashes_checked, links_checked=self.links_checked)

    def _check_link(self, update: hot_pb2.Update) -> None:
        """Check that the venue's numbers join up, where the venue has such numbers."""
        last = self._venue_sequence
        if last is None or self._venue in CHAIN_LESS or not update.HasField("venue_sequence_previous"):
            return
        self.links_checked += 1
        previous, number = update.venue_sequence_previous, update.venue_sequence
        if previous == last:
            return
        if self._is_behind_rest:
            if self._venue in SPOT_BRIDGE and previous <= last < number:
                return
            if self._venue in FUTURES_BRIDGE and previous <= last <= number:
                return
        raise MirrorBroken("VENUE_SEQUENCE", str(last), str(previous))


def _check_lengths(levels: book_pb2.BookDelta | book_pb2.BookSnapshot) -> None:
    bids, asks = len(levels.bid_prices), len(levels.ask_prices)
    quantities = len(levels.bid_quantities), len(levels.ask_quantities)
    if (bids, asks) != quantities:
        raise MirrorBroken(
            "LEVELS", f"{bids} + {asks} quantities", f"{quantities[0]} + {quantities[1]} quantities"
        )


def _joined(parts: list[hot_pb2.Update]) -> Sides:
    """Return the book of all parts, at the finest of their exponents."""
    price_exponent = min(part.price_exponent for part in parts)
    quantity_exponent = min(part.quantity_exponent for part in parts)
    sides = Sides(price_exponent=price_exponent, quantity_exponent=quantity_exponent)
    bids: list[tuple[int, int]] = []
    asks: list[tuple[int, int]] = []
    for part in parts:
        px = 10 ** (part.price_exponent - price_exponent)
        qty = 10 ** (part.quantity_exponent - quantity_exponent)
        rows = part.book_snapshot
        bids.extend((p * px, q * qty) for p, q in zip(rows.bid_prices, rows.bid_quantities, strict=True))
        asks.extend((p * px, q * qty) for p, q in zip(rows.ask_prices, rows.ask_quantities, strict=True))
    sides.bids.load(bids)
    sides.asks.load(asks)
    return sides


def _align(sides: Sides, price_exponent: int, quantity_exponent: int) -> tuple[int, int]:
    """Bring the book to exponents fine enough for an update; return the factors of the update's mantissas."""
    px, own_px, update_px = finer(sides.price_exponent, price_exponent)
    qty, own_qty, update_qty = finer(sides.quantity_exponent, quantity_exponent)
    if own_px != 1 or own_qty != 1:
        sides.bids.rescale(price_factor=own_px, quantity_factor=own_qty)
        sides.asks.rescale(price_factor=own_px, quantity_factor=own_qty)
        sides.price_exponent, sides.quantity_exponent = px, qty
    return update_px, update_qty


def _scaled(
    prices: Iterable[int], quantities: Iterable[int], price_factor: int, quantity_factor: int
) -> Iterable[tuple[int, int]]:
    """Return the levels of an update at the exponents of the book."""
    levels = zip(prices, quantities, strict=True)
    if price_factor == quantity_factor == 1:
        return levels
    return ((price * price_factor, quantity * quantity_factor) for price, quantity in levels)
