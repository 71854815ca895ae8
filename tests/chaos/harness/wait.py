"""Wait for conditions with a deadline. The only pauses of these tests are between two looks."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, TypeVar

LOOK_S: Final = 0.01
COMES_S: Final = 30.0  # for what must come and has no figure: a busy machine may take its time
T = TypeVar("T")


def until(look: Callable[[], T | None], *, within_s: float, what: str) -> T:
    """Return what ``look`` finds: anything that is true; an empty list is nothing found.

    Raises:
        AssertionError: Nothing was found in time; names the time reached.
    """
    start = time.monotonic()
    while True:
        found = look()
        if found:
            return found
        reached = time.monotonic() - start
        if reached > within_s:
            raise AssertionError(f"{what}: not within {within_s} s (waited {reached:.2f} s)")
        time.sleep(LOOK_S)
