"""Touch the disk, one system call a method, always relative to an open directory and never through a link.

``Folder`` is what the store needs of a file system; ``DiskFolder`` is the real one. Tests put a simulated
disk in its place that loses what was not synced.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol, Self

from datafacade._core import listing

DIRECTORY_MODE: Final = 0o750
FILE_MODE: Final = 0o440
GROWING_MODE: Final = 0o640  # of the audit log, which is appended to
# Errors that say something of a file; every other says that it cannot be looked at now, and proves nothing.
_NO_FILE: Final = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENXIO, errno.EINVAL)
DAMAGED: Final = frozenset((*_NO_FILE, errno.EFBIG, errno.EIO))
FILE_BYTES_MAX: Final = 256 * 2**20  # nothing larger is ever read into memory

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FRESH: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK  # a planted FIFO must not hold us
_LOCK: Final = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
_APPEND: Final = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a directory says of one entry."""

    is_file: bool
    is_folder: bool
    size: int  # bytes
    links: int
    inode: int
    mode: int
    mtime_ns: int


class File(Protocol):
    """An open file that is being written."""

    def write(self, content: bytes) -> None:
        """Write all of it."""
        ...

    def start(self) -> None:
        """Let the disk begin, without waiting: files on their way share one turn of its journal."""
        ...

    def sync(self) -> None:
        """Wait until it is on the disk. After an error the file is worth nothing: it is never asked again."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


class Lock(Protocol):
    """What at most one process holds."""

    def hold(self) -> None:
        """Wait for it."""
        ...

    def release(self) -> None:
        """Let the next one in."""
        ...

    def close(self) -> None:
        """Let go of the file."""
        ...


class Folder(Protocol):
    """An open directory."""

    def open(self, name: str) -> Folder:
        """Open a directory in it; a link is refused with ``OSError``."""
        ...

    def make(self, name: str) -> bool:
        """Make a directory; return False if there is one of this name."""
        ...

    def create(self, name: str) -> File:
        """Create a file that must not exist."""
        ...

    def append(self, name: str) -> File:
        """Open a file for appending; it is made if it is not there."""
        ...

    def link(self, name: str, target: str) -> None:
        """Give a file a second name; ``FileExistsError`` if that is taken, by whatever."""
        ...

    def move(self, name: str, folder: Folder, target: str) -> None:
        """Move an entry into another directory under a name that is free there."""
        ...

    def unlink(self, name: str) -> None:
        """Remove a name of a file."""
        ...

    def remove(self, name: str) -> None:
        """Remove a directory that is empty."""
        ...

    def read(self, name: str, *, offset: int = 0, size: int | None = None) -> bytes:
        """Return a file's content or a part of it; what is no regular file is refused with ``OSError``."""
        ...

    def names(self) -> list[str]:
        """Return all names in it, sorted."""
        ...

    def listing(self) -> bytes:
        """Return all names in it as the disk has them, each with a zero byte behind it, in no order."""
        ...

    def facts(self, name: str) -> Facts | None:
        """Return what is known of an entry, links not followed; None: there is none."""
        ...

    def stamp(self) -> int:
        """Return the directory's own time of change, ns."""
        ...

    def lock(self, name: str) -> Lock:
        """Open the file that processes lock to take turns; it stays empty."""
        ...

    def sync(self) -> None:
        """Wait until its names are on the disk."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


class DiskFile:
    """A file of the real disk."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def write(self, content: bytes) -> None:
        """Write all of it, in as many calls as the system wants."""
        rest = memoryview(content)
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]

    def start(self) -> None:
        """Let the disk begin; a hint, that promises nothing."""
        os.posix_fadvise(self._descriptor, 0, 0, os.POSIX_FADV_DONTNEED)

    def sync(self) -> None:
        """Wait for the disk."""
        os.fsync(self._descriptor)

    def close(self) -> None:
        """Let go of it."""
        os.close(self._descriptor)


