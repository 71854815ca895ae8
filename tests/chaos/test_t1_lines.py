"""Rows A03, A04, A05, A17 and A18, from outside the process: lines that lead nowhere, drip, or only ping.

The fault proxy before each port makes the black holes. Waits of the service are scaled, but neither the 3 s
of silence after which a line is dead (the venues' heartbeats come once a second of real time) nor the time
for a pong, which is just longer here, so that the one is not hidden by the other.
"""

from __future__ import annotations

import contextlib
import itertools
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import pytest

from datafacade.check.names import BOOK, TRADES, Topic
from datafacade.check.story import Told, is_state
from datafacade.v1 import hot_pb2, stream_pb2, types_pb2
from tests.chaos.harness.bed import SCALE, Bed, Plan, Row
from tests.chaos.harness.figures import Figures
from tests.chaos.harness.fragments import Fragmenter
from tests.chaos.harness.network import PROXIED, Network
from tests.chaos.harness.probe import ProbeProcess, subscription
from tests.chaos.harness.resources import cpu_ms
from tests.chaos.harness.service import ServiceProcess, write_config
from tests.chaos.harness.tier import INJECTIONS, IS_FULL
from tests.chaos.harness.wait import COMES_S, until
from tests.chaos.test_t1_connections import topics_of

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300)]

SILENT: Final = types_pb2.STATE_REASON_SILENT
SILENT_MS: Final = 3_000  # unscaled; OKX is given 3 s too: its data are the canary
PING_MS: Final = 5_000  # scaled
PONG_MS: Final = 5_000 if IS_FULL else 3_300  # unscaled
NOTICE_MS: Final = (
    100  # the silence counts from the last frame; who waits for its end hears of it a moment later
)
HEALED_MS: Final = 6_000
DIAL_MS: Final = 5_000
DIAL_SLACK_MS: Final = 300  # of the machine, so it is not scaled
STOP_MS: Final = 1_000
CPU_RATIO_MAX: Final = 0.30
PINGS_S: Final = 10_000
SLICED_STEPS_S: Final = 5.0  # who sends single bytes is soon behind on a busy machine: by 4 s at 20
SAME_MIN: Final = {BOOK: 20, TRADES: 8}  # records to compare, of each topic
# Lines that are harmed at once; the others are the control of the round.
ROUNDS: Final = (
    ("binance/spot", "okx/public", "coinbase/advanced"),
    ("binance/usdm", "coinbase/exchange", "kraken/spot"),
)


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    """Return a bed with the fault proxy before every port."""
    plan = Plan(
        bases=("BTC",),
        service={"hot": {"feed": {"settled_ms": 5_000}}},
        simulator=(*PROXIED, "--depth", "100"),  # sliced into single bytes, so not the usual 500
        every_venue={"keepalive_timeout_ms": round(PONG_MS / SCALE)},
    )
    made = Bed(tmp_path_factory.mktemp("lines"), plan)
    try:
        yield made.warm_up()
        made.assert_invariants(made.topics)
        assert made.simulator.violations() == {}, "rules of venues were broken"
    finally:
        made.close()


