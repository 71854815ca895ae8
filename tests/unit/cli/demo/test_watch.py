"""When a client counts as having heard that all is well again."""

from __future__ import annotations

from pathlib import Path

from datafacade.check.names import TRADES, Topic
from datafacade.check.probe import ProbeFile
from datafacade.cli.demo.chaos.watch import Reading
from datafacade.v1 import hot_pb2, stream_pb2, types_pb2

TOPIC = Topic("okx", "BTC-USDT", TRADES)
STORM_NS = 1_000  # its end


def record(at_ns: int, *, seq: int = 1) -> hot_pb2.Update:
    """Return a blank record of the topic that was published then."""
    update = hot_pb2.Update(venue="okx", symbol="BTC-USDT", channel=types_pb2.CHANNEL_TRADES, seq=seq)
    update.ts_publish = at_ns
    return update


def live(at_ns: int) -> hot_pb2.Update:
    """Return the state LIVE."""
    update = record(at_ns)
    update.stream_state.state = types_pb2.STATE_LIVE
    return update


def let_in(at_ns: int) -> hot_pb2.Update:
    """Return the answer to a subscription, which overtakes what waits."""
    update = record(at_ns, seq=0)
    update.subscription_status.phase = stream_pb2.SUBSCRIPTION_PHASE_RESUMED
    return update


def trade(at_ns: int) -> hot_pb2.Update:
    """Return a trade."""
    update = record(at_ns, seq=2)
    update.trade.trade_id = 7
    return update


def lacks(path: Path, *updates: hot_pb2.Update) -> bool:
    """Tell whether a client that wrote these down must still be waited for behind the storm."""
    file = ProbeFile(path)
    file.write(b"r", hot_pb2.HotSubscribeResponse(updates=updates).SerializeToString())
    file.close()
    reading = Reading(path)
    reading.read()
    return reading.lacking([TOPIC], since_ns=STORM_NS) == [TOPIC]


def test_a_client_that_reads_what_is_new_is_not_waited_for(tmp_path: Path) -> None:
    assert not lacks(tmp_path / "probe", live(STORM_NS - 1), trade(STORM_NS + 1))


def test_a_client_that_was_let_in_and_reads_old_records_is_waited_for(tmp_path: Path) -> None:
    old = (live(STORM_NS - 2), let_in(STORM_NS + 1), trade(STORM_NS - 1))
    assert lacks(tmp_path / "probe", *old)
