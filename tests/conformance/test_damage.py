"""The table of docs/integrity.md: what a protocol lets anybody notice is noticed, and no more is claimed."""

from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Final

import pytest

from tests.conformance.capture_file import Capture, Record, write
from tests.conformance.command import replay
from tests.conformance.damage import DAMAGES, Damaged, Scene
from tests.conformance.fresh import recover, with_snapshot
from tests.conformance.judge import Verdict, judge
from tests.conformance.seeds import SEEDS
from tests.conformance.sessions import (
    EXCERPT_UPDATES,
    SESSIONS,
    Proof,
    Session,
    capture_of,
    excerpt_of,
    truth_of,
)
from tests.conformance.witness import Replica

pytestmark = pytest.mark.recordings

CHAINED: Final = [
    session.name for session in SESSIONS.values() if session.proof in {Proof.CHAIN, Proof.CONNECTION}
]
SUMMED: Final = [session.name for session in SESSIONS.values() if session.proof is Proof.CHECKSUM]
UNPROVEN: Final = [session.name for session in SESSIONS.values() if session.proof is Proof.NONE]
RECOVERABLE: Final = CHAINED + SUMMED
ATTEMPTS_MAX: Final = 100  # frames dropped until one is missed
MESSAGES_UNTIL_FRESH: Final = 20  # book messages between the damage and the venue's fresh state

seeds = pytest.mark.parametrize("seed", SEEDS)


def damaged_by(name: str, damage: str, seed: int) -> Damaged:
    """Damage a session: its beginning, but with the first seed and a harmless damage the whole of it."""
    is_whole = seed == SEEDS[0] and damage == "double"
    capture = capture_of(name) if is_whole else excerpt_of(name)
    return DAMAGES[damage](Scene(SESSIONS[name], capture, Random(f"{name} {damage} {seed}")))


def judged(name: str, damage: str, seed: int) -> tuple[Damaged, Verdict]:
    damaged = damaged_by(name, damage, seed)
    verdict = judge(SESSIONS[name], damaged)
    assert verdict.messages[damaged.symbol] > 0
    claimed = set().union(*(mirror.integrities for mirror in verdict.mirrors.values()))
    assert claimed <= {SESSIONS[name].integrity}, "more is claimed than the protocol proves"
    return damaged, verdict


def symbols_hit(session: Session, damaged: Damaged) -> set[str]:
    """Return the books that one lost frame breaks."""
    symbols = {moment.symbol for moment in truth_of(session.name)}
    return symbols if session.proof is Proof.CONNECTION else {damaged.symbol}


@pytest.mark.parametrize("name", CHAINED)
@seeds
def test_dropped_frame_breaks_a_chain_at_the_next_frame(name: str, seed: int) -> None:
    damaged, verdict = judged(name, "drop", seed)
    hit = symbols_hit(SESSIONS[name], damaged)
    assert {
        symbol: messages for symbol, messages in verdict.left_live.items() if symbol in hit
    } == dict.fromkeys(hit, 0)
    assert verdict.left_live.keys() == hit
    assert all(not verdict.mirrors[symbol].is_live for symbol in hit)
    assert verdict.wrong == 0


@pytest.mark.proves("ROW-B12")
@pytest.mark.parametrize("name", CHAINED)
@seeds
def test_swapped_frames_are_never_applied_out_of_order(name: str, seed: int) -> None:
    damaged, verdict = judged(name, "swap", seed)
    assert verdict.left_live[damaged.symbol] == 0
    assert verdict.replicas[damaged.symbol].failed == 1
    assert verdict.wrong == 0


@pytest.mark.proves("ROW-B11")
@pytest.mark.parametrize("damage", ["double", "repeat"])
@pytest.mark.parametrize("name", CHAINED)
@seeds
def test_frame_that_comes_again_is_ignored_where_frames_are_numbered(
    name: str, damage: str, seed: int
) -> None:
    damaged, verdict = judged(name, damage, seed)
    assert not verdict.left_live
    assert verdict.mirrors[damaged.symbol].is_live
    assert verdict.wrong == 0


@pytest.mark.parametrize("name", SUMMED + UNPROVEN)
@seeds
def test_doubled_frame_without_a_number_changes_nothing(name: str, seed: int) -> None:
    _, verdict = judged(name, "double", seed)
    assert not verdict.left_live
    assert verdict.wrong == 0


@pytest.mark.proves("ROW-B07")
@pytest.mark.parametrize("damage", ["drop", "swap", "repeat", "digit"])
@pytest.mark.parametrize("name", SUMMED)
@seeds
def test_checksum_keeps_the_proven_levels_true(name: str, damage: str, seed: int) -> None:
    damaged, verdict = judged(name, damage, seed)
    assert verdict.wrong == 0
    assert verdict.left_live.keys() <= {damaged.symbol}
    assert verdict.replicas[damaged.symbol].failed == len(verdict.left_live)


@pytest.mark.parametrize("name", CHAINED)
@seeds
def test_changed_digit_passes_a_chain_and_no_content_is_claimed(name: str, seed: int) -> None:
    _, verdict = judged(name, "digit", seed)
    assert verdict.wrong > 0, "the damage did not show"
    assert not verdict.left_live


@pytest.mark.parametrize("damage", ["drop", "swap", "repeat", "digit"])
@pytest.mark.parametrize("name", UNPROVEN)
@seeds
def test_venue_without_proof_notices_nothing_but_a_crossed_book(name: str, damage: str, seed: int) -> None:
    _, verdict = judged(name, damage, seed)
    assert verdict.left_live.keys() <= verdict.crossed


