"""Numbers that no market makes: odd prices, quantities and times of trades and book levels. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from datafacade.sim.books import Change
from datafacade.sim.tape import Trade

HOUR_NS: Final = 3_600_000_000_000
HUGE: Final = 1_000_000
ODD_KINDS: Final = (
    "price_zero",
    "price_negative",
    "price_huge",
    "quantity_zero",
    "quantity_negative",
    "time_ahead",
    "time_behind",
    "time_micro",
    "time_equal",
)


def odd_trade(trade: Trade, kind: str, equal_ns: int) -> Trade:
    """Return ``trade`` with one odd number.

    Args:
        trade: A true trade.
        kind: One of ``ODD_KINDS``.
        equal_ns: The time that all trades tell under ``time_equal``.

    Raises:
        KeyError: There is no such kind.
    """
    made = {
        "price_zero": lambda: replace(trade, price=0),
        "price_negative": lambda: replace(trade, price=-trade.price),
        "price_huge": lambda: replace(trade, price=trade.price * HUGE),
        "quantity_zero": lambda: replace(trade, quantity=0),
        "quantity_negative": lambda: replace(trade, quantity=-trade.quantity),
        "time_ahead": lambda: replace(trade, ts_event=trade.ts_event + HOUR_NS),
        "time_behind": lambda: replace(trade, ts_event=trade.ts_event - HOUR_NS),
        "time_micro": lambda: replace(trade, ts_event=trade.ts_event * 1_000),
        "time_equal": lambda: replace(trade, ts_event=equal_ns),
    }
    return made[kind]()


def odd_rows(rows: Sequence[Change], kind: str) -> Sequence[Change] | None:
    """Return book levels with one odd number in the first that is no deletion, or None."""
    for at, (side, price, quantity) in enumerate(rows):
        changed = {
            "price_zero": (side, 0, quantity),
            "price_negative": (side, -price, quantity),
            "price_huge": (side, price * HUGE, quantity),
            "quantity_negative": (side, price, -quantity),
        }.get(kind)
        if quantity and changed is not None:
            return [*rows[:at], changed, *rows[at + 1 :]]
    return None
