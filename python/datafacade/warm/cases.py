"""Offer the warm use cases: one method each, from a client's words to an encoded answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, TypedDict, Unpack

from datafacade._core import AnswerCache
from datafacade.clock import Clock
from datafacade.errors import InvalidRequest, NotSupported
from datafacade.store.pit.names import LIVE_BOOK, Entity
from datafacade.types import InstrumentRow
from datafacade.v1 import book_pb2, price_pb2
from datafacade.venues.rest import RestClient
from datafacade.warm import asks
from datafacade.warm.answers import Answers, Question, Served
from datafacade.warm.attribution import RECONCILED
from datafacade.warm.klines import JointKlines
from datafacade.warm.native import Ask, Kind
from datafacade.warm.prices import CACHE_CLASS, Prices
from datafacade.warm.snapshots import Snapshots
from datafacade.warm.tier import WarmTier

if TYPE_CHECKING:
    from datafacade.warm.second import SharedTier

Resolve = Callable[[str, str], InstrumentRow]  # venue and any spelling; raises what the resolver raises
ResolveSpot = Callable[[str], str]  # any spelling to the canonical symbol that spot markets have for it


class When(TypedDict, total=False):
    """As known when an answer is wanted."""

    ts_as_of: int  # ns UTC; 0: now
    is_refresh: bool  # nobody waits: make it anew


class Rows(TypedDict, total=False):
    """Which rows of a series are wanted."""

    limit: int  # at most, the newest ones; 0: as many as is usual
    ts_start: int  # first instant wanted, ns UTC; 0: as early as ``limit`` allows
    ts_end: int  # first instant no longer wanted, ns UTC; 0: until now


class Wanted(Rows, When, total=False):
    """Which rows of a series, and as known when."""


class WarmCases:
    """Klines, trades, ticker, funding and the unfollowed book of a venue, and reconciled prices."""

    def __init__(
        self,
        tier: WarmTier,
        *,
        prices: Prices,
        joint_klines: JointKlines,
        answers: Answers,
        cache: AnswerCache,
        second: SharedTier | None,
        snapshots: Snapshots | None,
        hosts: Sequence[RestClient],
        resolve: Resolve,
        resolve_spot: ResolveSpot,
        clock: Clock,
        is_native_only: bool,
    ) -> None:
        self.tier = tier
        self._prices = prices
        self._joint_klines = joint_klines
        self.cache = cache
        self.second = second
        self._snapshots = snapshots
        self.hosts = hosts  # of aggregators; those of venues belong to the hot tier
        self._answers = answers
        self._resolve = resolve
        self._resolve_spot = resolve_spot
        self._clock = clock
        self._is_native_only = is_native_only

    async def klines(self, venue: str, symbol: str, interval: str, **wanted: Unpack[Wanted]) -> Served:
        """Return klines, oldest first (``WarmKlinesResponse``); at most 5,000, by default 500.

        Args:
            venue: As ``kraken``; empty: reconciled over all venues that trade the symbol in its own currency.
            symbol: Any known spelling.
            interval: As ``1m``, ``1h``, ``1d``.
            **wanted: Which rows; each may be left out.

        Raises:
            AggregatorBanned, InvalidRequest, UnknownSymbol, NotSupported: What is asked cannot be had.
            VenueFailed, VenueRateLimited, CircuitOpen: The venue did not answer, and nothing is held.
            InsufficientSources: Without a venue, and too few venues have klines of it; with the evidence.
            PitNotFound, PitCorrupt: Nothing was known at ``ts_as_of``, or it is damaged.
        """
        if venue:
            row = self._native("klines", venue, symbol)
        else:
            asks.check_named(symbol=symbol)
            row = self._joint_klines.row(self._resolve_spot(symbol))
        return await self._series("klines", venue or RECONCILED, row, interval=interval, **wanted)

    async def trades(self, venue: str, symbol: str, **wanted: Unpack[Wanted]) -> Served:
        """Return a venue's trades, oldest first (``WarmTradesResponse``); at most 1,000, by default 100.

        Raises:
            As ``klines``.
        """
        return await self._series("trades", venue, self._native("trades", venue, symbol), **wanted)

    async def funding(self, venue: str, symbol: str, **wanted: Unpack[Wanted]) -> Served:
        """Return a perpetual's funding rates, oldest first (``WarmFundingResponse``); as many as trades.

        Raises:
            As ``klines``.
        """
        return await self._series("funding", venue, self._native("funding", venue, symbol), **wanted)

    async def ticker(self, venue: str, symbol: str, **when: Unpack[When]) -> Served:
        """Return a venue's statistics of 24 hours and its best prices (``WarmTickerResponse``).

        Raises:
            As ``klines``.
        """
        return await self._ask(asks.ticker(venue, self._native("ticker", venue, symbol)), **when)

    async def book(self, venue: str, symbol: str, *, depth: int) -> Served:
        """Return a book from the venue's REST (``L2BookResponse``), flagged: nothing proves it.

        Raises:
            As ``klines``.
        """
        row = self._native("book", venue, symbol)
        return await self.tier.ask(asks.book(venue, row, depth=depth))

    async def book_at(
        self, venue: str, symbol: str, *, depth: int, ts_as_of: int, allow_unverified: bool
    ) -> Served:
        """Return the newest book that was known at a time (``L2BookResponse``), with all kept levels.

        Args:
            venue: As ``kraken``.
            symbol: Any known spelling.
            depth: 0; or as an unverified book was asked for then, levels a side.
            ts_as_of: The time, ns UTC.
            allow_unverified: Whether a book of the venue's REST will do.

        Raises:
            InvalidRequest, UnknownSymbol: What is asked cannot be had.
            PitNotFound, PitCorrupt: Nothing was known, or it is damaged.
        """
        row = self._native("book", venue, symbol)
        entities = [] if depth else [Entity(LIVE_BOOK, venue, row["symbol"])]
        if allow_unverified:
            entities.append(asks.book(venue, row, depth=depth).entity)
        if not entities:
            problem = f"expected 0, since a live book was kept with all its levels, received {depth}"
            raise InvalidRequest("depth", problem)
        return await self.snapshots.newest(entities, book_pb2.L2BookResponse, ts_as_of)

    async def price(
        self,
        symbol: str,
        *,
        sources: Iterable[str] = (),
        method: str = "",
        is_native_only: bool = False,
        ts_as_of: int = 0,
        is_refresh: bool = False,
    ) -> Served:
        """Return the one price of several sources, with all evidence (``ReconciledPriceResponse``).

        Args:
            symbol: Any known spelling of a spot symbol.
            sources: Who is to be asked; empty: all that have such a market.
            method: ``trimmed_median`` or ``trimmed_mean``; empty: as configured.
            is_native_only: Whether aggregators are left out; False: as configured.
            ts_as_of: Answer with what was known then, ns UTC; 0: now.
            is_refresh: Nobody waits: make it anew.

        Raises:
            InvalidRequest, UnknownSymbol, AggregatorBanned: What is asked cannot be had.
            InsufficientSources, LowConfidence: There is no price to answer for; with the evidence.
        """
        asks.check_named(symbol=symbol)
        ask = self._prices.question(
            self._resolve_spot(symbol),
            sources=sources,
            method=method,
            is_native_only=is_native_only or self._is_native_only,
        )
        if ts_as_of:
            return await self.snapshots.at(ask.entity, price_pb2.ReconciledPriceResponse, ts_as_of)
        question = Question(
            key=ask.key,
            cache_class=CACHE_CLASS,
            ttl_ms=self.tier.ttl_ms(CACHE_CLASS),
            source=RECONCILED,
            entity=ask.entity,
            carrier=price_pb2.ReconciledPriceResponse,
        )
        return await self._answers.ask(question, lambda _: self._prices.make(ask), is_refresh=is_refresh)

    @property
    def snapshots(self) -> Snapshots:
        """What was answered before.

        Raises:
            NotSupported: This service keeps nothing.
        """
        if self._snapshots is None:
            raise NotSupported("snapshots without a data directory")
        return self._snapshots

    async def close(self) -> None:
        """End what is made anew for nobody, and leave the second tier."""
        await self._answers.close()
        await self._prices.close()
        for host in self.hosts:
            await host.close()
        if self.second is not None:
            await self.second.close()

    async def _series(
        self,
        kind: Kind,
        venue: str,
        row: InstrumentRow,
        *,
        interval: str = "",
        ts_as_of: int = 0,
        is_refresh: bool = False,
        **rows: Unpack[Rows],
    ) -> Served:
        ask = asks.series(kind, venue, row, interval=interval, now_ns=self._clock.wall_ns(), **rows)
        return await self._ask(ask, ts_as_of=ts_as_of, is_refresh=is_refresh)

    async def _ask(self, ask: Ask, *, ts_as_of: int = 0, is_refresh: bool = False) -> Served:
        if ts_as_of:
            return await self.snapshots.at(ask.entity, ask.shape.carrier, ts_as_of)
        if ask.venue != RECONCILED:
            return await self.tier.ask(ask, is_refresh=is_refresh)
        return await self._answers.ask(
            self.tier.question(ask), lambda _: self._joint_klines.make(ask), is_refresh=is_refresh
        )

    def _native(self, kind: Kind, venue: str, symbol: str) -> InstrumentRow:
        """Return the instrument that a venue may be asked about."""
        asks.check_named(venue=venue, symbol=symbol)
        self.tier.check_authority(kind, venue)
        return self._resolve(venue, symbol)
