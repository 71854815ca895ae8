"""The client chooses what may be conflated; trades never are."""

from __future__ import annotations

import pytest

from datafacade.errors import InvalidRequest
from datafacade.serve.delivery import Delivery, choose_delivery, conflation
from datafacade.types import Channel, Topic
from datafacade.v1 import hot_pb2, types_pb2

UNSET, EVERY, LATEST, INTERVAL = types_pb2.DeliveryMode.values()


def chosen(
    channel: Channel, mode: types_pb2.DeliveryMode.ValueType, interval_ms: int = 0, variant: str = ""
) -> Delivery:
    subscription = hot_pb2.Subscription(delivery=mode, interval_ms=interval_ms)
    return choose_delivery(subscription, Topic("kraken", "BTC-USD", channel, variant))


@pytest.mark.parametrize("channel", list(Channel))
def test_trades_and_klines_come_whole_by_default_and_the_rest_as_the_newest(channel: Channel) -> None:
    expected = "every" if channel in (Channel.TRADES, Channel.KLINES) else "latest"
    assert chosen(channel, UNSET) == (expected, 0)
    assert chosen(channel, EVERY) == Delivery("every", 0)


@pytest.mark.parametrize("channel", [one for one in Channel if one is not Channel.TRADES])
def test_everything_but_trades_may_be_conflated(channel: Channel) -> None:
    assert chosen(channel, LATEST) == Delivery("latest", 0)
    assert chosen(channel, INTERVAL, 250, "25") == Delivery("interval", 250)


@pytest.mark.parametrize(
    ("channel", "mode", "interval_ms", "field"),
    [
        (Channel.TRADES, LATEST, 0, "delivery"),
        (Channel.TRADES, INTERVAL, 100, "delivery"),
        (Channel.BOOK_L2, INTERVAL, 100, "variants"),
        (Channel.TICKER, INTERVAL, 0, "interval_ms"),
        (Channel.TICKER, INTERVAL, 9, "interval_ms"),
        (Channel.TICKER, INTERVAL, 3_600_001, "interval_ms"),
        (Channel.TICKER, LATEST, 100, "interval_ms"),
        (Channel.TICKER, EVERY, 100, "interval_ms"),
        (Channel.TICKER, UNSET, 100, "interval_ms"),
        (Channel.TICKER, 9, 0, "delivery"),
    ],
)
def test_what_cannot_be_delivered_so_is_refused_by_field(
    channel: Channel, mode: types_pb2.DeliveryMode.ValueType, interval_ms: int, field: str
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        chosen(channel, mode, interval_ms)
    assert refused.value.field_name == field


@pytest.mark.parametrize("interval_ms", [10, 3_600_000])
def test_both_ends_of_the_range_are_in_it(interval_ms: int) -> None:
    assert chosen(Channel.TICKER, INTERVAL, interval_ms).interval_ms == interval_ms


def test_a_cut_stands_for_what_a_book_skips() -> None:
    assert conflation(Channel.BOOK_L2) == "cut"
    assert {conflation(one) for one in Channel if one is not Channel.BOOK_L2} == {"newest"}
