"""Write a file so that it is whole or not there (FAULTS 1.5); all but the audit log is written so."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
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


def publisher(temps: Temps) -> Callable[[Folder, str, bytes], None]:
    """Return what writes one file by the whole protocol.

    It raises ``FileExistsError`` if the name is taken, ``SyncFailed`` if the disk refused it twice.
    """

    def publish(folder: Folder, name: str, content: bytes) -> None:
        for turn in range(1, TRIES + 1):
            try:
                _publish(folder, temps.name(), name, content)
            except SyncFailed:
                if turn == TRIES:
                    raise
            else:
                return

    return publish


def _publish(folder: Folder, temp: str, name: str, content: bytes) -> None:
    linked = False
    try:
        file = write(folder, temp, content)
        try:
            with syncing():
                file.sync()
        finally:
            file.close()
        folder.link(temp, name)
        linked = True
        folder.unlink(temp)
        with syncing():
            folder.sync()
    except OSError as error:
        forget(folder, temp)
        if linked:
            forget(folder, name)
        raise error


def forget(folder: Folder, name: str) -> None:
    """Remove a name that nobody was told of; what cannot be removed is removed at the next start."""
    with contextlib.suppress(OSError):
        folder.unlink(name)
