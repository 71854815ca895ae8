"""A store of a million snapshots: how long a start takes, and a question of what was known at a time."""

from __future__ import annotations

import os
import random
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from datafacade.store.pit.names import JSON, METADATA, PROTO, TEMP
from datafacade.store.pit.vault import Vault
from tests.chaos.disks import vast
from tests.chaos.harness import bounded
from tests.chaos.harness.figures import Figures
from tests.chaos.harness.tier import IS_FULL

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]  # to make and remove the store takes minutes

COUNT: Final = 1_000_000 if IS_FULL else 20_000
ENTITIES: Final = 1_000 if IS_FULL else 20
START_MAX_MS: Final = 5_000
AT_MAX_MS: Final = 50
ASKED: Final = 2_000
BYTES_EACH: Final = 200  # of memory


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return the store; it takes gigabytes of directories, so it goes as soon as it was looked at."""
    path = tmp_path_factory.mktemp("vast") / "pit"
    vast.make(path, COUNT, entities=ENTITIES)
    os.sync()  # a start is measured, not the disk that still writes what was made
    yield path
    shutil.rmtree(path)


def started(path: Path, *, is_writable: bool) -> tuple[float, int, dict[str, Any]]:
    """Start in a process of its own; return how long it took, what is live and what was found."""

    def act() -> tuple[float, int, dict[str, Any]]:
        begin = time.perf_counter()
        vault = Vault.open(path, is_writable=is_writable)
        took = time.perf_counter() - begin
        return took, len(vault.catalog.index), vault.findings.told()

    ended = bounded.in_child(act)
    assert ended.status == 0
    each = ended.grown_bytes / COUNT
    sys.stdout.write(f"ROW-F20 writable={is_writable}: {ended.result[0]:.2f} s, {each:.0f} bytes each\n")
    assert ended.grown_bytes <= 128 * 2**20 + BYTES_EACH * COUNT
    return ended.result  # type: ignore[no-any-return]


@pytest.mark.proves("ROW-F20")
def test_a_start_of_a_million_takes_five_seconds_and_still_puts_everything_in_order(store: Path) -> None:
    clean = {"temps": 0, "finished": 0, "adopted": [], "quarantined": [], "damaged": []}
    figures = Figures("ROW-F20", "start", START_MAX_MS)
    for is_writable in (True, False):
        took, live, found = started(store, is_writable=is_writable)
        assert (live, found) == (COUNT, clean)
        figures.add(int(took * 1e9))
    figures.check()
    plant(store)
    assert started(store, is_writable=True)[2] | {"quarantined": []} == clean | {"temps": 2, "finished": 0}
    assert len([*(store / ".quarantine").iterdir()]) == 2, "a file of nobody's, one under a strange entity"
    assert started(store, is_writable=True)[2] == clean


def plant(store: Path) -> None:
    """Leave what a crash leaves, in the first and in the last directory that a start comes to."""
    first, *_, last = sorted(path for path in store.iterdir() if not path.name.startswith("."))
    digits = "ab" * 16
    for folder in (first, last):
        (folder / METADATA / f"{TEMP}dead-1").touch()
    (
        next(folder for folder in last.iterdir() if folder.name != METADATA)
        / f"20261121_000000_{digits}{JSON}"
    ).touch()
    (first / METADATA / f"{digits[:31]}c.meta.json").touch()
    (first / METADATA / f"not-ours{PROTO}").touch()  # stays where it is


@pytest.mark.proves("ROW-F20")
def test_what_was_known_at_a_time_is_found_at_once_among_a_million(store: Path) -> None:
    draw = random.Random(20)
    vault = Vault.open(store, is_writable=False)
    figures = Figures("ROW-F20", "as-of lookup", AT_MAX_MS)
    step = vast.DAY_NS // COUNT
    for _ in range(ASKED):
        number = draw.randrange(ENTITIES, COUNT)
        # until the next one of its entity comes, this is what was known
        ts = vast.ts_of(number, COUNT) + draw.randrange(step * ENTITIES)
        begin = time.perf_counter_ns()
        found = vault.at(vast.entity_of(number, ENTITIES), ts)
        figures.add(time.perf_counter_ns() - begin)
        assert found.ts_wall == vast.ts_of(number, COUNT)
        assert found.seq == number + 1
    figures.check()
    vault.close()
