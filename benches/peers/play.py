"""Play frames through one peer and print what it did: one JSON line. Runs in the peers' own environment.

``play.py PEER WORK.json``: the work holds the venue, the snapshot, the frames and the number of rounds. Each
round starts from the snapshot; the best round counts. The best bid and ask at the end go out with the figure:
a fast figure can be a broken feed.
"""

import asyncio
import json
import sys
import time
from collections.abc import Callable
from decimal import Decimal
from importlib.metadata import version
from typing import Any

Result = tuple[float, list[str]]


def order_book(work: dict[str, Any]) -> Result:
    """Parse with msgspec, keep levels in the C order book: nothing proven, the best price only at the end."""
    import msgspec
    from order_book import OrderBook

    decode = msgspec.json.decode
    levels = {
        "binance": _binance_levels,
        "kraken": _kraken_levels,
        "coinbase": _coinbase_levels,
        "okx": _okx_levels,
    }
    read: Callable[[Any], Any] = levels[work["venue"]]
    depth = work.get("depth", 0)
    book = OrderBook(max_depth=depth, max_depth_strict=True) if depth else OrderBook()
    for side, px, qty in read(decode(work["snapshot"])):
        (book.bids if side else book.asks)[float(px)] = float(qty)
    frames = [frame.encode() for frame in work["frames"]]
    bids, asks = book.bids, book.asks
    start = time.perf_counter()
    for frame in frames:
        for is_bid, px, qty in read(decode(frame)):
            side, price, amount = (bids if is_bid else asks), float(px), float(qty)
            if amount:
                side[price] = amount
            elif price in side:
                del side[price]
    taken = time.perf_counter() - start
    return len(frames) / taken, [str(Decimal(str(side.index(0)[0]))) for side in (book.bids, book.asks)]


def _binance_levels(message: Any) -> Any:
    data = message.get("data", message)
    yield from ((True, px, qty) for px, qty, *_ in data.get("b") or data.get("bids") or ())
    yield from ((False, px, qty) for px, qty, *_ in data.get("a") or data.get("asks") or ())


def _kraken_levels(message: Any) -> Any:
    for data in message["data"]:
        yield from ((True, level["price"], level["qty"]) for level in data["bids"])
        yield from ((False, level["price"], level["qty"]) for level in data["asks"])


def _coinbase_levels(message: Any) -> Any:
    for event in message["events"]:
        for update in event["updates"]:
            yield update["side"] == "bid", update["price_level"], update["new_quantity"]


def _okx_levels(message: Any) -> Any:
    for data in message["data"]:
        yield from ((True, px, qty) for px, qty, *_ in data["bids"])
        yield from ((False, px, qty) for px, qty, *_ in data["asks"])


def cryptofeed(work: dict[str, Any]) -> Result:
    """Play through cryptofeed's own message handler, to its callback."""
    from cryptofeed.defines import L2_BOOK
    from cryptofeed.exchanges import OKX, Binance, Coinbase
    from cryptofeed.symbols import Symbols
    from cryptofeed.types import OrderBook

    exchange = {"binance": Binance, "coinbase": Coinbase, "okx": OKX}[work["venue"]]
    pair, venue_symbol = work["symbol"], work["venue_symbol"]
    exchange.symbol_mapping = classmethod(lambda _, refresh=False, headers=None: {pair: venue_symbol})
    Symbols.set(exchange.id, {pair: venue_symbol}, {"instrument_type": {pair: "spot"}, "tick_size": {}})
    seen = 0

    async def callback(*_: Any) -> None:
        nonlocal seen
        seen += 1

    feed = exchange(
        symbols=[pair], channels=[L2_BOOK], callbacks={L2_BOOK: callback}, checksum_validation=False
    )

    async def play() -> float:
        if work["venue"] == "binance":
            snapshot = json.loads(work["snapshot"], parse_float=Decimal)
            sides = ({Decimal(px): Decimal(qty) for px, qty in snapshot[side]} for side in ("bids", "asks"))
            bids, asks = sides
            feed._l2_book[pair] = OrderBook(feed.id, pair, bids=bids, asks=asks)
            feed.last_update_id[pair] = snapshot["lastUpdateId"]
        else:
            await feed.message_handler(work["snapshot"], None, 0.0)
        start = time.perf_counter()
        for frame in work["frames"]:
            await feed.message_handler(frame, None, 0.0)
        return time.perf_counter() - start

    taken = asyncio.run(play())
    book = feed._l2_book[pair].book
    return len(work["frames"]) / taken, [str(side.index(0)[0]) for side in (book.bids, book.asks)]


def ccxt(work: dict[str, Any]) -> Result:
    """Play through ccxt pro's own order book handler."""
    import ccxt.pro

    ids = {"binance": "binance", "kraken": "kraken", "coinbase": "coinbase", "okx": "okx"}
    exchange = getattr(ccxt.pro, ids[work["venue"]])({"newUpdates": True})
    base, quote = work["symbol"].split("-")
    symbol = f"{base}/{quote}"
    market = exchange.safe_market_structure(
        {
            "id": work["venue_symbol"], "symbol": symbol, "base": base, "quote": quote, "type": "spot",
            "spot": True, "active": True, "precision": {"price": 0.01, "amount": 1e-8},
            "info": {"wsname": f"{base}/{quote}"},
        }
    )  # fmt: skip
    exchange.set_markets([market])
    exchange.options["watchOrderBook"] = {"checksum": False}
    if work["venue"] == "okx":
        exchange.options["checksum"] = False

    class Client:
        url = "wss://stream.binance.com/stream"
        subscriptions: dict[str, Any] = {}  # noqa: RUF012  what the handlers read
        futures: dict[str, Any] = {}  # noqa: RUF012

        def resolve(self, result: Any, _: str) -> Any:
            return result

        def reject(self, error: Exception, _: str) -> None:
            raise error

    client = Client()
    if work["venue"] == "binance":
        snapshot = json.loads(work["snapshot"])
        book = exchange.order_book({}, 1_000_000)
        book.reset(exchange.parse_order_book(snapshot, symbol))
        book["nonce"] = snapshot["lastUpdateId"]
        exchange.orderbooks[symbol] = book
    else:
        exchange.handle_order_book(client, json.loads(work["snapshot"]))
    is_wrapped = work["venue"] == "binance"
    start = time.perf_counter()
    for frame in work["frames"]:
        message = json.loads(frame)
        exchange.handle_order_book(client, message["data"] if is_wrapped else message)
    taken = time.perf_counter() - start
    book = exchange.orderbooks[symbol]
    return len(work["frames"]) / taken, [str(Decimal(str(book[side][0][0]))) for side in ("bids", "asks")]


PEERS: dict[str, tuple[Callable[[dict[str, Any]], Result], str]] = {
    "msgspec + order-book": (order_book, "order-book"),
    "cryptofeed": (cryptofeed, "cryptofeed"),
    "ccxt pro": (ccxt, "ccxt"),
}


def main() -> int:
    """Play one work through one peer."""
    name, path = sys.argv[1:3]
    with open(path) as file:
        work = json.load(file)
    play, package = PEERS[name]
    rounds = [play(work) for _ in range(work["rounds"])]
    rate, top = max(rounds)
    print(json.dumps({"peer": f"{name} {version(package)}", "frames_per_s": rate, "top": top}))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
