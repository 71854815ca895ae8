"""The keeper says what is wrong with the journal, once, and when it is over."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, cast

import pytest

from datafacade._core import Journal
from datafacade.store import keeper
from datafacade.store.keeper import Keeper


class FakeJournal:
    """A journal with the figures that a test gives it."""

    def __init__(self) -> None:
        self.figures: dict[str, Any] = {"failure": None, "records_lost": 0, "damages": 0}
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


def test_warnings_name_what_is_wrong() -> None:
    journal = FakeJournal()
    kept = Keeper(cast("Journal", journal))
    assert kept.warnings() == []
    journal.figures = {"failure": "disk full", "records_lost": 3, "damages": 1}
    assert kept.warnings() == ["JOURNAL_STOPPED", "JOURNAL_INCOMPLETE", "JOURNAL_DAMAGED"]


async def test_a_failure_is_logged_once_and_so_is_its_end(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(keeper, "WATCH_S", 0.001)
    caplog.set_level(logging.INFO)
    journal = FakeJournal()
    kept = Keeper(cast("Journal", journal))
    kept.start()
    watching = asyncio.create_task(kept.watch())
    for failure, event in (("disk full", "journal.stopped"), (None, "journal.resumed")):
        journal.figures = journal.figures | {"failure": failure}
        async with asyncio.timeout(5):
            while event not in caplog.messages:  # noqa: ASYNC110  the log tells no event
                await asyncio.sleep(0.001)
    watching.cancel()
    await asyncio.wait([watching])
    await kept.stop()
    assert caplog.messages == ["journal.stopped", "journal.resumed"]
    assert journal.calls == ["start", "stop"]
