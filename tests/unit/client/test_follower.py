"""One topic from records to events: numbers without holes, wrong books dropped (FAULTS I1 to I3)."""

from collections.abc import Iterable
from decimal import Decimal

import pytest

from datafacade.client.book import Book
from datafacade.client.events import Accepted, BookMismatch, DeliveryChange, Event, Gap, StreamState, Trade
from datafacade.client.follower import Follower
from datafacade.client.topic import Channel, Topic
from datafacade.v1 import hot_pb2, stream_pb2, types_pb2
from tests.unit.client.make import (
    EPOCH,
    RECEIVED,
    checkpoint,
    cut,
    delta,
    snapshot,
    state,
    status,
    trade,
    update,
)

BIDS, ASKS = {"10": "1"}, {"11": "1"}
TRADES = Topic("kraken", "BTC-USD", Channel.TRADES)
BOOK = Topic("kraken", "BTC-USD", Channel.BOOK_L2)


def follower(topic: Topic, *, seq_next: int = 1, delivery: str = "EVERY") -> Follower:
    made = Follower(topic)
    answer = status("ACCEPTED", delivery=delivery, seq_next=seq_next)
    list(made.accept(answer.subscription_status, EPOCH))
    return made


def feed(made: Follower, *updates: hot_pb2.Update) -> list[Event]:
    return [event for one in updates for event in made.on_update(one, RECEIVED)]


def kinds(events: Iterable[Event]) -> list[type[Event]]:
    return [type(event) for event in events]


def test_acceptance_is_told_with_the_seam() -> None:
    answer = status("ACCEPTED", seq_next=8, requested_symbol="XBT/USD").subscription_status
    [event] = list(Follower(TRADES).accept(answer, EPOCH))
    assert event == Accepted(topic=TRADES, requested_symbol="XBT/USD", delivery="EVERY", seq_next=8)


def test_nothing_comes_out_before_acceptance() -> None:
    assert feed(Follower(TRADES), trade(1, 1)) == []


@pytest.mark.proves("REQ-A11")
def test_trades_come_out_exact_and_in_order() -> None:
    made = follower(TRADES, seq_next=4)
    events = feed(made, trade(4, 70, "100.5", "0.25"), trade(5, 71))
    first = events[0]
    assert isinstance(first, Trade)
    assert (first.price, first.quantity, first.side, first.trade_id) == (
        Decimal("100.5"),
        Decimal("0.25"),
        "BUY",
        70,
    )
    assert (first.stamp.seq, first.stamp.mono_client_ns) == (4, RECEIVED.mono_ns)
    assert (made.report.updates, made.report.trades, made.report.gaps, made.report.seq) == (2, 2, 0, 5)


def test_an_unannounced_hole_is_told_before_the_next_trade() -> None:
    events = feed(follower(TRADES, seq_next=4), trade(4, 70), trade(8, 74))
    assert kinds(events) == [Trade, Gap, Trade]
    gap = events[1]
    assert isinstance(gap, Gap)
    assert (gap.scope, gap.cause, gap.seq_first, gap.seq_last, gap.count) == ("LOCAL", "UNANNOUNCED", 5, 7, 3)


def test_a_record_that_comes_again_is_counted_and_left_out() -> None:
    made = follower(TRADES, seq_next=4)
    assert len(feed(made, trade(4, 70), trade(4, 70), trade(5, 71))) == 2
    assert made.report.duplicates == 1


def test_a_state_that_describes_the_present_for_a_joiner_is_no_duplicate() -> None:
    made = follower(TRADES, seq_next=40)
    events = feed(made, state(7, "LIVE", channel=types_pb2.CHANNEL_TRADES), trade(40, 1))
    assert kinds(events) == [StreamState, Trade]
    assert (made.report.state, made.report.duplicates, made.report.gaps) == ("LIVE", 0, 0)


def test_a_venue_gap_is_passed_on_and_takes_a_number() -> None:
    row = stream_pb2.Gap(
        gap_id=5, scope=stream_pb2.GAP_SCOPE_VENUE, cause=stream_pb2.GAP_CAUSE_DISCONNECT,
        state=stream_pb2.GAP_STATE_LOST, count=3,
    )  # fmt: skip
    made = follower(TRADES, seq_next=5)
    events = feed(made, update(5, channel=types_pb2.CHANNEL_TRADES, gap=row), trade(6, 71))
    assert kinds(events) == [Gap, Trade]
    assert isinstance(events[0], Gap)
    assert (events[0].scope, events[0].cause, events[0].state, events[0].count) == (
        "VENUE",
        "DISCONNECT",
        "LOST",
        3,
    )
    assert made.report.gaps == 1


