"""Translate the warm requests into use cases, and what they answer into bytes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Final

from google.protobuf.message import Message

from datafacade.errors import InvalidRequest
from datafacade.serve.answer import Answer, parse, stored, to_answer
from datafacade.v1 import price_pb2, warm_pb2
from datafacade.warm.cases import WarmCases

METHODS: Final[Mapping[int, str]] = MappingProxyType(
    {
        price_pb2.RECONCILE_METHOD_UNSPECIFIED: "",
        price_pb2.RECONCILE_METHOD_TRIMMED_MEDIAN: "trimmed_median",
        price_pb2.RECONCILE_METHOD_TRIMMED_MEAN: "trimmed_mean",
    }
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

Handler = Callable[[bytes, bool], Awaitable[Answer]]


class WarmHandlers:
    """The unary methods of the warm tier; the edge repeats their answers by itself."""

    def __init__(self, cases: WarmCases) -> None:
        self._cases = cases
        self.methods: Mapping[str, Handler] = MappingProxyType(
            {
                "WarmKlines": self._klines,
                "WarmTrades": self._trades,
                "WarmTicker": self._ticker,
                "WarmFunding": self._funding,
                "ReconciledPrice": self._price,
            }
        )

    async def _klines(self, request: bytes, is_refresh: bool) -> Answer:
        asked = parse(warm_pb2.WarmKlinesRequest, request)
        held = await stored(self._cases, asked, warm_pb2.WarmKlinesResponse)
        if held is not None:
            return held
        return to_answer(
            await self._cases.klines(
                asked.venue,
                asked.symbol,
                asked.interval,
                limit=asked.limit,
                ts_start=asked.ts_start,
                ts_end=asked.ts_end,
                ts_as_of=asked.ts_as_of,
                is_refresh=is_refresh,
            )
        )

    async def _trades(self, request: bytes, is_refresh: bool) -> Answer:
        asked = parse(warm_pb2.WarmTradesRequest, request)
        held = await stored(self._cases, asked, warm_pb2.WarmTradesResponse)
        if held is not None:
            return held
        return to_answer(
            await self._cases.trades(
                asked.venue,
                asked.symbol,
                limit=asked.limit,
                ts_start=asked.ts_start,
                ts_end=asked.ts_end,
                ts_as_of=asked.ts_as_of,
                is_refresh=is_refresh,
            )
        )

    async def _ticker(self, request: bytes, is_refresh: bool) -> Answer:
        asked = parse(warm_pb2.WarmTickerRequest, request)
        held = await stored(self._cases, asked, warm_pb2.WarmTickerResponse)
        if held is not None:
            return held
        return to_answer(
            await self._cases.ticker(
                asked.venue, asked.symbol, ts_as_of=asked.ts_as_of, is_refresh=is_refresh
            )
        )

    async def _funding(self, request: bytes, is_refresh: bool) -> Answer:
        asked = parse(warm_pb2.WarmFundingRequest, request)
        held = await stored(self._cases, asked, warm_pb2.WarmFundingResponse)
        if held is not None:
            return held
        return to_answer(
            await self._cases.funding(
                asked.venue,
                asked.symbol,
                limit=asked.limit,
                ts_start=asked.ts_start,
                ts_end=asked.ts_end,
                ts_as_of=asked.ts_as_of,
                is_refresh=is_refresh,
            )
        )

    async def _price(self, request: bytes, is_refresh: bool) -> Answer:
        asked = parse(price_pb2.ReconciledPriceRequest, request)
        held = await stored(self._cases, asked, price_pb2.ReconciledPriceResponse)
        if held is not None:
            return held
        if asked.method not in METHODS:
            raise InvalidRequest("method", f"expected a method of the contract, received {asked.method}")
        return to_answer(
            await self._cases.price(
                asked.symbol,
                sources=asked.sources,
                method=METHODS[asked.method],
                is_native_only=asked.exchange_native_only,
                ts_as_of=asked.ts_as_of,
                is_refresh=is_refresh,
            )
        )
