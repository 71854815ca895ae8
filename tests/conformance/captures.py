"""Convert the recordings of real venues into captures, each as one session.

``python -m tests.conformance.captures FOLDER`` writes all of them. What a recording lacks and a replay needs
(an instrument list) is derived from it, and the note of the capture says so.
"""

import gzip
import json
import sys
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Final

import zstandard

from tests.conformance.capture_file import Capture, CaptureBuilder, dump, write
from tests.conformance.recordings import recordings_folder

BINANCE_REST: Final = "https://api.binance.com"
USDM_REST: Final = "https://fapi.binance.com"
OKX_REST: Final = "https://www.okx.com"


def binance_spot(folder: Path) -> Capture:
    """BTCUSDT of 2024-08-08 and 09: two files, one session."""
    days = [folder / f"binance/spot/btcusdt_{day}.gz" for day in ("20240808", "20240809")]
    capture = CaptureBuilder("binance_spot", "BTCUSDT 2024-08-08/09; derived: instrument list, connection")
    streams = "btcusdt@depth@100ms/btcusdt@bookTicker/btcusdt@trade"
    first = next(ns_lines(days[0]))[0]
    url = f"wss://stream.binance.com:9443/stream?streams={streams}"
    capture.open(first, venue="binance", product="spot", url=url)
    listing = binance_listing("BTCUSDT", "BTC", "USDT", tick="0.01000000", lot="0.00001000")
    capture.answer(first, f"{BINANCE_REST}/api/v3/exchangeInfo", listing, is_derived=True)
    for day in days:
        add_ns_lines(capture, day, f"{BINANCE_REST}/api/v3/depth?symbol=BTCUSDT&limit=1000")
    return capture.build()


def binance_usdm(folder: Path) -> Capture:
    """BTCUSDT perpetual of 2024-08-08."""
    path = folder / "binance/usdm/btcusdt_20240808.gz"
    capture = CaptureBuilder(
        "binance_usdm", "BTCUSDT perpetual 2024-08-08; derived: instrument list, connection"
    )
    streams = "btcusdt@depth@0ms/btcusdt@bookTicker/btcusdt@trade"
    first = next(ns_lines(path))[0]
    url = f"wss://fstream.binance.com/stream?streams={streams}"
    capture.open(first, venue="binance", product="usdm", url=url)
    listing = binance_listing("BTCUSDT", "BTC", "USDT", tick="0.10", lot="0.001", is_perpetual=True)
    capture.answer(first, f"{USDM_REST}/fapi/v1/exchangeInfo", listing, is_derived=True)
    add_ns_lines(capture, path, f"{USDM_REST}/fapi/v1/depth?symbol=BTCUSDT&limit=1000")
    return capture.build()


def binance_combined4(folder: Path) -> Capture:
    """Four symbols on one socket, 2021-10-12, each snapshot at its recorded moment."""
    spot = folder / "binance/spot"
    capture = CaptureBuilder("binance_combined4", "NKNUSDT BLZETH LRCBTC RUNEEUR 2021-10-12")
    url, opened, frames = cf_session(spot / "combined4_20211012.ws.txt.gz")
    capture.open(opened, venue="binance", product="spot", url=url)
    answers = list(cf_answers(spot / "combined4_20211012.depth_rest.txt.gz"))
    for listing_url, _, body in cf_answers(spot / "exchange_info_20211012.txt.gz"):
        capture.answer(opened, listing_url, body)
    for kind, ts_recv, payload in frames:
        while answers and answers[0][1] <= ts_recv:
            rest_url, answered, body = answers.pop(0)
            capture.answer(answered, rest_url, body)
        capture.add(ts_recv, kind, payload)
    return capture.build()


def coinbase_advanced(folder: Path) -> Capture:
    """BTC-USD and ETH-USD of 2026-08-09, all channels on one connection."""
    path = folder / "coinbase/advanced/btcusd_ethusd_20260809_first500.jsonl.zst"
    capture = CaptureBuilder("coinbase_advanced", "BTC-USD ETH-USD 2026-08-09, first 500 frames")
    listing: tuple[str, bytes] | None = None
    with path.open("rb") as packed:
        text = zstandard.ZstdDecompressor().stream_reader(packed).read()
    for line in text.splitlines():
        entry = json.loads(line, parse_float=Decimal)
        match entry["t"]:
            case "http":
                listing = entry["url"], entry["data"].encode()
            case "connect":
                opened = nanoseconds(entry["ts"])
                capture.open(opened, venue="coinbase", product="advanced", url=entry["addr"])
                assert listing is not None
                capture.answer(opened, *listing)
            case "send":
                capture.add(nanoseconds(entry["ts"]), "s", entry["data"].encode())
            case "recv":
                capture.add(nanoseconds(entry["ts"]), "f", entry["data"].encode())
    return capture.build()


