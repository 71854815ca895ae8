"""The Python client of datafacade: books that prove themselves, trades without silent loss.

Example:
    >>> import asyncio
    >>> from datafacade.client import Book, Client
    >>> async def main() -> None:
    ...     async with Client("127.0.0.1:50051") as client:
    ...         async for event in client.subscribe("kraken", "BTC-USD", "book"):
    ...             if isinstance(event, Book) and event.is_proven:
    ...                 print(event.best_bid, event.best_ask, event.integrity)
    >>> asyncio.run(main())  # doctest: +SKIP
"""

from datafacade.client.blocking import BlockingClient
from datafacade.client.book import Book, BookMoved, Level, Proof
from datafacade.client.client import TARGET, Client
from datafacade.client.errors import (
    AggregatorBanned,
    BookNotReady,
    BookUnverified,
    ClientError,
    DeadlineExceeded,
    InsufficientSources,
    InvalidRequest,
    LowConfidence,
    NotAuthenticated,
    NotSupported,
    PitCorrupt,
    PitNotFound,
    QuotaExceeded,
    ServerUnavailable,
    ServiceFault,
    SlowReader,
    UnknownSymbol,
    VenueFailed,
)
from datafacade.client.events import (
    Accepted,
    BookMismatch,
    CaughtUp,
    ConnectionLost,
    ConsolidatedQuote,
    ConsolidatedTop,
    DeliveryChange,
    Draining,
    Ended,
    Event,
    Gap,
    Kline,
    Reconnected,
    Refused,
    Resumed,
    ResumeLost,
    StreamState,
    Ticker,
    TopOfBook,
    Trade,
)
from datafacade.client.following import Following
from datafacade.client.items import Wish
from datafacade.client.pit import PitSnapshot
from datafacade.client.provenance import Provenance, Source
from datafacade.client.report import TopicReport
from datafacade.client.stamp import Flag, Stamp
from datafacade.client.subscription import Subscription
from datafacade.client.topic import Channel, Position, Topic
from datafacade.client.warm import (
    Conversion,
    Funding,
    FundingRow,
    Hole,
    KlineRow,
    Klines,
    Price,
    TickerAnswer,
    TradeRow,
    Trades,
)

__all__ = [
    "TARGET",
    "Accepted",
    "AggregatorBanned",
    "BlockingClient",
    "Book",
    "BookMismatch",
    "BookMoved",
    "BookNotReady",
    "BookUnverified",
    "CaughtUp",
    "Channel",
    "Client",
    "ClientError",
    "ConnectionLost",
    "ConsolidatedQuote",
    "ConsolidatedTop",
    "Conversion",
    "DeadlineExceeded",
    "DeliveryChange",
    "Draining",
    "Ended",
    "Event",
    "Flag",
    "Following",
    "Funding",
    "FundingRow",
    "Gap",
    "Hole",
    "InsufficientSources",
    "InvalidRequest",
    "Kline",
    "KlineRow",
    "Klines",
    "Level",
    "LowConfidence",
    "NotAuthenticated",
    "NotSupported",
    "PitCorrupt",
    "PitNotFound",
    "PitSnapshot",
    "Position",
    "Price",
    "Proof",
    "Provenance",
    "QuotaExceeded",
    "Reconnected",
    "Refused",
    "ResumeLost",
    "Resumed",
    "ServerUnavailable",
    "ServiceFault",
    "SlowReader",
    "Source",
    "Stamp",
    "StreamState",
    "Subscription",
    "Ticker",
    "TickerAnswer",
    "TopOfBook",
    "Topic",
    "TopicReport",
    "Trade",
    "TradeRow",
    "Trades",
    "UnknownSymbol",
    "VenueFailed",
    "Wish",
]
