"""Ask every source that may tell a price, convert what is in another currency, and reconcile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final, Protocol

from datafacade.clock import Clock
from datafacade.errors import AggregatorBanned, FacadeError, InvalidRequest, UnknownSymbol
from datafacade.store.pit.names import Entity
from datafacade.types import InstrumentRow
from datafacade.v1 import lineage_pb2, price_pb2, warm_pb2
from datafacade.venues.aggregator import AggregatorPrice
from datafacade.warm import asks
from datafacade.warm.answers import Made
from datafacade.warm.attribution import RECONCILED, Attribution
from datafacade.warm.reconcile import Quote, Rate, Reconciled, Rules, age_of, reconcile, source_quotes
from datafacade.warm.tier import WarmTier

PATIENCE_S: Final = 1.5  # that a source may take; the others do not wait for it
STABLE: Final = ("USDT", "USDC")  # markets in these are asked where a venue has none in the currency itself
FAILED: Final = "FAILED"
CACHE_CLASS: Final = "prices_warm"
METHODS: Final[Mapping[str, price_pb2.ReconcileMethod.ValueType]] = {
    "trimmed_median": price_pb2.RECONCILE_METHOD_TRIMMED_MEDIAN,
    "trimmed_mean": price_pb2.RECONCILE_METHOD_TRIMMED_MEAN,
}


class PriceSource(Protocol):
    """An aggregator: it has prices and volumes, and no method that could return anything else."""

    async def price(self, base: str, currency: str) -> AggregatorPrice:
        """Return the price of one unit of ``base``.

        Raises:
            FacadeError: It did not answer.
        """
        ...

    async def close(self) -> None:
        """End what is under way."""
        ...


Markets = Callable[[str], Mapping[str, InstrumentRow]]  # a venue's instruments by canonical symbol


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceAsk:
    """What is asked, checked and canonical."""

    symbol: str  # BTC-USD
    base: str
    currency: str
    sources: tuple[str, ...]  # sorted
    rules: Rules

    @property
    def key(self) -> str:
        """The one spelling of the question."""
        return ":".join(("price", self.symbol, self.rules.method, ",".join(self.sources)))

    @property
    def entity(self) -> Entity:
        """The question as snapshots of its answers are filed."""
        variant = ":".join((self.rules.method, ",".join(self.sources)))
        return Entity("warm.price", RECONCILED, self.symbol, variant)


class Prices:
    """The use case ReconciledPrice."""

    def __init__(
        self,
        tier: WarmTier,
        *,
        markets: Markets,
        venues: Sequence[str],
        aggregators: Mapping[str, PriceSource],
        rules: Rules,
        clock: Clock,
        attribution: Attribution,
    ) -> None:
        self._tier = tier
        self._markets = markets
        self._venues = venues
        self._aggregators = aggregators
        self._rules = rules
        self._clock = clock
        self._attribution = attribution

    def question(self, symbol: str, *, sources: Iterable[str], method: str, is_native_only: bool) -> PriceAsk:
        """Return what to ask for a canonical symbol.

        Args:
            symbol: ``BTC-USD``.
            sources: Who is to be asked; empty: all that have such a market.
            method: ``trimmed_median`` or ``trimmed_mean``; empty: as configured.
            is_native_only: Whether aggregators are left out.

        Raises:
            InvalidRequest: No such source or method.
            AggregatorBanned: An aggregator is asked for although none may be.
            UnknownSymbol: No source has such a market.
        """
        base, _, currency = symbol.partition("-")
        wanted = set(sources)
        unknown = wanted - set(self._venues) - set(self._aggregators)
        if unknown:
            known = ", ".join(sorted({*self._venues, *self._aggregators}))
            raise InvalidRequest("sources", f"expected some of {known}, received {sorted(unknown)[0][:64]!r}")
        banned = wanted & set(self._aggregators) if is_native_only else set()
        if banned:
            raise AggregatorBanned(min(banned), "prices of exchange-native sources")
        allowed = [name for name in self._venues if self._market(name, base, currency) is not None]
        if not is_native_only:
            allowed += self._aggregators
        chosen = tuple(sorted(name for name in allowed if not wanted or name in wanted))
        if not chosen:
            raise UnknownSymbol(symbol, operation="reconciled_price")
        rules = replace(self._rules, method=method) if method else self._rules  # type: ignore[arg-type]
        return PriceAsk(symbol=symbol, base=base, currency=currency, sources=chosen, rules=rules)

    async def make(self, ask: PriceAsk) -> Made:
        """Ask, reconcile and encode.

        Raises:
            InsufficientSources, LowConfidence: There is no price that can be answered for; with the evidence.
        """
        started = self._clock.monotonic_ns()
        quotes = await asyncio.gather(*(self._quote(name, ask) for name in ask.sources))
        needed = sorted({quote.currency for quote in quotes} - {"", ask.currency})
        found = await asyncio.gather(*(self._rate(currency, ask.currency) for currency in needed))
        rates = [rate for rate in found if rate is not None]
        answer = reconcile(quotes, rules=ask.rules, currency=ask.currency, rates=rates)
        for judged in answer.quotes:
            if judged.is_used:
                self._attribution.used(
                    RECONCILED,
                    judged.quote.source,
                    latency_ns=judged.quote.latency_ns or 0,
                    data_class=CACHE_CLASS,
                    ts_newest=judged.quote.ts_source,
                )
            else:
                self._attribution.dropped(RECONCILED, judged.quote.source)
        latency_ns = self._clock.monotonic_ns() - started
        message = encode(ask, answer, latency_ns=latency_ns, ts_made=self._clock.wall_ns())
        ages = [judged.quote.age_ns for judged in answer.quotes if judged.is_used]
        ages += [rate.age_ns for rate in answer.conversions]
        return Made(message=message.SerializeToString(), age_ns=max(age_ns or 0 for age_ns in ages))

    async def close(self) -> None:
        """Leave the aggregators."""
        for source in self._aggregators.values():
            await source.close()

    async def _quote(self, name: str, ask: PriceAsk) -> Quote:
        """Return what one source says; that it says nothing is evidence too."""
        started = self._clock.monotonic_ns()
        try:
            async with asyncio.timeout(PATIENCE_S):
                if name in self._aggregators:
                    told = await self._aggregators[name].price(ask.base, ask.currency)
                    quote = Quote(
                        source=name,
                        price=told.price,
                        age_ns=age_of(told.ts_source, self._clock.wall_ns()),
                        volume_24h=told.volume_24h,
                        ts_source=told.ts_source,
                    )
                else:
                    quote = await self._ticker(name, ask)
        except (FacadeError, TimeoutError):
            return Quote(source=name, price="", age_ns=None, failure=FAILED)
        return replace(quote, latency_ns=self._clock.monotonic_ns() - started)

    async def _ticker(self, venue: str, ask: PriceAsk) -> Quote:
        row = self._market(venue, ask.base, ask.currency)
        if row is None:
            raise UnknownSymbol(ask.symbol, venue=venue, operation="reconciled_price")
        served = await self._tier.ask(asks.ticker(venue, row))
        told = warm_pb2.WarmTickerResponse.FromString(served.message)
        ts_source = told.ts_event or told.ts_recv
        return Quote(
            source=venue,
            price=_price(told),
            age_ns=age_of(ts_source, self._clock.wall_ns()),
            currency="" if row["quote"] == ask.currency else row["quote"],
            volume_24h=told.ticker.volume_24h,
            ts_source=ts_source,
        )

    def _market(self, venue: str, base: str, currency: str) -> InstrumentRow | None:
        """Return a venue's spot market, in the currency itself or in what stands for it."""
        rows = self._markets(venue)
        stand_ins = STABLE if currency == "USD" else ()
        for quote in (currency, *stand_ins):
            row = rows.get(f"{base}-{quote}")
            if row is not None and row["kind"] == "spot" and row["status"] == "trading":
                return row
        return None

    async def _rate(self, currency: str, target: str) -> Rate | None:
        """Return the rate of the first venue that trades the two and answers."""
        for venue in self._venues:
            row = self._markets(venue).get(f"{currency}-{target}")
            if row is None or row["kind"] != "spot":
                continue
            ask = PriceAsk(
                symbol=row["symbol"], base=currency, currency=target, sources=(), rules=self._rules
            )
            quote = await self._quote(venue, ask)
            if quote.price:
                return Rate(
                    currency=currency,
                    target=target,
                    rate=quote.price,
                    source=venue,
                    age_ns=quote.age_ns,
                    ts_source=quote.ts_source,
                )
        return None


