"""A live subscription: events in order over as many calls as it takes."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from random import Random
from types import TracebackType
from typing import Final, Self

from datafacade.client.backoff import Backoff
from datafacade.client.book import Book
from datafacade.client.call import Call
from datafacade.client.errors import ClientError, refusal_of
from datafacade.client.events import (
    BookMismatch,
    ConnectionLost,
    Draining,
    Ended,
    Event,
    Reconnected,
    Refused,
)
from datafacade.client.follower import Follower
from datafacade.client.items import Item, Items, Wish, requests_of
from datafacade.client.report import TopicReport
from datafacade.client.stamp import Received
from datafacade.client.topic import Channel, Position, Topic, channel_from_number
from datafacade.v1 import hot_pb2, stream_pb2

SETTLED_S: Final = 5.0  # a call that lived so long was a good one

OpenCall = Callable[[Iterable[hot_pb2.HotSubscribeRequest]], Call]


class Subscription:
    """Iterate over it: trades, books, tops, klines, states, gaps, in order. The client closes it at its end.

    Nothing is read ahead: a slow loop slows this call, it does not fill memory. A call that breaks is opened
    again with growing waits, and each topic goes on exactly behind the last record that was processed, also
    when the service was started anew; what the service no longer holds is told as `Gap`.

    Example:
        >>> async for event in client.subscribe("kraken", ["BTC-USD"], ["book"]):  # doctest: +SKIP
        ...     if isinstance(event, Book) and event.is_proven:
        ...         print(event.best_bid, event.best_ask)
    """

    def __init__(
        self, open_call: OpenCall, *, dice: Random, on_close: Callable[[Subscription], None]
    ) -> None:
        self._open_call = open_call
        self._on_close = on_close
        self._items = Items(dice)
        self._request_ids = itertools.count(1)
        self._followers: dict[tuple[str, str, Channel, str], Follower] = {}
        self._owners: dict[Topic, Item] = {}
        self._renewals: set[asyncio.TimerHandle] = set()
        self._events: Iterator[Event] = iter(())
        self._call: Call | None = None
        self._opened_at = 0.0  # loop time
        self._lost_at: float | None = None  # loop time; None: the call runs, or never ran
        self._has_run = False
        self._backoff = Backoff(dice)
        self._wait_s = 0.0  # before the next call
        self._is_closed = False

    # What is followed

    def add(
        self,
        venues: str | Iterable[str],
        symbols: str | Iterable[str],
        channels: str | Iterable[str],
        *,
        wish: Wish | None = None,
        allow_unverified: bool = False,
    ) -> int:
        """Follow more, in the running call; return a handle for `remove`.

        Args:
            venues: As ``kraken``; empty: every venue that is authoritative.
            symbols: Any known spelling.
            channels: As ``trades``.
            wish: How they are to come; None: the service's defaults.
            allow_unverified: Whether books without proof may come; or say it in ``wish``.

        Raises:
            ValueError: No symbol or no channel is named, or there is no such channel.
        """
        wish = wish or Wish(allow_unverified=allow_unverified)
        added = self._items.add(words(venues), words(symbols), words(channels), wish)
        if self._call is not None:
            for request in requests_of(added, self._request_ids):
                self._call.outbox.put(request)
        return added[0].handle

    def remove(self, handle: int) -> None:
        """Stop following what one `add` brought; an unknown handle changes nothing."""
        removed = self._items.remove(handle)
        for topic in [topic for topic, owner in self._owners.items() if owner in removed]:
            del self._owners[topic], self._followers[topic]
        if removed and self._call is not None:
            ended = [item.subscription_id for item in removed]
            request = hot_pb2.HotSubscribeRequest(request_id=next(self._request_ids), unsubscribe=ended)
            self._call.outbox.put(request)

    def go_on(self, positions: Iterable[Position], wish: Wish | None = None) -> None:
        """Follow the topics of another run's `positions`, each behind where it stood.

        Raises:
            ValueError: There is no position.
        """
        for position in positions:
            topic = position.topic
            made = replace(wish or Wish(), variants=(topic.variant,) if topic.variant else ())
            [item] = self._items.add([topic.venue], [topic.symbol], [topic.channel], made)
            follower = self._followers[topic] = Follower(topic)
            follower.stand_at(position)
            item.topics.add(topic)
            item.positions = [one for one in (follower.position,) if one is not None]
        if not self._followers:
            raise ValueError("expected at least one position")

    @property
    def positions(self) -> list[Position]:
        """Where each topic stands, by topic: what `Client.resume` in another run goes on from.

        Taken in the loop body they name the records up to the event in hand.
        """
        found = (follower.position for _, follower in sorted(self._followers.items()))
        return [position for position in found if position is not None]

    @property
    def reports(self) -> list[TopicReport]:
        """Figures of each topic that was accepted, by topic."""
        return [follower.report for _, follower in sorted(self._followers.items())]

    def book(self, venue: str, symbol: str) -> Book | None:
        """Return the newest view of a mirrored book by canonical symbol; None: there is no good copy now."""
        follower = self._followers.get((venue, symbol, Channel.BOOK_L2, ""))
        return None if follower is None else follower.book

    # Iteration

    def __aiter__(self) -> Self:
        """Iterate over the events."""
        return self

    async def __anext__(self) -> Event:
        """Return the next event.

        Raises:
            ClientError: The service was not there from the start, refuses the call, or refuses every item.
        """
        while not self._is_closed:
            try:
                event = next(self._events, None)
                if event is not None:
                    return event
                await self._advance()
            except ClientError:
                await self.aclose()
                raise
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """End the call. The iteration ends; reports stay."""
        self._is_closed = True
        for renewal in self._renewals:
            renewal.cancel()
        self._renewals.clear()
        call, self._call = self._call, None
        if call is not None:
            await call.close()
        self._on_close(self)

    async def __aenter__(self) -> Self:
        """Return itself."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        await self.aclose()

    # Calls

    async def _advance(self) -> None:
        """Get the next response, in a new call if there is none."""
        loop = asyncio.get_running_loop()
        if self._call is None:
            await asyncio.sleep(self._wait_s)
            for item in self._items:
                item.positions = self._positions_of(item)
            self._items.forget_answers()
            self._call = self._open_call(list(requests_of(self._items, self._request_ids)))
            self._opened_at = loop.time()
        call = self._call
        try:
            response, received = await call.read()
        except ClientError as error:
            await self._lose(error)
            return
        if loop.time() - self._opened_at > SETTLED_S:
            self._backoff.reset()
        self._has_run = True
        self._events = self._take(call, response, received)

    async def _lose(self, error: ClientError) -> None:
        """End a call that failed, and try again later if that makes sense.

        Raises:
            ClientError: It does not.
        """
        call, self._call = self._call, None
        if call is not None:
            await call.close()
        if not (error.is_retried and self._has_run):
            raise error
        for follower in self._followers.values():
            follower.lose()
        self._wait_s = self._backoff.next_s(error.retry_after_s)
        if self._lost_at is None:
            self._lost_at = asyncio.get_running_loop().time()
            self._events = iter([ConnectionLost(reason=str(error), retry_in_s=self._wait_s)])

    def _take(
        self, call: Call, response: hot_pb2.HotSubscribeResponse, received: Received
    ) -> Iterator[Event]:
        """Yield what a response says, and acknowledge it once all of it was taken."""
        if self._lost_at is not None:
            down_s = asyncio.get_running_loop().time() - self._lost_at
            self._lost_at = None
            yield Reconnected(attempt=self._backoff.attempt, down_s=down_s)
        for update in response.updates:
            yield from self._on_update(update, received)
        call.outbox.processed(response.stream_seq, len(response.updates))

    def _on_update(self, update: hot_pb2.Update, received: Received) -> Iterator[Event]:
        kind = update.WhichOneof("payload")
        if kind == "draining":
            yield Draining(ts_deadline=update.draining.ts_deadline)
            return
        channel = channel_from_number(update.channel)
        if channel is None:
            return
        if kind == "subscription_status":
            topic = Topic(update.venue, update.symbol, channel, update.variant)
            yield from self._on_status(topic, update.subscription_status, update.epoch)
            return
        follower = self._followers.get((update.venue, update.symbol, channel, update.variant))
        if follower is None:
            return
        for event in follower.on_update(update, received):
            if isinstance(event, BookMismatch):
                self._renew(self._owners[follower.topic])
            yield event

    def _on_status(self, topic: Topic, status: stream_pb2.SubscriptionStatus, epoch: int) -> Iterator[Event]:
        """Take the answer to one item.

        Raises:
            ClientError: Each item is refused for good.
        """
        item = self._items.get(status.subscription_id)
        if item is None:
            return  # removed or renewed meanwhile
        if status.phase == stream_pb2.SUBSCRIPTION_PHASE_REJECTED:
            yield self._refused(item, topic, status)
            return
        item.topics.add(topic)
        self._owners[topic] = item
        follower = self._followers.get(topic)
        if follower is None:
            follower = self._followers[topic] = Follower(topic)
        match status.phase:
            case stream_pb2.SUBSCRIPTION_PHASE_ACCEPTED:
                yield from follower.accept(status, epoch)
            case stream_pb2.SUBSCRIPTION_PHASE_RESUMED:
                yield from follower.resume(status)
            case stream_pb2.SUBSCRIPTION_PHASE_RESUME_LOST:
                yield from follower.lose_position(status, epoch)
            case stream_pb2.SUBSCRIPTION_PHASE_CAUGHT_UP:
                item.has_history = True
                yield from follower.catch_up(status)
            case stream_pb2.SUBSCRIPTION_PHASE_ENDED:
                item.topics.discard(topic)
                yield Ended(topic=topic, reason=status.reason, message=status.message)

    def _refused(self, item: Item, topic: Topic, status: stream_pb2.SubscriptionStatus) -> Refused:
        symbol = status.requested_symbol or item.symbol
        refusal = refusal_of(
            reason=status.reason,
            message=status.message,
            venue=topic.venue or item.venue,
            symbol=symbol,
            suggestions=status.suggestions,
        )
        if item.positions:  # the service does not know that place: begin anew, the hole is told then
            item.positions = ()
            for follower in self._followers_of(item):
                follower.forget()
            self._renew(item)
        elif refusal.is_retried:
            item.refusal = refusal
            self._renew(item)
        else:
            item.refusal = refusal
            hopeless = self._items.first_refusal
            if hopeless is not None:
                raise hopeless
        return Refused(
            venue=refusal.venue,
            requested_symbol=symbol,
            channel=item.channel,
            reason=refusal.reason,
            message=refusal.message,
            suggestions=refusal.suggestions,
        )

    def _positions_of(self, item: Item) -> Sequence[Position]:
        """Return where the topics of an item stand; what was never followed has what it was given."""
        if not item.topics:
            return item.positions
        found = (follower.position for follower in self._followers_of(item))
        return [position for position in found if position is not None]

    def _followers_of(self, item: Item) -> list[Follower]:
        return [self._followers[topic] for topic in sorted(item.topics) if topic in self._followers]

    def _renew(self, item: Item) -> None:
        """Subscribe an item anew after a while; until then what its old subscription says is passed over."""
        if item.is_renewing:
            return
        loop = asyncio.get_running_loop()
        call, old = self._call, self._items.renumber(item)
        item.is_renewing = True

        def send() -> None:
            self._renewals.discard(renewal)
            item.is_renewing = False
            if call is None or call is not self._call or self._items.get(item.subscription_id) is not item:
                return
            item.refusal = None
            item.positions = ()
            request_id = next(self._request_ids)
            request = hot_pb2.HotSubscribeRequest(
                request_id=request_id, unsubscribe=[old], subscribe=[item.message()]
            )
            call.outbox.put(request)

        renewal = loop.call_later(item.renewal_s(loop.time()), send)
        self._renewals.add(renewal)


def words(names: str | Iterable[str]) -> list[str]:
    """Return one name or many as a list.

    Example:
        >>> words("kraken"), words(["okx", "kraken"])
        (['kraken'], ['okx', 'kraken'])
    """
    return [names] if isinstance(names, str) else list(names)
