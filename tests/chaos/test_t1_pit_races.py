"""Rows F08 and F09: processes that commit the same, and readers beside writers."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from datafacade.errors import FacadeError, PitNotFound
from datafacade.store.pit import PitStore
from datafacade.store.pit.content import prepare
from datafacade.store.pit.vault import Vault
from tests.chaos.harness.vaults import assert_clean, before
from tests.unit.store.pit.fakes import draft

pytestmark = pytest.mark.chaos


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
    assert_clean(path, 1_001)


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
    assert_clean(tmp_path / "pit", 1_000)
