"""REST answers go wrong in every way that a client must survive, and the ledger tells what was spent."""

import asyncio
import gzip
import json
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime

import aiohttp
import pytest

from datafacade.sim.faults import FaultRefused
from datafacade.sim.simulator import Simulator
from tests.integration.sim.harness import PATIENCE_S, Json, eventually, get, simulator

PATH = "/api/v3/klines?symbol=BTCUSDT&interval=1h&limit=20"
TICKER = "/api/v3/ticker/24hr?symbol=BTCUSDT"


async def begins(running: Simulator, path: str = PATH) -> list[int]:
    _, rows, _ = await get(running, "binance/spot", path)
    return [row[0] for row in rows]


def tells(told: str, form: str, seconds: int, *, since: float) -> bool:
    """Tell whether it says to wait so long, counted from a moment between ``since`` and now."""
    if form == "seconds":
        return int(told) == seconds
    return since - 1 <= parsedate_to_datetime(told).timestamp() - seconds <= time.time() + 1


@pytest.mark.parametrize("form", ["seconds", "date"])
async def test_retry_after_comes_in_both_forms(form: str) -> None:
    async with simulator("binance/spot") as running:
        running.arm({"verb": "http_status", "status": 429, "retry_after": 30, "retry_as": form})
        asked = time.time()
        status, _, headers = await get(running, "binance/spot", PATH)
        assert status == 429
        assert tells(headers["Retry-After"], form, 30, since=asked)


@pytest.mark.parametrize("form", ["seconds", "date"])
@pytest.mark.parametrize("status", [429, 403, 418, 503])
async def test_upgrades_are_refused_with_retry_after_in_both_forms(status: int, form: str) -> None:
    async with simulator("kraken/spot") as running, aiohttp.ClientSession() as session:
        running.arm({"verb": "refuse_upgrade", "status": status, "retry_after": 7, "retry_as": form})
        asked = time.time()
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await session.ws_connect(running.urls["kraken/spot"]["ws"] + "/v2")
        assert refused.value.status == status
        assert refused.value.headers is not None
        assert tells(refused.value.headers["Retry-After"], form, 7, since=asked)


async def test_rest_answers_with_a_status_and_retry_after() -> None:
    async with simulator("binance/spot") as running:
        date = "Wed, 21 Oct 2026 07:28:00 GMT"
        running.arm(
            {"verb": "http_status", "venue": "binance", "status": 503, "retry_after": date, "path": "time"}
        )
        status, body, headers = await get(running, "binance/spot", "/api/v3/time")
        assert (status, headers["Retry-After"]) == (503, date)
        assert "<html>" in body
        assert (await get(running, "binance/spot", "/api/v3/time"))[0] == 200


async def test_a_ban_of_three_days_counts_down_until_it_is_removed() -> None:
    async with simulator("binance/spot", "okx/public") as running:
        fault = running.arm({"verb": "ban", "venue": "binance"})
        status, _, headers = await get(running, "binance/spot", PATH)
        assert status == 418
        assert 259_190 <= int(headers["Retry-After"]) <= 259_200
        assert (await get(running, "okx/public", "/api/v5/public/time"))[0] == 200
        running.faults.remove(fault.id)
        assert (await get(running, "binance/spot", PATH))[0] == 200


async def test_a_redirect_leads_where_the_fault_says() -> None:
    async with simulator("okx/public") as running, aiohttp.ClientSession() as session:
        for where in (
            "http://169.254.169.254/latest/meta-data/",
            "file:///etc/passwd",
            "http://example.org/",
        ):
            running.arm({"verb": "redirect", "location": where})
            url = f"{running.urls['okx/public']['rest']}/api/v5/public/time"
            async with session.get(url, allow_redirects=False) as answer:
                assert (answer.status, answer.headers["Location"]) == (302, where)


async def raw(running: Simulator, path: str, enough: Callable[[bytes], bool], seconds: float) -> bytes:
    """Read an answer byte by byte until ``enough``, the end, or the time is over."""
    host, port = running.urls["binance/spot"]["rest"].removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    octets = b""
    try:
        async with asyncio.timeout(seconds):
            while not enough(octets):
                more = await reader.read(1 << 16)
                if not more:
                    break
                octets += more
    except TimeoutError:
        pass
    finally:
        writer.close()
    return octets


def promised(octets: bytes) -> tuple[int, int]:
    """Return promised and received length of the body."""
    head, _, body = octets.partition(b"\r\n\r\n")
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return int(lengths[0].partition(b":")[2]), len(body)


async def test_bodies_are_not_as_long_as_they_say() -> None:
    async with simulator("binance/spot") as running:
        fits: dict[str, Callable[[int, int], bool]] = {
            "longer": lambda told, came: told == 2 * came,
            "shorter": lambda told, came: told == came // 2,
            "cut": lambda told, came: told // 2 == came,
        }
        for kind, fit in fits.items():
            running.arm({"verb": "broken_rest", "kind": kind, "ms": 50})
            octets = await raw(running, PATH, lambda _: False, 2.0)
            told, came = promised(octets)
            assert fit(told, came), (kind, told, came)


