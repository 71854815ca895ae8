"""Translate requests into use cases and answers into bytes: the same for every server."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Awaitable, Callable
from typing import Final

from datafacade.errors import Draining, FacadeError, InvalidRequest, NotSupported, QuotaExceeded
from datafacade.facade import DataFacade
from datafacade.serve.answer import MESSAGE_BYTES_MAX, Answer, Send, parse, refuse_past, stored, to_answer
from datafacade.serve.pit import METHODS as SNAPSHOT_METHODS
from datafacade.serve.pit import PitHandlers
from datafacade.serve.status import Refusal, refuse, refuse_internal
from datafacade.serve.subscriptions import Subscriptions
from datafacade.serve.warm import REQUESTS, WarmHandlers
from datafacade.types import Channel
from datafacade.v1 import (
    book_pb2,
    cache_pb2,
    coverage_pb2,
    health_pb2,
    hot_pb2,
    lineage_pb2,
    reference_pb2,
)
from datafacade.warm.asks import check_named

log = logging.getLogger(__name__)

SERVICE: Final = "datafacade.v1.DataFacadeService"
SNAPSHOT_SERVICE: Final = "datafacade.v1.SnapshotService"
STREAM_METHOD: Final = "HotSubscribe"
PAST_FIELDS: Final = ("ts_as_of", "snapshot_id")


class Handlers:
    """All methods of the service. Whatever goes wrong leaves as a ``Refusal``."""

    def __init__(self, facade: DataFacade, subscriptions: Subscriptions) -> None:
        self._facade = facade
        self._subscriptions = subscriptions
        self._methods: dict[str, Callable[[bytes], Awaitable[Answer]]] = {
            "L2Book": self._l2_book,
            "Coverage": self._coverage,
            "Health": self._health,
            "CacheStats": self._cache_stats,
            "SourceAttribution": self._attribution,
            "ListInstruments": self._list_instruments,
        }
        pit = PitHandlers(facade.snapshots, facade.clock)
        self._methods |= pit.methods
        self._parted = pit.parted
        self._warm = WarmHandlers(facade.warm).methods
        # Methods with one request; the last message of each answer carries ``served``.
        self.methods: Final = (*self._methods, *self._parted, *self._warm)
        # Those of them that may answer in several messages.
        self.parted_methods: Final = (*self._parted,)

    @property
    def cached_methods(self) -> dict[str, list[int]]:
        """Methods whose answers do not depend on who asks, and the fields that a repeated request may hold.

        A request for the past has fields of its own and is left to the handlers.
        """
        return {
            name: [field.number for field in kind.DESCRIPTOR.fields if field.name not in PAST_FIELDS]
            for name, kind in REQUESTS.items()
        }

    async def call(
        self, asked: str, request: bytes, *, send: Send, is_refresh: bool = False
    ) -> Answer | Refusal:
        """Answer the call of a path, as `/datafacade.v1.SnapshotService/PitAt`.

        Args:
            asked: The path.
            request: The request message.
            send: Hands over all messages but the last, where there are several.
            is_refresh: Whether it is the edge's own call, that nobody waits for.
        """
        method = asked.rpartition("/")[2]
        try:
            if method not in self.methods or path(method) != asked:
                raise NotSupported("this method", operation=asked)
            self._refuse_if_draining()
            if method != "Health":
                await self._facade.wait_ready()
            answer = await self._answer(method, request, send, is_refresh=is_refresh)
            if len(answer.message) > MESSAGE_BYTES_MAX:
                raise QuotaExceeded(f"bytes of a {method} answer", MESSAGE_BYTES_MAX, len(answer.message))
        except FacadeError as error:
            return refuse(error)
        except Exception as error:  # the root of a call
            return self._fault(method, error)
        return answer

    async def _answer(self, method: str, request: bytes, send: Send, *, is_refresh: bool) -> Answer:
        if method in self._warm:
            return await self._warm[method](request, is_refresh)
        if method in self._parted:
            return await self._parted[method](request, send)
        return await self._methods[method](request)

    async def stream_request(self, subscriber: int, request: bytes) -> Refusal | None:
        """Apply one request of a stream; a refusal ends the stream."""
        try:
            self._refuse_if_draining()
            await self._facade.wait_ready()
            await self._subscriptions.apply(subscriber, parse(hot_pb2.HotSubscribeRequest, request))
        except FacadeError as error:
            return refuse(error)
        except Exception as error:  # the root of a call
            return self._fault(STREAM_METHOD, error)
        return None

    def stream_closed(self, subscriber: int) -> None:
        """Forget a stream that has ended."""
        self._subscriptions.closed(subscriber)

    async def run(self) -> None:
        """Carry out what takes longer than its request, until cancelled."""
        await self._subscriptions.run()

    # Methods

    async def _l2_book(self, request: bytes) -> Answer:
        asked = parse(book_pb2.L2BookRequest, request)
        held = await stored(self._facade.warm, asked, book_pb2.L2BookResponse)
        if held is not None:
            return held
        check_named(venue=asked.venue, symbol=asked.symbol)
        self._facade.warm.tier.check_authority("book", asked.venue)
        if asked.ts_as_of:
            return to_answer(
                await self._facade.warm.book_at(
                    asked.venue,
                    asked.symbol,
                    depth=asked.depth,
                    ts_as_of=asked.ts_as_of,
                    allow_unverified=asked.allow_unverified,
                )
            )
        if asked.allow_unverified and not self._facade.is_followed(
            asked.venue, asked.symbol, Channel.BOOK_L2
        ):
            return to_answer(await self._facade.warm.book(asked.venue, asked.symbol, depth=asked.depth))
        answer = await self._facade.l2_book(
            asked.venue, asked.symbol, depth=asked.depth, allow_unverified=asked.allow_unverified
        )
        return Answer(answer.SerializeToString(), lineage_pb2.CACHE_TIER_LIVE)

    async def _coverage(self, request: bytes) -> Answer:
        asked = parse(coverage_pb2.CoverageRequest, request)
        refuse_past(asked.ts_as_of, asked.snapshot_id)
        check_named(venue=asked.venue, symbol=asked.symbol)
        try:
            channel = Channel(asked.channel)
        except ValueError:
            raise InvalidRequest("channel", f"expected a channel, received {asked.channel}") from None
        answer = await self._facade.coverage(
            asked.venue,
            asked.symbol,
            channel,
            asked.variant,
            ts_start=asked.ts_start,
            ts_end=asked.ts_end,
        )
        return Answer(answer.SerializeToString(), lineage_pb2.CACHE_TIER_LIVE)

    async def _health(self, request: bytes) -> Answer:
        asked = parse(health_pb2.HealthRequest, request)
        refuse_past(asked.ts_as_of, asked.snapshot_id)
        answer = self._facade.health(asked.venues, summary_only=asked.summary_only)
        return Answer(answer.SerializeToString(), lineage_pb2.CACHE_TIER_LIVE)

    async def _cache_stats(self, request: bytes) -> Answer:
        asked = parse(cache_pb2.CacheStatsRequest, request)
        refuse_past(asked.ts_as_of, asked.snapshot_id)
        answer = cache_pb2.CacheStatsResponse(cache=self._facade.cache_stats())
        return Answer(answer.SerializeToString(), lineage_pb2.CACHE_TIER_LIVE)

    async def _attribution(self, request: bytes) -> Answer:
        asked = parse(cache_pb2.SourceAttributionRequest, request)
        refuse_past(asked.ts_as_of, asked.snapshot_id)
        rows = self._facade.source_attribution(asked.venue)
        answer = cache_pb2.SourceAttributionResponse(venues=rows)
        return Answer(answer.SerializeToString(), lineage_pb2.CACHE_TIER_LIVE)

    async def _list_instruments(self, request: bytes) -> Answer:
        asked = parse(reference_pb2.ListInstrumentsRequest, request)
        refuse_past(asked.ts_as_of, asked.snapshot_id)
        answer = self._facade.list_instruments(
            venues=asked.venues,
            symbols=asked.symbols,
            types=asked.types,
            page_size=asked.page_size,
            page_token=asked.page_token,
        )
        return Answer(answer.SerializeToString(), lineage_pb2.CACHE_TIER_LIVE)

    # Refusals

    def _refuse_if_draining(self) -> None:
        if self._facade.is_draining:
            raise Draining

    @staticmethod
    def _fault(method: str, error: Exception) -> Refusal:
        error_id = secrets.token_hex(8)
        log.error("call.fault", exc_info=error, extra={"method": method, "error_id": error_id})
        return refuse_internal(error_id)


def path(method: str) -> str:
    """Return the path of a method of our services; no two of them share a name.

    Example:
        >>> path(STREAM_METHOD)
        '/datafacade.v1.DataFacadeService/HotSubscribe'
    """
    return f"/{SNAPSHOT_SERVICE if method in SNAPSHOT_METHODS else SERVICE}/{method}"