@pytest.mark.parametrize("end", ["FILLED", "PARTLY_FILLED", "LOST"])
def test_a_gap_that_closes_is_no_second_gap(end: str) -> None:
    opened = stream_pb2.Gap(gap_id=5, scope=stream_pb2.GAP_SCOPE_VENUE, state=stream_pb2.GAP_STATE_OPEN)
    last = stream_pb2.GapState.Value(f"GAP_STATE_{end}")
    closed = stream_pb2.Gap(gap_id=5, scope=stream_pb2.GAP_SCOPE_VENUE, state=last, filled=1)
    made = follower(TRADES, seq_next=5)
    channel = types_pb2.CHANNEL_TRADES
    back = trade(6, 70, flags=types_pb2.UPDATE_FLAG_BACKFILLED)
    events = feed(made, update(5, channel=channel, gap=opened), back, update(7, channel=channel, gap=closed))
    assert made.report.gaps == 1
    assert isinstance(events[1], Trade)
    assert events[1].is_backfilled
    assert isinstance(events[2], Gap)
    assert (events[2].state, events[2].filled) == (end, 1)


def test_a_delivery_gap_moves_the_expected_number() -> None:
    row = stream_pb2.Gap(gap_id=1, scope=stream_pb2.GAP_SCOPE_DELIVERY, seq_first=5, seq_last=9)
    made = follower(TRADES, seq_next=4)
    events = feed(made, trade(4, 1), update(0, channel=types_pb2.CHANNEL_TRADES, gap=row), trade(10, 7))
    assert kinds(events) == [Trade, Gap, Trade]
    assert made.report.gaps == 1


def test_under_latest_a_hole_is_only_counted() -> None:
    made = follower(TRADES, seq_next=4, delivery="LATEST")
    assert kinds(feed(made, trade(4, 1), trade(9, 6))) == [Trade, Trade]
    assert (made.report.skipped, made.report.gaps) == (4, 0)


def test_a_change_of_delivery_is_told_and_obeyed() -> None:
    row = stream_pb2.DeliveryChange(
        mode_old=types_pb2.DELIVERY_MODE_EVERY, mode_new=types_pb2.DELIVERY_MODE_LATEST,
        cause=stream_pb2.DELIVERY_CAUSE_BEHIND, lag_ms=300,
    )  # fmt: skip
    made = follower(TRADES, seq_next=4)
    events = feed(made, update(0, channel=types_pb2.CHANNEL_TRADES, delivery_change=row), trade(7, 1))
    assert kinds(events) == [DeliveryChange, Trade]
    assert made.report.skipped == 3


# Books


def test_a_book_begins_with_its_cut_and_follows_deltas() -> None:
    made = follower(BOOK, seq_next=30)
    events = feed(
        made, state(12, "LIVE"), cut(30, BIDS, ASKS), delta(31, {"10.5": "2"}, {}), delta(32, {}, {"11": "0"})
    )
    assert kinds(events) == [StreamState, Book, Book, Book]
    last = events[-1]
    assert isinstance(last, Book)
    assert (last.state, last.seq, last.best_bid) == ("LIVE", 32, (Decimal("10.5"), Decimal(2)))
    assert (last.best_ask, last.is_snapshot, made.book) == (None, False, last)
    assert (made.report.updates, made.report.seq) == (3, 32)


def test_states_that_flow_while_a_joiner_waits_are_no_hole() -> None:
    made = follower(BOOK, seq_next=30)
    events = feed(
        made, state(12, "RESYNC"), state(31, "LIVE"), cut(33, BIDS, ASKS), delta(34, {"9": "1"}, {})
    )
    assert kinds(events) == [StreamState, StreamState, Book, Book]
    assert made.report.gaps == 0


def test_a_resync_is_followed_to_the_fresh_snapshot() -> None:
    gap = stream_pb2.Gap(gap_id=33, scope=stream_pb2.GAP_SCOPE_VENUE, state=stream_pb2.GAP_STATE_LOST)
    made = follower(BOOK, seq_next=30)
    events = feed(
        made,
        state(12, "LIVE"), cut(31, BIDS, ASKS), state(32, "RESYNC", "SEQUENCE_GAP"),
        update(33, gap=gap), snapshot(34, {"9": "5"}, ASKS), state(35, "LIVE"),
        checkpoint(35, {"9": "5"}, ASKS), delta(36, {"9": "0"}, {}),
    )  # fmt: skip
    assert kinds(events) == [StreamState, Book, StreamState, Gap, Book, StreamState, Book]
    fresh = events[4]
    assert isinstance(fresh, Book)
    assert (fresh.state, fresh.is_live, fresh.is_snapshot) == ("RESYNC", False, True)
    assert (made.report.hashes_checked, made.report.gaps, made.report.mismatches) == (1, 1, 0)


def test_a_checkpoint_counts_only_at_the_same_number() -> None:
    made = follower(BOOK, seq_next=30)
    wrong = checkpoint(29, {"1": "1"}, {})
    assert kinds(feed(made, cut(30, BIDS, ASKS), wrong, checkpoint(30, BIDS, ASKS))) == [Book]
    assert made.report.hashes_checked == 1


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (checkpoint(31, {"10": "2"}, ASKS), "CHECKPOINT"),
        (delta(33, {"10": "2"}, {}), "SEQ"),
        (state(33, "LIVE"), "SEQ"),
        (delta(32, {"10": "2"}, {}, venue_sequence_previous=8, venue_sequence=9), "VENUE_SEQUENCE"),
    ],
)
def test_a_book_that_does_not_fit_is_dropped_and_told(bad: hot_pb2.Update, reason: str) -> None:
    made = follower(BOOK, seq_next=30)
    feed(made, cut(30, BIDS, ASKS), delta(31, {"10": "1"}, {}, venue_sequence=7))
    [event] = feed(made, bad)
    assert isinstance(event, BookMismatch)
    assert (event.topic, event.reason, event.seq) == (BOOK, reason, bad.seq)
    assert made.book is None
    assert made.report.mismatches == 1
    assert feed(made, delta(32, {"10": "3"}, {}), cut(40, BIDS, ASKS)) == [], (
        "only a new subscription brings it back"
    )


