"""What the machine did to a row: how long processes were ready to run and did not, as the system counts it.

A row asserts times, and a busy machine can break them: a red one tells which it was. Nothing is judged by it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Self

PROC: Final = Path("/proc")
MS: Final = 1_000_000


class Waits:
    """The counts of this process and its children at one moment."""

    def __init__(self) -> None:
        self.at_ns = time.monotonic_ns()
        self.by_process = {pid: waited_ns(pid) for pid in (os.getpid(), *children(os.getpid()))}

    def since(self, earlier: Self) -> str:
        """Return one line about the time since then; processes that ended meanwhile are not in it."""
        found = [
            f"{name(pid)} {(waited - earlier.by_process.get(pid, 0)) / MS:.0f} ms"
            for pid, waited in self.by_process.items()
        ]
        took_ms = (self.at_ns - earlier.at_ns) / MS
        return f"in these {took_ms:.0f} ms threads were ready and did not run: {', '.join(found)}"


@contextmanager
def told() -> Iterator[None]:
    """Add to an error what the machine did meanwhile."""
    before = Waits()
    try:
        yield
    except BaseException as error:  # the end of its time too
        error.add_note(Waits().since(before))
        raise


def waited_ns(pid: int) -> int:
    """Return how long the threads of a process have waited for a processor; 0 where nobody counts it."""
    total = 0
    for task in (PROC / str(pid) / "task").glob("*/schedstat"):
        try:
            total += int(task.read_text(encoding="ascii").split()[1])
        except (OSError, IndexError):  # it ended just now
            continue
    return total


def children(pid: int) -> list[int]:
    """Return the children of a process, oldest first."""
    found = []
    for stat in PROC.glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[1])
        except (OSError, IndexError):
            continue
        if parent == pid:
            found.append(int(stat.parent.name))
    return sorted(found)


def name(pid: int) -> str:
    """Return what runs in a process: the test itself, or the module of a command."""
    if pid == os.getpid():
        return "this test"
    try:
        words = (PROC / str(pid) / "cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return str(pid)
    return words[words.index("-m") + 1] if "-m" in words else Path(words[0]).name or str(pid)
