"""Row G01 through the whole service: Redis dies and comes again, and warm answers do not notice."""

from __future__ import annotations

import os
import statistics
import sys
import time
from pathlib import Path
from typing import Final

import pytest

from datafacade.v1 import health_pb2
from tests.chaos.harness.pauses import ahead_of_others
from tests.chaos.harness.wait import COMES_S, until
from tests.chaos.harness.warm import WarmBed
from tests.integration.store.redis_server import RedisServer, redis_server

__all__ = ["redis_server"]

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(120)]

ASKED: Final = 500
PAIRS: Final = 11  # windows without Redis, and as many with it


def p99_s(bed: WarmBed) -> float:
    """Return the 99th percentile of held answers in one window."""
    took = []
    for _ in range(ASKED):
        begun = time.monotonic()
        bed.klines("kraken", "BTC-USD", "1d")
        took.append(time.monotonic() - begun)
    return sorted(took)[ASKED * 99 // 100]


@pytest.mark.alone
@pytest.mark.proves("ROW-G01")
def test_redis_may_die_and_come_again_and_warm_answers_do_not_notice(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    bed = WarmBed(tmp_path, redis_url=redis_server.url)
    second = Second(bed)
    try:
        assert bed.klines("kraken", "ETH-USD", "1d").klines  # Redis is absent at the start
        redis_server.start()
        until(lambda: second.is_connected(), within_s=COMES_S, what="connected")
        assert bed.health().status == health_pb2.HEALTH_STATUS_HEALTHY
        control, without, back = [], [], []
        for _ in range(PAIRS):  # in turns, since others use the machine too, now and then
            with ahead_of_others(os.getpid(), bed.service.pid):
                control.append(p99_s(bed))
            redis_server.kill()
            until(lambda: not second.is_connected(), within_s=COMES_S, what="noticed")
            assert bed.health().status == health_pb2.HEALTH_STATUS_DEGRADED
            with ahead_of_others(os.getpid(), bed.service.pid):
                without.append(p99_s(bed))
            redis_server.start()
            begun = time.monotonic()
            until(lambda: second.is_connected(), within_s=5, what="connected again")
            back.append(time.monotonic() - begun)
        control_s, without_s = statistics.median(control), statistics.median(without)
        sys.stdout.write(
            f"G01: p99 {control_s * 1e6:.0f} us, {without_s * 1e6:.0f} without (median of the windows), "
            f"back after {max(back):.2f} s\n"
        )
        assert without_s <= 1.5 * control_s
        assert bed.health().status == health_pb2.HEALTH_STATUS_HEALTHY
    finally:
        bed.close()


class Second:
    """The second tier as Health sees it; it is used four times a second meanwhile."""

    def __init__(self, bed: WarmBed) -> None:
        self._bed = bed
        self._rows = iter(range(10, 1_000))
        self._due_s = 0.0

    def is_connected(self) -> bool:
        """Ask for what no cache holds, now and then, and say what Health tells."""
        if time.monotonic() >= self._due_s:
            self._due_s = time.monotonic() + 0.25
            self._bed.klines("okx", "BTC-USDT", "1h", limit=next(self._rows))
        return self._bed.health().cache.l2_connected
