"""The store of a running service: groups, a bounded queue, readers beside the writer, damage put aside."""

from __future__ import annotations

import asyncio
import gzip
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from datafacade.errors import InvalidRequest, PitCorrupt, PitExists, PitNotFound, PitSkipped, PitWriteFailed
from datafacade.store.pit import PitStore
from datafacade.store.pit.content import Prepared
from datafacade.store.pit.store import WAITING_MAX
from datafacade.store.pit.vault import Vault
from datafacade.store.pit.verify import verify
from datafacade.store.pit.writer import Outcome
from tests.unit.store.pit.fakes import ENTITY, ManualClock, draft


class SlowVault(Vault):
    """A store whose disk takes as long as the test wants."""

    gate: threading.Event
    groups: list[int]

    def commit(self, group: Sequence[Prepared]) -> list[Outcome]:
        """Wait for the test, then commit."""
        self.groups.append(len(group))
        assert self.gate.wait(100)
        return super().commit(group)


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[tuple[PitStore, SlowVault]]:
    """Return a store and its vault, whose disk stands still until the gate is set."""
    vault = SlowVault.open(tmp_path / "pit", is_writable=True, clock=ManualClock())
    vault.gate, vault.groups = threading.Event(), []
    store = PitStore(vault)
    yield store, vault
    vault.gate.set()
    store.close()


async def test_an_answer_is_on_the_disk_when_put_returns(tmp_path: Path) -> None:
    store = PitStore.open(tmp_path / "pit", clock=ManualClock())
    ref = await store.put(ENTITY, "K", b"answer", readable={"a": 1}, sources=["okx"], labels=["keep"], rows=3)
    reader = Vault.open(tmp_path / "pit", is_writable=False)
    assert reader.get(ref.id).message == b"answer"
    assert reader.find(ref.id) == store.find(ref.id) == store.at(ENTITY, ref.ts_wall) == ref
    assert (ref.rows, ref.labels) == (3, ("keep",))
    assert list(store.list(ENTITY, 0, 2**62)) == [ref]
    assert list(store.entities()) == [ENTITY]
    with pytest.raises(PitExists):
        await store.put(ENTITY, "K", b"answer", readable={})
    with pytest.raises(InvalidRequest, match="entity"):
        await store.put("BTC", "K", b"other", readable={})
    reader.close()
    store.close()
    store.close()


async def test_what_is_written_is_counted_before_and_after_packing(tmp_path: Path) -> None:
    store = PitStore.open(tmp_path / "pit", clock=ManualClock())
    for number in range(3):
        await store.put(ENTITY, "K", b"answer %d" % number, readable={"a": "x" * 100 * number})
    await store.put(ENTITY, "table", b"PAR1", readable=None)
    counts = store.stats().counts
    store.close()
    files = [path for path in (tmp_path / "pit").glob("btc*/**/*") if path.is_file()]
    packed = [path for path in files if path.name.endswith(".json.gz")]
    assert counts.bytes_written == sum(path.stat().st_size for path in files)
    assert counts.packed_bytes == sum(path.stat().st_size for path in packed)
    assert counts.text_bytes == sum(len(gzip.decompress(path.read_bytes())) for path in packed)


def test_what_waits_is_bounded_and_what_is_left_out_is_told(slow: tuple[PitStore, SlowVault]) -> None:
    store, vault = slow
    first = store.submit(draft(0))
    while not vault.groups:
        assert not first.done()
    waiting = [store.submit(draft(number)) for number in range(1, 1 + WAITING_MAX)]
    beyond = [store.submit(draft(number)) for number in range(500, 510)]
    for future in beyond:
        with pytest.raises(PitSkipped):
            future.result(0)
    assert (store.stats().waiting, store.stats().counts.skipped) == (WAITING_MAX, 10)
    vault.gate.set()
    assert [future.result(30).seq for future in (first, *waiting)] == list(range(1, 2 + WAITING_MAX))
    assert vault.groups == [1, WAITING_MAX], "all that waited became one group"
    assert store.submit(draft(900)).result(30).seq == 2 + WAITING_MAX
    stats = store.stats()
    assert (stats.snapshots, stats.waiting, stats.counts.committed, stats.counts.groups) == (66, 0, 66, 3)


async def test_who_leaves_before_the_disk_turns_to_it_is_not_kept(slow: tuple[PitStore, SlowVault]) -> None:
    store, vault = slow
    first = store.submit(draft(0))
    while not vault.groups:
        assert not first.done()
    left, stays = store.submit(draft(1)), store.submit(draft(2))
    assert left.cancel()
    vault.gate.set()
    kept = await asyncio.wrap_future(stays)
    assert kept.seq == 2
    assert store.stats().snapshots == 2


async def test_damage_that_a_read_notices_goes_into_quarantine(tmp_path: Path) -> None:
    store = PitStore.open(tmp_path / "pit", clock=ManualClock())
    ref = await store.put(ENTITY, "K", b"answer", readable={"a": 1})
    victim = tmp_path / "pit" / ref.path.replace(".json.gz", ".pb")
    victim.chmod(0o640)
    victim.write_bytes(b"forged")
    with pytest.raises(PitCorrupt):
        store.get(ref.id)
    assert await store.run(lambda vault: len(verify(vault.root).damages)) == 1
    assert not victim.exists()
    assert [path.read_bytes() for path in (tmp_path / "pit" / ".quarantine").iterdir()] == [b"forged"]
    with pytest.raises(PitNotFound):
        store.get("0" * 64)
    store.close()


async def test_work_of_others_runs_on_the_writers_thread_and_its_errors_come_back(tmp_path: Path) -> None:
    store = PitStore.open(tmp_path / "pit", clock=ManualClock())
    name = await store.run(lambda _: threading.current_thread().name)
    assert name == "pit-writer"
    with pytest.raises(PitNotFound):
        await store.run(lambda vault: vault.label("0" * 64, ["keep"]))
    store.close()


async def test_a_failure_nobody_thought_of_reaches_all_who_wait_and_the_thread_lives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    store = PitStore.open(tmp_path / "pit", clock=ManualClock())
    with monkeypatch.context() as patch:
        patch.setattr(Vault, "commit", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            await store.put(ENTITY, "K", b"one", readable={})
    assert "pit.failed" in caplog.text
    with monkeypatch.context() as patch:
        patch.setattr(Vault, "commit", lambda _, group: [PitWriteFailed("input/output error")] * len(group))
        with pytest.raises(PitWriteFailed):
            await store.put(ENTITY, "K", b"two", readable={})
    assert (store.stats().counts.failed, store.stats().failure) == (
        1,
        PitWriteFailed("input/output error").message,
    )
    assert (await store.put(ENTITY, "K", b"two", readable={})).seq == 1
    assert store.stats().failure == ""
    store.close()


async def test_after_the_end_nothing_is_taken(tmp_path: Path) -> None:
    store = PitStore.open(tmp_path / "pit")
    last = store.submit(draft(1))
    store.close()
    assert last.result(0).seq == 1, "what waited was written"
    with pytest.raises(PitSkipped):
        await store.put(ENTITY, "K", b"late", readable={})
    async with asyncio.timeout(5):
        with pytest.raises(PitWriteFailed, match="closed"):
            await store.run(lambda vault: vault.entities())
