"""Translate the warm requests into use cases, and what they answer into bytes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Final, TypeVar, cast

from google.protobuf.message import Message

from datafacade.errors import InvalidRequest
from datafacade.serve.answer import Answer, Past, parse, stored, to_answer
from datafacade.v1 import price_pb2, warm_pb2
from datafacade.warm import prices
from datafacade.warm.answers import Served
from datafacade.warm.cases import Wanted, WarmCases, When

METHODS: Final[Mapping[int, str]] = MappingProxyType(
    {price_pb2.RECONCILE_METHOD_UNSPECIFIED: "", **{number: text for text, number in prices.METHODS.items()}}
)
REQUESTS: Final[Mapping[str, type[Message]]] = MappingProxyType(
    {
        "WarmKlines": warm_pb2.WarmKlinesRequest,
        "WarmTrades": warm_pb2.WarmTradesRequest,
        "WarmTicker": warm_pb2.WarmTickerRequest,
        "WarmFunding": warm_pb2.WarmFundingRequest,
        "ReconciledPrice": price_pb2.ReconciledPriceRequest,
    }
)

SeriesRequest = warm_pb2.WarmKlinesRequest | warm_pb2.WarmTradesRequest | warm_pb2.WarmFundingRequest
Handler = Callable[[bytes, bool], Awaitable[Answer]]
Asked = TypeVar("Asked", bound=Message)


class WarmHandlers:
    """The unary methods of the warm tier; the edge repeats their answers by itself."""

    def __init__(self, cases: WarmCases) -> None:
        self._cases = cases
        use, warm, price = self._method, warm_pb2, price_pb2
        self.methods: Mapping[str, Handler] = MappingProxyType(
            {
                "WarmKlines": use(self._klines, warm.WarmKlinesRequest, warm.WarmKlinesResponse),
                "WarmTrades": use(self._trades, warm.WarmTradesRequest, warm.WarmTradesResponse),
                "WarmTicker": use(self._ticker, warm.WarmTickerRequest, warm.WarmTickerResponse),
                "WarmFunding": use(self._funding, warm.WarmFundingRequest, warm.WarmFundingResponse),
                "ReconciledPrice": use(
                    self._price, price.ReconciledPriceRequest, price.ReconciledPriceResponse
                ),
            }
        )

    def _method(
        self,
        case: Callable[[Asked, bool], Awaitable[Served]],
        request_kind: type[Asked],
        carrier: type[Message],
    ) -> Handler:
        """Return the handler of a use case: a request that names a snapshot gets that one."""

        async def serve(request: bytes, is_refresh: bool) -> Answer:
            asked = parse(request_kind, request)
            held = await stored(self._cases, cast("Past", asked), carrier)
            return to_answer(await case(asked, is_refresh)) if held is None else held

        return serve

    async def _klines(self, asked: warm_pb2.WarmKlinesRequest, is_refresh: bool) -> Served:
        wanted = _wanted(asked, is_refresh)
        return await self._cases.klines(asked.venue, asked.symbol, asked.interval, **wanted)

    async def _trades(self, asked: warm_pb2.WarmTradesRequest, is_refresh: bool) -> Served:
        return await self._cases.trades(asked.venue, asked.symbol, **_wanted(asked, is_refresh))

    async def _funding(self, asked: warm_pb2.WarmFundingRequest, is_refresh: bool) -> Served:
        return await self._cases.funding(asked.venue, asked.symbol, **_wanted(asked, is_refresh))

    async def _ticker(self, asked: warm_pb2.WarmTickerRequest, is_refresh: bool) -> Served:
        when = When(ts_as_of=asked.ts_as_of, is_refresh=is_refresh)
        return await self._cases.ticker(asked.venue, asked.symbol, **when)

    async def _price(self, asked: price_pb2.ReconciledPriceRequest, is_refresh: bool) -> Served:
        if asked.method not in METHODS:
            raise InvalidRequest("method", f"expected a method of the contract, received {asked.method}")
        return await self._cases.price(
            asked.symbol,
            sources=asked.sources,
            method=METHODS[asked.method],
            is_native_only=asked.exchange_native_only,
            ts_as_of=asked.ts_as_of,
            is_refresh=is_refresh,
        )


def _wanted(asked: SeriesRequest, is_refresh: bool) -> Wanted:
    return Wanted(
        limit=asked.limit,
        ts_start=asked.ts_start,
        ts_end=asked.ts_end,
        ts_as_of=asked.ts_as_of,
        is_refresh=is_refresh,
    )
