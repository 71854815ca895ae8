"""Subscriptions whose events go to a callback: one task each, owned and awaited by the client."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from datafacade.client.book import Book
from datafacade.client.errors import ClientError
from datafacade.client.events import Accepted, Event, Trade
from datafacade.client.report import TopicReport
from datafacade.client.stamp import Flag
from datafacade.client.subscription import Subscription

log = logging.getLogger(__name__)

T = TypeVar("T")
Callback = Callable[[T], Awaitable[None] | None]
Deliver = Callable[[Event], Awaitable[None]]


class Following:
    """A running callback. ``close`` it, or the client does; ``wait`` tells what went wrong."""

    def __init__(
        self, subscription: Subscription, deliver: Deliver, *, on_close: Callable[[Following], None]
    ) -> None:
        self._subscription = subscription
        self._deliver = deliver
        self._on_close = on_close
        self._accepted = asyncio.Event()
        self._task = asyncio.create_task(self._run(), name="datafacade callback")

    @property
    def reports(self) -> list[TopicReport]:
        """Figures of what is followed."""
        return self._subscription.reports

    async def accepted(self) -> None:
        """Wait until the service follows the first topic.

        Raises:
            ClientError: The service is not there, or refuses it.
        """
        waiting = asyncio.ensure_future(self._accepted.wait())
        try:
            await asyncio.wait({waiting, self._task}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
        if not self._accepted.is_set():
            await self.close()
            await self.wait()

    async def wait(self) -> None:
        """Wait until it ends: it was closed, or something went wrong.

        Raises:
            ClientError: The service ended it for good.
            Exception: What the callback raised.
        """
        try:
            await asyncio.shield(self._task)
        except asyncio.CancelledError:
            if not self._task.cancelled():
                raise  # it is our own caller that is cancelled

    async def close(self) -> None:
        """Stop calling back, and wait for the call that runs."""
        self._task.cancel()
        await asyncio.wait([self._task])
        await self._subscription.aclose()
        self._on_close(self)

    async def _run(self) -> None:
        try:
            async for event in self._subscription:
                if isinstance(event, Accepted):
                    self._accepted.set()
                await self._deliver(event)
        except ClientError:
            raise  # the service's word: whoever waits hears it
        except Exception:
            log.exception("callback.failed")  # nobody may be waiting yet
            raise


async def call_back(callback: Callback[T], value: T) -> None:
    """Call a callback, plain or async."""
    result = callback(value)
    if inspect.isawaitable(result):
        await result


def deliver_trades(callback: Callback[Sequence[Trade]], on_event: Callback[Event] | None) -> Deliver:
    """Return what hands over the trades of one venue frame as one batch, in order, and other events apart."""
    batch: list[Trade] = []

    async def flush() -> None:
        if batch:
            trades = tuple(batch)
            batch.clear()
            await call_back(callback, trades)

    async def deliver(event: Event) -> None:
        if isinstance(event, Trade):
            batch.append(event)
            if not event.stamp.flags & Flag.MORE:
                await flush()
            return
        await flush()
        if on_event is not None:
            await call_back(on_event, event)

    return deliver


def deliver_books(callback: Callback[Book], on_event: Callback[Event] | None) -> Deliver:
    """Return what hands over books, and other events apart."""

    async def deliver(event: Event) -> None:
        if isinstance(event, Book):
            await call_back(callback, event)
        elif on_event is not None:
            await call_back(on_event, event)

    return deliver
