"""Fetch from one REST host of a venue: bounded in size and time, inside its budget, never redirected."""

from __future__ import annotations

import errno
import logging
import os
import ssl
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Final, Protocol

import aiohttp
from yarl import URL

from datafacade.clock import NS_PER_MS, NS_PER_S, Clock
from datafacade.errors import CircuitOpen, VenueFailed, VenueRateLimited
from datafacade.guard.breaker import Breaker
from datafacade.guard.budget import Budget, Spending
from datafacade.guard.rest_budgets import RestBudgets
from datafacade.guard.retry import Retries
from datafacade.observe.latency import FailureRatio, Latency
from datafacade.types import Priority
from datafacade.venues.body import BodyBounds, read_body
from datafacade.venues.retry_after import retry_after_s, with_jitter_s
from datafacade.venues.session import Sent, literal_refusal, open_session

log = logging.getLogger(__name__)

BAN_S: Final = 120.0  # a ban that does not say how long: Binance's shortest
_LIMITED: Final = 429
_BANNED: Final = 418
_FORBIDDEN: Final = 403
_UNAVAILABLE: Final = 503  # a limit if it says how long to wait
_REDIRECTS: Final = range(300, 400)
_FINE: Final = range(200, 300)
_SERVER_ERROR: Final = 500
_SHORT: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})  # of this machine


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
    retries: Retries
    random: Random  # for jitter


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
        self._refusal = literal_refusal(URL(base_url).host or "", allow_private=allow_private)
        self._timeout_ns = int(timeout_s * NS_PER_S)
        self._guards = guards
        self._clock = clock
        self._bounds = BodyBounds(bytes_max=body_bytes_max)
        self._open = partial(
            open_session, tls=tls, user_agent=user_agent, timeout_s=timeout_s, allow_private=allow_private
        )
        self._session: aiohttp.ClientSession | None = None  # made by the first call

    @property
    def venue(self) -> str:
        """Who runs the host, as configured."""
        return self._venue

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

    async def fetch(
        self,
        path: str,
        *,
        priority: Priority = Priority.CLIENT,
        weight: int | None = None,
        deadline_ns: int | None = None,
    ) -> RestAnswer:
        """Do what `get` does, and try again what may succeed: three tries, inside the retry budget."""
        call = partial(self.get, path, priority=priority, weight=weight, deadline_ns=deadline_ns)
        return await self._guards.retries.run(call, deadline_ns=deadline_ns)

    async def get(
        self, path: str, *, priority: Priority, weight: int | None = None, deadline_ns: int | None = None
    ) -> RestAnswer:
        """Fetch a path with query once, as soon as the budget allows. Cancelled, it leaves nothing behind.

        Args:
            path: Already percent-encoded, from the host's root.
            priority: Who goes first when the budget is short.
            weight: What the venue charges; None: as the table says.
            deadline_ns: When nobody waits any more (monotonic ns): a call whose turn would come later is
                refused at once; None: it waits for its turn.

        Returns:
            The answer, whatever its status below 500 and without a limit hit; JSON if it is below 300.

        Raises:
            CircuitOpen: Too many failures; nothing was sent.
            VenueRateLimited: The venue said that a limit is hit, or would say so: nothing was sent.
            VenueFailed: No whole answer came, or one that is none.
        """
        budget = self._guards.budgets.of(path)
        cost = weight or self._guards.budgets.weight(path)
        ticket, spending = await self._admit(budget, cost, priority, deadline_ns)
        started = self._clock.monotonic_ns()
        sent = Sent()
        try:
            answer = await self._fetch(path, sent)
            self._judge(path, answer)
        except (VenueFailed, VenueRateLimited) as error:
            if isinstance(error, VenueFailed) and error.is_ours:
                self._guards.breaker.abandon(ticket)  # it says nothing about the venue
            else:
                self._note(ticket, started, is_failure=True)
            raise
        except BaseException:
            self._guards.breaker.abandon(ticket)
            raise
        finally:
            if sent.is_sent:
                budget.settle(spending)
            else:
                budget.refund(spending)  # the venue never saw it
        self._note(ticket, started, is_failure=False)
        return answer

    async def _admit(
        self, budget: Budget, weight: int, priority: Priority, deadline_ns: int | None
    ) -> tuple[int, Spending]:
        """Wait for the budget, unless the circuit is open or a ban outlasts a call; return what it gave."""
        breaker = self._guards.breaker
        if breaker.wait_ms() > 0:
            raise self._circuit_open()
        if budget.blocked_ns() > self._timeout_ns:
            wait_ms = budget.blocked_ns() // NS_PER_MS + 1
            raise VenueRateLimited(wait_ms, venue=self._venue, operation="fetch")
        spending = await budget.acquire(weight, priority, deadline_ns=deadline_ns)
        ticket = breaker.admit()
        if not ticket:
            budget.refund(spending)
            raise self._circuit_open()
        return ticket, spending

    async def _fetch(self, path: str, sent: Sent) -> RestAnswer:
        if self._refusal:
            raise self._failed(self._refusal, is_final=True)
        if self._session is None:
            self._session = self._open()
        url = URL(self.url(path), encoded=True)
        try:
            async with self._session.get(url, allow_redirects=False, trace_request_ctx=sent) as response:
                headers = {name.lower(): value for name, value in response.headers.items()}
                body = await read_body(
                    response.content.iter_any(), headers.get("content-encoding", ""), self._bounds
                )
                return RestAnswer(
                    status=response.status, headers=headers, body=body, ts_recv=self._clock.wall_ns()
                )
        except TimeoutError:
            raise self._failed("no whole answer in time") from None
        except (aiohttp.ClientError, OSError) as error:
            if isinstance(error, OSError) and error.errno in _SHORT:
                raise self._failed(f"not asked ({os.strerror(error.errno)})", is_ours=True) from error
            raise self._failed(f"request failed ({type(error).__name__})") from error
        except VenueFailed as error:
            error.venue, error.operation = self._venue, "fetch"
            raise

    def _judge(self, path: str, answer: RestAnswer) -> None:
        """Learn from the headers, obey limits, refuse what is no answer."""
        self._guards.budgets.learn(path, answer.headers)
        told = retry_after_s(answer.headers.get("retry-after"), wall_ns=answer.ts_recv)
        if answer.status in (_LIMITED, _BANNED, _FORBIDDEN) or (answer.status == _UNAVAILABLE and told):
            silent = BAN_S if answer.status == _BANNED else self._guards.budgets.pause_s()
            is_whole_host = told is not None or answer.status == _BANNED
            self._obey(silent if told is None else told, None if is_whole_host else path)
        hinted = self._guards.tell_limit(answer.body, answer.ts_recv)
        if hinted is not None:
            self._obey(hinted, path)
        if answer.status >= _SERVER_ERROR:
            raise self._failed(f"HTTP status {answer.status}")
        if answer.status in _REDIRECTS:
            raise self._failed(f"HTTP status {answer.status}: redirects are not followed", is_final=True)
        if answer.status in _FINE and answer.body.lstrip()[:1] not in (b"{", b"["):
            raise self._failed("answer is no JSON")

    def _obey(self, told_s: float, path: str | None) -> None:
        """Spend nothing until the time that was told, and a little longer: others were told the same."""
        seconds = with_jitter_s(told_s, self._guards.random)
        self._guards.budgets.block(seconds, path)
        log.warning(
            "rest.limited", extra={"venue": self._venue, "wait_s": seconds, "whole_host": path is None}
        )
        raise VenueRateLimited(int(seconds * 1000) + 1, venue=self._venue, operation="fetch")

    def _note(self, ticket: int, started: int, *, is_failure: bool) -> None:
        now = self._clock.monotonic_ns()
        self._guards.failures.record(now, is_failure=is_failure)
        if is_failure:
            self._guards.breaker.failure(ticket)
        else:
            self._guards.breaker.success(ticket)
            self._guards.latency.record(now - started)

    def _circuit_open(self) -> CircuitOpen:
        return CircuitOpen(max(1, self._guards.breaker.wait_ms()), venue=self._venue, operation="fetch")

    def _failed(self, problem: str, *, is_final: bool = False, is_ours: bool = False) -> VenueFailed:
        return VenueFailed(problem, is_final=is_final, is_ours=is_ours, venue=self._venue, operation="fetch")
