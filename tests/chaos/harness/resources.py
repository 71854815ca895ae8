"""What /proc says of a process beside what it holds (`datafacade.check.held`)."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from datafacade.check.held import resident_bytes

SAMPLE_S = 0.01


def cpu_ms(pid: int) -> int:
    """Return the processor time that a process has used; the system counts in 10 ms."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * 1_000 // os.sysconf("SC_CLK_TCK")


def born_ns(pid: int) -> int:
    """Return when a process was started, by the monotonic clock; the system counts in 10 ms."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return int(fields[19]) * 1_000_000_000 // os.sysconf("SC_CLK_TCK")


class MemorySampler:
    """Looks at a process's resident memory each 10 ms while it is entered."""

    def __init__(self, pid: int) -> None:
        self.worst = self.first = resident_bytes(pid)
        self._pid = pid
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        while not self._done.wait(SAMPLE_S):
            self.worst = max(self.worst, resident_bytes(self._pid))

    def __enter__(self) -> MemorySampler:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        self._done.set()
        self._thread.join()

    @property
    def grown_bytes(self) -> int:
        """Return by how much it was larger than at first, at most."""
        return self.worst - self.first


def connections(port: int) -> int:
    """Return how many TCP connections to a port of this machine are established, as the system says."""
    rows = Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]
    fields = (row.split() for row in rows)
    return sum(
        local.rpartition(":")[2] == f"{port:04X}" and state == "01" for _, local, _, state, *_ in fields
    )
