"""Rows A08 and H12: what a venue asked for is kept to, by every line and by the next process."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import pytest

from datafacade.check.names import BOOK
from datafacade.check.story import is_state
from datafacade.v1 import types_pb2
from tests.chaos.harness.bed import Bed, Plan
from tests.chaos.harness.probe import ProbeProcess, subscription
from tests.chaos.harness.service import ServiceProcess, write_config
from tests.chaos.harness.simulator import SimulatorProcess
from tests.chaos.harness.wait import COMES_S, until
from tests.chaos.test_t1_connections import topics_of

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]

S: Final = 1_000_000_000
SMALL: Final = ("binance/spot", "kraken/spot")
TOLD_S: Final = 4
SLACK_S: Final = 1.0  # for a loaded machine: a late attempt breaks no rule, an early one does
STARTS: Final = 10
BAN_S: Final = 20


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    """Return a bed of two venues."""
    made = Bed(tmp_path_factory.mktemp("guards"), Plan(products=SMALL, bases=("BTC",)))
    try:
        yield made.warm_up()
    finally:
        made.close()


def attempts(simulator: SimulatorProcess, product: str, since_ns: int = 0) -> list[int]:
    """Return when a venue saw attempts to connect."""
    return [at for at in simulator.stats(product)["attempts_mono_ns"] if at >= since_ns]


@pytest.mark.proves("ROW-A08")
@pytest.mark.parametrize("form", ["seconds", "date"])
@pytest.mark.parametrize("status", [429, 403, 418, 503])
def test_refused_upgrade_is_repeated_when_the_venue_says_and_not_before(
    small: Bed, status: int, form: str
) -> None:
    topics = topics_of(small, "kraken/spot")
    with small.row(f"A08 {status} {form}", topics) as row:
        since = time.monotonic_ns()
        refusal = small.simulator.arm(
            "refuse_upgrade", venue="kraken/spot", status=status, retry_after=TOLD_S, retry_as=form, count=1
        )
        small.simulator.arm("rst", venue="kraken/spot")
        small.simulator.applied(refusal)
        refused = until(
            lambda: attempts(small.simulator, "kraken/spot", since), within_s=COMES_S, what="attempt"
        )
        told = small.probe.wait_for(
            next(topic for topic in topics if topic.channel == BOOK),
            lambda one: (
                is_state(one) and one.update.stream_state.reason == types_pb2.STATE_REASON_RATE_LIMITED
            ),
            since_ns=since,
            within_s=COMES_S,
            what="the refusal is told",
        )
        promised = told.update.stream_state.ts_next_attempt
        ahead = time.time_ns() - time.monotonic_ns()
        again = until(
            lambda: attempts(small.simulator, "kraken/spot", refused[0] + 1),
            within_s=TOLD_S * 1.1 + 5,
            what="the next attempt",
        )
        wait_s = (again[0] - refused[0]) / S
        earliest = TOLD_S if form == "seconds" else TOLD_S - 1  # dates are whole seconds
        assert earliest <= wait_s <= TOLD_S * 1.1 + SLACK_S
        # A date may come late, and is then so much nearer: it counts from the refusal.
        assert promised - ahead >= refused[0] + earliest * S
        assert promised <= told.update.ts_publish + TOLD_S * 1.1 * S
        for topic in topics:
            row.back_live(topic, row.left_live(topic, since))


@pytest.mark.proves("ROW-A08")
def test_refused_upgrades_without_a_time_are_met_by_backoff_and_no_other_venue_is_touched(small: Bed) -> None:
    topics = topics_of(small, "kraken/spot")
    with small.row("A08 silent", topics) as row:
        since = time.monotonic_ns()
        refusal = small.simulator.arm("refuse_upgrade", venue="kraken/spot", status=403, count=3)
        small.simulator.arm("rst", venue="kraken/spot")
        small.simulator.applied(refusal, times=3, within_s=20)
        for topic in topics:
            row.back_live(topic, row.left_live(topic, since))
        times = attempts(small.simulator, "kraken/spot", since)
        assert len(times) == 4
        scale = small.plan.scale
        for retry, (one, other) in enumerate(itertools.pairwise(times)):
            assert other - one >= 0.25 * 2**retry * scale * S * 0.9


class Loop:
    """A service that is started, followed, and killed, again and again."""

    def __init__(self, folder: Path, products: Sequence[str]) -> None:
        self.folder = folder
        self.simulator = SimulatorProcess(folder, products=products, bases=("BTC",), seed=7, rate=5)
        self.config = write_config(folder / "config", self.simulator.ports, scale=0.2)

    def crash(self, number: int) -> None:
        """Start, follow a book of each venue for a while, kill."""
        service = ServiceProcess(self.config).wait_ready()
        probe = ProbeProcess(service.address, self.folder / f"probe-{number}.bin")
        try:
            for place, (venue, symbol) in enumerate([("kraken", "BTC-USD"), ("binance", "BTC-USDT")], 1):
                probe.send(subscription([venue], [symbol], number=place))
            begun = time.monotonic()
            until(lambda: time.monotonic() - begun > 1.0, within_s=5, what="a second of service")
        finally:
            service.process.kill()
            probe.close()
            service.close()

    def close(self) -> None:
        """End the simulator."""
        self.simulator.stop()


def assert_paid(config: Path, venue: str, dials: Sequence[int]) -> None:
    """Hold that each dial was paid for before, and our own budget: 5 in any 30 s.

    The ledger that outlives the process tells when. A venue sees the dials later, one more so than another:
    by its times there may be a sixth in 30 s.
    """
    kept = json.loads((config / "data/guard.json").read_text())["kept"][f"dials/{venue}"]
    paid = sorted(at for at, _ in max(kept["windows"])[1])  # of the longest window
    now = time.monotonic_ns()
    ahead = time.time_ns() - now
    assert len(dials) <= len(paid), "a dial was not paid for"
    assert all(at <= seen + ahead for at, seen in zip(paid, sorted(dials), strict=False)), "dialled first"
    for at in paid:
        assert sum(at <= other < at + 30 * S for other in paid) <= 5


@pytest.mark.proves("ROW-H12")
@pytest.mark.proves("ROW-C07")
def test_ten_crashes_in_a_row_break_no_rule_of_a_venue_and_no_word_of_it(tmp_path: Path) -> None:
    loop = Loop(tmp_path, SMALL)
    try:
        ban = loop.simulator.arm(
            "refuse_upgrade", venue="binance/spot", status=418, retry_after=BAN_S, count=1
        )
        for number in range(STARTS):
            loop.crash(number)
        loop.simulator.applied(ban)
        assert loop.simulator.violations() == {}
        dials = attempts(loop.simulator, "kraken/spot")
        assert dials, "nothing was dialled"
        assert_paid(loop.config, "kraken", dials)
        banned = attempts(loop.simulator, "binance/spot")
        assert all(other - banned[0] >= BAN_S * S for other in banned[1:])
    finally:
        loop.close()
