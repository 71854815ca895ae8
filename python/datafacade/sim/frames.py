"""What the simulator sends: a frame, and all that log and faults want to know about it. Data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from datafacade.sim.books import Book, Change
from datafacade.sim.digits import trimmed
from datafacade.sim.market import Market
from datafacade.sim.tape import Trade

Topic = Literal["book", "trades", "ticker", "heartbeat", "control"]
Kind = Literal["snapshot", "update", "ack", "error", "notice"]
NUMBER_SLOT: Final = '"sequence_num":-1'  # where a per-connection number is written when the frame leaves


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One message to one or many connections, already encoded."""

    text: str
    topic: Topic
    kind: Kind
    channel: str  # the venue's own name
    symbol: str | None = None  # the venue's own spelling
    sequence: int | Sequence[int] | None = None  # the venue's number, or the trade ids
    is_numbered: bool = False  # the connection's counter fills NUMBER_SLOT
    rows: Sequence[Change] | None = None  # book levels inside
    encode: Callable[[Sequence[Change]], str] | None = None  # the same frame with other levels
    book: Book | None = None  # what a correct client holds after this frame
    digest: Mapping[str, object] | None = None  # of that book, when one was due
    trades: Sequence[Mapping[str, object]] | None = None
    traded: Sequence[Trade] | None = None  # the same, so that a fault can change one
    tell: Callable[[Sequence[Trade]], str] | None = None  # the same frame with other trades

    def numbered(self, number: int) -> Frame:
        """Return this frame with the connection's ``number`` written into its slot."""
        encode, tell = self.encode, self.tell
        slot = f'"sequence_num":{number}'

        def renumbered(rows: Sequence[Change]) -> str:
            return encode(rows).replace(NUMBER_SLOT, slot, 1) if encode else self.text

        def retold(trades: Sequence[Trade]) -> str:
            return tell(trades).replace(NUMBER_SLOT, slot, 1) if tell else self.text

        return replace(
            self,
            text=self.text.replace(NUMBER_SLOT, slot, 1),
            sequence=number,
            is_numbered=False,
            encode=renumbered if encode else None,
            tell=retold if tell else None,
        )


def trade_facts(market: Market, trades: Sequence[Trade]) -> list[dict[str, object]]:
    """Return what the truth log tells of ``trades``: exact decimal texts and the taker's side."""
    listed = market.instrument
    return [
        {
            "id": trade.trade_id,
            "price": trimmed(trade.price, listed.price_scale),
            "quantity": trimmed(trade.quantity, listed.quantity_scale),
            "taker": trade.taker,
            "ts_event_ns": trade.ts_event,
        }
        for trade in trades
    ]
