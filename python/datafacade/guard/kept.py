"""Name what can outlive the process, and who keeps it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol


class Keepable(Protocol):
    """Something with a ban and spendings. Times are monotonic nanoseconds."""

    changed: Callable[[float], None] | None  # told which share of a window is new; a ban: 1

    def blocked_ns(self) -> int:
        """Return how long its ban still holds."""
        ...

    def block(self, seconds: float) -> None:
        """Start a ban."""
        ...

    def spent(self) -> list[tuple[int, list[tuple[int, int]]]]:
        """Return what each window holds: (span, [(time, weight), ...])."""
        ...

    def restore(self, span_ns: int, entries: Sequence[tuple[int, int]]) -> None:
        """Count what was spent before."""
        ...


class Keeping(Protocol):
    """Keeps it."""

    def attach(self, name: str, kept: Keepable, *, is_urgent: bool = False) -> None:
        """Give something what was kept under its name, and keep it from now on.

        ``is_urgent``: nothing happens after a change before it is kept.
        """
        ...
