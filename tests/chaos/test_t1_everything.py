"""Questions over a whole store of 100,000 snapshots: bounded memory, bounded time, typed errors, pages."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from datafacade.clock import SystemClock
from datafacade.errors import QuotaExceeded
from datafacade.serve import pit as serving
from datafacade.serve.pit import PitHandlers
from datafacade.store.pit import PitStore
from datafacade.store.pit.record import ZERO, line_of
from datafacade.store.pit.vault import Vault
from datafacade.store.pit.verify import verify
from datafacade.v1 import pit_pb2
from datafacade.warm.snapshots import Snapshots
from tests.chaos.harness import bounded
from tests.unit.store.pit.fakes import ENTITY, START, draft, keep

pytestmark = pytest.mark.chaos

MEMORY_MAX = 256 * 2**20
TIME_MAX_S = 10.0
COUNT = 100_000
GROUP = 20_000
MS = 1_000_000


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a store whose manifest knows 100,000 snapshots; their files are not needed to ask for them."""
    path = tmp_path_factory.mktemp("everything")
    Vault.open(path, is_writable=True).close()
    prev, seq = ZERO, 0
    for first in range(0, COUNT, GROUP):
        segment, text = path / ".manifest" / f"{first + 1:016d}.jsonl", bytearray()
        for number in range(first, first + GROUP):
            seq += 1
            stored = [number, sha256(b"meta %d" % number).hexdigest()]
            values = {
                "op": "put",
                "id": sha256(b"%d" % number).hexdigest(),
                "ts": START + number * MS,
                "mono": number,
                "entity": ENTITY if number % 2 else f"warm.ticker/okx/S{number % 1_000}-USDT",
                "kind": "K",
                "size": 9,
                "rows": 1,
                "json": stored,
                "meta": stored,
            }
            more = {"lines": GROUP} if number == first else {}
            line, prev = line_of({**values, **more}, seq=seq, prev=prev)
            text += line
        segment.write_bytes(text)
    return path


def measured(act: Callable[[], Any]) -> Any:  # noqa: ANN401  whatever it returns
    """Run something in a process of its own within the row's bounds."""
    ended = bounded.in_child(act)
    assert ended.status == 0
    print(f"{ended.cpu_s:.1f} s, {ended.grown_bytes / 2**20:.0f} MiB")  # noqa: T201  the row's figures
    assert ended.grown_bytes <= MEMORY_MAX, f"{ended.grown_bytes / 2**20:.0f} MiB"
    assert ended.cpu_s <= TIME_MAX_S, f"{ended.cpu_s:.1f} s"
    return ended.result


@pytest.mark.proves("ROW-F19")
def test_a_store_of_a_hundred_thousand_is_listed_page_by_page(large: Path) -> None:
    def act() -> tuple[int, int, int]:
        vault = Vault.open(large, is_writable=False)
        seen, ts, pages = 0, 0, 0
        while page := vault.list(ENTITY, ts, 2**62, limit=1_000):
            seen, ts, pages = seen + len(page), page[-1].ts_wall + 1, pages + 1
        for number in range(0, COUNT, 97):
            vault.at(ENTITY, START + (number + 2) * MS)
        return seen, pages, len(vault.entities())

    assert measured(act) == (COUNT // 2, COUNT // 2 // 1_000, 501)


@pytest.mark.proves("ROW-F19")
def test_a_walk_over_everything_stays_within_its_memory(large: Path) -> None:
    def act() -> tuple[int, int]:
        vault = Vault.open(large, is_writable=False)
        done = 0

        def tell(now: int, _: int) -> None:
            nonlocal done
            done = now
            if now >= COUNT // 4:
                raise QuotaExceeded("walk", now, COUNT)

        with pytest.raises(QuotaExceeded):
            verify(vault.root, tell=tell)
        return done, len(vault.catalog.index)

    assert measured(act)[1] == COUNT


@pytest.mark.proves("ROW-F19")
def test_the_service_refuses_what_is_too_much_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault = Vault.open(tmp_path, is_writable=True)
    for first in range(0, 600, 50):
        keep(vault, *map(draft, range(first, first + 50)))
    vault.close()
    store = PitStore.open(tmp_path)
    snapshots = Snapshots(tmp_path, lambda: store, clock=SystemClock(), retention_hours=24)
    handlers = PitHandlers(snapshots, SystemClock())

    async def ask(method: str, request: bytes = b"") -> bytes:
        return (await handlers.methods[method](request)).message

    async def all_questions() -> None:
        monkeypatch.setattr(serving, "WALK_S", 0.0)
        with pytest.raises(QuotaExceeded):
            await ask("VerifyPit")
        request = pit_pb2.PitListRequest(entity=ENTITY, limit=7)
        listed = pit_pb2.PitListResponse.FromString(await ask("PitList", request.SerializeToString()))
        assert (len(listed.refs), listed.is_cut) == (7, True)
        monkeypatch.undo()
        assert pit_pb2.VerifyPitResponse.FromString(await ask("VerifyPit")).ok == 600

    asyncio.run(all_questions())
    store.close()
