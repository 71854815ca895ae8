"""Choose how the updates of one topic are delivered. Pure."""

from __future__ import annotations

from typing import Final, NamedTuple

from datafacade.errors import InvalidRequest
from datafacade.hot.ports import Conflate
from datafacade.hot.ports import Delivery as Mode
from datafacade.types import Channel, Topic
from datafacade.v1 import hot_pb2, types_pb2

INTERVAL_MS_MIN: Final = 10
INTERVAL_MS_MAX: Final = 3_600_000
_EVERY_BY_DEFAULT: Final = frozenset({Channel.TRADES, Channel.KLINES})


class Delivery(NamedTuple):
    """How updates of one topic reach one client."""

    mode: Mode
    interval_ms: int = 0  # from 1; 0: the mode is not interval


def choose_delivery(subscription: hot_pb2.Subscription, topic: Topic) -> Delivery:
    """Return the delivery that a subscription asks for, or the channel's default.

    Raises:
        InvalidRequest: The topic cannot be delivered so.

    Example:
        >>> choose_delivery(hot_pb2.Subscription(), Topic("kraken", "BTC-USD", Channel.TOP_OF_BOOK)).mode
        'latest'
    """
    asked, interval_ms = subscription.delivery, subscription.interval_ms
    if asked not in types_pb2.DeliveryMode.values():
        raise InvalidRequest("delivery", f"expected a delivery mode, received {asked}")
    if asked == types_pb2.DELIVERY_MODE_INTERVAL:
        _check_interval(interval_ms, topic)
    elif interval_ms:
        raise InvalidRequest("interval_ms", f"expected 0 unless delivery is INTERVAL, received {interval_ms}")
    if asked == types_pb2.DELIVERY_MODE_UNSPECIFIED:
        return Delivery("every" if topic.channel in _EVERY_BY_DEFAULT else "latest")
    if asked == types_pb2.DELIVERY_MODE_EVERY:
        return Delivery("every")
    if topic.channel is Channel.TRADES:
        name = types_pb2.DeliveryMode.Name(asked).removeprefix("DELIVERY_MODE_")
        raise InvalidRequest("delivery", f"trades are never conflated: expected EVERY, received {name}")
    if asked == types_pb2.DELIVERY_MODE_LATEST:
        return Delivery("latest")
    return Delivery("interval", interval_ms)


def conflation(channel: Channel) -> Conflate:
    """Return what stands for skipped updates: of a book one cut, else the newest."""
    return "cut" if channel is Channel.BOOK_L2 else "newest"


def _check_interval(interval_ms: int, topic: Topic) -> None:
    if not INTERVAL_MS_MIN <= interval_ms <= INTERVAL_MS_MAX:
        allowed = f"expected {INTERVAL_MS_MIN} to {INTERVAL_MS_MAX} with delivery INTERVAL"
        raise InvalidRequest("interval_ms", f"{allowed}, received {interval_ms}")
    if topic.channel is Channel.BOOK_L2 and not topic.variant:
        problem = "a book with delivery INTERVAL needs a depth variant: 10, 25, 50, 100 or 500, received none"
        raise InvalidRequest("variants", problem)
