"""Answer one book from the live one, or refuse: what is not proven is never given unasked."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal, localcontext
from typing import Any, Final

from datafacade.clock import Clock
from datafacade.errors import BookNotReady, BookUnverified
from datafacade.hot.feed import FeedRunner
from datafacade.hot.ports import Hub
from datafacade.hot.reader import HubReader
from datafacade.hot.tier import HotTier
from datafacade.types import Channel, Topic
from datafacade.v1 import book_pb2, hot_pb2, types_pb2

_FIRST_BOOK_S: Final = 5.0  # a book that nobody followed until now may take so long
_STARTING: Final[frozenset[int]] = frozenset({types_pb2.STATE_EMPTY, types_pb2.STATE_SYNCING})
_DIALLING: Final[frozenset[int]] = _STARTING | {
    types_pb2.STATE_DOWN
}  # a book that nobody followed may lack a connection
_UNPROVEN: Final = frozenset({types_pb2.INTEGRITY_UNVERIFIABLE, types_pb2.INTEGRITY_SUSPECT})
_PERCENT_PLACES: Final = Decimal("1e-12")


class Books:
    """The use case L2Book."""

    def __init__(self, tier: HotTier, *, hub: Hub, reader: HubReader, clock: Clock, scale: float) -> None:
        self._tier = tier
        self._hub = hub
        self._reader = reader
        self._clock = clock
        self._scale = scale
        self._waiting: Counter[Topic] = Counter()  # reads that wait for the first LIVE

    async def read(
        self, venue: str, symbol: str, *, depth: int, allow_unverified: bool
    ) -> book_pb2.L2BookResponse:
        """Return the book of a canonical symbol as it stands; follow it at the venue if nobody does yet.

        Raises:
            BookNotReady: It is not LIVE, and no unproven one may or can be given.
            BookUnverified: It is LIVE without proof, and the caller did not allow that.
            QuotaExceeded: It would be one symbol too many to follow.
        """
        topic = Topic(venue, symbol, Channel.BOOK_L2)
        runner = self._tier.venue(venue).runner(Channel.BOOK_L2)
        async with self._followed(topic, runner):
            await runner.idle()
            row = _row(runner, symbol)
            state = types_pb2.State.ValueType(row["state"])
            integrity = types_pb2.Integrity.ValueType(row["integrity"])
            is_live = state == types_pb2.STATE_LIVE
            if not is_live:
                integrity = types_pb2.INTEGRITY_SUSPECT
                if not allow_unverified:
                    raise self._not_ready(topic, state)
            elif integrity in _UNPROVEN and not allow_unverified:
                name = types_pb2.Integrity.Name(integrity).removeprefix("INTEGRITY_")
                raise BookUnverified(name, venue=venue, symbol=symbol, operation="l2_book")
            encoded = runner.book(symbol, depth)
            if encoded is None or (not is_live and not row["ts_recv_last"]):
                raise self._not_ready(topic, state)
        answer = encode(*encoded)
        answer.state, answer.integrity = state, integrity
        return answer

    @asynccontextmanager
    async def _followed(self, topic: Topic, runner: FeedRunner) -> AsyncIterator[None]:
        """Follow a topic meanwhile; one that starts only now gets the time to become LIVE."""
        is_new = self._waiting[topic] > 0 or topic not in self._tier.interest.topics()
        starting = _DIALLING if is_new else _STARTING
        self._tier.follow(topic)
        self._waiting[topic] += 1
        try:
            if _row(runner, topic.symbol)["state"] in starting:
                await self._until_started(topic, runner, starting)
            yield
        finally:
            self._waiting[topic] -= 1
            self._tier.leave(topic)

    async def _until_started(self, topic: Topic, runner: FeedRunner, starting: frozenset[int]) -> None:
        async with self._reader.subscriber() as subscriber:
            self._hub.attach(
                subscriber,
                *topic,
                start="next",
                wall_ns=self._clock.wall_ns(),
                request_id=0,
                subscription_id=0,
                requested_symbol=topic.symbol,
            )
            try:
                async with asyncio.timeout(_FIRST_BOOK_S * self._scale):
                    end = None
                    while end is None and _row(runner, topic.symbol)["state"] in starting:
                        _, _, end = await self._reader.take(subscriber)
            except TimeoutError:
                return  # the caller is told the state

    @staticmethod
    def _not_ready(topic: Topic, state: types_pb2.State.ValueType) -> BookNotReady:
        name = types_pb2.State.Name(state).removeprefix("STATE_")
        return BookNotReady(name, venue=topic.venue, symbol=topic.symbol, operation="l2_book")


def _row(runner: FeedRunner, symbol: str) -> dict[str, Any]:
    """Return the Feed's row of a whole book's topic; an empty one while it knows none."""
    whole = (Channel.BOOK_L2, "")
    rows = (row for row in runner.topics() if row["symbol"] == symbol)
    wanted = (row for row in rows if (row["channel"], row["variant"]) == whole)
    return next(wanted, {"state": types_pb2.STATE_EMPTY, "integrity": 0, "ts_recv_last": 0})


def encode(snapshot: bytes, checkpoint: bytes) -> book_pb2.L2BookResponse:
    """Make the answer of two encoded Updates."""
    update = hot_pb2.Update.FromString(snapshot)
    proof = hot_pb2.Update.FromString(checkpoint)
    answer = book_pb2.L2BookResponse(
        venue=update.venue,
        symbol=update.symbol,
        epoch=update.epoch,
        seq=update.seq,
        ts_event=update.ts_event,
        ts_recv=update.ts_recv,
        price_exponent=update.price_exponent,
        quantity_exponent=update.quantity_exponent,
        book=update.book_snapshot,
        checkpoint=proof.checkpoint,
        flags=update.flags & ~types_pb2.UPDATE_FLAG_CUT,
    )
    if update.HasField("venue_sequence"):
        answer.venue_sequence = update.venue_sequence
    book = update.book_snapshot
    if book.bid_prices and book.ask_prices:
        answer.spread, answer.spread_percent = spread(
            book.bid_prices[0], book.ask_prices[0], exponent=update.price_exponent
        )
    return answer


def spread(bid: int, ask: int, *, exponent: int) -> tuple[str, str]:
    """Return ask minus bid, and that in percent of the mid ("" if the mid is 0).

    Example:
        >>> spread(6160201, 6160202, exponent=-2)
        ('0.01', '0.000016233235')
    """
    with localcontext(prec=60):
        difference = Decimal(ask - bid).scaleb(exponent)
        middle = Decimal(ask + bid).scaleb(exponent) / 2
        percent = (difference / middle * 100).quantize(_PERCENT_PLACES) if middle else None
        return f"{difference:f}", "" if percent is None else f"{percent:f}"
