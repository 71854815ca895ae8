"""Rows B17 to B19: what venues may invent, and what no frame may do to us. In virtual time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

import pytest

from tests.chaos.virtual.coinbase import Coinbase
from tests.chaos.virtual.kraken import Kraken
from tests.chaos.virtual.line import Line
from tests.chaos.virtual.script import Script, dump
from tests.chaos.virtual.scripts import SCRIPTS

pytestmark = pytest.mark.chaos

REFUSED_MS_MAX: Final = 5  # a frame may cost so much of the processor
MALFORMED_MAX: Final = 10  # a minute

UNKNOWN: Final = {
    "binance": [
        '{"stream":"btcusdt@brandNew","data":{"e":"brandNew","E":1,"s":"BTCUSDT","x":[1,{"y":null}]}}',
        '{"e":"brandNew","E":1}',
        '{"method":"NEWS","params":[],"id":"text"}',
    ],
    "okx": [
        '{"arg":{"channel":"brand-new","instId":"BTC-USDT"},"data":[{"a":"1"}]}',
        '{"event":"brand-new","code":"99999","msg":"hello","connId":"a4d3ae55"}',
        '{"event":"channel-conn-count","channel":"orders","connCount":"2","connId":"a4d3ae55"}',
    ],
    "coinbase": [],  # numbered: made by the test
    "kraken": [
        '{"channel":"brand_new","type":"update","data":[{"symbol":"BTC/USD","a":1e-08}]}',
        '{"method":"brand_new","result":{},"success":true,"req_id":77}',
    ],
}
UNKNOWN["binance-usdm"] = UNKNOWN["binance"]


def unknown_frames(script: Script, wall_ns: int) -> list[str]:
    if isinstance(script, Coinbase):
        events = [{"type": "brand_new", "product_id": "BTC-USD", "rows": [{"a": None}]}]
        return [script.envelope("brand_new", events, wall_ns), script.envelope("news", [], wall_ns)]
    return UNKNOWN[script.venue]


@pytest.mark.proves("ROW-B17")
@pytest.mark.parametrize("name", SCRIPTS)
def test_unknown_messages_are_ignored_and_counted(name: str) -> None:
    script = SCRIPTS[name]()
    line = Line(script).live()
    symbol = script.symbols[0]
    before, stats = len(line.told(symbol)), line.feed.stats()
    frames = unknown_frames(script, line.wall_ns)
    line.say(*frames)
    assert line.told(symbol)[before:] == []
    now = line.feed.stats()
    assert now["frames"] - stats["frames"] == len(frames)
    assert now["unknown"] > stats["unknown"]
    assert now["errors"] == stats["errors"]
    assert not line.of("close")
    line.change(symbol)
    assert line.equals_truth(symbol)


@pytest.mark.proves("ROW-B17")
@pytest.mark.parametrize("name", SCRIPTS)
def test_extra_fields_change_nothing(name: str) -> None:
    script = SCRIPTS[name]()
    line = Line(script).live()
    symbol = script.symbols[0]
    states = line.states(symbol)
    extra = '"brandNew":{"a":[1,null,{"b":[]}],"u":7,"symbol":"x"}'
    for at_front in (False, True):
        text = script.delta(symbol, script.markets[symbol].step(), line.wall_ns)
        line.say(f"{{{extra},{text[1:]}" if at_front else f"{text[:-1]},{extra}}}")
        assert line.equals_truth(symbol)
    assert line.states(symbol) == states
    assert not line.of("close")


@pytest.mark.proves("ROW-B17")
def test_new_status_of_a_venue_is_no_trading_and_no_error() -> None:
    script = SCRIPTS["kraken"]()
    line = Line(script).live()
    symbol = script.symbols[0]
    errors = line.feed.stats()["errors"]
    pairs = '{"symbol":"BTC/USD","status":"brand_new_state","price_precision":1,"qty_precision":8}'
    line.say(f'{{"channel":"instrument","type":"update","data":{{"assets":[],"pairs":[{pairs}]}}}}')
    assert line.states(symbol)[-1] == ("HALTED", "VENUE_STATUS")
    line.say(script.pairs() if isinstance(script, Kraken) else "")
    assert line.is_live(symbol)
    assert line.feed.stats()["errors"] == errors
    assert not line.of("close")
    line.change(symbol)
    assert line.equals_truth(symbol)


# B18: frames of no book, so that only the frame itself is judged


def nothing_of_a_book(name: str) -> str:
    """Return a valid frame of a venue that is of no book that we follow."""
    row: dict[str, object]
    match name:
        case "binance":
            row = {"e": "trade", "E": 1, "s": "XYUSDT", "t": 1, "p": "1.5", "q": "2", "T": 1, "m": True}
            return dump({"stream": "xyusdt@trade", "data": row})
        case "okx":
            row = {"instId": "XY-USDT", "tradeId": "1", "px": "1.5", "sz": "2", "side": "buy", "ts": "1"}
            return dump({"arg": {"channel": "trades", "instId": "XY-USDT"}, "data": [row]})
        case "coinbase":
            row = {"type": "ticker", "product_id": "XY-USD", "price": "1.5"}
            events = [{"type": "update", "tickers": [row]}]
            head = {"channel": "ticker", "timestamp": "2026-04-07T14:30:03Z", "sequence_num": 99_999}
            return dump({**head, "events": events})
        case _:
            row = {"symbol": "XY/USD", "side": "buy", "price": 1.5, "qty": 2.0, "ord_type": "market"}
            row |= {"trade_id": 1, "timestamp": "2026-05-27T17:35:56.123456Z"}
            return dump({"channel": "trade", "type": "update", "data": [row]})


def first_number(text: str, number: str) -> str:
    """Return the frame with its price replaced by a bare number."""
    return text.replace('"1.5"', number, 1) if '"1.5"' in text else text.replace("1.5", number, 1)


DAMAGE: Final[dict[str, Callable[[str], bytes]]] = {
    "cut": lambda text: text[: len(text) // 2].encode(),
    "cut at the end": lambda text: text[:-1].encode(),
    "empty": lambda _: b"",
    "bad UTF-8": lambda text: text[:-1].encode() + b',"n":"\xff\xfe\xc0"}',
    "NaN": lambda text: first_number(text, "NaN").encode(),
    "infinity": lambda text: first_number(text, "-Infinity").encode(),
    "huge exponent": lambda text: first_number(text, "1e999").encode(),
    "deep": lambda text: (text[:-1] + ',"n":' + "[" * 10_000 + "]" * 10_000 + "}").encode(),
    "deep objects": lambda text: (text[:-1] + ',"n":' + '{"a":' * 10_000 + "1" + "}" * 10_000 + "}").encode(),
    "many digits": lambda text: first_number(text, "1" * 4_301).encode(),
    "long string": lambda text: (text[:-1] + ',"n":"' + "x" * 10_000_000 + '"}').encode(),
    "no JSON": lambda _: b"<html><body>502 Bad Gateway</body></html>",
    "two values": lambda text: (text + text).encode(),
    "control sign": lambda text: (text[:-1] + ',"n":"\x01"}').encode(),
}


def doubled_key(text: str) -> bytes:
    key = text[1 : text.index(":")]
    return ("{" + text[1:-1] + f",{key}:1}}").encode()


@pytest.mark.proves("ROW-B18")
@pytest.mark.parametrize("name", ["binance", "okx", "coinbase", "kraken"])
@pytest.mark.parametrize("damage", [*DAMAGE, "doubled key"])
def test_malformed_frames_are_refused_quickly_and_harm_nothing(name: str, damage: str) -> None:
    script = SCRIPTS[name]()
    line = Line(script).live()
    symbol = script.symbols[0]
    make = DAMAGE.get(damage, doubled_key)
    frame, before = make(nothing_of_a_book(name)), line.feed.stats()
    costs = []
    for _ in range(MALFORMED_MAX):
        start = time.process_time_ns()
        line.do(line.feed.on_frame(frame, line.wall_ns))
        costs.append(time.process_time_ns() - start)
    now = line.feed.stats()
    assert now["errors"] - before["errors"] == MALFORMED_MAX
    assert now["panics"] == 0
    assert min(costs) <= REFUSED_MS_MAX * 1_000_000, f"{min(costs)} ns"
    assert not line.of("close")
    line.change(symbol)
    assert line.equals_truth(symbol)


@pytest.mark.proves("ROW-B18")
@pytest.mark.parametrize("name", SCRIPTS)
def test_too_many_malformed_frames_end_the_connection_and_then_open_the_breaker(name: str) -> None:
    script = SCRIPTS[name]()
    line = Line(script).live()
    symbol = script.symbols[0]
    line.say(*[b"{"] * MALFORMED_MAX)
    assert not line.of("close")
    line.say(b"{")
    assert [(command[1], command[2]) for command in line.of("close")] == [(1007, "too many malformed frames")]
    assert ("DOWN", "MALFORMED_FRAMES") in line.states(symbol)
    assert line.of("connect")[-1][1] <= 500_000_000  # the second attempt: it was not LIVE for long
    line.wait(550)
    for _ in range(100):
        if line.is_live(symbol):
            break
        line.change(symbol)
        line.wait(100)
    assert line.equals_truth(symbol)
    line.say(*[b"{"] * (MALFORMED_MAX + 1))
    assert len(line.of("close")) == 2
    assert 50_000_000_000 <= line.of("connect")[-1][1] <= 70_000_000_000
    assert line.feed.stats()["is_breaker_open"]


@pytest.mark.proves("ROW-B18")
@pytest.mark.parametrize("name", SCRIPTS)
def test_ten_malformed_frames_a_minute_go_on_for_ever(name: str) -> None:
    script = SCRIPTS[name]()
    line = Line(script, figures={"liveness_ms": 120_000, "ping_ms": 0}).live()
    symbol = script.symbols[0]
    for _ in range(5):
        line.say(*[b"[1"] * MALFORMED_MAX)
        line.wait(61_000)
    assert not line.of("close")
    line.change(symbol)
    assert line.equals_truth(symbol)


# B19

BROKEN_BOOKS: Final[dict[str, Callable[[str], bytes]]] = {
    "cut": lambda text: text[: len(text) * 3 // 4].encode(),
    "bad number": lambda text: broken_number(text).encode(),
    "bad byte at the end": lambda text: text[:-2].encode() + b"\xff}",
}


def broken_number(text: str) -> str:
    """Return the frame with a letter inside its last level."""
    at = max(text.rfind('"b":[["'), text.rfind('"a":[["'), text.rfind('s":[["'), text.rfind("price"))
    digit = next(place for place in range(at + 6, len(text)) if text[place].isdigit())
    return f"{text[:digit]}x{text[digit:]}"


@pytest.mark.proves("ROW-B19")
@pytest.mark.parametrize("name", SCRIPTS)
@pytest.mark.parametrize("damage", BROKEN_BOOKS)
def test_book_message_that_cannot_be_read_is_a_lost_change(name: str, damage: str) -> None:
    script = SCRIPTS[name]()
    line = Line(script).live()
    symbol, other = script.symbols
    for _ in range(3):
        line.change(symbol)
        line.change(other)
    line.answers = False
    text = script.delta(symbol, script.markets[symbol].step(), line.wall_ns)
    news = line.say(BROKEN_BOOKS[damage](text))
    hit = [one for one in news if one.update.symbol == script.canonical(symbol)]
    assert [one.kind for one in hit] == ["stream_state"]
    assert line.states(symbol)[-1] == ("RESYNC", "UNDECODABLE")
    assert not line.is_live(symbol)
    line.answers = True
    for command in line.held:
        line.answer(command)
    for _ in range(60):
        line.change(symbol)
        line.change(other)
        line.wait(100)
    assert line.equals_truth(symbol)
    assert line.equals_truth(other)
    gaps = [one.update.gap for one in line.told(symbol, "gap")]
    assert len(gaps) == 1
    if name != "coinbase":
        assert "RESYNC" not in dict(line.states(other))
