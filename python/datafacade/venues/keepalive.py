"""Decide when to ping a venue, which of its pings to answer, and when its line is dead. Pure.

Data that still come prove one direction only: the pong to our own ping proves the other. Venues count control
frames like messages, so two of ours are never closer than ``control_s``; of pings that come faster the newest
is answered, which is all that RFC 6455 (section 5.5.3) asks for.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

NEVER: Final = float("inf")


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepaliveFigures:
    """How often, and how long we wait. Seconds."""

    ping_s: float = 5.0  # between two pings of ours; 0: none
    pong_s: float = 5.0  # within which the venue answers
    control_s: float = 1.0  # between two control frames of ours


class Act(Enum):
    """What is due."""

    NOTHING = auto()
    PING = auto()
    PONG = auto()
    GIVE_UP = auto()


class Keepalive:
    """The control frames of one open connection. Times are seconds of any one clock that never goes back."""

    def __init__(self, figures: KeepaliveFigures, *, now: float) -> None:
        self._figures = figures
        self._ping_at = now + figures.ping_s if figures.ping_s else NEVER
        self._pong_by = NEVER
        self._pinged_at = now
        self._serial = 0  # of our last ping
        self._owed: bytes | None = None  # newest ping of the venue that was not answered
        self._free_at = now  # when the next control frame may leave

    @property
    def due(self) -> float:
        """When ``step`` has something to do."""
        if self._owed is not None:
            return min(self._pong_by, self._free_at)
        return min(self._pong_by, max(self._ping_at, self._free_at))

    def pinged(self, payload: bytes) -> bool:
        """Take a ping of the venue; return whether ``due`` may have come closer."""
        is_first = self._owed is None
        self._owed = payload
        return is_first

    def ponged(self, payload: bytes) -> bool:
        """Take a pong: only the one to our last ping proves anything; return whether it was that one."""
        if self._pong_by == NEVER or payload != self._payload():
            return False
        self._pong_by = NEVER
        self._ping_at = self._pinged_at + self._figures.ping_s
        return True

    def wait_longer(self, now: float) -> None:
        """Give the pong its whole time again: it may lie unread on our side."""
        self._pong_by = now + self._figures.pong_s

    def step(self, now: float) -> tuple[Act, bytes]:
        """Return the one thing that is due, and the payload to send; call again until nothing is."""
        if now >= self._pong_by:
            return Act.GIVE_UP, b""
        if now < self._free_at:
            return Act.NOTHING, b""
        if self._owed is not None:
            payload, self._owed = self._owed, None
            self._free_at = now + self._figures.control_s
            return Act.PONG, payload
        if now >= self._ping_at:
            self._serial += 1
            self._ping_at = NEVER  # until this one is answered
            self._free_at = now + self._figures.control_s
            self._pong_by = now + self._figures.pong_s
            self._pinged_at = now
            return Act.PING, self._payload()
        return Act.NOTHING, b""

    def _payload(self) -> bytes:
        return b"%d" % self._serial