def _price(told: warm_pb2.WarmTickerResponse) -> str:
    """Return the middle of the best prices, where a side is empty the last trade's; "": neither is there."""
    ticker, exponent = told.ticker, told.price_exponent
    if ticker.bid_price > 0 and ticker.ask_price > 0:
        middle = Decimal(ticker.bid_price + ticker.ask_price).scaleb(exponent) / 2
        return f"{middle.normalize():f}"
    if ticker.last_price > 0:
        return f"{Decimal(ticker.last_price).scaleb(exponent).normalize():f}"
    return ""


def encode(
    ask: PriceAsk, answer: Reconciled, *, latency_ns: int, ts_made: int
) -> price_pb2.ReconciledPriceResponse:
    """Return the answer as the contract writes it."""
    rules = answer.rules
    quotes = source_quotes(answer.quotes, rules)
    return price_pb2.ReconciledPriceResponse(
        symbol=ask.symbol,
        price=f"{answer.price:f}",
        volume_24h="" if answer.volume_24h is None else f"{answer.volume_24h:f}",
        confidence_ratio=answer.confidence_ratio,
        deviation_ratio=answer.deviation_ratio,
        parameters=price_pb2.ReconcileParameters(
            method=METHODS[rules.method],
            deviation_ratio_max=rules.deviation_ratio_max,
            sources_min=rules.sources_min,
            confidence_ratio_min=rules.confidence_ratio_min,
            age_ns_max=rules.age_ns_max,
            trim_ratio=rules.trim_ratio if rules.method == "trimmed_mean" else 0.0,
        ),
        quotes=quotes,
        conversions=[
            price_pb2.ConversionRate(
                **{"from": rate.currency},
                to=rate.target,
                rate=rate.rate,
                source=rate.source,
                ts_source=rate.ts_source,
            )
            for rate in answer.conversions
        ],
        warnings=answer.warnings,
        lineage=lineage_pb2.Lineage(
            sources=quotes,
            confidence_ratio=answer.confidence_ratio,
            cache_misses=1,
            latency_ns=latency_ns,
            ts_made=ts_made,
        ),
    )
