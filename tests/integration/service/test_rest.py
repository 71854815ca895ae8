"""The REST client against real servers on loopback: bounded, inside the budget, never redirected."""

from __future__ import annotations

import asyncio
import contextlib
import email.utils
import gzip
import json
import resource
import time
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from random import Random

import pytest
from aiohttp import web

from datafacade.clock import SystemClock
from datafacade.config import Breaker as BreakerFigures
from datafacade.config import RestBudget, Window
from datafacade.errors import CircuitOpen, VenueFailed, VenueRateLimited
from datafacade.guard.breaker import Breaker, BreakerState
from datafacade.guard.rest_budgets import RestBudgets
from datafacade.guard.retry import Retries, RetryFigures
from datafacade.observe.latency import FailureRatio, Latency
from datafacade.types import Priority
from datafacade.venues.dial import tls_context
from datafacade.venues.rest import RestAnswer, RestClient, RestGuards
from datafacade.venues.session import CONNECTIONS_MAX

PATIENCE_S = 30.0  # an answer comes sooner, even where the machine is busy
SCARCE_S = 60  # for so long a scarce path is closed behind one question
GIVES_UP_S = 0.5  # where it is tested that none is waited for

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@contextlib.asynccontextmanager
async def host(handler: Handler) -> AsyncIterator[int]:
    runner = web.ServerRunner(web.Server(handler))  # type: ignore[arg-type]
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def client(
    port: int,
    *,
    allow_private: bool = True,
    body_bytes_max: int = 200_000,
    name: str = "127.0.0.1",
    timeout_s: float = PATIENCE_S,
    retries: RetryFigures = RetryFigures(tries_max=1),  # noqa: B008  frozen
) -> AsyncIterator[RestClient]:
    clock, random = SystemClock(), Random(1)
    budget = RestBudget(
        windows=(Window(limit=1_000, seconds=60),),
        endpoints={"/scarce": (Window(limit=2, seconds=SCARCE_S),)},
        used_header="X-USED",
    )
    made = RestClient(
        "okx",
        f"http://{name}:{port}/prefix/",
        guards=RestGuards(
            budgets=RestBudgets(budget, share_ratio=0.8, clock=clock, venue="okx"),
            breaker=Breaker(BreakerFigures(), clock=clock, random=random),
            latency=Latency(),
            failures=FailureRatio(),
            tell_limit=lambda body, _: 3.0 if body == b"slow down" else None,
            retries=Retries(retries, clock=clock, random=random),
            random=random,
        ),
        clock=clock,
        tls=tls_context(),
        user_agent="test/1",
        timeout_s=timeout_s,
        body_bytes_max=body_bytes_max,
        allow_private=allow_private,
    )
    try:
        yield made
    finally:
        await made.close()


def answering(**arguments: object) -> Handler:
    async def handler(_: web.Request) -> web.StreamResponse:
        return web.Response(**arguments)  # type: ignore[arg-type]

    return handler


async def get(made: RestClient, path: str = "/api?x=1") -> RestAnswer:
    return await made.get(path, priority=Priority.CLIENT)


async def test_a_path_is_fetched_as_it_is_written() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        assert request.headers["User-Agent"] == "test/1"
        return web.Response(body=f'["{request.raw_path}"]'.encode(), headers={"X-Used": "700"})

    async with host(handler) as port, client(port) as made:
        answer = await get(made, "/depth?symbol=%E5%B8%81USDT&limit=5")
        assert answer.body == b'["/prefix/depth?symbol=%E5%B8%81USDT&limit=5"]'
        assert answer.status == 200
        assert made.guards.budgets.of("/depth").check() == (True, 100)
        assert made.guards.latency.count == 1


@pytest.mark.proves("ROW-C10")
@pytest.mark.proves("CTL-S23")
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("scheme", ["other host", "metadata", "file", "same path"])
async def test_a_redirect_is_a_failure_and_is_not_followed(status: int, scheme: str) -> None:
    async def bait(_: web.Request) -> web.StreamResponse:
        raise AssertionError("was followed")

    async with host(bait) as other:
        targets = {
            "other host": f"http://127.0.0.1:{other}/",
            "metadata": "http://169.254.169.254/latest/meta-data",
            "file": "file:///etc/passwd",
            "same path": "/prefix/api",
        }
        calls = 0

        async def handler(_: web.Request) -> web.StreamResponse:
            nonlocal calls
            calls += 1
            return web.Response(status=status, headers={"Location": targets[scheme]}, body=b"[1]")

        async with host(handler) as port, client(port, retries=RetryFigures()) as made:
            with pytest.raises(VenueFailed, match="redirects are not followed") as caught:
                await made.fetch("/api?x=1")
            assert caught.value.is_final
            assert calls == 1


