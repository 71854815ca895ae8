"""Rows E15, E16 and D11, from outside the process: SIGKILL, restart, and clients that go on where they stood.

One service with 30 symbols is killed in the middle of a kline and started anew on its port. A recorder lives
through it all in one file; a witness without a position follows each life of the service.
"""

from __future__ import annotations

import json
import random
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

import grpc
import pytest

from datafacade.check.book import plain, whole
from datafacade.check.names import BOOK, KLINES, TRADES, Topic
from datafacade.check.probe import ProbeReader
from datafacade.check.story import Told, is_state
from datafacade.check.truth import Row
from datafacade.v1 import hot_pb2, market_pb2, stream_pb2, types_pb2
from tests.chaos.harness.bed import LIVE_S, Bed, Plan
from tests.chaos.harness.figures import Figures
from tests.chaos.harness.pace import wall_ahead_ns
from tests.chaos.harness.probe import ProbeProcess, subscription
from tests.chaos.harness.resources import born_ns
from tests.chaos.harness.service import ServiceProcess
from tests.chaos.harness.tier import INJECTIONS, IS_FULL
from tests.chaos.harness.wait import COMES_S, until
from tests.chaos.test_t1_clients import BASES

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]

VENUE: Final = "binance"
SYMBOLS: Final = [f"{base}-USDT" for base in (*BASES, "UNI")]
BOOKS: Final = [Topic(VENUE, symbol, BOOK) for symbol in SYMBOLS]
BTC: Final = Topic(VENUE, "BTC-USDT", TRADES)
BARS: Final = Topic(VENUE, "BTC-USDT", KLINES, "10s")
BAR_NS: Final = 10_000_000_000
KILLS: Final = INJECTIONS if IS_FULL else 1
MINUTE_S: Final = 60  # two lives spend most of the weight that Binance gives for a minute
BACKFILLED: Final = types_pb2.UPDATE_FLAG_BACKFILLED
INSIDE_S: Final = range(2, 4)  # seconds of a kline in which the service is killed
LIVE_MS: Final = 5_000.0
PHASE: Final = stream_pb2.SubscriptionPhase
RESTART: Final = stream_pb2.GAP_CAUSE_SERVER_RESTART
TOO_OLD: Final = stream_pb2.GAP_CAUSE_RESUME_TOO_OLD
FINAL: Final = market_pb2.KLINE_STATE_FINAL
COMPLETE: Final = market_pb2.COMPLETENESS_COMPLETE
INCOMPLETE: Final = market_pb2.COMPLETENESS_INCOMPLETE
INVALID_ARGUMENT: Final = grpc.StatusCode.INVALID_ARGUMENT.value[0]


@dataclass
class Life:
    """One run of the service."""

    born_ns: int
    witness: ProbeProcess
    killed_ns: int = 1 << 63  # monotonic


