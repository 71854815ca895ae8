"""List what can be traded where, page by page. Pure but for the lists it is given."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from datafacade.errors import FacadeError, InvalidRequest, UnknownSymbol
from datafacade.hot.tier import HotTier
from datafacade.types import InstrumentRow
from datafacade.v1 import reference_pb2

PAGE_DEFAULT: Final = 1_000
PAGE_MAX: Final = 10_000

_R = reference_pb2
_KINDS: Final[Mapping[str, _R.InstrumentType.ValueType]] = MappingProxyType(
    {
        "spot": _R.INSTRUMENT_TYPE_SPOT,
        "perpetual": _R.INSTRUMENT_TYPE_PERPETUAL,
        "future": _R.INSTRUMENT_TYPE_FUTURE,
        "other": _R.INSTRUMENT_TYPE_OTHER,
    }
)
_STATUSES: Final[Mapping[str, _R.InstrumentStatus.ValueType]] = MappingProxyType(
    {
        "trading": _R.INSTRUMENT_STATUS_TRADING,
        "auction": _R.INSTRUMENT_STATUS_AUCTION,
        "halted": _R.INSTRUMENT_STATUS_HALTED,
        "delisted": _R.INSTRUMENT_STATUS_DELISTED,
    }
)


def list_instruments(
    tier: HotTier,
    *,
    venues: Sequence[str],
    symbols: Sequence[str],
    types: Sequence[int],
    page_size: int,
    page_token: str,
) -> _R.ListInstrumentsResponse:
    """Return the instruments that match, sorted by venue and symbol.

    Args:
        tier: Whose lists are read.
        venues: Venues; empty: all.
        symbols: Any known spelling; empty: all.
        types: Numbers of ``InstrumentType``; empty: all.
        page_size: Rows at most, up to 10,000; 0: 1,000.
        page_token: What the answer before said; empty: from the start.

    Raises:
        InvalidRequest: An unknown venue, a page size out of range.
        UnknownSymbol: No venue lists a symbol.
    """
    if page_size > PAGE_MAX:
        raise InvalidRequest("page_size", f"expected 0 to {PAGE_MAX}, received {page_size}")
    names = sorted({tier.venue(name).spec.name for name in venues or tier.venues})
    matching = sorted(
        (venue, row["symbol"])
        for venue, row in _rows(tier, names, symbols)
        if not types or _KINDS[row["kind"]] in types
    )
    after = tuple(page_token.partition(":")[::2]) if page_token else ("", "")
    page = [key for key in matching if key > after][: page_size or PAGE_DEFAULT]
    answer = _R.ListInstrumentsResponse(
        instruments=[_instrument(venue, tier.resolver.rows(venue)[symbol]) for venue, symbol in page],
        total=len(matching),
        ts_listed=min((item.ts_listed for name in names for item in tier.venues[name].lists), default=0),
    )
    if page and page[-1] != matching[-1]:
        answer.next_page_token = ":".join(page[-1])
    return answer


def _rows(
    tier: HotTier, venues: Iterable[str], symbols: Sequence[str]
) -> Iterable[tuple[str, InstrumentRow]]:
    if not symbols:
        return [(venue, row) for venue in venues for row in tier.resolver.rows(venue).values()]
    found: dict[tuple[str, str], InstrumentRow] = {}
    for requested in symbols:
        rows = dict(_named(tier, venues, requested))
        if not rows:
            raise UnknownSymbol(requested, tuple(tier.resolver.nearest(requested)), operation="list")
        found |= {(venue, row["symbol"]): row for venue, row in rows.items()}
    return [(venue, row) for (venue, _), row in found.items()]


def _named(tier: HotTier, venues: Iterable[str], requested: str) -> Iterable[tuple[str, InstrumentRow]]:
    for venue in venues:
        try:
            yield venue, tier.resolver.resolve(venue, requested)
        except UnknownSymbol:
            continue
        except InvalidRequest:
            raise
        except FacadeError:
            continue


def _instrument(venue: str, row: InstrumentRow) -> _R.Instrument:
    return _R.Instrument(
        venue=venue,
        symbol=row["symbol"],
        venue_symbol=row["venue_symbol"],
        base=row["base"],
        quote=row["quote"],
        type=_KINDS[row["kind"]],
        status=_STATUSES.get(row["status"], _R.INSTRUMENT_STATUS_UNSPECIFIED),
        tick_size="" if row["tick_size"] == "0" else row["tick_size"],
        lot_size="" if row["lot_size"] == "0" else row["lot_size"],
        contract_value=row["contract_size"] or "",
        contract_currency=row["base"] if row["contract_size"] else "",
        aliases=sorted(row["aliases"]),
    )
