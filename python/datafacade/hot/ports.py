"""Say what this room needs of the Rust core: ``datafacade._core`` has it, tests use hand-written fakes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

from datafacade.types import InstrumentRecord

Send = tuple[Literal["send"], str]  # text frame
Fetch = tuple[Literal["fetch"], int, str, int, int]  # request id, path with query, Priority, weight
Close = tuple[Literal["close"], int, str]  # close code, reason
Connect = tuple[Literal["connect"], int]  # delay, ms from now
Command = Send | Fetch | Close | Connect
Commands = Sequence[Command] | None

DIAL_FAILED = 0  # code for Feed.on_closed when no connection came into being


class Feed(Protocol):
    """One venue connection as a state machine without I/O. Never called from two threads at once.

    Every ``on_*`` call, ``subscribe`` and ``unsubscribe`` return commands, or None for nothing to do.
    """

    def add_instruments(self, body: bytes) -> int:
        """Take one answer of the venue's instrument list; return how many instruments it held.

        Raises:
            ValueError: The body is not such a list.
        """
        ...

    def instruments(self) -> Sequence[InstrumentRecord]:
        """Return all instruments that were added."""
        ...

    def subscribe(self, symbol: str, channel: int) -> Commands:
        """Want a canonical symbol's channel; idempotent; sent when the connection is open."""
        ...

    def unsubscribe(self, symbol: str, channel: int) -> Commands:
        """Want it no more; idempotent."""
        ...

    def on_opened(self, ts_recv: int) -> Commands:
        """Hear that a connection is open (wall ns)."""
        ...

    def on_frame(self, frame: bytes, ts_recv: int) -> Commands:
        """Take one frame and the time at which the socket was read (wall ns)."""
        ...

    def on_large_frame(self, frame: bytes, ts_recv: int) -> Commands:
        """Do the same, detached from the interpreter; called on a worker thread."""
        ...

    def on_response(self, request_id: int, status: int, body: bytes, ts_recv: int) -> Commands:
        """Take the answer of a fetch; status 0: there was none, the body says why."""
        ...

    def on_tick(self) -> Commands:
        """Hear that ``deadline_ns`` has passed."""
        ...

    def on_closed(self, code: int, reason: str) -> Commands:
        """Hear that the connection is gone, or with ``DIAL_FAILED`` that none came into being."""
        ...

    def deadline_ns(self) -> int | None:
        """Return when the next timer is due (monotonic ns)."""
        ...

    def serve_cuts(self) -> None:
        """Publish one CUT snapshot for each of this feed's topics that somebody waits for."""
        ...

    def book(self, symbol: str, depth: int) -> bytes | None:
        """Return the book as one encoded Update with a BookSnapshot; depth 0: whole; None: no such book."""
        ...

    def state(self, symbol: str, channel: int) -> str:
        """Return the StreamPhase of a topic: EMPTY, SYNCING, LIVE and so on."""
        ...

    def stats(self) -> dict[str, object]:
        """Return counters, states per topic and latency quantiles."""
        ...


class Hub(Protocol):
    """Bounded rings of encoded updates per topic, and the subscribers' cursors into them."""

    def subscriber(self) -> int:
        """Create a subscriber that Python reads with ``take``; return its id."""
        ...

    def attach(
        self,
        subscriber: int,
        venue: str,
        symbol: str,
        channel: int,
        variant: str,
        *,
        request_id: int,
        subscription_id: int,
        requested_symbol: str,
        delivery: int,
        interval_ms: int,
    ) -> int:
        """Attach to a topic, queue its SubscriptionStatus ACCEPTED first, return ``seq_next``."""
        ...

    def reject(
        self,
        subscriber: int,
        venue: str,
        symbol: str,
        channel: int,
        variant: str,
        *,
        request_id: int,
        subscription_id: int,
        requested_symbol: str,
        code: int,
        reason: str,
        message: str,
        suggestions: Sequence[str],
    ) -> None:
        """Queue a SubscriptionStatus REJECTED."""
        ...

    def ended(
        self,
        subscriber: int,
        venue: str,
        symbol: str,
        channel: int,
        variant: str,
        *,
        request_id: int,
        subscription_id: int,
        requested_symbol: str,
    ) -> None:
        """Detach from a topic and queue a SubscriptionStatus ENDED."""
        ...

    def ack(self, subscriber: int, stream_seq: int) -> None:
        """Note that a client has processed responses up to here.

        Raises:
            ValueError: It was never sent.
        """
        ...

    def take(self, subscriber: int, bytes_max: int) -> bytes | None:
        """Return entries of field 4, joined, or None.

        None: nothing waits (``ready_fd`` will tell when something does), or it ended (see ``end_reason``).
        """
        ...

    def end_reason(self, subscriber: int) -> str | None:
        """Return why the subscriber ended (SLOW_READER, CLOSED, DRAINING), or None while it lives."""
        ...

    def close(self, subscriber: int) -> None:
        """Forget a subscriber."""
        ...

    def drain(self) -> None:
        """Queue a Draining record with positions for every subscriber, then end them."""
        ...

    def ready_fd(self) -> int:
        """Return a descriptor that turns readable when a parked Python subscriber has something to take."""
        ...

    def ready(self) -> list[int]:
        """Return those subscribers and reset the descriptor."""
        ...

    def cuts_fd(self) -> int:
        """Return a descriptor that turns readable when somebody waits for a CUT snapshot."""
        ...

    def stats(self) -> dict[str, object]:
        """Return bounds and fill of the rings, and the subscribers."""
        ...
