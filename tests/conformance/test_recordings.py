"""Every recording replays to its verified books, counts, proofs and trades."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.capture_file import write
from tests.conformance.command import Outcome, replay
from tests.conformance.facts import CHECKPOINTS, FACTS, Fact, milestones
from tests.conformance.sessions import SESSIONS, Proof, capture_of, truth_of
from tests.conformance.subscriber import Subscriber
from tests.conformance.witness import plain

pytestmark = pytest.mark.recordings

CHECKPOINT_EVERY = 50


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    folder = tmp_path_factory.mktemp("captures")
    return {name: replay(write(capture_of(name), folder)) for name in SESSIONS}


def agrees(book: dict[str, Any], facts: dict[str, Any]) -> None:
    assert (book["bids"], book["asks"]) == (facts["levels_bid"], facts["levels_ask"])
    for name, levels in (("best_bid", facts["bids"]), ("best_ask", facts["asks"])):
        assert book[name] == [plain(number) for number in levels[0]]
    assert book["sha256"] == facts["sha256"]


@pytest.mark.proves("REQ-X4")
@pytest.mark.parametrize("name", SESSIONS)
def test_recording_replays_to_its_verified_books(name: str, outcomes: dict[str, Outcome]) -> None:
    outcome, facts = outcomes[name], FACTS[name]()
    venue = SESSIONS[name].venue
    assert outcome.code == 0, outcome.stderr
    assert set(outcome.report["books"]) == {f"{venue}:{symbol}" for symbol in facts}
    for symbol, fact in facts.items():
        book = outcome.book(f"{venue}:{symbol}")
        assert (book["state"], book["gaps"], book["resyncs"]) == ("LIVE", 0, 0)
        agrees(book, fact.final)


@pytest.mark.proves("ROW-B08")
@pytest.mark.parametrize("name", SESSIONS)
def test_recording_counts_its_updates_and_every_proof_holds(name: str, outcomes: dict[str, Outcome]) -> None:
    for symbol, fact in FACTS[name]().items():
        book = outcomes[name].book(f"{SESSIONS[name].venue}:{symbol}")
        assert book["updates"] == fact.updates
        assert book["proofs"] == {"checked": fact.checked, "failed": 0}
        if fact.level_changes is not None:
            assert book["level_changes"] == fact.level_changes
        if SESSIONS[name].proof is not Proof.CONNECTION:
            assert book["venue_sequence"] == fact.venue_sequence


@pytest.mark.parametrize("name", SESSIONS)
def test_recording_counts_what_the_witness_counts(name: str, outcomes: dict[str, Outcome]) -> None:
    witness = SESSIONS[name].witness()
    for record in capture_of(name).records:
        witness.take(record)
    for symbol, replica in witness.books.items():
        book = outcomes[name].book(f"{SESSIONS[name].venue}:{symbol}")
        assert book["level_changes"] == replica.level_changes
        assert book["venue_sequence"] == replica.last
        assert book["proofs"]["checked"] == replica.checked


@pytest.mark.parametrize("name", SESSIONS)
def test_every_frame_is_counted_and_none_is_an_error(name: str, outcomes: dict[str, Outcome]) -> None:
    frames = sum(record.kind == "f" for record in capture_of(name).records)
    assert (outcomes[name].report["frames"], outcomes[name].report["errors"]) == (frames, 0)


@pytest.mark.parametrize("name", SESSIONS)
def test_trades_have_the_verified_ids_and_sums(name: str, outcomes: dict[str, Outcome]) -> None:
    trades, venue = outcomes[name].report["trades"], SESSIONS[name].venue
    wanted = {f"{venue}:{symbol}": fact for symbol, fact in FACTS[name]().items() if fact.trades}
    assert set(trades) == set(wanted)
    for key, fact in wanted.items():
        trades_agree(trades[key], fact, id_gaps=None if venue == "okx" else 0)


def trades_agree(told: dict[str, Any], fact: Fact, *, id_gaps: int | None) -> None:
    facts = fact.trades
    for name in ("count", "first_id", "last_id"):
        assert told[name] == facts[name]
    assert told["quantity"] == plain(facts["qty_sum"])
    assert told["id_gaps"] == id_gaps
    if "notional" in facts:
        assert told["notional"] == plain(facts["notional"])
        vwap = (Decimal(facts["notional"]) / Decimal(facts["qty_sum"])).quantize(Decimal("0.00000001"))
        assert told["vwap"] == plain(str(vwap))


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_capture_cut_at_a_checkpoint_ends_at_its_verified_book(name: str, tmp_path: Path) -> None:
    marks = list(milestones(name))
    assert marks
    for mark in marks:
        options = ("--checkpoint-every", "1") if mark.update else ()
        outcome = replay(write(capture_of(name).until(mark.end), tmp_path), *options)
        assert outcome.code == 0, outcome.stderr
        for symbol, facts in mark.books.items():
            book = outcome.book(f"{SESSIONS[name].venue}:{symbol}")
            agrees(book["checkpoints"][mark.update - 1] if mark.update else book, facts)


@pytest.mark.parametrize("name", SESSIONS)
def test_checkpoints_every_n_updates_equal_the_witness(name: str, tmp_path: Path) -> None:
    session, capture = SESSIONS[name], capture_of(name)
    every = CHECKPOINT_EVERY * (20 if len(capture.records) > 50_000 else 1)
    outcome = replay(write(capture, tmp_path), "--checkpoint-every", str(every))
    witness = session.witness()
    digests: dict[str, list[str]] = {}
    for record in capture.records:
        before = {symbol: book.updates for symbol, book in witness.books.items()}
        for symbol in witness.take(record):
            book = witness.books[symbol]
            if book.updates > before.get(symbol, 0) and book.updates % every == 0:
                digests.setdefault(symbol, []).append(book.sha256())
    for symbol, book in witness.books.items():
        told = outcome.book(f"{session.venue}:{symbol}")["checkpoints"]
        assert [checkpoint["sha256"] for checkpoint in told] == digests.get(symbol, [])
        assert [checkpoint["updates"] for checkpoint in told] == list(range(every, book.updates + 1, every))


@pytest.mark.proves("REQ-L7")
@pytest.mark.parametrize("name", SESSIONS)
def test_subscriber_holds_the_true_book_after_every_message(name: str) -> None:
    session, capture = SESSIONS[name], capture_of(name)
    frames = [moment for moment in truth_of(name) if capture.records[moment.at].kind == "f"]
    moments = {(moment.at, moment.symbol): moment for moment in frames}
    subscriber = Subscriber(session, {symbol for _, symbol in moments}, capture)
    for at, record in enumerate(capture.records):
        subscriber.take(record)
        for symbol, mirror in subscriber.books.items():
            moment = moments.get((at, symbol))
            if moment is not None:
                assert mirror.is_live == moment.is_live, f"record {at}, {symbol}"
                assert not moment.is_live or mirror.fingerprint == moment.fingerprint, (
                    f"record {at}, {symbol}"
                )
    for mirror in subscriber.books.values():
        assert mirror.integrities == {session.integrity}
        assert mirror.checkpoints > 0


def test_replaying_the_same_capture_twice_prints_the_same(tmp_path: Path) -> None:
    path = write(capture_of("okx_v5"), tmp_path)
    assert replay(path).report == replay(path).report
