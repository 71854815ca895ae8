"""Translate requests into use cases and answers into bytes: the same for every server."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple, TypeVar

from google.protobuf.message import DecodeError, Message

from datafacade.errors import Draining, FacadeError, InvalidRequest, NotSupported
from datafacade.facade import DataFacade
from datafacade.serve.status import Refusal, refuse, refuse_internal
from datafacade.serve.subscriptions import Subscriptions
from datafacade.types import Channel
from datafacade.v1 import (
    book_pb2,
    cache_pb2,
    coverage_pb2,
    health_pb2,
    hot_pb2,
    lineage_pb2,
    price_pb2,
    reference_pb2,
    warm_pb2,
)

log = logging.getLogger(__name__)

SERVICE: Final = "datafacade.v1.DataFacadeService"
STREAM_METHOD: Final = "HotSubscribe"

RequestT = TypeVar("RequestT", bound=Message)


class Answer(NamedTuple):
    """A unary answer: what the handler wrote, and what ``served`` says about it."""

    message: bytes
    cache_tier: int  # CacheTier
    key: str = ""  # in the answer cache; "": it is not there
    is_stale: bool = False
    ts_cached: int = 0  # ns since 1970 UTC; 0: it is not cached
    ts_expires: int = 0  # ns since 1970 UTC; 0: it is not cached
    age_ns: int = 0  # of its data
    snapshot_id: str = ""  # SHA-256 of the message in hex; "": to be computed


class Handlers:
    """All methods of the service. Whatever goes wrong leaves as a ``Refusal``."""

    def __init__(self, facade: DataFacade, subscriptions: Subscriptions) -> None:
        self._facade = facade
        self._subscriptions = subscriptions
        unserved = {
            "WarmKlines": warm_pb2.WarmKlinesRequest,
            "WarmTrades": warm_pb2.WarmTradesRequest,
            "WarmTicker": warm_pb2.WarmTickerRequest,
            "WarmFunding": warm_pb2.WarmFundingRequest,
            "ReconciledPrice": price_pb2.ReconciledPriceRequest,
            "CacheStats": cache_pb2.CacheStatsRequest,
            "SourceAttribution": cache_pb2.SourceAttributionRequest,
        }
        self._methods: dict[str, Callable[[bytes], Awaitable[Answer]]] = {
            "L2Book": self._l2_book,
            "Coverage": self._coverage,
            "Health": self._health,
            "ListInstruments": self._list_instruments,
        }
        self._unserved: Mapping[str, type[Message]] = MappingProxyType(unserved)

    @property
    def unary_methods(self) -> list[str]:
        """Names of the unary methods; each answer carries ``served``."""
        return [*self._methods, *self._unserved]

    async def unary(self, method: str, request: bytes) -> Answer | Refusal:
        """Answer one unary call."""
        try:
            self._refuse_if_draining()
            if method in self._unserved:
                raise NotSupported(method, operation=method)
            if method != "Health":
                await self._facade.wait_ready()
            return await self._methods[method](request)
        except FacadeError as error:
            return refuse(error)
        except Exception as error:  # the root of a call
            return self._fault(method, error)

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
        refuse_past(asked.ts_as_of, asked.snapshot_id)
        for name, value in (("venue", asked.venue), ("symbol", asked.symbol)):
            if not value:
                raise InvalidRequest(name, "expected a name, received nothing")
        answer = await self._facade.l2_book(
            asked.venue, asked.symbol, depth=asked.depth, allow_unverified=asked.allow_unverified
        )
        return Answer(answer.SerializeToString(), lineage_pb2.CACHE_TIER_LIVE)

    async def _coverage(self, request: bytes) -> Answer:
        asked = parse(coverage_pb2.CoverageRequest, request)
        refuse_past(asked.ts_as_of, asked.snapshot_id)
        for name, value in (("venue", asked.venue), ("symbol", asked.symbol)):
            if not value:
                raise InvalidRequest(name, "expected a name, received nothing")
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
    """Return the path of a method of our service.

    Example:
        >>> path(STREAM_METHOD)
        '/datafacade.v1.DataFacadeService/HotSubscribe'
    """
    return f"/{SERVICE}/{method}"


def parse(kind: type[RequestT], request: bytes) -> RequestT:
    """Return the message.

    Raises:
        InvalidRequest: The bytes are no such message.
    """
    try:
        return kind.FromString(request)
    except DecodeError:
        name = kind.DESCRIPTOR.name
        raise InvalidRequest("request", f"expected a {name}, received other bytes") from None


def refuse_past(ts_as_of: int, snapshot_id: str) -> None:
    """Refuse to answer from the past, which later releases can.

    Raises:
        NotSupported: One of the two is set.
    """
    if ts_as_of:
        raise NotSupported("ts_as_of")
    if snapshot_id:
        raise NotSupported("snapshot_id")
