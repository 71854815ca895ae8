"""Run all venue connections together and find the one that serves a topic."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Final

from datafacade.clock import Clock
from datafacade.config import Config
from datafacade.errors import InvalidRequest, NotSupported, UnknownSymbol, VenueFailed
from datafacade.guard.budget import Budget
from datafacade.hot.feed import FeedRunner
from datafacade.hot.instruments import InstrumentList
from datafacade.hot.interest import Interest
from datafacade.hot.ports import Hub, Start
from datafacade.hot.resolve import Resolver
from datafacade.types import Channel, FeedKey, InstrumentRow, Topic
from datafacade.venues.rest import RestClient
from datafacade.venues.spec import VenueSpec

log = logging.getLogger(__name__)

HOUSEKEEPING_S: Final = 1.0
STARTS: Final[Mapping[Channel, Start]] = MappingProxyType(
    {
        Channel.TRADES: "next",
        Channel.BOOK_L2: "cut",
        Channel.TOP_OF_BOOK: "newest",
        Channel.TICKER: "newest",
    }
)


class VenueLine:
    """One venue with all that its feeds share."""

    def __init__(
        self,
        spec: VenueSpec,
        *,
        runners: Mapping[str, FeedRunner],
        lists: Sequence[InstrumentList],
        rests: Mapping[str, RestClient],
        dials: Budget,
    ) -> None:
        self.spec = spec
        self.runners = runners  # by the feed's name
        self.lists = lists
        self.rests = rests  # by the feed's name
        self.dials = dials

    def runner(self, channel: Channel) -> FeedRunner:
        """Return the connection that carries a channel.

        Raises:
            NotSupported: The venue streams no such channel.
        """
        for feed in self.spec.feeds:
            if channel in feed.channels:
                return self.runners[feed.name]
        raise NotSupported(f"channel {channel.name}", venue=self.spec.name, operation="subscribe")

    @property
    def is_listed(self) -> bool:
        """Whether all of its instrument lists are known."""
        return all(item.is_known.is_set() for item in self.lists)

    @property
    def is_up(self) -> bool:
        """Whether its lists are known and, if anything is followed, at least one connection is open."""
        needed = [runner for runner in self.runners.values() if runner.is_needed]
        return self.is_listed and (not needed or any(runner.is_open for runner in needed))


class HotTier:
    """The streaming tier. ``run`` it as a task; cancel the task to end it."""

    def __init__(self, venues: Mapping[str, VenueLine], *, hub: Hub, clock: Clock, config: Config) -> None:
        self.venues = venues
        self.resolver = Resolver()
        self._carried: dict[FeedKey, frozenset[str]] = {}  # venue symbols of each feed's own list
        self._hub = hub
        self._clock = clock
        hot = config.service.hot
        self.interest = Interest(
            start=self._start,
            stop=self._stop,
            linger_s=config.scaled(hot.linger_sec),
            symbols_max=hot.max_pairs,
        )

    async def run(self) -> None:
        """Run every connection, list and timer until cancelled."""
        loop = asyncio.get_running_loop()
        loop.add_reader(self._hub.cuts_fd(), self._serve_cuts)
        try:
            async with asyncio.TaskGroup() as tasks:
                for name, venue in self.venues.items():
                    for runner in venue.runners.values():
                        tasks.create_task(runner.run(), name=f"feed {name}")
                    for item in venue.lists:
                        tasks.create_task(item.run(self._listed), name=f"instruments {name}")
                tasks.create_task(self._keep_house(), name="hub housekeeping")
        finally:
            loop.remove_reader(self._hub.cuts_fd())
            self.interest.close()
            for venue in self.venues.values():
                for rest in venue.rests.values():
                    await rest.close()

    async def wait_listed(self) -> None:
        """Wait until every venue's instrument lists are known."""
        for venue in self.venues.values():
            for item in venue.lists:
                await item.is_known.wait()

    def venue(self, name: str) -> VenueLine:
        """Return a venue that streams.

        Raises:
            InvalidRequest: There is no such venue.
        """
        if name not in self.venues:
            known = ", ".join(sorted(self.venues))
            raise InvalidRequest("venues", f"expected one of {known}, received {name[:64]!r}")
        return self.venues[name]

    def resolve(self, venue: str, requested: str) -> InstrumentRow:
        """Return the instrument of a venue that a spelling names.

        Raises:
            InvalidRequest: No such venue, or an ambiguous spelling.
            UnknownSymbol: The venue does not list it.
            VenueFailed: The venue's list could not be read yet.
        """
        if not self.venue(venue).is_listed:
            raise VenueFailed("instrument list is not known yet", venue=venue, operation="resolve")
        return self.resolver.resolve(venue, requested)

    def follow(self, topic: Topic) -> None:
        """Add a subscriber of a topic; the first one's topic is subscribed at the venue.

        Raises:
            NotSupported: The venue streams no such channel.
            UnknownSymbol: The feed of this channel does not list it.
            QuotaExceeded: One symbol too many.
        """
        self.interest.acquire(topic)

    def leave(self, topic: Topic) -> None:
        """Remove a subscriber of a topic."""
        self.interest.release(topic)

    def _start(self, topic: Topic) -> None:
        row = self.resolver.rows(topic.venue)[topic.symbol]
        runner = self.venues[topic.venue].runner(topic.channel)
        if row["venue_symbol"] not in self._carried[runner.key]:
            raise UnknownSymbol(topic.symbol, venue=topic.venue, operation="subscribe")
        runner.subscribe(row["venue_symbol"], topic.channel)

    def _stop(self, topic: Topic) -> None:
        row = self.resolver.rows(topic.venue).get(topic.symbol)
        if row is not None:
            self.venues[topic.venue].runner(topic.channel).unsubscribe(row["venue_symbol"], topic.channel)

    def _listed(self, item: InstrumentList) -> None:
        """Join the lists of a venue's feeds; where two differ the first feed's row stands."""
        venue = self.venues[item.runner.key.venue]
        self._carried[item.runner.key] = frozenset(row["venue_symbol"] for row in item.rows)
        rows: dict[str, InstrumentRow] = {}
        for known in venue.lists:
            for row in known.rows:
                rows.setdefault(row["symbol"], row)
        self.resolver.replace(venue.spec.name, rows.values())

    def _serve_cuts(self) -> None:
        wanted = self._hub.cuts_wanted()
        for venue in self.venues.values():
            for runner in venue.runners.values():
                runner.turns.call(partial(runner.feed.serve_cuts, wanted))

    async def _keep_house(self) -> None:
        while True:
            await asyncio.sleep(HOUSEKEEPING_S)
            self._hub.advance(self._clock.wall_ns(), self._clock.monotonic_ns())
