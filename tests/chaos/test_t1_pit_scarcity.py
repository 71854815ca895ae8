"""Snapshots where the system refuses: a forbidden or read-only directory, and no descriptors."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from datafacade.errors import FacadeError, PitFull, PitUnusable, PitWriteFailed
from datafacade.serve.status import refuse
from datafacade.store.pit import PitStore
from datafacade.store.pit.files import DiskFile, DiskFolder
from datafacade.store.pit.record import PitRef
from datafacade.store.pit.vault import Vault
from tests.chaos.harness import bounded
from tests.chaos.harness.vaults import OTHER, assert_whole
from tests.unit.store.pit.fakes import ENTITY, draft, keep

pytestmark = pytest.mark.chaos

AT_ONCE_S = 1.0
UNAVAILABLE = 14
is_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")


def refused(store: PitStore, number: int, *, entity: str = ENTITY) -> FacadeError | None:
    """Commit one snapshot; return why that was refused, None if it was not; it must not take long."""
    start = time.monotonic()
    one = draft(number, entity=entity)
    told = store.submit(one).exception(30)
    assert time.monotonic() - start < AT_ONCE_S, "not at once"
    assert told is None or isinstance(told, FacadeError), told
    return told


def folders_of(path: Path) -> list[Path]:
    """Return a directory and all below it, the upper ones first."""
    return [path, *sorted(inner for inner in path.rglob("*") if inner.is_dir())]


def forbid(folders: list[Path], mode: int) -> None:
    """Give directories a mode that lets less happen."""
    for path in reversed(folders):
        path.chmod(mode)


def permit(folders: list[Path]) -> None:
    """Let the owner use them again."""
    for path in folders:
        path.chmod(0o750)


@pytest.fixture
def base() -> Iterator[Path]:
    """Return a directory of the user nobody, who could not go the way to one of pytest's."""
    made = Path(tempfile.mkdtemp(prefix="datafacade-"))
    made.chmod(0o755)
    os.chown(made, bounded.NOBODY, bounded.NOBODY)
    yield made
    shutil.rmtree(made)


@pytest.mark.proves("ROW-F11")
@is_root
@pytest.mark.parametrize("mode", [0o555, 0o000])
def test_a_directory_that_becomes_forbidden_costs_commits_alone_and_comes_back_by_itself(
    base: Path, mode: int
) -> None:
    def act() -> None:
        bounded.become_nobody()
        path = base / "pit"
        store = PitStore.open(path)
        assert refused(store, 1) is None
        kept = store.at(ENTITY, 2**62)
        folders = folders_of(path)
        forbid(folders, mode)
        with pytest.raises(PermissionError):
            (path / "planted").write_text("the fault is there")
        for number in range(2, 6):
            error = refused(store, number, entity=OTHER if number % 2 else ENTITY)
            assert isinstance(error, PitWriteFailed | PitUnusable), error
            assert refuse(error).code == UNAVAILABLE
        assert store.stats().failure, "it is told"
        assert store.find(kept.id) == store.at(ENTITY, 2**62) == kept
        if mode:
            assert store.get(kept.id).message == draft(1).message
        else:
            with pytest.raises(PitUnusable):  # not PitCorrupt: nothing is known of its bytes
                store.get(kept.id)
        permit(folders)
        for number in range(2, 6):
            assert refused(store, number, entity=OTHER if number % 2 else ENTITY) is None, "without a restart"
        assert store.get(kept.id).message == draft(1).message
        assert not store.stats().failure
        store.close()
        assert_whole(path, 5)

    assert bounded.in_child(act).status == 0


@pytest.mark.proves("ROW-F11")
@is_root
def test_a_directory_that_is_forbidden_at_the_start_is_told_and_can_be_used_later(base: Path) -> None:
    def act() -> None:
        bounded.become_nobody()
        path = base / "pit"
        base.chmod(0o555)
        with pytest.raises(PitUnusable):
            PitStore.open(path)
        base.chmod(0o755)
        store = PitStore.open(path)
        assert refused(store, 1) is None
        store.close()
        folders = folders_of(path)
        forbid(folders, 0o500)
        store = PitStore.open(path)  # what it holds can be read
        assert store.get(store.at(ENTITY, 2**62).id).message == draft(1).message
        assert isinstance(refused(store, 2), PitWriteFailed)
        permit(folders)
        assert refused(store, 2) is None
        store.close()
        assert_whole(path, 2)

    assert bounded.in_child(act).status == 0


