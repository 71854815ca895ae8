"""The verbs against a running service, as a user types them."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pytest

from datafacade.cli.main import main
from tests.integration.cli.running import (
    CTRL_C,
    PATIENCE_S,
    Terminal,
    first_line,
    run,
    served,
    simulated,
    spawned,
)
from tests.ports import closed_port

KEYS: Final = {
    "state",
    "integrity",
    "best_bid",
    "best_ask",
    "proofs",
    "latency_us",
    "trades",
    "updates",
    "gaps",
}


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with simulated(tmp_path_factory.mktemp("cli")) as folder:
        yield folder


@pytest.fixture(scope="module")
def target(config: Path) -> Iterator[str]:
    with served(config) as address:
        yield address


def said(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Run a verb in this process; return its exit code, stdout and stderr."""
    code = main(words)
    streams = capsys.readouterr()
    return code, streams.out, streams.err


def json_of(capsys: pytest.CaptureFixture[str], *words: str) -> Any:  # noqa: ANN401  JSON
    """Run a verb that prints JSON and succeeds."""
    code, out, err = said(capsys, *words, "--json")
    assert code == 0, err
    return json.loads(out)


# Asking


def test_book_prints_a_proven_book(capsys: pytest.CaptureFixture[str], target: str) -> None:
    book = json_of(capsys, "book", "kraken", "XBT/USD", "--depth", "5", "--target", target)
    assert (book["symbol"], book["state"], book["integrity"]) == ("BTC-USD", "LIVE", "CHECKSUM")
    assert (len(book["bids"]), len(book["asks"])) == (5, 5)
    best_bid, best_ask = Decimal(book["bids"][0][0]), Decimal(book["asks"][0][0])
    assert best_bid < best_ask
    assert Decimal(book["spread"]) == best_ask - best_bid
    code, out, _ = said(capsys, "book", "kraken", "BTCUSD", "-d", "3", "-t", target)
    assert code == 0
    assert "kraken:BTC-USD  ● LIVE   proven by checksum" in out


def test_an_unknown_symbol_exits_1_with_near_matches(capsys: pytest.CaptureFixture[str], target: str) -> None:
    code, out, err = said(capsys, "book", "kraken", "BTCUS", "--target", target)
    assert (code, out) == (1, "")
    assert "unknown symbol 'BTCUS'" in err
    assert "BTC-USD" in err


def test_an_unknown_venue_exits_1(capsys: pytest.CaptureFixture[str], target: str) -> None:
    code, _, err = said(capsys, "instruments", "mtgox", "--target", target)
    assert code == 1
    assert "mtgox" in err


def test_health_tells_each_venue(capsys: pytest.CaptureFixture[str], target: str) -> None:
    answer = json_of(capsys, "health", "--target", target)
    assert [venue["venue"] for venue in answer["venues"]] == ["binance", "kraken"]
    assert answer["status"] in ("HEALTHY", "DEGRADED")
    code, out, _ = said(capsys, "health", "--target", target)
    assert code == 0
    assert "kraken" in out


def test_instruments_are_listed_and_searched(capsys: pytest.CaptureFixture[str], target: str) -> None:
    rows = json_of(capsys, "instruments", "binance", "--search", "btcusdt", "--target", target)
    assert [(row["symbol"], row["venue_symbol"], row["type"]) for row in rows] == [
        ("BTC-USDT", "BTCUSDT", "SPOT")
    ]
    code, out, _ = said(capsys, "instruments", "binance", "--target", target)
    assert code == 0
    assert "ETH-USDT" in out


