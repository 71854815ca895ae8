"""An event loop whose time jumps to the next timer instead of passing: minutes of waiting in no time."""

from __future__ import annotations

import asyncio
import math
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

START_NS = 1_000_000_000
WALL_NS = 1_700_000_000_000_000_000


class _Selector(selectors.DefaultSelector):
    """Never waits: it notes how long it would have."""

    def __init__(self) -> None:
        super().__init__()
        self.now_ns = START_NS

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise AssertionError("everybody waits and no timer is set")
        self.now_ns += math.ceil(timeout * 1e9)
        return list(super().select(0))


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop in virtual time; it is a `Clock` too."""

    def __init__(self) -> None:
        self._virtual = _Selector()
        super().__init__(self._virtual)

    def time(self) -> float:
        return self._virtual.now_ns / 1e9

    def monotonic_ns(self) -> int:
        return self._virtual.now_ns

    def wall_ns(self) -> int:
        return WALL_NS + self._virtual.now_ns - START_NS


def virtual_clock() -> VirtualLoop:
    """Return the running loop as the clock that it is."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    return loop


def in_virtual_time(work: Coroutine[Any, Any, T]) -> T:
    """Run work to its end in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(work)
