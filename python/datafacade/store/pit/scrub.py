"""Read what is kept again and again, slowly, so that damage is found before anybody needs the answer.

Each segment of the manifest is taken as it is found, and the files of its live snapshots are compared with
their hashes, one snapshot after the other. What is not what was written goes into quarantine, as after a read
that notices. The manifest as a whole and the audit log are what a start and ``pit verify`` look at.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

from datafacade._core import PitChain
from datafacade.clock import NS_PER_S, Clock
from datafacade.errors import FacadeError
from datafacade.store.pit import manifest
from datafacade.store.pit.files import DiskFolder, opened
from datafacade.store.pit.index import Catalog
from datafacade.store.pit.manifest import Segment, segments_of, told_in, whole
from datafacade.store.pit.record import PUT, record_from
from datafacade.store.pit.recovery import faults_of
from datafacade.store.pit.store import PitStore
from datafacade.store.pit.vault import Vault

log = logging.getLogger(__name__)

PACE_S_MAX: Final = 1.0  # between two snapshots: a small store is through early, and rests
RETRY_S: Final = 60.0  # after a disk that cannot be looked at now
MARK_S: Final = 60.0  # between two notes of how far it is
DAMAGED: Final = "PIT_DAMAGED"  # in Health.warnings
_S_PER_HOUR: Final = 3_600


class Step(NamedTuple):
    """A little of the way."""

    seq: int  # from here a scrub that was cut off goes on
    id: str = ""  # of the snapshot that was read; "": none was
    faults: Sequence[str] = ()  # its files that are not what was written


@dataclass(slots=True)
class ScrubStats:
    """What was found since the start."""

    snapshots: int = 0  # that were read
    ts_through: int = 0  # when everything had been read last, ns UTC; 0: not yet
    damaged: dict[str, str] = field(default_factory=dict)  # file by id of a snapshot, or by its own path


class Scrub:
    """Reads one store. ``run`` it as a task; owned by the event loop.

    Args:
        path: The store's directory.
        store: The store; None: it is not open yet.
        clock: Where times come from.
        hours: In which everything is read once.
        mark: File that says how far it is; another start goes on there.
    """

    def __init__(
        self, path: Path, store: Callable[[], PitStore | None], *, clock: Clock, hours: float, mark: Path
    ) -> None:
        self.stats = ScrubStats()
        self._path = path
        self._store = store
        self._clock = clock
        self._period_s = hours * _S_PER_HOUR
        self._mark = mark
        self._marked_at = clock.monotonic_ns()

    async def run(self) -> None:
        """Read everything once in its time, until cancelled."""
        seq = await asyncio.to_thread(self._marked)
        while True:
            begin = self._clock.monotonic_ns()
            store = self._store()
            try:
                if store is not None:
                    await self._pass(store, seq)
                    self.stats.ts_through, seq = self._clock.wall_ns(), 0
            except OSError as error:
                log.warning("pit.scrub_failed", extra={"problem": str(error)})
                seq = await asyncio.to_thread(self._marked)
                begin = self._clock.monotonic_ns() - int((self._period_s - RETRY_S) * NS_PER_S)
            took_s = (self._clock.monotonic_ns() - begin) / NS_PER_S
            await asyncio.sleep(max(PACE_S_MAX, self._period_s - took_s) if store else PACE_S_MAX)

    def damaged(self) -> int:
        """Return how many snapshots and files are damaged, as far as known; those that went do not count."""
        store = self._store()
        if store is None:
            return 0
        known = {*self.stats.damaged, *store.stats().findings.damaged}
        with store.catalog.lock:
            return sum("/" in what or what in store.catalog.index for what in known)

    async def _pass(self, store: PitStore, seq: int) -> None:
        steps = self._steps(store.catalog, seq)
        while (step := await asyncio.to_thread(next, steps, None)) is not None:
            self.stats.snapshots += bool(step.id)
            if step.faults:
                await self._put_aside(store, step)
            self._note(step.seq)
            pace_s = self._period_s / max(1, len(store.catalog.index)) if step.id else 0.0
            await asyncio.sleep(min(PACE_S_MAX, pace_s))
        self._note(0, is_due=True)

    async def _put_aside(self, store: PitStore, step: Step) -> None:
        """Look once more where nobody writes meanwhile, and put aside what is damaged still."""

        def aside(vault: Vault) -> Sequence[str]:
            bad = vault.bad_files(step.id)
            vault.quarantine(bad, why="noticed by the scrub")
            return bad

        bad: Sequence[str] = step.faults
        try:
            bad = await store.run(aside)
        except (OSError, FacadeError) as error:
            log.error("pit.quarantine_failed", extra={"problem": str(error)})
        if bad:
            self.stats.damaged[step.id] = bad[0]
            log.error("pit.damaged", extra={"snapshot": step.id, "files": list(bad)})

    # On other threads

    def _steps(self, catalog: Catalog, seq: int) -> Iterator[Step]:
        """Yield all that is live behind a number, segment by segment as they are found."""
        while (found := self._segment(seq)) is not None:
            segment, content = found
            chain = PitChain(manifest.FOLDER)
            for line in told_in(whole(chain, segment, content)):
                if line["seq"] > seq:
                    yield self._look(catalog, line, segment)
            self._judge(segment, chain)
            seq = max(segment.last, chain.seq)

    def _segment(self, seq: int) -> tuple[Segment, bytes] | None:
        """Return the first segment that may hold a record behind a number; None: there is none."""
        with self._root() as root, opened(root, manifest.FOLDER) as folder:
            while True:
                segments, _ = segments_of(folder.names())
                segment = next((one for one in segments if one.last > seq), None)
                if segment is None:
                    return None
                with contextlib.suppress(FileNotFoundError):  # it was folded or cut off just now
                    return segment, folder.read(segment.name)

    def _look(self, catalog: Catalog, line: dict[str, Any], segment: Segment) -> Step:
        """Return what is to be told of a line: the snapshot that it speaks of is read, if it is live."""
        reached = segment.first - 1 if segment.is_small else line["seq"]
        with catalog.lock:
            ref = catalog.index.find(line["id"]) if line["op"] == PUT else None
        if ref is None or ref.seq != line["seq"]:
            return Step(reached)
        with self._root() as root:
            return Step(reached, ref.id, [*faults_of(root, record_from(line))])

    def _root(self) -> contextlib.closing[DiskFolder]:
        """Open the store for a moment: a scrub that rests holds no descriptor."""
        return contextlib.closing(DiskFolder.root(self._path, is_made=False))

    def _judge(self, segment: Segment, chain: PitChain) -> None:
        """Remember whether a segment of the manifest is what was written."""
        self.stats.damaged.pop(segment.path, None)
        for file, problem in chain.damages():
            self.stats.damaged[file] = file
            log.error("pit.damaged", extra={"files": [file], "problem": problem})

    def _marked(self) -> int:
        """Return how far the scrub of an earlier start came; 0: from the beginning."""
        try:
            return max(0, int(self._mark.read_text("ascii")))
        except (OSError, ValueError):
            return 0

    def _note(self, seq: int, *, is_due: bool = False) -> None:
        """Note now and then how far it is; a note that is lost costs a little more reading."""
        now = self._clock.monotonic_ns()
        if is_due or now - self._marked_at > MARK_S * NS_PER_S:
            self._marked_at = now
            with contextlib.suppress(OSError):
                self._mark.write_text(str(seq), "ascii")
