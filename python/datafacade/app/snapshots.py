"""Open the store of snapshots; a service without one answers all the same."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from datafacade.clock import Clock
from datafacade.config import Config
from datafacade.store.datadir import DIRECTORY_MODE, DataDir
from datafacade.store.pit.index import Catalog
from datafacade.store.pit.scrub import Scrub
from datafacade.store.pit.store import PitStore
from datafacade.store.pit.upkeep import Upkeep
from datafacade.warm.snapshots import Snapshots

if TYPE_CHECKING:
    from datafacade.store.pit.index_keeper import IndexKeeper
    from datafacade.store.redis_line import RedisLine
    from datafacade.warm.tables import Tables

SCRUB_MARK: Final = "pit.scrub"  # in the data directory: how far the store was read


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
    return Snapshots(path, opener, clock=clock, retention_hours=hours, tables=_tables(config))


def _tables(config: Config) -> Tables | None:
    if config.pit.format != "parquet":
        return None
    from datafacade.warm.tables import Tables

    return Tables(config.pit.compression)


def build_upkeep(
    config: Config, data: DataDir | None, snapshots: Snapshots | None, *, line: RedisLine | None, clock: Clock
) -> Upkeep | None:
    """Return what is done to the store besides; None: there is no store."""
    if data is None or snapshots is None:
        return None
    scrub = index = None
    if config.pit.scrub_hours:
        scrub = Scrub(
            snapshots.path,
            lambda: snapshots.opened,
            clock=clock,
            hours=config.pit.scrub_hours,
            mark=data.path / SCRUB_MARK,
        )
    if config.pit.redis_index and line is not None:
        index = _index(line, snapshots, clock)
    return Upkeep(scrub=scrub, index=index)


def _index(line: RedisLine, snapshots: Snapshots, clock: Clock) -> IndexKeeper:
    from datafacade.store.pit.index_keeper import IndexKeeper
    from datafacade.store.pit.redis_index import RedisIndex

    def catalog() -> Catalog | None:
        return None if snapshots.opened is None else snapshots.opened.catalog

    return IndexKeeper(RedisIndex(line), catalog, clock=clock)


def _open(path: Path, *, clock: Clock, bytes_max: int) -> PitStore:
    """Open the store, and make the directories above it.

    Raises:
        OSError, PitUnusable: It cannot be used.
    """
    path.parent.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
    return PitStore.open(path, clock=clock, bytes_max=bytes_max)
