"""A disk in memory that keeps only what was synced: the oracle of power loss.

POSIX promises no more than this. A file's content is safe once the file was synced, a name once its directory
was. Of all else any part may be there after the power went: each name in any state that it had since its
directory was synced, independent of all other names; each content cut anywhere, its rest zeros.
"""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self

from datafacade.store.pit.files import Facts, File, Folder, Lock


class PowerLoss(BaseException):
    """The power went. Nothing that is called afterwards reaches the disk."""


@dataclass(eq=False)
class Content:
    """A file: what the kernel holds, and what the disk does."""

    now: bytearray = field(default_factory=bytearray)
    synced: bytes = b""
    links: int = 0

    def after(self, draw: random.Random) -> Self:
        """Return what a power loss leaves of it."""
        news = len(self.now) - len(self.synced)
        if not self.now.startswith(self.synced) or news <= 0:
            left = self.synced
        else:
            cut = draw.choice((0, draw.randint(0, news), news))
            zeros = draw.choice((0, 0, news - cut))
            left = bytes(self.now[: len(self.synced) + cut]) + b"\0" * zeros
        return type(self)(bytearray(left), left)


@dataclass(eq=False)
class Names:
    """A directory: what the kernel holds, and every state of each name since it was synced."""

    now: dict[str, Content | Names] = field(default_factory=dict)
    states: dict[str, list[Content | Names | None]] = field(default_factory=dict)
    synced: dict[str, Content | Names] = field(default_factory=dict)
    changes: int = 0
    is_gone: bool = False  # removed, and still held open by somebody

    def set(self, name: str, what: Content | Names | None) -> None:
        """Change a name."""
        if self.is_gone:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)
        self.states.setdefault(name, [self.now.get(name)]).append(what)
        self.changes += 1
        if what is None:
            del self.now[name]
        else:
            self.now[name] = what

    def sync(self) -> None:
        """Make all names durable."""
        self.synced = dict(self.now)
        self.states.clear()

    def after(self, draw: random.Random, seen: dict[int, Content | Names]) -> Names:
        """Return what a power loss leaves of it, and of all that is below."""
        left = dict(self.synced)
        for name, states in self.states.items():
            chosen = draw.choice(states)
            if chosen is None:
                left.pop(name, None)
            else:
                left[name] = chosen
        made = Names()
        for name, what in left.items():
            if id(what) not in seen:
                seen[id(what)] = what.after(draw) if isinstance(what, Content) else what.after(draw, seen)
            kept = seen[id(what)]
            if isinstance(kept, Content):
                kept.links += 1
            made.now[name] = kept
        made.synced = dict(made.now)
        return made


@dataclass(eq=False)
class Disk:
    """The whole of it."""

    root: Names = field(default_factory=Names)
    steps: int = 0  # calls that change something
    dies_at: int = 0  # number of the call before which the power goes; 0: never
    fails: Callable[[str, str], int] | None = (
        None  # errno of a call by its name and that of the file; 0: it works
    )
    syncs_folders: bool = True  # False: the planted bug
    trace: list[str] = field(default_factory=list)

    def folder(self) -> SimulatedFolder:
        """Open its root."""
        return SimulatedFolder(self, self.root)

    def step(self, operation: str, name: str = "") -> None:
        """Count a call; it may be the last one."""
        self.steps += 1
        self.trace.append(f"{operation} {name}")
        if self.dies_at and self.steps >= self.dies_at:
            raise PowerLoss
        number = self.fails(operation, name) if self.fails is not None else 0
        if number:
            raise OSError(number, os.strerror(number), name)

    def after_power_loss(self, draw: random.Random) -> Disk:
        """Return the disk as the next start finds it."""
        return Disk(self.root.after(draw, {}), syncs_folders=self.syncs_folders)


class SimulatedFile:
    """A file that is being written."""

    def __init__(self, disk: Disk, content: Content, name: str) -> None:
        self._disk, self._content, self._name = disk, content, name

    def write(self, content: bytes) -> None:
        """Write in two calls, since a write may be cut."""
        middle = len(content) // 2
        for part in (content[:middle], content[middle:]):
            self._disk.step("write", self._name)
            self._content.now += part

    def start(self) -> None:
        """Promise nothing."""

    def sync(self) -> None:
        """Make the content durable."""
        self._disk.step("fsync", self._name)
        self._content.synced = bytes(self._content.now)

    def close(self) -> None:
        """Let go of it."""


