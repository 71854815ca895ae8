"""For how long the machine let this process starve: what a measured time may be longer by, and not more."""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import Final

TICK_S: Final = 0.002
LATE_S: Final = 2 * TICK_S  # a tick that comes this late is no news


class Starved:
    """A thread that wants to run every two milliseconds, and counts by how much it was late.

    A figure of FAULTS is one of a machine that lets the process run. A busy one wakes nobody in time: neither
    the code under test nor this thread. Take ``seconds`` off what a stopwatch says. What the process itself
    computed meanwhile is no excuse: code that keeps the interpreter to itself delays this thread too.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="starved", daemon=True)

    def _run(self) -> None:
        last, used = time.monotonic(), time.process_time()
        while not self._is_over.wait(TICK_S):
            now, used_now = time.monotonic(), time.process_time()
            if now - last > LATE_S:
                self.seconds += max(0.0, now - last - TICK_S - (used_now - used))
            last, used = now, used_now

    def __enter__(self) -> Starved:
        """Begin to count."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End with the tick that is on its way: it may be the late one."""
        self._is_over.set()
        self._thread.join()
