"""What is counted is what is shown, at every width."""

import io
from decimal import Decimal

import pytest
from rich.console import Console

from datafacade.cli.board import COLUMNS, FRAME, SPACE, Heading, board, fitting
from datafacade.cli.tally import WINDOW_S, Rate, Tally
from datafacade.client import Accepted, BookMismatch, Channel, Event, Gap, Refused, StreamState, Topic
from datafacade.client.follower import Follower
from datafacade.v1 import health_pb2, hot_pb2, stream_pb2, types_pb2
from tests.unit.client.make import EPOCH, RECEIVED, checkpoint, cut, delta, state, status, trade, update

BOOK = Topic("kraken", "BTC-USD", Channel.BOOK_L2)
TRADES = Topic("kraken", "BTC-USD", Channel.TRADES)
HEADING = Heading(
    title="datafacade watch", target="127.0.0.1:1", running_s=61, is_connected=True, latency_of="a to b"
)


def events(topic: Topic, *updates: hot_pb2.Update) -> tuple[list[Event], Follower]:
    """Return what a client makes of records."""
    follower = Follower(topic)
    made = list(follower.accept(status("ACCEPTED", seq_next=1).subscription_status, EPOCH))
    for one in updates:
        made += follower.on_update(one, RECEIVED)
    return made, follower


def tally_of(topic: Topic, *updates: hot_pb2.Update) -> Tally:
    tally = Tally()
    made, follower = events(topic, *updates)
    for event in made:
        tally.on_event(event, now=1.0, wall_ns=10**18)
    tally.on_reports([follower.report])
    return tally


def shown(tally: Tally, width: int = 170, heading: Heading = HEADING) -> str:
    """Return the picture as plain text."""
    console = Console(width=width, file=io.StringIO(), color_system=None, legacy_windows=False)
    with console.capture() as capture:
        console.print(board(tally, heading, now=1.5, width=width))
    return capture.get()


BIDS, ASKS = {"65083.66": "1"}, {"65083.68": "2"}
CHECKSUM = types_pb2.INTEGRITY_CHECKSUM


def book_tally() -> Tally:
    return tally_of(
        BOOK, state(1, "LIVE"), cut(1, BIDS, ASKS, integrity=CHECKSUM), checkpoint(1, BIDS, ASKS),
        delta(2, {"65083.67": "3"}, {}, integrity=CHECKSUM, ts_recv=1_000),
    )  # fmt: skip


def test_a_live_book_is_shown_with_its_proof_prices_and_spread() -> None:
    picture = shown(book_tally())
    for text in ("kraken", "BTC-USD", "● LIVE", "✔ checksum", "65,083.67", "65,083.68", "0.00 bp", "1.00 µs"):
        assert text in picture
    assert "1 of 1 books live" in picture
    assert "1 proofs checked, 0 failed" in picture


def test_trades_are_shown_with_the_takers_side() -> None:
    tally = tally_of(TRADES, trade(1, 7, "100.5"), trade(2, 8, "100.75"))
    row = tally.row("kraken", "BTC-USD")
    assert (row.trades, row.last_price, row.last_side) == (2, Decimal("100.75"), "BUY")
    assert "▲ 100.75" in shown(tally)


def test_the_services_own_proofs_are_counted_too() -> None:
    tally = book_tally()
    stream = health_pb2.StreamHealth(
        symbol="BTC-USD",
        channel=types_pb2.CHANNEL_BOOK_L2,
        counts=health_pb2.StreamCounts(proofs_checked=41, proofs_failed=2),
    )
    venue = health_pb2.VenueHealth(venue="kraken", streams=[stream])
    tally.on_health(health_pb2.HealthResponse(venues=[venue]))
    row = tally.row("kraken", "BTC-USD")
    assert (row.proofs_checked, row.proofs_failed) == (42, 2)


