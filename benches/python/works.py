"""Frames of the core suite: recorded sessions, and a seeded one for the short Binance frame."""

import gzip
import json
import os
import random
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import zstandard

ROOT: Final = Path(__file__).parents[2]
RECORDINGS: Final = Path(os.environ.get("DATAFACADE_RECORDINGS", ROOT.parent / "shared" / "recordings"))
SEED: Final = 20260807
BINANCE_LIST: Final = {
    "symbols": [
        {
            "symbol": "BTCUSDT", "status": "TRADING", "baseAsset": "BTC", "quoteAsset": "USDT",
            "filters": [
                {"filterType": "PRICE_FILTER", "tickSize": "0.01000000"},
                {"filterType": "LOT_SIZE", "stepSize": "0.00001000"},
            ],
        }
    ]
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Work:
    """One row of the core suite."""

    name: str  # begins with the venue
    venue: str
    product: str
    symbol: str
    venue_symbol: str
    instruments: bytes
    snapshot: bytes
    frames: list[bytes]
    sha256: str  # of the whole book at the end, from expected.json or from a plain dict
    depth: int = 0
    rounds: int = 3

    def for_peers(self) -> dict[str, Any]:
        """Return what a peer needs."""
        return {
            "venue": self.venue,
            "symbol": self.symbol,
            "venue_symbol": self.venue_symbol,
            "snapshot": self.snapshot.decode(),
            "frames": [frame.decode() for frame in self.frames],
            "depth": self.depth,
            "rounds": self.rounds,
        }


def canonical(bids: dict[Decimal, Decimal], asks: dict[Decimal, Decimal]) -> str:
    """Return the canonical text of a book (CONTRACT "Hash")."""

    def plain(value: Decimal) -> str:
        text = f"{value:f}"
        return text.rstrip("0").rstrip(".") if "." in text else text

    lines = [f"b,{plain(px)},{plain(bids[px])}" for px in sorted(bids, reverse=True)]
    return "\n".join(lines + [f"a,{plain(px)},{plain(asks[px])}" for px in sorted(asks)])


def ns_lines(*names: str) -> Iterator[bytes]:
    """Yield the frames of ns-line recordings."""
    for name in names:
        with gzip.open(RECORDINGS / name) as file:
            yield from (line.rstrip(b"\n").partition(b" ")[2] for line in file)


def expected(venue: str) -> dict[str, Any]:
    """Return the verified facts of a venue's recordings."""
    facts: dict[str, Any] = json.loads((RECORDINGS / venue / "expected.json").read_text())
    return facts


def binance_recorded() -> Work:
    """Depth frames as recorded: 1.6 kB, 46 levels."""
    lines = list(ns_lines("binance/spot/btcusdt_20240808.gz", "binance/spot/btcusdt_20240809.gz"))
    snapshot = next(line for line in lines if b'"stream"' not in line[:20])
    last = json.loads(snapshot)["lastUpdateId"]
    depth = [line for line in lines if b"@depth" in line[:40]]
    frames = [line for line in depth if json.loads(line)["data"]["u"] > last]
    sha256 = expected("binance")["binance_spot_btcusdt"]["final"]["sha256"]
    listing = json.dumps(BINANCE_LIST).encode()
    return Work(
        "binance_depth_46_levels", "binance", "spot", "BTC-USDT", "BTCUSDT", listing, snapshot, frames, sha256
    )


def binance_short() -> Work:
    """Seeded depth frames of 330 B with 8 levels near the best, as a quiet pair sends them."""
    import hashlib

    rng = random.Random(SEED)
    bids = {
        Decimal(6_000_000 - step) / 100: Decimal(rng.randrange(1, 10**6)) / 10**5 for step in range(1_000)
    }
    asks = {
        Decimal(6_000_001 + step) / 100: Decimal(rng.randrange(1, 10**6)) / 10**5 for step in range(1_000)
    }
    rows = [[[f"{px:.8f}", f"{qty:.8f}"] for px, qty in side.items()] for side in (bids, asks)]
    snapshot = json.dumps({"lastUpdateId": 1_000, "bids": rows[0], "asks": rows[1]}).encode()
    frames, last = [], 1_000
    for at in range(20_000):
        changes: list[list[list[str]]] = [[], []]
        for is_ask, (side, best) in enumerate(((bids, 6_000_000), (asks, 6_000_001))):
            for step in rng.sample(range(60), 4):
                px = Decimal(best + (step if is_ask else -step)) / 100
                qty = Decimal(0 if step and rng.random() < 0.3 else rng.randrange(1, 10**6)) / 10**5
                changes[is_ask].append([f"{px:.8f}", f"{qty:.8f}"])
                if qty:
                    side[px] = qty
                else:
                    side.pop(px, None)
        data = {"e": "depthUpdate", "E": 1_723_161_255_408 + at, "s": "BTCUSDT", "U": last + 1, "u": last + 8}
        last += 8
        message = {"stream": "btcusdt@depth@100ms", "data": data | {"b": changes[0], "a": changes[1]}}
        frames.append(json.dumps(message, separators=(",", ":")).encode())
    sha256 = hashlib.sha256(canonical(bids, asks).encode()).hexdigest()
    listing = json.dumps(BINANCE_LIST).encode()
    return Work(
        "binance_depth_8_levels", "binance", "spot", "BTC-USDT", "BTCUSDT", listing, snapshot, frames, sha256
    )


def kraken_recorded() -> Work:
    """Kraken v2 book frames of depth 25: 198 B, every one with a checksum."""
    data = gzip.decompress((RECORDINGS / "kraken/v2/btcusd_d25_20260802.cbcap.gz").read_bytes())
    frames, at = [], data.index(b"\n") + 1
    while at < len(data):
        end = data.index(b"\n", at)
        length = int(data[at:end].split(b" ")[1])
        frames.append(data[end + 1 : end + 1 + length])
        at = end + length + 2
    books = [frame for frame in frames if b'"channel":"book"' in frame and b'"method"' not in frame]
    pair = {
        "altname": "XBTUSD", "wsname": "XBT/USD", "base": "XXBT", "quote": "ZUSD", "status": "online",
        "pair_decimals": 1, "lot_decimals": 8, "tick_size": "0.1",
    }  # fmt: skip
    listing = json.dumps({"error": [], "result": {"XXBTZUSD": pair}}).encode()
    sha256 = expected("kraken")["kraken_v2_btcusd"]["final"]["sha256"]
    return Work(
        "kraken_book_25_levels",
        "kraken",
        "spot",
        "BTC-USD",
        "BTC/USD",
        listing,
        books[0],
        books[1:],
        sha256,
        25,
        10,
    )


def coinbase_recorded() -> Work:
    """Coinbase Advanced BTC-USD changes on the whole book of 46,000 levels."""
    raw = (RECORDINGS / "coinbase/advanced/btcusd_ethusd_20260809_first500.jsonl.zst").read_bytes()
    text = zstandard.ZstdDecompressor().decompressobj().decompress(raw)
    rows = [json.loads(line) for line in text.splitlines()]
    listing = next(row for row in rows if row["t"] == "http")
    body = listing.get("body") or listing.get("data")
    received = [row["data"] for row in rows if row["t"] == "recv"]
    books = [frame for frame in received if '"l2_data"' in frame[:120] and '"BTC-USD"' in frame[:400]]
    numbered = renumber(books)
    sha256 = expected("coinbase")["coinbase_advanced_first500"]["final"]["BTC-USD"]["sha256"]
    return Work(
        "coinbase_l2_46000_levels", "coinbase", "advanced", "BTC-USD", "BTC-USD", body.encode(), numbered[0],
        numbered[1:], sha256, 0, 3,
    )  # fmt: skip


def renumber(frames: list[str]) -> list[bytes]:
    """Give the frames of one product the numbers of a connection: derived from the recording."""
    numbered = []
    for number, frame in enumerate(frames):
        head, found, tail = frame.partition('"sequence_num":')
        rest = tail.lstrip("0123456789")
        numbered.append(f"{head}{found}{number}{rest}".encode())
    return numbered


def okx_recorded() -> Work:
    """OKX BTC-USDT frames of 25 levels, numbered and without checksum as today (derived)."""
    with gzip.open(RECORDINGS / "okx/v5/books_tickers_trades_3inst_20220513.txt.gz", "rt") as file:
        lines = [line.partition(": ")[2].strip() for line in file if not line.startswith("wss")]
    books = [
        json.loads(line)
        for line in lines
        if '"books"' in line and '"action"' in line and '"BTC-USDT"' in line
    ]
    frames = []
    for number, book in enumerate(books):
        book["data"][0] |= {"checksum": 0, "prevSeqId": number - 1, "seqId": number}
        frames.append(json.dumps(book, separators=(",", ":")).encode())
    with gzip.open(RECORDINGS / "okx/v5/instruments_spot_swap_20220513.txt.gz", "rt") as file:
        listing = next(line.partition(": ")[2] for line in file if '"BTC-USDT"' in line and "SPOT" in line)
    sha256 = expected("okx")["okx_v5"]["final"]["BTC-USDT"]["sha256"]
    return Work(
        "okx_books_25_levels", "okx", "public", "BTC-USDT", "BTC-USDT", listing.encode(), frames[0],
        frames[1:],
        sha256, 0, 30,
    )  # fmt: skip


WORKS: Final = (binance_short, binance_recorded, kraken_recorded, coinbase_recorded, okx_recorded)
