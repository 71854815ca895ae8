"""Make and join all objects of one configuration."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from random import Random, SystemRandom
from typing import Any, Final, cast

from datafacade._core import Clock, Consolidator, Feed, Hub, Journal
from datafacade.app.rests import RestMaker
from datafacade.app.snapshots import build_upkeep, open_snapshots
from datafacade.app.warm import build_warm, redis_line
from datafacade.config import Config, FeedEndpoint, Venue
from datafacade.errors import ConfigError, DataDirUnusable
from datafacade.facade import DataFacade
from datafacade.guard.bans import GuardFile
from datafacade.guard.breaker import Breaker
from datafacade.guard.budget import Budget
from datafacade.hot.connection import Connection
from datafacade.hot.feed import FeedRunner, Line
from datafacade.hot.fetch import Fetcher
from datafacade.hot.instruments import InstrumentList
from datafacade.hot.kept import KeptPast
from datafacade.hot.reader import HubReader
from datafacade.hot.recorder import CaptureFile, ConnectionRecorder
from datafacade.hot.roll import RollFigures
from datafacade.hot.tier import HotTier, VenueLine
from datafacade.store.datadir import DataDir
from datafacade.store.keeper import Keeper
from datafacade.store.ledger import Ledger
from datafacade.types import FeedKey, Topic
from datafacade.venues.catalog import VENUES
from datafacade.venues.dial import dial, tls_context
from datafacade.venues.keepalive import KeepaliveFigures
from datafacade.venues.rest import RestClient
from datafacade.venues.socket import SocketLimits
from datafacade.venues.spec import FeedSpec

NS_PER_S: Final = 1_000_000_000
MS_PER_S: Final = 1_000
CONTROL_S: Final = 1.0  # between two control frames of ours: with the Feed's own pace 5 messages a second
_RECONNECT_FACTOR: Final = 3  # the longest wait in hot.reconnect_sec (FAULTS 1.3)


class Factory:
    """Makes facades of one configuration."""

    def __init__(self, config: Config, *, seed: int | None = None) -> None:
        self._config = config
        self._random = SystemRandom() if seed is None else Random(seed)  # noqa: S311  jitter, no secrets

    def create_data_facade(
        self, *, epoch: int | None = None, capture: CaptureFile | None = None, data: DataDir | None = None
    ) -> DataFacade:
        """Return a facade that is not started yet; make it inside a running event loop.

        Args:
            epoch: Number of this start of the publisher, unix seconds; None: that of ``data``, else now.
            capture: Where the sessions are recorded; None: nowhere.
            data: Where what outlives the process is kept, opened and closed by the caller; None: memory only.

        Raises:
            ConfigError: A streaming venue is not one that we speak, or lacks an endpoint.
            DataDirUnusable: The data directory cannot be read.
        """
        config = self._config
        clock = Clock.real()
        kept = None if data is None else GuardFile.open(data.guard, clock=clock)
        epoch = epoch or (clock.wall_ns() // NS_PER_S if data is None else data.epoch)
        bounds = config.service.hub
        hub = Hub(
            epoch=epoch,
            ring_bytes=bounds.ring_bytes,
            ring_age_ms=int(bounds.ring_sec * 1000),
            owed_bytes=bounds.owed_bytes_max,
            lag_ms=int(bounds.lag_sec_max * 1000),
        )
        consolidator = Consolidator(hub, clock, epoch=epoch)
        tls = tls_context()
        rests = RestMaker(config, clock=clock, random=self._random, tls=tls, kept=kept)
        builder = _Builder(
            config,
            hub=hub,
            clock=clock,
            epoch=epoch,
            random=self._random,
            capture=capture,
            consolidator=consolidator,
            kept=kept,
            rests=rests,
            tls=tls,
        )
        venues = {name: builder.venue(name, venue) for name, venue in config.hot_venues().items()}
        keeper = None if data is None else _keeper(data, config, hub=hub, clock=clock)
        tier = HotTier(
            venues,
            hub=hub,
            clock=clock,
            config=config,
            consolidator=consolidator,
            kept=KeptPast(None if keeper is None else keeper.journal),
        )
        line = redis_line(config, clock=clock, random=self._random)
        snapshots = open_snapshots(config, data, clock=clock)
        return DataFacade(
            config=config,
            tier=tier,
            warm=build_warm(config, tier, rests=rests, clock=clock, snapshots=snapshots, line=line),
            snapshots=snapshots,
            upkeep=build_upkeep(config, data, snapshots, line=line, clock=clock),
            hub=hub,
            reader=HubReader(hub),
            clock=clock,
            epoch=epoch,
            keeper=keeper,
            on_stopped=None if kept is None else kept.close,
        )


def _keeper(data: DataDir, config: Config, *, hub: Hub, clock: Clock) -> Keeper:
    bounds = config.service.hub
    try:
        journal = Journal(
            hub,
            data.journal,
            clock=clock,
            epoch=data.epoch,
            bytes_max=bounds.journal_bytes,
            age_ms=int(bounds.journal_sec * MS_PER_S),
        )
    except OSError as error:
        raise DataDirUnusable(str(data.journal), str(error.strerror)) from error

    def seq_last(topic: Topic, epoch: int) -> int:
        return max((last for held, _, last in journal.ranges(*topic) if held == epoch), default=0)

    ledger = Ledger.open(data.ledger, epoch=data.epoch, now_ns=clock.wall_ns(), seq_last=seq_last)
    return Keeper(journal, ledger, clock=clock, coverage_days=config.service.data.coverage_days)


class _Builder:
    """Builds one venue after another with what they share."""

    def __init__(
        self,
        config: Config,
        *,
        hub: Hub,
        clock: Clock,
        epoch: int,
        random: Random,
        capture: CaptureFile | None,
        consolidator: Consolidator,
        kept: GuardFile | None,
        rests: RestMaker,
        tls: ssl.SSLContext,
    ) -> None:
        self._config = config
        self._kept = kept
        self._consolidator = consolidator
        self._hub = hub
        self._clock = clock
        self._epoch = epoch
        self._random = random
        self._capture = capture
        self._rests = rests
        self._tls = tls

    def venue(self, name: str, venue: Venue) -> VenueLine:
        """Build one venue."""
        spec = VENUES.get(name)
        if spec is None:
            raise ConfigError("venues.yaml", 0, f"venues.{name}", f"expected one of {', '.join(VENUES)}")
        limits = self._config.rate_limits.venues[name]
        dials = Budget(limits.connections, clock=self._clock, venue=name)
        if self._kept is not None:
            self._kept.attach(f"dials/{name}", dials, is_urgent=True)
        circuits = self._config.circuits.of(name)
        breaker = Breaker(
            circuits.websocket,
            clock=self._clock,
            random=self._random,
            scale=self._config.service.timers.scale,
        )
        runners: dict[str, FeedRunner] = {}
        lists: list[InstrumentList] = []
        rests: dict[str, RestClient] = {}
        for feed in spec.feeds:
            endpoint = _endpoint(name, venue, feed)
            recorder = None if self._capture is None else ConnectionRecorder(self._capture, clock=self._clock)
            base_url = str(endpoint.base_url)
            rest = rests[feed.name] = self._rests.make(name, feed.name, base_url, tell_limit=spec.tell_limit)
            make = _ConnectionMaker(
                FeedKey(name, feed.name),
                make_feed=partial(self._feed, name, venue, feed),
                rest=rest,
                clock=self._clock,
                product=feed.product,
                url=str(endpoint.ws_url),
                large_bytes=self._config.service.hot.large_frame_bytes,
                recorder=recorder,
            )
            runner = runners[feed.name] = FeedRunner(
                FeedKey(name, feed.name),
                make=make,
                line=self._line(venue, endpoint, dials=dials, breaker=breaker),
                clock=self._clock,
                random=self._random,
                roll=self._roll(),
            )
            lists.append(self._list(runner, rest, feed, recorder))
        for host, url in venue.rests.items():
            rests[host] = self._rests.make(name, host, str(url), tell_limit=spec.tell_limit)
        return VenueLine(spec, runners=runners, lists=lists, rests=rests, dials=dials)

    def _line(self, venue: Venue, endpoint: FeedEndpoint, *, dials: Budget, breaker: Breaker) -> Line:
        config, hot = self._config, self._config.service.hot
        limits = SocketLimits(
            message_bytes_max=venue.message_bytes_max,
            read_buffer_bytes=hot.read_buffer_bytes,
            write_buffer_bytes=hot.write_buffer_bytes,
            dial_timeout_s=config.scaled(hot.dial_timeout_sec),
            write_timeout_s=config.scaled(hot.write_timeout_sec),
            keepalive=KeepaliveFigures(
                ping_s=config.scaled(venue.keepalive_ms / MS_PER_S),
                pong_s=config.scaled(venue.keepalive_timeout_ms / MS_PER_S),
                control_s=config.scaled(CONTROL_S),
            ),
        )
        return Line(
            dial=partial(
                dial,
                str(endpoint.ws_url),
                limits=limits,
                clock=self._clock,
                user_agent=config.venues.user_agent,
                allow_private=config.venues.allow_private_upstream,
                tls=self._tls,
            ),
            dials=dials,
            breaker=breaker,
        )

    def _feed(self, name: str, venue: Venue, feed: FeedSpec, **more: Any) -> Feed:  # noqa: ANN401  passed through
        return Feed(
            venue=name,
            product=feed.product,
            hub=self._hub,
            clock=self._clock,
            epoch=self._epoch,
            seed=self._random.getrandbits(63),
            figures=sorted(figures(self._config, venue).items()),
            consolidator=self._consolidator,
            **more,
        )

    def _roll(self) -> RollFigures:
        scaled = self._config.scaled
        default = RollFigures()
        return RollFigures(
            ready_s=scaled(default.ready_s), lost_s=scaled(default.lost_s), retry_s=scaled(default.retry_s)
        )

    def _list(
        self, runner: FeedRunner, rest: RestClient, feed: FeedSpec, recorder: ConnectionRecorder | None
    ) -> InstrumentList:
        return InstrumentList(
            runner=runner,
            rest=rest,
            paths=feed.instrument_paths,
            clock=self._clock,
            random=self._random,
            refresh_s=self._config.service.hot.instruments_refresh_sec,
            scale=self._config.service.timers.scale,
            recorder=recorder,
        )


class _ConnectionMaker:
    """Makes the connections of one feed."""

    def __init__(
        self,
        key: FeedKey,
        *,
        make_feed: Callable[..., Feed],
        rest: RestClient,
        clock: Clock,
        product: str,
        url: str,
        large_bytes: int,
        recorder: ConnectionRecorder | None,
    ) -> None:
        self._key = key
        self._make_feed = make_feed
        self._rest = rest
        self._clock = clock
        self._product = product
        self._url = url
        self._large_bytes = large_bytes
        self._recorder = recorder

    def __call__(self, predecessor: Connection | None = None) -> Connection:
        """Return a connection with a Feed of its own; beside another its Feed is a standby."""
        recorder = self._recorder
        if predecessor is None:
            feed = self._make_feed()
        else:
            feed = self._make_feed(is_standby=True)
            feed.adopt_instruments(cast("Feed", predecessor.feed))
            recorder = None if recorder is None else recorder.beside()
        fetcher = Fetcher(self._rest, venue=self._key.venue, clock=self._clock, recorder=recorder)
        return Connection(
            self._key,
            feed=feed,
            fetcher=fetcher,
            clock=self._clock,
            product=self._product,
            url=self._url,
            large_bytes=self._large_bytes,
            recorder=recorder,
        )


def figures(config: Config, venue: Venue) -> dict[str, int]:
    """Return the Feed's figures by its own names; times in this run's milliseconds."""
    hot = config.service.hot
    named: dict[str, int] = asdict(hot.feed) | {
        "liveness_ms": venue.liveness_ms,
        "lifetime_ms": venue.lifetime_ms,
        "overlap_ms": int(RollFigures().overlap_s * 1000),
        "ping_ms": venue.ping_ms,
        "send_ms": venue.send_ms,
        "reconnect_max_ms": int(hot.reconnect_sec * 1000) * _RECONNECT_FACTOR,
        "breaker_ms": int(config.circuits.defaults.websocket.open_sec * 1000),
    }
    scale = config.service.timers.scale
    return {
        name: (max(1, round(value * scale)) if value and name.endswith("_ms") else value)
        for name, value in named.items()
    }


def _endpoint(name: str, venue: Venue, feed: FeedSpec) -> FeedEndpoint:
    if feed.name not in venue.feeds:
        raise ConfigError("venues.yaml", 0, f"venues.{name}.feeds", f"feed {feed.name} is missing")
    return venue.feeds[feed.name]
