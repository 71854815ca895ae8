"""Rows E14, E17, H01 to H03 and H10: how the service starts, ends and survives itself."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import grpc
import pytest

from datafacade.check.names import BOOK, Topic
from datafacade.check.story import is_state
from datafacade.v1 import types_pb2
from tests.chaos.harness import failpoint
from tests.chaos.harness.bed import Bed, Plan
from tests.chaos.harness.environment import ROOT, environment
from tests.chaos.harness.figures import Figures
from tests.chaos.harness.service import ServiceProcess, dump, write_config
from tests.chaos.harness.tier import INJECTIONS, IS_FULL
from tests.chaos.harness.wait import COMES_S, until
from tests.chaos.test_t1_connections import topics_of

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]

SMALL: Final = ("binance/spot", "kraken/spot")
FAULT: Final = types_pb2.STATE_REASON_INTERNAL_FAULT


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    """Return a bed whose Kraken feed panics on SIGUSR2."""
    plan = Plan(
        products=SMALL,
        bases=("BTC",),
        module="tests.chaos.harness.failpoint",
        variables={failpoint.VARIABLE: "kraken/spot"},
        service={"hot": {"feed": {"settled_ms": 5_000}}},
    )
    made = Bed(tmp_path_factory.mktemp("faulty"), plan)
    try:
        yield made.warm_up()
    finally:
        made.close()


@pytest.mark.proves("ROW-H01")
def test_panic_of_one_feed_restarts_its_connection_alone(faulty: Bed) -> None:
    topics = topics_of(faulty, "kraken/spot")
    with faulty.row("H01", topics) as row:
        for _ in range(INJECTIONS):
            faulty.probe.wait_live(topics, within_s=COMES_S)  # without LIVE there is none to leave: see below
            opened = faulty.simulator.stats("kraken/spot")["opened"]
            onset = faulty.service.signal(signal.SIGUSR2)
            for topic in topics:
                left = row.left_live(topic, onset)
                back = row.back_live(topic, left)
                row.measure("connection restarted", 1_000, left.t_mono_ns, back.t_mono_ns)
                if topic.channel == BOOK:
                    assert left.update.stream_state.reason == FAULT
            assert faulty.simulator.stats("kraken/spot")["opened"] == opened + 1
            faulty.settle()
        opened = faulty.simulator.stats("kraken/spot")["opened"]
        onset = faulty.service.signal(signal.SIGUSR2)
        lefts = {topic: row.left_live(topic, onset) for topic in topics}
        again = faulty.service.signal(signal.SIGUSR2)  # the first frame of the new line, or soon behind it
        until(
            lambda: faulty.simulator.stats("kraken/spot")["opened"] == opened + 2,
            within_s=COMES_S,
            what="twice",
        )
        for topic in topics:
            row.measure("restarted twice", 2_000, again, row.back_live(topic, lefts[topic]).t_mono_ns)
    assert faulty.service.process.poll() is None
    until(lambda: reconnects(faulty, "kraken") >= INJECTIONS + 2, within_s=COMES_S, what="Health counts them")
    assert faulty.service.log().count("panicked") <= INJECTIONS + 2


def reconnects(bed: Bed, name: str) -> int:
    """Return how often a venue was connected anew, as Health tells."""
    return next(venue.counts.reconnects for venue in bed.service.health().venues if venue.venue == name)


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Bed]:
    """Return a bed that its test may end."""
    made = Bed(tmp_path, Plan(products=SMALL, bases=("BTC",)))
    try:
        made.probe.wait_live(made.topics, within_s=20)
        yield made
    finally:
        made.close()


@pytest.mark.proves("ROW-E14")
@pytest.mark.parametrize("during", ["serving", "resync"])
def test_sigterm_drains_with_positions_and_exits_in_time(small: Bed, during: str) -> None:
    topic = Topic("binance", "BTC-USDT", BOOK)
    if during == "resync":
        small.simulator.arm("slow_rest", venue="binance/spot", path="depth", ms=5_000, count=100)
        since = time.monotonic_ns()
        small.simulator.arm("drop", venue="binance/spot", symbol="BTCUSDT")
        small.probe.wait_for(
            topic, lambda one: is_state(one, 5), since_ns=since, within_s=COMES_S, what="RESYNC"
        )
    assert small.service.is_serving()
    told = small.service.signal(signal.SIGTERM)
    until(lambda: not is_serving(small.service), within_s=3, what="NOT_SERVING")
    not_serving = time.monotonic_ns()
    with pytest.raises(grpc.RpcError) as refused:
        small.service.health()
    assert refused.value.code() == grpc.StatusCode.UNAVAILABLE
    until(small.probe.end, within_s=10, what="the stream ends")
    assert small.probe.end() == {"code": "UNAVAILABLE", "message": (small.probe.end() or {})["message"]}
    draining = small.probe.story.order[-1]
    assert draining.kind == "draining"
    heads = {topic: max(one.update.seq for one in small.probe.of(topic)) for topic in small.topics}
    positions = draining.update.draining.positions
    assert {Topic(p.venue, p.symbol, p.channel): p.seq for p in positions} == heads
    assert small.service.wait_ended(within_s=10) == 0
    ended = time.monotonic_ns()
    for name, limit, at in (("NOT_SERVING", 100, not_serving), ("exit", 10_000, ended)):
        figures = Figures(f"E14 {during}", name, limit)
        figures.add(at - told)
        figures.check()


def is_serving(service: ServiceProcess) -> bool:
    """Ask the service's health; a refused connection is a no."""
    try:
        return service.is_serving()
    except grpc.RpcError:
        return False


