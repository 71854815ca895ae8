"""``datafacade demo --pit`` as a user meets it: what it named is whole, however it ended."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE
from typing import Any

import pytest
import typer

from datafacade.cli import pit
from datafacade.store.pit.vault import Vault
from tests.chaos.harness.tier import IS_FULL
from tests.integration.cli.running import VERB, run

PATIENCE_S = 60.0
KILLS = 20 if IS_FULL else 3
TAKEN = 20
FLIPS = 1_000


@contextmanager
def demo(folder: Path, wanted: int) -> Iterator[subprocess.Popen[str]]:
    """Run the demo meanwhile; its temporary files go into the folder."""
    words = [*VERB, "demo", "--pit", str(wanted), "--dir", str(folder / "pit"), "--json"]
    environment = {"TMPDIR": str(folder), "PATH": os.environ["PATH"], "TERM": "dumb"}
    process = subprocess.Popen(words, stdout=PIPE, stderr=PIPE, text=True, env=environment)  # noqa: S603  ours
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.communicate(timeout=PATIENCE_S)
        finally:
            process.kill()


def ids_of(lines: list[str]) -> list[str]:
    """Return the ids of whole lines; a kill may cut the last one."""
    told = [json.loads(line) for line in lines if line.endswith("\n")]
    return [line["id"] for line in told if "id" in line]


def lost(path: Path, ids: list[str]) -> list[str]:
    """Return those that are not whole."""
    vault = Vault.open(path, is_writable=False)
    try:
        return [one for one in ids if vault.bad_files(one) or vault.get(one).ref.id != one]
    finally:
        vault.close()


@pytest.fixture(scope="module")
def taken(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str], list[dict[str, Any]]]:
    """Return a store that a demo filled, the ids and all lines that it told."""
    folder = tmp_path_factory.mktemp("demo")
    with demo(folder, TAKEN) as process:
        results, remarks = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, remarks
    lines = results.splitlines(keepends=True)
    return folder / "pit", ids_of(lines), [json.loads(line) for line in lines]


def test_it_names_each_snapshot_once_and_counts_them_at_the_end(
    taken: tuple[Path, list[str], list[dict[str, Any]]],
) -> None:
    path, ids, lines = taken
    assert lines[-1] == {"snapshots": TAKEN}
    assert [set(line) for line in lines[:-1]] == [{"id"}] * TAKEN
    assert len(set(ids)) == TAKEN
    assert os.listdir(path.parent) == ["pit"]
    verdict = run("pit", "verify", "--dir", str(path), "--json")
    told = json.loads(verdict.stdout)
    assert (verdict.returncode, told["damaged"]) == (0, [])
    assert told["ok"] == told["snapshots"] >= TAKEN
    found = run("pit", "get", ids[-1], "--dir", str(path), "--json")
    assert json.loads(found.stdout)["id"] == ids[-1]


@pytest.mark.proves("ROW-F01")
@pytest.mark.skipif(sys.platform != "linux", reason="the service outlives a killed demo elsewhere")
@pytest.mark.parametrize("seed", range(KILLS))
def test_what_a_killed_demo_has_named_is_whole(tmp_path: Path, seed: int) -> None:
    ending = random.Random(seed).randrange(1, 150)
    with demo(tmp_path, 100_000) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(ending)]
        process.kill()
        lines += process.stdout.readlines()
    ids = ids_of(lines)
    assert len(ids) >= ending - 1
    assert lost(tmp_path / "pit", ids) == []
    verdict = run("pit", "verify", "--dir", str(tmp_path / "pit"), "--json")
    assert (verdict.returncode, json.loads(verdict.stdout)["damaged"]) == (0, []), verdict.stdout
    found = run("pit", "get", ids[-1], "--dir", str(tmp_path / "pit"), "--json")
    assert json.loads(found.stdout)["id"] == ids[-1]


@pytest.mark.proves("ROW-F05")
@pytest.mark.timeout(600)
def test_every_flipped_bit_in_its_store_is_found(
    taken: tuple[Path, list[str], list[dict[str, Any]]], capsys: pytest.CaptureFixture[str]
) -> None:
    path, _, _ = taken
    files = sorted(file for file in path.rglob("*") if file.is_file() and file.stat().st_size)
    dice = random.Random(11)
    missed = []
    for _ in range(FLIPS):
        file = dice.choice(files)
        content = file.read_bytes()
        at, bit = dice.randrange(len(content)), dice.randrange(8)
        file.chmod(0o640)
        file.write_bytes(content[:at] + bytes([content[at] ^ (1 << bit)]) + content[at + 1 :])
        with pytest.raises(typer.Exit) as ended:  # the verb itself: a process for each would take an hour
            pit.verify(path, as_json=True)
        damaged = json.loads(capsys.readouterr().out)["damaged"]
        relative = str(file.relative_to(path))
        is_named = any(what == relative or (len(what) == 64 and what[:32] in relative) for what in damaged)
        if ended.value.exit_code != 1 or not is_named:
            missed.append((relative, at, bit, damaged))
        file.write_bytes(content)
    assert missed == []


@pytest.mark.parametrize(
    "words",
    [
        ("--pit", "3"),
        ("--dir", "x"),
        ("--pit", "3", "--dir", "x", "--warm", "9"),
        ("--pit", "0", "--dir", "x"),
    ],
)
def test_words_that_do_not_fit_are_refused(words: tuple[str, ...]) -> None:
    assert run("demo", *words).returncode == 2
