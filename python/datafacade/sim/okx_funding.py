"""OKX's REST paths about swaps: their list, the present funding, the settled rates.

Swaps have no order books here; each spot market has one swap, settled in its quote currency.
Source: venues/okx.md sections 2, 4 and 6, 2026-08-22.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Final

from datafacade.sim.digits import padded, trimmed
from datafacade.sim.funding import RATE_SCALE, Funding
from datafacade.sim.intervals import DAY_NS
from datafacade.sim.listings import Instrument
from datafacade.sim.market import Market
from datafacade.sim.okx_history import data, error, missing
from datafacade.sim.venue import Answer, Query, RestHandler

MS_NS: Final = 1_000_000
ROWS_MAX: Final = 400
BACK_NS: Final = 90 * DAY_NS  # three months
CONTRACT: Final = "0.01"  # of the base asset


class OkxFunding:
    """Funding of the swaps of all instruments."""

    def __init__(self, markets: Mapping[str, Market]) -> None:
        self._fundings = {f"{symbol}-SWAP": Funding(market) for symbol, market in markets.items()}

    def routes(self, root: str) -> Mapping[str, RestHandler]:
        """Return the handlers by path."""
        return {
            f"{root}/public/funding-rate": self._present,
            f"{root}/public/funding-rate-history": self._settled,
        }

    def listings(self, wanted: str | None) -> list[dict[str, object]]:
        """Return the entries of the instrument list; only ``wanted`` if it is given."""
        return [
            swap(symbol, funding.market.instrument, code)
            for code, (symbol, funding) in enumerate(self._fundings.items(), 20_000)
            if wanted in (None, symbol)
        ]

    def _present(self, query: Query) -> Answer:
        symbol = query.get("instId", "")
        if not symbol:
            return error("50014", "Parameter instId can not be empty.", 400)
        if symbol != "ANY" and symbol not in self._fundings:
            return missing()
        names = list(self._fundings) if symbol == "ANY" else [symbol]
        return data([self._row(name, time.time_ns()) for name in names])

    def _row(self, symbol: str, now: int) -> dict[str, object]:
        funding = self._fundings[symbol]
        settles = funding.next_ns(now)
        previous = settles - funding.interval_ns
        return {
            "instId": symbol,
            "instType": "SWAP",
            "method": "current_period",
            "formulaType": "noRate",
            "fundingRate": _rate(funding, settles),
            "nextFundingRate": "",
            "fundingTime": str(settles // MS_NS),
            "nextFundingTime": str((settles + funding.interval_ns) // MS_NS),
            "minFundingRate": "-0.00375",
            "maxFundingRate": "0.00375",
            "interestRate": "0.0001",
            "impactValue": "20000",
            "settState": "settled",
            "settFundingRate": _rate(funding, previous),
            "premium": "0.00012",
            "ts": str(now // MS_NS),
        }

    def _settled(self, query: Query) -> Answer:
        """Answer newest first; ``after`` asks for older rows than a time, ``before`` for newer ones."""
        symbol = query.get("instId", "")
        funding = self._fundings.get(symbol)
        if funding is None:
            return missing()
        after, before, limit = (query.get(name, "") for name in ("after", "before", "limit"))
        if any(text and not text.isdigit() for text in (after, before, limit)):
            return error("51000", "Parameter after error", 400)
        now = time.time_ns()
        last = min(int(after) * MS_NS - 1, now) if after else now
        first = max((int(before) + 1) * MS_NS if before else 0, now - BACK_NS)
        count = min(int(limit) if limit and int(limit) else ROWS_MAX, ROWS_MAX)
        times = funding.settled(first, last)[-count:][::-1]
        return data(
            [
                {
                    "instType": "SWAP",
                    "instId": symbol,
                    "formulaType": "noRate",
                    "fundingRate": _rate(funding, at),
                    "realizedRate": _rate(funding, at),
                    "fundingTime": str(at // MS_NS),
                    "method": "current_period",
                }
                for at in times
            ]
        )


def swap(symbol: str, listed: Instrument, code: int) -> dict[str, object]:
    """Return the entry of a swap in the instrument list: sizes are contracts."""
    return {
        "instType": "SWAP",
        "instId": symbol,
        "instIdCode": code,
        "baseCcy": "",
        "quoteCcy": "",
        "settleCcy": listed.quote,
        "ctVal": CONTRACT,
        "ctMult": "1",
        "ctValCcy": listed.base,
        "ctType": "linear",
        "tickSz": padded(1, listed.price_scale),
        "lotSz": "0.01",
        "minSz": "0.01",
        "state": "live",
        "listTime": "1548133413000",
        "expTime": "",
        "uly": f"{listed.base}-{listed.quote}",
        "instFamily": f"{listed.base}-{listed.quote}",
        "ruleType": "normal",
        "upcChg": [],
    }


def _rate(funding: Funding, at: int) -> str:
    return trimmed(funding.rate(at), RATE_SCALE)