async def test_a_body_drips_and_another_never_ends() -> None:
    async with simulator("binance/spot") as running:
        running.arm({"verb": "broken_rest", "kind": "drip", "bytes_s": 20})
        started = time.monotonic()
        octets = await raw(running, PATH, lambda got: len(got.partition(b"\r\n\r\n")[2]) >= 5, PATIENCE_S)
        _, came = promised(octets)
        assert 5 <= came <= 1 + 20 * (time.monotonic() - started)
        running.arm({"verb": "broken_rest", "kind": "endless"})
        octets = await raw(running, PATH, lambda got: len(got) > 8 << 20, PATIENCE_S)
        assert len(octets) > 8 << 20


async def test_a_small_gzip_body_grows_to_many_mebibytes() -> None:
    async with simulator("binance/spot") as running, aiohttp.ClientSession(auto_decompress=False) as session:
        running.arm({"verb": "broken_rest", "kind": "gzip_bomb", "mib": 20})
        async with session.get(running.urls["binance/spot"]["rest"] + PATH) as answer:
            packed = await answer.read()
            assert answer.headers["Content-Encoding"] == "gzip"
        assert len(packed) < 40_000
        assert len(gzip.decompress(packed)) == 20 << 20


async def test_answers_with_200_are_pages_or_errors() -> None:
    async with simulator("binance/spot", "okx/public", "kraken/spot") as running:
        running.arm({"verb": "broken_rest", "kind": "html", "venue": "binance"})
        status, text, _ = await get(running, "binance/spot", PATH)
        assert (status, text.startswith("<html>")) == (200, True)
        running.arm({"verb": "broken_rest", "kind": "error_object", "count": 3})
        _, told, _ = await get(running, "binance/spot", PATH)
        assert told["code"] == -1_000
        _, told, _ = await get(running, "okx/public", "/api/v5/public/time")
        assert told["code"] == "50001"
        _, told, _ = await get(running, "kraken/spot", "/0/public/Time")
        assert told["error"] == ["EService:Unavailable"]


async def test_the_times_of_one_answer_jump_back_ten_hours() -> None:
    async with simulator("binance/spot", "coinbase/exchange") as running:
        running.arm({"verb": "old_answer", "venue": "binance", "path": "ticker"})
        _, old, _ = await get(running, "binance/spot", TICKER)
        _, new, _ = await get(running, "binance/spot", TICKER)
        assert 35_990_000 < new["closeTime"] - old["closeTime"] < 36_010_000
        assert old["lastId"] <= new["lastId"]
        running.arm({"verb": "old_answer", "venue": "coinbase", "ms": 60_000})
        _, old, _ = await get(running, "coinbase/exchange", "/products/BTC-USD/ticker")
        _, new, _ = await get(running, "coinbase/exchange", "/products/BTC-USD/ticker")
        assert old["time"] < new["time"]


async def test_a_field_is_odd_or_missing() -> None:
    async with simulator("binance/spot") as running, aiohttp.ClientSession() as session:
        running.arm({"verb": "odd_field", "field": "lastPrice", "value": "1e30"})
        assert (await get(running, "binance/spot", TICKER))[1]["lastPrice"] == "1e30"
        running.arm({"verb": "odd_field", "field": "lastPrice", "raw": "NaN"})
        async with session.get(running.urls["binance/spot"]["rest"] + TICKER) as answer:
            assert '"lastPrice":NaN,' in await answer.text()
        for name in ("symbol", "lastPrice", "count"):
            running.arm({"verb": "odd_field", "field": name, "is_removed": True})
            _, told, _ = await get(running, "binance/spot", TICKER)
            assert name not in told
            assert len(told) > 10


async def test_pages_of_candles_do_not_join() -> None:
    async with simulator("binance/spot") as running:
        whole = await begins(running)
        running.arm({"verb": "odd_pages", "kind": "hole", "n": 3})
        told = await begins(running)
        assert len(told) == 17
        assert set(told) < set(whole)
        running.arm({"verb": "odd_pages", "kind": "unsorted"})
        told = await begins(running)
        assert sorted(told) == whole != told
        running.arm({"verb": "odd_pages", "kind": "duplicate", "n": 2})
        assert len(await begins(running)) == 22
        running.arm({"verb": "odd_pages", "kind": "overlap", "n": 4, "path": f"startTime={whole[10]}"})
        first = await begins(running, PATH.replace("limit=20", f"startTime={whole[0]}&limit=10"))
        second = await begins(running, PATH.replace("limit=20", f"startTime={whole[10]}&limit=10"))
        assert first == whole[:10]
        assert second == whole[6:10] + whole[10:20]
        running.arm({"verb": "odd_pages", "kind": "short"})
        _, rows, _ = await get(running, "binance/spot", PATH)
        assert {len(row) for row in rows} == {6}


