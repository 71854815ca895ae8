"""Make and join the objects of the warm tier."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from datafacade._core import AnswerCache, Clock
from datafacade.app.rests import RestMaker
from datafacade.config import Config
from datafacade.config.tree import family
from datafacade.hot.tier import HotTier
from datafacade.venues.adapter import VenueRest
from datafacade.venues.aggregator import AggregatorSource, Dialect
from datafacade.venues.coingecko import CoinGecko
from datafacade.venues.coinpaprika import CoinPaprika
from datafacade.venues.rest import RestClient
from datafacade.venues.source_times import SourceTimes
from datafacade.venues.spec import no_hint
from datafacade.warm.answers import Answers
from datafacade.warm.attribution import Attribution
from datafacade.warm.authority import Authority, DataKind
from datafacade.warm.cases import WarmCases
from datafacade.warm.klines import JointKlines
from datafacade.warm.prices import Prices
from datafacade.warm.reconcile import Rules
from datafacade.warm.snapshots import Snapshots
from datafacade.warm.tier import KlinesTtls, WarmTier

if TYPE_CHECKING:
    from datafacade.store.redis_line import RedisLine
    from datafacade.warm.second import SharedTier

CACHE_BYTES_MAX: Final = 50 * 2**20  # REQUIREMENTS K3
CLASSES: Final = ("prices_hot", "prices_warm", "volumes_vadr", "token_meta", "depth_spread", "funding")
MS_PER_S: Final = 1_000
DIALECTS: Final[Mapping[str, Dialect]] = MappingProxyType(
    {"coingecko": CoinGecko(), "coinpaprika": CoinPaprika()}
)


def build_warm(
    config: Config,
    tier: HotTier,
    *,
    rests: RestMaker,
    clock: Clock,
    snapshots: Snapshots | None,
    line: RedisLine | None,
) -> WarmCases:
    """Return the warm use cases over the venues of the hot tier, whose budgets they share."""
    times = SourceTimes()
    authority = Authority(config.data_sources)
    cache = AnswerCache(
        entries_max=config.cache.max_entries,
        bytes_max=CACHE_BYTES_MAX,
        clock=clock,
        classes=[(name, int(getattr(config.cache.ttls, name) * MS_PER_S)) for name in CLASSES],
    )
    second = None if line is None else _second(line)
    answers = Answers(cache, clock=clock, second=second, keep=None if snapshots is None else snapshots.keep)
    sources = {
        name: VenueRest(name, products=line.spec.rest, rests=line.rests, clock=clock, times=times)
        for name, line in tier.venues.items()
        if family(name) in config.service.warm.venues
    }
    warm = _warm_tier(config, sources, answers=answers, authority=authority, clock=clock)
    aggregators, hosts = _aggregators(config, rests, clock=clock, times=times)
    prices = Prices(
        warm,
        markets=tier.resolver.rows,
        venues=[name for name in config.data_sources.authority.price_volume.fallback if name in sources],
        aggregators=aggregators,
        rules=Rules.of(config.data_sources.authority),
        clock=clock,
        attribution=warm.attribution,
    )
    joint_klines = JointKlines(
        warm,
        markets=tier.resolver.rows,
        venues=[name for name in authority.venues(DataKind.KLINES) if name in sources],
        rules=Rules.of(config.data_sources.authority),
        clock=clock,
        attribution=warm.attribution,
    )
    return WarmCases(
        warm,
        prices=prices,
        joint_klines=joint_klines,
        answers=answers,
        cache=cache,
        second=second,
        snapshots=snapshots,
        hosts=hosts,
        resolve=tier.resolve,
        resolve_spot=tier.resolve_spot,
        clock=clock,
        is_native_only=config.data_sources.exchange_native_only,
    )


def redis_line(config: Config, *, clock: Clock, random: Random) -> RedisLine | None:
    """Return the way to Redis. Its client is loaded here: a service without one starts without it."""
    if not config.cache.redis.url:
        return None
    from datafacade.store.redis_line import RedisLine

    return RedisLine(config.cache.redis, clock=clock, random=random)


def _warm_tier(
    config: Config,
    sources: Mapping[str, VenueRest],
    *,
    answers: Answers,
    authority: Authority,
    clock: Clock,
) -> WarmTier:
    settings = config.service
    ttls = KlinesTtls(by_interval=config.cache.klines_ttls, default=settings.warm.default_ttl_sec)
    return WarmTier(
        sources,
        answers=answers,
        authority=authority,
        attribution=Attribution(clock),
        ttls=config.cache.ttls,
        klines_ttls=ttls,
        timeout_s=settings.server.unary_timeout_sec,
        clock=clock,
    )


def _second(line: RedisLine) -> SharedTier:
    from datafacade.store.redis_cache import RedisCache
    from datafacade.warm.second import SharedTier

    return SharedTier(RedisCache(line))


def _aggregators(
    config: Config, rests: RestMaker, *, clock: Clock, times: SourceTimes
) -> tuple[dict[str, AggregatorSource], list[RestClient]]:
    """Return the aggregators that may be asked for prices, and their hosts."""
    made, hosts = {}, []
    for name, aggregator in config.aggregators.aggregators.items():
        if not aggregator.enabled or name not in config.data_sources.authority.price_volume.primary:
            continue
        dialect = DIALECTS[name]
        rest = rests.make(name, "prices", str(aggregator.base_url), tell_limit=no_hint)
        hosts.append(rest)
        made[name] = AggregatorSource(dialect, rest, config=aggregator, clock=clock, times=times)
    return made, hosts
