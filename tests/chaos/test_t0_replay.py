"""Row H13: the same input log gives the same bytes, however often and however many threads replay it."""

from __future__ import annotations

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import zstandard

from datafacade._core import Clock, Feed, Hub
from datafacade.check.names import BOOK
from datafacade.hot.capture import CaptureReader, Record
from datafacade.hot.replay import replay_file
from tests.chaos.virtual.line import EPOCH, START_WALL, TAKE_BYTES, Line
from tests.chaos.virtual.script import Script
from tests.chaos.virtual.scripts import SCRIPTS

pytestmark = pytest.mark.chaos

THREADS = 4


class Tape:
    """Writes a capture (CAPTURE "File") of what a script says."""

    def __init__(self, script: Script) -> None:
        note = json.dumps({"created_ns": START_WALL, "note": "forged"})
        self.parts = [f"DFCAP1 {note}\n".encode()]
        self.now = START_WALL
        venue = script.venue.partition("-")[0]
        opening = {"venue": venue, "url": "wss://venue.example", "product": script.product}
        self.record("o", json.dumps(opening).encode())
        path = {"binance": "/api/v3/exchangeInfo", "okx": "/api/v5/public/instruments"}
        url = f"https://venue.example{path.get(venue, '/0/public/AssetPairs')}"
        self.answer(1, "/market/products" if venue == "coinbase" else url, script.instruments())

    def record(self, kind: str, payload: bytes) -> None:
        self.now += 1_000_000
        self.parts.append(f"{self.now} 1 {kind} {len(payload)}\n".encode() + payload + b"\n")

    def answer(self, number: int, url: str, body: bytes) -> None:
        self.record("q", json.dumps({"id": number, "url": url}).encode())
        self.record("r", json.dumps({"id": number, "status": 200, "headers": {}}).encode() + b"\n" + body)


def forge(name: str, path: Path) -> Path:
    """Write a capture of 300 changes with one hole, and what heals it."""
    script = SCRIPTS[name]()
    tape = Tape(script)
    line = Line(script)
    line.answers = False
    line.open()
    line.wait(500)  # texts keep the interval that the venue wants
    for symbol in script.symbols:
        tape.record("f", script.delta(symbol, script.markets[symbol].step(), tape.now).encode())
    for command in line.of("send"):
        for frame in script.answer(command[1], tape.now):
            tape.record("f", frame.encode())
    for number, symbol in enumerate(script.symbols if script.uses_rest else (), 2):
        path_of_depth = f"/api/v3/depth?symbol={symbol}"
        tape.answer(number, f"https://venue.example{path_of_depth}", script.rest(path_of_depth))
    for number in range(300):
        for symbol in script.symbols:
            text = script.delta(symbol, script.markets[symbol].step(), tape.now)
            if number != 250:  # the hole comes at last: a replay asks nobody for a snapshot
                tape.record("f", text.encode())
    path.write_bytes(zstandard.ZstdCompressor().compress(b"".join(tape.parts)))
    return path


def published(path: Path, name: str) -> str:
    """Return a hash of all bytes that a subscriber of everything gets from a replay."""
    script = SCRIPTS[name]()
    reader = CaptureReader(path)
    clock, hub = Clock.manual(reader.created_ns), Hub(epoch=EPOCH)
    feed = Feed(venue=script.venue, product=script.product, hub=hub, clock=clock, epoch=EPOCH, is_replay=True)
    subscriber = hub.subscriber()
    for symbol in script.symbols:
        venue, canonical = script.venue, script.canonical(symbol)
        about = {"request_id": 0, "subscription_id": 0, "requested_symbol": symbol, "wall_ns": START_WALL}
        hub.attach(subscriber, venue, canonical, BOOK, "", start="cut", **about)  # type: ignore[arg-type]
    digest = hashlib.sha256()
    url = ""
    for record in reader:
        if record.kind == "q":
            url = json.loads(record.payload)["url"]
        clock.set(record.ts_recv, record.ts_recv - reader.created_ns)
        play(feed, record, url)
        digest.update(hub.take(subscriber, TAKE_BYTES, monotonic_ns=clock.monotonic_ns())[0])
    return digest.hexdigest()


def play(feed: Feed, record: Record, url: str) -> None:
    if record.kind == "o":
        feed.on_opened()
    elif record.kind == "f":
        feed.on_frame(record.payload, record.ts_recv)
    elif record.kind == "r":
        body = record.payload.partition(b"\n")[2]
        if b"lastUpdateId" in body:
            feed.on_recorded_snapshot(parse_qs(urlsplit(url).query)["symbol"][0], body, record.ts_recv)
        else:
            feed.add_instruments(body)


@pytest.mark.proves("ROW-H13")
@pytest.mark.parametrize("name", SCRIPTS)
def test_same_capture_gives_the_same_bytes_in_any_number_of_threads(name: str, tmp_path: Path) -> None:
    path = forge(name, tmp_path / "session.dfcap.zst")
    alone = published(path, name)
    assert alone != hashlib.sha256().hexdigest()
    with ThreadPoolExecutor(THREADS) as pool:
        together = list(pool.map(lambda _: published(path, name), range(THREADS)))
    assert set(together) == {alone}


@pytest.mark.proves("ROW-H13")
@pytest.mark.parametrize("name", SCRIPTS)
def test_same_capture_gives_the_same_report(name: str, tmp_path: Path) -> None:
    path = forge(name, tmp_path / "session.dfcap.zst")
    first, second = (replay_file(path, checkpoint_every=10) for _ in range(2))
    assert json.dumps(first) == json.dumps(second)
    report = first[0]
    assert report["frames"] > 500
    assert all(book["updates"] >= 240 for book in report["books"].values())
