"""What a start finds in the tree, against a plain walk; names in a directory, against the library."""

from __future__ import annotations

import errno
import os
import random
from pathlib import Path

import pytest

from datafacade.store.pit.files import DiskFolder
from datafacade.store.pit.names import METADATA, TEMP
from datafacade.store.pit.record import DROP, PUT, record_from
from datafacade.store.pit.recovery import strays
from datafacade.store.pit.vault import Vault
from datafacade.store.pit.verify import verify
from tests.unit.store.pit.fakes import HOUR, START, draft, keep

VENUES = ("binance", "okx", "kraken")


def filled(vault: Vault, count: int) -> None:
    """Keep snapshots of some entities over some days, and let a few go without their files."""
    drafts = [
        draft(number, entity=f"k/{VENUES[number % 3]}/BTC-USD", ts_wall=START + 5 * HOUR * number)
        for number in range(count)
    ]
    refs = keep(vault, *drafts)
    with vault.writer.turn():
        vault.writer.record([{"op": DROP, "id": ref.id, "ts": START} for ref in refs[::5]])


def live_files(vault: Vault) -> set[str]:
    """Return the files of all live snapshots as their records name them."""
    records = [record_from(line) for line in vault.manifest.told() if line["op"] == PUT]
    return {file.name for one in records if one.id in vault.catalog.index for file in one.files}


def walked(path: Path) -> set[str]:
    """Return every name two levels below a directory, hidden ones left out; links are not followed."""
    found = set()
    for entity in path.iterdir():
        for folder in entity.iterdir() if entity.name[0] != "." and is_folder(entity) else ():
            names = os.listdir(folder) if is_folder(folder) else ()
            found |= {f"{entity.name}/{folder.name}/{name}" for name in names}
    return found


def is_folder(path: Path) -> bool:
    """Tell whether it is a directory itself."""
    return path.is_dir() and not path.is_symlink()


def plant(path: Path, draw: random.Random) -> None:
    """Put files where none belong: of all kinds of names, in folders of all kinds."""
    day = next(folder for folder in path.iterdir() if folder.name.endswith("@okx@k")) / "2026-11-21"
    names = [b".tmp-dead-1", b"\xff\xfe", "ä".encode(), b"a\nb", b"x" * 255, b".json.gz", b"metadata"]
    names += [os.fsencode(name) for name in os.listdir(day)[:2]]
    folders = [*(folder for entity in path.glob("*@k") for folder in entity.iterdir())]
    folders += [day.parent / "metadata2", day.parent / os.fsdecode(b"\xff"), path / "nobody@okx@k" / day.name]
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
        for name in draw.sample(names, 4):
            (folder / os.fsdecode(name)).touch(exist_ok=True)
    (path / "linked@okx@k").symlink_to(day.parent, target_is_directory=True)
    (day.parent / "2026-11-20").symlink_to(day, target_is_directory=True)
    (day.parent / METADATA / "deeper").mkdir()
    (day.parent / "file").touch()


@pytest.mark.parametrize("seed", range(4))
def test_exactly_the_files_of_no_live_snapshot_are_strays(vault: Vault, tmp_path: Path, seed: int) -> None:
    path = tmp_path / "pit"
    filled(vault, 40)
    plant(path, random.Random(seed))
    found = strays(vault.root, vault.catalog.index)
    assert found == sorted(found)
    assert all(names == sorted(names) and names for *_, names in found)
    told = {f"{entity}/{day}/{name}" for entity, day, names in found for name in names}
    assert told == walked(path) - live_files(vault)
    assert {*verify(vault.root).unlisted} - told == {"linked@okx@k"}


def test_a_start_removes_what_a_crash_left_and_touches_nothing_that_it_does_not_know(
    vault: Vault, tmp_path: Path
) -> None:
    path = tmp_path / "pit"
    filled(vault, 40)
    plant(path, random.Random(5))
    kept, before = live_files(vault), walked(path)
    vault.close()
    again = Vault.open(path, is_writable=True)
    left = walked(path)
    temps = {name for name in before if name.rpartition("/")[2].startswith(TEMP)}
    assert again.findings.temps == len(temps) > 0
    assert again.findings.finished >= 8 * 3, "three files of each that was dropped"
    assert kept <= left
    assert not temps & left
    unknown = {name for name in before if name.endswith(("/a\nb", "/\udcff\udcfe", f"/{'x' * 255}"))}
    assert unknown
    assert unknown <= left
    again.close()


@pytest.mark.parametrize("count", [0, 1, 5_000])
def test_a_listing_is_what_the_directory_holds_however_often_it_is_read(tmp_path: Path, count: int) -> None:
    for number in range(count):
        (tmp_path / os.fsdecode(b"%d\xff" % number + b"y" * (number % 200))).touch()
    folder = DiskFolder.root(tmp_path, is_made=False)
    wanted = sorted(os.fsencode(name) for name in os.listdir(tmp_path))
    for _ in range(2):
        assert sorted(folder.listing().split(b"\0")) == sorted([b"", *wanted])
        assert folder.names() == sorted(os.listdir(tmp_path))
    folder.close()


def test_a_listing_of_what_is_no_open_directory_is_refused_by_its_number(tmp_path: Path) -> None:
    file = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    with pytest.raises(NotADirectoryError) as no_folder:
        DiskFolder(file).listing()
    assert no_folder.value.errno == errno.ENOTDIR
    os.close(file)
    for closed in (file, -1, 2**31 - 1):
        with pytest.raises(OSError, match="descriptor") as gone:
            DiskFolder(closed).listing()
        assert gone.value.errno == errno.EBADF
