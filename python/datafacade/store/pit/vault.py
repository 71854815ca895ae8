"""The store without its thread: opened, put in order, written and read by whoever holds it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, Self

from datafacade.clock import Clock, SystemClock
from datafacade.errors import PitNotFound, PitUnusable
from datafacade.store.pit import audit, manifest
from datafacade.store.pit.audit import Trail
from datafacade.store.pit.content import Prepared
from datafacade.store.pit.files import DiskFolder, Folder
from datafacade.store.pit.index import Catalog
from datafacade.store.pit.manifest import Manifest
from datafacade.store.pit.names import JSON, METADATA, PROTO, is_id, meta_name
from datafacade.store.pit.record import LABEL, PUT, PitRef, record_from
from datafacade.store.pit.recovery import QUARANTINE, Findings, aside, faults_of, recover
from datafacade.store.pit.snapshot import PitSnapshot, prove_answer, read_answer, read_part, read_piece
from datafacade.store.pit.writer import Outcome, Writer

BYTES_MAX: Final = 10 * 2**30  # of the answers
LOCK: Final = ".lock"


class Vault:
    """A store of snapshots in one directory. A reader needs no lock and changes nothing."""

    def __init__(
        self, root: Folder, *, clock: Clock, catalog: Catalog, book: Manifest, writer: Writer | None
    ) -> None:
        self.root = root
        self.clock = clock
        self.catalog = catalog
        self.manifest = book
        self.findings = Findings()
        self._writer = writer
        self._is_closed = False

    @classmethod
    def open(
        cls, path: Path, *, is_writable: bool, clock: Clock | None = None, bytes_max: int = BYTES_MAX
    ) -> Self:
        """Open a directory; a writer makes it if it is not there, and puts in order what a crash left.

        Raises:
            PitUnusable: It is missing, no store, or cannot be used.
        """
        try:
            root = DiskFolder.root(path, is_made=is_writable)
            try:
                token = os.urandom(8).hex()
                return cls.inside(
                    root, is_writable=is_writable, clock=clock, bytes_max=bytes_max, token=token
                )
            except BaseException:
                root.close()
                raise
        except OSError as error:
            problem = (error.strerror or type(error).__name__).lower()
            raise PitUnusable(str(error.filename or path), problem) from error

    @classmethod
    def inside(
        cls,
        root: Folder,
        *,
        is_writable: bool,
        clock: Clock | None = None,
        bytes_max: int = BYTES_MAX,
        token: str = "",
        is_parallel: bool = True,
    ) -> Self:
        """Open a store in an open directory.

        Args:
            root: The directory; it is closed with the store.
            is_writable: Whether to write; a reader of what is no store is refused.
            clock: Where times come from; None: the machine's.
            bytes_max: Answers that are kept in all, bytes.
            token: What no other process that writes here uses.
            is_parallel: Whether files are synced side by side.

        Raises:
            OSError: It cannot be read or written.
        """
        if is_writable:
            _make_own(root)
        clock, catalog = clock or SystemClock(), Catalog()
        with contextlib.ExitStack() as held:
            book = Manifest(root.open(manifest.FOLDER))
            held.callback(book.folder.close)
            if not is_writable:
                catalog.rebuild(book.read())
                held.pop_all()
                return cls(root, clock=clock, catalog=catalog, book=book, writer=None)
            writer = Writer(
                root,
                book,
                Trail(root.open(audit.FOLDER), actor=audit.actor()),
                catalog=catalog,
                lock=root.lock(LOCK),
                token=token,
                bytes_max=bytes_max,
                is_parallel=is_parallel,
            )
            held.callback(writer.close)
            vault = cls(root, clock=clock, catalog=catalog, book=book, writer=writer)
            with writer.turn():
                vault.findings = recover(root, writer, ts=clock.wall_ns())
            held.pop_all()
            return vault

    @property
    def writer(self) -> Writer:
        """The hand that writes.

        Raises:
            PitUnusable: The store was opened for reading.
        """
        if self._writer is None:
            raise PitUnusable("", "it was opened for reading")
        return self._writer

    def commit(self, group: Sequence[Prepared]) -> list[Outcome]:
        """Make a group durable; return what became of each."""
        return self.writer.commit(group, ts=self.clock.wall_ns())

    def find(self, snapshot_id: str) -> PitRef:
        """Return where a snapshot stands, by its id or the first 16 digits or more.

        Raises:
            PitNotFound: None is live, or several begin so.
        """
        self._refresh()
        with self.catalog.lock:
            ref = self.catalog.index.find(snapshot_id) if is_id(snapshot_id) else None
        if ref is None:
            raise PitNotFound(snapshot_id)
        return ref

    def get(self, snapshot_id: str) -> PitSnapshot:
        """Return a snapshot whose bytes are those of its id.

        Raises:
            PitNotFound: None is live, or several begin so.
            PitCorrupt: Its bytes are lost or changed; a writer has put them into quarantine.
        """
        ref = self.find(snapshot_id)
        return read_answer(self.root, ref, _bytes_path(ref))

    def prove(self, ref: PitRef) -> None:
        """Compare a snapshot's bytes with its id, however large they are.

        Raises:
            PitCorrupt: They are lost or changed.
        """
        prove_answer(self.root, ref, _bytes_path(ref))

    def piece(self, ref: PitRef, at: int) -> bytes:
        """Return up to 1 MiB of a snapshot's bytes from one on, unproven; empty: behind the end.

        Raises:
            PitCorrupt: They are lost.
        """
        return read_piece(self.root, ref, _bytes_path(ref), at)

    def meta(self, ref: PitRef) -> bytes:
        """Return a snapshot's meta file as it is.

        Raises:
            OSError: It cannot be read.
        """
        return read_part(self.root, f"{ref.path.partition('/')[0]}/{METADATA}/{meta_name(ref.id)}")

    def at(self, entity: str, ts: int) -> PitRef:
        """Return the newest snapshot of an entity that was known at a time, ns UTC.

        Raises:
            PitNotFound: Nothing was known.
        """
        self._refresh()
        with self.catalog.lock:
            ref = self.catalog.index.at(entity, ts)
        if ref is None:
            raise PitNotFound(f"{entity} as of {ts}")
        return ref

    def list(
        self,
        entity: str,
        ts_from: int,
        ts_to: int,
        *,
        limit: int | None = None,
        after: tuple[int, int] | None = None,
    ) -> Sequence[PitRef]:
        """Return an entity's snapshots from a time up to before another, oldest first, ns UTC.

        Those of one time come as they were committed.

        Args:
            entity: Whose.
            ts_from: First instant.
            ts_to: First instant behind.
            limit: The oldest so many; None: all of them, some 500 bytes of memory each.
            after: Go on behind the snapshot of this ``ts_wall`` and ``seq``, be it still there or not.
        """
        self._refresh()
        with self.catalog.lock:
            return self.catalog.index.between(entity, ts_from, ts_to, limit=limit, after=after)

    def entities(self) -> Sequence[str]:
        """Return all entities that have a snapshot, sorted."""
        self._refresh()
        with self.catalog.lock:
            return self.catalog.index.entities

    def label(self, snapshot_id: str, labels: Iterable[str]) -> PitRef:
        """Give a snapshot these labels instead of its own; ``keep`` or ``keep:WHY`` holds it.

        Raises:
            PitNotFound: None is live.
            OSError: The disk refuses.
        """
        ref, told, ts = self.find(snapshot_id), sorted(set(labels)), self.clock.wall_ns()
        with self.writer.turn():
            self.writer.record([{"op": LABEL, "id": ref.id, "ts": ts, "labels": told}])
            self.writer.trail.write("label", ts=ts, told={"id": ref.id, "labels": told})
        return self.find(ref.id)

    def bad_files(self, snapshot_id: str) -> Sequence[str]:
        """Return the files of a live snapshot that are not what was written."""
        for line in self.manifest.told():
            if line["op"] == PUT and line["id"] == snapshot_id and snapshot_id in self.catalog.index:
                return [*faults_of(self.root, record_from(line))]
        return []

    def quarantine(self, paths: Iterable[str], *, why: str) -> Sequence[str]:
        """Put files aside that are not what was written; return those that were there."""
        with self.writer.turn():
            return aside(self.root, self.writer.trail, paths, why=why, ts=self.clock.wall_ns())

    def close(self) -> None:
        """Let go of everything; idempotent."""
        if self._is_closed:
            return
        self._is_closed = True
        if self._writer is not None:
            self._writer.close()
        self.manifest.folder.close()
        self.root.close()

    def _refresh(self) -> None:
        """Look whether others wrote; a writer knows."""
        if self._writer is not None:
            return
        news = self.manifest.news()
        if news is None:
            self.catalog.rebuild(self.manifest.read())
        else:
            self.catalog.apply(news)


def _bytes_path(ref: PitRef) -> str:
    """Return the file that holds the very bytes."""
    return ref.path.removesuffix(JSON) + PROTO if ref.path.endswith(JSON) else ref.path


def _make_own(root: Folder) -> None:
    """Make our own directories; a link in the place of one is refused."""
    names = (manifest.FOLDER, audit.FOLDER, QUARANTINE)
    made = [name for name in names if root.make(name)]
    if made:
        root.sync()
    for name in names:
        root.open(name).close()
