"""Every recorded session with its witness, and what its protocol can prove."""

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final

from tests.conformance.capture_file import Capture
from tests.conformance.captures import CAPTURES
from tests.conformance.recordings import recordings_folder
from tests.conformance.witness import Witness
from tests.conformance.witness_venues import (
    KRAKEN_PROVEN,
    OKX_PROVEN,
    BinanceWitness,
    CoinbaseAdvancedWitness,
    CoinbaseExchangeWitness,
    KrakenWitness,
    OkxWitness,
)

EXCERPT_UPDATES: Final = 800  # book updates of a damaged excerpt
COMBINED4: Final = {"NKNUSDT": "NKN-USDT", "BLZETH": "BLZ-ETH", "LRCBTC": "LRC-BTC", "RUNEEUR": "RUNE-EUR"}
PAIR: Final = re.compile(rb'\["[0-9.]+", ?"([0-9.]+)"')  # price and quantity


class Proof(Enum):
    """What a protocol lets a reader prove."""

    CHAIN = "numbers of each book join up"
    CONNECTION = "numbers of the connection join up"
    CHECKSUM = "a checksum of the best levels"
    NONE = "nothing"


@dataclass(frozen=True, slots=True)
class Session:
    """A recorded session."""

    name: str
    venue: str  # as in the keys of a replay
    product: str
    proof: Proof
    integrity: str  # what its updates may claim at most
    witness: Callable[[], Witness]
    quantity: re.Pattern[bytes] = PAIR  # finds the quantities of a book frame
    proven_levels: int = 0  # levels a side under the proof; 0: all

    @property
    def capture_venue(self) -> str:
        """The venue as the capture names it."""
        return self.venue.partition("-")[0]


@dataclass(frozen=True, slots=True)
class Moment:
    """A book message, or a REST snapshot, of the undamaged session, and the truth after it."""

    at: int  # record
    symbol: str
    is_update: bool  # a frame that was applied to a live book
    updates: int  # of all books so far
    is_live: bool
    fingerprint: int
    best: list[tuple[int, int]]  # the proven levels of both sides, in units of 1e-18


SESSIONS: Final = {
    session.name: session
    for session in (
        Session(
            "binance_spot",
            "binance",
            "spot",
            Proof.CHAIN,
            "SEQUENCE",
            lambda: BinanceWitness({"BTCUSDT": "BTC-USDT"}, is_futures=False),
        ),
        Session(
            "binance_usdm",
            "binance-usdm",
            "usdm",
            Proof.CHAIN,
            "SEQUENCE",
            lambda: BinanceWitness({"BTCUSDT": "BTC-USDT"}, is_futures=True),
        ),
        Session(
            "binance_combined4",
            "binance",
            "spot",
            Proof.CHAIN,
            "SEQUENCE",
            lambda: BinanceWitness(COMBINED4, is_futures=False),
        ),
        Session(
            "coinbase_advanced",
            "coinbase",
            "advanced",
            Proof.CONNECTION,
            "SEQUENCE",
            CoinbaseAdvancedWitness,
            quantity=re.compile(rb'"new_quantity": ?"([0-9.]+)"'),
        ),
        Session(
            "coinbase_exchange",
            "coinbase",
            "exchange",
            Proof.NONE,
            "UNVERIFIABLE",
            CoinbaseExchangeWitness,
            quantity=re.compile(rb'\["(?:buy|sell)", ?"[0-9.]+", ?"([0-9.]+)"'),
        ),
        Session(
            "kraken_v2",
            "kraken",
            "spot",
            Proof.CHECKSUM,
            "CHECKSUM",
            lambda: KrakenWitness(25),
            quantity=re.compile(rb'"qty": ?([0-9.]+)'),
            proven_levels=KRAKEN_PROVEN,
        ),
        Session("okx_v5", "okx", "public", Proof.CHECKSUM, "CHECKSUM", OkxWitness, proven_levels=OKX_PROVEN),
        Session("okx_chained", "okx", "public", Proof.CHAIN, "SEQUENCE", OkxWitness),
    )
}


@functools.cache
def capture_of(name: str) -> Capture:
    """Return the capture of a session."""
    return CAPTURES[name](recordings_folder())


@functools.cache
def truth_of(name: str) -> tuple[Moment, ...]:
    """Return every book message of the undamaged session with the book after it, by the witness."""
    session, moments = SESSIONS[name], []
    witness = session.witness()
    for at, record in enumerate(capture_of(name).records):
        before = sum(book.updates for book in witness.books.values())
        for symbol in witness.take(record):
            book = witness.books[symbol]
            best = book.best_values(session.proven_levels) if session.proven_levels else []
            updates = sum(book.updates for book in witness.books.values())
            is_update = record.kind == "f" and updates > before
            moments.append(Moment(at, symbol, is_update, updates, book.is_live, book.fingerprint, best))
    assert all(not book.failed for book in witness.books.values()), "the recording itself breaks a proof"
    return tuple(moments)


def excerpt_of(name: str) -> Capture:
    """Return the beginning of a session: up to its 800th book update, or all."""
    updates = [moment for moment in truth_of(name) if moment.is_update]
    capture = capture_of(name)
    return capture.until(updates[EXCERPT_UPDATES].at) if len(updates) > EXCERPT_UPDATES else capture