@seeds
def test_any_lost_frame_of_a_counted_connection_breaks_its_books(seed: int) -> None:
    session, capture = SESSIONS["coinbase_advanced"], capture_of("coinbase_advanced")
    first = next(moment.at for moment in truth_of(session.name) if moment.is_update)
    others = [
        at
        for at, record in enumerate(capture.records)
        if at > first and record.kind == "f" and b'"l2_data"' not in record.payload
    ]
    at = Random(seed).choice(others[:-2])
    records = capture.records[:at] + capture.records[at + 1 :]
    verdict = judge(session, Damaged(capture.with_records(records), "BTC-USD", at))
    assert verdict.left_live == {"BTC-USD": 0, "ETH-USD": 0}
    assert verdict.wrong == 0


@pytest.mark.parametrize("name", RECOVERABLE)
@seeds
def test_broken_book_is_live_again_only_with_a_fresh_state(name: str, seed: int, tmp_path: Path) -> None:
    session, end = SESSIONS[name], len(excerpt_of(name).records)
    damaged, noticed_at = noticed_drop(session, seed)
    moments = [moment for moment in truth_of(name) if moment.symbol == damaged.symbol and moment.at < end]
    later = [moment for moment in moments if moment.at >= noticed_at]
    after = later[min(MESSAGES_UNTIL_FRESH, len(later) // 2)].at
    capture = recover(damaged, session, books_after(session, after), after=after)
    verdict = judge(session, Damaged(capture, damaged.symbol, damaged.at))
    assert verdict.wrong == 0
    mirror, replica = verdict.mirrors[damaged.symbol], verdict.replicas[damaged.symbol]
    assert mirror.is_live
    assert mirror.fingerprint == moments[-1].fingerprint
    book = replay(write(capture, tmp_path)).book(f"{session.venue}:{damaged.symbol}")
    assert (book["state"], book["gaps"], book["resyncs"]) == ("LIVE", 1, 1)
    assert book["sha256"] == replica.sha256()


def noticed_drop(session: Session, seed: int) -> tuple[Damaged, int]:
    """Drop a frame whose loss the protocol notices; return the record at which it does."""
    for attempt in range(ATTEMPTS_MAX):
        random = Random(f"{session.name} recovery {seed} {attempt}")
        damaged = DAMAGES["drop"](Scene(session, excerpt_of(session.name), random))
        witness = session.witness()
        for record in damaged.capture.records:
            witness.take(record)
            if any(book.failed for book in witness.books.values()):
                return damaged, record.origin or 0
    raise AssertionError("no dropped frame was noticed")


def books_after(session: Session, at: int) -> dict[str, Replica]:
    """Return the true books after record ``at``."""
    witness = session.witness()
    for record in capture_of(session.name).records[: at + 1]:
        witness.take(record)
    return witness.books


@pytest.mark.proves("ROW-B14")
@pytest.mark.parametrize("name", ["binance_spot", "binance_usdm"])
def test_old_rest_snapshot_never_replaces_a_live_book(name: str) -> None:
    session, excerpt = SESSIONS[name], excerpt_of(name)
    [moment] = [moment for moment in truth_of(name) if moment.updates == EXCERPT_UPDATES // 2]
    before, rest = excerpt.records[: moment.at + 1], excerpt.records[moment.at + 1 :]
    late = [replace(record, ts_recv=before[-1].ts_recv, origin=None) for record in depth_answer(excerpt)]
    verdict = judge(session, Damaged(excerpt.with_records([*before, *late, *rest]), moment.symbol, moment.at))
    assert not verdict.left_live
    assert verdict.wrong == 0
    assert verdict.mirrors[moment.symbol].snapshots == 1


def depth_answer(capture: Capture) -> tuple[Record, Record]:
    """Return the only REST snapshot of a capture: the request and the answer that follows it."""
    at = next(
        at for at, record in enumerate(capture.records) if record.kind == "q" and b"/depth?" in record.payload
    )
    return capture.records[at], capture.records[at + 1]


@pytest.mark.proves("ROW-B06")
@pytest.mark.parametrize("name", ["okx_v5", "okx_chained", "kraken_v2", "coinbase_advanced"])
def test_unprompted_snapshot_replaces_the_book_without_a_gap(name: str, tmp_path: Path) -> None:
    session, capture = SESSIONS[name], capture_of(name)
    moments = [moment for moment in truth_of(name) if moment.is_update]
    moment = moments[len(moments) // 2]
    records = with_snapshot(capture.records, session, books_after(session, moment.at), moment)
    verdict = judge(session, Damaged(capture.with_records(records), moment.symbol, moment.at))
    assert not verdict.left_live
    assert verdict.wrong == 0
    assert verdict.mirrors[moment.symbol].snapshots == 2
    book = replay(write(capture.with_records(records), tmp_path)).book(f"{session.venue}:{moment.symbol}")
    assert (book["state"], book["gaps"], book["resyncs"]) == ("LIVE", 0, 0)


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", SESSIONS)
def test_replay_tells_the_damage_as_the_witness_counts_it(name: str, damage: str, tmp_path: Path) -> None:
    session = SESSIONS[name]
    damaged, verdict = judged(name, damage, SEEDS[1])
    outcome = replay(write(damaged.capture, tmp_path))
    assert outcome.code == 0, outcome.stderr
    for symbol, replica in verdict.replicas.items():
        if symbol in verdict.crossed:
            continue
        book = outcome.book(f"{session.venue}:{symbol}")
        assert book["state"] == ("LIVE" if replica.is_live else "RESYNC")
        assert book["sha256"] == (replica.sha256() if replica.is_live else None)
        assert book["proofs"] == {"checked": replica.checked, "failed": replica.failed}
        assert (book["gaps"], book["resyncs"]) == (replica.failed, 0)
        assert (book["updates"], book["level_changes"]) == (replica.updates, replica.level_changes)
