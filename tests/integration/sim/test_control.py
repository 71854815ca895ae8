"""The control endpoint and the command line, from outside."""

import asyncio
import hashlib
import json
import signal
import sys
from pathlib import Path

import aiohttp
import pytest

from datafacade.sim.books import Book
from datafacade.sim.cli import main
from tests.integration.sim.harness import PATIENCE_S, Json, receive, send, simulator, socket, until


async def call(method: str, url: str, body: object = None) -> tuple[int, Json]:
    data = None if body is None else body if isinstance(body, str) else json.dumps(body)
    async with aiohttp.ClientSession() as session, session.request(method, url, data=data) as answer:
        return answer.status, await answer.json()


async def test_a_fault_is_armed_proven_and_removed_over_http() -> None:
    async with simulator("okx/public") as running, socket(running, "okx/public", "/ws/v5/public") as ws:
        control = running.control_url
        await send(ws, {"op": "subscribe", "args": [{"channel": "trades", "instId": "BTC-USDT"}]})
        request = {"verb": "drop", "venue": "okx", "symbol": "BTC-USDT", "channel": "trades", "count": 2}
        status, fault = await call("POST", f"{control}/faults", request)
        assert status == 201
        assert fault["applied"] == 0
        async with asyncio.timeout(PATIENCE_S):
            while (proof := (await call("GET", f"{control}/faults/{fault['id']}"))[1])["applied"] < 2:
                pass  # each look is a request of its own
        assert proof["is_over"]
        assert proof["armed_mono_ns"] <= proof["first_mono_ns"] <= proof["last_mono_ns"]
        _, mute = await call("POST", f"{control}/faults", {"verb": "mute", "venue": "okx"})
        assert (await call("DELETE", f"{control}/faults/{mute['id']}"))[1] == {"ended": 1}
        assert [entry["verb"] for entry in (await call("GET", f"{control}/faults"))[1]] == ["drop", "mute"]
        await until(ws, lambda body: "data" in body)


async def test_nonsense_is_answered_with_400_and_a_reason() -> None:
    async with simulator("okx/public") as running:
        bodies: tuple[object, ...] = ("nonsense", [], {"verb": "explode"})
        for body in bodies:
            status, answer = await call("POST", f"{running.control_url}/faults", body)
            assert status == 400
            assert len(answer["error"]) > 10
        assert (await call("GET", f"{running.control_url}/faults/99"))[0] == 404
        assert (await call("GET", f"{running.control_url}/truth/book?venue=okx&symbol=NOPE"))[0] == 404


async def test_the_true_book_is_told_as_canonical_text() -> None:
    async with simulator("kraken/spot", steps_per_s=0.0) as running:
        path = "/truth/book?venue=kraken&symbol=BTC/USD"
        _, body = await call("GET", running.control_url + path)
        assert body["sha256"] == hashlib.sha256(body["text"].encode()).hexdigest()
        book = running.book("kraken/spot", "BTC/USD")
        assert isinstance(book, Book)
        assert body["text"] == book.text()
        _, body = await call("GET", running.control_url + path + "&depth=3")
        assert body["text"] == book.text(3)


async def test_stats_count_connections_attempts_and_violations() -> None:
    async with simulator("okx/public", "kraken/spot") as running:
        async with socket(running, "kraken/spot", "/v2") as ws:
            await receive(ws)
            _, body = await call("GET", f"{running.control_url}/stats")
            assert body["kraken/spot"]["open_now"] == 1
            assert len(body["kraken/spot"]["attempts_mono_ns"]) == 1
            assert body["okx/public"]["attempts"] == 0
            _, rows = await call("GET", f"{running.control_url}/connections")
            assert [(row["connection"], row["product"], row["path"]) for row in rows] == [
                (1, "kraken/spot", "/v2")
            ]
        _, verbs = await call("GET", f"{running.control_url}/verbs")
        assert {"drop", "rst", "stale_snapshot"} <= set(verbs)
        assert "POST /faults" in (await call("GET", running.control_url))[1]
        assert (await call("GET", f"{running.control_url}/ports"))[1] == running.ports()


async def test_the_command_writes_ports_and_truth_and_stops_on_a_signal(tmp_path: Path) -> None:
    ports, truth = tmp_path / "ports.json", tmp_path / "truth.jsonl"
    arguments = [
        "--seed",
        "3",
        "--ports-file",
        str(ports),
        "--truth",
        str(truth),
        "--products",
        "kraken/spot",
    ]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "datafacade.sim",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        env={"PYTHONPATH": "python"},
    )
    assert process.stdout is not None
    async with asyncio.timeout(PATIENCE_S):
        told = json.loads(await process.stdout.readline())
        assert json.loads(ports.read_text()) == told
        assert set(told["venues"]) == {"kraken"}
        status, _ = await call("GET", f"{told['control']}/stats")
        assert status == 200
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0
    records = [json.loads(line) for line in truth.read_text().splitlines()]
    assert records[0]["type"] == "start"
    assert records[0]["seed"] == 3


def test_a_wrong_option_names_what_was_expected(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--products", "nyse/spot"]) == 2
    assert "kraken/spot" in capsys.readouterr().err
    assert main(["--rate", "-1"]) == 2
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    assert "examples:" in capsys.readouterr().out


async def test_two_runs_with_one_seed_have_the_same_markets() -> None:
    async with simulator("kraken/spot", "okx/public", steps_per_s=0.0) as one:
        first = {key: venue.markets for key, venue in one.venues.items()}
    async with simulator("kraken/spot", "okx/public", steps_per_s=0.0) as two:
        for product, venue in two.venues.items():
            for symbol, market in venue.markets.items():
                other = first[product][symbol]
                for number in range(200):
                    assert market.step(number) == other.step(number)
                assert market.book.sha256() == other.book.sha256()
