"""A bed whose answers are kept: questions that nobody asked before, and what the store says of itself."""

from __future__ import annotations

import contextlib
import itertools
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import grpc

from datafacade.check.names import Topic
from datafacade.v1 import pit_pb2, service_pb2_grpc, warm_pb2
from datafacade.v1.pit_pb2_grpc import SnapshotServiceStub
from tests.chaos.harness.bed import Bed, Plan
from tests.chaos.harness.failpoint import TOLD_VARIABLE
from tests.chaos.harness.wait import COMES_S, until

SKIPPED: Final = "PIT_SKIPPED"
TOLD_S: Final = 2.0  # for so long Health warns here, instead of a minute
ANSWERED_S: Final = 20.0
IS_ROOT: Final = os.geteuid() == 0
# Permissions bind even root once it has let go of the right to pass them by.
BOUND: Final = ("setpriv", "--bounding-set=-dac_override,-dac_read_search") if IS_ROOT else ()
BURST: Final = 100  # questions at once: more than may wait for the disk
_INTERVALS: Final = ("1m", "5m", "15m", "1h", "4h", "1d")
_SYMBOLS: Final = ("BTC-USDT", "ETH-USDT")
_ROWS_MAX: Final = 200


class StoreBed(Bed):
    """A bed and its store. ``close`` it."""

    def __init__(self, folder: Path, plan: Plan) -> None:
        super().__init__(folder, plan)
        self.store = Path(plan.service["data"]["dir"]) / "artifacts" / "pit"
        self.pit: Any = SnapshotServiceStub(self.service.channel)
        self._warm: Any = service_pb2_grpc.DataFacadeServiceStub(self.service.channel)
        self._questions = itertools.product(range(1, _ROWS_MAX), _INTERVALS, _SYMBOLS)

    def warm_up(self, *, settles: bool = True) -> StoreBed:
        """Let every thread that keeps answers begin, then do as any bed does."""
        for call in self.ask(BURST):
            call.result()
        super().warm_up(settles=settles)
        self.wait_kept(within_s=COMES_S)
        self.wait_content()
        return self

    def ask(self, count: int) -> list[Any]:
        """Ask so many questions at once, none of them a second time; return the calls."""
        return [
            self._warm.WarmKlines.future(
                warm_pb2.WarmKlinesRequest(venue="binance", symbol=symbol, interval=interval, limit=limit),
                timeout=ANSWERED_S,
            )
            for limit, interval, symbol in itertools.islice(self._questions, count)
        ]

    def answer(self) -> warm_pb2.WarmKlinesResponse:
        """Ask one question.

        Raises:
            grpc.RpcError: It was refused.
        """
        answer: warm_pb2.WarmKlinesResponse = self.ask(1)[0].result()
        return answer

    def stats(self) -> pit_pb2.PitStatsResponse:
        """Ask how the store stands."""
        stats: pit_pb2.PitStatsResponse = self.pit.PitStats(pit_pb2.PitStatsRequest(), timeout=5)
        return stats

    def code(self, snapshot_id: str) -> grpc.StatusCode:
        """Fetch a snapshot; return how that ended."""
        call = self.pit.PitGet(pit_pb2.PitGetRequest(snapshot_id=snapshot_id), timeout=5)
        with contextlib.suppress(grpc.RpcError):  # the code tells it
            list(call)
        code: grpc.StatusCode = call.code()
        return code

    def is_kept(self, snapshot_id: str) -> bool:
        """Return whether a snapshot can be fetched."""
        return self.code(snapshot_id) is grpc.StatusCode.OK

    def warns(self) -> bool:
        """Return whether Health says that answers are not kept."""
        return SKIPPED in self.service.health().warnings

    def wait_kept(self, *, within_s: float) -> None:
        """Ask until an answer is kept."""
        until(lambda: self.is_kept(self.answer().served.snapshot_id), within_s=within_s, what="kept again")

    def wait_content(self) -> None:
        """Wait until Health has nothing more to say of the store."""
        until(lambda: not self.warns(), within_s=TOLD_S + 10, what="Health is content")

    def assert_flows(self, topics: Sequence[Topic], since_ns: int) -> None:
        """Assert that each of these topics goes on since then, and had no gap."""
        for topic in topics:
            told = self.probe.wait_for(
                topic, lambda one: one.is_topic_record, since_ns=since_ns, within_s=10, what="flows"
            )
            assert told
            gaps = [one for one in self.probe.of(topic) if one.t_mono_ns >= since_ns and one.kind == "gap"]
            assert not gaps, f"{topic} lost something: {gaps[0].update}"


def variables(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return what a service that does not warn for long is started with."""
    return {TOLD_VARIABLE: str(TOLD_S), **(more or {})}


def mounted(path: Path, size: str) -> bool:
    """Mount a small file system; return whether this machine lets us."""
    path.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(path)]
    return IS_ROOT and subprocess.run(command, check=False, capture_output=True).returncode == 0  # noqa: S603  fixed words


def remount(path: Path, option: str) -> None:
    """Mount it anew with an option, as ``ro`` or ``rw``."""
    subprocess.run(["mount", "-o", f"remount,{option}", str(path)], check=True)  # noqa: S603, S607  fixed words


def unmount(path: Path) -> None:
    """Unmount it, although somebody may look at it still."""
    subprocess.run(["umount", "--lazy", str(path)], check=True)  # noqa: S603, S607  fixed words


@contextlib.contextmanager
def filled(path: Path) -> Iterator[None]:
    """Fill a disk to the last byte meanwhile."""
    ballast = path / "ballast"
    with ballast.open("wb") as file:
        size, step = 0, 2**20
        while step:
            try:
                os.posix_fallocate(file.fileno(), size, step)
                size += step
            except OSError:
                step //= 2
    try:
        yield
    finally:
        ballast.unlink()
