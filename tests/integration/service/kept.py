"""What the tests of snapshots through the service share: one question of each method, and how to fetch."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import grpc
import pytest
from google.protobuf.message import Message

from datafacade.v1 import book_pb2, lineage_pb2, pit_pb2, price_pb2, warm_pb2
from datafacade.v1.pit_pb2_grpc import SnapshotServiceStub
from tests.integration.service.bench import Bench

KLINES = warm_pb2.WarmKlinesRequest(venue="kraken", symbol="BTC-USD", interval="1h", limit=24)
TICKER = warm_pb2.WarmTickerRequest(venue="kraken", symbol="BTC-USD")
PIT = lineage_pb2.CACHE_TIER_PIT
Code = grpc.StatusCode
REQUESTS: dict[str, Message] = {
    "WarmKlines": KLINES,
    "WarmTrades": warm_pb2.WarmTradesRequest(venue="binance", symbol="BTC-USDT", limit=10),
    "WarmTicker": warm_pb2.WarmTickerRequest(venue="okx", symbol="BTC-USDT"),
    "WarmFunding": warm_pb2.WarmFundingRequest(venue="binance-usdm", symbol="BTC-USDT"),
    "ReconciledPrice": price_pb2.ReconciledPriceRequest(symbol="BTC-USD"),
    "L2Book": book_pb2.L2BookRequest(venue="kraken", symbol="ETH-USD", depth=10, allow_unverified=True),
}


def store_of(tmp_path: Path) -> Path:
    return tmp_path / "config" / "data" / "artifacts" / "pit"


def stub_of(bench: Bench) -> Any:  # noqa: ANN401  a stub
    return SnapshotServiceStub(bench.channel)


async def fetched(bench: Bench, snapshot_id: str, encoding: int = 0) -> tuple[pit_pb2.PitRef, bytes]:
    """Return a snapshot as PitGet streams it."""
    request = pit_pb2.PitGetRequest(snapshot_id=snapshot_id, encoding=cast("Any", encoding))
    whole = pit_pb2.PitGetResponse()
    async for part in stub_of(bench).PitGet(request):
        whole.MergeFrom(part)
    return whole.ref, b"".join(whole.chunks)


async def refused(call: Any) -> grpc.aio.AioRpcError:  # noqa: ANN401  a call of the stub
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value


def bare(answer: Message) -> bytes:
    """Return an answer's bytes without ``served``, fields in the order of the contract."""
    copy = type(answer).FromString(answer.SerializeToString())
    copy.ClearField("served")
    return copy.SerializeToString(deterministic=True)
