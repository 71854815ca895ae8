"""Rows A09, A10 and A14, from outside the process: lines that are renewed, many books after a reset."""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import pytest

from datafacade.check.names import BOOK, Topic
from datafacade.check.story import is_state
from datafacade.v1 import types_pb2
from tests.chaos.harness.bed import ALL, SCALE, Bed, Plan
from tests.chaos.harness.figures import Figures
from tests.chaos.harness.tier import INJECTIONS, IS_FULL
from tests.chaos.harness.wait import COMES_S, until
from tests.chaos.test_t1_connections import topics_of

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]


# A09: a day is 3 s here, and the venue cuts 4 s later than it says, since 5 % of a day are more than an hour

LIFETIME_S: Final = 3.0
CUT_S: Final = 7.0
CUTS: Final = 20  # consecutive ones, over all lines
OVERLAP_MS: Final = 1_000 * SCALE


@pytest.fixture(scope="module")
def rolling(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    """Return a bed whose venues cut every connection after its lifetime."""
    plan = Plan(
        bases=("BTC",),
        service={"hot": {"feed": {"settled_ms": 5_000}}},
        every_venue={"lifetime_ms": round(LIFETIME_S * 1000 / SCALE)},
    )
    made = Bed(tmp_path_factory.mktemp("rolls"), plan)
    try:
        yield made.warm_up(settles=False)
    finally:
        made.close()


@pytest.mark.proves("ROW-A09")
def test_twenty_lifetimes_end_without_loss_or_repetition(rolling: Bed) -> None:
    start = time.monotonic_ns()
    rolling.simulator.applied(rolling.simulator.arm("lifetime", seconds=CUT_S))
    each = -(-CUTS // len(ALL))
    for line in ALL:
        wait_renewed(rolling, line, start, each)
    overlaps = Figures("A09", "overlap", 0)
    for line in ALL:
        for (_, closed_ns, by), (opened_ns, _, _) in itertools.pairwise(lives(rolling, line, start)):
            assert by == "client", f"{line}: the venue's cut came first"
            overlaps.add(closed_ns - opened_ns)
    sys.stdout.write(f"{overlaps}, at least {OVERLAP_MS:g} ms is demanded\n")
    assert len(overlaps.values) >= CUTS
    assert min(overlaps.values) >= OVERLAP_MS
    assert_seamless(rolling, rolling.topics, start)
    rolling.wait_given_back("after A09")
    rolling.assert_invariants(rolling.topics)
    assert rolling.simulator.violations() == {}


def wait_renewed(bed: Bed, line: str, start_ns: int, times: int) -> None:
    """Wait until a line was renewed so often, and each older connection is closed."""
    until(
        lambda: len(lives(bed, line, start_ns)) > times,
        within_s=12 * times,
        what=f"{line} is renewed {times} times",
    )


def lives(bed: Bed, line: str, start_ns: int) -> list[tuple[int, int, str]]:
    """Return when the connections of a line opened and closed, and who closed them, oldest first.

    The first was open at ``start_ns``; the last is that which took over from the last closed one.
    """
    opened: dict[int, int] = {}
    closed: dict[int, tuple[int, str]] = {}
    for row in bed.simulator.read_truth().connections:
        if f"{row['venue']}/{row['product']}" != line or "conn" not in row:
            continue
        if row["event"] == "opened":
            opened[row["conn"]] = row["t_mono_ns"]
        elif row["event"] == "closed" and row["t_mono_ns"] >= start_ns:
            closed[row["conn"]] = (row["t_mono_ns"], str(row["by"]))
    ended = [(opened[conn], *closed[conn]) for conn in sorted(closed)]
    present = [
        conn for conn in sorted(opened) if conn not in closed and (not ended or opened[conn] > ended[0][0])
    ]
    return [*ended, *[(opened[conn], 0, "") for conn in present[:1]]]


def assert_seamless(bed: Bed, topics: Sequence[Topic], start_ns: int) -> None:
    """Hold that topics were LIVE all the time and lost nothing: G = 0."""
    for topic in topics:
        for one in bed.probe.of(topic):
            if one.t_mono_ns >= start_ns:
                assert one.kind != "gap", f"{topic}: {one.update}"
                assert not is_state(one) or is_state(one, types_pb2.STATE_LIVE), f"{topic}: {one.update}"


# A10

LEAD_MS: Final = 3_000 if not IS_FULL else 15_000
NOTIFYING: Final = ("binance/spot", "binance/usdm", "okx/public")


@pytest.mark.proves("ROW-A10")
def test_announced_shutdown_finds_the_new_line_live_first(bed: Bed) -> None:
    topics = [topic for line in NOTIFYING for topic in topics_of(bed, line)]
    with bed.row("A10", topics) as row:
        for _ in range(INJECTIONS if IS_FULL else 1):
            start = time.monotonic_ns()
            for line in NOTIFYING:
                bed.simulator.applied(bed.simulator.arm("shutdown_notice", venue=line, lead_ms=LEAD_MS))
            for line in NOTIFYING:
                wait_renewed(bed, line, start, 1)
                (_, closed_ns, by), (opened_ns, _, _) = lives(bed, line, start)[:2]
                assert by == "client", f"{line}: the venue's close came first"
                assert closed_ns - start <= LEAD_MS * 1e6
                assert opened_ns + OVERLAP_MS * 1e6 <= closed_ns, "no overlap"
                row.measure("renewed", LEAD_MS, start, closed_ns)
            let_end(bed, start)
            assert_seamless(bed, topics, start)


def let_end(bed: Bed, start_ns: int) -> None:
    """Wait until the announced time is over and every line told something behind it."""
    end_ns = start_ns + LEAD_MS * 1_000_000
    for topic in bed.topics:
        bed.probe.wait_for(
            topic,
            lambda one: one.update.seq > 0,
            since_ns=end_ns,
            within_s=LEAD_MS / 1000 + 5,
            what="goes on",
        )


# A14

SYMBOLS: Final = 300 if IS_FULL else 60
TOP: Final = 30  # what most follow
TOP_MS: Final = 10_000
ALL_S: Final = 240.0
WEIGHT_MAX: Final = 6_000  # a minute, of Binance spot
SPARE_WEIGHT: Final = 45 * 50  # that is left for snapshots after the reset, in the quick tier


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
    second.wait_live(tops, within_s=COMES_S)
    spend_all_but(many, SPARE_WEIGHT)
    figures = Figures("A14", f"top {TOP} of {SYMBOLS} LIVE", TOP_MS * SCALE)
    onset = time.monotonic_ns()
    many.simulator.applied(many.simulator.arm("rst", venue="binance"))
    for topic in tops:
        left = many.probe.wait_for(topic, is_state, since_ns=onset, within_s=COMES_S, what="DOWN")
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
    left = bed.probe.wait_for(topic, is_state, since_ns=start, within_s=COMES_S, what="RESYNC")
    bed.probe.wait_for(
        topic, lambda one: is_state(one, 3), since_ns=left.t_mono_ns, within_s=COMES_S, what="LIVE again"
    )


def snapshots_since(bed: Bed, start_ns: int) -> list[str]:
    """Return the symbols whose snapshots were fetched, in the order of the venue's log, each once."""
    found = [
        topic.symbol
        for topic, t_wall_ns in bed.simulator.truth_until(time.monotonic_ns()).snapshots
        if t_wall_ns >= time.time_ns() - (time.monotonic_ns() - start_ns)
    ]
    return list(dict.fromkeys(found))
