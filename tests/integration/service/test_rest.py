"""The REST client against real servers on loopback: bounded, inside the budget, never redirected."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
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
from datafacade.observe.latency import FailureRatio, Latency
from datafacade.types import Priority
from datafacade.venues.dial import tls_context
from datafacade.venues.rest import RestAnswer, RestClient, RestGuards

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
    port: int, *, allow_private: bool = True, body_bytes_max: int = 10_000, name: str = "127.0.0.1"
) -> AsyncIterator[RestClient]:
    clock = SystemClock()
    budget = RestBudget(windows=(Window(limit=1_000, seconds=60),), used_header="X-USED")
    made = RestClient(
        "okx",
        f"http://{name}:{port}/prefix/",
        guards=RestGuards(
            budgets=RestBudgets(budget, share_ratio=0.8, clock=clock, venue="okx"),
            breaker=Breaker(BreakerFigures(), clock=clock, random=Random(1)),
            latency=Latency(),
            failures=FailureRatio(),
            tell_limit=lambda body, _: 3.0 if body == b"slow down" else None,
        ),
        clock=clock,
        tls=tls_context(),
        user_agent="test/1",
        timeout_s=0.5,
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
        return web.Response(body=request.raw_path.encode(), headers={"X-Used": "700"})

    async with host(handler) as port, client(port) as made:
        answer = await get(made, "/depth?symbol=%E5%B8%81USDT&limit=5")
        assert answer.body == b"/prefix/depth?symbol=%E5%B8%81USDT&limit=5"
        assert answer.status == 200
        assert made.guards.budgets.of("/depth").check() == (True, 100)
        assert made.guards.latency.count == 1


@pytest.mark.proves("ROW-C10")
@pytest.mark.proves("CTL-S23")
async def test_a_redirect_is_an_answer_and_is_not_followed() -> None:
    handler = answering(status=302, headers={"Location": "http://169.254.169.254/latest/meta-data"})
    async with host(handler) as port, client(port) as made:
        assert (await get(made)).status == 302


@pytest.mark.proves("CTL-S23")
@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "[::1]"])
async def test_private_addresses_are_not_contacted_unless_allowed(name: str) -> None:
    async def handler(_: web.Request) -> web.StreamResponse:
        raise AssertionError("was contacted")

    async with host(handler) as port, client(port, allow_private=False, name=name) as made:
        with pytest.raises(VenueFailed):
            await get(made)


@pytest.mark.proves("ROW-C09")
async def test_an_endless_body_is_abandoned_at_the_bound() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        with contextlib.suppress(ConnectionError):
            while True:
                await response.write(b"x" * 1_000)
        return response

    async with host(handler) as port, client(port) as made:
        with pytest.raises(VenueFailed, match="larger than 10000 bytes"):
            await get(made)


@pytest.mark.proves("ROW-C09")
@pytest.mark.proves("CTL-S20")
async def test_an_inflating_body_is_abandoned_at_the_bound() -> None:
    bomb = gzip.compress(b"x" * 10_000_000)
    async with (
        host(answering(body=bomb, headers={"Content-Encoding": "gzip"})) as port,
        client(port) as made,
    ):
        with pytest.raises(VenueFailed):
            await get(made)


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

    async with host(handler) as port, client(port) as made:
        with pytest.raises(VenueFailed, match="in time"):
            await get(made)


@pytest.mark.proves("ROW-C07")
@pytest.mark.parametrize(
    ("status", "headers", "wait"), [(429, {"Retry-After": "30"}, 30), (418, {}, 120), (429, {}, 2)]
)
async def test_a_limit_stops_further_calls(status: int, headers: dict[str, str], wait: int) -> None:
    calls = 0

    async def handler(_: web.Request) -> web.StreamResponse:
        nonlocal calls
        calls += 1
        return web.Response(status=status, headers=headers)

    async with host(handler) as port, client(port) as made:
        with pytest.raises(VenueRateLimited) as caught:
            await get(made)
        assert caught.value.retry_after_ms == pytest.approx(wait * 1_000, rel=0.01)
        with pytest.raises(VenueRateLimited):
            await get(made)
        assert calls == 1


async def test_a_limit_inside_the_body_is_obeyed() -> None:
    async with host(answering(body=b"slow down")) as port, client(port) as made:
        with pytest.raises(VenueRateLimited) as caught:
            await get(made)
        assert caught.value.retry_after_ms == 3_001


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
