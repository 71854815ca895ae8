"""The audit of books against REST, in virtual time (docs/integrity.md): hidden damage, and no false alarm.

REST answers with a state of the recent past, drawn by seed: no venue says of which moment its answer is.
"""

from __future__ import annotations

import json
import random
from collections import deque
from typing import Any, Final

import pytest

from datafacade.v1 import stream_pb2, types_pb2
from tests.chaos.virtual.kraken import old_name
from tests.chaos.virtual.line import MS, Line
from tests.chaos.virtual.market import Change, Market
from tests.chaos.virtual.script import Script, stamp
from tests.chaos.virtual.scripts import SCRIPTS

pytestmark = pytest.mark.chaos

AUDIT_MS: Final = 20_000
WINDOW_MS: Final = 2_000
CONFIRM_MS: Final = 10_000
STEP_MS: Final = 200
LAG_MS: Final = 1_800  # inside the window: caches of the venues keep a book for 1 s
LEVELS: Final = 120
BUSY: Final = 40  # the best levels a side, which change; damage is done below
FIGURES: Final = {
    "audit_ms": AUDIT_MS,
    "audit_window_ms": WINDOW_MS,
    "audit_confirm_ms": CONFIRM_MS,
    "canary": 0,
    "line_probe_ms": 600_000,
    "stale_ms": 600_000,
    "stale_unknown_ms": 600_000,
    "liveness_ms": 600_000,
}
LIMITED: Final = {"kraken": 500, "okx": 400}