@pytest.mark.proves("CTL-S23")
@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "[::1]"])
async def test_private_addresses_are_not_contacted_unless_allowed(name: str) -> None:
    async def handler(_: web.Request) -> web.StreamResponse:
        raise AssertionError("was contacted")

    async with host(handler) as port, client(port, allow_private=False, name=name) as made:
        with pytest.raises(VenueFailed):
            await get(made)


async def endless(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    with contextlib.suppress(ConnectionError):
        while True:
            await response.write(b"x" * 65_536)
    return response


@pytest.mark.proves("ROW-C09")
async def test_an_endless_body_is_abandoned_at_the_bound() -> None:
    async with host(endless) as port, client(port) as made:
        with pytest.raises(VenueFailed, match="larger than 200000 bytes"):
            await get(made)


@pytest.mark.proves("ROW-C09")
@pytest.mark.proves("CTL-S20")
@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_a_body_that_inflates_a_hundred_times_is_abandoned(encoding: str) -> None:
    text = b"[" + b"0," * 5_000_000 + b"0]"
    bomb = gzip.compress(text) if encoding == "gzip" else zlib.compress(text)
    handler = answering(body=bomb, headers={"Content-Encoding": encoding})
    async with host(handler) as port, client(port, body_bytes_max=32 * 2**20) as made:
        with pytest.raises(VenueFailed, match="inflates more than 100 times"):
            await get(made)


@pytest.mark.proves("ROW-C09")
@pytest.mark.parametrize("kind", ["endless", "inflating"])
async def test_a_hostile_body_costs_no_more_than_40_mib(kind: str) -> None:
    """With the bounds of the packaged configuration; the server runs in this process too."""
    bomb = gzip.compress(bytes(100_000_000), 9)
    assert len(bomb) < 100_000
    handler = endless if kind == "endless" else answering(body=bomb, headers={"Content-Encoding": "gzip"})
    async with host(handler) as port, client(port, body_bytes_max=32 * 2**20) as made:
        tracemalloc.start()
        try:
            with pytest.raises(VenueFailed):
                await get(made)
            assert tracemalloc.get_traced_memory()[1] <= 40 * 2**20
        finally:
            tracemalloc.stop()


@pytest.mark.proves("ROW-C09")
@pytest.mark.parametrize("kind", ["identity", "gzip"])
async def test_a_compressed_answer_is_read_whole(kind: str) -> None:
    text = json.dumps([{"price": str(number)} for number in range(5_000)]).encode()
    halves = gzip.compress(text[:999]) + gzip.compress(text[999:])  # two members are one stream
    body, headers = (text, {}) if kind == "identity" else (halves, {"Content-Encoding": "gzip"})
    async with host(answering(body=body, headers=headers)) as port, client(port) as made:
        assert (await get(made)).body == text


@pytest.mark.proves("ROW-C09")
@pytest.mark.parametrize("kind", ["short", "short gzip", "unknown encoding", "no gzip"])
async def test_a_body_that_is_not_what_its_headers_say_is_refused(kind: str) -> None:
    whole = b"[" + b"1," * 1_000 + b"1]"
    packed = gzip.compress(whole)
    bodies = {
        "short": (b"", len(whole), whole[:100]),
        "short gzip": (b"Content-Encoding: gzip\r\n", len(packed) - 20, packed[:-20]),
        "unknown encoding": (b"Content-Encoding: br\r\n", len(whole), whole),
        "no gzip": (b"Content-Encoding: gzip\r\n", len(whole), whole),
    }
    headers, length, body = bodies[kind]
    raw = b"HTTP/1.1 200 OK\r\n" + headers + f"Content-Length: {length}\r\n\r\n".encode() + body
    async with raw_host(raw) as port, client(port) as made:
        with pytest.raises(VenueFailed):
            await get(made)


@pytest.mark.proves("ROW-C09")
async def test_bytes_beyond_the_content_length_never_become_the_next_answer() -> None:
    raw = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n[1]HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n[6]"
    async with raw_host(raw) as port, client(port) as made:
        for _ in range(3):
            with contextlib.suppress(VenueFailed):
                assert (await get(made)).body == b"[1]"


@contextlib.asynccontextmanager
async def raw_host(answer: bytes) -> AsyncIterator[int]:
    """Serve the same bytes to every request, whatever they are; then close."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


@pytest.mark.proves("ROW-C09")
async def test_a_dripping_body_is_abandoned_in_time() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        with contextlib.suppress(ConnectionError):
            while True:
                await response.write(b"x")
                await asyncio.sleep(0.05)
        return response

    async with host(handler) as port, client(port, timeout_s=GIVES_UP_S) as made:
        started = time.monotonic()
        with pytest.raises(VenueFailed, match="in time"):  # though the body has no end
            await get(made)
        assert time.monotonic() - started >= GIVES_UP_S


@pytest.mark.proves("ROW-C11")
@pytest.mark.parametrize("body", [b"", b"  ", b"<html></html>", b"ok", b"null", b"\xff\xfe"])
async def test_an_answer_that_is_no_json_is_a_failure_of_the_venue(body: bytes) -> None:
    async with host(answering(body=body)) as port, client(port) as made:
        with pytest.raises(VenueFailed, match="no JSON"):
            await get(made)
        assert made.guards.breaker.failures == 1


@pytest.mark.proves("ROW-C06")
async def test_calls_that_wait_for_a_connection_when_their_caller_leaves_cost_nothing() -> None:
    arrived, release = 0, asyncio.Event()

    async def handler(_: web.Request) -> web.StreamResponse:
        nonlocal arrived
        arrived += 1
        await release.wait()
        return web.Response(body=b"[]")

    async with host(handler) as port, client(port) as made:
        budget = made.guards.budgets.of("/api")
        before = budget.check()[1]
        calls = [asyncio.create_task(get(made)) for _ in range(CONNECTIONS_MAX + 4)]
        while arrived < CONNECTIONS_MAX:  # noqa: ASYNC110  no event for it
            await asyncio.sleep(0.01)
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        assert (arrived, before - budget.check()[1]) == (CONNECTIONS_MAX, CONNECTIONS_MAX)
        release.set()


@pytest.mark.proves("ROW-F12")
async def test_a_call_for_which_no_descriptor_is_left_is_no_failure_of_the_venue() -> None:
    async with host(answering(body=b"[]")) as port, client(port) as made, client(port) as other:
        await get(made)  # whatever is loaded late is loaded now
        before = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, before[1]))
        try:
            for _ in range(BreakerFigures().failures_to_open + 1):
                with pytest.raises(VenueFailed, match="not asked \\(Too many open files\\)"):
                    await get(other)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, before)
        assert other.guards.breaker.failures == 0
        assert other.guards.failures.ratio(time.monotonic_ns()) is None
        assert (await get(other)).body == b"[]"


@pytest.mark.proves("ROW-C04")
@pytest.mark.proves("ROW-E13")
@pytest.mark.parametrize("is_body_begun", [False, True])
async def test_a_caller_that_leaves_ends_the_call_upstream_at_once(is_body_begun: bool) -> None:
    gone = asyncio.Event()
    seen = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if is_body_begun:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[1,")
        seen.set()
        with contextlib.suppress(ConnectionError):
            await reader.read()  # until the client closes
        gone.set()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server, client(server.sockets[0].getsockname()[1], timeout_s=600) as made:
        call = asyncio.ensure_future(made.fetch("/api"))
        await seen.wait()
        call.cancel()
        async with asyncio.timeout(PATIENCE_S):  # the answer itself never comes
            await gone.wait()
        assert made.guards.breaker.failures == 0  # our caller's doing
        with pytest.raises(asyncio.CancelledError):
            await call


@pytest.mark.proves("ROW-C04")
async def test_a_call_whose_turn_would_come_too_late_is_refused_at_once() -> None:
    async with host(answering(body=b"[1]")) as port, client(port) as made:
        await made.fetch("/scarce")
        deadline_ns = SystemClock().monotonic_ns() + (SCARCE_S - 20) * 10**9
        async with asyncio.timeout(PATIENCE_S):  # sooner than the deadline
            with pytest.raises(VenueRateLimited) as caught:
                await made.fetch("/scarce", deadline_ns=deadline_ns)
        assert SCARCE_S / 2 < caught.value.retry_after_ms / 1_000 <= SCARCE_S + 0.001


@pytest.mark.proves("ROW-C01")
async def test_a_failure_is_tried_again_and_the_answer_is_given() -> None:
    statuses = [503, 502, 200]

    async def handler(_: web.Request) -> web.StreamResponse:
        return web.Response(status=statuses.pop(0), body=b"[1]")

    figures = RetryFigures(base_s=0.01, budget_ratio=1.0)
    async with host(handler) as port, client(port, retries=figures) as made:
        made.guards.retries._budget.earn()
        assert (await made.fetch("/api")).body == b"[1]"
        assert not statuses


@pytest.mark.proves("ROW-C05")
async def test_a_venue_that_always_fails_gets_a_tenth_more_calls_at_most_until_the_circuit_opens() -> None:
    calls = 0

    async def handler(_: web.Request) -> web.StreamResponse:
        nonlocal calls
        calls += 1
        return web.Response(status=500)

    async with host(handler) as port, client(port, retries=RetryFigures(base_s=0.01)) as made:
        for offered in range(1, 20):
            with pytest.raises((VenueFailed, CircuitOpen)):
                await made.fetch("/api")
            assert calls <= 1.1 * offered
        assert calls == 5  # then the circuit is open


@pytest.mark.proves("ROW-C01")
async def test_an_open_circuit_answers_within_5_ms_and_costs_no_budget() -> None:
    async with host(answering(status=500)) as port, client(port) as made:
        for _ in range(5):
            with pytest.raises(VenueFailed):
                await get(made)
        before = made.guards.budgets.of("/api").check()
        assert made.guards.budgets.of("/scarce").take()  # there is no budget to wait for
        times = []
        async with asyncio.timeout(PATIENCE_S):  # nobody waits for the budget, which takes longer
            for number in range(20):
                started = time.perf_counter()
                with pytest.raises(CircuitOpen):
                    await get(made, "/api" if number % 2 else "/scarce")
                times.append(time.perf_counter() - started)
        assert sorted(times)[10] <= 0.005
        assert made.guards.budgets.of("/api").check() == before


@pytest.mark.proves("ROW-C07")
@pytest.mark.parametrize(
    ("status", "headers", "wait"),
    [
        (429, {"Retry-After": "30"}, 30),
        (403, {"Retry-After": "30"}, 30),
        (503, {"Retry-After": "30"}, 30),
        (418, {"Retry-After": "259200"}, 259_200),  # three days
        (418, {}, 120),
        (429, {}, 2),
        (429, {"Retry-After": "soon"}, 2),
        (429, {"Retry-After": "date"}, 30),
    ],
)
async def test_a_limit_stops_further_calls(status: int, headers: dict[str, str], wait: int) -> None:
    calls = 0

    async def handler(_: web.Request) -> web.StreamResponse:
        nonlocal calls
        calls += 1
        told = dict(headers)
        if told.get("Retry-After") == "date":
            told["Retry-After"] = email.utils.formatdate(time.time() + 31, usegmt=True)
        return web.Response(status=status, headers=told)

    async with host(handler) as port, client(port) as made:
        with pytest.raises(VenueRateLimited) as caught:
            await get(made)
        latest = wait + min(0.1 * wait, 60)
        assert wait * 1_000 <= caught.value.retry_after_ms <= (latest + 1.1) * 1_000
        with pytest.raises(VenueRateLimited):
            await made.get("/api?x=1", priority=Priority.CLIENT, deadline_ns=SystemClock().monotonic_ns() + 1)
        with pytest.raises(VenueRateLimited):
            await made.fetch("/api", deadline_ns=SystemClock().monotonic_ns() + 1)
        assert calls == 1


async def test_a_limit_inside_the_body_is_obeyed() -> None:
    async with host(answering(body=b"slow down")) as port, client(port) as made:
        with pytest.raises(VenueRateLimited) as caught:
            await get(made)
        assert 3_000 <= caught.value.retry_after_ms <= 3_301


@pytest.mark.proves("ROW-C01")
async def test_five_server_errors_open_the_circuit_and_client_errors_do_not() -> None:
    status = 404

    async def handler(_: web.Request) -> web.StreamResponse:
        return web.Response(status=status)

    async with host(handler) as port, client(port) as made:
        for _ in range(6):
            assert (await get(made)).status == 404
        assert made.guards.breaker.state() is BreakerState.CLOSED
        status = 503
        for _ in range(5):
            with pytest.raises(VenueFailed, match="503"):
                await get(made)
        with pytest.raises(CircuitOpen) as caught:
            await get(made)
        assert caught.value.retry_after_ms > 50_000
        assert made.guards.failures.ratio(SystemClock().monotonic_ns()) == pytest.approx(5 / 11)


async def test_a_host_that_is_not_there_is_a_failure() -> None:
    async with client(1) as made:
        with pytest.raises(VenueFailed, match="request failed"):
            await get(made)
