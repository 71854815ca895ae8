"""Open the store of snapshots; a service without one answers all the same."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from datafacade.clock import Clock
from datafacade.config import Config
from datafacade.store.datadir import DIRECTORY_MODE, DataDir
from datafacade.store.pit.store import PitStore
from datafacade.warm.snapshots import Snapshots


def open_snapshots(config: Config, data: DataDir | None, *, clock: Clock) -> Snapshots | None:
    """Return what keeps answers; None: this configuration, or a run without a data directory, keeps none.

    A directory that cannot be used does not end the service: Health warns until it can be.
    """
    kept = config.cache.pit_snapshots
    if data is None or not kept.enabled:
        return None
    path = data.path / config.pit.base_path
    opener = partial(_open, path, clock=clock, bytes_max=config.pit.bytes_max)
    hours = max(kept.retention_hours, config.pit.retention_hours)
    return Snapshots(path, opener, clock=clock, retention_hours=hours)


def _open(path: Path, *, clock: Clock, bytes_max: int) -> PitStore:
    """Open the store, and make the directories above it.

    Raises:
        OSError, PitUnusable: It cannot be used.
    """
    path.parent.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
    return PitStore.open(path, clock=clock, bytes_max=bytes_max)
