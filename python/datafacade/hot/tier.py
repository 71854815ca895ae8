"""Run all venue connections together and find the one that serves a topic."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from datafacade._core import parse_variant
from datafacade.clock import Clock
from datafacade.config import Config
from datafacade.errors import FacadeError, InvalidRequest, NotSupported, UnknownSymbol, VenueFailed
from datafacade.guard.budget import Budget
from datafacade.hot.consolidated import Consolidator, spot_symbol, spot_venues
from datafacade.hot.feed import FeedRunner
from datafacade.hot.instruments import InstrumentList
from datafacade.hot.interest import Interest
from datafacade.hot.kept import KeptPast
from datafacade.hot.ports import Hub, Start
from datafacade.hot.resolve import Resolver
from datafacade.observe.watchdog import Watchdog
from datafacade.types import CONSOLIDATED, Channel, FeedKey, InstrumentRow, Topic
from datafacade.venues.rest import RestClient
from datafacade.venues.spec import VenueSpec

log = logging.getLogger(__name__)

HOUSEKEEPING_S: Final = 1.0
STARTS: Final[Mapping[Channel, Start]] = MappingProxyType(
    {
        Channel.TRADES: "next",
        Channel.BOOK_L2: "cut",
        Channel.TOP_OF_BOOK: "newest",
        Channel.KLINES: "newest",
        Channel.TICKER: "newest",
        Channel.CONSOLIDATED_TOP: "newest",
    }
)
_MADE_OF: Final[Mapping[Channel, Channel]] = MappingProxyType({Channel.KLINES: Channel.TRADES})


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
        """Return the connection that carries a channel, or what the channel is made of.

        Raises:
            NotSupported: The venue streams no such channel.
        """
        carried = _MADE_OF.get(channel, channel)
        for feed in self.spec.feeds:
            if carried in feed.channels:
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

    def __init__(
        self,
        venues: Mapping[str, VenueLine],
        *,
        hub: Hub,
        clock: Clock,
        config: Config,
        consolidator: Consolidator | None = None,
        kept: KeptPast | None = None,
    ) -> None:
        self._kept = kept or KeptPast(None)
        self.venues = venues
        self.resolver = Resolver()
        self._consolidator = consolidator
        self._joined: dict[str, list[Topic]] = {}  # the topics that a consolidated symbol is made of
        self._carried: dict[FeedKey, frozenset[str]] = {}  # venue symbols of each feed's own list
        self._hub = hub
        self._clock = clock
        self.watchdog = Watchdog(clock)
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
                tasks.create_task(self.watchdog.run(), name="watchdog")
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

    def resolve_spot(self, requested: str) -> str:
        """Return the one canonical symbol that the spot markets of all venues have for a spelling.

        Raises:
            InvalidRequest: An ambiguous spelling.
            UnknownSymbol: No spot market lists it.
        """
        return spot_symbol(self.resolver, requested)

    @staticmethod
    def variant(channel: Channel, text: str) -> str:
        """Return the one text of a variant: ``60s`` of klines is ``1m``, and so is the empty text.

        Raises:
            InvalidRequest: The channel has no such variant.
        """
        try:
            return parse_variant(int(channel), text)
        except ValueError:
            problem = f"expected a variant of {channel.name}, received {text[:32]!r}"
            raise InvalidRequest("variants", problem) from None

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
        if topic.venue == CONSOLIDATED:
            self._join(topic)
            return
        row = self.resolver.rows(topic.venue)[topic.symbol]
        runner = self.venues[topic.venue].runner(topic.channel)
        if row["venue_symbol"] not in self._carried[runner.key]:
            raise UnknownSymbol(topic.symbol, venue=topic.venue, operation="subscribe")
        told = None
        if _MADE_OF.get(topic.channel, topic.channel) is Channel.TRADES:
            told = self._kept.last_trade(Topic(topic.venue, topic.symbol, Channel.TRADES))
        runner.subscribe(row["venue_symbol"], topic.channel, topic.variant, told=told)

    def _stop(self, topic: Topic) -> None:
        if topic.venue == CONSOLIDATED:
            self._part(topic)
            return
        row = self.resolver.rows(topic.venue).get(topic.symbol)
        if row is not None:
            runner = self.venues[topic.venue].runner(topic.channel)
            runner.unsubscribe(row["venue_symbol"], topic.channel, topic.variant)

    def _join(self, topic: Topic) -> None:
        """Follow the top of book on every venue that takes part."""
        if self._consolidator is None:
            raise NotSupported(f"channel {topic.channel.name}", venue=topic.venue, operation="subscribe")
        parts: list[Topic] = []
        try:
            for venue in spot_venues(self.resolver, topic.symbol):
                part = Topic(venue, topic.symbol, Channel.TOP_OF_BOOK)
                self.interest.acquire(part)
                parts.append(part)
        except FacadeError:
            for part in parts:
                self.interest.release(part)
            raise
        self._joined[topic.symbol] = parts
        self._consolidator.follow(topic.symbol, [part.venue for part in parts])

    def _part(self, topic: Topic) -> None:
        if self._consolidator is not None:
            self._consolidator.leave(topic.symbol)
        for part in self._joined.pop(topic.symbol, []):
            self.interest.release(part)

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
                runner.serve_cuts(wanted)

    async def _keep_house(self) -> None:
        while True:
            await asyncio.sleep(HOUSEKEEPING_S)
            self._hub.advance(self._clock.wall_ns(), self._clock.monotonic_ns())
