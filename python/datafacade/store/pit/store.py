"""Keep snapshots while a service runs: one thread writes what waits, in groups; anybody reads.

What waits is encoded meanwhile by others, and written in the order in which it came.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple, Self, TypeVar

from datafacade.clock import Clock, SystemClock
from datafacade.errors import FacadeError, PitCorrupt, PitExists, PitSkipped, PitWriteFailed
from datafacade.store.pit.content import Prepared, prepare
from datafacade.store.pit.index import Catalog
from datafacade.store.pit.record import Draft, PitRef
from datafacade.store.pit.recovery import Findings
from datafacade.store.pit.snapshot import PitSnapshot
from datafacade.store.pit.vault import BYTES_MAX, Vault

log = logging.getLogger(__name__)

T = TypeVar("T")

ENCODERS: Final = 2  # threads that make JSON and gzip while the writer waits for the disk
WAITING_MAX: Final = 64  # snapshots that wait for the disk; what comes then is skipped, and told


@dataclass(slots=True)
class Counts:
    """What became of the snapshots that were to be kept, since the start."""

    committed: int = 0
    groups: int = 0  # commits of one or more
    existing: int = 0  # refused, since they are there already
    skipped: int = 0  # told PIT_SKIPPED: too many waited
    failed: int = 0
    bytes_written: int = 0  # of all files
    text_bytes: int = 0  # of readable forms
    packed_bytes: int = 0  # of the same, as they lie on the disk


class PitStats(NamedTuple):
    """How a store stands."""

    snapshots: int
    entities: int
    bytes_live: int  # of the answers
    seq: int  # of the newest record
    head: str  # its hash: names everything that was ever done
    waiting: int
    counts: Counts
    failure: str  # why the newest commit failed; "": it did not
    findings: Findings  # of the start


class _Put(NamedTuple):
    prepared: Future[Prepared]
    done: Future[PitRef]


class _Work(NamedTuple):
    do: Callable[[], None]


class PitStore:
    """Snapshots of one directory; see ``docs/pit.md`` for what is promised.

    Reading blocks for one file and is safe from any thread; ``put`` returns when the snapshot is on the disk.
    """

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._clock = vault.clock
        self._queue: queue.SimpleQueue[_Put | _Work | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._waiting = 0
        self._is_closed = False
        self._counts = Counts()
        self._failure = ""
        self._encoders = ThreadPoolExecutor(ENCODERS, thread_name_prefix="pit-encode")
        self._thread = threading.Thread(target=self._run, name="pit-writer")
        self._thread.start()

    @classmethod
    def open(cls, path: Path, *, clock: Clock | None = None, bytes_max: int = BYTES_MAX) -> Self:
        """Open a directory for writing, put in order what a crash left, and start the writer.

        Args:
            path: The store; it is made if it is not there.
            clock: Where times come from; None: the machine's.
            bytes_max: Answers that are kept in all, bytes; beyond, commits are refused.

        Raises:
            PitUnusable: It cannot be used.
        """
        return cls(Vault.open(path, is_writable=True, clock=clock or SystemClock(), bytes_max=bytes_max))

    async def put(
        self,
        entity: str,
        kind: str,
        message: bytes,
        *,
        readable: Mapping[str, Any] | bytes | None,
        ts_wall: int = 0,
        rows: int = 0,
        sources: Sequence[str] = (),
        labels: Sequence[str] = (),
        references: Sequence[str] = (),
    ) -> PitRef:
        """Keep an answer; return when it is on the disk. The arguments are those of ``Draft``.

        Raises:
            PitExists: A snapshot of these very bytes is there already.
            PitSkipped: Too many wait.
            PitFull: The disk or the store is.
            PitWriteFailed: The disk refuses.
            InvalidRequest: An argument is beyond its bound.
        """
        draft = Draft(
            entity=entity,
            kind=kind,
            message=message,
            readable=readable,
            ts_wall=ts_wall,
            rows=rows,
            sources=tuple(sources),
            labels=tuple(labels),
            references=tuple(references),
        )
        return await asyncio.wrap_future(self.submit(draft))

    def submit(self, draft: Draft) -> Future[PitRef]:
        """Hand over what is to be kept; the future ends as ``put`` does."""
        done: Future[PitRef] = Future()
        with self._lock:
            is_taken = self._waiting < WAITING_MAX and not self._is_closed
            self._waiting += is_taken
            self._counts.skipped += not is_taken
            if is_taken:  # within the lock: behind the end of the queue it would wait for ever
                now, mono = draft.ts_wall or self._clock.wall_ns(), self._clock.monotonic_ns()
                prepared = self._encoders.submit(prepare, draft, ts_wall=now, ts_mono=mono)
                self._queue.put(_Put(prepared, done))
        if not is_taken:
            log.warning("pit.skipped", extra={"entity": draft.entity, "waiting": WAITING_MAX})
            done.set_exception(PitSkipped(WAITING_MAX))
        return done

    async def run(self, work: Callable[[Vault], T]) -> T:
        """Do on the writer's thread what only the writer may: labels, retention, tables.

        Raises:
            PitWriteFailed: The store is closed.
        """
        done: Future[T] = Future()

        def do() -> None:
            if done.set_running_or_notify_cancel():
                try:
                    done.set_result(work(self._vault))
                except Exception as error:  # handed to whoever waits
                    done.set_exception(error)

        with self._lock:
            if self._is_closed:
                raise PitWriteFailed("the store is closed")
            self._queue.put(_Work(do))
        return await asyncio.wrap_future(done)

    def get(self, snapshot_id: str) -> PitSnapshot:
        """Return a snapshot whose bytes are those of its id.

        Raises:
            PitNotFound: None is live, or several begin so.
            PitCorrupt: Its bytes are lost or changed; the file goes into quarantine.
        """
        with self._watched():
            return self._vault.get(snapshot_id)

    def prove(self, ref: PitRef) -> None:
        """Compare a snapshot's bytes with its id; no more than 1 MiB of them is in memory.

        Raises:
            PitCorrupt: They are lost or changed; the file goes into quarantine.
        """
        with self._watched():
            self._vault.prove(ref)

    def piece(self, ref: PitRef, at: int) -> bytes:
        """Return up to 1 MiB of a snapshot's bytes from one on; `prove` it before. Empty: behind the end.

        Raises:
            PitCorrupt: They are lost.
        """
        return self._vault.piece(ref, at)

    def at(self, entity: str, ts: int) -> PitRef:
        """Return the newest snapshot of an entity that was known at a time, ns UTC.

        Raises:
            PitNotFound: Nothing was known.
        """
        return self._vault.at(entity, ts)

    def list(
        self,
        entity: str,
        ts_from: int,
        ts_to: int,
        *,
        limit: int | None = None,
        after: tuple[int, int] | None = None,
    ) -> Sequence[PitRef]:
        """Return an entity's snapshots, oldest first, as ``Vault.list`` does."""
        return self._vault.list(entity, ts_from, ts_to, limit=limit, after=after)

    def find(self, snapshot_id: str) -> PitRef:
        """Return where a snapshot stands.

        Raises:
            PitNotFound: None is live, or several begin so.
        """
        return self._vault.find(snapshot_id)

    def entities(self) -> Sequence[str]:
        """Return all entities that have a snapshot, sorted."""
        return self._vault.entities()

    @property
    def catalog(self) -> Catalog:
        """What is live, for those who follow it."""
        return self._vault.catalog

    def stats(self) -> PitStats:
        """Return how the store stands."""
        with self._vault.catalog.lock:
            index = self._vault.catalog.index
            snapshots, entities, size = len(index), len(index.entities), index.bytes_live
        chain = self._vault.manifest.chain
        return PitStats(
            snapshots=snapshots,
            entities=entities,
            bytes_live=size,
            seq=chain.seq,
            head=chain.head,
            waiting=self._waiting,
            counts=self._counts,
            failure=self._failure,
            findings=self._vault.findings,
        )

    def close(self) -> None:
        """Write what waits, and end; idempotent."""
        with self._lock:
            was_closed, self._is_closed = self._is_closed, True
        if not was_closed:
            self._queue.put(None)
            self._thread.join()
            self._encoders.shutdown()
            self._vault.close()

    @contextlib.contextmanager
    def _watched(self) -> Iterator[None]:
        """Have what a reader finds damaged put aside."""
        try:
            yield
        except PitCorrupt as corrupt:
            damaged = corrupt.snapshot_id
            self._queue.put(_Work(lambda: self._quarantine(damaged)))
            raise

    # On the thread

    def _run(self) -> None:
        is_over = False
        while not is_over:
            batch = [self._queue.get()]
            while batch[-1] is not None and len(batch) < WAITING_MAX and not self._queue.empty():
                batch.append(self._queue.get())
            is_over = batch[-1] is None
            self._commit([item for item in batch if isinstance(item, _Put)])
            for item in batch:
                if isinstance(item, _Work):
                    item.do()

    def _commit(self, items: Sequence[_Put]) -> None:
        with self._lock:
            self._waiting -= len(items)
        ready = [(item, one) for item in items if (one := self._prepared(item)) is not None]
        if not ready:
            return
        try:
            outcomes = self._vault.commit([one for _, one in ready])
        except Exception as error:  # the root of the thread: those who wait must hear of it
            log.exception("pit.failed")
            for item, _ in ready:
                item.done.set_exception(error)
            return
        self._counts.groups += 1
        for (item, one), outcome in zip(ready, outcomes, strict=True):
            self._settle(item, one, outcome)

    def _prepared(self, item: _Put) -> Prepared | None:
        if not item.done.set_running_or_notify_cancel():
            return None
        try:
            return item.prepared.result()
        except Exception as error:  # handed to whoever waits
            item.done.set_exception(error)
            return None

    def _settle(self, item: _Put, one: Prepared, outcome: PitRef | FacadeError) -> None:
        if isinstance(outcome, PitRef):
            text, packed = one.readable
            counts = self._counts
            counts.committed += 1
            counts.bytes_written += one.size
            counts.text_bytes, counts.packed_bytes = counts.text_bytes + text, counts.packed_bytes + packed
            self._failure = ""
            item.done.set_result(outcome)
            return
        self._count(outcome)
        item.done.set_exception(outcome)

    def _count(self, error: FacadeError) -> None:
        if isinstance(error, PitExists):
            self._counts.existing += 1
            return
        self._counts.failed += 1
        self._failure = error.message
        log.error("pit.failed", extra={"problem": error.message})

    def _quarantine(self, snapshot_id: str) -> None:
        try:
            paths = self._vault.bad_files(snapshot_id)
            self._vault.quarantine(paths, why="noticed by a read")
        except (OSError, FacadeError) as error:
            log.error("pit.quarantine_failed", extra={"problem": str(error)})
