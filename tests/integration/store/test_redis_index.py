"""References in a real Redis against the store that they refer to: whatever Redis does, they agree again."""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datafacade.clock import SystemClock
from datafacade.config.fields import Secret
from datafacade.config.sources import Redis
from datafacade.errors import PitNotFound, PitUnusable
from datafacade.store.pit import PitStore, index_keeper, retention
from datafacade.store.pit.index_keeper import BEHIND, IndexKeeper
from datafacade.store.pit.redis_index import RedisIndex, score_of
from datafacade.store.redis_line import RedisLine
from tests.integration.store.redis_server import PATIENCE_S, RedisServer, redis_server
from tests.unit.store.pit.fakes import HOUR, ManualClock

__all__ = ["redis_server"]

ENTITIES: Final = (
    "warm.klines/kraken/BTC-USD/1h",
    "warm.klines/kraken/BTC-USD/1h:24",
    "hot.book/okx/BTC-USDT",
    "warm.ticker/x/A B%2F%25\n{*}?[a]",
)
FOREVER: Final = 2**62


@dataclass(frozen=True, slots=True)
class Bench:
    """A store, who keeps its index, and somebody else who reads that."""

    store: PitStore
    clock: ManualClock
    keeper: IndexKeeper
    reader: RedisIndex
    server: RedisServer

    async def put(self, entity: str, number: int) -> str:
        """Keep one more answer, some time after the last one."""
        self.clock.wall += 1_234_567
        message = b"%d" % number
        return (await self.store.put(entity, "T", message, readable={"n": number})).id

    async def until(self, claim: Callable[[], bool]) -> None:
        """Wait until it holds."""
        begin = time.monotonic()
        while not claim():
            assert time.monotonic() - begin < PATIENCE_S, self.keeper.status()
            await asyncio.sleep(0.005)

    async def settled(self) -> None:
        """Wait until the index says that it is whole, and is."""
        begin = time.monotonic()
        while True:
            status = self.keeper.status()
            state = await self.reader.state()
            is_said = state is not None and state.is_whole and state.seq == self.store.catalog.index.seq_last
            if status.is_whole and not status.behind and is_said:
                return
            assert time.monotonic() - begin < PATIENCE_S, (status, state)
            await asyncio.sleep(0.005)

    async def agree(self) -> None:
        """Compare every answer of the index with the store's."""
        for entity in ENTITIES:
            refs = self.store.list(entity, 0, FOREVER)
            listed = await self.reader.list(entity, 0, FOREVER)
            assert [(ref.id, score_of(ref.ts_wall)) for ref in refs] == listed
            for ts in {ts + shift for ref in refs for ts in [ref.ts_wall] for shift in (-1_000, 0, 1_000)}:
                assert await self.found(entity, ts) == self.kept(entity, ts)
            assert await self.found(entity, 1) is None
        for name in self.server.command("KEYS", "cryptorun:pit:*").split(b"\r\n")[2::2]:
            assert any(self.reader.name(entity) == name for entity in self.store.entities()), name

    async def found(self, entity: str, ts: int) -> str | None:
        """Return what the index says."""
        try:
            return await self.reader.at(entity, ts)
        except PitNotFound:
            return None

    def kept(self, entity: str, ts: int) -> str | None:
        """Return what the store says."""
        try:
            return self.store.at(entity, ts).id
        except PitNotFound:
            return None


CALL_S: Final = 2.0  # a busy machine is no Redis that hangs


def line_to(url: str) -> RedisLine:
    return RedisLine(Redis(url=Secret(url)), clock=SystemClock(), random=random.Random(7), call_s=CALL_S)