@dataclass
class Storm:
    """A bed whose service was killed now and then."""

    bed: Bed
    recorder: ProbeProcess
    lives: list[Life] = field(default_factory=list)

    def wait_weight(self, kills: int) -> None:
        """Wait until the venue gives the weight of another life, if there were several."""
        due_ns = self.lives[-1].born_ns + MINUTE_S * 10**9 if kills else 0
        until(lambda: time.monotonic_ns() > due_ns, within_s=MINUTE_S + 5, what="the next minute")

    def kill_inside_a_bar(self) -> None:
        """Kill the service within a kline and start it anew at its address."""
        inside = until(lambda: time.time() // 1 % 10 in INSIDE_S, within_s=11, what="inside a kline")
        assert inside
        bed, port = self.bed, int(self.bed.service.address.rpartition(":")[2])
        bed.control.note("kill")
        self.lives[-1].killed_ns = bed.service.signal(signal.SIGKILL)
        assert bed.service.wait_ended(within_s=COMES_S) == -signal.SIGKILL
        bed.service.close()
        bed.service = ServiceProcess(bed.config, port=port).wait_ready()
        bed.control.note("restart")
        self.follow()

    def follow(self) -> None:
        """Follow the present life of the service until all is LIVE."""
        witness = self.bed.new_probe()
        witness.send(subscription([VENUE], SYMBOLS))
        born = born_ns(self.bed.service.pid)
        self.lives.append(Life(born, witness))
        witness.wait_live(BOOKS, within_s=LIVE_S)
        for topic in BOOKS:
            self.recorder.wait_for(
                topic, is_live, since_ns=born, within_s=LIVE_S, what="LIVE at the recorder"
            )

    def see_bar(self) -> None:
        """Wait until a kline that was seen from its beginning has had its last word."""
        opens = (time.time_ns() // BAR_NS + 1) * BAR_NS

        def look() -> bool:
            return any(is_final(one) and one.update.kline.ts_open >= opens for one in self.recorder.of(BARS))

        until(look, within_s=30, what="a whole kline")


def is_live(told: Told) -> bool:
    """Tell whether a record says LIVE."""
    return is_state(told, types_pb2.STATE_LIVE)


def is_final(told: Told) -> bool:
    """Tell whether a record is a kline that is over."""
    return told.kind == "kline" and told.update.kline.state == FINAL


@pytest.fixture(scope="module")
def storm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Storm]:
    """Return a bed whose service has lived several times, and lives."""
    plan = Plan(
        products=("binance/spot",),
        bases=("BTC",),
        spare=(*BASES[1:], "UNI"),
        rate=3,
        simulator=("--rates", "BTC=30"),
    )
    bed = Bed(tmp_path_factory.mktemp("resume"), plan)
    topics = bed.folder / "topics.json"
    topics.write_text(json.dumps([list(topic) for topic in (*BOOKS, BTC, BARS)]))
    path = bed.folder / "recorder.bin"
    more = ("--topics", str(topics))
    recorder = ProbeProcess(bed.service.address, path, module="datafacade.check.recorder", more=more)
    made = Storm(bed, recorder)
    try:
        made.follow()
        for number in range(KILLS):
            made.wait_weight(number)
            made.kill_inside_a_bar()
        made.see_bar()
        yield made
    finally:
        for client in (recorder, *(life.witness for life in made.lives)):
            client.close()
        bed.close()


@pytest.mark.proves("ROW-E15")
def test_after_a_kill_clients_go_on_and_thirty_symbols_are_live_in_time(storm: Storm) -> None:
    control = Figures("E15", "LIVE after the first subscription", LIVE_MS)
    again = Figures("E15", "LIVE after the start behind a kill", LIVE_MS)
    asked = ProbeReader(storm.recorder.path).news()[1].t_mono_ns
    starts = [asked, *(life.born_ns for life in storm.lives[1:])]
    for number, start in enumerate(starts):
        for topic in BOOKS:
            live = storm.recorder.wait_for(topic, is_live, since_ns=start, within_s=1, what="LIVE")
            (again if number else control).add(live.t_mono_ns - start)
    sys.stdout.write(f"{control}\n")
    again.check()
    for topic in (*BOOKS, BTC):
        told = storm.recorder.of(topic)
        gaps = [one.update.gap for one in told if one.kind == "gap" and one.update.gap.cause == RESTART]
        assert len(gaps) == KILLS, f"{topic}: {len(gaps)} gaps"
        assert len({one.update.epoch for one in told if one.update.seq}) == KILLS + 1
    verdicts = storm.bed.verdicts([*BOOKS, BTC], storm.recorder)[:5]
    assert all(one.holds and not one.is_vacuous for one in verdicts), "\n".join(map(str, verdicts))


@pytest.mark.proves("ROW-D11")
def test_bar_in_which_the_service_was_killed_is_incomplete_or_wholly_filled(storm: Storm) -> None:
    rows = storm.bed.simulator.truth_until(time.monotonic_ns()).trades[BTC].values()
    last = {one.update.kline.ts_open: one.update for one in storm.recorder.of(BARS) if is_final(one)}
    ahead = wall_ahead_ns(storm.recorder.path)
    outages = [
        range((life.killed_ns + ahead) // BAR_NS * BAR_NS, first_trade_ns(storm, later) + 1, BAR_NS)
        for life, later in zip(storm.lives, storm.lives[1:], strict=False)
    ]
    touched = {opened for outage in outages for opened in outage}
    begun = min(last)  # its beginning was not seen
    counts = {"touched": 0, "incomplete": 0, "whole": 0}
    for opened, update in last.items():
        true = [row for row in rows if opened <= row.ts_event < opened + BAR_NS]
        is_true = numbers_of(update) == naive(true)
        if update.kline.completeness == COMPLETE:
            assert is_true, f"the kline of {opened} says that it is complete: {update.kline}"
        counts["touched"] += opened in touched
        counts["incomplete"] += opened in touched and update.kline.completeness == INCOMPLETE
        counts["whole"] += opened not in touched and opened != begun and is_true
    sys.stdout.write(f"D11: klines {counts} of {len(last)}\n")
    assert counts["touched"] >= 1, "no kline of a kill was told"
    assert counts["whole"] >= 1  # the control: a bar beside them is whole


def first_trade_ns(storm: Storm, life: Life) -> int:
    """Return when the venue made the first trade of which a life of the service told as it came."""
    epoch = life.witness.of(BTC)[-1].update.epoch
    told = (one.update for one in storm.recorder.of(BTC) if one.kind == "trade" and one.update.epoch == epoch)
    return next(one.ts_event for one in told if not one.flags & BACKFILLED)


def numbers_of(update: hot_pb2.Update) -> tuple[Decimal, ...]:
    """Return open, high, low, close, volume and count of a kline."""
    kline = update.kline
    prices = (kline.open, kline.high, kline.low, kline.close)
    found = [Decimal(plain(whole(price, update.price_exponent))) for price in prices]
    return (*found, Decimal(kline.volume), Decimal(kline.trade_count))


def naive(rows: Sequence[Row]) -> tuple[Decimal, ...]:
    """Return the same of trades, in the order of the market."""
    prices = [Decimal(row.price) for row in rows] or [Decimal(0)]
    volume = sum((Decimal(row.quantity) for row in rows), Decimal(0))
    return prices[0], max(prices), min(prices), prices[-1], volume, Decimal(len(rows))


# E16


def place(update: hot_pb2.Update, *, seq: int | None = None, epoch: int | None = None) -> types_pb2.Position:
    """Return the position behind an update, or another one of its topic."""
    return types_pb2.Position(
        venue=update.venue,
        symbol=update.symbol,
        channel=update.channel,
        epoch=update.epoch if epoch is None else epoch,
        seq=update.seq if seq is None else seq,
    )


def resumed(storm: Storm, position: types_pb2.Position) -> ProbeProcess:
    """Resume one topic behind a position."""
    probe = storm.bed.new_probe()
    request = subscription([position.venue], [position.symbol], [position.channel])
    request.subscribe[0].resume.append(position)
    probe.send(request)
    until(lambda: bool(probe.statuses()), within_s=COMES_S, what="an answer")
    return probe


def wait_phase(probe: ProbeProcess, phase: int) -> None:
    """Wait until a client was told of a phase."""
    until(lambda: phase in [status.phase for status in probe.statuses()], within_s=COMES_S, what="the phase")


def records(probe: ProbeProcess, topic: Topic) -> list[hot_pb2.Update]:
    """Return the topic records that a client was told."""
    return [one.update for one in probe.of(topic) if one.is_topic_record]


@pytest.mark.proves("ROW-E16")
@pytest.mark.parametrize("topic", [BTC, BOOKS[0]], ids=str)
def test_inside_the_ring_each_missed_update_comes_once_and_is_the_same(storm: Storm, topic: Topic) -> None:
    chance, witness = random.Random(16), storm.lives[-1].witness
    for _ in range(INJECTIONS):
        left = chance.choice(records(witness, topic)[:-1])
        probe = resumed(storm, place(left))
        try:
            wait_phase(probe, PHASE.SUBSCRIPTION_PHASE_CAUGHT_UP)
            found = records(probe, topic)
            last = found[-1].seq
            until(lambda: records(witness, topic)[-1].seq >= last, within_s=COMES_S, what="the witness")  # noqa: B023
            assert found == [one for one in records(witness, topic) if left.seq < one.seq <= found[-1].seq]
            assert probe.statuses()[0].phase == PHASE.SUBSCRIPTION_PHASE_RESUMED
            assert not [one for one in probe.of(topic) if one.kind == "gap"]
        finally:
            probe.close()


@pytest.mark.proves("ROW-E16")
def test_position_of_an_old_epoch_leads_to_its_rest_a_gap_and_the_new_epoch(storm: Storm) -> None:
    before = records(storm.lives[-2].witness, BTC)
    probe = resumed(storm, place(before[-20]))
    try:
        wait_phase(probe, PHASE.SUBSCRIPTION_PHASE_CAUGHT_UP)
        told = [one.update for one in probe.of(BTC) if one.kind in ("trade", "stream_state", "gap")]
        at = next(number for number, one in enumerate(told) if one.HasField("gap") and one.seq == 0)
        assert told[:19] == before[-19:]
        assert all(one.epoch == before[-1].epoch for one in told[:at])
        assert told[at].gap.cause == RESTART
        assert {one.epoch for one in told[at + 1 :]} == {storm.lives[-1].witness.of(BTC)[-1].update.epoch}
    finally:
        probe.close()


@pytest.mark.proves("ROW-E16")
def test_position_that_nobody_holds_is_lost_in_band_before_a_snapshot(storm: Storm) -> None:
    topic = BOOKS[0]
    newest = records(storm.lives[-1].witness, topic)[-1]
    probe = resumed(storm, place(newest, epoch=1))
    try:
        wait_phase(probe, PHASE.SUBSCRIPTION_PHASE_CAUGHT_UP)
        until(
            lambda: any(one.kind == "book_delta" for one in probe.of(topic)),
            within_s=COMES_S,
            what="it goes on",
        )
        assert probe.of(topic)[0].kind == "subscription_status"
        kinds = [one.kind for one in probe.of(topic) if one.kind in ("gap", "book_snapshot", "book_delta")]
        assert kinds[:3] == ["gap", "book_snapshot", "book_delta"]
        assert probe.statuses()[0].phase == PHASE.SUBSCRIPTION_PHASE_RESUME_LOST
        assert next(one.update.gap.cause for one in probe.of(topic) if one.kind == "gap") == TOO_OLD
    finally:
        probe.close()


@pytest.mark.proves("ROW-E16")
def test_position_above_the_head_is_refused_and_the_call_lives_on(storm: Storm) -> None:
    newest = records(storm.lives[-1].witness, BTC)[-1]
    probe = resumed(storm, place(newest, seq=newest.seq + 10**6))
    try:
        status = probe.statuses()[0]
        assert (status.phase, status.code) == (PHASE.SUBSCRIPTION_PHASE_REJECTED, INVALID_ARGUMENT)
        probe.send(subscription([VENUE], ["BTC-USDT"], [TRADES], number=2))
        until(lambda: bool(records(probe, BTC)), within_s=COMES_S, what="the call lives")
    finally:
        probe.close()
