"""Write a file so that it is whole or not there (FAULTS 1.5); all but the audit log is written so."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from itertools import count
from typing import Final

from datafacade.store.pit.files import File, Folder
from datafacade.store.pit.names import TEMP

TRIES: Final = 2  # a file whose sync failed is abandoned and written anew, once


class SyncFailed(OSError):
    """The disk did not take it, and nobody knows what it holds now; the file is never asked again."""


class Temps:
    """Names for files that nobody was told of, different for each run."""

    def __init__(self, token: str) -> None:
        self._token = token
        self._numbers = count()

    def name(self) -> str:
        """Return a name that is not in use."""
        return f"{TEMP}{self._token}-{next(self._numbers)}"


@contextlib.contextmanager
def syncing() -> Iterator[None]:
    """Name what a failing sync is: no ordinary error."""
    try:
        yield
    except OSError as error:
        raise SyncFailed(*error.args) from error


def write(folder: Folder, temp: str, content: bytes) -> File:
    """Write a new file; it is closed if that fails."""
    file = folder.create(temp)
    try:
        file.write(content)
    except BaseException:
        file.close()
        raise
    return file


class Publisher:
    """Writes one file by the whole protocol.

    It raises ``FileExistsError`` if the name is taken, ``SyncFailed`` if the disk refused it twice.
    """

    def __init__(self, temps: Temps) -> None:
        self._temps = temps

    def __call__(self, folder: Folder, name: str, content: bytes) -> None:
        """Write it, and if a sync fails anew, once."""
        try:
            self._once(folder, name, content)
        except SyncFailed:
            self._once(folder, name, content)

    def name(self, temp: str, folder: Folder, name: str, content: bytes) -> None:
        """Do the second half for a temp whose content is on the disk; if a sync fails, all of it, once."""
        try:
            _name(folder, temp, name)
        except SyncFailed:
            self._once(folder, name, content)

    def _once(self, folder: Folder, name: str, content: bytes) -> None:
        temp = self._temps.name()
        try:
            file = write(folder, temp, content)
            try:
                with syncing():
                    file.sync()
            finally:
                file.close()
        except OSError:
            forget(folder, temp)
            raise
        _name(folder, temp, name)


def _name(folder: Folder, temp: str, name: str) -> None:
    """Turn a temp that is on the disk into a file that everybody knows; an error leaves neither."""
    linked = False
    try:
        folder.link(temp, name)
        linked = True
        folder.unlink(temp)
        with syncing():
            folder.sync()
    except OSError:
        forget(folder, temp)
        if linked:
            forget(folder, name)
        raise


def forget(folder: Folder, name: str) -> None:
    """Remove a name that nobody was told of; what cannot be removed is removed at the next start."""
    with contextlib.suppress(OSError):
        folder.unlink(name)
