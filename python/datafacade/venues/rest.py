"""Fetch from one REST host of a venue: bounded in size and time, inside its budget, never redirected."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
import ssl
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from datafacade.clock import NS_PER_S, Clock
from datafacade.errors import CircuitOpen, DialFailed, VenueFailed, VenueRateLimited
from datafacade.guard.address import is_public
from datafacade.guard.breaker import Breaker
from datafacade.guard.rest_budgets import RestBudgets
from datafacade.observe.latency import FailureRatio, Latency
from datafacade.types import Priority
from datafacade.venues.address import resolve
from datafacade.venues.retry_after import retry_after_s

log = logging.getLogger(__name__)

BAN_S: Final = 120.0  # a ban that does not say how long: Binance's shortest
PAUSE_S: Final = 2.0  # a limit that does not say how long
_LIMITED: Final = 429
_BANNED: Final = 418
_FORBIDDEN: Final = 403
_SERVER_ERROR: Final = 500
IDLE_S: Final = 2.0  # how long an idle connection is kept: 5 s after a fault all is as it was before


class LimitTeller(Protocol):
    """A venue's way to say inside a body with status 200 that a limit was hit."""

    def __call__(self, body: bytes, wall_ns: int, /) -> float | None:
        """Return the seconds to wait; None: the body says nothing of the kind."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RestAnswer:
    """What a venue answered."""

    status: int
    headers: dict[str, str]  # names in lower case
    body: bytes
    ts_recv: int  # when the last byte was read, wall ns


@dataclass(frozen=True, slots=True, kw_only=True)
class RestGuards:
    """What stands before each call to one venue."""

    budgets: RestBudgets
    breaker: Breaker
    latency: Latency
    failures: FailureRatio
    tell_limit: LimitTeller


class RestClient:
    """One host. ``close`` it."""

    def __init__(
        self,
        venue: str,
        base_url: str,
        *,
        guards: RestGuards,
        clock: Clock,
        tls: ssl.SSLContext,
        user_agent: str,
        timeout_s: float,
        body_bytes_max: int,
        allow_private: bool,
    ) -> None:
        self._venue = venue
        self._base = base_url.rstrip("/")
        self._refusal = _literal_refusal(URL(base_url).host or "", allow_private=allow_private)
        self._timeout_ns = int(timeout_s * NS_PER_S)
        self._guards = guards
        self._clock = clock
        self._body_bytes_max = body_bytes_max
        self._open = partial(
            _open_session, tls=tls, user_agent=user_agent, timeout_s=timeout_s, allow_private=allow_private
        )
        self._session: aiohttp.ClientSession | None = None  # made by the first call

    @property
    def guards(self) -> RestGuards:
        """Budgets, breaker and figures of this host."""
        return self._guards

    def url(self, path: str) -> str:
        """Return the whole URL of a path with query."""
        return self._base + path

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()

    async def get(self, path: str, *, priority: Priority, weight: int | None = None) -> RestAnswer:
        """Fetch a path with query, as soon as the budget allows.

        Args:
            path: Already percent-encoded, from the host's root.
            priority: Who goes first when the budget is short.
            weight: What the venue charges; None: as the table says.

        Returns:
            The answer, whatever its status below 500 and without a limit hit.

        Raises:
            CircuitOpen: Too many failures; nothing was sent.
            VenueRateLimited: The venue said that a limit is hit.
            VenueFailed: No whole answer came, or one with status 500 or above.
        """
        budget = self._guards.budgets.of(path)
        if budget.blocked_ns() > self._timeout_ns:
            raise VenueRateLimited(budget.blocked_ns() // 1_000_000 + 1, venue=self._venue, operation="fetch")
        await budget.acquire(weight or self._guards.budgets.weight(path), priority)
        if not self._guards.breaker.admit():
            raise CircuitOpen(max(1, self._guards.breaker.wait_ms()), venue=self._venue, operation="fetch")
        started = self._clock.monotonic_ns()
        try:
            answer = await self._fetch(path)
            self._judge(path, answer)
        except (VenueFailed, VenueRateLimited):
            self._note(started, is_failure=True)
            raise
        except BaseException:
            self._guards.breaker.abandon()
            raise
        self._note(started, is_failure=False)
        return answer

    async def _fetch(self, path: str) -> RestAnswer:
        if self._refusal:
            raise self._failed(self._refusal)
        if self._session is None:
            self._session = self._open()
        url = URL(self.url(path), encoded=True)
        try:
            async with self._session.get(url, allow_redirects=False) as response:
                body = await self._read(response)
                headers = {name.lower(): value for name, value in response.headers.items()}
                return RestAnswer(
                    status=response.status, headers=headers, body=body, ts_recv=self._clock.wall_ns()
                )
        except TimeoutError:
            raise self._failed("no whole answer in time") from None
        except (aiohttp.ClientError, OSError) as error:
            raise self._failed(f"request failed ({type(error).__name__})") from error

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        parts: list[bytes] = []
        total = 0
        async for part in response.content.iter_any():
            total += len(part)
            if total > self._body_bytes_max:
                raise self._failed(f"body is larger than {self._body_bytes_max} bytes")
            parts.append(part)
        return b"".join(parts)

    def _judge(self, path: str, answer: RestAnswer) -> None:
        """Learn from the headers, obey limits, refuse what is no answer."""
        self._guards.budgets.learn(path, answer.headers)
        if answer.status in (_LIMITED, _BANNED, _FORBIDDEN):
            told = retry_after_s(answer.headers.get("retry-after"), wall_ns=answer.ts_recv)
            wait = told if told is not None else (BAN_S if answer.status == _BANNED else PAUSE_S)
            is_whole_host = told is not None or answer.status == _BANNED
            self._obey(wait, None if is_whole_host else path)
        hinted = self._guards.tell_limit(answer.body, answer.ts_recv)
        if hinted is not None:
            self._obey(hinted, path)
        if answer.status >= _SERVER_ERROR:
            raise self._failed(f"HTTP status {answer.status}")

    def _obey(self, seconds: float, path: str | None) -> None:
        self._guards.budgets.block(seconds, path)
        log.warning(
            "rest.limited", extra={"venue": self._venue, "wait_s": seconds, "whole_host": path is None}
        )
        raise VenueRateLimited(int(seconds * 1000) + 1, venue=self._venue, operation="fetch")

    def _note(self, started: int, *, is_failure: bool) -> None:
        now = self._clock.monotonic_ns()
        self._guards.failures.record(now, is_failure=is_failure)
        if is_failure:
            self._guards.breaker.failure()
        else:
            self._guards.breaker.success()
            self._guards.latency.record(now - started)

    def _failed(self, problem: str) -> VenueFailed:
        return VenueFailed(problem, venue=self._venue, operation="fetch")


def _open_session(
    *, tls: ssl.SSLContext, user_agent: str, timeout_s: float, allow_private: bool
) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            resolver=_Resolver(allow_private), ssl=tls, limit=16, keepalive_timeout=IDLE_S
        ),
        timeout=aiohttp.ClientTimeout(total=timeout_s),
        headers={"User-Agent": user_agent},
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
    )


def _literal_refusal(host: str, *, allow_private: bool) -> str:
    """Judge an address that needs no resolver; names are judged when they are resolved."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return ""
    return "" if allow_private or is_public(host) else "the configured address is private"


class _Resolver(AbstractResolver):
    """Gives aiohttp only addresses that may be contacted."""

    def __init__(self, allow_private: bool) -> None:
        self._allow_private = allow_private

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the addresses of a host."""
        try:
            found = await resolve(host, port, allow_private=self._allow_private)
        except DialFailed as error:
            raise OSError(error.detail) from error
        wanted = (family, socket.AF_UNSPEC)
        return [
            ResolveResult(
                hostname=host, host=address, port=port, family=kind, proto=0, flags=socket.AI_NUMERICHOST
            )
            for kind, address in found
            if kind in wanted or family is socket.AF_UNSPEC
        ]

    async def close(self) -> None:
        """Release nothing: there is nothing."""
        await asyncio.sleep(0)
