"""What a subscription asks for, item by item. Data and its form in the contract."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Final

from datafacade.client.backoff import Backoff
from datafacade.client.errors import ClientError
from datafacade.client.topic import Channel, Position, Topic, channel_number, channel_of
from datafacade.v1 import hot_pb2, types_pb2

ITEMS_PER_REQUEST: Final = 200  # some 20 KB; the service takes 64 KiB
RENEW_FIRST_S: Final = 0.05
RENEW_MAX_S: Final = 15.0
DELIVERIES: Final = ("", "EVERY", "LATEST", "INTERVAL")
SETTLED_S: Final = 60.0  # a renewal that held for so long was a good one


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """How the topics of one `add` are to come."""

    variants: tuple[str, ...] = ()  # kline intervals, book depths; none: the channel's default
    delivery: str = ""  # EVERY, LATEST, INTERVAL; "": EVERY for trades and klines, LATEST for the rest
    interval_ms: int = 0  # for INTERVAL: at most one update per topic in so long
    allow_unverified: bool = False  # books without proof may come
    ts_history_start: int = 0  # trades and klines from here on first, ns since 1970 UTC; 0: none
    is_exact_required: bool = False  # end rather than begin anew where a position is no longer held

    def __post_init__(self) -> None:
        """Refuse what no service takes.

        Raises:
            ValueError: An unknown delivery, or an interval without INTERVAL.
        """
        if self.delivery not in DELIVERIES:
            raise ValueError(f"unknown delivery {self.delivery!r}: expected EVERY, LATEST or INTERVAL")
        if (self.delivery == "INTERVAL") != (self.interval_ms > 0):
            raise ValueError("expected interval_ms with delivery INTERVAL, and only then")


@dataclass(slots=True, kw_only=True, eq=False)
class Item:
    """One venue, symbol and channel as the user asked for them, and what became of it in the present call."""

    venue: str  # "": every venue that is authoritative
    symbol: str  # in any spelling
    channel: Channel
    wish: Wish
    handle: int  # of the `add` that brought it
    subscription_id: int
    backoff: Backoff  # of its renewals
    renewed_at: float = 0.0  # loop time
    is_renewing: bool = False
    refusal: ClientError | None = None
    topics: set[Topic] = field(default_factory=set)  # accepted
    positions: Sequence[Position] = ()  # to go on from in the next request
    has_history: bool = False  # it has come already

    @property
    def is_hopeless(self) -> bool:
        """Whether nothing will ever come of it."""
        return self.refusal is not None and not self.refusal.is_retried and not self.topics

    def message(self) -> hot_pb2.Subscription:
        """Return the contract's form."""
        wish = self.wish
        is_history_due = not (self.has_history or self.positions)
        return hot_pb2.Subscription(
            subscription_id=self.subscription_id,
            venues=[self.venue] if self.venue else [],
            symbols=[self.symbol],
            channels=[channel_number(self.channel)],
            variants=wish.variants,
            delivery=types_pb2.DeliveryMode.Value(f"DELIVERY_MODE_{wish.delivery or 'UNSPECIFIED'}"),
            interval_ms=wish.interval_ms,
            allow_unverified=wish.allow_unverified,
            ts_history_start=wish.ts_history_start if is_history_due else 0,
            resume=[_message(position) for position in self.positions],
            require_exact_resume=wish.is_exact_required and bool(self.positions),
        )

    def renewal_s(self, now: float) -> float:
        """Return how long to wait before it is subscribed anew, seconds; ``now`` is the loop's time."""
        if now - self.renewed_at > SETTLED_S:
            self.backoff.reset()
        wait_s = self.backoff.next_s()
        self.renewed_at = now + wait_s
        return wait_s


class Items:
    """All items of a subscription by their id in the call."""

    def __init__(self, dice: Random) -> None:
        self._dice = dice
        self._ids = itertools.count(1)
        self._handles = itertools.count(1)
        self._by_id: dict[int, Item] = {}

    def add(
        self,
        venues: Iterable[str],
        symbols: Iterable[str],
        channels: Iterable[str],
        wish: Wish,
    ) -> list[Item]:
        """Add the cross product under one handle.

        Raises:
            ValueError: No symbol or no channel is named, or there is no such channel.
        """
        handle = next(self._handles)
        product = itertools.product(
            list(venues) or [""], list(symbols), [channel_of(channel) for channel in channels]
        )
        added = [
            Item(
                venue=venue,
                symbol=symbol,
                channel=channel,
                wish=wish,
                handle=handle,
                subscription_id=next(self._ids),
                backoff=Backoff(self._dice, first_s=RENEW_FIRST_S, max_s=RENEW_MAX_S),
            )
            for venue, symbol, channel in dict.fromkeys(product)
        ]
        if not added:
            raise ValueError("expected at least one symbol and one channel")
        self._by_id.update((item.subscription_id, item) for item in added)
        return added

    def remove(self, handle: int) -> list[Item]:
        """Remove what one `add` brought; return it."""
        removed = [item for item in self._by_id.values() if item.handle == handle]
        for item in removed:
            del self._by_id[item.subscription_id]
        return removed

    def renumber(self, item: Item) -> int:
        """Give an item a new id, so that records of the old one can be told apart; return the old id."""
        old = item.subscription_id
        self._by_id.pop(old, None)
        item.subscription_id = next(self._ids)
        self._by_id[item.subscription_id] = item
        return old

    def get(self, subscription_id: int) -> Item | None:
        """Return the item of an id; None: it was removed or renewed meanwhile."""
        return self._by_id.get(subscription_id)

    def forget_answers(self) -> None:
        """Begin a new call: nothing is answered yet."""
        for item in self._by_id.values():
            item.refusal = None
            item.topics.clear()

    @property
    def first_refusal(self) -> ClientError | None:
        """Why nothing will ever come, if each item is refused for good; None: there is hope."""
        items = list(self._by_id.values())
        return items[0].refusal if items and all(item.is_hopeless for item in items) else None

    def __iter__(self) -> Iterator[Item]:
        """Yield all items in the order of their ids."""
        return iter(list(self._by_id.values()))


def _message(position: Position) -> types_pb2.Position:
    """Return the contract's form of a position."""
    topic = position.topic
    return types_pb2.Position(
        venue=topic.venue,
        symbol=topic.symbol,
        channel=channel_number(topic.channel),
        variant=topic.variant,
        epoch=position.epoch,
        seq=position.seq,
    )


def requests_of(items: Iterable[Item], request_ids: Iterator[int]) -> Iterator[hot_pb2.HotSubscribeRequest]:
    """Yield the requests that subscribe items, each small enough."""
    waiting = list(items)
    for at in range(0, len(waiting), ITEMS_PER_REQUEST):
        messages = [item.message() for item in waiting[at : at + ITEMS_PER_REQUEST]]
        yield hot_pb2.HotSubscribeRequest(request_id=next(request_ids), subscribe=messages)
