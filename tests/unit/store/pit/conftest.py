"""A store in a fresh directory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from datafacade.store.pit.vault import Vault
from tests.unit.store.pit.fakes import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    """Return a clock that stands still until it is turned."""
    return ManualClock()


@pytest.fixture
def vault(tmp_path: Path, clock: ManualClock) -> Iterator[Vault]:
    """Return an open store."""
    opened = Vault.open(tmp_path / "pit", is_writable=True, clock=clock)
    yield opened
    opened.close()
