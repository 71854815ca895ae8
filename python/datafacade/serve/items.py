"""Expand a subscription into items: one venue, symbol, channel and variant each. Pure but for the lists."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from datafacade.errors import BookUnverified, FacadeError, InvalidRequest, UnknownSymbol
from datafacade.hot.tier import HotTier
from datafacade.types import CONSOLIDATED, Channel, Topic
from datafacade.v1 import hot_pb2

CHANNELS: Final = frozenset(int(channel) for channel in Channel)

Canonical = Callable[
    [Channel, str], str
]  # the one text of a variant; InvalidRequest: the channel has none such


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One element of a subscription's cross product."""

    venue: str  # empty: no venue lists the symbol
    requested: str  # the symbol as the client spelled it
    channel: int  # the contract's number, perhaps of no channel at all
    variant: str  # as the client spelled it


def items(tier: HotTier, subscription: hot_pb2.Subscription) -> Iterator[Item]:
    """Yield the cross product in the client's order; without venues, those that list the symbol."""
    channels = list(dict.fromkeys(subscription.channels))
    paired = list(pair_variants(channels, list(subscription.variants), tier.variant))
    for requested in dict.fromkeys(subscription.symbols):
        named = list(dict.fromkeys(subscription.venues))
        listing = named or _listing(tier, requested)
        for channel, variant in paired:
            is_joint = channel == Channel.CONSOLIDATED_TOP and not named
            for venue in [CONSOLIDATED] if is_joint else listing:
                yield Item(venue=venue, requested=requested, channel=channel, variant=variant)


def pair_variants(
    channels: Sequence[int], variants: Sequence[str], canonical: Canonical
) -> Iterator[tuple[int, str]]:
    """Yield each channel with the variants that are its own kind, or with its default.

    A variant that suits none of the channels is paired with those that have no other, else with the first:
    it is refused there.
    """
    suiting = {channel: list(_suiting(channel, variants, canonical)) for channel in channels}
    known = {variant for pairs in suiting.values() for variant, _ in pairs}
    strange = [variant for variant in dict.fromkeys(variants) if variant not in known]
    for channel, pairs in suiting.items():
        own = list(dict.fromkeys(text for _, text in pairs))
        for variant in own or strange or [""]:
            yield channel, variant
    if strange and all(suiting.values()):
        for variant in strange:
            yield channels[0], variant


def _suiting(channel: int, variants: Sequence[str], canonical: Canonical) -> Iterator[tuple[str, str]]:
    """Yield the variants of a channel's kind, as spelled and in their one text."""
    for variant in variants if channel in CHANNELS else ():
        try:
            yield variant, canonical(Channel(channel), variant)
        except InvalidRequest:
            continue


def topic_of(tier: HotTier, item: Item, *, allow_unverified: bool) -> Topic:
    """Return the topic of an item.

    Raises:
        FacadeError: Why there is none.
    """
    if item.channel not in CHANNELS:
        raise InvalidRequest("channels", f"expected a channel, received {item.channel}")
    channel = Channel(item.channel)
    variant = tier.variant(channel, item.variant)
    if channel is Channel.CONSOLIDATED_TOP:
        if item.venue != CONSOLIDATED:
            problem = (
                f"consolidated takes all venues: expected none or {CONSOLIDATED}, received {item.venue!r}"
            )
            raise InvalidRequest("venues", problem, venue=item.venue[:64])
        return Topic(CONSOLIDATED, tier.resolve_spot(item.requested), channel, variant)
    if not item.venue:
        raise UnknownSymbol(item.requested, tuple(tier.resolver.nearest(item.requested)))
    venue = tier.venue(item.venue)
    venue.runner(channel)
    row = tier.resolve(item.venue, item.requested)
    if channel is Channel.BOOK_L2 and not venue.spec.is_book_provable and not allow_unverified:
        raise BookUnverified("UNVERIFIABLE", venue=item.venue, symbol=row["symbol"])
    return Topic(item.venue, row["symbol"], channel, variant)


def _listing(tier: HotTier, requested: str) -> list[str]:
    """Return the venues that know a symbol, or one without a name if none does: then the item says why."""
    found = []
    for venue in tier.venues:
        try:
            tier.resolve(venue, requested)
        except UnknownSymbol:
            continue
        except FacadeError:
            pass  # not known yet, or ambiguous: the item says so
        found.append(venue)
    return found or [""]
