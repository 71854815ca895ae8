"""Tell a topic's past and then its present in one call, each trade and each bar once.

A scout follows the topic before the past is asked for. The first live trade that it sees is the seam: what
the venue's REST has before it is history, the rest comes live. If the market is quiet, all that REST has is
history.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from typing import Final

from datafacade.clock import Clock
from datafacade.errors import VenueFailed
from datafacade.hot.history import Join, Live, PastFetcher, join
from datafacade.hot.kept import Row, key_of
from datafacade.hot.ports import Hub
from datafacade.hot.reader import HubReader
from datafacade.hot.tier import STARTS
from datafacade.serve.joining import Joiner
from datafacade.serve.resume import CHUNK_BYTES, Resume
from datafacade.types import Channel, Topic
from datafacade.v1 import hot_pb2, stream_pb2, types_pb2

WITH_HISTORY: Final = frozenset({Channel.TRADES, Channel.KLINES})
LIVE_WITHIN_S: Final = 10.0  # a topic that starts now takes a dial and a subscription
SETTLE_S: Final = 0.5  # a trade that REST knows already may still be on its way
TRIES: Final = 3  # until REST has what came before the first live trade
_ENTRY_TAG: Final = b"\x22"  # field 4, length-delimited
_SEVEN_BITS: Final = 0x7F
_MORE: Final = 0x80


class Scout:
    """Follows a topic ahead of the client, until its first live trade or bar."""

    def __init__(self, reader: HubReader, subscriber: int, *, head: int) -> None:
        self._reader = reader
        self._subscriber = subscriber
        self._head = head  # newest seq when it began
        self.seq_last = head  # of all that it saw
        self.first: Live | None = None
        self.present: hot_pb2.Update | None = None  # a bar that was told before the scout came
        self.state: hot_pb2.Update | None = None
        self.is_live = asyncio.Event()

    async def run(self) -> None:
        """Read until the first trade or bar."""
        while self.first is None:
            entries, _, end = await self._reader.take(self._subscriber)
            for update in hot_pb2.HotSubscribeResponse.FromString(entries).updates:
                self._see(update)
            if end is not None:
                return

    def _see(self, update: hot_pb2.Update) -> None:
        if self.first is not None or not update.seq:
            return
        kind = update.WhichOneof("payload")
        if kind == "stream_state":
            self.state = update
            if update.stream_state.state == types_pb2.STATE_LIVE:
                self.is_live.set()
        key = key_of(update)
        if key is None:
            self.seq_last = max(self.seq_last, update.seq)
            return
        if update.seq <= self._head:
            self.present = update
            self.first = Live(key, self._head + 1)
        else:
            self.first = Live(key, update.seq)
        self.is_live.set()


class History:
    """Brings joiners from the past to the live records."""

    def __init__(
        self,
        fetcher: PastFetcher,
        resume: Resume,
        *,
        hub: Hub,
        reader: HubReader,
        clock: Clock,
        scale: float,
    ) -> None:
        self._fetcher = fetcher
        self._resume = resume
        self._hub = hub
        self._reader = reader
        self._clock = clock
        self._scale = scale

    async def run(self, joiner: Joiner, *, ts_from: int) -> bool:
        """Tell what happened since ``ts_from`` (ns), then follow; return whether the topic is followed.

        Raises:
            InvalidRequest: The range is too long.
            NotSupported: The venue has no such history.
            VenueFailed, VenueRateLimited, CircuitOpen: It did not answer.
        """
        async with self._reader.subscriber() as subscriber:
            scout = self._send_scout(subscriber, joiner.topic)
            running = asyncio.ensure_future(scout.run())
            try:
                found = await self._find(scout, running, joiner.topic, ts_from)
            finally:
                running.cancel()
                await asyncio.wait([running])
        return await self._tell(joiner, scout, found)

    def _send_scout(self, subscriber: int, topic: Topic) -> Scout:
        self._hub.attach(
            subscriber,
            *topic,
            start=STARTS[topic.channel],
            wall_ns=self._clock.wall_ns(),
            request_id=0,
            subscription_id=0,
            requested_symbol=topic.symbol,
        )
        return Scout(self._reader, subscriber, head=self._hub.head(*topic))

    async def _find(self, scout: Scout, running: asyncio.Future[None], topic: Topic, ts_from: int) -> Join:
        """Fetch the past once the present is followed; fetch its end again while a hole shows."""
        try:
            async with asyncio.timeout(LIVE_WITHIN_S * self._scale):
                await scout.is_live.wait()
        except TimeoutError:
            problem = "its stream did not start, so the past has nothing to join"
            raise VenueFailed(problem, venue=topic.venue, symbol=topic.symbol, operation="history") from None
        rows = await self._fetcher.fetch(topic, ts_from=ts_from, ts_until=self._clock.wall_ns())
        await asyncio.wait([running], timeout=SETTLE_S * self._scale)
        is_dense = topic.channel is Channel.TRADES
        for _ in range(TRIES):
            found = join(rows, scout.first, head=scout.seq_last, is_dense=is_dense)
            if found.missing is None:
                break
            await asyncio.sleep(SETTLE_S * self._scale)
            since = found.rows[-1].ts_event if found.rows else ts_from
            more = await self._fetcher.fetch(topic, ts_from=since, ts_until=self._clock.wall_ns())
            rows = sorted({row.key: row for row in (*rows, *more)}.values())
        return join(rows, scout.first, head=scout.seq_last, is_dense=is_dense)

    async def _tell(self, joiner: Joiner, scout: Scout, found: Join) -> bool:
        is_trades = joiner.topic.channel is Channel.TRADES
        id_last = found.rows[-1].key if is_trades and found.rows else None
        joiner.tell("accepted", seq_next=found.seq_after + 1, history_trade_id_last=id_last)
        if scout.state is not None and not await joiner.push(frame(scout.state.SerializeToString())):
            return False
        for chunk in chunks(found.rows):
            if not await joiner.push(chunk):
                return False
            await asyncio.sleep(0)
        if found.missing is not None:
            gap = self._hole(joiner, found)
            await joiner.push(frame(gap.SerializeToString()))
        if scout.present is not None:
            await joiner.push(frame(scout.present.SerializeToString()))
        return await self._resume.to_live(joiner, found.seq_after)

    def _hole(self, joiner: Joiner, found: Join) -> hot_pb2.Update:
        """Name the trades that neither REST nor the stream has."""
        first, last = found.missing or (0, 0)
        now = self._clock.wall_ns()
        gap = stream_pb2.Gap(
            gap_id=next(joiner.gap_ids),
            scope=stream_pb2.GAP_SCOPE_VENUE,
            venue_sequence_first=first,
            venue_sequence_last=last,
            ts_first=found.rows[-1].ts_event if found.rows else 0,
            ts_last=now,
            count=last - first + 1,
            cause=stream_pb2.GAP_CAUSE_TRADE_IDS,
            state=stream_pb2.GAP_STATE_LOST,
        )
        venue, symbol, channel, variant = joiner.topic
        return hot_pb2.Update(
            venue=venue,
            symbol=symbol,
            channel=types_pb2.Channel.ValueType(channel),
            variant=variant,
            epoch=self._resume.epoch,
            ts_publish=now,
            gap=gap,
        )


def frame(update: bytes) -> bytes:
    """Return an Update as an entry of field 4 of a response.

    Example:
        >>> list(frame(b"abc"))
        [34, 3, 97, 98, 99]
    """
    length, size = b"", len(update)
    while size > _SEVEN_BITS:
        length += bytes([size & _SEVEN_BITS | _MORE])
        size >>= 7
    return _ENTRY_TAG + length + bytes([size]) + update


def chunks(rows: Iterable[Row]) -> Iterator[bytes]:
    """Yield the rows as entries, in pieces that a credit covers."""
    entries: list[bytes] = []
    size = 0
    for row in rows:
        entry = frame(row.update)
        if entries and size + len(entry) > CHUNK_BYTES:
            yield b"".join(entries)
            entries, size = [], 0
        entries.append(entry)
        size += len(entry)
    if entries:
        yield b"".join(entries)
