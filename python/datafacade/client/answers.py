"""Turn unary answers into views. Pure."""

from __future__ import annotations

from datafacade.client.book import Book, Proof, Sides
from datafacade.client.provenance import provenance_of
from datafacade.client.stamp import Received, Stamp
from datafacade.rows.words import INTEGRITY, STATE
from datafacade.v1 import book_pb2


def book_of(answer: book_pb2.L2BookResponse, received: Received) -> Book:
    """Return the book of an answer, with levels of its own."""
    sides = Sides(price_exponent=answer.price_exponent, quantity_exponent=answer.quantity_exponent)
    rows = answer.book
    sides.bids.load(zip(rows.bid_prices, rows.bid_quantities, strict=True))
    sides.asks.load(zip(rows.ask_prices, rows.ask_quantities, strict=True))
    stamp = Stamp(
        epoch=answer.epoch,
        seq=answer.seq,
        ts_event=answer.ts_event,
        ts_recv=answer.ts_recv,
        ts_publish=0,
        ts_client=received.wall_ns,
        mono_client_ns=received.mono_ns,
        integrity=INTEGRITY(answer.integrity),
        flags=answer.flags,
        venue_sequence=answer.venue_sequence if answer.HasField("venue_sequence") else None,
    )
    return Book(
        venue=answer.venue,
        symbol=answer.symbol,
        state=STATE(answer.state),
        stamp=stamp,
        proof=_proof_of(answer),
        is_snapshot=True,
        provenance=provenance_of(answer.served, answer.lineage),
        _sides=sides,
        _version=sides.version,
        _best=sides.best(),
    )


def _proof_of(answer: book_pb2.L2BookResponse) -> Proof:
    checkpoint = answer.checkpoint
    has_number = checkpoint.HasField("proof_venue_sequence")
    return Proof(
        integrity=INTEGRITY(answer.integrity),
        levels=checkpoint.proof_levels,
        seq=checkpoint.proof_seq,
        venue_sequence=checkpoint.proof_venue_sequence if has_number else None,
    )
