"""Rows E03, E05, E06, E08 and E18, from outside the process: clients that vanish, and clients in numbers.

Waits of the service are scaled, its keepalive too.
"""

from __future__ import annotations

import base64
import itertools
import json
import signal
import string
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from datafacade.check.names import BOOK, TRADES, Topic
from datafacade.check.probe import ProbeReader
from datafacade.check.sequence import duplicates, order
from datafacade.check.story import Story
from datafacade.v1 import hot_pb2, types_pb2
from tests.chaos.harness.bed import SCALE, Bed, Plan
from tests.chaos.harness.bots import BotProcess
from tests.chaos.harness.environment import ROOT, environment
from tests.chaos.harness.figures import Figures
from tests.chaos.harness.probe import DATA, ProbeProcess, subscription
from tests.chaos.harness.proxy import ProxyProcess
from tests.chaos.harness.resources import connections
from tests.chaos.harness.tier import INJECTIONS, IS_FULL
from tests.chaos.harness.wait import COMES_S, until

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300)]

BTC: Final = [Topic("kraken", "BTC-USD", BOOK), Topic("kraken", "BTC-USD", TRADES)]
SPARE: Final = ("ETH", "SOL", "XRP", "ADA")
PING_S: Final = 10 * SCALE
PONG_S: Final = 5 * SCALE
GONE_MS: Final = (PING_S + PONG_S) * 1_000
HOLED_MS: Final = 15_000.0
LINGER_S: Final = 30 * SCALE
JOINERS: Final = 200
JOINED_MS: Final = 500.0
VISITS: Final = 1_000
VISITS_S: Final = 10.0
HASTE: Final = 1 if IS_FULL else 2  # the quick tier does it in half the time
STREAMS: Final = 1_000
STREAMS_MAX: Final = 512
INSTRUMENTS: Final = 10_000


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    """Return a bed of one venue whose service looks after its clients in scaled time."""
    service = {"server": {"keepalive_sec": PING_S, "keepalive_timeout_sec": PONG_S}}
    plan = Plan(products=("kraken/spot",), bases=("BTC",), spare=SPARE, rate=60, service=service)
    made = Bed(tmp_path_factory.mktemp("crowds"), plan)
    try:
        grow_pool(made)
        yield made.warm_up(settles=False)
        made.assert_invariants(made.topics)
    finally:
        made.close()


def grow_pool(bed: Bed) -> None:
    """Let the service's pool of threads, which looks for old positions on disk, take its full size."""
    request = subscription(["kraken"], ["BTC-USD"])
    place = types_pb2.Position(venue="kraken", symbol="BTC-USD", channel=TRADES, epoch=1, seq=1)  # type: ignore[arg-type]  # a number of the enum
    request.subscribe[0].resume.append(place)
    bed.probe.wait_live(bed.topics, within_s=30)
    crowd(bed, "join", [request], "--calls", "40", "--out", str(bed.folder), "--updates", "3")


def crowd(bed: Bed, kind: str, requests: Sequence[hot_pb2.HotSubscribeRequest], *more: str) -> dict[str, Any]:
    """Let a crowd do its work; return what became of it."""
    command = [
        sys.executable,
        "-m",
        "tests.chaos.harness.crowd",
        kind,
        "--address",
        bed.service.address,
        *more,
    ]
    for request in requests:
        command += ["--request", base64.b64encode(request.SerializeToString()).decode()]
    ended = subprocess.run(  # noqa: S603  our own command
        command, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=120, check=False
    )
    assert ended.returncode == 0, ended.stderr[-3000:]
    became: dict[str, Any] = json.loads(ended.stdout)
    sys.stdout.write(f"{kind}: {became}\n")
    return became


@contextmanager
def clients(bed: Bed, name: str, count: int, address: str = "") -> Iterator[list[ProbeProcess]]:
    """Run clients that follow the market and acknowledge."""
    made: list[ProbeProcess] = []
    try:
        for number in range(count):
            path = bed.folder / f"{name}-{number}.bin"
            made.append(ProbeProcess(address or bed.service.address, path, more=("--ack",)))
            made[-1].send(subscription(["kraken"], ["BTC-USD"]))
        for one in made:
            one.wait_live(BTC, within_s=20)
        yield made
    finally:
        for one in made:
            one.process.send_signal(signal.SIGCONT)
            one.close()


def held_clients(bed: Bed) -> int:
    """Return how many clients are connected to the service; its own connections to venues come and go."""
    return connections(int(bed.service.address.rpartition(":")[2]))


def wait_gone(bed: Bed, held: int, count: int, since_ns: int, figures: Figures) -> None:
    """Wait until the service has let go of so many clients, one after the other; measure each."""
    for number in range(1, count + 1):
        until(
            lambda: held_clients(bed) <= held - number,  # noqa: B023  called here
            within_s=GONE_MS / 200,
            what=f"{number} of {count} clients are let go",
        )
        figures.add(time.monotonic_ns() - since_ns)


@pytest.mark.proves("ROW-E03")
def test_frozen_clients_are_torn_down_when_they_answer_no_ping(bed: Bed) -> None:
    figures = Figures("E03", "torn down", GONE_MS)
    with bed.row("E03", BTC), clients(bed, "awake", 1) as awake, clients(bed, "frozen", INJECTIONS) as frozen:
        held = held_clients(bed)
        for one in frozen:
            one.process.send_signal(signal.SIGSTOP)
        onset = time.monotonic_ns()
        wait_gone(bed, held, len(frozen), onset, figures)
        for one in frozen:
            one.process.send_signal(signal.SIGCONT)
            until(one.end, within_s=COMES_S, what="it learns that it was left")
            assert (one.end() or {})["code"] == "UNAVAILABLE"
        assert awake[0].end() is None
    assert min(figures.values) > PONG_S * 1_000  # nobody is left before a ping was due and not answered
    figures.check()