def coinbase_exchange(folder: Path) -> Capture:
    """Ten products of 2021-04-17."""
    capture = CaptureBuilder("coinbase_exchange", "10 products 2021-04-17")
    url, opened, frames = cf_session(folder / "coinbase/exchange/level2_10products_20210417.txt.gz")
    capture.open(opened, venue="coinbase", product="exchange", url=url)
    for listing_url, _, body in cf_answers(folder / "coinbase/exchange/products_20210417.txt.gz"):
        capture.answer(opened, listing_url, body)
    for kind, ts_recv, payload in frames:
        capture.add(ts_recv, kind, payload)
    return capture.build()


def kraken_v2(folder: Path) -> Capture:
    """BTC/USD depth 25 of 2026-08-02; prices have 1 decimal, quantities 8."""
    text = gzip.decompress((folder / "kraken/v2/btcusd_d25_20260802.cbcap.gz").read_bytes())
    header, at = text[: text.index(b"\n")], text.index(b"\n") + 1
    capture = CaptureBuilder(
        "kraken_v2", "BTC/USD depth 25 2026-08-02; derived: AssetPairs, connection, subscription"
    )
    opened = int(header.rsplit(b" ", 1)[1])
    capture.open(opened, venue="kraken", product="spot", url="wss://ws.kraken.com/v2")
    capture.answer(opened, "https://api.kraken.com/0/public/AssetPairs", kraken_listing(), is_derived=True)
    subscription = {"channel": "book", "symbol": ["BTC/USD"], "depth": 25, "snapshot": True}
    capture.add(opened, "s", dump({"method": "subscribe", "params": subscription}))
    while at < len(text):
        end = text.index(b"\n", at)
        ts_recv, size = map(int, text[at:end].split())
        capture.add(ts_recv, "f", text[end + 1 : end + 1 + size])
        at = end + 1 + size + 1
    return capture.build()


def okx_v5(folder: Path) -> Capture:
    """BTC-USDT, BTC-USD-220527 and UNI-USD-SWAP of 2022-05-13: checksums, no sequence numbers."""
    capture = CaptureBuilder("okx_v5", "3 instruments 2022-05-13; derived: the list of BTC-USD-220527")
    url, opened, frames = cf_session(folder / "okx/v5/books_tickers_trades_3inst_20220513.txt.gz")
    capture.open(opened, venue="okx", product="public", url=url)
    listings = list(cf_answers(folder / "okx/v5/instruments_spot_swap_20220513.txt.gz"))
    for listing_url, _, body in listings[-2:]:  # the last before the socket opened
        capture.answer(opened, listing_url, body)
    future_url = f"{OKX_REST}/api/v5/public/instruments?instType=FUTURES"
    capture.answer(opened, future_url, okx_future_listing(), is_derived=True)
    for kind, ts_recv, payload in frames:
        capture.add(ts_recv, kind, payload)
    return capture.build()


def okx_chained(folder: Path) -> Capture:
    """Derive today's OKX from the recording: frames are numbered per instrument, the checksum is 0."""
    recorded = okx_v5(folder)
    numbers: dict[str, int] = {}
    records = []
    for record in recorded.records:
        frame = json.loads(record.payload) if record.kind == "f" else {}
        if frame.get("arg", {}).get("channel") == "books" and "data" in frame:
            name = frame["arg"]["instId"]
            for book in frame["data"]:
                number = numbers.get(name, 0) + 1
                is_snapshot = frame["action"] == "snapshot"
                book.update(checksum=0, prevSeqId=-1 if is_snapshot else number - 1, seqId=number)
                numbers[name] = number
            record = type(record)(record.ts_recv, record.conn, "f", dump(frame), record.origin)
        records.append(record)
    note = "derived from okx_v5: seqId counts the frames of an instrument, checksum is 0"
    return Capture("okx_chained", note, tuple(records))


CAPTURES: Final[dict[str, Callable[[Path], Capture]]] = {
    "binance_spot": binance_spot,
    "binance_usdm": binance_usdm,
    "binance_combined4": binance_combined4,
    "coinbase_advanced": coinbase_advanced,
    "coinbase_exchange": coinbase_exchange,
    "kraken_v2": kraken_v2,
    "okx_v5": okx_v5,
    "okx_chained": okx_chained,
}


