"""Snapshots that no single message holds: in parts through both servers, proven before, freed behind."""

from __future__ import annotations

import asyncio
import json
import random
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import pytest_asyncio

from datafacade.app.run import EdgeName
from datafacade.client import Client, PitCorrupt
from datafacade.store.pit.content import MESSAGE_BYTES_MAX
from datafacade.store.pit.record import PitRef
from datafacade.store.pit.store import PitStore
from datafacade.store.pit.vault import Vault
from datafacade.v1 import book_pb2, health_pb2, lineage_pb2, pit_pb2
from tests.integration.service.bench import PATIENCE_S, Bench, service, simulated, spawn
from tests.integration.service.kept import store_of, stub_of
from tests.unit.store.pit.fakes import ENTITY, START, draft, keep

MIB = 2**20
SEND_BYTES_MAX = 3 * MIB  # FAULTS S10
CHUNK_BYTES_MAX = 64 * 1024
STUDY = "study/okx/BTC-USDT"
LEVELS = 46_000  # a side of Coinbase's BTC-USD, venues/coinbase.md
Code = grpc.StatusCode


async def keep_large(tmp_path: Path, message: bytes, *, kind: str = "Study", readable: Any = None) -> PitRef:  # noqa: ANN401
    """Keep one large answer in the store of a service that does not run yet."""
    path = store_of(tmp_path)
    await asyncio.to_thread(path.parent.mkdir, parents=True, exist_ok=True)
    store = PitStore.open(path)
    try:
        return await store.put(STUDY, kind, message, readable=readable or {"bytes": len(message)})
    finally:
        await asyncio.to_thread(store.close)


@pytest_asyncio.fixture(params=["rust", "grpcio"])
async def large(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[Bench, PitRef, bytes]]:
    """Run a service that keeps the largest snapshot there is."""
    message = random.Random(6).randbytes(MESSAGE_BYTES_MAX)
    ref = await keep_large(tmp_path, message, readable={"text": message[: 4 * MIB].hex()})
    async with service(tmp_path / "config", edge=request.param, products=("kraken/spot",)) as bench:
        yield bench, ref, message


def get(bench: Bench, snapshot_id: str, encoding: int = 0) -> Any:  # noqa: ANN401  a call of the stub
    return stub_of(bench).PitGet(pit_pb2.PitGetRequest(snapshot_id=snapshot_id, encoding=encoding))  # type: ignore[arg-type]


async def refused(call: Any) -> grpc.aio.AioRpcError:  # noqa: ANN401  a call of the stub
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        async for _ in call:
            pass
    return caught.value


@pytest.mark.proves("CTL-S10")
async def test_the_largest_snapshot_comes_in_parts_with_one_served(
    large: tuple[Bench, PitRef, bytes],
) -> None:
    bench, ref, message = large
    parts = [part async for part in get(bench, ref.id)]
    assert max(part.ByteSize() for part in parts) <= SEND_BYTES_MAX
    assert max(len(chunk) for part in parts for chunk in part.chunks) <= CHUNK_BYTES_MAX
    assert [part.HasField("ref") for part in parts] == [True] + [False] * (len(parts) - 1)
    assert [part.HasField("served") for part in parts] == [False] * (len(parts) - 1) + [True]
    assert b"".join(chunk for part in parts for chunk in part.chunks) == message
    served = parts[-1].served
    assert (served.cache_tier, served.snapshot_id) == (lineage_pb2.CACHE_TIER_PIT, ref.id)
    text = b"".join([chunk async for part in get(bench, ref.id, 2) for chunk in part.chunks])
    assert len(json.loads(text)["text"]) == 8 * MIB


