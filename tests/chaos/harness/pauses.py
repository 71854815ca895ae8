"""Take time from a process, give it more, or step its wall clock by a preloaded library (shift.c).

Why not libfaketime: it looks at its file once a second at most, or opens it at every look at the clock. Here
a step is one store into mapped memory, and the C compiler that it needs is needed to build the core too.
"""

from __future__ import annotations

import contextlib
import os
import signal
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.chaos.harness.preload import compiled

SOURCE: Final = Path(__file__).with_name("shift.c")
CYCLE_S: Final = 0.1
STOP_S_MAX: Final = 0.3  # well below what the service takes for a pause


class WallClock:
    """The wall clock of the processes that are started with ``variables``."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "clock-shift"
        self._library = compiled(SOURCE, folder)
        self.step_to(0)

    @property
    def variables(self) -> dict[str, str]:
        """Return what a process is started with."""
        return {"LD_PRELOAD": str(self._library), "CLOCK_SHIFT_FILE": str(self._file)}

    def step_to(self, seconds: int) -> int:
        """Let the clock be off by so much from now on; return the monotonic time of the step."""
        with self._file.open("r+b" if self._file.exists() else "w+b", buffering=0) as file:
            file.write(struct.pack("=q", seconds * 1_000_000_000))
        return time.monotonic_ns()


class DutyCycle:
    """Lets a process run only a share of each 100 ms while it is entered.

    Where this one came late itself, and the process ran for longer, it is stopped for so much longer.
    """

    def __init__(self, pid: int, share: float) -> None:
        self.stops = 0
        self.stopped_s = 0.0
        self._pid = pid
        self._share = share
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        with contextlib.suppress(PermissionError):  # who stops others must not be kept from waking them
            os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
        began = time.monotonic()
        while not self._done.wait(CYCLE_S * self._share):
            start = time.monotonic()
            owed_s = ((start - began) * (1 - self._share) - self.stopped_s) / self._share
            with stopped(self._pid):
                self._done.wait(min(owed_s, STOP_S_MAX))
            self.stops += 1
            self.stopped_s += time.monotonic() - start

    def __enter__(self) -> DutyCycle:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Let it run again."""
        self._done.set()
        self._thread.join()


@contextlib.contextmanager
def stopped(pid: int) -> Iterator[None]:
    """Stop a process as long as this is entered."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def is_stopped(pid: int) -> bool:
    """Return whether the system says that a process is stopped."""
    return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] == "T"


@contextlib.contextmanager
def ahead_of_others(*pids: int) -> Iterator[None]:
    """Let processes go before all others of this machine meanwhile, as far as we may.

    What is compared then is one window with another, not what else the machine had to do in each.
    """
    threads = [int(path.name) for pid in pids for path in Path(f"/proc/{pid}/task").iterdir()]
    for thread in threads:
        with contextlib.suppress(PermissionError, ProcessLookupError):
            os.sched_setscheduler(thread, os.SCHED_RR, os.sched_param(1))
    try:
        yield
    finally:
        for thread in threads:
            with contextlib.suppress(ProcessLookupError):
                os.sched_setscheduler(thread, os.SCHED_OTHER, os.sched_param(0))