def nanoseconds(seconds: str | Decimal | bytes) -> int:
    """Return a time in seconds as whole nanoseconds, exactly."""
    text = seconds.decode() if isinstance(seconds, bytes) else seconds
    return int(Decimal(text) * 1_000_000_000)


def ns_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield receive time (ns) and frame of each line."""
    with gzip.open(path, "rb") as lines:
        for line in lines:
            ts_recv, _, frame = line.rstrip(b"\n").partition(b" ")
            yield int(ts_recv), frame


def add_ns_lines(capture: CaptureBuilder, path: Path, depth_url: str) -> None:
    """Append frames, and REST depth answers where they stand."""
    for ts_recv, frame in ns_lines(path):
        if frame.startswith(b'{"lastUpdateId"'):
            capture.answer(ts_recv, depth_url, frame)
        else:
            capture.add(ts_recv, "f", frame)


def cf_session(path: Path) -> tuple[str, int, Iterator[tuple[str, int, bytes]]]:
    """Return URL, time of opening (ns) and the (kind, ts, bytes) of a cf-line file."""
    lines = gzip.decompress(path.read_bytes()).splitlines()
    url, _, opened = lines[0].partition(b" <-> ")

    def frames() -> Iterator[tuple[str, int, bytes]]:
        for line in lines[1:]:
            if line.startswith(b"wss://"):
                _, _, sent = line.partition(b" <- ")
                stamp, _, payload = sent.partition(b": ")
                yield "s", nanoseconds(stamp), payload
            elif line and not line.startswith(b"configuration:"):
                stamp, _, payload = line.partition(b": ")
                yield "f", nanoseconds(stamp), payload

    return url.decode(), nanoseconds(opened), frames()


def cf_answers(path: Path) -> Iterator[tuple[str, int, bytes]]:
    """Yield URL, time (ns) and body of each answer of a cf-line file."""
    for line in gzip.decompress(path.read_bytes()).splitlines():
        url, arrow, rest = line.partition(b" -> ")
        if arrow:
            stamp, _, body = rest.partition(b": ")
            yield url.decode(), nanoseconds(stamp), body


def binance_listing(
    symbol: str, base: str, quote: str, *, tick: str, lot: str, is_perpetual: bool = False
) -> bytes:
    """Return an exchangeInfo body with one symbol."""
    filters = [
        {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": "1000000", "tickSize": tick},
        {"filterType": "LOT_SIZE", "minQty": lot, "maxQty": "9000", "stepSize": lot},
    ]
    entry: dict[str, object] = {
        "symbol": symbol,
        "status": "TRADING",
        "baseAsset": base,
        "quoteAsset": quote,
        "filters": filters,
    }
    if is_perpetual:
        entry |= {"pair": symbol, "contractType": "PERPETUAL", "marginAsset": quote}
        entry |= {"pricePrecision": 2, "quantityPrecision": 3}
    return dump({"timezone": "UTC", "serverTime": 0, "symbols": [entry]})


def kraken_listing() -> bytes:
    """Return an AssetPairs body with BTC/USD, its precision as recorded."""
    pair = {
        "altname": "XBTUSD",
        "wsname": "XBT/USD",
        "base": "XXBT",
        "quote": "ZUSD",
        "pair_decimals": 1,
        "lot_decimals": 8,
        "ordermin": "0.00005",
        "tick_size": "0.1",
        "status": "online",
    }
    return dump({"error": [], "result": {"XXBTZUSD": pair}})


def okx_future_listing() -> bytes:
    """Return an instruments body with BTC-USD-220527, an inverse future of 100 USD a contract."""
    future = {
        "instType": "FUTURES",
        "instId": "BTC-USD-220527",
        "uly": "BTC-USD",
        "baseCcy": "",
        "quoteCcy": "",
        "settleCcy": "BTC",
        "ctVal": "100",
        "ctMult": "1",
        "ctValCcy": "USD",
        "ctType": "inverse",
        "expTime": "1653638400000",
        "tickSz": "0.1",
        "lotSz": "1",
        "minSz": "1",
        "state": "live",
    }
    return dump({"code": "0", "msg": "", "data": [future]})


def main() -> None:
    """Write every capture into the folder that is given."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for convert in CAPTURES.values():
        path = write(convert(recordings_folder()), folder)
        sys.stdout.write(f"{path} {path.stat().st_size}\n")


if __name__ == "__main__":
    main()
