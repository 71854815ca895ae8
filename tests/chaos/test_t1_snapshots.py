"""Snapshots on a real disk: killed at each call, full, failing, contended, attacked."""

from __future__ import annotations

import errno
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from datafacade.errors import (
    FacadeError,
    PitCorrupt,
    PitExists,
    PitFull,
    PitNotFound,
    PitUnusable,
    PitWriteFailed,
)
from datafacade.serve.status import refuse
from datafacade.store.pit import PitStore
from datafacade.store.pit.content import prepare
from datafacade.store.pit.files import DiskFile, DiskFolder
from datafacade.store.pit.names import TEMP
from datafacade.store.pit.record import PitRef
from datafacade.store.pit.vault import Vault
from datafacade.store.pit.verify import verify
from tests.chaos.harness import killing
from tests.chaos.harness.killing import STRACE, Point
from tests.unit.store.pit.fakes import ENTITY, ManualClock, commit, draft, keep

pytestmark = pytest.mark.chaos

OTHER = "warm.klines/okx/ETH-USDT/1m"  # whose folders are made by the commit that is watched
WATCHED = (draft(10), draft(11, entity=OTHER), draft(12))


def before(path: Path) -> list[PitRef]:
    """Make a store with one snapshot in it."""
    vault = Vault.open(path, is_writable=True, clock=ManualClock())
    refs = keep(vault, draft(1))
    vault.close()
    return refs


def opened(path: Path) -> Vault:
    """Open a store whose syncs come one after the other, so that a trace is the same each time."""
    root = DiskFolder.root(path, is_made=True)
    return Vault.inside(root, is_writable=True, clock=ManualClock(), token="t", is_parallel=False)  # noqa: S106


def acknowledge(vault: Vault, ledger: int) -> None:
    """Commit, then tell which ids were acknowledged."""
    for outcome in commit(vault, WATCHED):
        assert isinstance(outcome, PitRef), outcome
        os.write(ledger, f"{outcome.id}\n".encode())


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


def acknowledged_in(ledger: Path) -> set[str]:
    return {line for line in ledger.read_text().split("\n")[:-1] if line}