async def test_the_client_joins_the_parts_and_tells_how_far_it_is(
    large: tuple[Bench, PitRef, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    bench, ref, message = large
    told: list[tuple[int, int]] = []
    async with Client(bench.address) as client:
        found = await client.pit_get(ref.id, tell=lambda done, count: told.append((done, count)))
        assert found.message == message
        assert told[-1] == (len(message), len(message))
        assert told == sorted(told)
        piece = PitStore.piece

        def lying(store: PitStore, wanted: PitRef, at: int) -> bytes:
            content = piece(store, wanted, at)
            return content if at < MIB else b"?" + content[1:]

        monkeypatch.setattr(PitStore, "piece", lying)  # after it was proven
        with pytest.raises(PitCorrupt):
            await client.pit_get(ref.id)


async def test_the_command_line_gives_its_bytes(large: tuple[Bench, PitRef, bytes], tmp_path: Path) -> None:
    bench, ref, message = large
    path = tmp_path / "answer.pb"
    with path.open("wb") as file:
        words = [sys.executable, "-m", "datafacade.cli.main", "pit", "get", ref.id[:16], "--raw"]
        process = await asyncio.create_subprocess_exec(*words, "--target", bench.address, stdout=file)
        assert await process.wait() == 0
    assert await asyncio.to_thread(path.read_bytes) == message


async def test_what_is_damaged_is_refused_before_its_first_part(
    large: tuple[Bench, PitRef, bytes], tmp_path: Path
) -> None:
    bench, ref, _ = large
    (path,) = store_of(tmp_path).rglob(f"*{ref.id[:32]}.pb")
    path.chmod(0o640)
    with path.open("r+b") as file:
        file.seek(MESSAGE_BYTES_MAX - 1)
        last = file.read(1)
        file.seek(MESSAGE_BYTES_MAX - 1)
        file.write(bytes([last[0] ^ 1]))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await get(bench, ref.id).read()  # the first part
    assert caught.value.code() is Code.DATA_LOSS


async def test_what_fails_behind_the_first_part_ends_the_call_with_its_status(
    large: tuple[Bench, PitRef, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    bench, ref, _ = large
    piece = PitStore.piece

    def failing(store: PitStore, wanted: PitRef, at: int) -> bytes:
        if at > 5 * MIB:
            raise RuntimeError("planted")
        return piece(store, wanted, at)

    monkeypatch.setattr(PitStore, "piece", failing)
    parts = []
    call = get(bench, ref.id)
    async for part in call:
        parts.append(part)
        if len(parts) == 6:
            break
    error = await refused(call)
    assert error.code() is Code.INTERNAL
    assert "planted" not in (error.details() or "")
    monkeypatch.undo()
    assert len([part async for part in get(bench, ref.id)]) == 64


async def test_a_client_that_leaves_stops_the_handler(
    large: tuple[Bench, PitRef, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    bench, ref, _ = large
    piece, read = PitStore.piece, list[int]()

    def counted(store: PitStore, wanted: PitRef, at: int) -> bytes:
        read.append(at)
        return piece(store, wanted, at)

    monkeypatch.setattr(PitStore, "piece", counted)
    for _ in range(20):
        call = get(bench, ref.id)
        await call.read()
        call.cancel()
    async with asyncio.timeout(PATIENCE_S):
        while any(task.get_name().endswith("PitGet") for task in asyncio.all_tasks()):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    assert len(read) < 20 * 16, "they read on for nobody"
    health: health_pb2.HealthResponse = await bench.stub.Health(health_pb2.HealthRequest())
    assert health.edge.calls_queued <= 1  # this one


async def test_clients_that_read_nothing_hold_their_credit_and_no_snapshot(tmp_path: Path) -> None:
    ref = await keep_large(tmp_path, random.Random(7).randbytes(MESSAGE_BYTES_MAX))
    from datafacade.sim.settings import SimulatorSettings
    from datafacade.sim.simulator import Simulator

    count = 12
    async with Simulator(SimulatorSettings(seed=5, products=("kraken/spot",), bases=("BTC",))) as simulator:
        await asyncio.to_thread(simulated, simulator, tmp_path / "config")
        process = await spawn(tmp_path / "config")
        assert process.stdout is not None
        address = (await process.stdout.readline()).decode().strip()
        async with grpc.aio.insecure_channel(address) as channel:
            bench = Bench(simulator=simulator, address=address, channel=channel)
            assert len([part async for part in get(bench, ref.id)]) == 64
            before = peak_bytes(process.pid)
            calls = [get(bench, ref.id) for _ in range(count)]
            for call in calls:
                await call.read()
            health = await bench.stub.Health(health_pb2.HealthRequest())
            assert health.edge.calls_queued >= count, "they wait"
            grown = peak_bytes(process.pid) - before
            # Two parts in the edge; in the handler's hands one, as it is read, as a message and as its bytes.
            assert grown < count * 6 * MIB, f"{grown / MIB:.0f} MiB"
            for call in calls:
                call.cancel()
        process.terminate()
        await process.wait()


def peak_bytes(pid: int) -> int:
    """Return the most memory that a process has held."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


@pytest.mark.parametrize("edge", ["rust", "grpcio"])
async def test_a_whole_deep_book_fits_and_what_does_not_is_refused_in_clear_words(
    tmp_path: Path, edge: EdgeName
) -> None:
    def book(levels: int) -> bytes:
        answer = book_pb2.L2BookResponse(venue="coinbase", symbol="BTC-USD", price_exponent=-2)
        for number, side in enumerate(("bid", "ask")):
            getattr(answer.book, f"{side}_prices").extend(range(number * 10**7, number * 10**7 + levels))
            getattr(answer.book, f"{side}_quantities").extend([10**12] * levels)
        return answer.SerializeToString()

    deep = await keep_large(tmp_path, book(LEVELS), kind="L2BookResponse")
    deeper = await keep_large(tmp_path, book(4 * LEVELS), kind="L2BookResponse")
    async with service(tmp_path / "config", edge=edge, products=("kraken/spot",)) as bench:
        answer = await bench.stub.L2Book(book_pb2.L2BookRequest(snapshot_id=deep.id))
        assert len(answer.book.ask_prices) == LEVELS
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await bench.stub.L2Book(book_pb2.L2BookRequest(snapshot_id=deeper.id))
        assert caught.value.code() is Code.RESOURCE_EXHAUSTED
        assert "L2Book" in (caught.value.details() or "")
        assert str(SEND_BYTES_MAX) in (caught.value.details() or "")
        assert [part async for part in get(bench, deeper.id)], "PitGet has it in parts"


@pytest.mark.parametrize("edge", ["rust", "grpcio"])
async def test_pages_join_where_the_clock_stood_still(tmp_path: Path, edge: EdgeName) -> None:
    path = store_of(tmp_path)
    await asyncio.to_thread(path.parent.mkdir, parents=True)
    vault = Vault.open(path, is_writable=True)
    told = [START, START + 1, *[START + 2] * 7, START + 3]
    refs = keep(vault, *[draft(number, ts_wall=ts) for number, ts in enumerate(told)])
    vault.close()
    async with service(tmp_path / "config", edge=edge, products=("kraken/spot",)) as bench:
        request = pit_pb2.PitListRequest(entity=ENTITY, limit=2)
        found: list[str] = []
        while True:
            page = await stub_of(bench).PitList(request)
            found += [ref.id for ref in page.refs]
            assert page.is_cut == bool(page.next_page_token)
            if not page.next_page_token:
                break
            request.page_token = page.next_page_token
        assert found == [ref.id for ref in refs]
        for token in ("1", ":", "1:", "-1:2", "1:2:3", "\u0661:\u0662", "9" * 30, f"{2**63}:1", f"1:{2**63}"):
            request.page_token = token
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await stub_of(bench).PitList(request)
            assert caught.value.code() is Code.INVALID_ARGUMENT
            assert (caught.value.details() or "").startswith("page_token")
