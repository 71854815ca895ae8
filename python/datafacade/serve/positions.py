"""Match the positions of a subscription with its topics. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from datafacade.errors import InvalidRequest
from datafacade.serve.items import CHANNELS, Canonical, Item
from datafacade.serve.resume import Position
from datafacade.types import Channel, Topic
from datafacade.v1 import types_pb2


class Positions:
    """What a subscription resumes from; each position is taken by one topic at most."""

    def __init__(self, told: Iterable[types_pb2.Position], canonical: Canonical) -> None:
        self._by_topic: dict[Topic, types_pb2.Position] = {}
        self._strange: list[tuple[types_pb2.Position, str]] = []
        for position in told:
            topic = _topic(position, canonical)
            if topic is None:
                self._strange.append(
                    (position, "names no topic: expected a channel and a variant of its kind")
                )
            elif topic in self._by_topic:
                self._strange.append((position, "names a topic twice: expected one position for each"))
            else:
                self._by_topic[topic] = position

    def take(self, topic: Topic) -> Position | None:
        """Return where a topic is to be continued, if it is."""
        position = self._by_topic.pop(topic, None)
        return None if position is None else Position(position.epoch, position.seq)

    def drop(self, venue: str, symbol: str, channel: int) -> None:
        """Forget the positions of an item that is refused for another reason: one answer is enough."""
        for topic in [one for one in self._by_topic if one[:3] == (venue, symbol, channel)]:
            del self._by_topic[topic]

    def strangers(self) -> Iterator[tuple[Item, InvalidRequest]]:
        """Yield the positions that match no topic of the subscription."""
        for position in self._by_topic.values():
            yield _refused(position, "matches no topic of its subscription")
        for position, problem in self._strange:
            yield _refused(position, problem)


def _topic(position: types_pb2.Position, canonical: Canonical) -> Topic | None:
    if position.channel not in CHANNELS:
        return None
    channel = Channel(position.channel)
    try:
        return Topic(position.venue, position.symbol, channel, canonical(channel, position.variant))
    except InvalidRequest:
        return None


def _refused(position: types_pb2.Position, problem: str) -> tuple[Item, InvalidRequest]:
    item = Item(
        venue=position.venue,
        requested=position.symbol,
        channel=position.channel,
        variant=position.variant,
    )
    return item, InvalidRequest("resume", f"{position.symbol[:64]!r} {problem}")
