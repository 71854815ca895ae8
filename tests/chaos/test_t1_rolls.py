"""Row A14, from outside the process: many books after a reset."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from datafacade.check.names import BOOK, Topic
from datafacade.check.story import is_state
from datafacade.v1 import types_pb2
from tests.chaos.harness.bed import SCALE, Bed, Plan
from tests.chaos.harness.figures import Figures
from tests.chaos.harness.tier import IS_FULL
from tests.chaos.harness.wait import until

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]


# A14

SYMBOLS: Final = 300 if IS_FULL else 40
TOP: Final = 30 if IS_FULL else 12  # what most follow
TOP_MS: Final = 10_000
ALL_S: Final = 240.0
WEIGHT_MAX: Final = 6_000  # a minute, of Binance spot
SPARE_WEIGHT: Final = 20 * 50  # that is left for snapshots after the reset, in the quick tier


@pytest.fixture
def many(tmp_path: Path) -> Iterator[Bed]:
    """Return a bed of one venue with many symbols, of which a second probe follows the last ones too."""
    bases = [f"Q{number:03d}" for number in range(SYMBOLS)]
    plan = Plan(
        products=("binance/spot",),
        bases=bases,
        rate=5.0,
        service={"hot": {"max_pairs": SYMBOLS, "feed": {"settled_ms": 5_000}}},
    )
    made = Bed(tmp_path, plan)
    try:
        made.probe.wait_live(made.topics, within_s=ALL_S)
        yield made
    finally:
        made.close()


@pytest.mark.proves("ROW-A14")
def test_after_a_reset_what_most_follow_is_live_first_and_the_weight_is_kept(many: Bed) -> None:
    top = [f"{base}-USDT" for base in many.plan.bases[-TOP:]]
    second = many.new_probe()
    second.send(many.request("binance", top, [BOOK]))
    tops = [Topic("binance", symbol, BOOK) for symbol in top]
    second.wait_live(tops, within_s=10)
    spend_all_but(many, SPARE_WEIGHT)
    figures = Figures("A14", f"top {TOP} of {SYMBOLS} LIVE", TOP_MS * SCALE)
    onset = time.monotonic_ns()
    many.simulator.applied(many.simulator.arm("rst", venue="binance"))
    for topic in tops:
        left = many.probe.wait_for(topic, is_state, since_ns=onset, within_s=5, what="DOWN")
        back = many.probe.wait_for(
            topic,
            lambda one: is_state(one, types_pb2.STATE_LIVE),
            since_ns=left.t_mono_ns,
            within_s=3 * TOP_MS / 1000,
            what="LIVE",
        )
        figures.add(back.t_mono_ns - onset)
    fetched = snapshots_since(many, onset)
    assert set(fetched[:TOP]) == set(top), "others were fetched before the ones that most follow"
    if IS_FULL:
        many.probe.wait_live(many.topics, within_s=ALL_S)
    else:
        others = [topic for topic in many.topics if topic.channel == BOOK and topic not in tops]
        assert not all(many.probe.is_live(topic) for topic in others), "the weight was no limit: vacuous"
    stats = many.simulator.stats("binance/spot")
    sys.stdout.write(
        f"A14 weight {stats['weight_used']} of {WEIGHT_MAX} this minute, {len(fetched)} snapshots\n"
    )
    figures.check()
    assert stats["weight_used"] <= 0.8 * WEIGHT_MAX
    assert set(stats["rest_status"]) == {"200"}
    assert many.simulator.violations() == {}
    second.close()


def spend_all_but(bed: Bed, weight: int) -> None:
    """Let others behind our address spend until so much is left of our 80 %; an answer tells the service."""
    if IS_FULL:
        return
    until(lambda: time.time() % 60 < 50, within_s=11, what="a minute of the venue that does not end now")
    used = int(bed.simulator.stats("binance/spot")["weight_used"])
    spent = int(0.8 * WEIGHT_MAX) - used - weight
    bed.simulator.applied(bed.simulator.arm("rest_limit", venue="binance", limit=WEIGHT_MAX, spent=spent))
    topic, start = bed.topics[0], time.monotonic_ns()
    bed.simulator.arm("drop", venue="binance", symbol=topic.symbol)
    left = bed.probe.wait_for(topic, is_state, since_ns=start, within_s=10, what="RESYNC")
    bed.probe.wait_for(
        topic, lambda one: is_state(one, 3), since_ns=left.t_mono_ns, within_s=10, what="LIVE again"
    )


def snapshots_since(bed: Bed, start_ns: int) -> list[str]:
    """Return the symbols whose snapshots were fetched, in the order of the venue's log, each once."""
    found = [
        topic.symbol
        for topic, t_wall_ns in bed.simulator.truth_until(time.monotonic_ns()).snapshots
        if t_wall_ns >= time.time_ns() - (time.monotonic_ns() - start_ns)
    ]
    return list(dict.fromkeys(found))
