"""Commit a group of snapshots: every file by the protocol of FAULTS 1.5, and what can be shared once for all.

The files of a group are written one after the other and synced side by side, so that the disk's journal is
written once for many; each folder that got new names is synced once; one segment of the manifest holds all.
It is synced beside them under a name that nobody knows, and gets its own when all of theirs are on the disk:
a group waits three times, for contents, for names, for the record.
"""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from datafacade.errors import FacadeError, PitExists, PitFull, PitWriteFailed
from datafacade.store.pit.audit import Trail
from datafacade.store.pit.content import Prepared
from datafacade.store.pit.files import File, Folder, Lock
from datafacade.store.pit.index import Catalog, key_of
from datafacade.store.pit.manifest import Lines, Manifest, Plan
from datafacade.store.pit.publish import TRIES, Publisher, SyncFailed, Temps, forget, syncing, write
from datafacade.store.pit.record import PitRef

DURABLE_MAX: Final = 65_536  # directories of which it is remembered that they are on the disk
FOLD_SEGMENTS: Final = 512
SYNCS_MAX: Final = 8  # side by side
_FULL: Final = (errno.ENOSPC, errno.EDQUOT)

Outcome = PitRef | FacadeError


@dataclass(slots=True)
class _Attempt:
    """What one attempt has put on the disk, so that it can be taken back."""

    files: list[File] = field(default_factory=list)  # that are open
    temps: list[tuple[Folder, str]] = field(default_factory=list)
    names: list[tuple[Folder, str]] = field(default_factory=list)
    folders: dict[int, Folder] = field(default_factory=dict)  # that got new names

    def touch(self, folder: Folder) -> None:
        """Remember that a folder must be synced."""
        self.folders[id(folder)] = folder

    def undo(self) -> None:
        """Take everything back, as far as the disk lets us."""
        for file in self.files:
            with contextlib.suppress(OSError):
                file.close()
        for folder, name in (*self.temps, *self.names):
            forget(folder, name)


class Folders:
    """Directories of entities and days: open during a group, known to be on the disk from then on."""

    def __init__(self, root: Folder) -> None:
        self._root = root
        self._held: dict[tuple[str, ...], Folder] = {}
        self._durable: set[tuple[str, ...]] = set()

    def get(self, path: tuple[str, ...], touch: Callable[[Folder], None]) -> Folder:
        """Return a directory, made if it is not there.

        Args:
            path: Names from the root on; two at most.
            touch: Told of every directory whose names may not be on the disk yet. One that exists may have
                been made by a process that died before it synced, so its first use counts as making it.
        """
        held = self._held.get(path)
        if held is None:
            parent = self._root if len(path) == 1 else self.get(path[:-1], touch)
            if path not in self._durable:
                parent.make(path[-1])
                touch(parent)
            held = self._held[path] = parent.open(path[-1])
        return held

    def end_group(self) -> None:
        """Close all behind a group that is durable: a store that rests holds no descriptor of them."""
        self._durable |= self._held.keys()
        while len(self._durable) > DURABLE_MAX:
            self._durable.pop()
        self.close()

    def forget(self) -> None:
        """Close all, and take none for durable any more."""
        self._durable.clear()
        self.close()

    def close(self) -> None:
        """Close all."""
        while self._held:
            self._held.popitem()[1].close()


