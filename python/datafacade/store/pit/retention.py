"""Let go of what is old: never what is young, kept or still needed, nor much at once unless confirmed."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from datafacade.store.pit.files import Folder, opened
from datafacade.store.pit.index import Index
from datafacade.store.pit.names import METADATA, day_of, meta_name
from datafacade.store.pit.publish import forget
from datafacade.store.pit.record import DROP, PitRef
from datafacade.store.pit.vault import Vault

HOURS: Final = 24
SHARE_MAX: Final = 0.1  # of all snapshots that one run may delete, ratio
HOUR_NS: Final = 3_600 * 10**9
DAY_NS: Final = 24 * HOUR_NS
TELL_EACH: Final = 256
RECORDS_MAX: Final = 10_000  # of one segment: a reader refuses segments that are far too large

Tell = Callable[[int, int], None]  # deleted, of so many


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a run would delete."""

    going: tuple[PitRef, ...]  # oldest first
    expired: int  # old enough, and not held
    held: int  # old enough, but kept by a label or needed by another
    snapshots: int

    @property
    def waiting(self) -> int:
        """Expired ones that are left to later runs, or to a confirmation."""
        return self.expired - len(self.going)


def plan(index: Index, *, now: int, hours: int = HOURS, is_confirmed: bool = False) -> Plan:
    """Return what a run would delete: nothing younger than ``hours``, and at most a tenth of all.

    A tenth, since a clock that is wrong by a month must not cost more than that before somebody looks.

    Args:
        index: What is there.
        now: Wall time, ns UTC.
        hours: How long answers are kept.
        is_confirmed: Whether somebody looked: then all that has expired goes.
    """
    old = [*index.refs(now - hours * HOUR_NS)]
    expired = sorted(
        (ref for ref in old if not index.is_held(ref.id)), key=lambda ref: (ref.ts_wall, ref.seq)
    )
    most = len(expired) if is_confirmed else int(len(index) * SHARE_MAX)
    return Plan(
        going=tuple(expired[:most]), expired=len(expired), held=len(old) - len(expired), snapshots=len(index)
    )


def sweep(vault: Vault, *, hours: int = HOURS, is_confirmed: bool = False, tell: Tell | None = None) -> Plan:
    """Delete what has expired; return what was deleted and what was left.

    First the manifest says that they are gone, durably; then their files go. Killed in between, the next
    start removes the files: a snapshot is either whole or dropped.

    Raises:
        OSError: The disk refuses.
        PitUnusable: The store was opened for reading.
    """
    writer, now = vault.writer, vault.clock.wall_ns()
    with writer.turn():
        chosen = plan(vault.catalog.index, now=now, hours=hours, is_confirmed=is_confirmed)
        if chosen.going:
            why = f"older than {hours} h"
            for at in range(0, len(chosen.going), RECORDS_MAX):
                part = chosen.going[at : at + RECORDS_MAX]
                writer.record([{"op": DROP, "id": ref.id, "ts": now, "why": why} for ref in part])
            for done, ref in enumerate(chosen.going, 1):
                _remove(vault.root, ref)
                if tell is not None and (done % TELL_EACH == 0 or done == len(chosen.going)):
                    tell(done, len(chosen.going))
            _remove_days(vault.root, chosen, now)
            writer.manifest.cut(vault.catalog.index.seq_first(), writer.publish, ts=now)
        told = {"dropped": len(chosen.going), "expired": chosen.expired, "held": chosen.held, "hours": hours}
        writer.trail.write(
            "gc", ts=now, told=told | {"confirmed": is_confirmed, "snapshots": chosen.snapshots}
        )
    return chosen


def _remove(root: Folder, ref: PitRef) -> None:
    """Remove the files of a snapshot, as far as the disk lets us; the next start goes on."""
    entity, day, name = ref.path.split("/")
    stem = name[: name.index(".")]
    with contextlib.suppress(OSError), opened(root, entity, METADATA) as folder:
        forget(folder, meta_name(ref.id))
    with contextlib.suppress(OSError), opened(root, entity, day) as folder:
        for suffix in (".json.gz", ".pb", ".parquet"):
            forget(folder, stem + suffix)


def _remove_days(root: Folder, chosen: Plan, now: int) -> None:
    """Remove days that are empty; not the newest ones, since commits may be on their way there."""
    busy = {day_of(now), day_of(max(now - DAY_NS, 0))}
    for entity, day in {tuple(ref.path.split("/")[:2]) for ref in chosen.going}:
        if day not in busy:
            with contextlib.suppress(OSError), opened(root, entity) as folder:
                folder.remove(day)