@pytest.mark.proves("ROW-E14")
def test_second_sigterm_ends_within_a_second(small: Bed) -> None:
    small.service.signal(signal.SIGTERM)
    told = small.service.signal(signal.SIGTERM)
    assert small.service.wait_ended(within_s=5) == 0
    figures = Figures("E14 twice", "exit", 1_000)
    figures.add(time.monotonic_ns() - told)
    figures.check()


@pytest.mark.proves("ROW-E17")
@pytest.mark.proves("CTL-S3")
def test_second_instance_on_the_port_ends_at_once_naming_the_address(bed: Bed, tmp_path: Path) -> None:
    port = int(bed.service.address.rpartition(":")[2])
    config = write_config(tmp_path / "config", bed.simulator.ports, scale=bed.plan.scale)
    figures = Figures("E17", "exit", 1_000)
    for _ in range(2 if not IS_FULL else INJECTIONS):
        control = start_beside("datafacade.app, datafacade.cli.main")
        second = ServiceProcess(config, port=port)
        try:
            code = second.wait_ended(within_s=30)
            figures.add(time.monotonic_ns() - imported_ns(control))
        finally:
            second.close()
        assert code == 1
        assert f"127.0.0.1:{port}" in second.log()
    figures.check()
    assert bed.service.is_serving()


def start_beside(modules: str) -> subprocess.Popen[bytes]:
    """Start an interpreter that imports this, as a control: no start can be quicker.

    It runs beside what is measured, so that whatever else the machine has to do delays both.
    """
    program = f"import time, {modules}; print(time.monotonic_ns())"
    return subprocess.Popen(  # noqa: S603  our own code
        [sys.executable, "-c", program], stdout=subprocess.PIPE, cwd=ROOT, env=environment()
    )


def imported_ns(control: subprocess.Popen[bytes]) -> int:
    """Return when a control had imported all, by its own clock, which is that of the machine."""
    told, _ = control.communicate(timeout=30)
    assert control.returncode == 0
    return int(told)


# H02


@pytest.mark.proves("ROW-H02")
def test_stop_at_any_moment_ends_in_time_and_in_order(bed: Bed, tmp_path: Path) -> None:
    chance, stops = random.Random(11), 200 if IS_FULL else 12
    figures = Figures("H02", "exit", 10_000)
    codes: dict[int, int] = {}
    ports = {**bed.simulator.ports, "venues": {"kraken": bed.simulator.ports["venues"]["kraken"]}}
    for number in range(stops):
        config = write_config(
            tmp_path / str(number), ports, scale=0.2, service={"server": {"drain_sec": 1.0}}
        )
        service = ServiceProcess(config)
        try:
            early = number % 3 == 0
            if not early:
                service.wait_ready()
            time.sleep(chance.uniform(0, 0.8 if early else 0.2))  # the moment is the injection
            how = chance.choice((signal.SIGTERM, signal.SIGINT))
            told = service.signal(how)
            code = service.wait_ended(within_s=30)
            figures.add(time.monotonic_ns() - told)
            # Before Python listens to signals the system ends the process: that is its code then.
            # An interrupt while the interpreter itself begins is its fatal error, with code 1.
            is_unborn = "init_import_site" in service.log()
            allowed = {0, -how.value, 130, 1 if is_unborn else 0} if early else {0}
            assert code in allowed, f"{how.name}: exit code {code}: {service.log()[-2000:]}"
            assert "panicked" not in service.log()
            assert "Traceback" not in service.log() or early
            codes[code] = codes.get(code, 0) + 1
        finally:
            service.close()
    sys.stdout.write(f"H02 seed 11, exit codes {codes}\n")
    figures.check()


