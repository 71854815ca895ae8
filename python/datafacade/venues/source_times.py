"""Notice a source whose time runs backward: an answer of yesterday served as today's."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from datafacade.clock import NS_PER_S

BACK_NS_MAX: Final = 5 * NS_PER_S  # venues answer from several machines, and cache for a second or two
AHEAD_NS_MAX: Final = 60 * NS_PER_S  # a time further ahead of our clock does not count for what comes later
KEYS_MAX: Final = 50_000


class SourceTimes:
    """The newest time that each source told of each thing. Owned by the event loop; bounded.

    Example:
        >>> times = SourceTimes()
        >>> times.accept("kraken", "BTC-USD", ts=36_000 * NS_PER_S, ts_recv=36_000 * NS_PER_S)
        True
        >>> times.accept("kraken", "BTC-USD", ts=0 + NS_PER_S, ts_recv=36_001 * NS_PER_S)
        False
    """

    def __init__(self) -> None:
        self._newest: OrderedDict[tuple[str, str], int] = OrderedDict()

    def accept(self, source: str, thing: str, *, ts: int, ts_recv: int) -> bool:
        """Tell whether a time follows those told before.

        Args:
            source: Who told it.
            thing: What it is the time of.
            ts: The source's time, ns UTC; 0: it told none, which is always accepted.
            ts_recv: Our wall time at the answer: a time far ahead of it would lock out all that are right.
        """
        if ts == 0:
            return True
        key = (source, thing)
        newest = self._newest.get(key, 0)
        if ts < newest - BACK_NS_MAX:
            return False
        self._newest[key] = max(newest, min(ts, ts_recv + AHEAD_NS_MAX))
        self._newest.move_to_end(key)
        if len(self._newest) > KEYS_MAX:
            self._newest.popitem(last=False)
        return True
