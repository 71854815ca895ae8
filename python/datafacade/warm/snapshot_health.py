"""Tell in Health how the store of snapshots stands, and what is wrong with it."""

from __future__ import annotations

from datafacade.store.pit.upkeep import Upkeep
from datafacade.v1 import health_pb2
from datafacade.warm.snapshots import Snapshots


def tell_snapshots(answer: health_pb2.HealthResponse, snapshots: Snapshots, upkeep: Upkeep | None) -> None:
    """Add the row of the store and its warnings; with a warning the service is DEGRADED.

    Args:
        answer: Which has its status already.
        snapshots: What keeps answers.
        upkeep: What reads them again, and keeps their index; None: nothing does.
    """
    row, store = answer.pit, snapshots.opened
    row.skipped = snapshots.missed.count
    if store is not None:
        stats = store.stats()
        counts = stats.counts
        row.snapshots, row.bytes_live = stats.snapshots, stats.bytes_live
        row.committed, row.failed = counts.committed, counts.failed
        row.bytes_written = counts.bytes_written
        if counts.packed_bytes:
            row.compression_ratio = counts.text_bytes / counts.packed_bytes
    if upkeep is not None and upkeep.scrub is not None:
        row.scrubbed = upkeep.scrub.stats.snapshots
        row.ts_scrubbed = upkeep.scrub.stats.ts_through
        row.damaged = upkeep.scrub.damaged()
    if upkeep is not None and upkeep.index is not None:
        status = upkeep.index.status()
        row.index.is_connected, row.index.is_whole = status.is_connected, status.is_whole
        row.index.behind = status.behind
    warnings = [*snapshots.warnings(), *([] if upkeep is None else upkeep.warnings())]
    answer.warnings.extend(warnings)
    is_fine = not warnings and not snapshots.is_degraded
    if not is_fine and answer.status == health_pb2.HEALTH_STATUS_HEALTHY:
        answer.status = health_pb2.HEALTH_STATUS_DEGRADED
