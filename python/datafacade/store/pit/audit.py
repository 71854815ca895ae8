"""Tell who did what to the store, in order, for ever: files that only grow, chained by hashes.

The manifest says what exists; this says what was done: commits, labels, deletions, recoveries, quarantines.
A line is written behind the deed and before its acknowledgement, without a sync of its own: what a power loss
takes is known from the manifest.
"""

from __future__ import annotations

import contextlib
import errno
import getpass
import os
import re
from collections.abc import Iterator, Mapping
from io import BytesIO
from typing import Any, Final

from datafacade.store.pit.files import File, Folder, problem_of
from datafacade.store.pit.manifest import Damage
from datafacade.store.pit.record import ZERO, Broken, line_of, values_of

FOLDER: Final = ".audit"
FILE_BYTES_MAX: Final = 8 * 2**20
READ_BYTES_MAX: Final = 2 * FILE_BYTES_MAX  # a larger one was never written by us
BROKEN_MAX: Final = 100  # lines of one file that are named; what follows them is not read
_CHANGED_END: Final = re.compile(rb'"hash":"[0-9a-f]{64}"}[^\0]')
_NAME: Final = re.compile(r"[0-9]{8}\.jsonl")


class Trail:
    """The chain of one store. Only the holder of the store's lock may write."""

    def __init__(self, folder: Folder, *, actor: str) -> None:
        self._folder = folder
        self._actor = actor
        self._file: File | None = None
        self._name = ""
        self._size = -1  # of the file when we last wrote it: whoever else wrote made it larger
        self._seq, self._prev = 0, ZERO
        self._number = 0
        self._torn = 0

    def write(self, operation: str, *, ts: int, told: Mapping[str, Any]) -> None:
        """Append one line.

        Args:
            operation: What was done, as ``commit``.
            ts: Wall time, ns UTC.
            told: What else there is to say.
        """
        self._catch_up()
        torn = {"torn_bytes": self._torn} if self._torn else {}
        values = {"op": operation, "ts": ts, "by": self._actor, **told, **torn}
        line, digest = line_of(values, seq=self._seq + 1, prev=self._prev)
        if self._file is None:
            self._file = self._folder.append(self._name)
            if not self._size:
                self._folder.sync()
        self._file.write(line)
        self._seq, self._prev, self._torn = self._seq + 1, digest, 0
        self._size += len(line)

    def sync(self) -> None:
        """Wait until it is on the disk."""
        if self._file is not None:
            self._file.sync()

    def close(self) -> None:
        """Make it durable and let go of everything."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.sync()
            self._file.close()
            self._file = None
        self._folder.close()

    def _catch_up(self) -> None:
        """Find the end of the chain, unless it is where we left it. A torn tail stays, and is told of."""
        names = _files(self._folder)
        facts = self._folder.facts(self._name) if names and names[-1] == self._name else None
        if facts is not None and facts.size == self._size and facts.size < FILE_BYTES_MAX:
            return
        self._release()
        self._seq, self._prev, self._torn, self._size = 0, ZERO, 0, 0
        for name in reversed(names):
            found = self._folder.facts(name)
            size = 0 if found is None else found.size
            start = max(0, size - READ_BYTES_MAX)  # a larger one is not ours; its end is enough to go on
            content = self._folder.read(name, offset=start, size=size - start)
            self._size = size if name == names[-1] else self._size
            self._torn += len(content) - content.rfind(b"\n") - 1
            last = _last(content)
            if last is not None:
                self._seq, self._prev = last["seq"], last["hash"]
                break
        number = int(names[-1][:8]) if names else 1
        if self._torn or self._size >= FILE_BYTES_MAX:
            number, self._size = number + 1, 0
        self._name = f"{number:08d}.jsonl"

    def _release(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def read_trail(folder: Folder) -> tuple[list[dict[str, Any]], list[Damage]]:
    """Return all lines that are whole, and what is wrong with the others."""
    damages: list[Damage] = []
    return list(follow(folder, damages)), damages


def follow(folder: Folder, damages: list[Damage]) -> Iterator[dict[str, Any]]:
    """Yield all lines that are whole, and note what is wrong with the others."""
    torn, prev, seq = 0, ZERO, 0
    names = _files(folder)
    for name in names:
        path = f"{FOLDER}/{name}"
        try:
            content = _content(folder, name)
        except OSError as error:
            damages.append(Damage(path, path, problem_of(error)))
            prev = ""
            continue
        lines = _judged(content, path, damages)
        for values in lines:
            is_next = values["seq"] == seq + 1 and values["prev"] == prev
            if prev and not is_next:
                damages.append(Damage(path, path, f"expected line {seq + 1}, found {values['seq']}"))
            if torn and values.get("torn_bytes") != torn:
                damages.append(Damage(path, path, f"says nothing of {torn} torn bytes in the file before"))
            prev, seq, torn = values["hash"], values["seq"], 0
            yield values
        tail = content[content.rfind(b"\n") + 1 :]
        torn += len(tail)
        if _is_complete(tail):
            damages.append(Damage(path, path, "its last line has no end"))


def actor() -> str:
    """Return who runs this program, as ``user:pid``."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        name = str(os.getuid())
    return f"{name}:{os.getpid()}"


def _judged(content: bytes, path: str, damages: list[Damage]) -> Iterator[dict[str, Any]]:
    end = len(damages) + BROKEN_MAX
    for at, text in enumerate(BytesIO(content), 1):
        try:
            if text.endswith(b"\n"):
                yield values_of(text[:-1])
        except Broken as broken:
            damages.append(Damage(path, path, f"line {at}: {broken}"))
            if len(damages) >= end:
                return


def _is_complete(tail: bytes) -> bool:
    """Return whether a tail is a whole line whose end was changed; a cut write leaves less, or zeros."""
    return _CHANGED_END.search(tail) is not None


def _last(content: bytes) -> dict[str, Any] | None:
    end = content.rfind(b"\n")
    while end >= 0:
        start = content.rfind(b"\n", 0, end) + 1
        with contextlib.suppress(Broken):
            return values_of(content[start:end])
        end = start - 1
    return None


def _content(folder: Folder, name: str) -> bytes:
    facts = folder.facts(name)
    if facts is not None and facts.size > READ_BYTES_MAX:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), name)
    return folder.read(name)


def _files(folder: Folder) -> list[str]:
    return [name for name in folder.names() if _NAME.fullmatch(name)]