@pytest.mark.proves("ROW-F11")
@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.EPERM])
def test_a_disk_that_is_remounted_read_only_is_told_and_nothing_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    store = PitStore.open(tmp_path)
    assert refused(store, 1) is None
    tried: list[str] = []

    def read_only(name: str) -> Callable[..., None]:
        def call(*_: object) -> None:
            tried.append(name)
            raise OSError(number, os.strerror(number))

        return call

    with monkeypatch.context() as patch:
        for kind, name in (
            *((DiskFolder, name) for name in ("make", "create", "append", "link", "unlink", "move")),
            (DiskFile, "write"),
        ):
            patch.setattr(kind, name, read_only(name))
        assert isinstance(refused(store, 2), PitWriteFailed)
        assert isinstance(refused(store, 3, entity=OTHER), PitWriteFailed)
        assert len(tried) >= 2, "the fault was never met"
        assert store.get(store.at(ENTITY, 2**62).id).message == draft(1).message
    assert refused(store, 2) is None
    store.close()
    assert_whole(tmp_path, 2)


@pytest.mark.proves("ROW-F12")
def test_without_descriptors_new_work_is_refused_and_no_good_file_is_put_aside(tmp_path: Path) -> None:
    def act() -> None:
        store = PitStore.open(tmp_path / "pit")
        kept = [put(store, number) for number in range(40)]
        for left in range(8):
            run_out(store, kept, left=left)
            assert refused(store, 100 + left, entity=OTHER) is None, "it goes on when there are some"
            for ref in kept[::7]:
                assert store.get(ref.id).message == draft(kept.index(ref)).message
        store.close()
        assert_whole(tmp_path / "pit", len(ids_in(tmp_path / "pit")))
        assert not list((tmp_path / "pit" / ".quarantine").iterdir())

    assert bounded.in_child(act).status == 0


def put(store: PitStore, number: int) -> PitRef:
    """Commit one snapshot."""
    return store.submit(draft(number)).result(30)


def run_out(store: PitStore, kept: list[PitRef], *, left: int) -> None:
    """Use a store while only so many descriptors are to be had."""
    codes = set()
    with bounded.few_descriptors(left):
        for number in range(3):
            entity = f"warm.klines/okx/S{left}{number}/1m"  # its folders are not open
            error = refused(store, 1_000 + 10 * left + number, entity=entity)
            if error is not None:
                assert not isinstance(error, PitFull)
                codes.add(refuse(error).code)
        for ref in kept[:5]:
            try:
                assert store.get(ref.id).ref == ref
            except PitUnusable as error:
                codes.add(refuse(error).code)
        assert store.at(ENTITY, 2**62).id in {ref.id for ref in kept}, "what is in memory is answered"
    assert codes <= {UNAVAILABLE}
    assert codes or left > 2, "the fault was never met"


def ids_in(path: Path) -> list[str]:
    """Return the ids of all that a store holds."""
    reader = Vault.open(path, is_writable=False)
    try:
        return [ref.id for ref in reader.catalog.index.refs()]
    finally:
        reader.close()


@pytest.mark.proves("ROW-F12")
@pytest.mark.parametrize("call", ["open", "read"])
def test_a_start_without_descriptors_puts_nothing_aside_wherever_they_run_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    vault = Vault.open(tmp_path, is_writable=True)
    keep(vault, *map(draft, range(6)))
    vault.close()
    real, made = getattr(DiskFolder, call), 0

    def scarce(folder: DiskFolder, *values: object, **named: object) -> object:
        nonlocal made
        made += 1
        if made == point:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return real(folder, *values, **named)

    point, met = 0, 0
    monkeypatch.setattr(DiskFolder, call, scarce)
    while made >= point:
        point, made = point + 1, 0
        try:
            Vault.open(tmp_path, is_writable=True).close()
        except PitUnusable:
            met += 1
    monkeypatch.undo()
    assert met >= 5, "the fault was hardly ever met"
    assert not list((tmp_path / ".quarantine").iterdir())
    assert_whole(tmp_path, 6)


@pytest.mark.proves("ROW-F12")
def test_a_manifest_that_cannot_be_read_for_a_moment_is_read_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, other = PitStore.open(tmp_path), Vault.open(tmp_path, is_writable=True)
    asyncio.run(store.put(ENTITY, "K", b"first", readable={}))
    real = DiskFolder.read
    with monkeypatch.context() as patch:

        def scarce(folder: DiskFolder, name: str, *, offset: int = 0, size: int | None = None) -> bytes:
            if name.endswith(".jsonl"):
                raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
            return real(folder, name, offset=offset, size=size)

        patch.setattr(DiskFolder, "read", scarce)
        error = keep_one(other, 7)
        assert isinstance(error, PitWriteFailed), "what others wrote could not be read"
    assert keep_one(other, 7) is None
    assert refused(store, 8) is None
    other.close()
    store.close()
    assert_whole(tmp_path, 3)


def keep_one(vault: Vault, number: int) -> FacadeError | None:
    """Commit one snapshot; return why that was refused."""
    try:
        keep(vault, draft(number))
    except FacadeError as error:
        return error
    return None
