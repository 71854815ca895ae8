"""Rows F03, F04, F11 and F12 at the border of the system: each call of a commit fails once, by strace."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from datafacade.store.pit.names import TEMP
from datafacade.store.pit.record import PitRef
from datafacade.store.pit.vault import Vault
from tests.chaos.harness.commits import told_in, traced
from tests.chaos.harness.killing import STRACE, Point
from tests.chaos.harness.vaults import WATCHED, assert_clean, before
from tests.unit.store.pit.fakes import ManualClock, commit

pytestmark = [
    pytest.mark.chaos,
    pytest.mark.skipif(STRACE is None, reason="strace is not installed: calls fail in Python only"),
]

_CHANGES: Final = re.compile(r"(openat|write|pwrite64|linkat|mkdirat)\(")
_CALL: Final = re.compile(r"([a-z0-9_]+)\((\d+)<")
_OLD: Final = 1  # snapshots that a store begins with


def lines_of(trace: Path) -> list[str]:
    """Return the calls of a trace, as strace writes them."""
    return trace.read_text().splitlines()


def among(trace: Path, wanted: Callable[[str], bool]) -> list[Point]:
    """Return some calls of a trace: name, and number among those of that name."""
    counts: Counter[str] = Counter()
    found = []
    for line in lines_of(trace):
        call = line.partition("(")[0]
        counts[call] += 1
        if wanted(line):
            found.append(Point(call, counts[call]))
    return found


def changing(tmp_path: Path) -> Callable[[Path], list[Point]]:
    """Return what finds the calls that ask the disk for room in the store."""

    def wanted(line: str) -> bool:
        is_ours = f"<{tmp_path / 'store'}" in line
        return is_ours and bool(_CHANGES.match(line)) and ("openat" not in line or "O_CREAT" in line)

    return lambda trace: among(trace, wanted)


def opening(tmp_path: Path) -> Callable[[Path], list[Point]]:
    """Return what finds the calls that take a descriptor in the store."""
    return lambda trace: among(
        trace, lambda line: line.startswith("openat(") and f"<{tmp_path / 'store'}" in line
    )


def is_kept(told: list[str]) -> bool:
    """Return whether all that was to be committed was acknowledged by its id."""
    return len(told) == len(WATCHED) and all(len(line) == 64 for line in told)


def assert_recovers(path: Path, count: int) -> None:
    """Assert that a store holds so many snapshots, nothing partial, and takes those that it missed."""
    assert_clean(path, count)
    vault = Vault.open(path, is_writable=True, clock=ManualClock())
    try:
        kept = [one for one in commit(vault, WATCHED) if isinstance(one, PitRef)]
    finally:
        vault.close()
    assert len(kept) == _OLD + len(WATCHED) - count
    assert_clean(path, _OLD + len(WATCHED))


def refusals(tmp_path: Path, points: Callable[[Path], list[Point]], error: str, refusal: str) -> int:
    """Let each of some calls of a commit fail, one a commit; return how many refused it.

    Assert that each was refused or kept as a whole, left nothing partial, and could be done again.
    """
    origin, store = tmp_path / "origin", tmp_path / "store"
    before(origin)
    found = points(traced(origin, tmp_path)[1])
    assert found
    refused = 0
    for point in found:
        ended, trace = traced(origin, tmp_path, f"inject={point.call}:error={error}:when={point.turn}")
        assert ended == 0, point
        assert sum("(INJECTED)" in line for line in lines_of(trace)) == 1, "the fault was never met"
        told = told_in(tmp_path / "told")
        is_refused = told == [refusal] * len(WATCHED)
        assert is_refused or is_kept(told), (point, told)
        refused += is_refused
        assert_recovers(store, _OLD if is_refused else _OLD + len(WATCHED))
    print(f"{error}: {refused} of {len(found)} calls refuse the commit")  # noqa: T201  the row's figures
    assert len(found) - refused <= 2, "only the audit log, behind the commit, may go without"
    return refused


@pytest.mark.proves("ROW-F03")
@pytest.mark.parametrize("error", ["ENOSPC", "EDQUOT"])
def test_a_disk_that_is_full_at_any_system_call_of_a_commit_leaves_nothing_partial(
    tmp_path: Path, error: str
) -> None:
    assert refusals(tmp_path, changing(tmp_path), error, "PitFull") >= 30


@pytest.mark.proves("ROW-F11")
@pytest.mark.parametrize("error", ["EROFS", "EACCES"])
def test_a_disk_that_may_not_be_written_at_any_system_call_of_a_commit_leaves_nothing_partial(
    tmp_path: Path, error: str
) -> None:
    assert refusals(tmp_path, changing(tmp_path), error, "PitWriteFailed") >= 30


@pytest.mark.proves("ROW-F12")
def test_descriptors_that_run_out_at_any_system_call_of_a_commit_leave_nothing_partial(
    tmp_path: Path,
) -> None:
    assert refusals(tmp_path, opening(tmp_path), "EMFILE", "PitWriteFailed") >= 10


@pytest.mark.proves("ROW-F04")
def test_a_descriptor_whose_fsync_failed_is_closed_and_never_used_again(tmp_path: Path) -> None:
    origin, store = tmp_path / "origin", tmp_path / "store"
    before(origin)
    control = lines_of(traced(origin, tmp_path)[1])
    syncs = [line for line in control if line.startswith("fsync(")]
    files = 0
    for turn, line in enumerate(syncs, 1):
        ended, trace = traced(origin, tmp_path, f"inject=fsync:error=EIO:when={turn}")
        assert ended == 0, line
        told = told_in(tmp_path / "told")
        assert is_kept(told), (line, told)
        if f"/{TEMP}" in line:
            files += 1
            assert_abandoned(lines_of(trace))
        assert_recovers(store, _OLD + len(WATCHED))
    assert files == 3 * len(WATCHED) + 1, "each file of the commit, and the segment"


def assert_abandoned(trace: list[str]) -> None:
    """Assert that nothing is done with the file of the failed fsync but to close it, and it gets no name."""
    (at,) = [at for at, line in enumerate(trace) if "(INJECTED)" in line]
    match = _CALL.match(trace[at])
    assert match, trace[at]
    descriptor, name = match[2], trace[at].split("/")[-1].split(">")[0]
    uses = [line for line in trace[at + 1 :] if (m := _CALL.match(line)) and m[2] == descriptor]
    assert uses[0].startswith("close("), uses[0]
    assert not [line for line in trace[at:] if line.startswith("linkat(") and name in line], name


@pytest.mark.proves("ROW-F04")
def test_when_every_fsync_fails_nothing_is_acknowledged_and_nothing_left(tmp_path: Path) -> None:
    origin, store = tmp_path / "origin", tmp_path / "store"
    before(origin)
    ended, trace = traced(origin, tmp_path, "inject=fsync:error=EIO")
    assert ended == 0
    assert sum("(INJECTED)" in line for line in lines_of(trace)) > 1
    assert told_in(tmp_path / "told") == ["PitWriteFailed"] * len(WATCHED)
    assert_recovers(store, _OLD)
