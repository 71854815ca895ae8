"""A naive client that holds the live book of any product, and faults that are armed against it."""

from websockets.asyncio.client import ClientConnection

from datafacade.sim.faults import Fault
from datafacade.sim.listings import ProductKey
from datafacade.sim.simulator import Simulator
from tests.integration.sim.harness import AnyClient, Comparison, binance_sync, follow, receive, send
from tests.integration.sim.naive import (
    NaiveBinance,
    NaiveCoinbaseAdvanced,
    NaiveCoinbaseExchange,
    NaiveKraken,
    NaiveOkx,
)

PATHS: dict[ProductKey, str] = {
    "binance/spot": "/ws/btcusdt@depth@100ms",
    "binance/usdm": "/public/ws/btcusdt@depth@100ms",
    "okx/public": "/ws/v5/public",
    "coinbase/advanced": "/",
    "coinbase/exchange": "/",
    "kraken/spot": "/v2",
}
SYMBOLS: dict[ProductKey, str] = {
    "binance/spot": "BTCUSDT",
    "binance/usdm": "BTCUSDT",
    "okx/public": "BTC-USDT",
    "coinbase/advanced": "BTC-USD",
    "coinbase/exchange": "BTC-USD",
    "kraken/spot": "BTC/USD",
}
PROVEN: list[ProductKey] = ["binance/spot", "binance/usdm", "okx/public", "coinbase/advanced", "kraken/spot"]
ALL: list[ProductKey] = [*PROVEN, "coinbase/exchange"]


async def begin(
    running: Simulator, product: ProductKey, ws: ClientConnection, comparison: Comparison | None = None
) -> AnyClient:
    """Return a naive client that holds a live book; ``comparison`` judges it against the truth."""
    match product:
        case "binance/spot" | "binance/usdm":
            client: AnyClient = NaiveBinance(is_futures=product == "binance/usdm")
            await binance_sync(running, product, client, ws, 1000)
        case "okx/public":
            client = NaiveOkx()
            await send(ws, {"op": "subscribe", "args": [{"channel": "books", "instId": "BTC-USDT"}]})
        case "coinbase/advanced":
            client = NaiveCoinbaseAdvanced("BTC-USD")
            await send(ws, {"type": "subscribe", "channel": "heartbeats"})
            await send(ws, {"type": "subscribe", "channel": "level2", "product_ids": ["BTC-USD"]})
        case "coinbase/exchange":
            client = NaiveCoinbaseExchange("BTC-USD")
            await send(ws, {"type": "subscribe", "product_ids": ["BTC-USD"], "channels": ["level2_batch"]})
        case _:
            client = NaiveKraken("BTC/USD", 10)
            await send(ws, {"method": "subscribe", "params": {"channel": "instrument"}})
            params = {"channel": "book", "symbol": ["BTC/USD"], "depth": 10}
            await send(ws, {"method": "subscribe", "params": params})
    await follow(ws, client, comparison or Comparison(running), 4)
    return client


def arm(running: Simulator, product: ProductKey, verb: str, **more: object) -> Fault:
    return running.arm({"verb": verb, "venue": product, "symbol": SYMBOLS[product], **more})


async def feed(ws: ClientConnection, client: AnyClient, frames: int = 60) -> list[str]:
    """Feed frames to the client; return them. What the client raises ends it."""
    texts = []
    for _ in range(frames):
        texts.append(await receive(ws))
        client.on_frame(texts[-1])
    return texts
