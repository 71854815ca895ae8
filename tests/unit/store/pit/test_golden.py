"""Stores that older releases wrote stay readable: ``golden/RELEASE.tar.gz``, which never changes."""

from __future__ import annotations

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
