"""What a simulated venue is to the rest of the simulator, and what the simulator is to a venue. Types."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from datafacade.sim.books import Change
from datafacade.sim.connection import Connection
from datafacade.sim.faults import Fault, FaultBoard
from datafacade.sim.frames import Frame, Topic
from datafacade.sim.limits import Budget, ConnectionRules
from datafacade.sim.listings import ProductKey
from datafacade.sim.market import Market
from datafacade.sim.outlet import Outlet
from datafacade.sim.stats import Stats
from datafacade.sim.tape import Trade
from datafacade.sim.truth import Digester

Query = Mapping[str, str]  # query string and path parameters of a request
SubscriptionFault = Literal["no_ack", "reject", "ack_and_silence"]


class NotModelled(ValueError):
    """The venue has nothing that the verb could change."""


@dataclass(frozen=True, slots=True)
class RowPage:
    """An answer whose body is ``head``, rows joined by commas, ``tail``: so that faults can move rows."""

    head: str
    rows: tuple[str, ...]  # JSON texts
    tail: str

    def body(self) -> str:
        """Return the JSON text."""
        return f"{self.head}{','.join(self.rows)}{self.tail}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One REST answer."""

    body: str
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"
    snapshot: Frame | None = None  # set when the body is an order book, so that snapshot faults can find it
    page: RowPage | None = None  # set when the body is candles
    breaks: str = ""  # the rule of the venue that the request broke


RestHandler = Callable[[Query], Answer]


def page_answer(head: str, rows: Sequence[str], tail: str) -> Answer:
    """Return an answer of rows."""
    page = RowPage(head, tuple(rows), tail)
    return Answer(body=page.body(), page=page)


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What every venue is given."""

    outlet: Outlet
    faults: FaultBoard
    stats: Stats
    digester: Digester
    has_oddities: bool  # the legal but surprising things that real venues do
    repeat: Callable[[Fault, str, str | None], None]  # tell trades of a product's symbol once more, soon

    def subscription_fault(
        self, connection: Connection, symbol: str | None, channel: str, topic: Topic
    ) -> SubscriptionFault | None:
        """Return the verb that an armed fault plays on this subscription; count it, arrange the silence."""
        connection.silenced.discard((symbol, topic))  # of an earlier subscription
        for fault in self.faults.matching(
            "subscription", connection.product, connection=connection.id, symbol=symbol
        ):
            if fault.channel not in (None, "any", channel, topic):
                continue
            if fault.verb.name == "repeat_on_subscribe":
                if topic == "trades":
                    self.repeat(fault, connection.product, symbol)
                continue
            about = {
                "product": connection.product,
                "conn": connection.id,
                "symbol": symbol,
                "channel": channel,
            }
            self.faults.use(fault, about)
            match fault.verb.name:
                case "no_ack":
                    return "no_ack"
                case "reject":
                    return "reject"
                case _:
                    connection.silenced.add((symbol, topic))
                    return "ack_and_silence"
        return None

    def say(self, connection: Connection, text: str, *, channel: str = "", is_numbered: bool = False) -> None:
        """Send a control message: an ack, an error, a pong, a notice."""
        frame = Frame(text=text, topic="control", kind="ack", channel=channel, is_numbered=is_numbered)
        self.outlet.send(connection, frame)


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """What requests cost, and how a product tells it. As it stands each costs 1, and nothing is told."""

    of: Callable[[str, Query], int] = lambda *_: 1
    used: Callable[[], int] = lambda: 0  # in the present minute, or month
    spend: Callable[[int], None] = lambda _: None  # what others behind the same address spent
    headers: Callable[[], Mapping[str, str]] = dict  # of every answer


class RestSide(Protocol):
    """What answers REST requests: of a venue, or an aggregator, which has nothing else."""

    @property
    def product(self) -> str:
        """Which product this is."""

    @property
    def weights(self) -> Weights:
        """What its requests cost."""

    def routes(self) -> Mapping[str, RestHandler]:
        """Return the REST handlers by path."""

    def admit(self, path: str, query: Query) -> Answer | None:
        """Charge a REST request; return the refusal if it breaks a limit."""

    def not_found(self, path: str) -> Answer:
        """Return the answer to an unknown path."""

    def budgets(self) -> Mapping[str, Budget]:
        """Return limit and use of each limit by its name: what is counted together."""

    def limit(self, limit: float) -> None:
        """Set the limit: weight a minute (Binance), requests a second, or in 2 s (OKX)."""


class Venue(Protocol):
    """One product of a venue: its protocol, no sockets."""

    @property
    def product(self) -> ProductKey:
        """Which product this is."""

    @property
    def rest(self) -> RestSide:
        """Its REST side."""

    @property
    def rules(self) -> ConnectionRules:
        """What it demands of connections."""

    @property
    def markets(self) -> Mapping[str, Market]:
        """Its markets by venue symbol."""

    def accepts(self, path: str) -> bool:
        """Tell whether an upgrade to ``path`` (with query) is granted."""

    def new_session(self, path: str) -> object:
        """Return the venue's own state for a connection to ``path``."""

    def opened(self, connection: Connection) -> None:
        """Greet a new connection."""

    def received(self, connection: Connection, text: str) -> None:
        """Answer a client's message."""

    def closed(self, connection: Connection) -> None:
        """Forget a connection."""

    def changed(self, market: Market, changes: Sequence[Change], trades: Sequence[Trade]) -> None:
        """Tell of one step of a market."""

    def tick(self, now_ns: int) -> None:
        """Do what is due at ``now_ns`` (monotonic): batches, heartbeats, tickers."""

    def announce_shutdown(self, connection: Connection) -> None:
        """Tell one client that its connection will be closed.

        Raises:
            NotModelled: The venue gives no such notice.
        """

    def reset_sequence(self, symbol: str | None, connection: Connection | None) -> int:
        """Make sequence numbers start anew; return how many counters were reset.

        Raises:
            NotModelled: The venue has no sequence numbers.
        """

    def keep_alive(self, symbol: str | None) -> int:
        """Send an update that changes nothing; return how many markets told it.

        Raises:
            NotModelled: The venue has no such message.
        """
