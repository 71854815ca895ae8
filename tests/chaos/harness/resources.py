"""What /proc says of a process: no word of the product is taken for it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Resources:
    """Threads, descriptors and memory of one process."""

    pid: int
    threads: int
    fds: int
    resident_bytes: int


def resident_bytes(pid: int | None = None) -> int:
    """Return the resident memory of a process; of this one without a pid."""
    text = Path(f"/proc/{pid or 'self'}/statm").read_text(encoding="ascii")
    return int(text.split()[1]) * PAGE_BYTES


def resources(pid: int) -> Resources:
    """Return what a process holds now."""
    process = Path(f"/proc/{pid}")
    return Resources(
        pid=pid,
        threads=sum(1 for _ in (process / "task").iterdir()),
        fds=sum(1 for _ in (process / "fd").iterdir()),
        resident_bytes=resident_bytes(pid),
    )
