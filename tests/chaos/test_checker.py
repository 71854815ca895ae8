"""The checker catches what it is there for: forged logs with one lie each, and one without."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
from google.protobuf.message import Message

from datafacade.check import Verdict, judge
from datafacade.check.book import NaiveBook, plain, whole
from datafacade.check.probe import ProbeFile, ProbeReader
from datafacade.v1 import stream_pb2, types_pb2
from tests.chaos.forge import BOOK, MS, START_MONO, START_WALL, STEP_NS, TRADES, Forgery, clean

VENUES = ("binance", "kraken")


def verdicts(run: Forgery) -> dict[str, Verdict]:
    return {verdict.invariant: verdict for verdict in judge(run.read_truth(), run.control, run.read_story())}


def broken(run: Forgery) -> set[str]:
    return {name for name, verdict in verdicts(run).items() if not verdict.holds}


def pick(run: Forgery, payload: str, nth: int = -1) -> Message:
    return [update for _, update in run.updates if update.WhichOneof("payload") == payload][nth]


@pytest.mark.parametrize("venue", VENUES)
@pytest.mark.parametrize("seed", range(5))
def test_clean_run_passes_and_nothing_is_vacuous(venue: str, seed: int) -> None:
    found = verdicts(clean(venue, seed=seed))
    assert list(found) == [f"I{number}" for number in range(1, 11)]
    assert not [str(verdict) for verdict in found.values() if not verdict.holds]
    assert not [name for name, verdict in found.items() if verdict.is_vacuous]


def test_canonical_text_is_that_of_the_contract() -> None:
    book = NaiveBook()
    book.set(book.bids, [(whole(6_160_201, -2), whole(167_177, -5)), (whole(61_602, 0), whole(5, -1))])
    book.set(
        book.asks,
        [(whole(61_602_020, -3), whole(266_795, -5)), (whole(7, 4), whole(1, 0)), (whole(70_000, 0), 0)],
    )
    assert book.text() == "b,61602.01,1.67177\nb,61602,0.5\na,61602.02,2.66795"
    assert book.sha256() == "ca17416e9010662095b9158f0323a6446cdfa1fa385097617cd356a57e077c2b"
    assert NaiveBook().sha256() == hashlib.sha256(b"").hexdigest()
    assert [plain(whole(*number)) for number in ((0, -3), (-12_300, -4), (12, 3), (1, -18))] == [
        "0",
        "-1.23",
        "12000",
        "0.000000000000000001",
    ]


# One lie each


def lost_trade(run: Forgery) -> None:
    run.trade("binance", is_told=False)
    run.trade("binance")


def lost_trade_that_nobody_was_sent(run: Forgery) -> None:
    run.trade_id += 5
    run.trade("binance")


def lost_delta(run: Forgery) -> None:
    run.change("binance", is_told=False)
    behind = run.change("binance")
    assert behind is not None
    behind.venue_sequence_previous -= 3  # a product that papers over the hole
    run.change("binance")


def gap_too_small(run: Forgery) -> None:
    gap = pick(run, "gap").gap  # type: ignore[attr-defined]
    gap.venue_sequence_first += 3


def doubled_trade(run: Forgery) -> None:
    run.trade_id -= 1
    run.trade("binance")


def doubled_delta(run: Forgery) -> None:
    twin = run.update("binance", BOOK)
    seq = twin.seq
    twin.CopyFrom(pick(run, "book_delta"))  # type: ignore[arg-type]
    twin.seq = seq
    twin.ts_recv += STEP_NS


def hole_in_our_numbers(run: Forgery) -> None:
    run.seqs["binance", BOOK] += 1
    run.change("binance")


def checkpoint_of_another_seq(run: Forgery) -> None:
    run.checkpoint("binance").seq -= 1


def swapped_updates(run: Forgery) -> None:
    run.change("binance")
    run.change("binance")
    run.updates[-1], run.updates[-2] = run.updates[-2], run.updates[-1]


def first_record_is_not_the_seam(run: Forgery) -> None:
    run.accepted("binance", TRADES)
    run.seqs["binance", TRADES] += 1
    run.trade("binance")


def wrong_quantity(run: Forgery) -> None:
    delta = run.change("binance")
    assert delta is not None
    for quantities in (delta.book_delta.bid_quantities, delta.book_delta.ask_quantities):
        if quantities:
            quantities[0] += 1


def ghost_level_far_away(run: Forgery) -> None:
    delta = run.change("binance")
    assert delta is not None
    delta.book_delta.bid_prices.append(1)
    delta.book_delta.bid_quantities.append(5)


def checkpoint_of_another_book(run: Forgery) -> None:
    run.checkpoint("binance").checkpoint.sha256 = bytes(32)


def live_all_the_way_over_a_hole(run: Forgery) -> None:
    run.change("binance", is_sent=False)
    run.change("binance")


def live_again_without_a_snapshot(run: Forgery) -> None:
    run.change("binance", is_sent=False)
    run.change("binance", is_told=False)
    run.state("binance", BOOK, types_pb2.STATE_RESYNC)
    run.state("binance", BOOK, types_pb2.STATE_LIVE)


def live_and_crossed(run: Forgery) -> None:
    run.asks[min(run.asks) - 30] = 5
    run.heal("binance", run.number + 1, run.now)


def kept_threads(run: Forgery) -> None:
    run.resources("leak", threads=9)
    run.now += 51 * STEP_NS
    run.resources("leak")  # too late


def kept_descriptors(run: Forgery) -> None:
    run.resources("leak", fds=31)


def kept_rest_connections(run: Forgery) -> None:
    run.resources("leak", rest=2)


def another_process(run: Forgery) -> None:
    run.resources("later", pid=4_712)


def restart(run: Forgery) -> None:
    """Let the service be killed and come back, honestly."""
    run.crash()
    run.trade("binance", is_sent=False)  # nobody was there
    run.come_back("binance")
    run.change("binance")
    run.trade("binance")
    run.change("binance")


def lost_trade_after_a_restart(run: Forgery) -> None:
    restart(run)
    run.trade("binance", is_told=False)
    run.trade("binance")


def lost_trade_before_a_restart(run: Forgery) -> None:
    run.trade("binance", is_told=False)
    run.trade("binance")
    restart(run)


def lost_at_the_end(run: Forgery) -> None:
    run.trade("binance", is_told=False)
    run.now += 30 * STEP_NS
    run.state("binance", TRADES, types_pb2.STATE_LIVE)
    trades = run.updates[-1][1]
    run.update("binance", TRADES, takes_seq=False).heartbeat.state = types_pb2.STATE_LIVE
    trades.ts_publish -= 40 * STEP_NS


def gap_filled_with_nothing(run: Forgery) -> None:
    since = run.now
    run.trade("binance", is_told=False)
    run.now += STEP_NS
    number = run.trade_id
    gap = run.gap("binance", TRADES, number, number, since)
    gap.gap.state = stream_pb2.GAP_STATE_OPEN
    run.trade("binance")
    closed = run.gap("binance", TRADES, number, number, since)
    closed.gap.gap_id, closed.gap.state, closed.gap.filled = gap.gap.gap_id, stream_pb2.GAP_STATE_FILLED, 1


def trade_told_again_after_a_restart(run: Forgery) -> None:
    restart(run)
    run.tell_trade("binance", run.trade_id)


def record_replayed_twice(run: Forgery) -> None:
    run.trade("binance")
    twin = run.update("binance", TRADES, takes_seq=False)
    twin.stream_state.state = types_pb2.STATE_LIVE


def epoch_without_a_word(run: Forgery) -> None:
    run.trade("binance")
    run.epoch += 1
    run.trade("binance")


def new_epoch_begins_in_the_middle(run: Forgery) -> None:
    run.crash()
    run.resume("binance", TRADES)
    run.seqs["binance", TRADES] = 3
    run.state("binance", TRADES, types_pb2.STATE_LIVE)


def caught_up_too_early(run: Forgery) -> None:
    run.begun.append(len(run.updates))
    run.accepted("binance", TRADES, stream_pb2.SUBSCRIPTION_PHASE_RESUMED)
    run.accepted("binance", TRADES, stream_pb2.SUBSCRIPTION_PHASE_CAUGHT_UP)
    run.updates[-1][1].subscription_status.seq_next += 1


def resumed_a_record_too_late(run: Forgery) -> None:
    run.begun.append(len(run.updates))
    run.accepted("binance", TRADES, stream_pb2.SUBSCRIPTION_PHASE_RESUMED)
    run.seqs["binance", TRADES] += 1
    run.trade("binance")


def changes_of_a_new_epoch_without_a_book(run: Forgery) -> None:
    run.crash()
    run.resume("binance", BOOK)
    run.state("binance", BOOK, types_pb2.STATE_LIVE)
    run.change("binance")


def position_refused(run: Forgery) -> None:
    run.accepted("binance", TRADES, stream_pb2.SUBSCRIPTION_PHASE_REJECTED)
    run.updates[-1][1].subscription_status.code = 3


def trades_swapped(run: Forgery) -> None:
    run.trade_id += 1
    run.trade("binance")
    run.tell_trade("binance", run.trade_id - 1)


def skipping(run: Forgery, *, counted: int) -> None:
    """Let a LATEST client fall behind by three changes, and count them."""
    run.is_skipping = True
    run.accepted("binance", BOOK)
    run.cut("binance")
    run.change("binance")
    for _ in range(3):
        run.change("binance")
        run.updates.pop()
    run.counted("binance", counted, stream_pb2.DELIVERY_CAUSE_BEHIND)
    run.cut("binance")
    run.change("binance")
    run.counted("binance", 0, stream_pb2.DELIVERY_CAUSE_KEEPS_UP)


def skipped_more_than_counted(run: Forgery) -> None:
    skipping(run, counted=2)


def skipped_and_never_counted(run: Forgery) -> None:
    skipping(run, counted=0)
    del run.updates[-1]
    run.now += 60 * STEP_NS
    run.change("binance")


def change_behind_a_hole(run: Forgery) -> None:
    run.is_skipping = True
    run.accepted("binance", BOOK)
    run.cut("binance")
    run.change("binance")
    run.updates.pop()
    run.counted("binance", 1, stream_pb2.DELIVERY_CAUSE_BEHIND)
    run.change("binance")


def trade_of_another_price(run: Forgery) -> None:
    trade = run.trade("binance")
    assert trade is not None
    trade.trade.price += 1


def kline_of(run: Forgery, *, is_told: bool = True) -> Message:
    """Let three trades happen and tell their bar."""
    run.now += STEP_NS
    since = START_WALL + run.now
    run.trade("binance")
    run.trade("binance", is_told=is_told)
    if not is_told:
        run.gap("binance", TRADES, run.trade_id, run.trade_id, run.now - STEP_NS)
    run.trade("binance")
    return run.kline("binance", since_wall_ns=since)


def kline_complete_without_a_trade(run: Forgery) -> None:
    bar = kline_of(run, is_told=False).kline  # type: ignore[attr-defined]
    bar.trade_count, bar.volume, bar.taker_buy_volume, bar.quote_volume = 2, "2", "2", "200"


def kline_with_a_wrong_high(run: Forgery) -> None:
    kline_of(run).kline.high += 1  # type: ignore[attr-defined]


def stale_without_a_fault(run: Forgery) -> None:
    run.now += 400 * STEP_NS  # long after the only fault
    run.state("binance", TRADES, types_pb2.STATE_STALE)


def touched_by_a_fault_elsewhere(run: Forgery) -> None:
    run.now += 400 * STEP_NS
    run.fault("kraken", "rst", None)
    run.state("binance", TRADES, types_pb2.STATE_DOWN)


def held_up_by_a_fault_elsewhere(run: Forgery) -> None:
    run.now += 400 * STEP_NS
    for _ in range(120):
        run.trade("binance")
    run.fault("kraken", "mute", None)
    for record in run.truth:
        if record.get("phase") == "ended":
            record["t_wall_ns"] += 400 * STEP_NS
    for _ in range(120):
        run.trade("binance")
        at, update = run.updates[-1]
        run.updates[-1] = (at + 600 * MS, update)


def grown_memory(run: Forgery) -> None:
    run.resources("during", mib=300)


def health_that_stays_green(run: Forgery) -> None:
    run.fault("binance", "rst", None)
    run.state("binance", TRADES, types_pb2.STATE_DOWN)
    run.states = dict.fromkeys(run.states, types_pb2.STATE_LIVE)
    run.health()


def health_that_stays_red(run: Forgery) -> None:
    run.fault("binance", "rst", None)
    run.state("binance", TRADES, types_pb2.STATE_DOWN)
    red = dict(run.states)
    run.now += STEP_NS
    run.state("binance", TRADES, types_pb2.STATE_LIVE)
    run.states = red
    run.health()


LIES: list[tuple[Callable[[Forgery], None], str]] = [
    (lost_trade, "I1"),
    (lost_trade_that_nobody_was_sent, "I1"),
    (lost_delta, "I1"),
    (gap_too_small, "I1"),
    (doubled_trade, "I2"),
    (doubled_delta, "I2"),
    (hole_in_our_numbers, "I3"),
    (checkpoint_of_another_seq, "I3"),
    (swapped_updates, "I3"),
    (first_record_is_not_the_seam, "I3"),
    (wrong_quantity, "I4"),
    (ghost_level_far_away, "I4"),
    (checkpoint_of_another_book, "I4"),
    (live_all_the_way_over_a_hole, "I5"),
    (live_again_without_a_snapshot, "I5"),
    (live_and_crossed, "I5"),
    (kept_threads, "I8"),
    (kept_descriptors, "I8"),
    (kept_rest_connections, "I8"),
    (another_process, "I10"),
    (lost_trade_after_a_restart, "I1"),
    (lost_trade_before_a_restart, "I1"),
    (lost_at_the_end, "I1"),
    (gap_filled_with_nothing, "I1"),
    (trade_told_again_after_a_restart, "I2"),
    (record_replayed_twice, "I2"),
    (epoch_without_a_word, "I3"),
    (new_epoch_begins_in_the_middle, "I3"),
    (caught_up_too_early, "I3"),
    (resumed_a_record_too_late, "I3"),
    (position_refused, "I3"),
    (changes_of_a_new_epoch_without_a_book, "I3"),
    (trades_swapped, "I3"),
    (skipped_more_than_counted, "I3"),
    (skipped_and_never_counted, "I3"),
    (change_behind_a_hole, "I3"),
    (trade_of_another_price, "I4"),
    (kline_complete_without_a_trade, "I4"),
    (kline_with_a_wrong_high, "I4"),
    (stale_without_a_fault, "I6"),
    (touched_by_a_fault_elsewhere, "I6"),
    (held_up_by_a_fault_elsewhere, "I6"),
    (grown_memory, "I7"),
    (health_that_stays_green, "I9"),
    (health_that_stays_red, "I9"),
]


@pytest.mark.parametrize(("lie", "invariant"), LIES, ids=lambda part: getattr(part, "__name__", part))
def test_each_lie_breaks_its_invariant(lie: Callable[[Forgery], None], invariant: str) -> None:
    run = clean("binance")
    assert not broken(run)
    lie(run)
    found = verdicts(run)
    assert invariant in broken(run)
    assert found[invariant].evidence
    assert invariant in str(found[invariant])


def backfill(run: Forgery) -> None:
    """Miss a trade, say so, and give it later."""
    since = run.now
    run.trade("binance", is_told=False)
    run.now += STEP_NS
    number = run.trade_id
    gap = run.gap("binance", TRADES, number, number, since)
    gap.gap.state = stream_pb2.GAP_STATE_OPEN
    run.trade("binance")
    run.tell_trade("binance", number).flags = types_pb2.UPDATE_FLAG_BACKFILLED
    closed = run.gap("binance", TRADES, number, number, since)
    closed.gap.gap_id, closed.gap.state, closed.gap.filled = gap.gap.gap_id, stream_pb2.GAP_STATE_FILLED, 1
    run.trade("binance")


def resume_in_the_same_epoch(run: Forgery) -> None:
    run.begun.append(len(run.updates))
    run.accepted("binance", TRADES, stream_pb2.SUBSCRIPTION_PHASE_RESUMED)
    run.accepted("binance", TRADES, stream_pb2.SUBSCRIPTION_PHASE_CAUGHT_UP)
    run.trade("binance")


def kline_told_honestly(run: Forgery) -> None:
    kline_of(run)


def incomplete_kline(run: Forgery) -> None:
    bar = kline_of(run, is_told=False).kline  # type: ignore[attr-defined]
    bar.trade_count, bar.completeness = 2, 2


def touched_by_its_own_fault(run: Forgery) -> None:
    run.now += 400 * STEP_NS
    run.fault("binance", "rst", None)
    run.state("binance", TRADES, types_pb2.STATE_DOWN)


def slow_reader_comes_back(run: Forgery) -> None:
    """Cut a reader off with a gap; it resumes before it, since a gap of delivery moves no position."""
    run.trade("binance")
    missed = [run.trade("binance"), run.trade("binance")]
    late = [(at, update) for at, update in run.updates if update in missed]
    del run.updates[-2:]
    gap = run.update("binance", TRADES, takes_seq=False)
    gap.gap.scope, gap.gap.cause = stream_pb2.GAP_SCOPE_DELIVERY, stream_pb2.GAP_CAUSE_SLOW_READER
    gap.gap.seq_first, gap.gap.seq_last = gap.seq - 1, gap.seq
    gap.seq = 0
    run.begun.append(len(run.updates))
    run.accepted("binance", TRADES, stream_pb2.SUBSCRIPTION_PHASE_RESUMED)
    run.updates += late
    run.trade("binance")


def held_up_by_the_machine(run: Forgery) -> None:
    held_up_by_a_fault_elsewhere(run)
    pause = {"t_mono_ns": START_MONO + run.now + 1, "since_mono_ns": START_MONO + run.now - 120 * STEP_NS}
    run.control.append({"action": "pause", **pause})


def kline_without_a_trade_that_came_late(run: Forgery) -> None:
    """Tell a trade three seconds behind the end of its kline: it is counted late, as docs/klines.md says."""
    bar = kline_of(run).kline  # type: ignore[attr-defined]
    bar.trade_count, bar.volume, bar.taker_buy_volume, bar.quote_volume = 2, "2", "2", "200"
    late = [update for _, update in run.updates if update.HasField("trade")][-1]
    late.ts_publish = bar.ts_close + 30 * STEP_NS


def topic_without_data(run: Forgery) -> None:
    run.accepted("kraken", BOOK)
    run.state("kraken", BOOK, types_pb2.STATE_SYNCING)


def live_while_a_cut_is_due(run: Forgery) -> None:
    """Let states pass where LATEST leaves changes out: the client knows that its copy has a hole."""
    run.is_skipping = True
    run.accepted("binance", BOOK)
    run.cut("binance")
    run.change("binance")
    run.change("binance", is_sent=False)
    run.change("binance", is_told=False)
    run.counted("binance", 2, stream_pb2.DELIVERY_CAUSE_BEHIND)
    run.heal("binance", run.number - 5, run.now - 2 * STEP_NS)
    snapshot, live = run.updates.pop(-2), run.updates[-1]
    assert snapshot[1].HasField("book_snapshot")
    resync = next(
        pair for pair in reversed(run.updates) if pair[1].HasField("stream_state") and pair is not live
    )
    run.updates.remove(resync)
    run.cut("binance")


def live_of_a_new_epoch_before_its_cut(run: Forgery) -> None:
    """Resume over a restart: the newest state stands before the cut, and the old copy holds no more."""
    run.crash()
    run.resume("binance", BOOK)
    run.fault("binance", "corrupt", None, what="byte")
    run.now += STEP_NS
    run.state("binance", BOOK, types_pb2.STATE_LIVE)
    run.seqs["binance", BOOK] += 1
    run.cut("binance")
    run.change("binance")


def cut_off_behind_what_was_left_out(run: Forgery) -> None:
    """Count what LATEST left out, then end the call with a gap for all that follows."""
    run.is_skipping = True
    run.accepted("binance", BOOK)
    run.cut("binance")
    run.change("binance")
    run.change("binance", is_told=False)
    run.counted("binance", 1, stream_pb2.DELIVERY_CAUSE_BEHIND)
    run.seqs["binance", BOOK] += 1
    gap = run.update("binance", BOOK, takes_seq=False)
    gap.gap.scope, gap.gap.cause = stream_pb2.GAP_SCOPE_DELIVERY, stream_pb2.GAP_CAUSE_SLOW_READER
    gap.gap.seq_first, gap.gap.seq_last = gap.seq + 1, gap.seq + 2
    gap.seq = 0


def killed_while_a_change_was_under_way(run: Forgery) -> None:
    """Send a change before the last one arrives on a slow line; the service dies before it arrives too."""
    late = run.change("binance")
    run.change("binance", is_told=False)
    run.change("binance", is_told=False)
    assert late is not None
    late.ts_recv += 5 * STEP_NS
    restart(run)


def cut_off_before_the_first_record_of_a_new_epoch(run: Forgery) -> None:
    """Resume over a restart twice: a gap of the new epoch moves no position, the old one is resumed."""
    run.crash()
    run.resume("binance", TRADES)
    gap = run.update("binance", TRADES, takes_seq=False)
    gap.gap.scope, gap.gap.cause = stream_pb2.GAP_SCOPE_DELIVERY, stream_pb2.GAP_CAUSE_SLOW_READER
    gap.gap.seq_first, gap.gap.seq_last, gap.seq = 1, 60, 0
    run.begun.append(len(run.updates))
    run.resume("binance", TRADES)
    run.state("binance", TRADES, types_pb2.STATE_LIVE)
    run.trade("binance")


def begun_anew_while_there_is_no_data(run: Forgery) -> None:
    """Tell a reader that begins anew what holds: the state record that it was told before."""
    run.accepted("kraken", BOOK)
    run.state("kraken", BOOK, types_pb2.STATE_REJECTED)
    told = run.updates[-1]
    run.begun.append(len(run.updates))
    run.accepted("kraken", BOOK)
    run.updates.append(told)


def let_in_and_not_caught_up(run: Forgery) -> None:
    """End the log of a slow client before it has read what waits for it behind its resume."""
    run.crash()
    run.trade("binance", is_told=False)
    run.now += 30 * STEP_NS
    run.accepted("binance", TRADES, stream_pb2.SUBSCRIPTION_PHASE_RESUMED)


def ended_behind_a_gap_of_delivery(run: Forgery) -> None:
    """End it one record later: what came between is told as lost, and of now it knows nothing yet."""
    let_in_and_not_caught_up(run)
    run.resume("binance", TRADES)
    run.update("binance", TRADES, takes_seq=False).heartbeat.state = types_pb2.STATE_SYNCING


def last_change_came_late(run: Forgery) -> None:
    """End the log while a slow line still holds what left its venue behind the last change that came."""
    late = run.change("binance")
    run.change("binance", is_told=False)
    assert late is not None
    late.ts_recv += 5 * STEP_NS


TRUTHS = [let_in_and_not_caught_up, ended_behind_a_gap_of_delivery, last_change_came_late]
TRUTHS += [cut_off_before_the_first_record_of_a_new_epoch, begun_anew_while_there_is_no_data]
TRUTHS += [held_up_by_the_machine, kline_without_a_trade_that_came_late, killed_while_a_change_was_under_way]
TRUTHS += [live_of_a_new_epoch_before_its_cut, cut_off_behind_what_was_left_out]
TRUTHS += [
    slow_reader_comes_back,
    topic_without_data,
    live_while_a_cut_is_due,
    restart,
    backfill,
    resume_in_the_same_epoch,
    kline_told_honestly,
    incomplete_kline,
]
TRUTHS += [touched_by_its_own_fault, lambda run: skipping(run, counted=3)]


@pytest.mark.parametrize("truth", TRUTHS, ids=lambda part: part.__name__)
def test_what_is_told_honestly_breaks_nothing(truth: Callable[[Forgery], None]) -> None:
    run = clean("binance")
    truth(run)
    assert not [str(verdict) for verdict in verdicts(run).values() if not verdict.holds]


def test_wrong_quantity_is_caught_without_venue_numbers_too() -> None:
    run = clean("kraken")
    delta = run.change("kraken")
    assert delta is not None
    delta.book_delta.ask_prices.append(max(run.asks) - 30)
    delta.book_delta.ask_quantities.append(77)
    run.change("kraken")
    run.change("kraken")
    assert "I4" in broken(run)


def test_change_behind_a_checksum_failure_is_caught() -> None:
    run = clean("kraken")
    run.now += STEP_NS
    run.fault("kraken", "corrupt", None, what="digit")
    assert not broken(run)
    run.change("kraken")
    assert "I5" in broken(run)


def test_hole_of_delivery_that_is_told_is_no_disorder() -> None:
    run = clean("binance")
    gap = run.update("binance", BOOK, takes_seq=False)
    head = gap.seq
    gap.seq = 0
    gap.gap.scope = stream_pb2.GAP_SCOPE_DELIVERY
    gap.gap.seq_first, gap.gap.seq_last = head + 1, head + 4
    run.seqs["binance", BOOK] += 4
    run.checkpoint("binance")
    assert "I3" not in broken(run)


def test_harness_may_end_the_process_itself() -> None:
    run = clean("binance")
    run.control.append({"t_mono_ns": 0, "action": "kill"})
    run.resources("control", pid=4_712)
    run.resources("later", pid=4_712)
    assert not broken(run)


def test_probe_file_is_read_while_it_grows(tmp_path: Path) -> None:
    path = tmp_path / "probe"
    file, reader = ProbeFile(path), ProbeReader(path)
    assert reader.news() == []
    file.write(b"r", b"one")
    file.write(b"e", b"")
    file.close()
    assert [(record.kind, record.payload) for record in reader.news()] == [("r", b"one"), ("e", b"")]
    with path.open("ab") as torn:
        torn.write(b"\x01\x02")
    assert reader.news() == []