@pytest.mark.proves("ROW-E05")
def test_black_holed_bots_and_the_service_let_go_of_each_other(bed: Bed) -> None:
    server = Figures("E05", "the service lets go", GONE_MS)
    client = Figures("E05", "the bot lets go", HOLED_MS)
    with bed.row("E05", BTC), clients(bed, "beside", 1) as beside, ExitStack() as stack:
        proxy = stack.enter_context(ProxyProcess(bed.folder, bed.service.address, routes=INJECTIONS))
        before = held_clients(bed)
        bots = stack.enter_context(BotProcess(proxy.addresses, bed.folder / "bots.jsonl"))
        bots.wait_each("Book", since_ns=0, within_s=20)
        held = held_clients(bed)
        assert held >= before + INJECTIONS
        fault = proxy.arm("black_hole")
        onset = time.monotonic_ns()
        wait_gone(bed, held, INJECTIONS, onset, server)
        for lost in bots.wait_each("ConnectionLost", since_ns=onset, within_s=20):
            client.add(lost - onset)
        proxy.heal(fault)
        bots.wait_each("Book", since_ns=time.monotonic_ns(), within_s=30)
        assert beside[0].end() is None
    for figures in (server, client):
        figures.check()


@pytest.mark.proves("ROW-E06")
def test_thousand_visits_in_ten_seconds_leave_nothing_behind(bed: Bed) -> None:
    spare = [Topic("kraken", f"{base}-USD", channel) for base in SPARE for channel in (BOOK, TRADES)]
    with bed.row("E06", [*BTC, *spare]):
        before = bed.held()
        requests = [subscription(["kraken"], [f"{base}-USD"]) for base in SPARE]
        became = crowd(bed, "churn", requests, "--calls", str(VISITS), "--seconds", str(VISITS_S / HASTE))
        over = time.monotonic_ns()
        assert became["became"] == {"cancelled at once": VISITS // 2, "bytes": VISITS // 2}
        figures = Figures("E06", "visits", VISITS_S * 1_000)
        figures.add(int(became["seconds"] * 1e9))
        back = Figures("E06", "descriptors and threads back", 5_000)
        until(lambda: bed.held().is_within(before), within_s=15, what="all is given back")
        back.add(time.monotonic_ns() - over)
        asked = bed.simulator.truth_until(over)
        assert all(asked.of(topic) for topic in spare), "the venue was never asked"
        lingers_ns = over + int((LINGER_S + 2) * 1e9)
        until(lambda: time.monotonic_ns() > lingers_ns + 1e9, within_s=LINGER_S + 10, what="the linger")
        truth = bed.simulator.truth_until(lingers_ns)
        late = [one for topic in spare for one in truth.of(topic) if one.t_mono_ns > lingers_ns]
        assert not late, f"{len(late)} frames of topics that nobody follows"
    for one in (figures, back):
        one.check()


@pytest.mark.proves("ROW-E08")
def test_too_much_at_once_is_refused_by_the_limits_name(bed: Bed) -> None:
    with bed.row("E08", BTC), clients(bed, "witness", 1) as witness:
        held = 2  # the probe of the bed and the witness; clients of earlier rows may still be leaving
        until(
            lambda: bed.service.health().edge.subscribers == held,
            within_s=COMES_S,
            what="these two are alone",
        )
        became = crowd(bed, "flood", [subscription(["kraken"], ["BTC-USD"], [5])], "--calls", str(STREAMS))
        let_in = STREAMS_MAX - held
        refused = [text for text in became["became"] if text.startswith("RESOURCE_EXHAUSTED")]
        assert became["became"]["bytes"] == let_in
        assert all("server.streams_max" in text for text in refused)
        assert sum(became["became"][text] for text in refused) == STREAMS - let_in
        probe = bed.new_probe()
        try:
            names = itertools.product(
                string.ascii_uppercase, repeat=3
            )  # 10,000 such names fit into a request
            symbols = ["".join(name) for name in itertools.islice(names, INSTRUMENTS)]
            probe.send(subscription(["kraken"], symbols))
            until(probe.end, within_s=20, what="it is refused")
        finally:
            probe.close()
        end = probe.end() or {}
        assert end["code"] == "RESOURCE_EXHAUSTED"
        assert "server.instruments_max" in end["message"]
        assert witness[0].end() is None


@pytest.mark.proves("ROW-E18")
def test_two_hundred_joiners_at_once_each_get_a_snapshot_and_what_follows(bed: Bed, tmp_path: Path) -> None:
    figures = Figures("E18", "first data", JOINED_MS)
    with bed.row("E18", BTC):
        more = ("--calls", str(JOINERS), "--out", str(tmp_path), "--updates", "40")
        crowd(bed, "join", [subscription(["kraken"], ["BTC-USD"], [BOOK])], *more)
        told = {one.update.seq: one.update for one in bed.probe.of(BTC[0]) if one.kind == "book_delta"}
        for number in range(JOINERS):
            records = ProbeReader(tmp_path / f"joiner-{number}.bin").news()
            story = Story()
            story.add(records)
            assert duplicates(story).holds
            assert order(story).holds
            data = [one for one in story.of(BTC[0]) if one.kind in DATA]
            assert data[0].kind == "book_snapshot"
            seqs = [one.update.seq for one in data if one.kind == "book_delta"]
            assert seqs == list(range(data[0].update.seq + 1, data[0].update.seq + 1 + len(seqs)))
            assert len(seqs) > 20
            assert all(one.update == told[one.update.seq] for one in data if one.kind == "book_delta")
            figures.add(data[0].t_mono_ns - records[0].t_mono_ns)
    figures.check()
