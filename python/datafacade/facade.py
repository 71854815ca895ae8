"""Offer the use cases: one method each, whatever face they are reached by."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Final

from datafacade.clock import Clock
from datafacade.config import Config
from datafacade.errors import InvalidRequest, NotSupported
from datafacade.guard.outlook import backoff_s, check_budget
from datafacade.guard.rest_budgets import RestBudgets
from datafacade.hot.book import Books
from datafacade.hot.health import venue_health
from datafacade.hot.journal import Journal
from datafacade.hot.listing import list_instruments
from datafacade.hot.pit import HotSnapshots
from datafacade.hot.ports import Hub
from datafacade.hot.reader import HubReader
from datafacade.hot.tier import STARTS, HotTier
from datafacade.overview import Overview
from datafacade.store.answer import coverage_response
from datafacade.store.keeper import Keeper
from datafacade.store.pit.upkeep import Upkeep
from datafacade.types import CONSOLIDATED, Channel, Topic
from datafacade.v1 import book_pb2, cache_pb2, coverage_pb2, health_pb2, hot_pb2, reference_pb2
from datafacade.warm.attribution import HitCounts
from datafacade.warm.cases import WarmCases
from datafacade.warm.snapshot_health import tell_snapshots
from datafacade.warm.snapshots import Snapshots
from datafacade.warm.stats import cache_summary

VERSION: Final = "0.1.0"

EdgeFigures = Callable[[], health_pb2.EdgeHealth | None]


class DataFacade:
    """Market data that can be trusted, in this process. ``start`` it, ``shutdown`` it.

    Example:
        >>> from datafacade.app import Factory
        >>> from datafacade.config import load_config
        >>> facade = Factory(load_config()).create_data_facade()
    """

    def __init__(
        self,
        *,
        config: Config,
        tier: HotTier,
        hub: Hub,
        reader: HubReader,
        clock: Clock,
        epoch: int,
        warm: WarmCases,
        snapshots: Snapshots | None = None,
        upkeep: Upkeep | None = None,
        keeper: Keeper | None = None,
        on_stopped: Callable[[], None] | None = None,
    ) -> None:
        self.config = config
        self.tier = tier
        self.warm = warm
        self.hub = hub
        self.reader = reader
        self.clock = clock
        self.epoch = epoch
        self.snapshots = snapshots
        self.upkeep = upkeep
        self.keeper = keeper
        self._on_stopped = on_stopped
        self.journal: Journal | None = None if keeper is None else keeper.journal
        self.is_draining = False
        self._started_at = clock.monotonic_ns()
        self._books = Books(tier, hub=hub, reader=reader, clock=clock, scale=config.service.timers.scale)
        self._running: asyncio.Task[None] | None = None
        self._watching: asyncio.Task[None] | None = None
        self._keeping: list[asyncio.Task[None]] = []
        self._is_ready = asyncio.Event()
        self.edge_figures: EdgeFigures = lambda: None
        self._overview = Overview(config, tier=tier, warm=warm, hub=hub, clock=clock)

    # Lifecycle

    async def start(self, *, listed_within_s: float | None = None) -> None:
        """Start all venues and wait until their instrument lists are known.

        Args:
            listed_within_s: Wait no longer than this, seconds; venues that are not known then go on trying.
        """
        self.reader.start()
        if self.keeper is not None:
            self.keeper.start()
            self._watching = asyncio.create_task(self.keeper.watch(), name="keeper")
        self._running = asyncio.create_task(self.tier.run(), name="hot tier")
        listed = asyncio.ensure_future(self.tier.wait_listed())
        try:
            await asyncio.wait(
                {listed, self._running}, timeout=listed_within_s, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            listed.cancel()
        if self._running.done():
            self._running.result()
        if self.snapshots is not None:
            hot = self._hot_snapshots(self.snapshots)
            works = [self.snapshots.run(), hot.run(), *([] if self.upkeep is None else [self.upkeep.run()])]
            self._keeping = [asyncio.create_task(work) for work in works]
        self._is_ready.set()

    async def wait_ready(self) -> None:
        """Wait until ``start`` is through: requests that come early need not be refused."""
        await self._is_ready.wait()

    async def shutdown(self) -> None:
        """Stop everything and wait for it."""
        keeping, self._keeping = self._keeping, []
        for task in keeping:
            task.cancel()
        await asyncio.gather(*keeping, return_exceptions=True)
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait([self._running])
            self.reader.stop()
            self._running = None
        await self.warm.close()
        if self.snapshots is not None:
            await asyncio.to_thread(self.snapshots.close)
        if self._watching is not None and self.keeper is not None:
            self._watching.cancel()
            await asyncio.wait([self._watching])
            self._watching = None
            await self.keeper.stop()
        if self._on_stopped is not None:
            self._on_stopped()

    async def wait_failed(self) -> None:
        """Wait until a part of the service fails as it never should.

        Raises:
            Exception: What went wrong.
        """
        if self._running is not None:
            await asyncio.shield(self._running)

    # Use cases

    async def l2_book(
        self, venue: str, symbol: str, *, depth: int = 0, allow_unverified: bool = False
    ) -> book_pb2.L2BookResponse:
        """Return one book from the live one; a book that nobody follows yet is followed first.

        Args:
            venue: As ``kraken``.
            symbol: Any known spelling.
            depth: Levels a side; 0: the whole book.
            allow_unverified: Whether a book without proof may be given.

        Raises:
            InvalidRequest, UnknownSymbol, BookNotReady, BookUnverified, QuotaExceeded, VenueFailed.
        """
        row = self.tier.resolve(venue, symbol)
        return await self._books.read(venue, row["symbol"], depth=depth, allow_unverified=allow_unverified)

    def venue_health(self, venue: str, *, summary_only: bool = False) -> health_pb2.VenueHealth:
        """Return how one venue is.

        Raises:
            InvalidRequest: There is no such venue.
        """
        return venue_health(self.tier.venue(venue), hub=self.hub, clock=self.clock, summary_only=summary_only)

    def health(self, venues: Sequence[str] = (), *, summary_only: bool = False) -> health_pb2.HealthResponse:
        """Return how every part of the service is.

        Raises:
            InvalidRequest: There is no such venue.
        """
        names = sorted(set(venues) or self.tier.venues)
        rows = [self.venue_health(name, summary_only=summary_only) for name in names]
        answer = health_pb2.HealthResponse(
            version=VERSION,
            epoch=self.epoch,
            ts_measured=self.clock.wall_ns(),
            uptime_ns=self.clock.monotonic_ns() - self._started_at,
            is_draining=self.is_draining,
            venues=rows,
            edge=self.edge_figures(),
            warnings=self.tier.watchdog.warnings() + ([] if self.keeper is None else self.keeper.warnings()),
        )
        self._overview.complete(answer, self.cache_stats())
        if self.snapshots is not None:
            tell_snapshots(answer, self.snapshots, self.upkeep)
        return answer

    def is_followed(self, venue: str, symbol: str, channel: Channel) -> bool:
        """Tell whether anybody follows a topic now, so that it is live.

        Raises:
            InvalidRequest, UnknownSymbol, VenueFailed.
        """
        return self._topic(venue, symbol, channel, "") in self.tier.interest.topics()

    def cache_stats(self) -> cache_pb2.CacheSummary:
        """Return what the answer cache holds and how often it knew the answer, by class."""
        return cache_summary(self.warm.cache, self.warm.second, entries_max=self.config.cache.max_entries)

    def source_attribution(self, venue: str = "") -> list[cache_pb2.VenueAttribution]:
        """Return who gave what; of one venue, or of all.

        Raises:
            InvalidRequest: There is no such venue.
        """
        counts = {name: HitCounts(hits, misses) for name, hits, misses in self.warm.cache.owners()}
        rows = self.warm.tier.attribution.rows(counts, venue, self.tier.venues)
        return self._overview.with_streams(rows, venue)

    def check_budget(self, venue: str, count: int = 1) -> tuple[bool, int]:
        """Return whether so much REST weight could be spent at a venue now, and how much is left.

        Raises:
            InvalidRequest: There is no such venue.
        """
        return check_budget(self._budgets(venue), count)

    def get_backoff(self, venue: str, attempt: int) -> float:
        """Return how long to wait before so many-th attempt at a venue, seconds: its own word, else ours.

        Raises:
            InvalidRequest: There is no such venue.
        """
        hosts = list(self.tier.venue(venue).rests.values())
        wait_ms = max(rest.guards.breaker.wait_ms() for rest in hosts)
        return backoff_s(self._budgets(venue), hosts[0].guards.retries, attempt, breaker_wait_ms=wait_ms)

    def _budgets(self, venue: str) -> list[RestBudgets]:
        return [rest.guards.budgets for rest in self.tier.venue(venue).rests.values()]

    def list_instruments(
        self,
        *,
        venues: Sequence[str] = (),
        symbols: Sequence[str] = (),
        types: Sequence[int] = (),
        page_size: int = 0,
        page_token: str = "",
    ) -> reference_pb2.ListInstrumentsResponse:
        """Return what can be traded where, sorted by venue and symbol.

        Raises:
            InvalidRequest, UnknownSymbol.
        """
        return list_instruments(
            self.tier,
            venues=venues,
            symbols=symbols,
            types=types,
            page_size=page_size,
            page_token=page_token,
        )

    async def coverage(
        self,
        venue: str,
        symbol: str,
        channel: Channel,
        variant: str = "",
        *,
        ts_start: int = 0,
        ts_end: int = 0,
    ) -> coverage_pb2.CoverageResponse:
        """Return what is known of one topic in an interval, and what is missing.

        Args:
            venue: As ``kraken``.
            symbol: Any known spelling.
            channel: Of the topic.
            variant: Kline interval or book depth; empty: the channel's default.
            ts_start: First instant, ns UTC; 0: the oldest that is known.
            ts_end: First instant behind the interval, ns UTC; 0, or what lies ahead: now.

        Raises:
            InvalidRequest, UnknownSymbol, VenueFailed.
            NotSupported: The service keeps nothing on disk.
        """
        if self.keeper is None:
            raise NotSupported("Coverage without a data directory", operation="Coverage")
        topic = self._topic(venue, symbol, channel, variant)
        if ts_end and ts_start >= ts_end:
            raise InvalidRequest("ts_end", f"expected a time above ts_start {ts_start}, received {ts_end}")
        if ts_start >= self.clock.wall_ns():
            raise InvalidRequest("ts_start", f"expected a time in the past, received {ts_start}")
        return coverage_response(topic, await self.keeper.coverage(topic, ts_start=ts_start, ts_end=ts_end))

    # In process, without a server

    async def subscribe_trades(self, venue: str, symbol: str) -> AsyncIterator[hot_pb2.Update]:
        """Yield every record of a symbol's trades: trades, states and gaps, in order."""
        async for update in self.updates(venue, symbol, Channel.TRADES):
            yield update

    async def subscribe_book_l2(self, venue: str, symbol: str) -> AsyncIterator[hot_pb2.Update]:
        """Yield every record of a symbol's book, a snapshot first."""
        async for update in self.updates(venue, symbol, Channel.BOOK_L2):
            yield update

    async def updates(
        self, venue: str, symbol: str, channel: Channel, variant: str = ""
    ) -> AsyncIterator[hot_pb2.Update]:
        """Yield every record of one topic; leaving the iterator detaches.

        Args:
            venue: As ``kraken``; ``consolidated`` for the best bid and offer of all venues.
            symbol: Any known spelling.
            channel: What to follow.
            variant: Kline interval or bar type, book depth; empty: the channel's default.

        Raises:
            InvalidRequest, UnknownSymbol, NotSupported, QuotaExceeded, VenueFailed.
        """
        topic = self._topic(venue, symbol, channel, variant)
        self.tier.follow(topic)
        try:
            async with self.reader.subscriber() as subscriber:
                self.hub.attach(
                    subscriber,
                    *topic,
                    start=STARTS[channel],
                    wall_ns=self.clock.wall_ns(),
                    request_id=0,
                    subscription_id=0,
                    requested_symbol=symbol,
                )
                end = None
                while end is None:
                    entries, _, end = await self.reader.take(subscriber)
                    for update in hot_pb2.HotSubscribeResponse.FromString(entries).updates:
                        yield update
        finally:
            self.tier.leave(topic)

    def _hot_snapshots(self, snapshots: Snapshots) -> HotSnapshots:
        books_s = self.config.pit.books_sec
        return HotSnapshots(self.tier, self._books, snapshots.put, clock=self.clock, books_s=books_s)

    def _topic(self, venue: str, symbol: str, channel: Channel, variant: str) -> Topic:
        is_joint = channel is Channel.CONSOLIDATED_TOP
        canonical = self.tier.resolve_spot(symbol) if is_joint else self.tier.resolve(venue, symbol)["symbol"]
        return Topic(
            CONSOLIDATED if is_joint else venue, canonical, channel, self.tier.variant(channel, variant)
        )
