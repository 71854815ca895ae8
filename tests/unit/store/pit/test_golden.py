"""Stores that older releases wrote stay readable: ``golden/RELEASE.tar.gz``, which never changes."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest

from datafacade.store.pit.vault import Vault
from datafacade.store.pit.verify import verify
from tests.unit.store.pit.fakes import ENTITY, START, ManualClock, draft, keep

GOLDEN = sorted((Path(__file__).parent / "golden").glob("*.tar.gz"))
OTHER = "warm.ticker/okx/kPEPE-USDT"
TABLE = "reference.instruments/okx/"


@pytest.mark.proves("ROW-F17")
@pytest.mark.parametrize("archive", GOLDEN, ids=lambda path: path.name)
@pytest.mark.parametrize("is_writable", [False, True])
def test_a_store_of_an_older_release_is_whole_and_can_be_written_on(
    archive: Path, tmp_path: Path, is_writable: bool
) -> None:
    with tarfile.open(archive) as packed:
        packed.extractall(tmp_path, filter="data")
    vault = Vault.open(tmp_path / "pit", is_writable=is_writable, clock=ManualClock())
    verdict = verify(vault.root)
    assert (verdict.snapshots, verdict.ok, verdict.damages, verdict.unlisted) == (5, 5, [], [])
    found = vault.list(ENTITY, 0, 2**62)
    assert [vault.get(ref.id).message for ref in found] == [b"answer 1", b"answer 3", b"answer 4"]
    assert found[1].labels == ("keep:golden",)
    assert vault.catalog.index.is_held(found[0].id), "another one was made from it"
    assert vault.at(OTHER, START).labels == ("mine",)
    assert vault.get(vault.at(TABLE, START).id).frame().rows() == [("BTC-USDT", "0.1"), ("ETH-USDT", "0.01")]
    if is_writable:
        assert keep(vault, draft(9))[0].seq == 7
        assert verify(vault.root).damages == []
    vault.close()


def test_there_is_a_store_of_each_release() -> None:
    assert [path.name for path in GOLDEN] == ["0.1.tar.gz"]


@pytest.mark.proves("ROW-F17")
def test_what_is_written_today_has_the_form_of_the_newest_golden_store(tmp_path: Path) -> None:
    with tarfile.open(GOLDEN[-1]) as packed:
        packed.extractall(tmp_path, filter="data")
    vault = Vault.open(tmp_path / "today", is_writable=True, clock=ManualClock())
    (ref,) = keep(vault, draft(1))
    vault.close()
    names = {path.relative_to(tmp_path / "today") for path in (tmp_path / "today").rglob(f"*{ref.id[:32]}*")}
    assert names == {
        path.relative_to(tmp_path / "pit") for path in (tmp_path / "pit").rglob(f"*{ref.id[:32]}*")
    }
    told = [form_of(tmp_path / name, ref.id) for name in ("pit", "today")]
    assert told[0] == told[1], "a new form is a new release: pack a store of it too"


def form_of(path: Path, snapshot_id: str) -> tuple[object, ...]:
    """Return what a store tells of a snapshot, but for how its readable form was packed, and its group."""
    meta = json.loads(next(path.rglob(f"{snapshot_id[:32]}.meta.json")).read_bytes())
    for file in meta["files"]:
        if not file["path"].endswith(".pb"):
            del file["sha256"], file["size_bytes"]
    lines = [line for file in (path / ".manifest").iterdir() for line in file.read_text().splitlines()]
    line = next(json.loads(line) for line in lines if f'"id":"{snapshot_id}"' in line)
    packed = {"json", "meta", "lines", "hash"}
    return meta, [*meta], [name for name in line if name != "lines"], {**line, **dict.fromkeys(packed)}
