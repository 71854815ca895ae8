"""The blocking client against hand-made answers: the service runs on a thread of its own."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random
from typing import Final

import pytest

from datafacade.client import BlockingClient, Book, ServerUnavailable, Trade, UnknownSymbol
from datafacade.v1 import book_pb2, reference_pb2, types_pb2
from tests.integration.client.fake import Server
from tests.unit.client.make import cut, delta, state, status, trade

TRADES: Final = types_pb2.CHANNEL_TRADES


class Backstage:
    """The fake service's thread."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever)
        self._thread.start()
        self.server = Server()
        self.do(self.server.start())

    def do(self, work: object) -> object:
        """Run a coroutine there; return what it returns."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(10)  # type: ignore[arg-type]

    def later(self, work: object) -> None:
        """Run a coroutine there meanwhile."""
        asyncio.run_coroutine_threadsafe(work, self.loop)  # type: ignore[arg-type]

    def close(self) -> None:
        """End the thread."""
        self.do(self.server.stop())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


@contextmanager
def served() -> Iterator[tuple[Backstage, BlockingClient]]:
    """Run both threads."""
    backstage = Backstage()
    try:
        with BlockingClient(f"127.0.0.1:{backstage.server.port}", dice=Random(1)) as client:
            yield backstage, client
    finally:
        backstage.close()


def test_events_are_iterated_and_leaving_ends_the_call() -> None:
    with served() as (backstage, client):
        calls = []

        async def play() -> None:
            call = await backstage.server.service.call()
            calls.append(call)
            trades, book = (await call.request()).subscribe
            call.send(status("ACCEPTED", trades.subscription_id, seq_next=1, channel=TRADES), trade(1, 7))
            call.send(status("ACCEPTED", book.subscription_id, seq_next=1), state(1, "LIVE"))
            call.send(cut(1, {"1": "1"}, {}), delta(2, {"2": "1"}, {}))

        backstage.later(play())
        seen: list[int] = []
        for event in client.subscribe("kraken", "BTC-USD", ["trades", "book"]):
            if isinstance(event, Trade):
                seen.append(event.trade_id or 0)
            elif isinstance(event, Book):
                seen.append(len(event.bids))
                if len(seen) == 3:
                    break
        assert seen == [7, 1, 2]
        backstage.do(asyncio.wait_for(calls[0].ended.wait(), 60))
        left_open = client.subscribe("kraken", "BTC-USD", ["trades", "book"])
        backstage.later(play())
        next(left_open)
    left_open.close()  # type: ignore[attr-defined]  # the generator outlives its client in peace


def test_answers_and_errors_are_those_of_the_client() -> None:
    with served() as (backstage, client):
        service = backstage.server.service
        service.book = book_pb2.L2BookResponse(venue="kraken", symbol="BTC-USD", state=types_pb2.STATE_LIVE)
        service.instruments = [reference_pb2.Instrument(symbol="BTC-USD")]
        assert client.get_book_l2("kraken", "BTC-USD").is_live
        assert client.venue_health("kraken").venue == "kraken"
        assert [row.venue for row in client.health(["okx"]).venues] == ["okx"]
        assert len(client.list_instruments("kraken")) == 1

        async def refuse() -> None:
            call = await service.call()
            item = (await call.request()).subscribe[0]
            call.send(status("REJECTED", item.subscription_id, channel=TRADES, reason="UNKNOWN_SYMBOL"))

        backstage.later(refuse())
        with pytest.raises(UnknownSymbol):
            next(client.subscribe("kraken", "NOPE"))
        backstage.do(backstage.server.stop())
        with pytest.raises(ServerUnavailable):
            client.health()
