"""Own one directory: lock it against a second service, number each start above all earlier ones."""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Self

from datafacade.errors import DataDirInUse, DataDirUnusable

MEMORY_ONLY: Final = "none"  # instead of a directory: nothing outlives the process
VARIABLE: Final = "DATAFACADE_DATA_DIR"
DIRECTORY_MODE: Final = 0o750
FILE_MODE: Final = 0o640
EPOCH_MAX: Final = 2**32 - 1

_LOCK: Final = "lock"
_EPOCH: Final = "epoch"
_JOURNAL: Final = "journal"
_GUARD: Final = "guard.json"
_LEDGER: Final = "ledger.sqlite"
_SEGMENT: Final = re.compile(r"([0-9]{1,10})-[0-9]+\.dfj")
_NUMBER_BYTES_MAX: Final = 64
_NEVER_FOLLOW: Final = os.O_NOFOLLOW | os.O_CLOEXEC


def place(configured: str | None, environment: Mapping[str, str]) -> Path | None:
    """Return the directory that a run is to use; None: memory only.

    Args:
        configured: A path, ``none``, or nothing: as the environment says, else the user's state directory.
        environment: Where ``DATAFACADE_DATA_DIR``, ``XDG_STATE_HOME`` and ``HOME`` are looked up.

    Example:
        >>> place(None, {"XDG_STATE_HOME": "/var/lib"})
        PosixPath('/var/lib/datafacade')
        >>> place("none", {}) is None
        True
    """
    chosen = configured or environment.get(VARIABLE, "")
    if chosen == MEMORY_ONLY:
        return None
    if chosen:
        return Path(chosen)
    state = environment.get("XDG_STATE_HOME", "")
    if state:
        return Path(state) / "datafacade"
    home = environment.get("HOME", "")
    return Path(home) / ".local" / "state" / "datafacade" if home else Path("/var/lib/datafacade")


class DataDir:
    """A directory that this process alone uses, until ``close``."""

    def __init__(self, path: Path, *, epoch: int, lock: int) -> None:
        self.path = path
        self.epoch = epoch  # of this start: above every earlier one of this directory
        self._lock = lock  # the open file whose lock we hold

    @classmethod
    def open(cls, path: Path, *, now_s: int) -> Self:
        """Make the directory if it is not there, lock it, and number this start.

        Args:
            path: The directory.
            now_s: Unix seconds.

        Raises:
            DataDirInUse: Another process holds it.
            DataDirUnusable: It cannot be made, read or written.
        """
        try:
            path.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
            lock = _lock(path)
            try:
                (path / _JOURNAL).mkdir(mode=DIRECTORY_MODE, exist_ok=True)
                epoch = _next_epoch(path, now_s)
            except BaseException:
                os.close(lock)
                raise
        except OSError as error:
            problem = (error.strerror or type(error).__name__).lower()
            raise DataDirUnusable(str(error.filename or path), problem) from error
        return cls(path, epoch=epoch, lock=lock)

    @property
    def journal(self) -> Path:
        """The journal's directory; it exists."""
        return self.path / _JOURNAL

    @property
    def ledger(self) -> Path:
        """The ledger's file."""
        return self.path / _LEDGER

    @property
    def guard(self) -> Path:
        """The file of bans and spendings."""
        return self.path / _GUARD

    def close(self) -> None:
        """Let others have it; idempotent."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def _lock(path: Path) -> int:
    """Return the open file that holds the lock; the system lets go of it when the process ends, however."""
    name = path / _LOCK
    file = os.open(name, os.O_RDWR | os.O_CREAT | _NEVER_FOLLOW, FILE_MODE)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(file, _NUMBER_BYTES_MAX, 0).strip()
        os.close(file)
        raise DataDirInUse(str(path), int(holder) if holder.isdigit() else 0) from None
    except OSError:
        os.close(file)
        raise
    os.ftruncate(file, 0)
    os.pwrite(file, f"{os.getpid()}\n".encode(), 0)
    return file


def _next_epoch(path: Path, now_s: int) -> int:
    """Return an epoch above all that were used here; it is on disk before anybody sees it."""
    epoch = max(now_s, _last_epoch(path) + 1)
    if not 0 < epoch <= EPOCH_MAX:
        raise DataDirUnusable(str(path / _EPOCH), f"expected an epoch up to {EPOCH_MAX}, received {epoch}")
    fresh = path / f"{_EPOCH}.new"
    file = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | _NEVER_FOLLOW, FILE_MODE)
    try:
        os.write(file, f"{epoch}\n".encode())
        os.fsync(file)
    finally:
        os.close(file)
    fresh.rename(path / _EPOCH)
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return epoch


def _last_epoch(path: Path) -> int:
    """Return the newest epoch that left a trace: its number, or a segment of the journal."""
    segments = (_SEGMENT.fullmatch(entry.name) for entry in (path / _JOURNAL).iterdir())
    newest = max((int(segment[1]) for segment in segments if segment), default=0)
    try:
        file = os.open(path / _EPOCH, os.O_RDONLY | _NEVER_FOLLOW)
    except FileNotFoundError:
        return newest
    try:
        text = os.read(file, _NUMBER_BYTES_MAX).strip()
    finally:
        os.close(file)
    if not text.isdigit():
        problem = f"expected a number, received {text[:16]!r}; remove the file if the clock is right"
        raise DataDirUnusable(str(path / _EPOCH), problem)
    return max(newest, int(text))