async def test_revised_history_stays_revised() -> None:
    async with simulator("binance/spot", "okx/public") as running:
        _, before, _ = await get(running, "binance/spot", PATH)
        request = {"from_ms": before[3][0], "until_ms": before[5][0], "volume_ratio": 3.0}
        running.arm({"verb": "revise", "venue": "binance", "symbol": "BTC-USDT", **request})
        for _ in range(2):
            _, after, _ = await get(running, "binance/spot", PATH)
            changed = [at for at in range(19) if before[at] != after[at]]
            assert changed == [3, 4, 5]
        assert float(after[4][5]) == pytest.approx(3 * float(before[4][5]))
        with pytest.raises(FaultRefused):
            running.arm({"verb": "revise", "symbol": "NOPE", **request})


def last(body: Json) -> float:
    return float(body["lastPrice"])


async def test_a_market_stands_higher_until_the_fault_is_removed() -> None:
    async with simulator("binance/spot", "kraken/spot") as running:
        market = running.venues["binance/spot"].markets["BTCUSDT"]
        other = running.venues["kraken/spot"].markets["BTC/USD"]
        before, untouched = market.fair, other.fair
        fault = running.arm({"verb": "shift", "venue": "binance", "symbol": "BTC-USDT", "ratio": 0.05})
        assert market.fair == pytest.approx(before * 1.05, rel=0.002)
        await eventually(lambda: market.session.last > before * 1.045)
        bids, asks = market.book.bids.best(), market.book.asks.best()
        assert bids is not None
        assert asks is not None
        assert before * 1.045 < bids < asks < before * 1.055
        assert other.fair == pytest.approx(untouched, rel=0.01)
        running.faults.remove(fault.id)
        assert market.fair == pytest.approx(before, rel=0.01)
        assert fault.applied == 1


async def test_a_depeg_moves_what_is_quoted_in_tether_and_tether_itself() -> None:
    async with simulator("okx/public", "kraken/spot", bases=("BTC", "USDT")) as running:
        assert set(running.venues["okx/public"].markets) == {"BTC-USDT"}
        quoted = running.venues["okx/public"].markets["BTC-USDT"]
        dollar = running.venues["kraken/spot"].markets["BTC/USD"]
        tether = running.venues["kraken/spot"].markets["USDT/USD"]
        before = (quoted.fair, dollar.fair, tether.fair)
        running.arm({"verb": "depeg", "ratio": -0.03})
        assert quoted.fair == pytest.approx(before[0] / 0.97, rel=0.002)
        assert dollar.fair == pytest.approx(before[1], rel=0.002)
        assert tether.fair == pytest.approx(before[2] * 0.97, rel=0.002)


LIMITS = {"binance/spot": 9.0, "kraken/spot": 0.1}  # Kraken: a second; however slowly it is asked


async def test_the_ledger_tells_weights_calls_and_refusals() -> None:
    async with simulator("binance/spot", "kraken/spot", rest_limits=LIMITS) as running:
        statuses = [(await get(running, "binance/spot", PATH))[0] for _ in range(6)]
        await get(running, "binance/spot", "/api/v3/time")
        for _ in range(6):
            await get(running, "kraken/spot", "/0/public/Time")
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{running.control_url}/ledger?last_s=120") as answer,
        ):
            told = await answer.json()
        binance, kraken = told["binance/spot"], told["kraken/spot"]
        assert binance["calls_by_path"] == {"/api/v3/klines": 6, "/api/v3/time": 1}
        assert (binance["weight"], binance["spent"]) == (13, 13)
        assert binance["http_429"] == statuses.count(429) + 1 == binance["refused"]
        assert (binance["distinct_requests"], binance["repeated_requests"]) == (2, 5)
        assert binance["limits"]["REQUEST_WEIGHT"]["limit"] == 9
        assert kraken["http_429"] == 0
        assert kraken["refused"] >= 1, "Kraken refuses with HTTP 200"
        assert kraken["limits"]["address"]["kind"] == "bucket"


async def test_the_ledger_counts_requests_at_once_and_clients_that_leave() -> None:
    async with simulator("okx/public") as running, aiohttp.ClientSession() as session:
        running.arm({"verb": "slow_rest", "ms": 5_000, "count": 3})
        url = running.urls["okx/public"]["rest"] + "/api/v5/public/time"
        calls = [asyncio.create_task(session.get(url)) for _ in range(3)]
        ledger = running.rests["okx/public"].ledger
        await eventually(lambda: ledger.in_flight == 3)
        for call in calls:
            call.cancel()
        await eventually(lambda: ledger.in_flight == 0)
        assert ledger.in_flight_max == 3
        assert ledger.statuses["none"] == 3
        gone = [row for row in running.truth.recent if row["type"] == "rest" and row["status"] is None]
        assert len(gone) == 3


async def test_what_makes_no_sense_is_refused() -> None:
    async with simulator("okx/public") as running:
        for request in (
            {"verb": "odd_pages", "kind": "sideways"},
            {"verb": "http_status", "retry_as": "moon"},
            {"verb": "broken_rest", "kind": "melted"},
        ):
            with pytest.raises(FaultRefused):
                running.arm(request)
        assert json.loads(json.dumps(running.ledger(60)))["okx/public"]["calls"] == 0
