"""Follow played books through one peer, from its socket to the user's callback; one JSON line each way.

``play_live.py PEER PORT SYMBOLS FRAMES CAME``: SYMBOLS as ``BTC,ETH`` (all against USDT) in the order of
their turns; CAME: where the receive times go, 64-bit integers, monotonic ns, 0 for a frame that the callback
never saw by itself. Prints ``{"subscribed": true}`` once every book is there. Only the peers' URLs are
changed. Runs in the peers' own environment.
"""

import array
import asyncio
import contextlib
import hashlib
import json
import sys
import time
from collections.abc import Iterable
from decimal import Decimal
from importlib.metadata import version
from typing import Any

FIRST_ID = 1_000_000_008  # as benches/rust/src/numbering.rs
IDS_PER_FRAME = 8
PATIENCE_S = 25.0
LOOK_S = 0.1


class Watch:
    """What the callback saw, and when."""

    def __init__(self, bases: list[str], frames: int) -> None:
        turns = len(bases)
        self.bases = bases
        self.came = array.array("Q", bytes(8 * frames))
        self.calls = 0
        self._heads = [0] * turns
        self.ends = [FIRST_ID + IDS_PER_FRAME * len(range(at, frames, turns)) for at in range(turns)]
        self._spent_s = 0.0
        self.live = asyncio.Event()
        self.done = asyncio.Event()

    def saw(self, at: int, sequence: int, now: int) -> None:
        """Note that symbol ``at`` stands at ``sequence``."""
        self._heads[at] = sequence
        turn = (sequence - FIRST_ID) // IDS_PER_FRAME - 1
        if turn >= 0:
            self.calls += 1
            self.came[turn * len(self._heads) + at] = now
            if sequence == self.ends[at] and self._heads == self.ends:
                self.done.set()
        elif not self.live.is_set() and min(self._heads) >= FIRST_ID:
            self.live.set()
            self._spent_s = time.process_time()
            print(json.dumps({"subscribed": True}), flush=True)

    def cpu_s(self) -> float:
        """Return the processor time since every book is there, seconds."""
        return time.process_time() - self._spent_s

    async def wait(self) -> None:
        """Wait until every book stands at its end, or patience is over."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.done.wait(), PATIENCE_S)


def plain(value: Any) -> str:
    """Return a number without needless zeros."""
    text = f"{Decimal(str(value)):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def digest(bids: Iterable[tuple[Any, Any]], asks: Iterable[tuple[Any, Any]]) -> str:
    """Return the canonical digest of a book, each side best first."""
    lines = [f"b,{plain(px)},{plain(qty)}" for px, qty in bids]
    lines += [f"a,{plain(px)},{plain(qty)}" for px, qty in asks]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


async def cryptofeed(port: int, watch: Watch) -> list[str]:
    """Follow with cryptofeed's own handler, connections and callback."""
    from cryptofeed import FeedHandler
    from cryptofeed.connection import RestEndpoint, Routes, WebsocketEndpoint
    from cryptofeed.defines import L2_BOOK
    from cryptofeed.exchanges import Binance

    routes = Routes("/api/v3/exchangeInfo", l2book="/api/v3/depth?symbol={}&limit={}")

    class Local(str):
        """An address that passes for wss, which cryptofeed insists on: nobody's TLS is measured here."""

        def startswith(self, head: Any, *span: Any) -> bool:
            return head == "wss://" or super().startswith(head, *span)

    class LocalBinance(Binance):
        def _address(self) -> Any:
            return Local(super()._address())

    Binance.websocket_endpoints = [WebsocketEndpoint(f"ws://127.0.0.1:{port}")]
    Binance.rest_endpoints = [RestEndpoint(f"http://127.0.0.1:{port}", routes=routes)]
    pairs = [f"{base}-USDT" for base in watch.bases]
    places = {pair: at for at, pair in enumerate(pairs)}
    books: dict[str, Any] = {}
    now = time.monotonic_ns

    async def callback(book: Any, _: float) -> None:
        watch.saw(places[book.symbol], book.sequence_number, now())
        books[book.symbol] = book.book

    handler = FeedHandler()
    # cryptofeed fetches the instruments while it is made, and blocks: the venue is another process
    handler.add_feed(LocalBinance(symbols=pairs, channels=[L2_BOOK], callbacks={L2_BOOK: callback}))
    handler.run(start_loop=False, install_signal_handlers=False)
    await watch.wait()
    return [
        digest(*(side.to_dict().items() for side in (books[pair].bids, books[pair].asks))) for pair in pairs
    ]


async def ccxt(port: int, watch: Watch) -> list[str]:
    """Follow with ccxt pro: a task a symbol that waits for the next state of its book."""
    import ccxt.pro

    options = {"fetchMarkets": {"types": ["spot"]}, "fetchMargins": False}
    exchange = ccxt.pro.binance({"newUpdates": True, "options": options})
    exchange.has["fetchCurrencies"] = False
    exchange.urls["api"]["public"] = f"http://127.0.0.1:{port}/api/v3"
    exchange.urls["api"]["ws"]["spot"] = f"ws://127.0.0.1:{port}/raw/stream"  # it knows spot by /stream
    pairs = [f"{base}/USDT" for base in watch.bases]
    now = time.monotonic_ns

    async def follow(at: int, pair: str) -> None:
        while True:
            book = await exchange.watch_order_book(pair)
            watch.saw(at, book["nonce"], now())

    async def finish() -> None:
        # A state that comes while nobody waits is never told, so the last ones may be missing.
        while any(  # noqa: ASYNC110  ccxt tells nobody
            exchange.orderbooks[pair]["nonce"] != end for pair, end in zip(pairs, watch.ends, strict=True)
        ):
            await asyncio.sleep(LOOK_S)
        watch.done.set()

    try:
        await exchange.load_markets()
        tasks = [asyncio.create_task(follow(at, pair)) for at, pair in enumerate(pairs)]
        await watch.live.wait()
        tasks += [asyncio.create_task(finish())]
        waiting = asyncio.create_task(watch.wait())
        await asyncio.wait([waiting, *tasks], return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            if task.done():
                task.result()
            task.cancel()
        return [
            digest(exchange.orderbooks[pair]["bids"], exchange.orderbooks[pair]["asks"]) for pair in pairs
        ]
    finally:
        await exchange.close()


PEERS = {"cryptofeed": (cryptofeed, "cryptofeed"), "ccxt pro": (ccxt, "ccxt")}


def main() -> None:
    """Follow through one peer."""
    name, port, bases, frames, came = sys.argv[1:6]
    follow, package = PEERS[name]
    watch = Watch(bases.split(","), int(frames))
    digests = asyncio.run(follow(int(port), watch))
    cpu_s = watch.cpu_s()
    with open(came, "wb") as file:
        watch.came.tofile(file)
    symbols = (f"{base}USDT" for base in watch.bases)
    figures = {"peer": f"{name} {version(package)}", "calls": watch.calls, "cpu_s": cpu_s}
    print(json.dumps(figures | {"digests": dict(zip(symbols, digests, strict=True))}), flush=True)


if __name__ == "__main__":
    main()
