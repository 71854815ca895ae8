"""What may happen in a forged run, of which the lies and the truths are made."""

from __future__ import annotations

from google.protobuf.message import Message

from datafacade.v1 import stream_pb2
from tests.chaos.forge import BOOK, MS, START_WALL, STEP_NS, TRADES, Forgery


def restart(run: Forgery) -> None:
    """Let the service be killed and come back, honestly."""
    run.crash()
    run.trade("binance", is_sent=False)  # nobody was there
    run.come_back("binance")
    run.change("binance")
    run.trade("binance")
    run.change("binance")


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
