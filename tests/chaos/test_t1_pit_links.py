"""Rows F13 and F14: planted links, and names that would lead out of the store."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from datafacade.errors import PitCorrupt, PitExists, PitNotFound, PitUnusable, PitWriteFailed
from datafacade.store.pit.content import prepare
from datafacade.store.pit.record import PitRef
from datafacade.store.pit.vault import Vault
from datafacade.store.pit.verify import verify
from tests.chaos.harness import killing
from tests.chaos.harness.killing import STRACE
from tests.chaos.harness.vaults import OTHER, before, opened
from tests.unit.store.pit.fakes import ENTITY, ManualClock, commit, draft, keep

pytestmark = pytest.mark.chaos


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
    ready, is_ready = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(writing)
        vault = opened(path)
        os.write(is_ready, b"!")
        killing.wait_for(reading)
        os._exit(sum(isinstance(outcome, PitRef) for outcome in commit(vault, drafts)))
    os.close(reading)
    os.read(ready, 1)
    ended = killing.straced(child, lambda: os.close(writing), trace, "-y", "-e", "trace=%file,%desc")
    for descriptor in (ready, is_ready):
        os.close(descriptor)
    assert ended == len(symbols)
    opens = [line for line in trace.read_text().splitlines() if "openat(" in line or "mkdirat(" in line]
    assert len(opens) > 20
    for line in opens:
        assert f"<{path.resolve()}" in line.partition(",")[0], line
        assert "/" not in line.split('"')[1], line
    assert not any(ENTITY in line for line in opens)
