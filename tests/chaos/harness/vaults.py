"""Stores that chaos tests begin with, and what must hold of one in the end."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from datafacade.store.pit.files import DiskFolder
from datafacade.store.pit.names import TEMP
from datafacade.store.pit.record import PitRef
from datafacade.store.pit.vault import Vault
from datafacade.store.pit.verify import verify
from tests.unit.store.pit.fakes import ManualClock, draft, keep

OTHER: Final = "warm.klines/okx/ETH-USDT/1m"  # whose folders are made by the commit that is watched
WATCHED: Final = (draft(10), draft(11, entity=OTHER), draft(12))


def before(path: Path) -> list[PitRef]:
    """Make a store with one snapshot in it."""
    vault = Vault.open(path, is_writable=True, clock=ManualClock())
    refs = keep(vault, draft(1))
    vault.close()
    return refs


def opened(path: Path) -> Vault:
    """Open a store whose syncs come one after the other, so that a trace is the same each time."""
    root = DiskFolder.root(path, is_made=True)
    return Vault.inside(root, is_writable=True, clock=ManualClock(), token="t", is_parallel=False)  # noqa: S106


def assert_whole(path: Path, count: int) -> None:
    """Assert that a store holds so many snapshots, all whole."""
    reader = Vault.open(path, is_writable=False)
    try:
        verdict = verify(reader.root)
        assert (verdict.snapshots, verdict.ok, verdict.damages) == (count, count, [])
    finally:
        reader.close()


def assert_clean(path: Path, count: int) -> None:
    """Assert that a store holds so many snapshots and nothing partial."""
    reader = Vault.open(path, is_writable=False)
    try:
        verdict = verify(reader.root)
        assert (verdict.snapshots, verdict.ok, verdict.damages, verdict.unlisted) == (count, count, [], [])
        assert not [name for name in path.rglob("*") if name.name.startswith(TEMP)]
    finally:
        reader.close()
