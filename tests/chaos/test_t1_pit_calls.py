"""Rows F03 and F04 at the border of the system: each call of a commit that may fail does, by strace."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

from datafacade.store.pit.names import TEMP
from datafacade.store.pit.record import PitRef
from datafacade.store.pit.vault import Vault
from tests.chaos.harness.commits import told_in, traced
from tests.chaos.harness.killing import STRACE
from tests.chaos.harness.vaults import WATCHED, assert_clean, before
from tests.unit.store.pit.fakes import ManualClock, commit

pytestmark = [
    pytest.mark.chaos,
    pytest.mark.skipif(STRACE is None, reason="strace is not installed: calls fail in Python only"),
]

TAKES_ROOM: Final = re.compile(r"(openat|write|pwrite64|linkat|mkdirat)\(")  # openat with O_CREAT only
_CALL: Final = re.compile(r"([a-z0-9_]+)\((\d+)<")
_OLD: Final = 1  # snapshots that a store begins with


def lines_of(trace: Path) -> list[str]:
    """Return the calls of a trace, as strace writes them."""
    return trace.read_text().splitlines()


def turns(trace: Path, store: Path) -> list[tuple[str, int]]:
    """Return the calls that ask the disk for room in a store: name, and number among those of that name."""
    counts: dict[str, int] = {}
    found = []
    for line in lines_of(trace):
        match = TAKES_ROOM.match(line)
        if match:
            counts[match[1]] = counts.get(match[1], 0) + 1
            if f"<{store}" in line and (match[1] != "openat" or "O_CREAT" in line):
                found.append((match[1], counts[match[1]]))
    return found


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


@pytest.mark.proves("ROW-F03")
@pytest.mark.parametrize("error", ["ENOSPC", "EDQUOT"])
def test_a_disk_that_is_full_at_any_system_call_of_a_commit_leaves_nothing_partial(
    tmp_path: Path, error: str
) -> None:
    origin, store = tmp_path / "origin", tmp_path / "store"
    before(origin)
    points = turns(traced(origin, tmp_path)[1], store)
    assert {call for call, _ in points} >= {"openat", "write", "linkat", "mkdirat"}
    refusals = 0
    for call, turn in points:
        ended, trace = traced(origin, tmp_path, f"inject={call}:error={error}:when={turn}")
        assert ended == 0, (call, turn)
        assert sum("(INJECTED)" in line for line in lines_of(trace)) == 1, "the disk was never full"
        told = told_in(tmp_path / "told")
        is_refused = told == ["PitFull"] * len(WATCHED)
        assert is_refused or is_kept(told), (call, turn, told)
        refusals += is_refused
        assert_recovers(store, _OLD if is_refused else _OLD + len(WATCHED))
    print(f"{error}: {refusals} of {len(points)} points refuse the commit")  # noqa: T201  the row's figures
    assert len(points) - refusals <= 2, "only the audit log, behind the commit, may go without"


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
