"""Row F01: a process is killed at each call of a commit, and at any moment under load."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from datafacade.errors import PitExists, PitNotFound
from datafacade.store.pit.content import prepare
from datafacade.store.pit.names import TEMP
from datafacade.store.pit.record import PitRef
from datafacade.store.pit.vault import Vault
from datafacade.store.pit.verify import verify
from tests.chaos.harness import killing
from tests.chaos.harness.commits import tell, told_in, traced
from tests.chaos.harness.killing import STRACE
from tests.chaos.harness.vaults import WATCHED, before, opened
from tests.unit.store.pit.fakes import ManualClock, commit

pytestmark = pytest.mark.chaos


def judge(path: Path, acknowledged: set[str], old: list[PitRef]) -> None:
    """Assert what a crash may leave: first as it lies there, then after the next start."""
    reader = Vault.open(path, is_writable=False)
    assert verify(reader.root).damages == []
    for snapshot_id in acknowledged | {ref.id for ref in old}:
        assert reader.get(snapshot_id).ref.id == snapshot_id
    reader.close()
    vault = Vault.open(path, is_writable=True, clock=ManualClock())
    verdict = verify(vault.root)
    assert (verdict.damages, verdict.unlisted) == ([], [])
    assert not [name for name in path.rglob("*") if name.name.startswith(TEMP)]
    for one in WATCHED:
        prepared = prepare(one, ts_wall=1, ts_mono=1)
        try:
            assert vault.get(prepared.id).message == one.message
        except PitNotFound:
            assert prepared.id not in acknowledged
    outcomes = commit(vault, WATCHED)
    assert all(isinstance(outcome, PitRef | PitExists) for outcome in outcomes), outcomes
    assert verify(vault.root).ok == len(WATCHED) + len(old)
    vault.close()


@pytest.mark.proves("ROW-F01")
@pytest.mark.parametrize("side", ["before", "after"])
@pytest.mark.proves("REQ-P1")
def test_a_kill_at_any_call_of_a_commit_loses_nothing_acknowledged(tmp_path: Path, side: str) -> None:
    origin = tmp_path / "origin"
    old = before(origin)

    def run(path: Path, ledger: Path, **dies: int) -> None:
        vault = opened(path)
        told = os.open(ledger, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        made = killing.counted(lambda: tell(commit(vault, WATCHED), told), **dies)
        (path.parent / "calls").write_text(str(len(made)))
        os._exit(0)

    shutil.copytree(origin, tmp_path / "control")
    assert killing.in_child(lambda: run(tmp_path / "control", tmp_path / "told")) == 0
    calls = int((tmp_path / "calls").read_text())
    assert calls >= 60, "a commit of three snapshots makes more calls than that"
    assert len(set(told_in(tmp_path / "told"))) == len(WATCHED)
    complete = 0
    for point in range(1, calls + 1):
        path, ledger = tmp_path / "store", tmp_path / "told"
        shutil.copytree(origin, path)
        ended = killing.in_child(lambda: run(path, ledger, **{f"dies_{side}": point}))  # noqa: B023  run at once
        assert ended == -signal.SIGKILL, f"call {point} of {calls}"
        told = set(told_in(ledger))
        complete += len(told) == len(WATCHED)
        judge(path, told, old)
        shutil.rmtree(path)
    assert complete >= (side == "after"), "behind the last call everything was acknowledged"


@pytest.mark.proves("ROW-F01")
@pytest.mark.skipif(STRACE is None, reason="strace is not installed: the calls are counted in Python only")
def test_a_kill_at_any_system_call_of_a_trace_loses_nothing_acknowledged(tmp_path: Path) -> None:
    origin = tmp_path / "origin"
    old = before(origin)
    points = killing.points_of(traced(origin, tmp_path)[1])
    killed: Counter[str] = Counter()
    for point in points:
        ended, _ = traced(origin, tmp_path, f"inject={point.call}:signal=SIGKILL:when={point.turn}")
        if ended != -signal.SIGKILL:
            assert point.call in killing.MEMORY, f"{point} was not reached: {ended}"
        killed[point.call] += ended == -signal.SIGKILL
        judge(tmp_path / "store", set(told_in(tmp_path / "told")), old)
    print(f"{sum(killed.values())} of {len(points)} points: {dict(killed)}")  # noqa: T201  the row's figures
    wanted = {"openat", "write", "fsync", "linkat", "unlinkat", "mkdirat", "flock", "close"}
    assert wanted <= set(killed)


WRITER = """
import asyncio, sys
from pathlib import Path
from datafacade.store.pit import PitStore

async def main():
    store, number = PitStore.open(Path(sys.argv[1])), 0
    async def one(number):
        text = b"%s %d" % (sys.argv[2].encode(), number)
        ref = await store.put("k/v/BTC", "K", text, readable={"n": number})
        print(ref.id, flush=True)
    while True:
        await asyncio.gather(*(one(number + at) for at in range(20)))
        number += 20

asyncio.run(main())
"""


@pytest.mark.proves("ROW-F01")
def test_a_kill_at_any_moment_under_load_loses_nothing_acknowledged(tmp_path: Path) -> None:
    draw, path = random.Random(1), tmp_path / "pit"
    acknowledged: set[str] = set()
    for turn in range(8):
        command = [sys.executable, "-c", WRITER, str(path), str(turn)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603  ours
            assert process.stdout is not None
            for _ in range(draw.randint(1, 120)):
                acknowledged.add(process.stdout.readline().strip())
            process.kill()
            acknowledged |= {line.strip() for line in process.stdout if line.endswith("\n")}
        reader = Vault.open(path, is_writable=False)
        verdict = verify(reader.root)
        assert verdict.damages == []
        for snapshot_id in acknowledged:
            assert reader.get(snapshot_id).ref.id == snapshot_id
        reader.close()
    assert len(acknowledged) > 100
