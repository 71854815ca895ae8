"""Rows E04 and E07, from outside the process: clients that die, clients that ask for what is not there."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Final

import grpc
import pytest

from datafacade.check.held import Held
from datafacade.check.names import BOOK, TRADES, Topic
from datafacade.v1 import stream_pb2
from tests.chaos.harness.bed import Bed, Plan
from tests.chaos.harness.probe import ProbeProcess
from tests.chaos.harness.tier import INJECTIONS
from tests.chaos.harness.wait import COMES_S, until

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300)]

BASES: Final = (
    *("BTC", "ETH", "SOL", "XRP", "ADA", "DOGE", "LTC", "LINK", "AVAX", "DOT"),
    *("BCH", "AAVE", "ALGO", "APE", "APT", "ARB", "ATOM", "CRV", "DASH", "EOS"),
    *("FIL", "FLOW", "GALA", "GRT", "ICP", "IMX", "INJ", "KAVA", "LDO"),
)
REJECTED: Final = stream_pb2.SUBSCRIPTION_PHASE_REJECTED
ACCEPTED: Final = stream_pb2.SUBSCRIPTION_PHASE_ACCEPTED


def wait_back(bed: Bed, before: Held) -> None:
    """Wait until the service holds no more than before."""
    until(lambda: bed.held().is_within(before), within_s=5, what="all is given back")


def wait_fewer(bed: Bed, subscribers: int) -> None:
    """Wait until the hub counts fewer subscribers of topics than this."""
    until(lambda: followers(bed) < subscribers, within_s=5, what="the hub has forgotten it")


def followers(bed: Bed) -> int:
    """Return how many subscribers all topics have together."""
    venues = bed.service.health().venues
    return sum(stream.subscribers for venue in venues for stream in venue.streams)


def wait_answers(probe: ProbeProcess, count: int) -> None:
    """Wait until so many items of a call are answered."""
    until(lambda: len(probe.statuses()) >= count, within_s=COMES_S, what=f"{count} answers")


@pytest.mark.proves("ROW-E04")
def test_killed_client_is_forgotten_within_a_second(bed: Bed) -> None:
    with bed.row("E04", [Topic("okx", "BTC-USDT", BOOK)]) as row:
        for _ in range(INJECTIONS):
            before = bed.held()
            probe = bed.new_probe()
            for number, venue in enumerate(bed.plan.venues, 1):
                probe.send(bed.request(venue, bed.symbols(venue), [BOOK, TRADES], number=number))
            probe.wait_live(bed.topics, within_s=COMES_S)
            held = bed.held()
            assert held.fds > before.fds  # else nothing could be given back
            subscribers = followers(bed)
            killed = time.monotonic_ns()
            probe.kill()
            wait_back(bed, before)
            row.measure("descriptors given back", 1_000, killed, time.monotonic_ns())
            wait_fewer(bed, subscribers)
            probe.close()


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    """Return a bed that lists 29 symbols, of which two are followed."""
    plan = Plan(products=("okx/public",), bases=BASES[:2], spare=BASES[2:], rate=5)
    made = Bed(tmp_path_factory.mktemp("wide"), plan)
    try:
        yield made.warm_up()
    finally:
        made.close()


@pytest.mark.proves("ROW-E07")
def test_unknown_symbol_among_thirty_is_refused_alone_and_at_once(wide: Bed) -> None:
    symbols = [f"{base}-USDT" for base in BASES]
    unknown = "BTC-USDTT"
    asked_for = [Topic("okx", symbol, TRADES) for symbol in symbols]
    with wide.row("E07", [*wide.topics, *asked_for]) as row:
        for turn in range(INJECTIONS):
            probe = wide.new_probe()
            try:
                probe.send(wide.request("okx", symbols[:1], [TRADES]))  # the control, and the way is paved
                wait_answers(probe, 1)
                asked = [*symbols[1 : 15 + turn], unknown, *symbols[15 + turn :]]
                probe.send(wide.request("okx", asked, [TRADES], number=2))
                wait_answers(probe, 30)
                last = max(one.t_mono_ns for one in probe.story.order if one.kind == "subscription_status")
                row.measure("all answered", 50, probe.sent_ns()[1], last)
                refused = [status for status in probe.statuses() if status.phase == REJECTED]
                assert [status.requested_symbol for status in refused] == [unknown]
                assert refused[0].code == grpc.StatusCode.NOT_FOUND.value[0]
                assert refused[0].reason == "UNKNOWN_SYMBOL"
                assert "BTC-USDT" in refused[0].suggestions
                assert sum(status.phase == ACCEPTED for status in probe.statuses()) == 29
                probe.wait_live(asked_for, within_s=COMES_S)
                assert probe.end() is None
            finally:
                probe.close()
