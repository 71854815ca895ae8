"""Rows F03 and F04: a disk that runs full, and one whose syncs fail, at each call of a commit."""

from __future__ import annotations

import errno
import os
import subprocess
import time
from pathlib import Path

import pytest

from datafacade.errors import FacadeError, PitFull, PitWriteFailed
from datafacade.serve.status import refuse
from datafacade.store.pit.files import DiskFile, DiskFolder
from datafacade.store.pit.record import PitRef
from datafacade.store.pit.vault import Vault
from tests.chaos.harness.vaults import WATCHED, assert_clean, opened
from tests.unit.store.pit.fakes import ManualClock, commit, draft, keep

pytestmark = pytest.mark.chaos


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
    assert_clean(tmp_path / "pit", 1)
    assert all(isinstance(outcome, PitRef) for outcome in commit(vault, WATCHED)), "there is room again"
    assert_clean(tmp_path / "pit", 4)


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
        assert_clean(small / "pit", len(kept))
        subprocess.run(["mount", "-o", "remount,size=4m", str(small)], check=True)  # noqa: S603, S607  fixed words
        start = time.monotonic()
        kept += keep(vault, *map(draft, range(1_000, 1_020)))
        assert time.monotonic() - start < 5
        assert_clean(small / "pit", len(kept))
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
        assert_clean(path, 4)
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
    assert_clean(tmp_path / "pit", 1)
    assert all(isinstance(outcome, PitRef) for outcome in commit(vault, WATCHED))
    assert_clean(tmp_path / "pit", 4)
