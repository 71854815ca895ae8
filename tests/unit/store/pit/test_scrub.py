"""The scrub against ``verify`` as oracle: all damage is found, none is invented, wherever it begins."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from datafacade.clock import SystemClock
from datafacade.store.pit import PitStore, retention, scrub, writer
from datafacade.store.pit.scrub import DAMAGED, Scrub
from datafacade.store.pit.upkeep import Upkeep
from datafacade.store.pit.vault import Vault
from datafacade.store.pit.verify import verify
from tests.unit.store.pit.fakes import ENTITY, HOUR, ManualClock, draft, keep

SNAPSHOTS = 40
SHORT_HOURS = 1e-9
PATIENCE_S = 60.0


def scrub_of(path: Path, store: PitStore | None, *, hours: float = SHORT_HOURS) -> Scrub:
    return Scrub(path, lambda: store, clock=SystemClock(), hours=hours, mark=path.parent / "mark")


def filled(path: Path, clock: ManualClock) -> PitStore:
    """Return a store whose segments hold groups of four."""
    vault = Vault.open(path, is_writable=True, clock=clock)
    for number in range(0, SNAPSHOTS, 4):
        keep(vault, *(draft(number + more) for more in range(4)))
    vault.close()
    return PitStore.open(path, clock=clock)


async def until(claim: Callable[[], bool]) -> None:
    """Wait until it holds."""
    begin = time.monotonic()
    while not claim():
        assert time.monotonic() - begin < PATIENCE_S
        await asyncio.sleep(0.001)


async def through(one: Scrub) -> None:
    """Let it read everything once."""
    task = asyncio.create_task(one.run())
    await until(lambda: one.stats.ts_through > 0 or task.done())
    task.cancel()
    await asyncio.wait([task])
    assert one.stats.ts_through


def flip(path: Path, random: Random) -> None:
    content = bytearray(path.read_bytes())
    content[random.randrange(len(content))] ^= 1 << random.randrange(8)
    path.chmod(0o640)
    path.write_bytes(content)


@pytest.mark.proves("REQ-H9")
@pytest.mark.parametrize("seed", range(6))
async def test_what_verify_finds_is_found_without_a_reader_and_put_aside(tmp_path: Path, seed: int) -> None:
    random, path = Random(seed), tmp_path / "pit"
    store = filled(path, ManualClock())
    files = sorted(file for file in path.glob("btc*/**/*") if file.is_file())
    chosen = random.sample(files, 5)
    for file in chosen[:4]:
        flip(file, random)
    os.unlink(chosen[4])
    reader = Vault.open(path, is_writable=False)
    expected = verify(reader.root).damaged
    one = scrub_of(path, store)
    await through(one)
    assert sorted(one.stats.damaged) == expected
    assert one.damaged() == len(expected)
    assert one.stats.snapshots == SNAPSHOTS
    assert Upkeep(scrub=one).warnings() == [DAMAGED]
    assert len(list((path / ".quarantine").iterdir())) == 4
    assert verify(reader.root).damaged == expected
    reader.close()
    store.close()


@pytest.mark.proves("REQ-H9")
async def test_a_flipped_bit_of_the_manifest_is_found(tmp_path: Path) -> None:
    path = tmp_path / "pit"
    store = filled(path, ManualClock())
    segment = sorted((path / ".manifest").iterdir())[3]
    flip(segment, Random(1))
    one = scrub_of(path, store)
    await through(one)
    assert f".manifest/{segment.name}" in one.stats.damaged
    assert one.damaged() >= 1
    store.close()


async def test_a_store_that_is_written_folded_and_swept_meanwhile_has_no_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "FOLD_SEGMENTS", 3)
    monkeypatch.setattr(scrub, "PACE_S_MAX", 0.0005)
    path, clock = tmp_path / "pit", ManualClock()
    store = filled(path, clock)
    one = scrub_of(path, store)
    task = asyncio.create_task(one.run())
    for number in range(SNAPSHOTS, SNAPSHOTS + 60):
        await asyncio.wrap_future(store.submit(draft(number)))
        if number % 10 == 0:
            clock.wall += 25 * HOUR
            await store.run(retention.sweep)
    one.stats.ts_through = 0
    await until(lambda: one.stats.ts_through > 0)
    task.cancel()
    await asyncio.wait([task])
    assert one.stats.snapshots > SNAPSHOTS
    assert one.stats.damaged == {}
    store.close()


async def test_another_start_goes_on_where_the_last_one_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scrub, "MARK_S", 0.0)
    path = tmp_path / "pit"
    store = filled(path, ManualClock())
    first = scrub_of(path, store, hours=1.0)
    monkeypatch.setattr(scrub, "PACE_S_MAX", 0.01)
    task = asyncio.create_task(first.run())
    await until(lambda: first.stats.snapshots >= SNAPSHOTS // 2 + 2)  # amid a group
    task.cancel()
    await asyncio.wait([task])
    second = scrub_of(path, store)
    await through(second)
    read = first.stats.snapshots + second.stats.snapshots
    assert SNAPSHOTS <= read <= SNAPSHOTS + 8, "a group at most is read twice"
    third = scrub_of(path, store)
    await through(third)
    assert third.stats.snapshots == SNAPSHOTS, "what was through begins anew"
    (tmp_path / "mark").write_text("nonsense")
    fourth = scrub_of(path, store)
    await through(fourth)
    assert fourth.stats.snapshots == SNAPSHOTS
    store.close()


async def test_what_retention_took_is_no_damage_any_more(tmp_path: Path) -> None:
    path, clock = tmp_path / "pit", ManualClock()
    store = filled(path, clock)
    (victim,) = path.rglob(f"*{store.list(ENTITY, 0, 2**62)[0].id[:32]}.pb")
    flip(victim, Random(3))
    one = scrub_of(path, store)
    await through(one)
    assert one.damaged() == 1
    clock.wall += 25 * HOUR
    await store.run(lambda vault: retention.sweep(vault, is_confirmed=True))
    assert one.damaged() == 0
    assert Upkeep(scrub=one).warnings() == []
    store.close()


async def test_a_store_that_is_not_open_yet_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scrub, "PACE_S_MAX", 0.001)
    path, held = tmp_path / "pit", list[PitStore]()
    one = Scrub(
        path,
        lambda: held[0] if held else None,
        clock=SystemClock(),
        hours=SHORT_HOURS,
        mark=tmp_path / "mark",
    )
    assert one.damaged() == 0
    task = asyncio.create_task(one.run())
    await asyncio.sleep(0)
    held.append(filled(path, ManualClock()))
    await until(lambda: one.stats.snapshots >= SNAPSHOTS)
    task.cancel()
    await asyncio.wait([task])
    held[0].close()
