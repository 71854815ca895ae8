"""Apply HotSubscribe requests: which topics a stream follows, and what each item is told.

Errors of an item never end the call; limits of the call and requests without any item do.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Coroutine, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from datafacade.clock import Clock
from datafacade.errors import FacadeError, InvalidRequest, NotSupported, QuotaExceeded, UnknownSymbol
from datafacade.hot.ports import Hub
from datafacade.hot.tier import STARTS, HotTier
from datafacade.serve.delivery import choose_delivery
from datafacade.serve.history import WITH_HISTORY, History
from datafacade.serve.items import CHANNELS, Item, items, pair_variants, topic_of
from datafacade.serve.joining import Joiner
from datafacade.serve.positions import Positions
from datafacade.serve.resume import Position, Resume
from datafacade.serve.status import refuse
from datafacade.types import Topic
from datafacade.v1 import hot_pb2

log = logging.getLogger(__name__)

SUGGESTIONS_MAX: Final = 5
ITEMS_AT_ONCE: Final = 16  # then other tasks get their turn


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one call, and all calls together, may ask for."""

    instruments_max: int  # of one call
    topics_max: int  # of one call
    streams_max: int  # calls at once
    credit_bytes: int  # of the past that waits for one call


@dataclass(slots=True, kw_only=True)
class Followed:
    """One topic of a stream."""

    subscription_id: int
    requested: str  # the symbol as the client spelled it
    joining: asyncio.Task[None] | None = None  # brings it from its past to the live records


@dataclass(slots=True)
class Stream:
    """What one call follows."""

    topics: dict[Topic, Followed] = field(default_factory=dict)
    gap_ids: Iterator[int] = field(default_factory=lambda: itertools.count(1))


