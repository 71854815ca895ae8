"""One lie each: what a broken product would tell, by the invariant that it breaks."""

from __future__ import annotations

from collections.abc import Callable

from google.protobuf.message import Message

from datafacade.v1 import stream_pb2, types_pb2
from tests.chaos.episodes import held_up_by_a_fault_elsewhere, kline_of, missed_and_filled, restart, skipping
from tests.chaos.forge import BOOK, STEP_NS, TRADES, Forgery


def pick(run: Forgery, payload: str, nth: int = -1) -> Message:
    return [update for _, update in run.updates if update.WhichOneof("payload") == payload][nth]


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
    missed_and_filled(run, is_given=False)


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
