"""The client of one service: streams, books, health, instruments."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from random import Random, SystemRandom
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

import grpc

from datafacade.client.answers import book_of
from datafacade.client.book import Book
from datafacade.client.call import Call, Metadata
from datafacade.client.channel import open_channel
from datafacade.client.events import Event, Trade
from datafacade.client.following import Callback, Deliver, Following, deliver_books, deliver_trades
from datafacade.client.items import Wish
from datafacade.client.pit import PitCalls
from datafacade.client.stamp import Received
from datafacade.client.subscription import Subscription, words
from datafacade.client.topic import Channel, Position, channel_number, channel_of
from datafacade.client.warm import Funding, Klines, Price, TickerAnswer, Trades
from datafacade.client.warm_decode import funding_of, klines_of, price_of, ticker_answer_of, trades_of
from datafacade.rows.words import method_number
from datafacade.v1 import (
    book_pb2,
    cache_pb2,
    coverage_pb2,
    health_pb2,
    hot_pb2,
    price_pb2,
    reference_pb2,
    warm_pb2,
)
from datafacade.v1.service_pb2_grpc import DataFacadeServiceStub

if TYPE_CHECKING:
    from datafacade.v1.service_pb2_grpc import DataFacadeServiceAsyncStub  # a type only

TARGET: Final = "127.0.0.1:50051"
PAGE_ROWS: Final = 2_000


class Client(PitCalls):
    """A connection to one service; use it as a context manager. All times it gives are ns since 1970 UTC.

    Args:
        target: ``host:port`` of the service.
        credentials: Of the channel; None: without TLS, as on loopback.
        metadata: Sent with each call, as a bearer token.
        timeout_s: Longest wait for a unary answer, seconds.
        silence_s: A stream counts as lost after so much silence, seconds; the service speaks every second.
        dice: Randomness of the waits between tries; None: the system's.

    Example:
        >>> async def main() -> None:
        ...     async with Client() as client:
        ...         async for event in client.subscribe("kraken", "BTC-USD", "book"):
        ...             print(event)
    """

    def __init__(
        self,
        target: str = TARGET,
        *,
        credentials: grpc.ChannelCredentials | None = None,
        metadata: Metadata = (),
        timeout_s: float = 10.0,
        silence_s: float = 5.0,
        dice: Random | None = None,
    ) -> None:
        self.target = target
        self._credentials = credentials
        self._metadata = metadata
        self._timeout_s = timeout_s
        self._silence_s = silence_s
        self._dice = dice or SystemRandom()
        self._channel: grpc.aio.Channel | None = None
        self._stub: DataFacadeServiceAsyncStub | None = None
        self._subscriptions: set[Subscription] = set()
        self._followings: set[Following] = set()

    async def __aenter__(self) -> Self:
        """Open the channel; the service is first asked when something is wanted of it."""
        self._channel = open_channel(self.target, self._credentials)
        self._stub = DataFacadeServiceStub(self._channel)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        await self.close()

    async def close(self) -> None:
        """End all streams, wait for all callbacks, close the channel."""
        for following in list(self._followings):
            await following.close()
        for subscription in list(self._subscriptions):
            await subscription.aclose()
        channel, self._channel, self._stub = self._channel, None, None
        if channel is not None:
            await channel.close()

    # Streams

    def subscribe(
        self,
        venues: str | Iterable[str],
        symbols: str | Iterable[str],
        channels: str | Iterable[str] = Channel.TRADES,
        *,
        variants: str | Iterable[str] = (),
        delivery: str = "",
        interval_ms: int = 0,
        allow_unverified: bool = False,
        ts_history_start: int = 0,
    ) -> Subscription:
        """Return the live events of venues x symbols x channels; iterate over it.

        Args:
            venues: As ``kraken``; empty: every venue that is authoritative.
            symbols: Any known spelling, as ``BTC-USD``, ``BTCUSDT`` or ``XBT/USD``.
            channels: ``trades``, ``book``, ``top``, ``ticker``, ``klines``, ``consolidated``.
            variants: Kline intervals (``1m``, ``100t``) or book depths (``25``); none: the default.
            delivery: ``EVERY``, ``LATEST`` or ``INTERVAL``; empty: EVERY for trades and klines, else LATEST.
            interval_ms: For INTERVAL: at most one update per topic in so long; a book needs a depth then.
            allow_unverified: Whether books without proof may come.
            ts_history_start: Trades or klines from here on first, ns since 1970 UTC, then live; 0: live only.

        Raises:
            ValueError: No symbol or no channel is named, or there is no such channel or delivery.
        """
        wish = Wish(
            variants=tuple(words(variants)),
            delivery=delivery,
            interval_ms=interval_ms,
            allow_unverified=allow_unverified,
            ts_history_start=ts_history_start,
        )
        subscription = self._subscription()
        subscription.add(venues, symbols, channels, wish=wish)
        self._subscriptions.add(subscription)
        return subscription

    def resume(
        self, positions: Iterable[Position], *, delivery: str = "", is_exact_required: bool = False
    ) -> Subscription:
        """Go on where another run of this client stood, with what `Subscription.positions` gave there.

        Each record that was missed comes once; what is no longer held is told as a Gap. A book begins
        with a fresh snapshot, since its levels are gone, and a Gap of cause CLIENT_RESTART tells the hole.

        Args:
            positions: As they were stored.
            delivery: As in `subscribe`.
            is_exact_required: End a topic rather than begin it anew where its position is no longer held.

        Raises:
            ValueError: There is no position.
        """
        subscription = self._subscription()
        subscription.go_on(positions, Wish(delivery=delivery, is_exact_required=is_exact_required))
        self._subscriptions.add(subscription)
        return subscription

    async def subscribe_trades(
        self,
        venue: str,
        symbol: str,
        callback: Callback[Sequence[Trade]],
        *,
        on_event: Callback[Event] | None = None,
    ) -> Following:
        """Call back with batches of trades: those of one venue frame together, in order.

        Args:
            venue: As ``kraken``.
            symbol: Any known spelling.
            callback: Plain or async; the next batch waits for it.
            on_event: Called with states, gaps and lost connections.

        Raises:
            ClientError: The service is not there, or refuses the symbol.
        """
        subscription = self.subscribe(venue, symbol, Channel.TRADES)
        return await self._follow(subscription, deliver_trades(callback, on_event))

    async def subscribe_book_l2(
        self,
        venue: str,
        symbol: str,
        callback: Callback[Book],
        *,
        allow_unverified: bool = False,
        on_event: Callback[Event] | None = None,
    ) -> Following:
        """Call back with the book after each change, a whole one first; else as `subscribe_trades`.

        All levels can be read until the callback returns. ``on_event`` hears of mismatches too; a book
        without proof comes only with ``allow_unverified``.
        """
        subscription = self.subscribe(venue, symbol, Channel.BOOK_L2, allow_unverified=allow_unverified)
        return await self._follow(subscription, deliver_books(callback, on_event))

    # Answers of the warm tier: cached REST data of any instrument, followed or not

    async def klines(
        self, venue: str, symbol: str, interval: str, *, limit: int = 0, ts_start: int = 0, ts_end: int = 0
    ) -> Klines:
        """Return a venue's own klines, oldest first, the open one flagged.

        Args:
            venue: As ``kraken``; empty: all that trade the symbol, reconciled.
            symbol: Any known spelling.
            interval: As ``1m``, ``1h``, ``1d``.
            limit: Rows at most, the newest ones, to 5,000; 0: 500.
            ts_start: First instant wanted, ns UTC; 0: as early as ``limit`` allows.
            ts_end: First instant no longer wanted, ns UTC; 0: until now.

        Raises:
            ClientError: `UnknownSymbol`, `InvalidRequest`, `VenueFailed`, `AggregatorBanned`, ...
        """
        request = warm_pb2.WarmKlinesRequest(
            venue=venue, symbol=symbol, interval=interval, limit=limit, ts_start=ts_start, ts_end=ts_end
        )
        return klines_of(await self._ask(self._service.WarmKlines, request))

    async def trades(
        self, venue: str, symbol: str, *, limit: int = 0, ts_start: int = 0, ts_end: int = 0
    ) -> Trades:
        """Return a venue's own trades, oldest first; at most 1,000, by default 100. Else as `klines`."""
        request = warm_pb2.WarmTradesRequest(
            venue=venue, symbol=symbol, limit=limit, ts_start=ts_start, ts_end=ts_end
        )
        return trades_of(await self._ask(self._service.WarmTrades, request))

    async def ticker(self, venue: str, symbol: str) -> TickerAnswer:
        """Return a venue's statistics of 24 hours and its best prices. Errors as those of `klines`."""
        request = warm_pb2.WarmTickerRequest(venue=venue, symbol=symbol)
        answer = await self._ask(self._service.WarmTicker, request)
        return ticker_answer_of(answer, Received(time.time_ns(), time.monotonic_ns()))

    async def funding(
        self, venue: str, symbol: str, *, limit: int = 0, ts_start: int = 0, ts_end: int = 0
    ) -> Funding:
        """Return a perpetual's funding rates, oldest first; at most 1,000, else 100. Else as `klines`."""
        request = warm_pb2.WarmFundingRequest(
            venue=venue, symbol=symbol, limit=limit, ts_start=ts_start, ts_end=ts_end
        )
        return funding_of(await self._ask(self._service.WarmFunding, request))

    async def price(
        self,
        symbol: str,
        *,
        sources: str | Iterable[str] = (),
        method: str = "",
        is_native_only: bool = False,
    ) -> Price:
        """Return one price of several sources, with what became of each.

        Args:
            symbol: Any known spelling of a spot symbol.
            sources: Who is asked; empty: those of the service's configuration.
            method: ``trimmed_median`` or ``trimmed_mean``; empty: as the service is configured.
            is_native_only: Whether aggregators are left out; False: as the service is configured.

        Raises:
            ClientError: `InsufficientSources`, `LowConfidence` (both with ``evidence``), `UnknownSymbol`, ...
            ValueError: There is no such method.
        """
        number = method_number(method)
        request = price_pb2.ReconciledPriceRequest(
            symbol=symbol, sources=words(sources), method=number, exchange_native_only=is_native_only
        )
        return price_of(await self._ask(self._service.ReconciledPrice, request))

    # Answers about books and the service

    async def get_book_l2(
        self, venue: str, symbol: str, *, depth: int = 0, allow_unverified: bool = False
    ) -> Book:
        """Return one book, ``depth`` levels a side (0: all); its levels stay as they are.

        Raises:
            ClientError: `UnknownSymbol`, `BookNotReady`, `BookUnverified`, ...
        """
        request = book_pb2.L2BookRequest(
            venue=venue, symbol=symbol, depth=depth, allow_unverified=allow_unverified
        )
        answer = await self._ask(self._service.L2Book, request)
        return book_of(answer, Received(time.time_ns(), time.monotonic_ns()))

    async def health(
        self, venues: str | Iterable[str] = (), *, summary_only: bool = False
    ) -> health_pb2.HealthResponse:
        """Return how the service and its venues are, in the contract's own words.

        Raises:
            ClientError: The service is not there, or knows no such venue.
        """
        request = health_pb2.HealthRequest(venues=words(venues), summary_only=summary_only)
        return await self._ask(self._service.Health, request)

    async def venue_health(self, venue: str) -> health_pb2.VenueHealth:
        """Return how one venue is. Errors as those of `health`."""
        return (await self.health(venue)).venues[0]

    async def cache_stats(self) -> cache_pb2.CacheSummary:
        """Return hits, misses, entries and TTL of each cache class. Errors as those of `health`."""
        return (await self._ask(self._service.CacheStats, cache_pb2.CacheStatsRequest())).cache

    async def source_attribution(self, venue: str = "") -> list[cache_pb2.VenueAttribution]:
        """Return who gave what since the start, by venue (empty: all). Errors as those of `health`."""
        request = cache_pb2.SourceAttributionRequest(venue=venue)
        return list((await self._ask(self._service.SourceAttribution, request)).venues)

    async def coverage(
        self,
        venue: str,
        symbol: str,
        channel: str = Channel.TRADES,
        *,
        variant: str = "",
        ts_start: int = 0,
        ts_end: int = 0,
    ) -> coverage_pb2.CoverageResponse:
        """Return what is known of a topic's past and what is missing, in the contract's own words.

        Args:
            venue: As ``kraken``.
            symbol: Any known spelling.
            channel: As in `subscribe`.
            variant: Kline interval or book depth; empty: the channel's default.
            ts_start: First instant, ns since 1970 UTC; 0: the oldest that is known.
            ts_end: First instant behind the interval, ns since 1970 UTC; 0: now.

        Raises:
            ClientError: The service is not there, knows no such symbol, or keeps nothing on disk.
            ValueError: There is no such channel.
        """
        number = channel_number(channel_of(channel))
        request = coverage_pb2.CoverageRequest(
            venue=venue, symbol=symbol, channel=number, variant=variant, ts_start=ts_start, ts_end=ts_end
        )
        return await self._ask(self._service.Coverage, request)

    async def list_instruments(
        self, venues: str | Iterable[str] = (), *, symbols: str | Iterable[str] = ()
    ) -> list[reference_pb2.Instrument]:
        """Return what can be traded at some venues (empty: all), sorted by venue and symbol.

        Raises:
            ClientError: The service is not there, or knows no such venue or symbol.
        """
        request = reference_pb2.ListInstrumentsRequest(
            venues=words(venues), symbols=words(symbols), page_size=PAGE_ROWS
        )
        rows: list[reference_pb2.Instrument] = []
        while True:
            answer = await self._ask(self._service.ListInstruments, request)
            rows.extend(answer.instruments)
            if not answer.next_page_token:
                return rows
            request.page_token = answer.next_page_token

    # Inside

    @property
    def _service(self) -> DataFacadeServiceAsyncStub:
        if self._stub is None:
            raise RuntimeError("the client is not open: use `async with Client(...) as client`")
        return self._stub

    def _subscription(self) -> Subscription:
        return Subscription(self._open_call, dice=self._dice, on_close=self._subscriptions.discard)

    def _open_call(self, first: Iterable[hot_pb2.HotSubscribeRequest]) -> Call:
        return Call(self._service, first, silence_s=self._silence_s, metadata=self._metadata)

    async def _follow(self, subscription: Subscription, deliver: Deliver) -> Following:
        following = Following(subscription, deliver, on_close=self._followings.discard)
        self._followings.add(following)
        await following.accepted()
        return following
