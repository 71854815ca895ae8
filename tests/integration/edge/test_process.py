"""How a process with an edge ends, and what happens to it under many threads. Judged from outside."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import grpc
import pytest

from tests.starved import Starved

EXIT_S_MAX: Final = 10.0  # ROW-H02

if TYPE_CHECKING:  # grpcio's classes take no parameters at run time
    Unary = grpc.UnaryUnaryMultiCallable[bytes, bytes]
    Subscribe = grpc.StreamStreamMultiCallable[bytes, bytes]

BEGIN: Final = """
import sys, threading, time
from datafacade._core import Edge, Hub
hub = Hub(epoch=1)
edge = Edge(hub, epoch=1)
"""
READY: Final = "print('ready', flush=True)\n"
# Says where it listens, and goes on when it is told to.
SERVE: Final = """
print(edge.start(), flush=True)
sys.stdin.readline()
"""


def spawn(code: str) -> subprocess.Popen[str]:
    """Start ``code`` in a process of its own, which may take long where the machine is busy."""
    return subprocess.Popen(  # noqa: S603  our own interpreter, our own code
        [sys.executable, "-W", "error", "-X", "faulthandler", "-c", BEGIN + code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ends_well(process: subprocess.Popen[str], expected: int = 0, seconds_max: float = EXIT_S_MAX) -> None:
    """Assert that the process ends by itself, in time, with its own exit code and without a panic."""
    begin = time.monotonic()
    with Starved() as starved:
        _, stderr = process.communicate("go\n", timeout=90)
        took_s = time.monotonic() - begin
    assert process.returncode == expected, stderr
    assert "panicked" not in stderr
    assert took_s - starved.seconds < seconds_max


@contextlib.contextmanager
def traffic(port: str) -> Iterator[None]:
    """Keep a stream, a waiting call and health calls going to ``port``."""
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        health: Unary = channel.unary_unary("/grpc.health.v1.Health/Check")
        subscribe: Subscribe = channel.stream_stream("/datafacade.v1.DataFacadeService/HotSubscribe")
        ask: Unary = channel.unary_unary("/datafacade.v1.DataFacadeService/Health")
        stream, waiting = subscribe(iter([b"\x12\x00"])), ask.future(b"")
        health(b"")
        try:
            yield
        finally:
            stream.cancel()
            waiting.cancel()


@pytest.mark.proves("ROW-H02")
@pytest.mark.parametrize(
    "end",
    [
        "",
        "edge.start()",
        "edge.start(); edge.stop()",
        "edge.start(); edge.stop(); edge.stop()",
        "edge.stop()",
        "edge.start(); edge.drain(60_000)",
        "edge.start(); del edge, hub",
        "edge.start(); sys.modules['kept'] = edge",
    ],
)
def test_a_process_that_forgets_to_close_its_edge_ends(end: str) -> None:
    process = spawn(READY + end)
    assert process.stdout is not None
    assert process.stdout.readline(), "it did not start"
    ends_well(process)


@pytest.mark.proves("ROW-H02")
@pytest.mark.parametrize("end", ["", "edge.stop()", "del edge", "sys.exit(3)", "edge.drain(0)"])
def test_a_process_in_the_middle_of_its_traffic_ends(end: str) -> None:
    process = spawn(SERVE + end)
    assert process.stdout is not None
    with traffic(process.stdout.readline().strip()):
        ends_well(process, 3 if "exit" in end else 0)


@pytest.mark.proves("ROW-H02")
@pytest.mark.parametrize("wait_ms", [0, 1, 3, 7, 20, 50])
def test_a_process_that_stops_at_any_moment_ends(wait_ms: int) -> None:
    busy = f"""
for work in (edge.calls, edge.stats, edge.closed):
    threading.Thread(target=lambda work=work: [work() for _ in range(100_000)], daemon=True).start()
time.sleep({wait_ms} / 1000)
"""
    process = spawn(SERVE + busy)
    assert process.stdout is not None
    with traffic(process.stdout.readline().strip()):
        ends_well(process)


@pytest.mark.proves("ROW-H03")
def test_four_threads_that_call_every_method_stall_nothing_and_break_nothing() -> None:
    code = """
    import faulthandler, grpc, random
    faulthandler.dump_traceback_later(50, exit=True)
    sys.setswitchinterval(1e-6)
    channel = grpc.insecure_channel(f"127.0.0.1:{edge.start()}")
    ask = channel.unary_unary("/datafacade.v1.DataFacadeService/Health")
    until = time.monotonic() + 3
    failures, stalls, held = [], [], []

    def work(seed):
        random_ = random.Random(seed)
        subscriber = hub.subscriber()
        topic = ("kraken", f"S{seed}-USD", 1, "")
        told = dict(wall_ns=1, request_id=1, subscription_id=1, requested_symbol="S")
        def fetch():
            for call in edge.calls():
                held.append((call.id, call.method, call.request, call.peer, call.metadata()))
                call.part(b"part")
                call.reply(b"yes") if random_.random() < 0.8 else call.fail(5, "no")
        acts = [
            fetch, edge.cancelled, edge.credited, edge.closed,
            edge.stats, edge.addresses, edge.fd, lambda: edge.is_idle,
            lambda: edge.set_health("venue/kraken", True), lambda: ask.future(b"x", timeout=0.02), hub.stats,
            lambda: hub.push(subscriber, b"\\x0a\\x01v"), hub.ready,
            lambda: hub.take(subscriber, 65536, monotonic_ns=time.monotonic_ns()),
            lambda: hub.positions(subscriber), lambda: hub.head(*topic), lambda: hub.subscribers(*topic),
            lambda: hub.attach(subscriber, *topic, start="cut", **told), hub.cuts_wanted,
            lambda: hub.detach(subscriber, *topic, **told),
            lambda: hub.ack(subscriber, 1, monotonic_ns=time.monotonic_ns()),
            lambda: hub.advance(time.time_ns(), time.monotonic_ns()), lambda: hub.close(hub.subscriber()),
        ]
        while (now := time.monotonic()) < until or (not held and now < until + 20):
            begin = time.monotonic()
            try:
                random_.choice(acts)()
            except (ValueError, RuntimeError):
                pass  # attached already; the edge's commands are bounded
            except BaseException as error:
                failures.append(repr(error))
            stalls.append(time.monotonic() - begin)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert not failures, failures[:3]
    assert held, "no call came"
    assert max(stalls) < 5, max(stalls)
    assert edge.stats()["panics"] == 0
    channel.close()
    edge.stop()
    """
    ends_well(spawn(textwrap.dedent(code)), seconds_max=50)