def test_a_book_that_was_dropped_comes_back_with_the_hole_told() -> None:
    made = follower(BOOK, seq_next=30)
    feed(made, cut(30, BIDS, ASKS), delta(35, {"10": "2"}, {}))
    list(made.accept(status("ACCEPTED", seq_next=36).subscription_status, EPOCH))
    events = feed(made, cut(37, BIDS, ASKS), delta(38, {"10": "3"}, {}))
    assert kinds(events) == [Gap, Book, Book]
    gap = events[0]
    assert isinstance(gap, Gap)
    assert (gap.scope, gap.cause, gap.seq_first, gap.seq_last) == ("LOCAL", "MISMATCH", 31, 37)


def test_a_cut_for_a_slow_reader_replaces_the_book_and_counts_what_it_stands_for() -> None:
    made = follower(BOOK, seq_next=30, delivery="LATEST")
    events = feed(made, cut(30, BIDS, ASKS), cut(50, {"9": "1"}, ASKS), delta(51, {"9": "2"}, {}))
    assert kinds(events) == [Book, Book, Book]
    assert (made.report.skipped, made.report.gaps, made.report.mismatches) == (20, 0, 0)


def test_under_latest_a_state_behind_a_hole_waits_for_the_cut() -> None:
    made = follower(BOOK, seq_next=30, delivery="LATEST")
    events = feed(made, cut(30, BIDS, ASKS), state(40, "LIVE"), cut(41, BIDS, ASKS))
    assert kinds(events) == [Book, StreamState, Book]
    assert made.report.mismatches == 0


# Lost connections


def test_what_was_missed_over_a_lost_connection_is_told() -> None:
    made = follower(TRADES, seq_next=4)
    feed(made, trade(4, 70, ts_recv=55))
    made.lose()
    assert made.report.state == "DOWN"
    assert feed(made, trade(5, 71)) == []
    events = list(made.accept(status("ACCEPTED", seq_next=9).subscription_status, EPOCH))
    assert kinds(events) == [Accepted, Gap]
    gap = events[1]
    assert isinstance(gap, Gap)
    assert (gap.cause, gap.seq_first, gap.seq_last, gap.ts_first, gap.count) == (
        "CONNECTION_LOST",
        5,
        8,
        55,
        4,
    )


def test_what_a_delivery_gap_told_is_not_told_again_after_the_call_broke() -> None:
    row = stream_pb2.Gap(gap_id=1, scope=stream_pb2.GAP_SCOPE_DELIVERY, seq_first=5, seq_last=9)
    made = follower(TRADES, seq_next=4)
    feed(made, trade(4, 1), update(0, channel=types_pb2.CHANNEL_TRADES, gap=row))
    made.lose()
    events = list(made.accept(status("ACCEPTED", seq_next=12).subscription_status, EPOCH))
    gap = events[1]
    assert isinstance(gap, Gap)
    assert (gap.seq_first, gap.seq_last) == (10, 11)


def test_a_lost_connection_that_missed_nothing_is_no_gap() -> None:
    made = follower(TRADES, seq_next=4)
    feed(made, trade(4, 70))
    made.lose()
    assert kinds(made.accept(status("ACCEPTED", seq_next=5).subscription_status, EPOCH)) == [Accepted]


def test_another_epoch_is_a_gap_of_unknown_length() -> None:
    made = follower(TRADES, seq_next=4)
    feed(made, trade(4, 70))
    made.lose()
    events = list(made.accept(status("ACCEPTED", seq_next=5).subscription_status, EPOCH + 1))
    gap = events[1]
    assert isinstance(gap, Gap)
    assert (gap.cause, gap.seq_first, gap.seq_last, gap.count) == ("SERVER_RESTART", 0, 0, None)
    assert made.report.epoch == EPOCH + 1


def test_a_book_over_a_lost_connection_is_gone_until_the_new_cut() -> None:
    made = follower(BOOK, seq_next=30)
    feed(made, state(12, "LIVE"), cut(30, BIDS, ASKS))
    made.lose()
    assert made.book is None
    list(made.accept(status("ACCEPTED", seq_next=31).subscription_status, EPOCH))
    events = feed(made, state(12, "LIVE"), cut(30, BIDS, ASKS))
    assert kinds(events) == [StreamState, Book], "the head is where it was: nothing was missed"


def test_unknown_kinds_of_records_are_passed_over() -> None:
    assert feed(follower(TRADES), update(1, channel=types_pb2.CHANNEL_TRADES)) == []
