"""Notice that the event loop was held up, the process stopped, or the wall clock stepped."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from datafacade.clock import NS_PER_MS, NS_PER_S, Clock

log = logging.getLogger(__name__)

BEAT_S: Final = 0.25
PAUSE_NS: Final = NS_PER_S  # a beat so late was a pause
STEP_NS: Final = NS_PER_S  # change of wall against monotonic time between two beats that is no slewing
WARN_NS: Final = 300 * NS_PER_S  # so long Health tells of it


class Watchdog:
    """Beats in the event loop. ``run`` it as a task."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._beat_at = clock.monotonic_ns()
        self._offset = clock.wall_ns() - self._beat_at
        self._seen: dict[str, int] = {}  # warning: monotonic time of the last occasion

    async def run(self) -> None:
        """Beat for ever."""
        self._beat_at = self._clock.monotonic_ns()
        while True:
            await asyncio.sleep(BEAT_S)
            self.beat()

    def beat(self) -> None:
        """Compare the clocks with those of the last beat."""
        now = self._clock.monotonic_ns()
        late_ns = now - self._beat_at - int(BEAT_S * NS_PER_S)
        offset = self._clock.wall_ns() - now
        step_ns, self._beat_at, self._offset = offset - self._offset, now, offset
        if late_ns >= PAUSE_NS:
            self._seen["LOOP_PAUSED"] = now
            log.warning("loop.paused", extra={"late_ms": late_ns // NS_PER_MS})
        if abs(step_ns) >= STEP_NS:
            self._seen["CLOCK_STEP"] = now
            log.warning("clock.stepped", extra={"step_ms": step_ns // NS_PER_MS})

    def warnings(self) -> list[str]:
        """Return what happened in the last five minutes, in words of ``Health.warnings``."""
        now = self._clock.monotonic_ns()
        return sorted(name for name, at in self._seen.items() if now - at < WARN_NS)
