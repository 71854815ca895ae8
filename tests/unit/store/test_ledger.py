"""The ledger against a naive model that knows the state of each instant, across crashes and lost notes."""

from __future__ import annotations

import sqlite3
import tempfile
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from datafacade.errors import DataDirUnusable
from datafacade.store import ledger as module
from datafacade.store.ledger import Ledger
from datafacade.store.notes import GapNote, Note, Standing
from datafacade.store.spans import SpanState
from datafacade.types import Channel, Topic
from datafacade.v1 import stream_pb2

TRADES = Topic("kraken", "BTC-USD", Channel.TRADES)
BOOK = Topic("okx", "BTC-USDT", Channel.BOOK_L2)
STATES = st.sampled_from([SpanState.COMPLETE, SpanState.UNPROVEN, SpanState.NOT_COVERED])


def standing(
    ts: int,
    state: SpanState,
    *,
    topic: Topic = TRADES,
    epoch: int = 1,
    seq: int = 1,
    number: int | None = None,
) -> Standing:
    """Make a note of a state."""
    return Standing(topic=topic, epoch=epoch, ts=ts, state=state, seq=seq, venue_sequence=number)


def gap(
    ts_start: int, ts_end: int | None, *, gap_id: int = 1, state: int = stream_pb2.GAP_STATE_LOST
) -> GapNote:
    """Make a note of a gap."""
    message = stream_pb2.Gap(gap_id=gap_id, ts_first=ts_start, ts_last=(ts_end or 1) - 1, state=state)  # type: ignore[arg-type]
    return GapNote(
        topic=TRADES,
        epoch=1,
        gap_id=gap_id,
        ts_start=ts_start,
        ts_end=ts_end,
        is_filled=state == stream_pb2.GAP_STATE_FILLED,
        message=message.SerializeToString(),
    )


def opened(folder: Path, epoch: int = 1, now_ns: int = 0) -> Ledger:
    """Open the ledger of a folder."""
    return Ledger.open(folder / "ledger.sqlite", epoch=epoch, now_ns=now_ns)


def told(ledger: Ledger, ts_start: int, ts_end: int, topic: Topic = TRADES) -> list[tuple[int, int, str]]:
    """Return the spans of an answer."""
    spans = ledger.coverage(topic, ts_start=ts_start, ts_end=ts_end).spans
    return [(span.ts_start, span.ts_end, span.state.name) for span in spans]


class Runs(RuleBasedStateMachine):
    """Notes, marks of life, crashes and torn notes in any order, for two topics."""

    @initialize()
    def begin(self) -> None:
        """Start the first run."""
        self.folder = tempfile.TemporaryDirectory()
        self.epoch, self.now, self.alive = 1, 0, 0
        self.state = dict.fromkeys((TRADES, BOOK), SpanState.NOT_COVERED)
        self.model: dict[Topic, list[SpanState]] = {TRADES: [], BOOK: []}
        self.ledger = opened(Path(self.folder.name))

    @rule(
        notes=st.lists(st.tuples(st.sampled_from([TRADES, BOOK]), st.integers(0, 4), STATES), max_size=4),
        rest=st.integers(0, 5),
        is_torn=st.booleans(),
    )
    def live(self, notes: list[tuple[Topic, int, SpanState]], rest: int, is_torn: bool) -> None:
        """Note some states, then that all is well until now."""
        if is_torn:
            for topic, state in self.state.items():
                if state is SpanState.COMPLETE:
                    self.state[topic] = SpanState.UNPROVEN
        written: list[Note] = []
        for topic, later, state in notes:
            self._pass(later)
            self.state[topic] = state
            written.append(standing(self.now, state, topic=topic, epoch=self.epoch))
        self._pass(rest)
        self.ledger.write(written, ts_alive=self.now, is_torn=is_torn)
        self.alive = self.now

    @rule(dead=st.integers(0, 6))
    def crash(self, dead: int) -> None:
        """End without a word; start again later."""
        self.ledger.close()
        self.state = dict.fromkeys(self.state, SpanState.NOT_COVERED)
        self._pass(dead)
        self.epoch += 1
        self.ledger = opened(Path(self.folder.name), self.epoch, self.now)
        self.alive = self.now

    @invariant()
    def tells_what_the_model_says(self) -> None:
        """Compare each instant up to the mark of life, and one behind it."""
        for topic, model in self.model.items():
            end = self.alive + 1
            spans = self.ledger.coverage(topic, ts_start=1, ts_end=end + 1).spans
            instants = [span.state for span in spans for _ in range(span.ts_start, span.ts_end)]
            assert instants == [*model[1:], SpanState.NOT_COVERED, SpanState.NOT_COVERED][:end]
            assert all(left.ts_end == right.ts_start for left, right in pairwise(spans))

    def teardown(self) -> None:
        """Close."""
        if hasattr(self, "ledger"):
            self.ledger.close()
            self.folder.cleanup()

    def _pass(self, instants: int) -> None:
        self.now += instants
        for topic, state in self.state.items():
            self.model[topic] += [state] * instants


