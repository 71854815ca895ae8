"""The verified facts of each recording, in one shape: book by book, checkpoints as places in the capture."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from tests.conformance.recordings import expected
from tests.conformance.sessions import capture_of, truth_of


@dataclass(frozen=True, slots=True)
class Fact:
    """What is known of one book."""

    final: dict[str, Any]  # levels_bid, levels_ask, bids, asks, sha256
    updates: int
    checked: int  # proofs
    level_changes: int | None = None  # None: the recording's facts do not count them
    venue_sequence: int | None = None
    trades: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Milestone:
    """Books in the middle of a session."""

    label: str
    end: int  # the capture is cut before this record
    books: dict[str, dict[str, Any]]
    update: int = 0  # look at the checkpoint after this update: the cut lies behind it; 0: look at the end


def binance(recording: str) -> dict[str, Fact]:
    """Return the facts of a one-symbol Binance session."""
    facts = expected("binance", recording)
    fact = Fact(
        final=facts["final"],
        updates=facts["applied_events"],
        checked=facts["applied_events"],
        level_changes=facts["level_changes"],
        venue_sequence=facts["final"]["u"],
        trades=facts["trades"],
    )
    return {"BTC-USDT": fact}


def combined4() -> dict[str, Fact]:
    """Return the facts of the four symbols."""
    names = {"NKNUSDT": "NKN-USDT", "BLZETH": "BLZ-ETH", "LRCBTC": "LRC-BTC", "RUNEEUR": "RUNE-EUR"}
    symbols = expected("binance", "binance_spot_combined4_20211012")["symbols"]
    return {
        names[symbol]: Fact(
            final=facts["final"],
            updates=facts["applied"],
            checked=facts["applied"],
            venue_sequence=facts["final"]["u"],
        )
        for symbol, facts in symbols.items()
    }


def coinbase_advanced() -> dict[str, Fact]:
    """Return the facts of both products; each frame of a product is one link of the connection's chain."""
    facts = expected("coinbase", "coinbase_advanced_first500")
    return {
        product: Fact(
            final=facts["final"][product],
            updates=counts["update_events"],
            checked=counts["update_events"] + counts["snapshots"],
            level_changes=counts["level_changes"],
            trades=coinbase_trades(facts["trade_updates"][product]),
        )
        for product, counts in facts["per_product"].items()
    }


def coinbase_trades(facts: dict[str, Any]) -> dict[str, Any]:
    """Return trade facts under the names of the other recordings."""
    return {
        "count": facts["count"],
        "first_id": facts["min_id"],
        "last_id": facts["max_id"],
        "qty_sum": facts["size_sum"],
    }


def coinbase_exchange() -> dict[str, Fact]:
    """Return the facts of the ten products; nothing can be proven."""
    facts = expected("coinbase", "coinbase_exchange_level2")
    return {
        product: Fact(
            final=facts["final"][product],
            updates=counts["l2updates"],
            checked=0,
            trades=renamed(facts["matches"].get(product, {})),
        )
        for product, counts in facts["per_product"].items()
    }


def kraken() -> dict[str, Fact]:
    """Return the facts of BTC/USD: one checksum a book message."""
    facts = expected("kraken", "kraken_v2_btcusd")
    updates = facts["frames"]["book:update"]
    return {"BTC-USD": Fact(final=facts["final"], updates=updates, checked=facts["checksum_ok"])}


def okx(*, is_chained: bool) -> dict[str, Fact]:
    """Return the facts of the three instruments: one checksum a message, or one link between two."""
    facts = expected("okx", "okx_v5")
    return {
        name: Fact(
            final=facts["final"][name],
            updates=counts["messages"] - counts["snapshots"],
            checked=counts["messages"] - (counts["snapshots"] if is_chained else 0),
            venue_sequence=counts["messages"] if is_chained else None,
            trades=renamed(facts["trades"][name]),
        )
        for name, counts in facts["per_instrument"].items()
    }


def renamed(facts: dict[str, Any]) -> dict[str, Any]:
    """Return trade facts under the names of the Binance recordings."""
    names = {"size_sum": "qty_sum", "notional_px_sz": "notional"}
    values = {names.get(name, name): value for name, value in facts.items()}
    return values | {name: int(values[name]) for name in ("first_id", "last_id") if name in values}


FACTS: Final[dict[str, Callable[[], dict[str, Fact]]]] = {
    "binance_spot": lambda: binance("binance_spot_btcusdt"),
    "binance_usdm": lambda: binance("binance_usdm_btcusdt"),
    "binance_combined4": combined4,
    "coinbase_advanced": coinbase_advanced,
    "coinbase_exchange": coinbase_exchange,
    "kraken_v2": kraken,
    "okx_v5": lambda: okx(is_chained=False),
    "okx_chained": lambda: okx(is_chained=True),
}


def after_frame(name: str, count: int) -> tuple[int, bool]:
    """Return the place behind the ``count``-th received frame."""
    frames = [at for at, record in enumerate(capture_of(name).records) if record.kind == "f"]
    return frames[count - 1] + 1, True


def after_message(name: str, count: int) -> tuple[int, bool]:
    """Return the place behind the ``count``-th book message, snapshots included."""
    return truth_of(name)[count - 1].at + 1, True


def after_update(name: str, count: int) -> tuple[int, bool]:
    """Return the place behind the ``count``-th applied update, and whether none more was applied by then.

    A snapshot may let several waiting updates in at once.
    """
    moment = next(moment for moment in truth_of(name) if moment.updates >= count)
    return moment.at + 1, moment.updates == count


@dataclass(frozen=True, slots=True)
class Checkpoints:
    """Where a recording's facts keep its checkpoints, and how they are counted."""

    venue: str
    recording: str
    unit: str
    place: Callable[[str, int], tuple[int, bool]]
    group: str = ""  # key of the books of one checkpoint; "": it is the book of ``symbol``
    symbol: str = ""


CHECKPOINTS: Final = {
    "binance_spot": Checkpoints(
        "binance", "binance_spot_btcusdt", "after_applied_events", after_update, symbol="BTC-USDT"
    ),
    "binance_usdm": Checkpoints(
        "binance", "binance_usdm_btcusdt", "after_applied_events", after_update, symbol="BTC-USDT"
    ),
    "coinbase_advanced": Checkpoints(
        "coinbase", "coinbase_advanced_first500", "after_recv_frames", after_frame, group="products"
    ),
    "coinbase_exchange": Checkpoints(
        "coinbase", "coinbase_exchange_level2", "after_l2updates", after_update, group="products"
    ),
    "kraken_v2": Checkpoints(
        "kraken", "kraken_v2_btcusd", "after_book_messages", after_message, symbol="BTC-USD"
    ),
    "okx_v5": Checkpoints("okx", "okx_v5", "after_book_messages", after_message, group="instruments"),
    "okx_chained": Checkpoints("okx", "okx_v5", "after_book_messages", after_message, group="instruments"),
}


def milestones(name: str) -> Iterator[Milestone]:
    """Yield the checkpoints of a recording."""
    source = CHECKPOINTS[name]
    for facts in expected(source.venue, source.recording)["checkpoints"]:
        count = facts[source.unit]
        end, is_exact = source.place(name, count)
        books = facts[source.group] if source.group else {source.symbol: facts}
        yield Milestone(f"{source.unit} {count}", end, books, 0 if is_exact else count)
