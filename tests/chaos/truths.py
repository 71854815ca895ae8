"""What looks odd and is told honestly: it breaks no invariant."""

from __future__ import annotations

from collections.abc import Callable

from datafacade.v1 import stream_pb2, types_pb2
from tests.chaos.episodes import held_up_by_a_fault_elsewhere, kline_of, missed_and_filled, restart, skipping
from tests.chaos.forge import BOOK, START_MONO, STEP_NS, TRADES, Forgery


def skipped_and_counted(run: Forgery) -> None:
    skipping(run, counted=3)


def backfill(run: Forgery) -> None:
    missed_and_filled(run, is_given=True)
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


TRUTHS: list[Callable[[Forgery], None]] = [
    restart,
    skipped_and_counted,
    backfill,
    resume_in_the_same_epoch,
    kline_told_honestly,
    incomplete_kline,
    touched_by_its_own_fault,
    slow_reader_comes_back,
    held_up_by_the_machine,
    kline_without_a_trade_that_came_late,
    topic_without_data,
    live_while_a_cut_is_due,
    live_of_a_new_epoch_before_its_cut,
    cut_off_behind_what_was_left_out,
    killed_while_a_change_was_under_way,
    cut_off_before_the_first_record_of_a_new_epoch,
    begun_anew_while_there_is_no_data,
    let_in_and_not_caught_up,
    ended_behind_a_gap_of_delivery,
    last_change_came_late,
]