TestRuns = Runs.TestCase
TestRuns.settings = settings(max_examples=60, stateful_step_count=20)


def test_what_was_never_followed_is_not_covered(tmp_path: Path) -> None:
    with closing(opened(tmp_path)) as ledger:
        assert told(ledger, 5, 9) == [(5, 9, "NOT_COVERED")]
        assert told(ledger, 0, 9) == [(8, 9, "NOT_COVERED")]


def test_no_trades_is_known_and_empty(tmp_path: Path) -> None:
    with closing(opened(tmp_path)) as ledger:
        ledger.write([standing(10, SpanState.COMPLETE)], ts_alive=1_000)
        assert told(ledger, 0, 1_000) == [(10, 1_000, "COMPLETE")]


def test_the_interval_may_begin_with_the_oldest_that_is_known(tmp_path: Path) -> None:
    with closing(opened(tmp_path)) as ledger:
        ledger.write([standing(10, SpanState.COMPLETE), standing(30, SpanState.NOT_COVERED)], ts_alive=50)
        assert told(ledger, 0, 60) == [(10, 30, "COMPLETE"), (30, 60, "NOT_COVERED")]


def test_a_gap_is_told_with_what_became_of_it(tmp_path: Path) -> None:
    with closing(opened(tmp_path)) as ledger:
        ledger.write(
            [standing(0, SpanState.COMPLETE), gap(20, None, state=stream_pb2.GAP_STATE_OPEN)], ts_alive=50
        )
        assert told(ledger, 0, 50) == [(0, 20, "COMPLETE"), (20, 50, "GAP")]
        ledger.write([gap(20, 30, state=stream_pb2.GAP_STATE_OPEN)], ts_alive=60)
        assert told(ledger, 1, 60) == [(1, 20, "COMPLETE"), (20, 30, "GAP"), (30, 60, "COMPLETE")]
        ledger.write([gap(20, 30, state=stream_pb2.GAP_STATE_FILLED)], ts_alive=70)
        answer = ledger.coverage(TRADES, ts_start=1, ts_end=70)
        assert [span.state for span in answer.spans] == [SpanState.COMPLETE]
        assert [found.state for found in answer.gaps] == [stream_pb2.GAP_STATE_FILLED]
        assert ledger.coverage(TRADES, ts_start=30, ts_end=70).gaps == []


def test_a_span_names_its_records(tmp_path: Path) -> None:
    with closing(opened(tmp_path)) as ledger:
        notes = [
            standing(10, SpanState.COMPLETE, seq=4, number=100),
            standing(20, SpanState.NOT_COVERED, seq=9, number=150),
        ]
        ledger.write(notes, ts_alive=30)
        [span, _] = ledger.coverage(TRADES, ts_start=10, ts_end=30).spans
        assert (span.epoch, span.seq_first, span.seq_last) == (1, 4, 8)
        assert (span.venue_sequence_first, span.venue_sequence_last) == (100, 150)