class Audited:
    """A line with two markets whose REST lags behind by up to ``lag_ms``, or stands still."""

    def __init__(
        self, name: str, *, seed: int = 1, lag_ms: int = LAG_MS, figures: dict[str, int] | None = None
    ) -> None:
        self.random = random.Random(seed)
        self.script: Script = SCRIPTS[name]()
        self.symbol = self.script.symbols[0]
        for at, one in enumerate(self.script.symbols):
            scale = self.script.markets[one].price_scale
            self.script.markets[one] = Market(seed=seed + at, price_scale=scale, levels=LEVELS)
        self.lag_ms = lag_ms
        self.answers: dict[str, deque[tuple[int, bytes]]] = {one: deque() for one in self.script.symbols}
        self.stuck: dict[str, bytes] = {}
        self.asked: list[int] = []  # monotonic ns of each question of an audit
        self.line = Line(self.script, figures=FIGURES | (figures or {}), seed=seed, rest=self.rest)
        self.line.live()

    def rest(self, path: str) -> bytes:
        """Answer a resync with the book of now, an audit with one of the recent past."""
        symbol = next(one for one in self.script.symbols if one in path or old_name(one) in path)
        if self.line_commands()[-1][-1] != "audit":
            return self.script.rest(path)
        self.asked.append(self.line.clock.monotonic_ns())
        if symbol in self.stuck:
            return self.stuck[symbol]
        least = self.line.wall_ns - self.lag_ms * MS
        held = [body for at, body in self.answers[symbol] if at >= least]
        return self.random.choice([*held, self.body(symbol)])

    def line_commands(self) -> list[tuple[Any, ...]]:
        """Return what the feed asked for so far."""
        return self.line.commands

    def body(self, symbol: str) -> bytes:
        """Return the answer of now, stamped as the venue does."""
        paths = {"okx": "?instId=", "coinbase": "?product_id=", "kraken": "?pair="}
        name = old_name(symbol) if self.script.venue == "kraken" else symbol
        answer = json.loads(self.script.rest(paths.get(self.script.venue, "?symbol=") + name))
        wall = self.line.wall_ns
        if self.script.venue == "okx":
            answer["data"][0]["ts"] = str(wall // MS)
        elif self.script.venue == "coinbase":
            answer["pricebook"]["time"] = stamp(wall)
        elif self.script.venue == "kraken":
            (book,) = answer["result"].values()
            for row in book["asks"] + book["bids"]:
                row[2] = wall // 1_000_000_000
        return json.dumps(answer).encode()

    def live(self, ms: int) -> None:
        """Let time pass in which both markets move near their best prices."""
        for _ in range(ms // STEP_MS):
            for symbol in self.script.symbols:
                market = self.script.markets[symbol]
                is_bid = self.random.random() < 0.5
                price = sorted(market.side(is_bid=is_bid), reverse=is_bid)[self.random.randrange(BUSY)]
                self.line.tell(symbol, Change(is_bid, price, self.random.randrange(1, 10**6)))
                kept = self.answers[symbol]
                kept.append((self.line.wall_ns, self.body(symbol)))
                while kept[0][0] < self.line.wall_ns - 10_000 * MS:
                    kept.popleft()
            self.line.wait(STEP_MS - 2)

    def deep(self, rank: int = 90, *, is_bid: bool = True) -> Change:
        """Return a level that nothing else changes."""
        market = self.script.markets[self.symbol]
        price = sorted(market.side(is_bid=is_bid), reverse=is_bid)[rank]
        return Change(is_bid, price, market.side(is_bid=is_bid)[price])

    def damage(self, kind: str) -> None:
        """Let the line tell what is not true, in a way that the protocol does not show."""
        level = self.deep()
        market = self.script.markets[self.symbol]
        if kind == "untold":  # muted for a moment, and no number of the venue is missing
            market.apply(level._replace(quantity=level.quantity + 100))
            return
        told = {
            "digit": level._replace(quantity=level.quantity + 100),
            "lost level": level._replace(quantity=0),
            "ghost": level._replace(price=level.price - 1, quantity=100),
        }[kind]
        assert told.price not in market.bids or kind != "ghost"
        self.line.say(self.script.delta(self.symbol, [told], self.line.wall_ns))

    def count(self, name: str) -> int:
        """Return how many audits ended so."""
        return int(self.line.feed.stats()[f"audits_{name}"])

    def condemned(self, symbol: str) -> bool:
        """Tell whether an audit broke the book."""
        return ("RESYNC", "AUDIT_FAILED") in self.line.states(symbol)


@pytest.mark.parametrize("kind", ["digit", "lost level", "ghost", "untold"])
@pytest.mark.parametrize("name", sorted(SCRIPTS))
def test_damage_that_no_protocol_shows_is_found_within_two_audits(name: str, kind: str) -> None:
    bed = Audited(name)
    line, symbol = bed.line, bed.symbol
    bed.live(5_000)
    bed.damage(kind)
    assert line.is_live(symbol), "the protocol noticed by itself"
    assert not line.equals_truth(symbol)
    bed.live(2 * AUDIT_MS + 2 * CONFIRM_MS)
    assert bed.condemned(symbol)
    assert not bed.condemned(bed.script.symbols[1])
    assert (bed.count("damaged"), line.equals_truth(symbol)) == (1, True)
    broken = next(
        one
        for one in line.told(symbol, "stream_state")
        if one.update.stream_state.reason == types_pb2.STATE_REASON_AUDIT_FAILED
    )
    assert broken.update.integrity == types_pb2.INTEGRITY_SUSPECT
    gap = line.told(symbol, "gap")[-1].update.gap
    assert (gap.cause, gap.state) == (stream_pb2.GAP_CAUSE_AUDIT_FAILED, stream_pb2.GAP_STATE_LOST)
    assert line.counted(symbol, "gaps") == 1


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("name", sorted(SCRIPTS))
def test_right_books_are_never_condemned_and_mostly_agreed(name: str, seed: int) -> None:
    bed = Audited(name, seed=seed)
    bed.live(6 * AUDIT_MS)
    assert (bed.count("suspected"), bed.count("damaged")) == (0, 0)
    assert bed.count("agreed") >= 8, bed.count("inconclusive")
    assert all(len(bed.line.states(symbol)) <= 3 for symbol in bed.script.symbols)


@pytest.mark.parametrize("name", sorted(SCRIPTS))
def test_rest_that_stands_still_condemns_no_book(name: str) -> None:
    bed = Audited(name)
    bed.stuck = {symbol: bed.body(symbol) for symbol in bed.script.symbols}
    bed.live(4 * AUDIT_MS)
    assert (bed.count("suspected"), bed.count("damaged"), bed.count("agreed")) == (0, 0, 0)
    assert bed.count("inconclusive") >= 6


@pytest.mark.parametrize("name", sorted(SCRIPTS))
def test_rest_that_lags_longer_than_the_window_condemns_no_book(name: str) -> None:
    bed = Audited(name, lag_ms=9_000)
    bed.live(6 * AUDIT_MS)
    assert bed.count("damaged") == 0
    assert bed.count("inconclusive") > 0


@pytest.mark.parametrize("body", [b"", b'{"code":-1003}', b"[]", b"<html>"])
def test_answers_of_no_use_say_nothing(body: bytes) -> None:
    bed = Audited("okx")
    bed.stuck = dict.fromkeys(bed.script.symbols, body)
    bed.live(3 * AUDIT_MS)
    assert (bed.count("suspected"), bed.count("damaged"), bed.count("agreed")) == (0, 0, 0)
    assert bed.count("inconclusive") >= 3


@pytest.mark.parametrize("name", sorted(SCRIPTS))
def test_an_agreed_audit_is_told_by_one_checkpoint_and_nothing_else(name: str) -> None:
    bed = Audited(name)
    bed.live(3 * AUDIT_MS)
    told = bed.line.told(bed.symbol)
    audited = [one for one in told if one.update.integrity == types_pb2.INTEGRITY_AUDITED]
    assert audited
    market = bed.script.markets[bed.symbol]
    whole = min(len(market.bids), len(market.asks))  # only quantities change
    for one in audited:
        proof = one.update.checkpoint
        assert one.kind == "checkpoint"
        assert (proof.proof_seq, proof.proof_levels) == (one.update.seq, whole)
    usual = {one.update.integrity for one in bed.line.told(bed.symbol, "checkpoint", "book_delta")}
    own = types_pb2.INTEGRITY_CHECKSUM if name == "kraken" else types_pb2.INTEGRITY_SEQUENCE
    assert usual == {own, types_pb2.INTEGRITY_AUDITED}


def test_audits_are_asked_last_one_at_a_time_and_no_oftener_than_configured() -> None:
    bed = Audited("binance")
    bed.live(10 * AUDIT_MS)
    fetches = [command for command in bed.line.of("fetch") if command[-1] == "audit"]
    assert len(fetches) == len(bed.asked)
    least_ns = 2 * WINDOW_MS * MS // 2  # a look takes its window before the question
    assert all(later - sooner >= least_ns for sooner, later in zip(bed.asked, bed.asked[1:], strict=False))
    most = len(bed.script.symbols) * (10 * AUDIT_MS // (AUDIT_MS * 3 // 4) + 1)
    assert len(bed.script.symbols) * 7 <= len(fetches) <= most
    assert {command[3] for command in fetches} == {50}


def test_no_audit_is_asked_for_while_a_book_waits_for_its_snapshot() -> None:
    bed = Audited("binance")
    bed.live(5_000)
    bed.line.answers = False  # the other book's snapshot does not come
    other = bed.script.symbols[1]
    bed.line.say(bed.script.delta(other, [], bed.line.wall_ns).replace('"U":', '"U":9'))
    assert not bed.line.is_live(other)
    count = len(bed.line.of("fetch"))
    for _ in range(60):
        bed.line.tell(bed.symbol, bed.deep(5))
        bed.line.wait(1_000)
    assert not [one for one in bed.line.of("fetch")[count:] if one[-1] == "audit"]


def test_a_book_that_begins_anew_between_two_looks_is_not_condemned() -> None:
    bed = Audited("okx")
    bed.live(2_000)
    bed.damage("digit")
    while bed.count("suspected") == 0:
        bed.live(1_000)
    bed.line.say(bed.script.whole(bed.symbol, bed.line.wall_ns))  # type: ignore[attr-defined]
    bed.live(2 * AUDIT_MS)
    assert (bed.count("damaged"), bed.line.equals_truth(bed.symbol)) == (0, True)


def test_damage_that_the_venue_heals_by_itself_is_not_condemned() -> None:
    bed = Audited("kraken")
    bed.live(2_000)
    truth = bed.deep()
    bed.damage("digit")
    while bed.count("suspected") == 0:
        bed.live(1_000)
    bed.line.tell(bed.symbol, truth)
    bed.live(2 * AUDIT_MS)
    assert (bed.count("damaged"), bed.line.equals_truth(bed.symbol)) == (0, True)


def test_no_audit_is_made_when_it_is_switched_off() -> None:
    bed = Audited("coinbase", figures={"audit_ms": 0})
    bed.live(3 * AUDIT_MS)
    assert bed.asked == []
