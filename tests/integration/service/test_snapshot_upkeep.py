"""What a service does to its store besides: it reads it again, and keeps references to it in Redis."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from datafacade.client import Client
from datafacade.errors import PitUnusable
from datafacade.store.pit import index_keeper
from datafacade.store.pit.redis_index import RedisIndex
from datafacade.store.pit.vault import Vault
from datafacade.v1 import health_pb2
from tests.integration.service.bench import Bench, service
from tests.integration.service.kept import KLINES, TICKER, store_of
from tests.integration.store.redis_server import RedisServer, redis_server

__all__ = ["redis_server"]

PATIENCE_S = 60.0
KLINES_ENTITY = "warm.klines/kraken/BTC-USD/1h:24"


async def told(bench: Bench, claim: Callable[[health_pb2.HealthResponse], bool]) -> health_pb2.HealthResponse:
    """Return the first answer of Health of which something holds."""
    begin = time.monotonic()
    while True:
        health: health_pb2.HealthResponse = await bench.stub.Health(health_pb2.HealthRequest())
        if claim(health):
            return health
        assert time.monotonic() - begin < PATIENCE_S, (health.pit, health.warnings)
        await asyncio.sleep(0.02)


async def found(reader: RedisIndex, entity: str) -> str:
    """Return the id of an entity's newest snapshot once the index is said to be whole."""
    begin = time.monotonic()
    while True:
        try:
            return await reader.at(entity, time.time_ns())
        except PitUnusable:
            assert time.monotonic() - begin < PATIENCE_S
            await asyncio.sleep(0.02)


@pytest.mark.proves("REQ-H9")
@pytest.mark.parametrize("suffix", [".pb", ".json.gz", ".meta.json"])
async def test_a_flipped_bit_is_found_and_told_without_anybody_reading_it(
    tmp_path: Path, suffix: str
) -> None:
    files = {"pit.yaml": {"scrub_hours": 0.5 / 3_600, "books_sec": 0.0}}
    async with service(tmp_path / "config", files=files) as bench:
        snapshot_id = (await bench.stub.WarmKlines(KLINES)).served.snapshot_id
        await bench.stub.WarmTicker(TICKER)
        healthy = await told(bench, lambda health: health.pit.ts_scrubbed > 0)
        assert "PIT_DAMAGED" not in healthy.warnings
        (path,) = store_of(tmp_path).rglob(f"*{snapshot_id[:32]}{suffix}")
        path.chmod(0o640)
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 4
        path.write_bytes(content)
        health = await told(bench, lambda health: health.pit.damaged > 0)
        assert "PIT_DAMAGED" in health.warnings
        assert health.status == health_pb2.HEALTH_STATUS_DEGRADED
        assert health.pit.damaged == 1
        assert [file.name.endswith(path.name) for file in (store_of(tmp_path) / ".quarantine").iterdir()] == [
            True
        ]
        assert not path.exists()


@pytest.mark.proves("REQ-H7")
async def test_growth_and_packing_of_the_store_are_told(tmp_path: Path) -> None:
    async with service(tmp_path / "config", products=["kraken/spot"]) as bench:
        before = await told(bench, lambda health: health.pit.committed == 1)  # the list of instruments
        await bench.stub.WarmKlines(KLINES)
        after = await told(bench, lambda health: health.pit.committed == 2)
        assert after.pit.bytes_written > after.pit.bytes_live > before.pit.bytes_live
        assert after.pit.snapshots == before.pit.snapshots + 1
        on_disk = sum(
            file.stat().st_size
            for file in store_of(tmp_path).glob("*/*/*")
            if file.is_file() and not file.parts[-3].startswith(".")
        )
        assert after.pit.bytes_written == on_disk
        assert after.pit.compression_ratio > 2
        assert not after.pit.HasField("index")


@pytest.mark.proves("REQ-P8")
async def test_with_format_parquet_a_large_answer_is_a_table_too(tmp_path: Path) -> None:
    files = {"pit.yaml": {"format": "parquet", "compression": "zstd"}}
    async with service(tmp_path / "config", files=files) as bench, Client(bench.address) as client:
        klines = await client.klines("kraken", "BTC-USD", "1h", limit=120)
        entity = "table.warm.klines/kraken/BTC-USD/1h:120"
        await told(bench, lambda _: entity in entities(tmp_path))
        table = await client.pit_find(entity)
        assert sha256(table.message).hexdigest() == table.id
        assert table.path.endswith(".parquet")
        assert table.to_polars()["close"].to_list() == [row.close for row in klines.rows]
        assert table.to_polars()["volume"].to_list() == [row.volume for row in klines.rows]
        answer = await client.pit_get(klines.provenance.snapshot_id)
        assert sha256(answer.message).hexdigest() == answer.id


def entities(tmp_path: Path) -> list[str]:
    """Return what the store has something of, as another process sees it."""
    vault = Vault.open(store_of(tmp_path), is_writable=False)
    try:
        return list(vault.entities())
    finally:
        vault.close()


@pytest.mark.proves("REQ-K6")
async def test_another_process_finds_in_redis_what_the_service_answered(
    redis_server: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_keeper, "PATIENCE_S", 0.5)
    redis_server.start()
    files: dict[str, dict[str, Any]] = {
        "cache.yaml": {"redis": {"url": redis_server.url}},
        "pit.yaml": {"redis_index": True},
    }
    async with service(tmp_path / "config", files=files) as bench:
        begin = time.time_ns()
        snapshot_id = (await bench.stub.WarmKlines(KLINES)).served.snapshot_id
        health = await told(bench, lambda health: health.pit.index.is_whole and not health.pit.index.behind)
        assert health.pit.index.is_connected
        reader = RedisIndex.open(redis_server.url)
        assert await found(reader, KLINES_ENTITY) == snapshot_id
        assert [one.id for one in await reader.list(KLINES_ENTITY, begin, time.time_ns())] == [snapshot_id]
        until_ms = str(time.time_ns() // 10**6 + 1)
        recipe = ("ZREVRANGEBYSCORE", f"cryptorun:pit:{KLINES_ENTITY}", until_ms, "-inf", "LIMIT", "0", "1")
        assert snapshot_id.encode() in redis_server.command(*recipe)
        redis_server.signal(signal.SIGSTOP)
        another = (await bench.stub.WarmTicker(TICKER)).served.snapshot_id
        assert another
        hung = await told(bench, lambda health: "PIT_INDEX_BEHIND" in health.warnings)
        assert hung.status == health_pb2.HEALTH_STATUS_DEGRADED
        redis_server.signal(signal.SIGCONT)
        await told(bench, lambda health: "PIT_INDEX_BEHIND" not in health.warnings)
        await reader.close()
