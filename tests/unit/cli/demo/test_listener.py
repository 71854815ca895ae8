"""What the demo counts, and the object that it prints."""

from __future__ import annotations

import pytest

from datafacade.cli.demo.listener import Listener
from datafacade.cli.failure import ProgramFailed
from datafacade.v1 import book_pb2, health_pb2, hot_pb2, market_pb2, stream_pb2, types_pb2

BOOK, TRADES = types_pb2.CHANNEL_BOOK_L2, types_pb2.CHANNEL_TRADES


def of(**fields: object) -> hot_pb2.Update:
    base: dict[str, object] = {"venue": "kraken", "symbol": "BTC-USD", "channel": BOOK}
    return hot_pb2.Update(**{**base, **fields})  # type: ignore[arg-type]  # fields of any kind


def heard(*updates: hot_pb2.Update) -> Listener:
    listener = Listener({"kraken": ["BTC-USD"]})
    for update in updates:
        listener.on_update(update, 0)
    listener.truth.settle()
    return listener


def test_the_object_has_the_promised_form() -> None:
    counts = health_pb2.StreamCounts(proofs_checked=9, proofs_failed=1)
    health = health_pb2.HealthResponse(venues=[health_pb2.VenueHealth(venue="kraken", counts=counts)])
    listener = heard(
        of(trade=market_pb2.Trade(trade_id=1), channel=TRADES),
        of(book_snapshot=book_pb2.BookSnapshot()),
        of(book_delta=book_pb2.BookDelta()),
        of(stream_state=stream_pb2.StreamState(state=types_pb2.STATE_LIVE)),
    )
    assert listener.report(health) == {
        "venues": {
            "kraken": {
                "state": "LIVE",
                "trades": 1,
                "book_updates": 2,
                "gaps": 0,
                "proofs": {"checked": 9, "failed": 1},
                "latency_us": {"p50": 0, "p99": 0},
            }
        },
        "books_equal_truth": False,
    }


def test_a_gap_that_opens_and_closes_counts_once() -> None:
    opened = of(gap=stream_pb2.Gap(gap_id=1, state=stream_pb2.GAP_STATE_OPEN))
    closed = of(gap=stream_pb2.Gap(gap_id=1, state=stream_pb2.GAP_STATE_LOST))
    other = of(gap=stream_pb2.Gap(gap_id=2, state=stream_pb2.GAP_STATE_OPEN))
    listener = heard(opened, closed, other)
    assert listener.report(health_pb2.HealthResponse())["venues"]["kraken"]["gaps"] == 2


def test_a_venue_is_as_its_book_that_is_not_live() -> None:
    listener = heard(of(stream_state=stream_pb2.StreamState(state=types_pb2.STATE_RESYNC)))
    assert listener.report(health_pb2.HealthResponse())["venues"]["kraken"]["state"] == "RESYNC"


def test_a_refused_subscription_ends_the_demo() -> None:
    refused = stream_pb2.SubscriptionStatus(code=5, message="no such symbol")
    with pytest.raises(ProgramFailed, match="kraken BTC-USD: no such symbol"):
        heard(of(subscription_status=refused))


def test_updates_of_other_venues_are_passed_over() -> None:
    assert heard(of(venue="elsewhere", trade=market_pb2.Trade(trade_id=1))).truth.waiting == 0
