"""Row A15, from outside the process: frames that RFC 6455 forbids, on a bed whose breaker waits for 3 s."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Iterator
from typing import Final

import pytest

from datafacade.check.story import Told, is_state
from datafacade.v1 import types_pb2
from tests.chaos.harness.bed import ALL, Bed, Plan
from tests.chaos.harness.resources import MemorySampler, cpu_ms
from tests.chaos.harness.wait import COMES_S, until
from tests.chaos.test_t1_connections import topics_of

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300)]

CODES: Final = {  # what our close frame says
    "reserved_bits": 1002,
    "masked": 1002,
    "bad_utf8": 1007,
    "oversize": 1009,
    "reserved_opcode": 1002,
    "fragmented_control": 1002,
}
# A life of 30 s would clear a strike; here none is that long.
PLAN: Final = Plan(bases=("BTC",), scale=0.05, service={"hot": {"feed": {"settled_ms": 600_000}}})
MEMORY_MAX: Final = 20 << 20
CPU_MS_MAX: Final = 50  # with all else that the service does meanwhile
MALFORMED: Final = types_pb2.STATE_REASON_MALFORMED_FRAMES
BREAKER: Final = types_pb2.STATE_REASON_BREAKER_OPEN


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    """Return a bed of its own: its connections end up behind their breakers."""
    made = Bed(tmp_path_factory.mktemp("quick"), PLAN)
    try:
        yield made.warm_up(settles=False)
    finally:
        made.close()


def is_down(told: Told) -> bool:
    """Tell whether a record says DOWN."""
    return is_state(told, types_pb2.STATE_DOWN)


def closed_with(bed: Bed, product: str, since_ns: int) -> int:
    """Wait until the simulator saw a connection end; return the close code that it was sent."""
    venue, _, kind = product.partition("/")

    def look() -> int | None:
        for record in bed.simulator.read_truth().connections:
            is_here = (record["venue"], record["product"]) == (venue, kind)
            if is_here and record["event"] == "closed" and record["t_mono_ns"] >= since_ns:
                return int(record["code"])
        return None

    return until(look, within_s=COMES_S, what=f"{product}: the connection ends")


def break_once(bed: Bed, product: str, kind: str, *, is_second: bool) -> tuple[float, int]:
    """Send a forbidden frame and hold what must follow.

    Returns:
        The processor time that it took, ms, and a monotonic time just before it.
    """
    topics = topics_of(bed, product)
    bed.probe.wait_live(topics, within_s=20)
    since, used = time.monotonic_ns(), cpu_ms(bed.service.pid)
    fault = bed.simulator.arm("bad_frame", venue=product, kind=kind)
    bed.simulator.applied(fault)
    down = bed.probe.wait_for(topics[0], is_down, since_ns=since, within_s=COMES_S, what="DOWN")
    used = cpu_ms(bed.service.pid) - used
    assert closed_with(bed, product, since) == CODES[kind], kind
    state = down.update.stream_state
    assert state.close_code == CODES[kind], kind
    assert state.reason == (BREAKER if is_second else MALFORMED), kind
    if is_second:
        pause_s = (state.ts_next_attempt - down.update.ts_publish) / 1e9
        assert 50 * PLAN.scale <= pause_s <= 70 * PLAN.scale, f"{kind}: {pause_s} s"
    return used, since


@pytest.mark.proves("ROW-A15")
def test_forbidden_frames_end_the_connection_and_then_open_the_breaker(quick: Bed) -> None:
    costs, broken = [], dict[str, int]()  # the second fault of each line
    with MemorySampler(quick.service.pid) as memory:
        for is_second in (False, True):
            for kind, product in zip(CODES, ALL, strict=True):
                cost, broken[product] = break_once(quick, product, kind, is_second=is_second)
                costs.append(cost)
    grown = memory.grown_bytes
    median = statistics.median(costs)
    sys.stdout.write(f"A15: {grown / 2**20:.1f} MiB above control, {median} ms of CPU a frame\n")
    assert grown <= MEMORY_MAX
    assert median <= CPU_MS_MAX
    quick.probe.wait_live(quick.topics, within_s=30)
    for product, since in broken.items():  # only now each pause is over
        attempts = quick.simulator.stats(product)["attempts_mono_ns"]
        assert not [at for at in attempts if since < at < since + 50 * PLAN.scale * 1e9], product
    quick.wait_given_back("after A15")
    quick.assert_invariants(quick.topics)
