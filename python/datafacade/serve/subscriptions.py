"""Apply HotSubscribe requests: which topics a stream follows, and what each item is told.

Errors of an item never end the call; limits of the call and requests without any item do.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from datafacade.clock import Clock
from datafacade.errors import FacadeError, InvalidRequest, NotSupported, QuotaExceeded, UnknownSymbol
from datafacade.hot.ports import Hub
from datafacade.hot.tier import STARTS, HotTier
from datafacade.serve.items import CHANNELS, Item, items, topic_of
from datafacade.serve.status import refuse
from datafacade.types import Topic
from datafacade.v1 import hot_pb2, types_pb2

SUGGESTIONS_MAX: Final = 5
ITEMS_AT_ONCE: Final = 16  # then other tasks get their turn


@dataclass(slots=True)
class Stream:
    """What one call follows."""

    topics: dict[Topic, tuple[int, str]] = field(default_factory=dict)  # subscription id, symbol as spelled


class Subscriptions:
    """All streams of the service, by their subscriber in the Hub."""

    def __init__(self, tier: HotTier, *, hub: Hub, clock: Clock, instruments_max: int) -> None:
        self._tier = tier
        self._hub = hub
        self._clock = clock
        self._instruments_max = instruments_max
        self._streams: dict[int, Stream] = {}

    async def apply(self, subscriber: int, request: hot_pb2.HotSubscribeRequest) -> None:
        """Apply one request: first what it ends, then what it adds.

        Raises:
            InvalidRequest: A subscription names no symbol or no channel; the call ends.
            QuotaExceeded: The call would follow more instruments than one may; the call ends.
        """
        for number, subscription in enumerate(request.subscribe):
            _check(number, subscription)
        stream = self._streams.setdefault(subscriber, Stream())
        for subscription_id in request.unsubscribe:
            self._unsubscribe(subscriber, stream, subscription_id, request.request_id)
        self._limit(stream, request.subscribe)
        for subscription in request.subscribe:
            await self._subscribe(subscriber, stream, subscription, request.request_id)

    def closed(self, subscriber: int) -> None:
        """Forget a stream that has ended: its topics may linger, then leave the venues."""
        stream = self._streams.pop(subscriber, None)
        for topic in stream.topics if stream is not None else ():
            self._tier.leave(topic)

    @property
    def count(self) -> int:
        """Streams that follow, or followed, something."""
        return len(self._streams)

    def _limit(self, stream: Stream, subscriptions: Iterable[hot_pb2.Subscription]) -> None:
        instruments = {(topic.venue, topic.symbol) for topic in stream.topics}
        for one in subscriptions:
            venues = list(one.venues) or list(self._tier.venues)
            if len(instruments) + len(venues) * len(one.symbols) > 4 * self._instruments_max:
                requested = len(instruments) + len(venues) * len(one.symbols)
                raise QuotaExceeded("server.instruments_max", self._instruments_max, requested)
            instruments.update(itertools.product(venues, one.symbols))
        if len(instruments) > self._instruments_max:
            raise QuotaExceeded("server.instruments_max", self._instruments_max, len(instruments))

    def _unsubscribe(self, subscriber: int, stream: Stream, subscription_id: int, request_id: int) -> None:
        if subscription_id == 0:
            return
        ended = [topic for topic, (owner, _) in stream.topics.items() if owner == subscription_id]
        for topic in ended:
            _, requested = stream.topics.pop(topic)
            self._hub.detach(
                subscriber,
                *topic,
                wall_ns=self._clock.wall_ns(),
                request_id=request_id,
                subscription_id=subscription_id,
                requested_symbol=requested,
            )
            self._tier.leave(topic)

    async def _subscribe(
        self, subscriber: int, stream: Stream, subscription: hot_pb2.Subscription, request_id: int
    ) -> None:
        taken = {owner for owner, _ in stream.topics.values()}
        refused = _unserved(subscription, taken)
        for number, item in enumerate(items(self._tier, subscription), 1):
            if number % ITEMS_AT_ONCE == 0:
                await asyncio.sleep(0)
            if self._streams.get(subscriber) is not stream:
                return  # the call has ended meanwhile
            try:
                if refused is not None:
                    raise refused
                topic = topic_of(self._tier, item, allow_unverified=subscription.allow_unverified)
                self._follow(subscriber, stream, topic, item, subscription.subscription_id, request_id)
            except FacadeError as error:
                self._reject(subscriber, item, subscription.subscription_id, request_id, error)

    def _follow(
        self,
        subscriber: int,
        stream: Stream,
        topic: Topic,
        item: Item,
        subscription_id: int,
        request_id: int,
    ) -> None:
        if topic in stream.topics:
            owner = stream.topics[topic][0]
            problem = f"{item.requested!r} is followed already, by subscription {owner} of this call"
            raise InvalidRequest("symbols", problem, venue=topic.venue, symbol=topic.symbol)
        self._tier.follow(topic)
        try:
            self._hub.attach(
                subscriber,
                *topic,
                start=STARTS[topic.channel],
                wall_ns=self._clock.wall_ns(),
                request_id=request_id,
                subscription_id=subscription_id,
                requested_symbol=item.requested,
            )
        except ValueError:  # the stream has ended meanwhile: nobody is left to tell
            self._tier.leave(topic)
            return
        stream.topics[topic] = (subscription_id, item.requested)

    def _reject(
        self, subscriber: int, item: Item, subscription_id: int, request_id: int, error: FacadeError
    ) -> None:
        refusal = refuse(error)
        suggestions = list(error.suggestions) if isinstance(error, UnknownSymbol) else []
        self._hub.reject(
            subscriber,
            item.venue,
            error.symbol,
            item.channel if item.channel in CHANNELS else 0,
            item.variant[:32],
            wall_ns=self._clock.wall_ns(),
            request_id=request_id,
            subscription_id=subscription_id,
            requested_symbol=item.requested[:64],
            code=refusal.code,
            reason=refusal.reason,
            message=refusal.message,
            suggestions=suggestions[:SUGGESTIONS_MAX],
        )


def _check(number: int, subscription: hot_pb2.Subscription) -> None:
    """Refuse a subscription without any item.

    Raises:
        InvalidRequest: It names no symbol or no channel.
    """
    for name, values in (("symbols", subscription.symbols), ("channels", subscription.channels)):
        if not values:
            raise InvalidRequest(f"subscribe[{number}].{name}", "expected at least one, received none")


def _unserved(subscription: hot_pb2.Subscription, taken: set[int]) -> FacadeError | None:
    """Return why no item of a subscription can be served, if so: what is set is never ignored."""
    if subscription.subscription_id and subscription.subscription_id in taken:
        problem = f"{subscription.subscription_id} is in use in this call, choose another"
        return InvalidRequest("subscription_id", problem)
    delivery = subscription.delivery
    if delivery not in (types_pb2.DELIVERY_MODE_UNSPECIFIED, types_pb2.DELIVERY_MODE_EVERY):
        if delivery in types_pb2.DeliveryMode.values():
            return NotSupported(
                f"delivery {types_pb2.DeliveryMode.Name(delivery).removeprefix('DELIVERY_MODE_')}"
            )
        return InvalidRequest("delivery", f"expected a delivery mode, received {delivery}")
    unserved = {
        "interval_ms": subscription.interval_ms != 0,
        "ts_history_start": subscription.ts_history_start != 0,
        "resume": bool(subscription.resume),
        "require_exact_resume": subscription.require_exact_resume,
        "filter": subscription.HasField("filter"),
    }
    for name, is_set in unserved.items():
        if is_set:
            return NotSupported(name, operation="subscribe")
    return None