class Subscriptions:
    """All streams of the service, by their subscriber in the Hub. ``run`` it as a task."""

    def __init__(
        self,
        tier: HotTier,
        *,
        hub: Hub,
        clock: Clock,
        limits: Limits,
        resume: Resume,
        history: History,
    ) -> None:
        self._tier = tier
        self._hub = hub
        self._clock = clock
        self._limits = limits
        self._resume = resume
        self._history = history
        self._streams: dict[int, Stream] = {}
        self._tasks: asyncio.TaskGroup | None = None

    async def run(self) -> None:
        """Own the tasks that replay the past, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            await asyncio.get_running_loop().create_future()  # for ever

    async def apply(self, subscriber: int, request: hot_pb2.HotSubscribeRequest) -> None:
        """Apply one request: first what it ends, then what it adds.

        Raises:
            InvalidRequest: A subscription names no symbol or no channel; the call ends.
            QuotaExceeded: The call would follow more than one may; the call ends.
        """
        for number, subscription in enumerate(request.subscribe):
            _check(number, subscription)
        if subscriber not in self._streams and len(self._streams) >= self._limits.streams_max:
            raise QuotaExceeded("server.streams_max", self._limits.streams_max, len(self._streams) + 1)
        stream = self._streams.setdefault(subscriber, Stream())
        for subscription_id in request.unsubscribe:
            self._unsubscribe(subscriber, stream, subscription_id, request.request_id)
        self._limit(stream, request.subscribe)
        for subscription in request.subscribe:
            await self._subscribe(subscriber, stream, subscription, request.request_id)

    def closed(self, subscriber: int) -> None:
        """Forget a stream that has ended: its topics may linger, then leave the venues."""
        stream = self._streams.pop(subscriber, None)
        if stream is None:
            return
        for topic in list(stream.topics):
            self._leave(stream, topic)

    @property
    def count(self) -> int:
        """Streams that follow, or followed, something."""
        return len(self._streams)

    # Limits

    def _limit(self, stream: Stream, subscriptions: Iterable[hot_pb2.Subscription]) -> None:
        instruments = {(topic.venue, topic.symbol) for topic in stream.topics}
        topics = len(stream.topics)
        for one in subscriptions:
            venues = set(one.venues) or set(self._tier.venues)
            symbols = set(one.symbols)
            _at_most(
                "server.instruments_max",
                4 * self._limits.instruments_max,
                len(instruments) + len(venues) * len(symbols),
                told=self._limits.instruments_max,
            )
            instruments.update(itertools.product(venues, symbols))
            channels = list(dict.fromkeys(one.channels))
            paired = list(pair_variants(channels, one.variants, self._tier.variant))
            topics += len(paired) * len(symbols) * (len(set(one.venues)) or 1)
        _at_most("server.instruments_max", self._limits.instruments_max, len(instruments))
        _at_most("server.topics_max", self._limits.topics_max, topics)

    # Items

    async def _subscribe(
        self, subscriber: int, stream: Stream, subscription: hot_pb2.Subscription, request_id: int
    ) -> None:
        taken = {followed.subscription_id for followed in stream.topics.values()}
        refused = _unserved(subscription, taken)
        positions = Positions(subscription.resume, self._tier.variant)
        for number, item in enumerate(items(self._tier, subscription), 1):
            if number % ITEMS_AT_ONCE == 0:
                await asyncio.sleep(0)
            if self._streams.get(subscriber) is not stream:
                return  # the call has ended meanwhile
            try:
                if refused is not None:
                    raise refused
                topic = topic_of(self._tier, item, allow_unverified=subscription.allow_unverified)
                joiner = Joiner(
                    topic=topic,
                    delivery=choose_delivery(subscription, topic),
                    requested=item.requested,
                    subscription_id=subscription.subscription_id,
                    request_id=request_id,
                    subscriber=subscriber,
                    gap_ids=stream.gap_ids,
                    hub=self._hub,
                    clock=self._clock,
                    credit_bytes=self._limits.credit_bytes,
                )
                position = positions.take(topic)
                self._check_history(subscription, topic, position)
                self._follow(stream, joiner)
                self._join(stream, joiner, subscription, position)
            except FacadeError as error:
                positions.drop(item.venue, error.symbol or item.requested, item.channel)
                self._reject(subscriber, item, subscription.subscription_id, request_id, error)
        for item, problem in positions.strangers() if refused is None else ():
            self._reject(subscriber, item, subscription.subscription_id, request_id, problem)

    def _follow(self, stream: Stream, joiner: Joiner) -> None:
        topic, requested = joiner.topic, joiner.requested
        if topic in stream.topics:
            owner = stream.topics[topic].subscription_id
            problem = f"{requested!r} is followed already, by subscription {owner} of this call"
            raise InvalidRequest("symbols", problem, venue=topic.venue, symbol=topic.symbol)
        self._tier.follow(topic)
        stream.topics[topic] = Followed(subscription_id=joiner.subscription_id, requested=requested)

    def _check_history(
        self, subscription: hot_pb2.Subscription, topic: Topic, position: Position | None
    ) -> None:
        ts_from = subscription.ts_history_start
        if not ts_from:
            return
        if topic.channel not in WITH_HISTORY:
            problem = f"{topic.channel.name} has no history, expected TRADES or KLINES"
        elif position is not None:
            problem = (
                "a topic starts in the past or behind a position: expected one of the two, received both"
            )
        elif ts_from >= self._clock.wall_ns():
            problem = f"expected a time in the past, received {ts_from}"
        else:
            return
        raise InvalidRequest("ts_history_start", problem, venue=topic.venue, symbol=topic.symbol)

    def _join(
        self,
        stream: Stream,
        joiner: Joiner,
        subscription: hot_pb2.Subscription,
        position: Position | None,
    ) -> None:
        """Begin a topic that is followed: now, or once its past was told."""
        if position is not None:
            is_exact = subscription.require_exact_resume
            self._spawn(stream, joiner, self._resume.run(joiner, position, is_exact=is_exact))
            return
        if subscription.ts_history_start:
            work = self._history.run(joiner, ts_from=subscription.ts_history_start)
            self._spawn(stream, joiner, work)
            return
        try:
            joiner.attach(STARTS[joiner.topic.channel])
        except ValueError:  # the stream has ended meanwhile: nobody is left to tell
            self._leave(stream, joiner.topic)

    def _spawn(self, stream: Stream, joiner: Joiner, work: Coroutine[None, None, bool]) -> None:
        if self._tasks is None:
            raise RuntimeError("Subscriptions.run is not running")
        followed = stream.topics[joiner.topic]
        followed.joining = self._tasks.create_task(self._bring(stream, joiner, followed, work))

    async def _bring(
        self, stream: Stream, joiner: Joiner, followed: Followed, work: Coroutine[None, None, bool]
    ) -> None:
        """Carry out what brings a topic to its live records; without success it is not followed."""
        is_followed = False
        try:
            is_followed = await work
        except FacadeError as error:
            item = Item(
                venue=joiner.topic.venue,
                requested=joiner.requested,
                channel=joiner.topic.channel,
                variant=joiner.topic.variant,
            )
            self._reject(joiner.subscriber, item, joiner.subscription_id, joiner.request_id, error)
        except ValueError:
            pass  # the stream has ended meanwhile: nobody is left to tell
        if not is_followed and stream.topics.get(joiner.topic) is followed:
            followed.joining = None
            self._leave(stream, joiner.topic)

    def _leave(self, stream: Stream, topic: Topic) -> Followed:
        followed = stream.topics.pop(topic)
        if followed.joining is not None:
            followed.joining.cancel()
        self._tier.leave(topic)
        return followed

    def _unsubscribe(self, subscriber: int, stream: Stream, subscription_id: int, request_id: int) -> None:
        if subscription_id == 0:
            return
        ended = [topic for topic, one in stream.topics.items() if one.subscription_id == subscription_id]
        for topic in ended:
            followed = self._leave(stream, topic)
            self._hub.detach(
                subscriber,
                *topic,
                wall_ns=self._clock.wall_ns(),
                request_id=request_id,
                subscription_id=subscription_id,
                requested_symbol=followed.requested,
            )

    def _reject(
        self, subscriber: int, item: Item, subscription_id: int, request_id: int, error: FacadeError
    ) -> None:
        refusal = refuse(error)
        suggestions = list(error.suggestions) if isinstance(error, UnknownSymbol) else []
        self._hub.reject(
            subscriber,
            item.venue[:64],
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


def _at_most(limit_name: str, limit: int, requested: int, *, told: int | None = None) -> None:
    if requested > limit:
        raise QuotaExceeded(limit_name, told or limit, requested)


def _unserved(subscription: hot_pb2.Subscription, taken: set[int]) -> FacadeError | None:
    """Return why no item of a subscription can be served, if so: what is set is never ignored."""
    if subscription.subscription_id and subscription.subscription_id in taken:
        problem = f"{subscription.subscription_id} is in use in this call, choose another"
        return InvalidRequest("subscription_id", problem)
    if subscription.HasField("filter"):
        return NotSupported("filter", operation="subscribe")
    return None
