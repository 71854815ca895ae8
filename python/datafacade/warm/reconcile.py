"""Make one price of what several sources say, with a verdict on each. Pure: no clock, no I/O, no logging.

The arithmetic is in Rust (``rust/reconcile``), exact from text to text; ``docs/reconciliation.md`` states the
rules.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final, Literal, TypeAlias

from datafacade import _core
from datafacade.clock import NS_PER_S
from datafacade.config.sources import Authority
from datafacade.errors import InsufficientSources, LowConfidence
from datafacade.v1 import lineage_pb2

Method: TypeAlias = Literal["trimmed_median", "trimmed_mean"]
CORRELATED: Final = "CORRELATED_SOURCES"
NOT_CONVERTIBLE: Final = "NOT_CONVERTIBLE"  # a number, in another currency: it stays evidence
FUTURE_NS_MAX: Final = 5 * NS_PER_S  # a source's clock may be so much ahead of ours
AGE_NS_MAX: Final = 30 * NS_PER_S  # of a source that has no limit of its own


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Parameters of a reconciliation; with them and the quotes anybody can compute it again."""

    method: Method = "trimmed_median"
    deviation_ratio_max: float = 0.01  # from the first median, the border inside; to 0.25, whole billionths
    sources_min: int = 2  # that must be left; 2 or more
    confidence_ratio_min: float = 0.7  # below it nothing is answered
    trim_ratio: float = 0.1  # of trimmed_mean, half at each end
    age_ns_max: int = AGE_NS_MAX
    age_ns_max_by_source: Mapping[str, int] = field(default_factory=dict)
    aggregators: tuple[str, ...] = ()  # sources that average over venues

    @classmethod
    def of(cls, authority: Authority) -> Rules:
        """Return the rules of ``data_sources.yaml``."""
        prices = authority.price_volume
        limits = prices.age_sec_max_by_source.items()
        return cls(
            method=prices.reconciliation_method,
            deviation_ratio_max=prices.deviation_ratio_max,
            sources_min=prices.sources_min,
            confidence_ratio_min=prices.confidence_ratio_min,
            trim_ratio=prices.trim_ratio,
            age_ns_max=round(prices.age_sec_max * NS_PER_S),
            age_ns_max_by_source={source: round(seconds * NS_PER_S) for source, seconds in limits},
            aggregators=authority.microstructure.banned_sources,
        )

    def age_limit(self, source: str) -> int:
        """Return how old a price of this source may be, ns."""
        return self.age_ns_max_by_source.get(source, self.age_ns_max)

    def core(self) -> _core.Reconciler:
        """Return the kernel with these rules.

        Raises:
            ValueError: A rule is out of its bounds; the message names it.
        """
        return _core.Reconciler(
            method=self.method,
            deviation_ratio_max=self.deviation_ratio_max,
            sources_min=self.sources_min,
            confidence_ratio_min=self.confidence_ratio_min,
            trim_ratio=self.trim_ratio,
            age_ns_max=self.age_ns_max,
            age_ns_max_by_source=dict(self.age_ns_max_by_source),
            aggregators=list(self.aggregators),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """What one source said."""

    source: str
    price: str  # as the source wrote it; "": it gave none
    age_ns: int | None  # None: unknown
    currency: str = ""  # that the price is in, as USDT; "": that of the answer
    volume_24h: str = ""  # base units, exact decimal; "": not given
    ts_source: int = 0  # the source's own time, ns UTC; 0: it gave none
    latency_ns: int | None = None  # time that it took to answer
    failure: str = ""  # FAILED: it was asked and did not answer; "": it did


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """How many units of ``target`` one unit of ``currency`` is worth, and who says so."""

    currency: str
    target: str
    rate: str  # exact decimal above 0
    source: str
    age_ns: int | None
    ts_source: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A quote and what became of it."""

    quote: Quote
    reason: str  # "": it was used; else the word of the contract (SourceQuote.reason)
    price: Decimal | None  # in the currency of the answer; None: it has no usable number

    @property
    def is_used(self) -> bool:
        """Tell whether it took part."""
        return not self.reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciled:
    """A price and where it comes from."""

    price: Decimal  # quote units per base unit
    median: Decimal  # of all usable quotes; outliers are measured from it
    confidence_ratio: float  # before the penalty of age
    deviation_ratio: float  # sample standard deviation over the price
    volume_24h: Decimal | None  # base units; None: no source that was used gave one
    quotes: tuple[Judged, ...]  # sorted by source
    conversions: tuple[Rate, ...]  # that were used, sorted
    warnings: tuple[str, ...]
    rules: Rules

    @property
    def used(self) -> tuple[str, ...]:
        """Return the sources that took part, sorted."""
        return tuple(judged.quote.source for judged in self.quotes if judged.is_used)

    @property
    def dropped(self) -> dict[str, str]:
        """Return the reason by source of those that did not."""
        return {judged.quote.source: judged.reason for judged in self.quotes if not judged.is_used}


def reconcile(
    quotes: Iterable[Quote], *, rules: Rules | None = None, currency: str = "USD", rates: Iterable[Rate] = ()
) -> Reconciled:
    """Return the one price of a symbol, or refuse.

    Args:
        quotes: What each source said, each source once, in any order.
        rules: Parameters; None: the defaults.
        currency: Currency of the answer. A quote in another one is converted by a rate, or not used.
        rates: Rates into ``currency``; one that is too old or of unknown age converts nothing.

    Raises:
        InsufficientSources: Fewer than ``sources_min`` quotes are left. Carries the evidence.
        LowConfidence: The quotes that are left lie too far apart. Carries the evidence.
        ValueError: A source stands twice, or a rule is out of its bounds.

    Example:
        >>> prices = {"okx": "100.2", "coingecko": "100.1", "kraken": "150", "binance": "100"}
        >>> answer = reconcile(Quote(source=name, price=price, age_ns=0) for name, price in prices.items())
        >>> answer.price, answer.used, answer.dropped
        (Decimal('100.1'), ('binance', 'coingecko', 'okx'), {'kraken': 'OUTLIER'})
    """
    rules = rules or Rules()
    ordered = sorted(quotes, key=lambda quote: quote.source)
    usable = {rate.currency: rate for rate in rates if _is_usable(rate, currency, rules)}
    asked = [quote for quote in ordered if not quote.failure]
    told = [(one.source, one.price, _rate_of(one, currency, usable), one.age_ns) for one in asked]
    answer = rules.core().judge(told)
    outcome, price, median, confidence, deviation, accepted, is_correlated, reasons, prices = answer
    judged = [
        Judged(quote=quote, reason=reason, price=Decimal(text) if text else None)
        for quote, reason, text in zip(asked, reasons, prices, strict=True)
    ]
    judged += [Judged(quote=quote, reason=quote.failure, price=None) for quote in ordered if quote.failure]
    judged.sort(key=lambda one: one.quote.source)
    if outcome:
        evidence = lineage_pb2.Lineage(sources=source_quotes(judged, rules)).SerializeToString()
        if outcome == "INSUFFICIENT_SOURCES":
            raise InsufficientSources(accepted, rules.sources_min, evidence=evidence)
        raise LowConfidence(confidence, rules.confidence_ratio_min, evidence=evidence)
    foreign = {one.quote.currency for one in judged if one.is_used} - {"", currency}
    return Reconciled(
        price=Decimal(price),
        median=Decimal(median),
        confidence_ratio=confidence,
        deviation_ratio=deviation,
        volume_24h=_volume(judged, rules),
        quotes=tuple(judged),
        conversions=tuple(usable[name] for name in sorted(foreign)),
        warnings=(CORRELATED,) if is_correlated else (),
        rules=rules,
    )


def age_of(ts_source: int, now_ns: int) -> int | None:
    """Return the age of a source's time, ns; None: it gave none, or one from the future."""
    age_ns = now_ns - ts_source
    return None if ts_source <= 0 or age_ns < -FUTURE_NS_MAX else max(age_ns, 0)


def source_quotes(judged: Iterable[Judged], rules: Rules) -> list[lineage_pb2.SourceQuote]:
    """Return the evidence as the contract writes it."""
    return [
        lineage_pb2.SourceQuote(
            source=one.quote.source,
            price=one.quote.price if one.price is not None or one.reason == NOT_CONVERTIBLE else "",
            ts_source=one.quote.ts_source,
            age_ns=one.quote.age_ns if one.quote.age_ns is None else max(one.quote.age_ns, 0),
            used=one.is_used,
            reason=one.reason,
            volume_24h=one.quote.volume_24h,
            quote=one.quote.currency,
            latency_ns=one.quote.latency_ns,
            age_ns_max=rules.age_limit(one.quote.source),
            is_aggregator=one.quote.source in rules.aggregators,
        )
        for one in judged
    ]


def _is_usable(rate: Rate, currency: str, rules: Rules) -> bool:
    is_known = rate.age_ns is not None and 0 <= rate.age_ns <= rules.age_limit(rate.source)
    return is_known and rate.target == currency


def _rate_of(quote: Quote, currency: str, rates: Mapping[str, Rate]) -> str | None:
    """Return the rate of a quote; None: it needs none, "": there is none."""
    if quote.currency in ("", currency):
        return None
    rate = rates.get(quote.currency)
    return "" if rate is None else rate.rate


def _volume(judged: Iterable[Judged], rules: Rules) -> Decimal | None:
    """Add what venues traded; where only aggregators tell, each tells the whole market: take their median."""
    volumes: tuple[list[Decimal], list[Decimal]] = ([], [])
    for one in judged:
        if one.is_used and one.quote.volume_24h:
            volumes[one.quote.source in rules.aggregators].append(Decimal(one.quote.volume_24h))
    venues, aggregators = volumes
    if venues or not aggregators:
        return sum(venues, Decimal()) if venues else None
    aggregators.sort()
    middle = len(aggregators) // 2
    return (aggregators[middle] + aggregators[~middle]) / 2
