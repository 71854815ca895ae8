"""For how long the machine held this process up: what a measured time may be longer by, and not more."""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import Final

TICK_S: Final = 0.002
LATE_S: Final = 2 * TICK_S  # a tick that comes this late is no news


class Held:
    """A thread that wants to run every two milliseconds, and counts by how much it was late.

    A figure of FAULTS is one of a machine that lets the process run. A busy one wakes nobody in time: neither
    the code under test nor this thread. Take ``seconds`` off what a stopwatch says.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="held", daemon=True)

    def _run(self) -> None:
        last = time.monotonic()
        while not self._is_over.wait(TICK_S):
            now = time.monotonic()
            if now - last > LATE_S:
                self.seconds += now - last - TICK_S
            last = now

    def __enter__(self) -> Held:
        """Begin to count."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End with the tick that is on its way: it may be the late one."""
        self._is_over.set()
        self._thread.join()
