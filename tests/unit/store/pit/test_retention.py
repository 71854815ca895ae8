"""Retention lets go of what is old: never of what is young, kept or needed, and of a tenth at most."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datafacade.errors import PitNotFound
from datafacade.store.pit import retention
from datafacade.store.pit.vault import Vault
from datafacade.store.pit.verify import verify
from tests.unit.store.pit.fakes import ENTITY, HOUR, START, ManualClock, draft, keep

MONTH = 30 * 24 * HOUR


def ids(vault: Vault) -> set[str]:
    """Return the ids of all live snapshots."""
    return {ref.id for ref in vault.catalog.index.refs()}


@pytest.mark.proves("ROW-F15")
def test_a_clock_that_is_a_month_ahead_costs_a_tenth_at_most(vault: Vault, clock: ManualClock) -> None:
    refs = keep(vault, *(draft(number, ts_wall=START + number) for number in range(55)))
    clock.wall = START + MONTH
    plan = retention.sweep(vault)
    assert [ref.id for ref in plan.going] == [ref.id for ref in refs[:5]], "the oldest, and a tenth of 55"
    assert (plan.expired, plan.waiting) == (55, 50)
    assert ids(vault) == {ref.id for ref in refs[5:]}
    assert len(retention.sweep(vault).going) == 5
    assert len(retention.sweep(vault, is_confirmed=True).going) == 45
    assert ids(vault) == set()


@pytest.mark.proves("ROW-F15")
@settings(max_examples=40)
@given(
    st.lists(st.tuples(st.integers(0, 60), st.booleans(), st.booleans()), min_size=1, max_size=30),
    st.integers(0, 80),
    st.booleans(),
)
@pytest.mark.proves("REQ-P1")
def test_nothing_that_is_young_kept_or_needed_ever_goes(
    made: list[tuple[int, bool, bool]], now: int, is_confirmed: bool
) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        clock = ManualClock()
        vault = Vault.open(Path(folder), is_writable=True, clock=clock)
        wanted: set[str] = set()
        needed: set[str] = set()
        last = ""
        for number, (age, is_kept, needs_last) in enumerate(made):
            references = (last,) if needs_last and last else ()
            labels = ("keep:test",) if is_kept else ("other",)
            one = draft(number, ts_wall=START + age * HOUR, labels=labels, references=references)
            last = keep(vault, one)[0].id
            needed |= set(references)
            if is_kept or START + (age + 24) * HOUR > START + now * HOUR:
                wanted.add(last)
        clock.wall = START + now * HOUR
        before = ids(vault)
        plan = retention.sweep(vault, is_confirmed=is_confirmed)
        gone = before - ids(vault)
        assert gone == {ref.id for ref in plan.going}
        assert not gone & (wanted | needed)
        if not is_confirmed:
            assert len(gone) <= len(before) / 10
        assert verify(vault.root).damages == []
        vault.close()


@pytest.mark.proves("ROW-F15")
@pytest.mark.parametrize("point", range(0, 40, 3))
def test_a_sweep_that_is_killed_half_way_leaves_each_snapshot_whole_or_gone(
    vault: Vault, clock: ManualClock, tmp_path: Path, point: int
) -> None:
    refs = keep(vault, *(draft(number, ts_wall=START + number) for number in range(20)))
    vault.close()
    child = os.fork()
    if child == 0:
        killed_at(tmp_path / "pit", point)
    assert os.waitpid(child, 0)[1] in {9, 0}
    again = Vault.open(tmp_path / "pit", is_writable=True, clock=clock)
    left = ids(again)
    assert left >= {ref.id for ref in refs[10:]}
    for ref in refs:
        if ref.id in left:
            assert again.get(ref.id).ref == ref
        else:
            with pytest.raises(PitNotFound):
                again.get(ref.id)
    verdict = verify(again.root)
    assert (verdict.damages, verdict.unlisted) == ([], [])
    again.close()


def killed_at(path: Path, point: int) -> None:
    """Delete the ten oldest in this process, and die by SIGKILL at the so-manieth removal of a name."""
    vault = Vault.open(path, is_writable=True, clock=ManualClock(START + 24 * HOUR + 9))
    unlink, calls = os.unlink, iter(range(10_000))

    def dying(name: str, **folder: int) -> None:
        if next(calls) == point:
            os.kill(os.getpid(), 9)
        unlink(name, **folder)

    setattr(os, "unlink", dying)  # noqa: B010  this process dies with it
    retention.sweep(vault, is_confirmed=True)
    os._exit(0)


def test_days_that_are_empty_go_and_the_manifest_is_cut(
    vault: Vault, clock: ManualClock, tmp_path: Path
) -> None:
    for number in range(10):
        keep(vault, draft(number, ts_wall=START + number * 24 * HOUR))
    clock.wall = START + 9 * 24 * HOUR + HOUR
    plan = retention.sweep(vault, is_confirmed=True)
    assert len(plan.going) == 9
    folder = tmp_path / "pit" / "btc-usdt@binance@warm.klines@1h"
    assert sorted(path.name for path in folder.iterdir()) == ["2026-11-29", "2026-11-30", "metadata"]
    names = sorted(path.name for path in (tmp_path / "pit" / ".manifest").iterdir())
    assert names == [f"{number:016d}.jsonl" for number in (10, 11, 20)]
    (ref,) = keep(vault, draft(50))
    vault.close()
    again = Vault.open(tmp_path / "pit", is_writable=True, clock=clock)
    assert again.at(ENTITY, clock.wall).id == ref.id
    assert len(again.list(ENTITY, 0, 2**62)) == 2
    assert again.manifest.damages == []
    assert verify(again.root).damages == []
    (again_put,) = keep(again, draft(0))
    assert again.get(again_put.id).message == b"answer 0", "what was dropped may be kept anew"
    again.close()
    (tmp_path / "pit" / ".manifest" / names[0]).unlink()
    reader = Vault.open(tmp_path / "pit", is_writable=False)
    assert verify(reader.root).damaged == [f".manifest/{names[0]}"]
    reader.close()


def test_a_sweep_of_many_is_recorded_in_pieces_that_a_reader_accepts(
    vault: Vault, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "RECORDS_MAX", 7)
    refs = keep(vault, *(draft(number, ts_wall=START + number) for number in range(20)))
    sizes: list[int] = []
    record = vault.writer.record

    def counted(rows: list[dict[str, object]]) -> None:
        sizes.append(len(rows))
        record(rows)

    monkeypatch.setattr(vault.writer, "record", counted)
    clock.wall = START + MONTH
    plan = retention.sweep(vault, is_confirmed=True)
    assert [ref.id for ref in plan.going] == [ref.id for ref in refs]
    assert sizes == [7, 7, 6]
    assert ids(vault) == set()
    assert not verify(vault.root).damaged