LEFT_OPEN: Final = """
import sys
from datafacade._core import Clock, Edge, Feed, Hub
hub = Hub(epoch=1)
"""
ENDS: Final = (
    "",  # import and exit
    "hub.subscriber()",
    "edge = Edge(hub, epoch=1); edge.start()",
    "edge = Edge(hub, epoch=1); edge.start(); sys.exit(3)",
    "Feed(venue='kraken', product='spot', hub=hub, clock=Clock.real(), epoch=1).start()",
    "sys.modules['kept'] = hub; hub.cuts_fd()",
)


@pytest.mark.proves("ROW-H02")
@pytest.mark.parametrize("end", ENDS)
def test_exit_without_close_is_quiet(end: str) -> None:
    command = [sys.executable, "-c", LEFT_OPEN + end]
    ended = subprocess.run(  # noqa: S603  our own code
        command, cwd=ROOT, env=environment(), capture_output=True, timeout=30, check=False
    )
    assert ended.returncode == (3 if "exit(3)" in end else 0), ended.stderr.decode()
    assert ended.stderr == b""


# H03


@pytest.mark.proves("ROW-H03")
def test_all_methods_from_four_threads_neither_stall_nor_crash() -> None:
    seconds = 60 if IS_FULL else 10
    ended = subprocess.run(  # noqa: S603  our own code
        [sys.executable, "-X", "faulthandler", "-m", "tests.chaos.harness.stress", str(seconds), "5"],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=seconds + 60,  # the watchdog outside
        check=False,
    )
    sys.stdout.write(f"H03 seed 5: {ended.stdout}")
    assert ended.returncode == 0, ended.stdout + ended.stderr[-3000:]
    assert "panicked" not in ended.stderr


# H10

CANARY: Final = "hunter2-canary"
BAD: Final = {
    "unknown key": ("service.yaml", {"version": 1, "hot": {"max_pair": 3}}, "hot.max_pair"),
    "negative": ("service.yaml", {"version": 1, "hot": {"max_pairs": -3}}, "hot.max_pairs"),
    "not a number": ("service.yaml", {"version": 1, "hot": {"linger_sec": float("nan")}}, "hot.linger_sec"),
    "missing secret": ("service.yaml", {"version": 1, "log": {"level": "${NO_SUCH_SECRET}"}}, "log.level"),
    "secret in a bad place": ("service.yaml", {"version": 1, "log": {"level": "${CANARY}"}}, "log.level"),
    "doubled venue": ("service.yaml", {"version": 1, "hot": {"venues": ["kraken", "kraken"]}}, "hot.venues"),
}


@pytest.mark.proves("ROW-H10")
@pytest.mark.parametrize("fault", BAD)
def test_bad_configuration_ends_the_start_naming_the_key_and_no_secret(fault: str, tmp_path: Path) -> None:
    file, content, key = BAD[fault]
    config = tmp_path / "config"
    config.mkdir()
    dump(config / file, content)
    figures = Figures(f"H10 {fault}", "exit", 1_000)
    control = start_beside("datafacade.config, datafacade.cli.main")
    service = ServiceProcess(config, variables={"CANARY": CANARY})
    try:
        code = service.wait_ended(within_s=30)
        figures.add(time.monotonic_ns() - imported_ns(control))
    finally:
        service.close()
    assert code == 2, service.log()
    assert key in service.log()
    assert file in service.log()
    assert CANARY not in service.log()
    figures.check()
