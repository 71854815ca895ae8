"""A recorded session replays to the books that the venue had."""

from __future__ import annotations

import asyncio
import io
import json
from pathlib import Path

import zstandard

from datafacade.app import record
from datafacade.sim.settings import SimulatorSettings
from datafacade.sim.simulator import Simulator
from datafacade.types import Channel
from tests.integration.service.bench import simulated


async def test_a_session_of_two_venues_is_recorded_whole(tmp_path: Path) -> None:
    path = tmp_path / "session.dfcap.zst"
    topics = [("binance", "BTCUSDT", Channel.BOOK_L2), ("kraken", "BTC/USD", Channel.TRADES)]
    started = asyncio.Event()
    settings = SimulatorSettings(products=("binance/spot", "kraken/spot"), bases=("BTC",), steps_per_s=75)
    async with Simulator(settings) as simulator:
        config = simulated(simulator, tmp_path / "config")
        await record(config, path, topics=topics, seconds=6, note="test", started=started.set)
    assert started.is_set()

    with zstandard.ZstdDecompressor().stream_reader(path.open("rb"), read_across_frames=True) as stream:
        text = io.BytesIO(stream.read())
    assert text.readline().startswith(b"DFCAP1 ")
    kinds: dict[int, list[str]] = {}
    contents: dict[tuple[int, str], list[bytes]] = {}
    while line := text.readline():
        _, number, kind, length = line.decode().split()
        kinds.setdefault(int(number), []).append(kind)
        contents.setdefault((int(number), kind), []).append(text.read(int(length)))
        text.read(1)
    by_venue = {json.loads(contents[n, "o"][0])["venue"]: n for n in kinds}
    assert set(by_venue) == {"binance", "kraken"}
    for venue, connection in by_venue.items():
        assert kinds[connection][:3] == ["o", "q", "r"], venue  # the instrument list follows the opening
        assert kinds[connection][-1] == "c"
        assert "s" in kinds[connection]
        assert kinds[connection].count("f") > 5
    snapshots = [q for q in contents[by_venue["binance"], "q"] if b"depth" in q]
    answers = [r for r in contents[by_venue["binance"], "r"] if b"lastUpdateId" in r]
    assert len(snapshots) == len(answers) >= 1  # one that is older than the first change is asked for again