@contextlib.asynccontextmanager
async def bench_in(path: Path, server: RedisServer) -> AsyncIterator[Bench]:
    clock = ManualClock()
    store, line = PitStore.open(path, clock=clock), line_to(server.url)
    reader = RedisIndex.open(server.url)
    keeper = IndexKeeper(RedisIndex(line), lambda: store.catalog, clock=SystemClock())
    task = asyncio.create_task(keeper.run())
    try:
        yield Bench(store, clock, keeper, reader, server)
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.wait([task])
        store.close()
        await reader.close()
        await line.close()


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let turns follow quickly, and pieces be small."""
    for name, value in (("TURN_S", 0.005), ("BUSY_TURN_S", 0.001), ("CLAIM_S", 0.05), ("BATCH", 5)):
        monkeypatch.setattr(index_keeper, name, value)


@pytest.mark.proves("REQ-K6")
@pytest.mark.parametrize("seed", [1, 2])
async def test_the_index_agrees_with_the_store_over_a_random_history(
    redis_server: RedisServer, tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    redis_server.start()
    async with bench_in(tmp_path / "pit", redis_server) as bench:
        number = gone = 0
        for _ in range(12):
            for _ in range(chance.randrange(1, 20)):
                number += 1
                await bench.put(chance.choice(ENTITIES), number)
            event = chance.randrange(4)
            if event == 0:
                redis_server.command("FLUSHALL")
            elif event == 1:
                bench.clock.wall += 25 * HOUR
                for _ in range(chance.randrange(1, 30)):
                    gone += len((await bench.store.run(retention.sweep)).going)
            elif event == 2:  # somebody meddles: a member that is none, one too few
                name = bench.reader.name(ENTITIES[0]).decode()
                redis_server.command("ZADD", name, "5", "no id", "6", "f" * 64)
                redis_server.command("ZREMRANGEBYRANK", name, "0", "0")
                redis_server.command("DEL", "cryptorun:pit")
            await bench.settled()
            await bench.agree()
        assert gone > 0
        assert number > 0


@pytest.mark.proves("REQ-K6")
async def test_an_entity_that_has_no_snapshot_any_more_has_no_key(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    redis_server.start()
    redis_server.command("ZADD", "cryptorun:pit:hot.book/old/BTC-USD", "1", "a" * 64)
    redis_server.command("RPUSH", "cryptorun:pit:hot.book/okx/BTC-USDT", "another type")
    redis_server.command("SET", "cryptorun:pitch", "not ours")
    async with bench_in(tmp_path / "pit", redis_server) as bench:
        await bench.put(ENTITIES[2], 1)
        await bench.settled()
        await bench.agree()
        assert redis_server.command("EXISTS", "cryptorun:pitch") == b":1\r\n"
        score = redis_server.command(
            "ZSCORE", f"cryptorun:pit:{ENTITIES[2]}", bench.store.list(ENTITIES[2], 0, FOREVER)[0].id
        )
        assert float(score.split(b"\r\n")[1]) == pytest.approx(bench.clock.wall / 10**6, abs=0.001)
        assert int(redis_server.command("PTTL", f"cryptorun:pit:{ENTITIES[2]}")[1:-2]) > 0


async def test_when_the_last_snapshot_goes_nothing_is_left(redis_server: RedisServer, tmp_path: Path) -> None:
    redis_server.start()
    async with bench_in(tmp_path / "pit", redis_server) as bench:
        for number in range(3):
            await bench.put(ENTITIES[0], number)
        await bench.settled()
        bench.clock.wall += 25 * HOUR
        await bench.store.run(lambda vault: retention.sweep(vault, is_confirmed=True))
        await bench.until(lambda: redis_server.command("KEYS", "cryptorun:pit:*") == b"*0\r\n")


@pytest.mark.proves("CTL-S21")
@given(st.lists(st.text(max_size=40), min_size=2, max_size=2, unique=True))
def test_hostile_entities_have_a_key_each_without_blanks_and_control_characters(texts: list[str]) -> None:
    index = RedisIndex(line_to("redis://127.0.0.1:1/0"))
    one, other = (index.name(text) for text in texts)
    assert one != other
    for name in (one, other):
        assert name.startswith(b"cryptorun:pit:")
        assert not any(byte <= 32 or byte == 127 for byte in name)


async def test_of_one_instant_the_greater_id_is_the_newer(redis_server: RedisServer, tmp_path: Path) -> None:
    redis_server.start()
    async with bench_in(tmp_path / "pit", redis_server) as bench:
        ts = bench.clock.wall
        ids = [
            (await bench.store.put(ENTITIES[0], "T", b"%d" % number, readable={}, ts_wall=ts)).id
            for number in range(12)
        ]
        await bench.settled()
        assert await bench.reader.at(ENTITIES[0], ts) == max(ids)
        assert [ref.id for ref in await bench.reader.list(ENTITIES[0], ts, ts + 1_000)] == sorted(ids)


@pytest.mark.proves("REQ-K6")
@pytest.mark.parametrize("fault", ["absent", "killed", "hung"])
async def test_commits_do_not_wait_for_a_redis_that_is_away_and_it_is_filled_when_it_is_back(
    redis_server: RedisServer, tmp_path: Path, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if fault != "absent":
        redis_server.start()
    async with bench_in(tmp_path / "pit", redis_server) as bench:
        if fault != "absent":
            await bench.put(ENTITIES[0], 0)
            await bench.settled()
        if fault == "killed":
            redis_server.kill()
        elif fault == "hung":
            redis_server.signal(signal.SIGSTOP)
        for number in range(1, 30):
            await bench.put(ENTITIES[number % 3], number)
            assert bench.store.at(ENTITIES[number % 3], bench.clock.wall).ts_wall == bench.clock.wall
        await bench.until(lambda: not bench.keeper.status().is_connected)
        assert bench.store.stats().counts.committed == bench.store.stats().snapshots
        monkeypatch.setattr(index_keeper, "PATIENCE_S", 0.0)
        assert bench.keeper.warnings() == [BEHIND]
        with pytest.raises(PitUnusable):
            await bench.reader.at(ENTITIES[0], bench.clock.wall)
        if fault == "hung":
            redis_server.signal(signal.SIGCONT)
        else:
            redis_server.start()
        monkeypatch.undo()
        await bench.settled()
        await bench.agree()
        assert bench.keeper.warnings() == []


async def test_a_second_store_waits_until_the_first_one_lets_go(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    redis_server.start()
    async with bench_in(tmp_path / "second", redis_server) as second:
        await second.until(lambda: second.keeper.status().is_whole)
        async with bench_in(tmp_path / "first", redis_server) as first:
            await first.put(ENTITIES[0], 1)
            mine = await second.put(ENTITIES[0], 2)
            await second.settled()
            assert [ref.id for ref in await second.reader.list(ENTITIES[0], 0, FOREVER)] == [mine]
            assert not first.keeper.status().is_whole


async def test_who_reads_is_told_when_nobody_keeps_the_index(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    redis_server.start()
    async with bench_in(tmp_path / "pit", redis_server) as bench:
        await bench.put(ENTITIES[0], 1)
        await bench.settled()
        assert await bench.reader.list(ENTITIES[0], 0, FOREVER, limit=1)
    reader = RedisIndex.open(redis_server.url)
    assert await reader.state() is None
    with pytest.raises(PitUnusable, match="nobody keeps it"):
        await reader.at(ENTITIES[0], FOREVER)
    await reader.close()