def test_a_book_that_leaves_live_is_noted_and_its_start_is_not() -> None:
    gap = stream_pb2.Gap(gap_id=4, scope=stream_pb2.GAP_SCOPE_VENUE, cause=stream_pb2.GAP_CAUSE_SEQUENCE_GAP)
    tally = tally_of(
        BOOK, state(1, "SYNCING", "SUBSCRIBED"), state(2, "LIVE"), cut(2, BIDS, ASKS),
        state(3, "RESYNC", "SEQUENCE_GAP"), update(4, gap=gap),
    )  # fmt: skip
    assert [note.text for note in tally.notes] == [
        "LIVE to RESYNC: SEQUENCE_GAP",
        "gap, some lost: SEQUENCE_GAP",
    ]
    picture = shown(tally)
    assert "◐ RESYNC" in picture
    assert "LIVE to RESYNC" in picture
    assert "0 of 1 books live" in picture


def test_mismatches_and_refusals_are_noted() -> None:
    tally = Tally()
    bad = BookMismatch(topic=BOOK, reason="CHECKPOINT", seq=5, expected="a", received="b")
    refused = Refused(
        venue="kraken", requested_symbol="NO\x1b[31mPE", channel="trades", reason="UNKNOWN_SYMBOL",
        message="", suggestions=("BTC-USD",),
    )  # fmt: skip
    told = Accepted(topic=BOOK, requested_symbol="BTC-USD", delivery="EVERY", seq_next=1)
    for event in (bad, refused, told):
        tally.on_event(event, now=0.0, wall_ns=1)
    picture = shown(tally)
    assert "the copy is wrong" in picture
    assert "kraken:NOPE/trades  UNKNOWN_SYMBOL, nearest BTC-USD" in picture


def test_failed_proofs_and_gaps_stand_out() -> None:
    tally = tally_of(BOOK, state(1, "LIVE"), cut(1, BIDS, ASKS), checkpoint(1, {"1": "1"}, {}))
    picture = shown(tally)
    assert "✖1 1" in picture
    assert "1 proofs checked, 1 failed" in picture


def test_a_lost_connection_is_shown() -> None:
    heading = Heading(
        title="t", target="x", running_s=0, is_connected=False, latency_of="", note="trying again"
    )
    assert "trying again" in shown(book_tally(), heading=heading)


@pytest.mark.parametrize("width", [24, 40, 60, 80, 100, 120, 140, 160, 200])
def test_the_table_fits_any_terminal_and_cuts_no_price(width: int) -> None:
    picture = shown(book_tally(), width)
    assert max(len(line) for line in picture.splitlines()) <= width
    if width >= 60:
        assert "65,083.67" in picture
        assert "LIVE" in picture


@pytest.mark.parametrize("width", range(10, 200, 7))
def test_columns_are_left_out_by_rank(width: int) -> None:
    kept = fitting(COLUMNS, width)
    assert kept
    dropped = [column.rank for column in COLUMNS if column not in kept]
    assert max(column.rank for column in kept) < min(dropped, default=99)
    assert len(kept) == 1 or sum(column.width + SPACE for column in kept) - SPACE <= width
    assert FRAME > 0


def test_rates_are_taken_over_the_last_seconds() -> None:
    rate = Rate()
    assert rate.per_s(0.0) == 0.0
    for tick in range(100):
        rate.add(tick / 10)
    assert rate.per_s(9.9) == pytest.approx(10, rel=0.03)
    assert rate.per_s(9.9 + WINDOW_S + 1) == 0.0


def test_states_of_other_channels_do_not_change_the_books_state() -> None:
    tally = book_tally()
    row = stream_pb2.StreamState(state=types_pb2.STATE_STALE)
    made, _ = events(TRADES, update(1, channel=types_pb2.CHANNEL_TRADES, stream_state=row))
    for event in made:
        tally.on_event(event, now=2.0, wall_ns=1)
    assert any(isinstance(event, StreamState) for event in made)
    assert tally.row("kraken", "BTC-USD").state == "LIVE"
    assert not any(isinstance(event, Gap) for event in made)