@pytest.mark.proves("ROW-F01")
@pytest.mark.parametrize("side", ["before", "after"])
def test_a_kill_at_any_call_of_a_commit_loses_nothing_acknowledged(tmp_path: Path, side: str) -> None:
    origin = tmp_path / "origin"
    old = before(origin)

    def run(path: Path, ledger: Path, **dies: int) -> None:
        vault = opened(path)
        told = os.open(ledger, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        made = killing.counted(lambda: acknowledge(vault, told), **dies)
        (path.parent / "calls").write_text(str(len(made)))
        os._exit(0)

    shutil.copytree(origin, tmp_path / "control")
    assert killing.in_child(lambda: run(tmp_path / "control", tmp_path / "told")) == 0
    calls = int((tmp_path / "calls").read_text())
    assert calls >= 60, "a commit of three snapshots makes more calls than that"
    assert len(acknowledged_in(tmp_path / "told")) == len(WATCHED)
    complete = 0
    for point in range(1, calls + 1):
        path, ledger = tmp_path / "store", tmp_path / "told"
        shutil.copytree(origin, path)
        ended = killing.in_child(lambda: run(path, ledger, **{f"dies_{side}": point}))  # noqa: B023  run at once
        assert ended == -signal.SIGKILL, f"call {point} of {calls}"
        told = acknowledged_in(ledger)
        complete += len(told) == len(WATCHED)
        judge(path, told, old)
        shutil.rmtree(path)
    assert complete >= (side == "after"), "behind the last call everything was acknowledged"


@pytest.mark.proves("ROW-F01")
@pytest.mark.skipif(STRACE is None, reason="strace is not installed: the calls are counted in Python only")
def test_a_kill_at_any_system_call_of_a_trace_loses_nothing_acknowledged(tmp_path: Path) -> None:
    origin = tmp_path / "origin"
    old = before(origin)
    points = traced(origin, tmp_path, None)[1]
    killed: Counter[str] = Counter()
    for point in points:
        ended, _ = traced(origin, tmp_path, point)
        if ended != -signal.SIGKILL:
            assert point.call in killing.MEMORY, f"{point} was not reached: {ended}"
        killed[point.call] += ended == -signal.SIGKILL
        judge(tmp_path / "store", acknowledged_in(tmp_path / "told"), old)
    print(f"{sum(killed.values())} of {len(points)} points: {dict(killed)}")  # noqa: T201  the row's figures
    wanted = {"openat", "write", "fsync", "linkat", "unlinkat", "mkdirat", "flock", "close"}
    assert wanted <= set(killed)


def traced(origin: Path, tmp_path: Path, point: Point | None) -> tuple[int, list[Point]]:
    """Commit in a process under strace, killed at a point if one is given."""
    path, ledger = tmp_path / "store", tmp_path / "told"
    shutil.rmtree(path, ignore_errors=True)
    shutil.copytree(origin, path)
    ledger.write_text("")
    reading, writing = os.pipe()
    ready, is_ready = os.pipe()

    def act() -> None:
        os.close(writing)
        vault = opened(path)
        told = os.open(ledger, os.O_WRONLY)
        os.write(is_ready, b"!")
        killing.wait_for(reading)
        acknowledge(vault, told)
        os._exit(0)

    child = os.fork()
    if child == 0:
        try:
            act()
        finally:
            os._exit(1)
    os.close(reading)
    os.read(ready, 1)
    options = () if point is None else ("-e", f"inject={point.call}:signal=SIGKILL:when={point.turn}")
    ended = killing.straced(child, lambda: os.close(writing), tmp_path / "trace", *options)
    for descriptor in (ready, is_ready):
        os.close(descriptor)
    return ended, killing.points_of(tmp_path / "trace")


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


class Failing:
    """Makes calls of the disk fail as planned."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.left: dict[str, list[int]] = {}  # errors to come, by call; 0: let one through
        self.trace: list[tuple[str, object]] = []  # call, and the open file or folder
        for kind, call in (
            (DiskFile, "write"),
            (DiskFile, "sync"),
            (DiskFolder, "sync"),
            (DiskFolder, "link"),
        ):
            self._watch(monkeypatch, kind, call)
        for call in ("create", "make"):
            self._watch(monkeypatch, DiskFolder, call)

    def _watch(self, monkeypatch: pytest.MonkeyPatch, kind: type, call: str) -> None:
        real, name = getattr(kind, call), f"{kind.__name__}.{call}"

        def stand_in(thing: DiskFile | DiskFolder, *values: object) -> object:
            self.trace.append((name, thing))
            plan = self.left.get(name, [])
            number = plan.pop(0) if plan else 0
            if number:
                raise OSError(number, os.strerror(number))
            return real(thing, *values)

        monkeypatch.setattr(kind, call, stand_in)


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Vault]:
    """Return a store with one snapshot."""
    made = opened(tmp_path / "pit")
    keep(made, draft(1))
    yield made
    made.close()


def clean_and_whole(path: Path, count: int) -> None:
    """Assert that a store holds so many snapshots and nothing partial."""
    reader = Vault.open(path, is_writable=False)
    verdict = verify(reader.root)
    assert (verdict.snapshots, verdict.ok, verdict.damages, verdict.unlisted) == (count, count, [], [])
    assert not [name for name in path.rglob("*") if name.name.startswith(TEMP)]
    reader.close()


CREATES, WRITES, LINKS, MAKES = 10, 10, 10, 3  # of the watched commit: three files each, and the segment


@pytest.mark.proves("ROW-F03")
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize(
    ("call", "point"),
    [("DiskFolder.create", at) for at in range(CREATES)]
    + [("DiskFile.write", at) for at in range(WRITES)]
    + [("DiskFolder.link", at) for at in range(LINKS)]
    + [("DiskFolder.make", at) for at in range(MAKES)],
)
def test_a_full_disk_leaves_nothing_partial_and_is_told(
    vault: Vault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, point: int, number: int
) -> None:
    failing = Failing(monkeypatch)
    failing.left[call] = [0] * point + [number]
    outcomes = commit(vault, WATCHED)
    assert failing.left[call] == [], "the disk was never full"
    assert all(isinstance(outcome, PitFull) for outcome in outcomes), outcomes
    assert {refuse(outcome).code for outcome in outcomes if isinstance(outcome, FacadeError)} == {8}
    clean_and_whole(tmp_path / "pit", 1)
    assert all(isinstance(outcome, PitRef) for outcome in commit(vault, WATCHED)), "there is room again"
    clean_and_whole(tmp_path / "pit", 4)


@pytest.mark.proves("ROW-F03")
@pytest.mark.skipif(os.geteuid() != 0, reason="a small file system can be mounted by root only")
def test_a_real_disk_of_one_mebibyte_runs_full_and_recovers(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(small)]
    if subprocess.run(command, check=False, capture_output=True).returncode:  # noqa: S603  fixed words
        pytest.skip("this machine lets nobody mount a file system")
    vault = Vault.open(small / "pit", is_writable=True, clock=ManualClock())
    try:
        kept: list[PitRef] = []
        failures: list[FacadeError] = []
        for number in range(200):
            (outcome,) = commit(vault, [draft(number)])
            (kept if isinstance(outcome, PitRef) else failures).append(outcome)  # type: ignore[arg-type]
            if len(failures) > 5:
                break
        assert kept
        assert all(isinstance(failure, PitFull) for failure in failures)
        assert len(failures) > 5
        clean_and_whole(small / "pit", len(kept))
        subprocess.run(["mount", "-o", "remount,size=4m", str(small)], check=True)  # noqa: S603, S607  fixed words
        start = time.monotonic()
        kept += keep(vault, *map(draft, range(1_000, 1_020)))
        assert time.monotonic() - start < 5
        clean_and_whole(small / "pit", len(kept))
    finally:
        vault.close()
        subprocess.run(["umount", str(small)], check=True)  # noqa: S603, S607  fixed words


@pytest.mark.proves("ROW-F04")
@pytest.mark.parametrize(("call", "points"), [("DiskFile.sync", 10), ("DiskFolder.sync", 7)])
def test_an_fsync_that_fails_is_never_asked_again_and_the_file_is_written_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, points: int
) -> None:
    for point in range(points):
        path = tmp_path / f"{call}-{point}"
        vault = opened(path)
        keep(vault, draft(1))
        with monkeypatch.context() as patch:
            failing = Failing(patch)
            failing.left[call] = [0] * point + [errno.EIO]
            outcomes = commit(vault, WATCHED)
        assert failing.left[call] == [], f"{call} {point} was never made"
        assert all(isinstance(outcome, PitRef) for outcome in outcomes)
        syncs = [thing for name, thing in failing.trace if name == call]
        failed = syncs[point]
        if call == "DiskFile.sync":
            assert syncs.count(failed) == 1, "the same file was synced twice"
            creates = [name for name, _ in failing.trace].count("DiskFolder.create")
            assert creates > CREATES, "no new file was written"
        clean_and_whole(path, 4)
        vault.close()


@pytest.mark.proves("ROW-F04")
def test_a_disk_that_refuses_every_fsync_acknowledges_nothing(
    vault: Vault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing = Failing(monkeypatch)
    failing.left["DiskFile.sync"] = [errno.EIO] * 1_000
    outcomes = commit(vault, WATCHED)
    assert all(isinstance(outcome, PitWriteFailed) for outcome in outcomes)
    files = [file for name, file in failing.trace if name == "DiskFile.sync"]
    assert 0 < len(set(files)) == len(files)
    failing.left.clear()
    clean_and_whole(tmp_path / "pit", 1)
    assert all(isinstance(outcome, PitRef) for outcome in commit(vault, WATCHED))
    clean_and_whole(tmp_path / "pit", 4)


RACER = """
import sys
from pathlib import Path
from datafacade.errors import PitExists
from datafacade.store.pit.vault import Vault
from tests.unit.store.pit.fakes import commit, draft

vault = Vault.open(Path(sys.argv[1]), is_writable=True)
print("ready", flush=True)
for number in map(int, sys.stdin):
    (outcome,) = commit(vault, [draft(number)])
    print("lost" if isinstance(outcome, PitExists) else "won" if outcome.id else "?", flush=True)
"""


@pytest.mark.proves("ROW-F08")
def test_of_two_processes_that_commit_the_same_id_one_wins_a_thousand_times(tmp_path: Path) -> None:
    path = tmp_path / "pit"
    before(path)
    command = [sys.executable, "-c", RACER, str(path)]
    pipe = subprocess.PIPE
    racers = [
        subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)  # noqa: S603  ours
        for _ in range(2)
    ]
    wins = [0, 0]
    try:
        for racer in racers:
            assert racer.stdout is not None
            assert racer.stdout.readline() == "ready\n"
        for number in range(100, 1_100):
            for racer in racers:
                assert racer.stdin is not None
                racer.stdin.write(f"{number}\n")
                racer.stdin.flush()
            said = [racer.stdout.readline() for racer in racers if racer.stdout is not None]
            assert sorted(said) == ["lost\n", "won\n"], number
            wins[said.index("won\n")] += 1
    finally:
        for racer in racers:
            racer.communicate()
    assert min(wins) > 0, f"nobody raced: {wins}"
    clean_and_whole(path, 1_001)


@pytest.mark.proves("ROW-F09")
def test_ten_thousand_reads_during_a_thousand_commits_are_all_or_nothing(tmp_path: Path) -> None:
    store = PitStore.open(tmp_path / "pit")
    reader = Vault.open(tmp_path / "pit", is_writable=False)
    messages = {
        prepare(draft(number), ts_wall=1, ts_mono=1).id: b"answer %d" % number for number in range(1_000)
    }
    names, is_over, problems = list(messages), threading.Event(), []
    reads: Counter[str] = Counter()

    def read(get: Callable[[str], bytes], seed: int) -> None:
        draw = random.Random(seed)
        while not is_over.is_set() or reads.total() < 10_000:
            snapshot_id = draw.choice(names)
            try:
                if get(snapshot_id) != messages[snapshot_id]:
                    problems.append(snapshot_id)
                reads["found"] += 1
            except PitNotFound:
                reads["absent"] += 1
            except FacadeError as error:
                problems.append(str(error))

    asked = (lambda name: store.get(name).message, lambda name: reader.get(name).message)
    threads = [threading.Thread(target=read, args=(get, seed)) for seed, get in enumerate(asked)]
    for thread in threads:
        thread.start()
    try:
        for start in range(0, 1_000, 40):
            futures = [store.submit(draft(number)) for number in range(start, start + 40)]
            for future in futures:
                future.result(60)
    finally:
        is_over.set()
        for thread in threads:
            thread.join()
        reader.close()
        store.close()
    assert problems == []
    assert reads["found"] > 100
    assert reads["absent"] > 100
    clean_and_whole(tmp_path / "pit", 1_000)


def planted(path: Path, victim: Path, how: str) -> Path:
    """Put a link where the store is about to write; return what it leads to."""
    precious = path.parent / "precious"
    if how in {"symlink", "hardlink"}:
        precious.write_text("keep me")
        victim.parent.mkdir(parents=True, exist_ok=True)
        victim.symlink_to(precious) if how == "symlink" else os.link(precious, victim)
    else:
        precious.mkdir()
        victim.parent.mkdir(parents=True, exist_ok=True)
        victim.symlink_to(precious, target_is_directory=True)
    return precious


@pytest.mark.proves("ROW-F14", "CTL-S22")
@pytest.mark.parametrize("how", ["symlink", "hardlink"])
@pytest.mark.parametrize("part", [0, 1, 2])
def test_a_link_in_the_place_of_a_file_is_refused(vault: Vault, tmp_path: Path, part: int, how: str) -> None:
    path = tmp_path / "pit"
    one = prepare(draft(5), ts_wall=ManualClock().wall, ts_mono=1)
    target = one.parts[part]
    precious = planted(path, path.joinpath(*target.folder, target.name), how)
    (outcome,) = vault.commit([one])
    assert isinstance(outcome, PitExists)
    assert precious.read_text() == "keep me"
    assert precious.stat().st_nlink == (2 if how == "hardlink" else 1)
    with pytest.raises(PitNotFound):
        vault.get(one.id)


@pytest.mark.proves("ROW-F14", "CTL-S22")
@pytest.mark.parametrize("depth", [1, 2])
def test_a_link_in_the_place_of_a_directory_is_refused(vault: Vault, tmp_path: Path, depth: int) -> None:
    path = tmp_path / "pit"
    one = prepare(draft(5, entity=OTHER), ts_wall=ManualClock().wall, ts_mono=1)
    precious = planted(path, path.joinpath(*one.parts[0].folder[:depth]), "folder")
    (outcome,) = vault.commit([one])
    assert isinstance(outcome, PitWriteFailed)
    assert list(precious.iterdir()) == []
    assert isinstance(commit(vault, [draft(6)])[0], PitRef), "others are not in its way"


@pytest.mark.proves("ROW-F14", "CTL-S22")
@pytest.mark.parametrize("how", ["symlink", "hardlink", "folder"])
def test_a_link_put_over_a_stored_file_is_not_read(vault: Vault, tmp_path: Path, how: str) -> None:
    path = tmp_path / "pit"
    (ref,) = keep(vault, draft(5))
    victim = path / ref.path.replace(".json.gz", ".pb")
    if how == "folder":
        (path.parent / "moved").mkdir()
        shutil.move(victim.parent, path.parent / "moved" / "day")
        victim.parent.symlink_to(path.parent / "moved" / "day", target_is_directory=True)
    else:
        victim.unlink()
        planted(path, victim, how)
    with pytest.raises(PitCorrupt):
        vault.get(ref.id)
    assert ref.id in verify(vault.root).damaged


@pytest.mark.proves("ROW-F14", "CTL-S22")
@pytest.mark.parametrize("name", [".manifest", ".audit", ".quarantine", ".lock"])
def test_a_link_in_the_place_of_our_own_directories_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "pit"
    before(path)
    inside = path / name
    shutil.move(inside, tmp_path / "elsewhere")
    inside.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PitUnusable):
        Vault.open(path, is_writable=True)


@pytest.mark.proves("ROW-F13")
@pytest.mark.skipif(STRACE is None, reason="strace is not installed")
def test_hostile_symbols_open_nothing_outside_the_store(tmp_path: Path) -> None:
    symbols = [
        "../../../etc/passwd",
        "/etc/passwd",
        "a\\b",
        "*?:",
        "X" * 300,
        "\u5e01\u5b89",
        "\u202e",
        "btc-usdt",
    ]
    drafts = [draft(50 + at, entity=f"k/v/{name.replace('/', '%2F')}") for at, name in enumerate(symbols)]
    path, trace = tmp_path / "pit", tmp_path / "trace"
    before(path)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(writing)
        vault = opened(path)
        killing.wait_for(reading)
        os._exit(sum(isinstance(outcome, PitRef) for outcome in commit(vault, drafts)))
    os.close(reading)
    ended = killing.straced(child, lambda: os.close(writing), trace, "-y", "-e", "trace=%file,%desc")
    assert ended == len(symbols)
    opens = [line for line in trace.read_text().splitlines() if "openat(" in line or "mkdirat(" in line]
    assert len(opens) > 20
    for line in opens:
        assert f"<{path.resolve()}" in line.partition(",")[0], line
        assert "/" not in line.split('"')[1], line
    assert not any(ENTITY in line for line in opens)
