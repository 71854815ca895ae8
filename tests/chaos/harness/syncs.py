"""A disk whose syncs take as long as a test says: a preloaded library (syncs.c).

Why not strace: it stops the traced process at every call, which alone would spoil what a row measures. The
library is loaded in the control windows too.
"""

from __future__ import annotations

import contextlib
import mmap
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.chaos.harness.preload import compiled

SOURCE: Final = Path(__file__).with_name("syncs.c")


class Syncs:
    """The syncs of the processes that are started with ``variables``."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "sync-delay"
        self._path.write_bytes(bytes(mmap.PAGESIZE))
        with self._path.open("r+b") as file:
            self._page = mmap.mmap(file.fileno(), mmap.PAGESIZE)
        self._library = compiled(SOURCE, folder)

    @property
    def variables(self) -> dict[str, str]:
        """Return what a process is started with."""
        return {"LD_PRELOAD": str(self._library), "SYNC_DELAY_FILE": str(self._path)}

    @property
    def delayed(self) -> int:
        """Return how many syncs were delayed so far: the proof of the fault."""
        return int(struct.unpack_from("=q", self._page, 8)[0])

    @contextlib.contextmanager
    def taking(self, seconds: float) -> Iterator[None]:
        """Let each sync that begins meanwhile take so much longer; one of them must."""
        before = self.delayed
        struct.pack_into("=q", self._page, 0, round(seconds * 1e9))
        try:
            yield
        finally:
            struct.pack_into("=q", self._page, 0, 0)
        assert self.delayed > before, "no sync was delayed: the row is vacuous"