def rounds() -> Sequence[tuple[str, ...]]:
    """Return the lines of each round, so many that each kind of fault is injected often enough."""
    harmed = sum(len(lines) for lines in ROUNDS)
    return list(ROUNDS) * -(-INJECTIONS // harmed)


def all_left(bed: Bed, row: Row, lines: Sequence[str], since_ns: int, within_s: float) -> dict[Topic, Told]:
    """Wait until every topic of some lines has left LIVE."""
    topics = [topic for line in lines for topic in topics_of(bed, line)]
    return {topic: row.left_live(topic, since_ns, within_s=within_s) for topic in topics}


# A03


@pytest.mark.proves("ROW-A03")
def test_black_hole_is_noticed_by_silence_dialled_sparingly_and_healed(bed: Bed) -> None:
    net, scale, figures = Network(bed.simulator), bed.plan.scale, dict[str, Figures]()
    for lines in rounds():
        with bed.row("A03", [topic for line in lines for topic in topics_of(bed, line)]) as row:
            row.figures = figures
            faults = {line: net.arm("black_hole", line) for line in lines}
            onset = {line: int(net.proof(fault)["armed_mono_ns"]) for line, fault in faults.items()}
            left = all_left(bed, row, lines, min(onset.values()), within_s=3 * SILENT_MS / 1000)
            for line in lines:
                found = net.wait_attempts(line, 2, since_ns=onset[line], within_s=COMES_S)
                hole_s = (time.monotonic_ns() - found[0].opened_ns) / 1e9 / scale
                assert len(found) <= 1 + hole_s / (DIAL_MS / 1000) + 1, f"a storm at {line}: {found}"
            healed = net.heal(faults.values())
            for line, (topic, told) in itertools.product(lines, left.items()):
                if topic in topics_of(bed, line):
                    assert told.update.stream_state.reason == SILENT
                    row.measure("t_D", SILENT_MS + NOTICE_MS, onset[line], told.t_mono_ns)
                    back = row.back_live(topic, told)
                    row.measure("t_R", HEALED_MS * scale, healed, back.t_mono_ns)
        bed.settle()


# A04


@pytest.mark.proves("ROW-A04")
def test_black_hole_in_one_direction_is_noticed_and_left_by_us(bed: Bed) -> None:
    net, scale, figures = Network(bed.simulator), bed.plan.scale, dict[str, Figures]()
    pong_ms = PING_MS * scale + PONG_MS + NOTICE_MS
    for lines in rounds() if IS_FULL else ROUNDS[1:]:
        with bed.row("A04", [topic for line in lines for topic in topics_of(bed, line)]) as row:
            row.figures = figures
            towards, since = lines[0], time.monotonic_ns()
            faults = {
                line: net.arm(
                    "black_hole",
                    line,
                    scope="open",
                    direction="to_client" if line == towards else "to_upstream",
                )
                for line in lines
            }
            for topic, told in all_left(bed, row, lines, since, within_s=3 * pong_ms / 1000).items():
                is_towards = topic in topics_of(bed, towards)
                name, limit = ("t_D to us", SILENT_MS + NOTICE_MS) if is_towards else ("t_D from us", pong_ms)
                row.measure(name, limit, since, told.t_mono_ns)
                if not is_towards:
                    assert told.update.stream_state.message == "no pong"
                row.measure("t_R", HEALED_MS * scale, told.t_mono_ns, row.back_live(topic, told).t_mono_ns)
            net.heal(faults.values())
            assert_closed_by_us(bed, lines, since)
        bed.settle()


def assert_closed_by_us(bed: Bed, lines: Sequence[str], since_ns: int) -> None:
    """Hold that the venue saw its client go, before a rule of its own ended the line."""

    def ends() -> dict[str, str]:
        return {
            f"{row['venue']}/{row['product']}": str(row["by"])
            for row in bed.simulator.read_truth().connections
            if row["event"] == "closed" and row["t_mono_ns"] >= since_ns
        }

    until(lambda: set(lines) <= ends().keys(), within_s=COMES_S, what="the venues saw the ends")
    assert {line: ends()[line] for line in lines} == dict.fromkeys(lines, "client")


# A05


@pytest.mark.proves("ROW-A05")
def test_dial_that_leads_nowhere_is_given_up_and_tried_again_by_backoff(bed: Bed) -> None:
    net, scale = Network(bed.simulator), bed.plan.scale
    silent, slow = ("okx/public", "binance/usdm"), ("coinbase/advanced", "coinbase/exchange", "kraken/spot")
    lines = (*silent, *slow)
    attempts = -(-INJECTIONS // len(lines))
    with bed.row("A05", [topic for line in lines for topic in topics_of(bed, line)]) as row:
        faults = {line: bed.simulator.arm("tarpit", venue=line, count=100) for line in silent}
        trickle = {"how": "trickle", "every_ms": int(1_000 * scale), "count": 100}
        faults |= {line: bed.simulator.arm("tarpit", venue=line, **trickle) for line in slow}
        since = time.monotonic_ns()
        for line in lines:
            bed.simulator.applied(bed.simulator.arm("rst", venue=line))
        for line in lines:
            found = net.wait_attempts(line, attempts + 1, ended=attempts, since_ns=since, within_s=60 * scale)
            bed.simulator.applied(faults[line], times=attempts)
            for one in found[:attempts]:
                assert one.closed_by == "client"
                assert one.closed_ns - one.opened_ns >= (DIAL_MS * scale - DIAL_SLACK_MS) * 1e6
                row.measure("dial", DIAL_MS * scale + DIAL_SLACK_MS, one.opened_ns, one.closed_ns)
            told = given_up(bed, line, since, attempts)
            for (one, other), failed in zip(itertools.pairwise(found[: attempts + 1]), told, strict=True):
                row.measure("wait", 2_000 * scale + DIAL_SLACK_MS, one.closed_ns, other.opened_ns)
                assert one.closed_ns < other.opened_ns, "a second dial beside the first"
                assert other.opened_wall_ns - failed.ts_since_recv >= 250e6 * scale, "no backoff"
                assert other.opened_wall_ns >= failed.ts_next_attempt, "dialled before the time that was told"
        stop = stopped_during_a_dial(bed, net)
        row.measure("stop", STOP_MS, *stop)
        for fault in faults.values():
            bed.simulator.end(fault)


def given_up(bed: Bed, line: str, since_ns: int, count: int) -> list[stream_pb2.StreamState]:
    """Return what a topic told of the first dials that were given up.

    They carry the service's own time, taken when the dial had ended: the proxy, which shares its process with
    all venues, sees that end up to 30 ms late, and the wait would seem so much shorter than it was.
    """

    def look() -> list[stream_pb2.StreamState] | None:
        told = (one for one in bed.probe.of(topics_of(bed, line)[0]) if one.t_mono_ns >= since_ns)
        states = [one.update.stream_state for one in told if is_state(one)]
        failed = [one for one in states if one.reason == types_pb2.STATE_REASON_DIAL_FAILED]
        return failed[:count] if len(failed) >= count else None

    return until(look, within_s=COMES_S, what=f"{count} failed dials of {line} are told")


def stopped_during_a_dial(bed: Bed, net: Network) -> tuple[int, int]:
    """Stop a second service while its one line is dialled; return the times of signal and end."""
    folder = bed.folder / "second"
    ports = {**bed.simulator.ports, "venues": {"kraken": bed.simulator.ports["venues"]["kraken"]}}
    service = ServiceProcess(write_config(folder, ports, scale=1)).wait_ready()
    probe = ProbeProcess(service.address, folder / "probe.bin")
    try:
        probe.send(subscription(["kraken"], ["BTC-USD"]))
        until(lambda: net.open_now("kraken/spot") == 2, within_s=COMES_S, what="both services dial")
        told = service.signal(signal.SIGTERM)
        assert service.wait_ended(within_s=10) == 0
        return told, time.monotonic_ns()
    finally:
        probe.close()
        service.close()


# A18


class Pongs(NamedTuple):
    """What a venue counted of its pings at one moment."""

    t_ns: int  # monotonic, when it was read
    sent: int
    answered: int
    newest: int  # number of the newest one that was answered


@pytest.mark.proves("ROW-A18")
def test_ten_thousand_pings_a_second_are_no_sign_of_life_and_cost_little(bed: Bed) -> None:
    topics, line = topics_of(bed, "kraken/spot"), "kraken/spot"
    loads = []
    with bed.row("A18", topics) as row:
        for _ in range(INJECTIONS if IS_FULL else 1):
            control = load(bed, 1.0)
            muted = [bed.simulator.arm("mute", venue=line, what=what) for what in ("data", "heartbeats")]
            flood = bed.simulator.arm("ping_flood", venue=line, per_s=PINGS_S, duration_ms=20_000)
            onset, used = time.monotonic_ns(), cpu_ms(bed.service.pid)
            number = int(bed.simulator.connections(line)[0]["connection"])
            pongs: list[Pongs] = []

            def left(number: int = number, onset: int = onset, pongs: list[Pongs] = pongs) -> Told | None:
                open_now = {one["connection"]: one for one in bed.simulator.connections(line)}
                one = open_now.get(number)
                if one is not None and one["newest_pong"]:
                    newest = int(one["newest_pong"], 16)
                    pongs.append(Pongs(time.monotonic_ns(), one["pings_sent"], one["pongs"], newest))
                return first_left(bed, topics[0], onset)

            told = until(left, within_s=3 * SILENT_MS / 1000, what="STALE in spite of the pings")
            passed_ms = (told.t_mono_ns - onset) / 1e6
            loads.append((cpu_ms(bed.service.pid) - used) / passed_ms - control)
            assert told.update.stream_state.reason == SILENT
            row.measure("t_D", SILENT_MS + NOTICE_MS, onset, told.t_mono_ns)
            last = pongs[-1]
            assert last.sent > 0.5 * PINGS_S * passed_ms / 1000, f"no flood: {last} in {passed_ms} ms"
            assert last.answered <= 3 + 2 * passed_ms / 1000 / bed.plan.scale, f"{last}"
            due_ns = last.t_ns - 2 * bed.plan.scale * 1e9  # by time: a venue that was late sends many at once
            assert last.newest >= max(one.sent for one in pongs if one.t_ns <= due_ns), f"{last}"
            for fault in (*muted, flood):
                bed.simulator.end(fault)
            row.back_live(topics[0], told)
            bed.settle()
    sys.stdout.write(f"A18 load above the control: {[f'{one:.2f}' for one in loads]} of a core, limit 0.30\n")
    assert max(loads) <= CPU_RATIO_MAX


def first_left(bed: Bed, topic: Topic, since_ns: int) -> Told | None:
    """Return the first state of a topic that is not LIVE."""
    states = (one for one in bed.probe.of(topic) if one.kind == "stream_state" and one.t_mono_ns >= since_ns)
    return next((one for one in states if one.update.stream_state.state != types_pb2.STATE_LIVE), None)


def load(bed: Bed, seconds: float) -> float:
    """Return the share of a core that the service uses without a fault."""
    start, used = time.monotonic(), cpu_ms(bed.service.pid)
    until(lambda: time.monotonic() - start > seconds, within_s=seconds + 1, what="the control is measured")
    return (cpu_ms(bed.service.pid) - used) / 1000 / (time.monotonic() - start)


# A17


@pytest.mark.proves("ROW-A17")
def test_single_bytes_and_fragments_with_pings_tell_the_same_as_whole_segments(bed: Bed) -> None:
    lines = ("binance/spot", "okx/public", "kraken/spot")
    net = Network(bed.simulator)
    topics = [topic for line in lines for topic in topics_of(bed, line)]
    with bed.row("A17", topics) as row, contextlib.ExitStack() as cuts:
        bed.pace("BTC", SLICED_STEPS_S)
        control, whole = control_service(bed, net, lines, cuts)
        cutters = [cuts.enter_context(Fragmenter(net.upstream(line))) for line in lines]
        ways = [net.upstream(line) for line in lines]
        for line, cutter in zip(lines, cutters, strict=True):
            net.lead(line, cutter.address)
        slicers = [net.arm("slicer", line, direction="to_client", bytes=1) for line in lines]
        since = time.monotonic_ns()
        resets = [net.arm("reset_peer", line) for line in lines]
        assert all(net.proof(reset)["applied"] for reset in resets)
        for topic, told in all_left(bed, row, lines, since, within_s=COMES_S).items():
            row.back_live(topic, told)
        bed.wait_whole(since)  # a trade that fills the hole of the reset is flagged
        sliced = bed.new_probe()
        cuts.callback(sliced.close)
        for probe in (sliced, whole):
            ask_for_every(probe, topics)
            probe.wait_live(topics, within_s=20)
        until(
            lambda: all(common(sliced, whole, topic) >= SAME_MIN[topic.channel] for topic in topics),
            within_s=30,
            what="both tell enough",
        )
        compared = {str(topic): common(sliced, whole, topic) for topic in topics}
        assert min(cutter.cut for cutter in cutters) > 10, "nothing was cut"
        sys.stdout.write(f"A17 seed {bed.plan.seed}: records equal byte by byte: {compared}\n")
        assert control.process.poll() is None
        net.heal(slicers)
        for line, way in zip(lines, ways, strict=True):
            net.lead(line, way)
            bed.simulator.applied(bed.simulator.arm("rst", venue=line))
        bed.probe.wait_live(topics, within_s=20)
        bed.pace("BTC", bed.plan.rate)
    bed.settle()


def control_service(
    bed: Bed, net: Network, lines: Sequence[str], cuts: contextlib.ExitStack
) -> tuple[ServiceProcess, ProbeProcess]:
    """Run a second service on the same venues, with nothing between."""
    venues: dict[str, dict[str, dict[str, str]]] = {}
    for line in lines:
        venue, _, kind = line.partition("/")
        urls = bed.simulator.ports["venues"][venue][kind]
        venues.setdefault(venue, {})[kind] = {**urls, "ws": f"ws://{net.upstream(line)}"}
    folder = bed.folder / "control"
    service = ServiceProcess(write_config(folder, {"venues": venues}, scale=bed.plan.scale))
    cuts.callback(service.close)
    probe = ProbeProcess(service.wait_ready().address, folder / "probe.bin")
    cuts.callback(probe.close)
    return service, probe


def ask_for_every(probe: ProbeProcess, topics: Sequence[Topic]) -> None:
    """Follow topics without conflation, so that the load of the machine changes nothing."""
    for number, topic in enumerate(topics, 1):
        request = subscription([topic.venue], [topic.symbol], [topic.channel], number=number)
        request.subscribe[0].delivery = types_pb2.DELIVERY_MODE_EVERY
        probe.send(request)


def common(one: ProbeProcess, other: ProbeProcess, topic: Topic) -> int:
    """Hold two logs of a topic against each other from where both have begun; return how many are equal.

    Raises:
        AssertionError: They differ, or a line was lost meanwhile, so that they must.
    """
    sliced, whole = logged(one, topic), logged(other, topic)
    places = {record: at for at, record in enumerate(whole)}
    first = next((at for at, record in enumerate(sliced) if record in places), None)
    if first is None:
        return 0
    start = places[sliced[first]]
    if first and start:
        raise AssertionError(f"{topic}: {first} and {start} records differ: {shown((sliced[0], whole[0]))}")
    pairs = list(zip(sliced[first:], whole[start:], strict=False))
    differ = [at for at, (mine, theirs) in enumerate(pairs) if mine != theirs]
    assert not differ, f"{topic}: record {differ[0]} of {len(pairs)} differs: {shown(pairs[differ[0]])}"
    return len(pairs)


def shown(records: Sequence[bytes]) -> list[str]:
    """Return encoded updates for people to read."""
    return [str(hot_pb2.Update.FromString(record)) for record in records]


def logged(probe: ProbeProcess, topic: Topic) -> list[bytes]:
    """Return the changes that a topic told since it was LIVE, without our stamps and numbers."""
    told = probe.of(topic)
    start = next(at for at, one in enumerate(told) if is_state(one, types_pb2.STATE_LIVE))
    left = [one.update for one in told[start:] if is_state(one) and not is_state(one, types_pb2.STATE_LIVE)]
    assert not left, f"{topic} left LIVE while it was compared: {left[0]}"
    records = []
    for one in told[start:]:
        if one.kind in ("book_delta", "trade"):
            update = hot_pb2.Update()
            update.CopyFrom(one.update)
            for stamp in ("seq", "epoch", "ts_recv", "ts_publish"):
                update.ClearField(stamp)
            records.append(update.SerializeToString(deterministic=True))
    return records
