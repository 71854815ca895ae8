"""How answers are filed, and how long they stay: with a clock of our own and a store on a real disk."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import cast

import pytest

from datafacade.errors import InvalidRequest, PitNotFound
from datafacade.store.pit.names import INSTRUMENTS, Entity
from datafacade.store.pit.record import Draft, PitRef
from datafacade.store.pit.snapshot import read_part, unpack
from datafacade.store.pit.store import WAITING_MAX, PitStore
from datafacade.store.pit.vault import Vault
from datafacade.types import InstrumentRow
from datafacade.v1 import lineage_pb2, warm_pb2
from datafacade.warm import asks, snapshots
from datafacade.warm.snapshots import LINE_MAX, Snapshots
from tests.unit.store.pit.fakes import HOUR, ManualClock

TICKER = warm_pb2.WarmTickerResponse
ROW = cast("InstrumentRow", {"symbol": "BTC-USDT"})
NOW = 1_800_000_000 * 10**9


def opened(path: Path, clock: ManualClock, hours: int = 24) -> Snapshots:
    return Snapshots(path, partial(PitStore.open, path, clock=clock), clock=clock, retention_hours=hours)


def ticker(number: int) -> bytes:
    lineage = lineage_pb2.Lineage(sources=[lineage_pb2.SourceQuote(source="okx", used=True)], ts_made=number)
    return TICKER(venue="okx", symbol="BTC-USDT", lineage=lineage).SerializeToString()


class HungStore:
    """Takes answers, and has them on its disk when it is told to."""

    def __init__(self) -> None:
        self.waiting: list[Future[PitRef]] = []

    def submit(self, _: Draft) -> Future[PitRef]:
        self.waiting.append(Future())
        return self.waiting[-1]

    def finish(self) -> None:
        while self.waiting:
            self.waiting.pop().set_result(cast("PitRef", None))


def bursting(count: int) -> tuple[HungStore, Snapshots, list[asyncio.Task[None]]]:
    store = HungStore()
    opener = partial(cast, PitStore, store)
    kept = Snapshots(Path("unused"), opener, clock=ManualClock(), retention_hours=24)
    entity = asks.ticker("okx", ROW).entity
    return store, kept, [asyncio.create_task(kept.put(entity, TICKER, ticker(n))) for n in range(count)]


async def until_waiting(store: HungStore, count: int) -> None:
    async with asyncio.timeout(60):
        while len(store.waiting) < count:  # noqa: ASYNC110  drafts come from threads
            await asyncio.sleep(0.001)


@pytest.mark.parametrize(
    ("asked", "entity"),
    [
        ({}, "warm.klines/okx/BTC-USDT/1h"),
        ({"limit": 500}, "warm.klines/okx/BTC-USDT/1h"),
        ({"limit": 24}, "warm.klines/okx/BTC-USDT/1h:24"),
        ({"ts_start": HOUR}, f"warm.klines/okx/BTC-USDT/1h:500:{HOUR}:0"),
        ({"ts_start": HOUR, "ts_end": 2 * HOUR}, f"warm.klines/okx/BTC-USDT/1h:500:{HOUR}:{2 * HOUR}"),
    ],
)
def test_equal_questions_are_one_entity_and_others_are_others(asked: dict[str, int], entity: str) -> None:
    for spelling in ("1h", "60m"):
        found = asks.series("klines", "okx", ROW, interval=spelling, now_ns=NOW, **asked)
        assert str(found.entity) == entity


def test_a_ticker_and_a_book_are_filed_by_what_was_asked() -> None:
    assert str(asks.ticker("okx", ROW).entity) == "warm.ticker/okx/BTC-USDT"
    assert str(asks.book("okx", ROW, depth=0).entity) == "warm.book/okx/BTC-USDT"
    assert str(asks.book("okx", ROW, depth=25).entity) == "warm.book/okx/BTC-USDT/25"


@pytest.mark.proves("REQ-P5")
async def test_what_has_expired_goes_a_tenth_at_a_time_and_lists_of_instruments_stay(tmp_path: Path) -> None:
    clock = ManualClock()
    kept = opened(tmp_path / "pit", clock)
    await kept.put(Entity(INSTRUMENTS, "okx", ""), TICKER, ticker(99), labels=["keep:instruments"])
    entity = asks.ticker("okx", ROW).entity
    for number in range(19):
        await kept.put(entity, TICKER, ticker(number))
    clock.wall += 23 * HOUR
    await kept.sweep(kept.store)
    assert kept.store.stats().snapshots == 20
    clock.wall += 2 * HOUR
    await kept.sweep(kept.store)
    assert kept.store.stats().snapshots == 18
    assert len(kept.store.list("instruments/okx/", 0, 2**62)) == 1
    kept.close()


async def test_the_readable_form_tells_what_the_bytes_tell(tmp_path: Path) -> None:
    kept = opened(tmp_path / "pit", ManualClock())
    await kept.put(asks.ticker("okx", ROW).entity, TICKER, ticker(7))
    await kept.put(asks.ticker("okx", ROW).entity, TICKER, ticker(7))  # the very same is no fault
    assert kept.missed.count == 0
    (ref,) = kept.store.list("warm.ticker/okx/BTC-USDT", 0, 2**62)
    kept.close()
    vault = Vault.open(tmp_path / "pit", is_writable=False)
    readable = unpack(read_part(vault.root, ref.path))
    assert (readable["venue"], readable["lineage"]["ts_made"]) == ("okx", "7")
    assert json.loads(vault.meta(ref))["sources"] == ["okx"]
    vault.close()


async def test_a_burst_waits_for_room_and_is_kept_as_a_whole() -> None:
    store, kept, puts = bursting(200)
    for left in (200, 136, 72, 8):
        await until_waiting(store, min(left, WAITING_MAX))
        assert len(store.waiting) == min(left, WAITING_MAX)
        store.finish()
    await asyncio.gather(*puts)
    assert kept.missed.count == 0


async def test_a_burst_beyond_all_bounds_is_missed_in_part_and_at_once() -> None:
    store, kept, puts = bursting(LINE_MAX + 10)
    await until_waiting(store, WAITING_MAX)
    assert kept.missed.count == 10
    async with asyncio.timeout(60):
        while not all(put.done() for put in puts):
            store.finish()
            await asyncio.sleep(0.001)
    assert kept.missed.count == 10


async def test_behind_a_disk_that_hangs_nobody_waits_who_has_no_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(snapshots, "PATIENCE_S", 0.2)
    store, kept, puts = bursting(100)
    await asyncio.gather(*puts)
    assert kept.missed.count == 100
    monkeypatch.setattr(snapshots, "PATIENCE_S", 60.0)
    entity = asks.ticker("okx", ROW).entity
    store.waiting.clear()
    held = [asyncio.create_task(kept.put(entity, TICKER, ticker(n))) for n in range(WAITING_MAX)]
    await until_waiting(store, WAITING_MAX)
    await asyncio.wait_for(kept.put(entity, TICKER, ticker(0)), 60)
    assert kept.missed.count == 101
    store.finish()
    await asyncio.gather(*held)
    burst = [asyncio.create_task(kept.put(entity, TICKER, ticker(n))) for n in range(WAITING_MAX + 1)]
    await until_waiting(store, WAITING_MAX)
    store.finish()
    await until_waiting(store, 1)  # the disk is well again: there is a line again
    store.finish()
    await asyncio.gather(*burst)
    assert kept.missed.count == 101


async def test_a_time_is_that_of_the_service_and_not_ahead_of_it(tmp_path: Path) -> None:
    clock = ManualClock()
    kept = opened(tmp_path / "pit", clock)
    entity = asks.ticker("okx", ROW).entity
    with pytest.raises(PitNotFound):
        await kept.at(entity, TICKER, clock.wall_ns())
    await kept.put(entity, TICKER, ticker(1))
    first = clock.wall_ns()
    clock.wall += HOUR
    await kept.put(entity, TICKER, ticker(2))
    assert (await kept.at(entity, TICKER, first)).message == ticker(1)
    assert (await kept.at(entity, TICKER, clock.wall_ns() - 1)).message == ticker(1)
    assert (await kept.at(entity, TICKER, clock.wall_ns())).message == ticker(2)
    with pytest.raises(InvalidRequest):
        await kept.at(entity, TICKER, clock.wall_ns() + 1)
    kept.close()
