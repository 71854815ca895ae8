"""What may happen in a forged run, of which the lies and the truths are made."""

from __future__ import annotations

from google.protobuf.message import Message

from datafacade.v1 import stream_pb2, types_pb2
from tests.chaos.forge import BOOK, MS, START_WALL, STEP_NS, TRADES, Forgery


def restart(run: Forgery) -> None:
    """Let the service be killed and come back, honestly."""
    run.crash()
    run.trade("binance", is_sent=False)  # nobody was there
    run.come_back("binance")
    run.change("binance")
    run.trade("binance")
    run.change("binance")


def missed_and_filled(run: Forgery, *, is_given: bool) -> None:
    """Miss a trade, say so, and call the gap filled later, the trade given or not."""
    since = run.now
    run.trade("binance", is_told=False)
    run.now += STEP_NS
    number = run.trade_id
    gap = run.gap("binance", TRADES, number, number, since)
    gap.gap.state = stream_pb2.GAP_STATE_OPEN
    run.trade("binance")
    if is_given:
        run.tell_trade("binance", number).flags = types_pb2.UPDATE_FLAG_BACKFILLED
    closed = run.gap("binance", TRADES, number, number, since)
    closed.gap.gap_id, closed.gap.state, closed.gap.filled = gap.gap.gap_id, stream_pb2.GAP_STATE_FILLED, 1


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
