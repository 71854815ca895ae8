"""Make the REST clients of venues and aggregators: each host with its budget, breaker and retries."""

from __future__ import annotations

import ssl
from random import Random

from datafacade.clock import Clock
from datafacade.config import Config
from datafacade.guard.bans import GuardFile
from datafacade.guard.breaker import Breaker
from datafacade.guard.rest_budgets import RestBudgets
from datafacade.guard.retry import TRIES_MAX, Retries, RetryFigures
from datafacade.observe.latency import FailureRatio, Latency
from datafacade.venues.rest import LimitTeller, RestClient, RestGuards


class RestMaker:
    """Makes clients of one configuration."""

    def __init__(
        self, config: Config, *, clock: Clock, random: Random, tls: ssl.SSLContext, kept: GuardFile | None
    ) -> None:
        self._config = config
        self._clock = clock
        self._random = random
        self._tls = tls
        self._kept = kept

    def make(self, owner: str, host: str, base_url: str, *, tell_limit: LimitTeller) -> RestClient:
        """Return the client of one host.

        Args:
            owner: Venue or aggregator, as rate_limits.yaml names it.
            host: Which of its hosts.
            base_url: Where it is.
            tell_limit: How its bodies say that a limit was hit.
        """
        config = self._config
        limits = config.rate_limits
        guards = RestGuards(
            budgets=RestBudgets(
                limits.venues[owner].rest,
                share_ratio=config.share_ratio(owner),
                clock=self._clock,
                venue=owner,
                kept=self._kept,
                name=f"rest/{owner}/{host}",
            ),
            breaker=Breaker(
                config.circuits.of(owner).http,
                clock=self._clock,
                random=self._random,
                scale=config.service.timers.scale,
            ),
            latency=Latency(),
            failures=FailureRatio(),
            tell_limit=tell_limit,
            retries=Retries(self._retry_figures(), clock=self._clock, random=self._random),
            random=self._random,
        )
        return RestClient(
            owner,
            base_url.rstrip("/"),
            guards=guards,
            clock=self._clock,
            tls=self._tls,
            user_agent=config.venues.user_agent,
            timeout_s=config.scaled(config.service.hot.timeout_sec),
            body_bytes_max=config.service.hot.rest_body_bytes_max,
            allow_private=config.venues.allow_private_upstream,
        )

    def _retry_figures(self) -> RetryFigures:
        config, warm = self._config, self._config.service.warm
        default = RetryFigures()
        return RetryFigures(
            tries_max=min(TRIES_MAX, warm.max_retries + 1),
            base_s=config.scaled(warm.backoff_base_sec),
            wait_s_max=config.scaled(default.wait_s_max),
        )