def test_the_target_may_come_from_the_environment(
    capsys: pytest.CaptureFixture[str], target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATAFACADE_TARGET", target)
    assert json_of(capsys, "health")["version"]


# Watching


@pytest.fixture
def followed(target: str, capsys: pytest.CaptureFixture[str]) -> str:
    """Return the service once the books that are watched are LIVE, which they stay for a while."""
    for venue, symbol in (("kraken", "BTC-USD"), ("binance", "BTC-USDT")):
        assert json_of(capsys, "book", venue, symbol, "--target", target)["state"] == "LIVE"
    return target


def test_watch_counts_live_books_for_programs(capsys: pytest.CaptureFixture[str], followed: str) -> None:
    words = ("-v", "kraken", "-v", "binance", "-s", "BTC-USD", "-s", "BTC-USDT", "--seconds", "4")
    books = json_of(capsys, "watch", followed, *words)["books"]
    assert set(books) == {"kraken:BTC-USD", "binance:BTC-USDT"}
    for book in books.values():
        assert set(book) >= KEYS
        assert (book["state"], book["gaps"], book["proofs"]["failed"]) == ("LIVE", 0, 0)
        assert min(book["proofs"]["checked"], book["trades"], book["updates"]) > 0
        assert 0 < book["latency_us"]["p50"] <= book["latency_us"]["p99"]
        assert Decimal(book["best_bid"]) < Decimal(book["best_ask"])


def test_watch_draws_a_table_and_exports_it(
    capsys: pytest.CaptureFixture[str], followed: str, tmp_path: Path
) -> None:
    svg = tmp_path / "watch.svg"
    code, _, err = said(capsys, "watch", followed, "--seconds", "4", "--export-svg", str(svg))
    assert code == 0, err
    drawing = svg.read_text(encoding="utf-8")
    assert drawing.startswith("<svg")
    for text in ("kraken", "binance", "LIVE", "checksum"):
        assert text in drawing
    assert "url(" not in drawing.replace("url(#", ""), "no font from another host"


def test_watch_of_unknown_symbols_exits_1(capsys: pytest.CaptureFixture[str], target: str) -> None:
    code, _, err = said(capsys, "watch", target, "-v", "kraken", "-s", "NOPE-USD", "--seconds", "20")
    assert code == 1
    assert "NOPE-USD" in err


def test_watch_for_programs_needs_an_end(capsys: pytest.CaptureFixture[str], target: str) -> None:
    code, _, err = said(capsys, "watch", target, "--json")
    assert code == 2
    assert "--seconds" in err


def test_ctrl_c_ends_watch_in_order(target: str) -> None:
    with Terminal("watch", target, "-v", "kraken", "-s", "BTC-USD") as terminal:
        terminal.read_until("● LIVE")
        terminal.press(CTRL_C)
        assert terminal.ended() == 0
    assert "Traceback" not in terminal.text
    assert terminal.text.count("\x1b[?25h") >= terminal.text.count("\x1b[?25l"), "the cursor is back"


# Serving and recording


def test_a_second_service_on_the_port_exits_1_naming_the_address(config: Path, target: str) -> None:
    port = target.rpartition(":")[2]
    ended = run("serve", "--config", str(config), "--port", port)
    assert ended.returncode == 1
    last = ended.stderr.splitlines()[-2:]
    assert f":{port}" in last[0]
    assert "--port 0" in last[1]
    assert "Traceback" not in ended.stderr


def test_a_bad_configuration_exits_2_naming_file_line_and_key(tmp_path: Path) -> None:
    (tmp_path / "service.yaml").write_text("version: 1\nhot:\n  max_pears: 3\n", encoding="utf-8")
    ended = run("serve", "--config", str(tmp_path))
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "service.yaml:3: hot.max_pears" in ended.stderr
    assert "max_pairs" in ended.stderr


def test_ctrl_c_stops_the_service_in_order(config: Path, tmp_path: Path) -> None:
    output = tmp_path / "serve.err"
    with spawned("serve", "--config", str(config), "--port", "0", output=output) as process:
        assert first_line(process, output).startswith("serving on 127.0.0.1:")
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 0
    assert all(line.startswith("{") for line in output.read_text().splitlines()), "logs are JSON lines"


def test_a_recorded_session_replays(capsys: pytest.CaptureFixture[str], config: Path, tmp_path: Path) -> None:
    capture = tmp_path / "session.dfcap.zst"
    told = json_of(capsys, "record", "--config", str(config), "-o", str(capture), "--seconds", "6")
    assert told["bytes"] == capture.stat().st_size > 0
    report = json_of(capsys, "replay", str(capture))
    assert {"binance:BTC-USDT", "kraken:BTC-USD"} <= set(report["books"])
    for book in report["books"].values():
        assert book["proofs"]["checked"] > book["proofs"]["failed"] == 0
    code, out, _ = said(capsys, "replay", str(capture))
    assert code == 0
    assert "kraken:ETH-USD" in out
    code, _, err = said(capsys, "record", "--config", str(config), "-o", str(capture), "--seconds", "1")
    assert code == 2
    assert "exist" in err


def test_a_cut_capture_replays_with_a_warning(
    capsys: pytest.CaptureFixture[str], config: Path, tmp_path: Path
) -> None:
    whole, cut = tmp_path / "whole.dfcap.zst", tmp_path / "cut.dfcap.zst"
    json_of(capsys, "record", "--config", str(config), "-o", str(whole), "-v", "kraken", "--seconds", "6")
    cut.write_bytes(whole.read_bytes()[:-10])
    code, out, err = said(capsys, "replay", str(cut), "--json")
    assert code == 0
    assert "cut" in err
    assert json.loads(out)["frames"] > 0


# Without a service


@pytest.fixture
def nowhere() -> Iterator[str]:
    """Give an address where nothing listens."""
    with closed_port() as port:
        yield f"127.0.0.1:{port}"


@pytest.mark.parametrize(
    "verb",
    [
        ["health", "-t"],
        ["instruments", "kraken", "-t"],
        ["book", "kraken", "BTC-USD", "-t"],
        ["watch"],
        ["klines", "kraken", "BTC-USD", "-t"],
        ["trades", "kraken", "BTC-USD", "-t"],
        ["ticker", "kraken", "BTC-USD", "-t"],
        ["funding", "okx", "BTC-USDT", "-t"],
        ["price", "BTC-USD", "-t"],
        ["budget", "-t"],
        ["cache", "-t"],
        ["sources", "-t"],
        ["menu", "--once", "-t"],
        ["populate_cache", "-v", "kraken", "-t"],
        ["probe", "data", "-v", "kraken", "-p", "BTC-USD", "-t"],
    ],
)
def test_without_a_service_every_question_says_how_to_start_one(
    capsys: pytest.CaptureFixture[str], nowhere: str, verb: list[str]
) -> None:
    code, out, err = said(capsys, *verb, nowhere)
    assert (code, out) == (1, "")
    assert nowhere in err
    assert "datafacade serve" in err
    assert "datafacade demo" in err
    assert len(err.splitlines()) == 3


@pytest.mark.parametrize("content", [b"", b"no capture at all", b"DFCAP1 not compressed"])
def test_what_is_no_capture_exits_2(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, content: bytes
) -> None:
    file = tmp_path / "x.dfcap.zst"
    file.write_bytes(content)
    code, out, err = said(capsys, "replay", str(file), "--json")
    assert (code, out) == (2, "")
    assert err.startswith("error: ")


def test_a_capture_that_is_not_there_exits_2(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, _, err = said(capsys, "replay", str(tmp_path / "none.dfcap.zst"))
    assert code == 2
    assert "no such file" in err


@pytest.mark.parametrize(
    "words",
    [
        ("book",),
        ("nonsense",),
        ("watch", "--seconds", "0"),
        ("serve", "--port", "70000"),
        ("record", "--seconds", "1"),
        ("record", "-o", "session.txt"),
        ("record", "-o", "x.dfcap.zst", "-c", "candles"),
        ("sim", "--products", "mtgox"),
    ],
)
def test_what_makes_no_sense_exits_2(capsys: pytest.CaptureFixture[str], words: tuple[str, ...]) -> None:
    code, out, err = said(capsys, *words)
    assert (code, out) == (2, "")
    assert err
    assert "Traceback" not in err


def test_the_simulator_keeps_its_own_options(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = said(capsys, "sim", "--help")
    assert code == 0
    assert "--truth FILE" in out


def test_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert json_of(capsys, "version")["contract"] == "datafacade.v1"


def test_help_lists_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = said(capsys, "--help")
    assert code == 0
    for verb in (
        "serve",
        "sim",
        "demo",
        "watch",
        "record",
        "replay",
        "health",
        "book",
        "instruments",
        "version",
    ):
        assert verb in out