class SimulatedLock:
    """Nobody else is there."""

    def hold(self) -> None:
        """Have it."""

    def release(self) -> None:
        """Give it back."""

    def close(self) -> None:
        """Let go of it."""


class SimulatedFolder:
    """An open directory."""

    def __init__(self, disk: Disk, names: Names) -> None:
        self._disk, self.inside = disk, names

    def open(self, name: str) -> SimulatedFolder:
        """Open a directory in it."""
        found = self._find(name)
        if not isinstance(found, Names):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), name)
        return SimulatedFolder(self._disk, found)

    def make(self, name: str) -> bool:
        """Make a directory."""
        if name in self.inside.now:
            return False
        self._disk.step("mkdir", name)
        self.inside.set(name, Names())
        return True

    def create(self, name: str) -> File:
        """Create a file that must not exist."""
        self._disk.step("create", name)
        return self._made(name)

    def append(self, name: str) -> File:
        """Open a file for appending."""
        found = self.inside.now.get(name)
        if isinstance(found, Content):
            return SimulatedFile(self._disk, found, name)
        return self.create(name)

    def link(self, name: str, target: str) -> None:
        """Give a file a second name."""
        self._disk.step("link", target)
        found = self._find(name)
        if target in self.inside.now:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), target)
        assert isinstance(found, Content)
        found.links += 1
        self.inside.set(target, found)

    def move(self, name: str, folder: Folder, target: str) -> None:
        """Move an entry."""
        assert isinstance(folder, SimulatedFolder)
        self._disk.step("rename", name)
        found = self._find(name)
        folder.inside.set(target, found)
        self.inside.set(name, None)

    def unlink(self, name: str) -> None:
        """Remove a name."""
        self._disk.step("unlink", name)
        found = self._find(name)
        assert isinstance(found, Content)
        found.links -= 1
        self.inside.set(name, None)

    def remove(self, name: str) -> None:
        """Remove a directory that is empty."""
        self._disk.step("rmdir", name)
        found = self._find(name)
        if not isinstance(found, Names) or found.now:
            raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY), name)
        found.is_gone = True
        self.inside.set(name, None)

    def read(self, name: str, *, offset: int = 0, size: int | None = None) -> bytes:
        """Return a file's content."""
        found = self._find(name)
        if not isinstance(found, Content):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), name)
        return bytes(found.now[offset : None if size is None else offset + size])

    def names(self) -> list[str]:
        """Return all names in it."""
        return sorted(self.inside.now)

    def listing(self) -> bytes:
        """Return all names in it, each with a zero byte behind it."""
        return b"".join(os.fsencode(name) + b"\0" for name in self.inside.now)

    def facts(self, name: str) -> Facts | None:
        """Return what is known of an entry."""
        found = self.inside.now.get(name)
        if found is None:
            return None
        is_file = isinstance(found, Content)
        return Facts(
            is_file=is_file,
            is_folder=not is_file,
            size=len(found.now),
            links=found.links if isinstance(found, Content) else 1,
            inode=id(found),
            mode=0o440,
            mtime_ns=0,
        )

    def stamp(self) -> int:
        """Return a number that any change makes another."""
        return self.inside.changes

    def lock(self, name: str) -> Lock:
        """Return a lock that nobody else wants."""
        del name
        return SimulatedLock()

    def sync(self) -> None:
        """Make the names durable."""
        self._disk.step("fsync", "/")
        if self._disk.syncs_folders:
            self.inside.sync()

    def close(self) -> None:
        """Let go of it."""

    def _find(self, name: str) -> Content | Names:
        found = self.inside.now.get(name)
        if found is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)
        return found

    def _made(self, name: str) -> SimulatedFile:
        if name in self.inside.now:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), name)
        made = Content(links=1)
        self.inside.set(name, made)
        return SimulatedFile(self._disk, made, name)
