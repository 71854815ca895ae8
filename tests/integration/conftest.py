"""Patience for every service that runs in the process of a test."""

from __future__ import annotations

import pytest

from datafacade.app import run
from datafacade.warm import klines, prices, snapshots


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a service wait for its venues' lists and answers, and for its disk, however busy the machine is."""
    monkeypatch.setattr(run, "LISTED_WITHIN_S", 300.0)
    for module in (klines, prices, snapshots):
        monkeypatch.setattr(module, "PATIENCE_S", 60.0)