class Writer:
    """The one hand that writes in this process. All methods belong to one thread."""

    def __init__(
        self,
        root: Folder,
        manifest: Manifest,
        trail: Trail,
        *,
        catalog: Catalog,
        lock: Lock,
        token: str,
        bytes_max: int,
        is_parallel: bool = True,
    ) -> None:
        self.manifest = manifest
        self.trail = trail
        self.catalog = catalog
        self._lock = lock
        self._temps = Temps(token)
        self.publish = Publisher(self._temps)
        self._bytes_max = bytes_max
        self._folders = Folders(root)
        self._syncs = ThreadPoolExecutor(SYNCS_MAX, thread_name_prefix="pit-sync") if is_parallel else None

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Hold the store against other processes, and know all that they did."""
        self._lock.hold()
        try:
            self._catch_up()
            yield
        finally:
            self._lock.release()

    def commit(self, group: Sequence[Prepared], *, ts: int) -> list[Outcome]:
        """Make a group durable; return what became of each. What is returned as a reference is on the disk.

        Args:
            group: What to write.
            ts: Wall time for the audit log, ns UTC.
        """
        try:
            with self.turn():
                outcomes = self._commit(group)
                self._tell(outcomes, ts)
                self._fold()
        except OSError as error:
            return [_failure(error) for _ in group]
        return outcomes

    def record(self, told: Sequence[dict[str, object]]) -> list[Lines]:
        """Append records of other operations; call it within ``turn``.

        Raises:
            OSError: The disk refuses.
        """
        lines = self.manifest.append(self.manifest.plan(told), self.publish)
        self.catalog.apply(lines)
        return lines

    def close(self) -> None:
        """Let go of everything."""
        self._folders.close()
        if self._syncs is not None:
            self._syncs.shutdown()
        self.trail.close()
        self._lock.close()

    def _commit(self, group: Sequence[Prepared]) -> list[Outcome]:
        outcomes: dict[int, Outcome] = {}
        taken: set[bytes] = set()
        room = self._bytes_max - self.catalog.index.bytes_live
        for at, one in enumerate(group):
            room -= len(one.parts[0].content)
            if one.id in self.catalog.index or key_of(one.id) in taken:
                outcomes[at] = PitExists(one.id)
            elif room < 0:
                outcomes[at] = PitFull(f"pit.bytes_max of {self._bytes_max} is reached")
            taken.add(key_of(one.id))
        for turn in range(1, TRIES + 1):
            left = {at: one for at, one in enumerate(group) if at not in outcomes}
            if not left:
                break
            try:
                outcomes |= self._attempt(left)
                break
            except (SyncFailed, FileNotFoundError) as error:  # the latter: a folder was removed under us
                self._folders.forget()
                if turn == TRIES:
                    outcomes |= {at: _failure(error) for at in left}
            except OSError as error:
                self._folders.forget()
                outcomes |= {at: _failure(error) for at in left}
                break
        self._folders.end_group()
        return [outcomes[at] for at in range(len(group))]

    def _attempt(self, group: dict[int, Prepared]) -> dict[int, Outcome]:
        attempt = _Attempt()
        try:
            plan = self.manifest.plan([one.values for one in group.values()])
            self._write(attempt, group, plan)
            refused = self._name(attempt, group)
            kept = {at: one for at, one in group.items() if at not in refused}
            self._sync([*attempt.folders.values()])
            lines = self._record(attempt, plan, kept, is_as_planned=not refused)
        except BaseException:
            attempt.undo()
            raise
        self.catalog.apply(lines)
        return {**refused, **{at: self.catalog.index.known(one.id) for at, one in kept.items()}}

    def _write(self, attempt: _Attempt, group: dict[int, Prepared], plan: Plan) -> None:
        """Write all files under names that nobody knows, and wait until they are on the disk."""
        for one in group.values():
            for part in one.parts:
                self._stage(attempt, self._folders.get(part.folder, attempt.touch), part.content)
        self._stage(attempt, self.manifest.folder, plan.text)
        for file in attempt.files:
            file.start()
        self._sync(attempt.files)
        while attempt.files:
            attempt.files.pop().close()

    def _stage(self, attempt: _Attempt, folder: Folder, content: bytes) -> None:
        temp = self._temps.name()
        attempt.temps.append((folder, temp))
        attempt.files.append(write(folder, temp, content))

    def _name(self, attempt: _Attempt, group: dict[int, Prepared]) -> dict[int, Outcome]:
        """Give the files of snapshots their names; of which one is taken, that is refused as a whole."""
        refused: dict[int, Outcome] = {}
        *staged, record = attempt.temps  # in the order in which they were written
        temps = iter(staged)
        for at, one in group.items():
            pairs = [(*next(temps), part.name) for part in one.parts]
            before = len(attempt.names)
            try:
                for folder, temp, name in pairs:
                    folder.link(temp, name)
                    attempt.names.append((folder, name))
            except FileExistsError:
                refused[at] = PitExists(one.id)
                while len(attempt.names) > before:
                    forget(*attempt.names.pop())
            for folder, temp, _ in pairs:
                folder.unlink(temp)
                attempt.touch(folder)
        attempt.temps[:] = [record]
        return refused

    def _record(
        self, attempt: _Attempt, plan: Plan, kept: dict[int, Prepared], *, is_as_planned: bool
    ) -> list[Lines]:
        """Publish the record of all that have their names, now that these are on the disk."""
        ((folder, temp),) = attempt.temps
        if is_as_planned:
            return self.manifest.append(plan, partial(self.publish.name, temp))
        forget(folder, temp)
        if not kept:
            return []
        fewer = self.manifest.plan([one.values for one in kept.values()])
        return self.manifest.append(fewer, self.publish)

    def _sync(self, things: Sequence[File | Folder]) -> None:
        """Wait for all; side by side they share what the disk does."""
        with syncing():
            if self._syncs is None:
                _sync_each(things)
                return
            parts = [things[at::SYNCS_MAX] for at in range(min(SYNCS_MAX, len(things)))]
            syncs = [self._syncs.submit(_sync_each, part) for part in parts]
            wait(syncs)  # all of them: whoever closes a file must know that nobody syncs it any more
            for sync in syncs:
                sync.result()

    def _catch_up(self) -> None:
        news = self.manifest.news()
        if news is None:
            self.catalog.rebuild(self.manifest.read())
        else:
            self.catalog.apply(news)

    def _tell(self, outcomes: Sequence[Outcome], ts: int) -> None:
        seqs = [outcome.seq for outcome in outcomes if isinstance(outcome, PitRef)]
        if seqs:
            told = {"first": min(seqs), "last": max(seqs), "head": self.manifest.chain.head}
            with contextlib.suppress(OSError):  # what is committed is committed; the next start tells it
                self.trail.write("commit", ts=ts, told=told)

    def _fold(self) -> None:
        with contextlib.suppress(OSError):
            self.manifest.fold(self.publish, least=FOLD_SEGMENTS)


def _sync_each(things: Sequence[File | Folder]) -> None:
    for thing in things:
        thing.sync()


def _failure(error: OSError) -> FacadeError:
    problem = (error.strerror or type(error).__name__).lower()
    if error.errno in _FULL:
        return PitFull(problem)
    return PitWriteFailed(problem)
