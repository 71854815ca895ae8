"""Open the store of snapshots; a service without one answers all the same."""

from __future__ import annotations

import logging

from datafacade.clock import Clock
from datafacade.config import Config
from datafacade.errors import PitUnusable
from datafacade.store.datadir import DataDir
from datafacade.store.pit.store import PitStore
from datafacade.warm.snapshots import Snapshots

log = logging.getLogger(__name__)


def open_snapshots(config: Config, data: DataDir | None, *, clock: Clock) -> Snapshots | None:
    """Return what keeps answers; None: this configuration, or a run without a data directory, keeps none.

    A directory that cannot be used does not end the service: Health warns, nothing is kept.
    """
    if data is None or not config.cache.pit_snapshots.enabled:
        return None
    path = data.path / config.pit.base_path
    try:
        path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        store = PitStore.open(path, clock=clock, bytes_max=config.pit.bytes_max)
    except (OSError, PitUnusable) as error:
        log.error("pit.unusable", extra={"problem": str(error)})
        return Snapshots(path, None, clock=clock)
    return Snapshots(path, store, clock=clock)
