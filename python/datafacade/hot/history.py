"""Gather the past of a topic, and find the seam to the live records. The seam is pure.

What our own journal holds without a hole is taken from there, the rest from the venue's REST.

Trades are joined by the venue's trade id, klines by the time of their open. Whatever the seam, what comes out
is every trade or bar once, in order: history ends before the first live record.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise
from operator import attrgetter
from typing import Final, NamedTuple, Protocol, runtime_checkable

from datafacade.errors import InvalidRequest, NotSupported, VenueFailed
from datafacade.hot.kept import KeptPast, Row
from datafacade.hot.tier import HotTier
from datafacade.types import Channel, Priority, Topic

AT_ONCE: Final = 4  # fetches of all clients
PAGES_MAX: Final = 2_000  # a venue that never ends is a venue that fails
_HTTP_OK: Final = 200


class Live(NamedTuple):
    """The first trade or bar that is known to come live."""

    key: int
    seq: int


class Join(NamedTuple):
    """What to tell of the past, and behind which seq the live records follow."""

    rows: Sequence[Row]
    seq_after: int
    missing: tuple[int, int] | None = None  # first and last key between the two that neither has


@runtime_checkable
class Pages(Protocol):
    """What a Feed knows of its venue's history (``datafacade._core.Feed``)."""

    def history_path(
        self, symbol: str, channel: int, variant: str, *, ts_from: int, ts_until: int, cursor: str
    ) -> tuple[str, int] | None:
        """Return path and weight of the page at a cursor; None: the venue has no such history."""
        ...

    def history_page(
        self,
        symbol: str,
        channel: int,
        variant: str,
        body: bytes,
        *,
        ts_from: int,
        ts_until: int,
        cursor: str,
    ) -> tuple[list[tuple[int, int, bytes]], str]:
        """Return rows by ascending key, and the cursor of the next page; an empty one: that was the last.

        Raises:
            ValueError: The body is no such page.
        """
        ...


def join(rows: Sequence[Row], first: Live | None, *, head: int, is_dense: bool) -> Join:
    """Return the past up to the first live record.

    Args:
        rows: By ascending key, each key once.
        first: The first trade or bar that comes live; None: none came yet.
        head: The newest seq when nothing had come yet.
        is_dense: Whether keys rise by one (trade ids), so that a hole between the two shows.

    Example:
        >>> join([Row(7, 0, b""), Row(8, 0, b"")], Live(key=8, seq=3), head=5, is_dense=True)
        Join(rows=[Row(key=7, ts_event=0, update=b'')], seq_after=2, missing=None)
    """
    if first is None:
        return Join(rows, head)
    kept = rows[: bisect_left(rows, first.key, key=attrgetter("key"))]
    last = kept[-1].key if kept else first.key - 1
    missing = (last + 1, first.key - 1) if is_dense and last + 1 < first.key else None
    return Join(kept, first.seq - 1, missing)


class PastFetcher:
    """Gathers ranges of the past: from the journal, else page by page inside the venues' budgets."""

    def __init__(self, tier: HotTier, *, kept: KeptPast, trades_max: int, klines_max: int) -> None:
        self._tier = tier
        self._kept = kept
        self._rows_max = {Channel.TRADES: trades_max, Channel.KLINES: klines_max}
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def fetch(self, topic: Topic, *, ts_from: int, ts_until: int) -> list[Row]:
        """Return the rows of a range by ascending key, each once.

        Args:
            topic: Trades, or klines closed by time.
            ts_from: First time, ns.
            ts_until: Behind the last time, ns.

        Raises:
            InvalidRequest: The range holds more rows than one may ask for.
            NotSupported: The venue has no such history.
            VenueFailed, VenueRateLimited, CircuitOpen: It did not answer.
        """
        async with self._turns:
            kept, is_whole = await self._kept.rows(topic, ts_from=ts_from)
            found = {row.key: row for row in kept}
            self._check(topic, found, ts_until - ts_from)
            if not is_whole:
                until = kept[0].ts_event + 1 if kept else ts_until
                await self._ask(topic, found, ts_from=ts_from, ts_until=until)
            return sorted(found.values())

    async def _ask(self, topic: Topic, found: dict[int, Row], *, ts_from: int, ts_until: int) -> None:
        """Add what the venue has of a range."""
        cursor = ""
        for _ in range(PAGES_MAX):
            rows, cursor = await self._page(topic, ts_from=ts_from, ts_until=ts_until, cursor=cursor)
            for row in rows:
                found.setdefault(row.key, row)
            self._check(topic, found, ts_until - ts_from)
            if not cursor:
                return
        raise VenueFailed("its history does not end", venue=topic.venue, operation="history")

    async def _page(self, topic: Topic, *, ts_from: int, ts_until: int, cursor: str) -> tuple[list[Row], str]:
        line = self._tier.venue(topic.venue)
        runner = line.runner(topic.channel)
        pages = runner.feed
        asked = (topic.symbol, int(topic.channel), topic.variant)
        request = None
        if isinstance(pages, Pages):
            request = pages.history_path(*asked, ts_from=ts_from, ts_until=ts_until, cursor=cursor)
        if request is None or not isinstance(pages, Pages):
            what = f"history of {topic.channel.name} {topic.variant}".rstrip()
            raise NotSupported(what, venue=topic.venue, symbol=topic.symbol, operation="history")
        path, weight = request
        answer = await line.rests[runner.key.name].get(path, priority=Priority.CLIENT, weight=weight)
        if answer.status != _HTTP_OK:
            problem = f"history was answered with HTTP status {answer.status}"
            raise VenueFailed(problem, venue=topic.venue, symbol=topic.symbol, operation="history")
        try:
            rows, after = pages.history_page(
                *asked, answer.body, ts_from=ts_from, ts_until=ts_until, cursor=cursor
            )
        except ValueError as error:
            problem = f"history could not be read: {error}"
            raise VenueFailed(problem, venue=topic.venue, symbol=topic.symbol, operation="history") from None
        return [Row(*row) for row in rows], after

    def _check(self, topic: Topic, found: dict[int, Row], span_ns: int) -> None:
        """Refuse a range that is too long, for bars as soon as their interval shows."""
        rows_max = self._rows_max[topic.channel]
        count = len(found)
        if topic.channel is Channel.KLINES and count > 1:
            keys = sorted(found)
            count = max(count, span_ns // min(b - a for a, b in pairwise(keys)))
        if count > rows_max:
            name = f"hot.history_{topic.channel.name.lower()}_max"
            problem = f"{name} allows {rows_max} rows, the range holds {count} or more: start later"
            raise InvalidRequest("ts_history_start", problem, venue=topic.venue, symbol=topic.symbol)
