"""A restart begins where the last process ended: bans, dials and months go on."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from datafacade.config import RestBudget, Window
from datafacade.guard.bans import ENTRIES_MAX, FILE_BYTES_MAX, GuardFile, coarse
from datafacade.guard.budget import Budget
from datafacade.guard.rest_budgets import RestBudgets
from tests.unit.fakes import ManualClock
from tests.unit.virtual import in_virtual_time, virtual_clock

DAY_S = 86_400.0


def restarted(clock: ManualClock, *, down_s: float) -> ManualClock:
    """Return the clock of the next process: wall time has gone on, monotonic time starts anywhere."""
    return ManualClock(wall_ns=clock.wall + round(down_s * 1e9), monotonic_ns=5_000)


def dials(path: Path, clock: ManualClock, limit: int = 10, seconds: float = 300) -> Budget:
    made = Budget([Window(limit=limit, seconds=seconds)], clock=clock)
    GuardFile.open(path, clock=clock).attach("dials/kraken", made, is_urgent=True)
    return made


def hosts(path: Path, clock: ManualClock) -> tuple[RestBudgets, GuardFile]:
    file = GuardFile.open(path, clock=clock)
    windows = (Window(limit=30, seconds=60), Window(limit=10_000, seconds=31 * DAY_S))
    made = RestBudgets(
        RestBudget(windows=windows, endpoints={"/own": (Window(limit=100, seconds=60),)}),
        share_ratio=1.0,
        clock=clock,
        venue="coingecko",
        kept=file,
        name="rest/coingecko/api",
    )
    return made, file


@pytest.mark.proves("ROW-C07")
@pytest.mark.parametrize("down_s", [0, 60, 2.9 * DAY_S])
def test_a_ban_of_three_days_holds_across_a_restart(tmp_path: Path, down_s: float) -> None:
    path, clock = tmp_path / "guard.json", ManualClock()
    hosts(path, clock)[0].block(3 * DAY_S)
    clock = restarted(clock, down_s=down_s)
    made, _ = hosts(path, clock)
    left_s = 3 * DAY_S - down_s
    assert made.blocked_ns() / 1e9 == pytest.approx(left_s, abs=1e-3)
    assert not made.of("/simple/price").take()
    assert not made.of("/own").take()
    clock.advance(left_s + 0.001)
    assert made.of("/simple/price").take()


def test_a_limit_of_one_path_holds_across_a_restart_for_that_path(tmp_path: Path) -> None:
    path, clock = tmp_path / "guard.json", ManualClock()
    hosts(path, clock)[0].block(100, "/own")
    made, _ = hosts(path, restarted(clock, down_s=10))
    assert not made.of("/own").take()
    assert made.of("/simple/price").take()


@pytest.mark.proves("ROW-H12")
def test_dials_of_a_crash_loop_count_together(tmp_path: Path) -> None:
    """Nobody closes the file: each process is killed right after its dial."""
    path, clock, admitted = tmp_path / "guard.json", ManualClock(), 0
    for _ in range(100):
        admitted += dials(path, clock).take()
        clock = restarted(clock, down_s=1)
    assert admitted == 10


def test_a_month_goes_on(tmp_path: Path) -> None:
    path, clock = tmp_path / "guard.json", ManualClock()
    for day in range(20):
        made, file = hosts(path, clock)
        for _ in range(20):
            assert made.of("/simple/price").take(20)
            clock.advance(61)
        assert made.of("/simple/price").windows()[1].remaining == 10_000 - 400 * (day + 1)
        file.close()
        clock = restarted(clock, down_s=3_600)


def test_what_is_never_asked_for_again_is_kept_until_it_is_over(tmp_path: Path) -> None:
    path, clock = tmp_path / "guard.json", ManualClock()
    dials(path, clock).block(1_000)
    other = Budget([Window(limit=10, seconds=60)], clock=clock)
    GuardFile.open(path, clock=clock).attach("dials/okx", other, is_urgent=True)
    other.take()
    assert set(json.loads(path.read_text())["kept"]) == {"dials/kraken", "dials/okx"}
    assert dials(path, clock).blocked_ns() > 0
    clock.advance(1_001)
    other.take()
    assert set(json.loads(path.read_text())["kept"]) == {"dials/okx"}


def test_a_clock_that_was_set_back_makes_waits_longer_and_no_ban_endless(tmp_path: Path) -> None:
    path, clock = tmp_path / "guard.json", ManualClock()
    made = dials(path, clock, limit=1)
    made.take()
    made.block(100)
    clock = restarted(clock, down_s=-365 * DAY_S)
    made = dials(path, clock, limit=1)
    assert made.blocked_ns() <= 7 * DAY_S * 1e9
    assert made.check() == (False, 0)


def test_other_windows_than_before_take_the_old_spending_too(tmp_path: Path) -> None:
    path, clock = tmp_path / "guard.json", ManualClock()
    for _ in range(10):
        assert dials(path, clock, seconds=300).take()
        clock = restarted(clock, down_s=1)
    assert dials(path, clock, seconds=600, limit=20).check() == (True, 10)


NONSENSE = [
    b"", b"{", b"null", b"[]", b"\xff\xfe", b'{"version": 2, "kept": {}}', b'{"version": 1}',
    b'{"version": 1, "kept": {"a": 1}}', b'{"version": 1, "kept": {"a": {"banned_until": 1}}}',
    b'{"version": 1, "kept": {"a": {"banned_until": -1, "windows": []}}}',
    b'{"version": 1, "kept": {"a": {"banned_until": true, "windows": []}}}',
    b'{"version": 1, "kept": {"a": {"banned_until": 1e99, "windows": []}}}',
    b'{"version": 1, "kept": {"a": {"banned_until": 1, "windows": [[1]]}}}',
    b'{"version": 1, "kept": {"a": {"banned_until": 1, "windows": [[1, [[1, "2"]]]]}}}',
    b"[" * 100_000,
]  # fmt: skip


@pytest.mark.parametrize("text", NONSENSE)
def test_a_damaged_file_is_an_empty_one_and_is_replaced(
    tmp_path: Path, text: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    path, clock = tmp_path / "guard.json", ManualClock()
    path.write_bytes(text)
    made = dials(path, clock)
    assert [record.message for record in caplog.records] == ["guard.unreadable"]
    assert made.take()
    assert dials(path, clock).check() == (True, 9)


@given(text=st.binary(max_size=200))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_no_bytes_make_it_fail(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "guard.json"
    path.write_bytes(text)
    dials(path, ManualClock())


def test_a_file_too_large_or_not_ours_to_read_is_an_empty_one(tmp_path: Path) -> None:
    path = tmp_path / "guard.json"
    path.write_bytes(b" " * (FILE_BYTES_MAX + 1))
    assert dials(path, ManualClock()).take()
    path.unlink()
    path.symlink_to("/etc/hostname")
    assert dials(path, ManualClock()).take()
    assert not path.is_symlink()  # replaced, not written through


def test_a_disk_that_refuses_costs_nothing_but_the_memory_of_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = dials(tmp_path / "gone" / "guard.json", ManualClock())
    assert made.take()
    assert "guard.unsaved" in [record.message for record in caplog.records]


def test_spending_reaches_the_file_within_a_second_and_large_spending_at_once(tmp_path: Path) -> None:
    path = tmp_path / "guard.json"

    async def spend() -> None:
        clock = virtual_clock()
        file = GuardFile.open(path, clock=clock)
        made = Budget([Window(limit=1_000, seconds=60)], clock=clock)
        file.attach("rest", made)

        def weight() -> int:
            return sum(weight for _, weight in json.loads(path.read_text())["kept"]["rest"]["windows"][0][1])

        made.take(1)  # the first one: nothing was written for a second
        assert weight() == 1
        for _ in range(9):
            made.take(1)
        assert weight() == 1
        await asyncio.sleep(1.001)
        assert weight() == 10
        made.take(100)
        await asyncio.sleep(0.051)
        assert weight() == 110
        made.take(1)
        file.close()
        assert weight() == 111

    in_virtual_time(spend())


@given(entries=st.lists(st.tuples(st.integers(0, 10**6), st.integers(1, 9)), max_size=500))
def test_fewer_entries_count_as_much_and_never_leave_sooner(entries: list[tuple[int, int]]) -> None:
    entries.sort()
    short = coarse(entries)
    assert len(short) <= ENTRIES_MAX
    for cut in (0, 100, 10**5, 10**6):
        exact = sum(weight for at, weight in entries if at > cut)
        assert sum(weight for at, weight in short if at > cut) >= exact
    assert sum(weight for _, weight in short) == sum(weight for _, weight in entries)