class DiskLock:
    """A lock of the system on an open file; it ends with the process, however that ends."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def hold(self) -> None:
        """Wait for it."""
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)

    def release(self) -> None:
        """Let the next one in."""
        fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._descriptor)


class DiskFolder:
    """A directory of the real disk, held open."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    @classmethod
    def root(cls, path: Path, *, is_made: bool) -> Self:
        """Open the root of a store.

        Args:
            path: Where; symbolic links above it are the operator's own.
            is_made: Whether to make it if it is not there.

        Raises:
            OSError: It is not there, no directory, or forbidden.
        """
        if is_made:
            path.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
        return cls(os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))

    def open(self, name: str) -> DiskFolder:
        """Open a directory in it; a link is refused."""
        return DiskFolder(os.open(name, _FOLDER, dir_fd=self.descriptor))

    def make(self, name: str) -> bool:
        """Make a directory; return False if there is one of this name."""
        try:
            os.mkdir(name, DIRECTORY_MODE, dir_fd=self.descriptor)
        except FileExistsError:
            return False
        return True

    def create(self, name: str) -> DiskFile:
        """Create a file that must not exist; nobody may write it once it is closed."""
        return DiskFile(os.open(name, _FRESH, FILE_MODE, dir_fd=self.descriptor))

    def append(self, name: str) -> DiskFile:
        """Open a file for appending."""
        return DiskFile(os.open(name, _APPEND, GROWING_MODE, dir_fd=self.descriptor))

    def link(self, name: str, target: str) -> None:
        """Give a file a second name, if that is free."""
        os.link(name, target, src_dir_fd=self.descriptor, dst_dir_fd=self.descriptor, follow_symlinks=False)

    def move(self, name: str, folder: Folder, target: str) -> None:
        """Move an entry; a link moves as a link."""
        if not isinstance(folder, DiskFolder):
            raise TypeError("expected a folder of the same disk")
        if folder.facts(target) is not None:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), target)
        os.rename(name, target, src_dir_fd=self.descriptor, dst_dir_fd=folder.descriptor)

    def unlink(self, name: str) -> None:
        """Remove a name of a file."""
        os.unlink(name, dir_fd=self.descriptor)

    def remove(self, name: str) -> None:
        """Remove a directory that is empty."""
        os.rmdir(name, dir_fd=self.descriptor)

    def read(self, name: str, *, offset: int = 0, size: int | None = None) -> bytes:
        """Return a file's content or a part of it."""
        descriptor = os.open(name, _READ, dir_fd=self.descriptor)
        try:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                raise OSError(errno.EINVAL, "expected a regular file", name)
            wanted = found.st_size - offset if size is None else size
            if wanted > FILE_BYTES_MAX:
                raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), name)
            return _read_all(descriptor, offset, wanted)
        finally:
            os.close(descriptor)

    def names(self) -> list[str]:
        """Return all names in it, sorted."""
        return sorted(map(os.fsdecode, self.listing().split(b"\0")[:-1]))

    def listing(self) -> bytes:
        """Return all names in it as the disk has them, each with a zero byte behind it, in no order."""
        return listing(self.descriptor)

    def facts(self, name: str) -> Facts | None:
        """Return what is known of an entry."""
        try:
            found = os.stat(name, dir_fd=self.descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return None
        return Facts(
            is_file=stat.S_ISREG(found.st_mode),
            is_folder=stat.S_ISDIR(found.st_mode),
            size=found.st_size,
            links=found.st_nlink,
            inode=found.st_ino,
            mode=stat.S_IMODE(found.st_mode),
            mtime_ns=found.st_mtime_ns,
        )

    def stamp(self) -> int:
        """Return the directory's own time of change, ns."""
        return os.fstat(self.descriptor).st_mtime_ns

    def lock(self, name: str) -> DiskLock:
        """Open the file that processes lock to take turns."""
        return DiskLock(os.open(name, _LOCK, GROWING_MODE, dir_fd=self.descriptor))

    def sync(self) -> None:
        """Wait for the disk."""
        os.fsync(self.descriptor)

    def close(self) -> None:
        """Let go of it."""
        os.close(self.descriptor)


def problem_of(error: OSError) -> str:
    """Return what is wrong with a file, in words.

    Raises:
        OSError: Nothing that is known: no descriptor was left, or the directory is forbidden. Who took that
            for damage would put a good file aside.
    """
    if error.errno not in DAMAGED:
        raise error
    return (error.strerror or type(error).__name__).lower()


def _read_all(descriptor: int, offset: int, size: int) -> bytes:
    parts = []
    while size > 0:
        part = os.pread(descriptor, size, offset)
        if not part:
            break
        parts.append(part)
        offset, size = offset + len(part), size - len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


@contextlib.contextmanager
def opened(root: Folder, *names: str) -> Iterator[Folder]:
    """Open a directory some levels below another, one level at a time.

    Raises:
        OSError: A level is missing, no directory, or a link.
    """
    folder = root.open(names[0])
    try:
        for name in names[1:]:
            deeper = folder.open(name)
            folder.close()
            folder = deeper
        yield folder
    finally:
        folder.close()
