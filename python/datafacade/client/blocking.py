"""The same client for programs without an event loop: scripts and notebooks."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from datafacade.client.book import Book
from datafacade.client.client import TARGET, Client
from datafacade.client.events import Event
from datafacade.client.pit import PitSnapshot
from datafacade.client.topic import Channel
from datafacade.client.warm import Funding, Klines, Price, TickerAnswer, Trades
from datafacade.v1 import cache_pb2, coverage_pb2, health_pb2, pit_pb2, reference_pb2

if TYPE_CHECKING:
    import polars as pl  # only frames need it

T = TypeVar("T")


class BlockingClient:
    """A `Client` on a thread of its own; each call waits for its answer. Use it as a context manager.

    Args:
        target: ``host:port`` of the service.
        options: As those of `Client`.

    Example:
        >>> with BlockingClient() as client:  # doctest: +SKIP
        ...     print(client.get_book_l2("kraken", "BTC-USD").best_bid)
    """

    def __init__(self, target: str = TARGET, **options: Any) -> None:  # noqa: ANN401  those of Client
        self._client = Client(target, **options)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="datafacade client", daemon=True)

    def __enter__(self) -> Self:
        """Start the thread and open the channel."""
        self._thread.start()
        self._wait(self._client.__aenter__())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the client and end the thread."""
        try:
            self._wait(self._client.close())
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    def subscribe(
        self,
        venues: str | Iterable[str],
        symbols: str | Iterable[str],
        channels: str | Iterable[str] = Channel.TRADES,
        **wishes: Any,  # noqa: ANN401  those of Client.subscribe
    ) -> Iterator[Event]:
        """Yield the live events of venues x symbols x channels, as `Client.subscribe`; leaving ends the call.

        Raises:
            ClientError: The service is not there, or refuses every item.
        """
        subscription = self._client.subscribe(venues, symbols, channels, **wishes)
        try:
            while True:
                try:
                    event = self._wait(subscription.__anext__())
                except StopAsyncIteration:
                    return
                yield event
        finally:
            if not self._loop.is_closed():  # else the client has closed it already
                self._wait(subscription.aclose())

    def get_book_l2(self, venue: str, symbol: str, *, depth: int = 0, allow_unverified: bool = False) -> Book:
        """Return one book, as `Client.get_book_l2`."""
        question = self._client.get_book_l2(venue, symbol, depth=depth, allow_unverified=allow_unverified)
        return self._wait(question)

    def klines(self, venue: str, symbol: str, interval: str, **options: int) -> Klines:
        """Return a venue's klines, as `Client.klines`."""
        return self._wait(self._client.klines(venue, symbol, interval, **options))

    def trades(self, venue: str, symbol: str, **options: int) -> Trades:
        """Return a venue's trades, as `Client.trades`."""
        return self._wait(self._client.trades(venue, symbol, **options))

    def ticker(self, venue: str, symbol: str) -> TickerAnswer:
        """Return a venue's ticker, as `Client.ticker`."""
        return self._wait(self._client.ticker(venue, symbol))

    def funding(self, venue: str, symbol: str, **options: int) -> Funding:
        """Return a perpetual's funding rates, as `Client.funding`."""
        return self._wait(self._client.funding(venue, symbol, **options))

    def price(self, symbol: str, **options: Any) -> Price:  # noqa: ANN401  those of Client.price
        """Return one price of several sources, as `Client.price`."""
        return self._wait(self._client.price(symbol, **options))

    def cache_stats(self) -> cache_pb2.CacheSummary:
        """Return what the cache holds, as `Client.cache_stats`."""
        return self._wait(self._client.cache_stats())

    def source_attribution(self, venue: str = "") -> list[cache_pb2.VenueAttribution]:
        """Return who gave what, as `Client.source_attribution`."""
        return self._wait(self._client.source_attribution(venue))

    def pit_get(self, snapshot_id: str) -> PitSnapshot:
        """Return a stored answer, as `Client.pit_get`."""
        return self._wait(self._client.pit_get(snapshot_id))

    def pit_text(self, snapshot_id: str) -> str:
        """Return the readable form of a stored answer, as `Client.pit_text`."""
        return self._wait(self._client.pit_text(snapshot_id))

    def pit_at(self, entity: str, ts_as_of: int = 0) -> pl.DataFrame:
        """Return what was known at a time, as `Client.pit_at`."""
        return self._wait(self._client.pit_at(entity, ts_as_of))

    def pit_find(self, entity: str, ts_as_of: int = 0) -> PitSnapshot:
        """Return the newest answer that was known at a time, as `Client.pit_find`."""
        return self._wait(self._client.pit_find(entity, ts_as_of))

    def pit_entities(self) -> list[str]:
        """Return everything of which an answer is kept, as `Client.pit_entities`."""
        return self._wait(self._client.pit_entities())

    def pit_verify(self) -> pit_pb2.VerifyPitResponse:
        """Return what is damaged, as `Client.pit_verify`."""
        return self._wait(self._client.pit_verify())

    def pit_refs(self, entity: str, ts_from: int = 0, ts_until: int = 0) -> list[pit_pb2.PitRef]:
        """Return which answers are kept, as `Client.pit_refs`."""
        return self._wait(self._client.pit_refs(entity, ts_from, ts_until))

    def pit_list(self, entity: str, ts_from: int = 0, ts_until: int = 0) -> pl.DataFrame:
        """Return which answers are kept, as `Client.pit_list`."""
        return self._wait(self._client.pit_list(entity, ts_from, ts_until))

    def health(
        self, venues: str | Iterable[str] = (), *, summary_only: bool = False
    ) -> health_pb2.HealthResponse:
        """Return how the service and its venues are, as `Client.health`."""
        return self._wait(self._client.health(venues, summary_only=summary_only))

    def venue_health(self, venue: str) -> health_pb2.VenueHealth:
        """Return how one venue is, as `Client.venue_health`."""
        return self._wait(self._client.venue_health(venue))

    def coverage(
        self,
        venue: str,
        symbol: str,
        channel: str = Channel.TRADES,
        **options: Any,  # noqa: ANN401  those of Client.coverage
    ) -> coverage_pb2.CoverageResponse:
        """Return what is known of a topic's past, as `Client.coverage`."""
        return self._wait(self._client.coverage(venue, symbol, channel, **options))

    def list_instruments(
        self, venues: str | Iterable[str] = (), *, symbols: str | Iterable[str] = ()
    ) -> list[reference_pb2.Instrument]:
        """Return what can be traded, as `Client.list_instruments`."""
        return self._wait(self._client.list_instruments(venues, symbols=symbols))

    def _wait(self, question: Coroutine[Any, Any, T]) -> T:
        """Return what a coroutine returns on the client's thread; Ctrl-C ends the wait and the question."""
        answer = asyncio.run_coroutine_threadsafe(question, self._loop)
        try:
            return answer.result()
        except BaseException:
            answer.cancel()
            raise
