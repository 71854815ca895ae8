"""The keeper feeds the ledger, loses no note while it cannot be written, and says once what is wrong."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from pathlib import Path
from typing import Any, cast

import pytest

from datafacade._core import Journal
from datafacade.store import keeper
from datafacade.store.keeper import Keeper
from datafacade.store.ledger import Ledger
from datafacade.types import Channel, Topic
from datafacade.v1 import hot_pb2, types_pb2
from tests.unit.fakes import ManualClock

TOPIC = Topic("kraken", "BTC-USD", Channel.TRADES)


def state(ts: int, told: types_pb2.State.ValueType = types_pb2.STATE_LIVE) -> bytes:
    """Encode a state record as one entry of a response."""
    update = hot_pb2.Update(
        venue=TOPIC.venue, symbol=TOPIC.symbol, channel=types_pb2.CHANNEL_TRADES, epoch=7, seq=1
    )
    update.stream_state.state = told
    update.stream_state.ts_since_recv = ts
    return hot_pb2.HotSubscribeResponse(updates=[update]).SerializeToString()


class FakeJournal:
    """A journal with the figures and notices that a test gives it."""

    def __init__(self) -> None:
        self.figures: dict[str, Any] = {"failure": None, "records_lost": 0, "damages": 0}
        self.notices = (b"", False)
        self.is_flushed = True
        self.calls: list[str] = []

    def start(self) -> None:
        """Note it."""
        self.calls.append("start")

    def stop(self) -> None:
        """Note it."""
        self.calls.append("stop")

    def stats(self) -> dict[str, Any]:
        """Return what was set."""
        return self.figures

    def flush(self) -> bool:
        """Return what was set."""
        return self.is_flushed

    def take_notices(self) -> tuple[bytes, bool]:
        """Return them once."""
        taken, self.notices = self.notices, (b"", False)
        return taken


class FailingLedger:
    """A ledger whose disk is full for a while."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.is_full = False

    def write(self, *arguments: Any, **named: Any) -> None:  # noqa: ANN401  passed through
        """Fail, or write."""
        if self.is_full:
            raise sqlite3.OperationalError("database or disk is full")
        self._ledger.write(*arguments, **named)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  passed through
        """Do everything else as the ledger does."""
        return getattr(self._ledger, name)


class Bed:
    """A keeper with parts that obey."""

    def __init__(self, folder: Path) -> None:
        self.journal = FakeJournal()
        self.ledger = FailingLedger(Ledger.open(folder / "ledger.sqlite", epoch=7, now_ns=0))
        self.clock = ManualClock(wall_ns=100)
        self.keeper = Keeper(
            cast("Journal", self.journal), cast("Ledger", self.ledger), clock=self.clock, coverage_days=30
        )

    async def told(self, ts_start: int = 1, ts_end: int = 0) -> list[tuple[int, int, str]]:
        """Return the spans of an answer."""
        found = await self.keeper.coverage(TOPIC, ts_start=ts_start, ts_end=ts_end)
        return [(span.ts_start, span.ts_end, span.state.name) for span in found.spans]


@pytest.fixture
def bed(tmp_path: Path) -> Bed:
    return Bed(tmp_path)


async def test_an_answer_reaches_to_this_moment_and_never_beyond(bed: Bed) -> None:
    bed.journal.notices = (state(40), False)
    assert await bed.told() == [(1, 40, "NOT_COVERED"), (40, 100, "COMPLETE")]
    assert (await bed.told(ts_end=10**6))[-1] == (40, 100, "COMPLETE")
    bed.clock.wall = 200
    assert (await bed.told())[-1] == (40, 200, "COMPLETE")


async def test_what_the_journal_cannot_vouch_for_is_not_covered(bed: Bed) -> None:
    bed.journal.notices = (state(40), False)
    await bed.told()
    bed.journal.is_flushed, bed.clock.wall = False, 150
    assert (await bed.told())[-2:] == [(40, 100, "COMPLETE"), (100, 150, "NOT_COVERED")]


async def test_notes_wait_for_a_ledger_that_cannot_be_written(
    bed: Bed, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    bed.ledger.is_full = True
    bed.journal.notices = (state(40), False)
    assert await bed.told() == [(1, 100, "NOT_COVERED")]
    bed.journal.notices = (state(60, types_pb2.STATE_DOWN), False)
    await bed.told()
    assert bed.keeper.warnings() == ["LEDGER_STOPPED"]
    bed.ledger.is_full = False
    assert await bed.told() == [(1, 40, "NOT_COVERED"), (40, 60, "COMPLETE"), (60, 100, "NOT_COVERED")]
    assert bed.keeper.warnings() == []
    assert caplog.messages == ["ledger.stopped", "ledger.resumed"]


async def test_notes_beyond_the_bound_cost_the_proof(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    bed.journal.notices = (state(40), False)
    await bed.told()
    bed.ledger.is_full, bed.clock.wall = True, 150
    monkeypatch.setattr(keeper, "PENDING_BYTES_MAX", 10)
    bed.journal.notices = (state(120), False)
    await bed.told()
    bed.ledger.is_full = False
    assert (await bed.told())[-2:] == [(40, 100, "COMPLETE"), (100, 150, "UNPROVEN")]


def test_warnings_name_what_is_wrong(bed: Bed) -> None:
    assert bed.keeper.warnings() == []
    bed.journal.figures = {"failure": "disk full", "records_lost": 3, "damages": 1}
    assert bed.keeper.warnings() == ["JOURNAL_STOPPED", "JOURNAL_INCOMPLETE", "JOURNAL_DAMAGED"]


async def test_a_failure_is_logged_once_and_so_is_its_end(
    bed: Bed, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(keeper, "NOTE_S", 0.001)
    caplog.set_level(logging.INFO)
    bed.keeper.start()
    watching = asyncio.create_task(bed.keeper.watch())
    for failure, event in (("disk full", "journal.stopped"), (None, "journal.resumed")):
        bed.journal.figures = bed.journal.figures | {"failure": failure}
        async with asyncio.timeout(60):
            while event not in caplog.messages:  # noqa: ASYNC110  the log tells no event
                await asyncio.sleep(0.001)
    watching.cancel()
    await asyncio.wait([watching])
    await bed.keeper.stop()
    assert caplog.messages == ["journal.stopped", "journal.resumed"]
    assert bed.journal.calls == ["start", "stop"]
