"""Hold the core against the witness and the truth, message by message, over a damaged capture."""

from dataclasses import dataclass, field

from tests.conformance.capture_file import Record
from tests.conformance.damage import Damaged
from tests.conformance.sessions import Moment, Proof, Session, truth_of
from tests.conformance.subscriber import Mirror, Subscriber
from tests.conformance.witness import Replica, Witness


@dataclass(slots=True)
class Verdict:
    """How the core took the damage."""

    mirrors: dict[str, Mirror]
    replicas: dict[str, Replica]
    messages: dict[str, int]  # book messages of each symbol behind the damage
    left_live: dict[str, int] = field(default_factory=dict)  # messages of that symbol until it was not LIVE
    wrong: int = 0  # messages after which a LIVE book of the damaged symbol was not the truth
    crossed: set[str] = field(default_factory=set)  # books that the damage crossed


def judge(session: Session, damaged: Damaged) -> Verdict:
    """Replay a damaged capture through the core and through the witness, and compare after each book message.

    Raises:
        AssertionError: The core is LIVE where the witness noticed something, or the other way round, or its
            book is not the witness's.
    """
    truth = {(moment.at, moment.symbol): moment for moment in truth_of(session.name)}
    symbols = {symbol for _, symbol in truth}
    witness, core = session.witness(), Subscriber(session, symbols, damaged.capture)
    verdict = Verdict(core.books, witness.books, dict.fromkeys(symbols, 0))
    for record in damaged.capture.records:
        was_live = {symbol: mirror.is_live for symbol, mirror in core.books.items()}
        before = {symbol: steps(witness, core, symbol) for symbol in symbols}
        touched = witness.take(record)
        published = core.take(record)
        if record.kind != "f":
            continue
        is_behind = is_after(record, damaged)
        for symbol in symbols if session.proof is Proof.CONNECTION else touched:
            replica, mirror = witness.books.get(symbol, Replica()), core.books[symbol]
            place = f"{symbol} after record {record.origin}"
            if session.proof is Proof.NONE and replica.is_crossed:
                verdict.crossed.add(symbol)
                assert not mirror.is_live, f"LIVE while crossed: {place}"
            if symbol not in verdict.crossed:
                agree(replica, mirror, place)
            if is_behind and was_live[symbol] and not mirror.is_live:
                verdict.left_live.setdefault(symbol, verdict.messages[symbol])
        for symbol in touched:
            verdict.messages[symbol] += is_behind
            is_ignored = steps(witness, core, symbol) == before[symbol]
            assert not (is_ignored and symbol in published), f"an ignored message was published: {symbol}"
        if record.origin is not None:
            told = [truth[record.origin, symbol] for symbol in published if (record.origin, symbol) in truth]
            verdict.wrong += sum(not is_true(session, core.books[moment.symbol], moment) for moment in told)
    return verdict


def steps(witness: Witness, core: Subscriber, symbol: str) -> tuple[int, int]:
    """Return how often a book was changed, and how often it was replaced."""
    return witness.books.get(symbol, Replica()).updates, core.books[symbol].snapshots


def is_after(record: Record, damaged: Damaged) -> bool:
    """Whether a record is the damaged one or comes later."""
    return record.origin is not None and record.origin >= damaged.at


def agree(replica: Replica, mirror: Mirror, place: str) -> None:
    """Check that the core says LIVE when the witness does, over the same book."""
    assert mirror.is_live == replica.is_live, f"LIVE is {mirror.is_live}, the witness says otherwise: {place}"
    if mirror.is_live:
        assert mirror.fingerprint == replica.fingerprint, f"another book than the witness's: {place}"


def is_true(session: Session, mirror: Mirror, moment: Moment) -> bool:
    """Whether a mirror holds the truth of a moment, as far down as the protocol proves it."""
    if session.proven_levels:
        return mirror.best_values(session.proven_levels) == moment.best
    return mirror.fingerprint == moment.fingerprint