def test_after_a_crash_the_journal_says_how_far_a_span_went(tmp_path: Path) -> None:
    with closing(opened(tmp_path)) as ledger:
        ledger.write([standing(10, SpanState.COMPLETE, seq=4)], ts_alive=30)
    path = tmp_path / "ledger.sqlite"
    with closing(Ledger.open(path, epoch=2, now_ns=99, seq_last=lambda _topic, epoch: 70 + epoch)) as ledger:
        [span, _] = ledger.coverage(TRADES, ts_start=10, ts_end=40).spans
        assert (span.ts_end, span.epoch, span.seq_last) == (30, 1, 71)


def test_a_clock_that_jumps_back_never_makes_spans_overlap(tmp_path: Path) -> None:
    states = [SpanState.COMPLETE, SpanState.NOT_COVERED, SpanState.UNPROVEN, SpanState.COMPLETE]
    notes = [standing(ts, state) for ts, state in zip((100, 200, 50, 150), states, strict=True)]
    with closing(opened(tmp_path)) as ledger:
        ledger.write(notes, ts_alive=300)
        assert told(ledger, 0, 300) == [(100, 300, "COMPLETE")]
        spans = ledger.coverage(TRADES, ts_start=1, ts_end=300).spans
        assert all(left.ts_end == right.ts_start for left, right in pairwise(spans))


def test_a_write_that_fails_changes_nothing(tmp_path: Path) -> None:
    with closing(opened(tmp_path)) as ledger:
        ledger.write([standing(10, SpanState.COMPLETE)], ts_alive=30)
        broken = standing(40, SpanState.NOT_COVERED, seq=2**70)
        with pytest.raises(OverflowError):
            ledger.write([standing(35, SpanState.UNPROVEN), broken], ts_alive=50)
        assert told(ledger, 10, 60) == [(10, 30, "COMPLETE"), (30, 60, "NOT_COVERED")]
        ledger.write([standing(40, SpanState.NOT_COVERED)], ts_alive=50)
        assert told(ledger, 10, 60) == [(10, 40, "COMPLETE"), (40, 60, "NOT_COVERED")]


def test_what_is_too_old_and_what_is_too_much_is_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(opened(tmp_path)) as ledger:
        states = [SpanState.COMPLETE, SpanState.NOT_COVERED] * 10
        ledger.write([standing(ts * 10, state) for ts, state in enumerate(states, 1)], ts_alive=300)
        ledger.write([gap(15, 18), gap(100, 110, gap_id=2)], ts_alive=300)
        ledger.forget(ts_before=50)
        assert told(ledger, 0, 65)[0] == (50, 60, "COMPLETE")
        assert [found.gap_id for found in ledger.coverage(TRADES, ts_start=1, ts_end=300).gaps] == [2]
        monkeypatch.setattr(module, "ROWS_MAX", 3)
        ledger.forget(ts_before=0)
        assert told(ledger, 0, 300)[0] == (150, 160, "COMPLETE")


def test_a_damaged_file_is_put_aside(tmp_path: Path) -> None:
    (tmp_path / "ledger.sqlite").write_bytes(b"no database, but long enough to be asked about" * 100)
    with closing(opened(tmp_path)) as ledger:
        ledger.write([standing(10, SpanState.COMPLETE)], ts_alive=30)
        assert told(ledger, 10, 30) == [(10, 30, "COMPLETE")]
    assert (tmp_path / "ledger.damaged").exists()


def test_a_planted_link_is_refused(tmp_path: Path) -> None:
    target = tmp_path / "precious"
    sqlite3.connect(target).close()
    (tmp_path / "ledger.sqlite").symlink_to(target)
    with pytest.raises(DataDirUnusable, match="link"):
        opened(tmp_path)


def test_its_file_is_for_owner_and_group(tmp_path: Path) -> None:
    with closing(opened(tmp_path)) as ledger:
        ledger.write([standing(10, SpanState.COMPLETE)], ts_alive=30)
        for path in tmp_path.iterdir():
            assert path.stat().st_mode & 0o137 == 0, path.name
