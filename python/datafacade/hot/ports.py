"""Say what this room needs of the Rust core: ``datafacade._core`` has it, tests use hand-written fakes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Protocol

Send = tuple[Literal["send"], str]  # text frame
Urgency = Literal["snapshot", "backfill", "probe", "fallback", "audit"]
Fetch = tuple[Literal["fetch"], int, str, int, Urgency]  # request id, path with query, weight
Close = tuple[Literal["close"], int, str]  # close code, reason
Connect = tuple[Literal["connect"], int]  # delay, ns from now
Command = Send | Fetch | Close | Connect
Commands = Sequence[Command] | None

DialCause = Literal["dial_failed", "tls", "upgrade_refused", "rate_limited"]
Start = Literal["next", "newest", "cut", "after"]  # where a new subscriber of a topic begins
Delivery = Literal["every", "latest", "interval"]
Conflate = Literal["newest", "cut"]  # what stands for skipped records: the newest data, or a CUT snapshot
Phase = Literal["accepted", "rejected", "resumed", "resume_lost", "caught_up", "ended"]
LossCause = Literal["slow_reader", "server_restart", "resume_too_old"]


class Feed(Protocol):
    """One venue connection as a state machine without I/O.

    Calls may come from several threads, one waits for the other. Calls that return commands return None when
    there is nothing to do, which is the usual case.
    """

    def add_instruments(self, body: bytes) -> int:
        """Take one answer of the venue's instrument list; return how many instruments it names.

        Raises:
            ValueError: The body is no list of this venue.
        """
        ...

    def instruments(self) -> list[dict[str, Any]]:
        """Return all instruments that were added, each an ``InstrumentRow``."""
        ...

    def subscribe(
        self, venue_symbol: str, channel: int, variant: str = "", *, told: tuple[int, int] | None = None
    ) -> Commands:
        """Want a topic of an instrument; idempotent; sent when the connection is open.

        Args:
            venue_symbol: As the venue's list spells it.
            channel: Of the contract.
            variant: Of the channel.
            told: Id and time (ns UTC) of the newest trade that was told before; None: none is known.

        Raises:
            ValueError: The instrument is in no list that was added, or the channel has no such variant.
        """
        ...

    def unsubscribe(self, venue_symbol: str, channel: int, variant: str = "") -> Commands:
        """Want it no more; idempotent."""
        ...

    def start(self) -> Commands:
        """Ask for the first dial."""
        ...

    def on_opened(self) -> Commands:
        """Hear that a connection is open."""
        ...

    def on_frame(self, frame: bytes, ts_recv: int, has_more: bool = False) -> Commands:
        """Take one frame and the time at which the socket was read (wall ns).

        ``has_more``: the next frame follows at once, so subscribers are woken for both together.
        """
        ...

    def on_large_frame(self, frame: bytes, ts_recv: int) -> Commands:
        """Do the same, detached from the interpreter; called on a worker thread."""
        ...

    def on_response(self, request_id: int, status: int, body: bytes, ts_recv: int) -> Commands:
        """Take the answer of a fetch; status 0: there was none."""
        ...

    def on_large_response(self, request_id: int, status: int, body: bytes, ts_recv: int) -> Commands:
        """Do the same, detached from the interpreter; called on a worker thread."""
        ...

    def on_tick(self) -> Commands:
        """Hear that ``deadline_ns`` has passed; also without a connection."""
        ...

    def roll_due(self) -> str | None:
        """Return why this connection should be renewed soon; None: it should not."""
        ...

    def adopt_instruments(self, old: Any) -> int:  # noqa: ANN401  the core takes its own class only
        """Take the instruments that another feed of the same product knows; return how many."""
        ...

    def take_over(self, old: Any) -> tuple[bool, Commands]:  # noqa: ANN401  likewise
        """Take each topic of ``old`` for which both lines meet; return whether it has none left.

        Called on a standby after each frame and tick of either connection.
        """
        ...

    def on_closed(self, code: int, message: str) -> Commands:
        """Hear that the connection is gone."""
        ...

    def on_dial_failed(self, cause: str, message: str, wait_ns: int = 0) -> Commands:
        """Hear that no connection came into being; ``cause`` is a ``DialCause``.

        The next dial is wanted after ``wait_ns`` at the earliest, and the state of the topics says so.
        """
        ...

    def deadline_ns(self) -> int:
        """Return when the next timer is due (monotonic ns); the largest int64: none is set."""
        ...

    def serve_cuts(self, wanted: Any) -> Commands:  # noqa: ANN401  the core's own list of topics, passed through
        """Publish one CUT snapshot for each wanted topic of this feed."""
        ...

    def book(self, symbol: str, depth: int) -> tuple[bytes, bytes] | None:
        """Return a book as two encoded Updates, snapshot and checkpoint; depth 0: whole; None: no book."""
        ...

    def stats(self) -> dict[str, Any]:
        """Return counters, latencies and the state of the connection."""
        ...

    def topics(self) -> list[dict[str, Any]]:
        """Return one row per topic: state, reason, stamps, counts."""
        ...


class Hub(Protocol):
    """Bounded rings of encoded updates per topic, and the subscribers' cursors into them."""

    def subscriber(self) -> int:
        """Create a subscriber that Python reads with ``take``; return its handle."""
        ...

    def attach(
        self,
        subscriber: int,
        venue: str,
        symbol: str,
        channel: int,
        variant: str,
        *,
        start: Start,
        wall_ns: int,
        request_id: int,
        subscription_id: int,
        requested_symbol: str,
        seq_after: int = 0,
        delivery: Delivery = "every",
        interval_ms: int = 0,
        conflate: Conflate = "newest",
        phase: Literal["", "accepted", "resumed"] = "accepted",
        history_trade_id_last: int | None = None,
    ) -> tuple[int, int]:
        """Attach to a topic, queue a status (phase "": none) before its first record.

        ``start="after"`` replays what the ring holds behind the record ``seq_after``, then tells CAUGHT_UP.

        Returns:
            (seq_next, seq_oldest)

        Raises:
            PositionLost: The ring no longer holds what follows ``seq_after``; ``args`` is (seq_oldest,).
            PositionAhead: ``seq_after`` lies above the head; ``args`` is (head,).
            ValueError: The subscriber ended, or follows the topic already.
        """
        ...

    def status(
        self,
        subscriber: int,
        venue: str,
        symbol: str,
        channel: int,
        variant: str,
        *,
        phase: Phase,
        wall_ns: int,
        request_id: int,
        subscription_id: int,
        requested_symbol: str,
        code: int = 0,
        reason: str = "",
        message: str = "",
        delivery: Delivery = "every",
        interval_ms: int = 0,
        seq_next: int = 0,
        seq_oldest: int = 0,
        history_trade_id_last: int | None = None,
    ) -> bool:
        """Queue a SubscriptionStatus before every topic record that was not taken yet."""
        ...

    def gap(
        self,
        subscriber: int,
        venue: str,
        symbol: str,
        channel: int,
        variant: str,
        *,
        epoch: int,
        seq_first: int,
        seq_last: int,
        cause: LossCause,
        wall_ns: int,
        gap_id: int = 0,
        count: int | None = None,
        ts_first: int = 0,
        ts_last: int = 0,
    ) -> bool:
        """Queue a Gap of scope DELIVERY: what this subscriber will not be given."""
        ...

    def push_entries(self, subscriber: int, entries: bytes) -> bool:
        """Queue framed entries of field 4 in order, all or none.

        False: it has ended, or would be owed too much; then try again once ``owed`` is less.

        Raises:
            ValueError: The bytes are no whole entries.
        """
        ...

    def owed(self, subscriber: int) -> int | None:
        """Return the bytes that wait for a subscriber; None: it has ended."""
        ...

    def reject(
        self,
        subscriber: int,
        venue: str,
        symbol: str,
        channel: int,
        variant: str,
        *,
        wall_ns: int,
        request_id: int,
        subscription_id: int,
        requested_symbol: str,
        code: int,
        reason: str,
        message: str,
        suggestions: list[str],
    ) -> bool:
        """Queue a SubscriptionStatus REJECTED."""
        ...

    def detach(
        self,
        subscriber: int,
        venue: str,
        symbol: str,
        channel: int,
        variant: str,
        *,
        wall_ns: int,
        request_id: int,
        subscription_id: int,
        requested_symbol: str,
    ) -> bool:
        """Detach from a topic and queue ENDED; return whether it was attached."""
        ...

    def take(
        self, subscriber: int, bytes_max: int, *, monotonic_ns: int | None = None, stream_seq: int = 0
    ) -> tuple[bytes, int, str | None, int | None]:
        """Return entries of field 4, the watermark (wall ns), the end of the stream, when to take again.

        An end is ``slow_reader``, ``draining`` or ``closed``; None: the stream goes on.

        With nothing waiting, ``ready_fd`` rings once something does; the fourth value is a time (monotonic
        ns) at which to take again although it did not. ``stream_seq`` numbers the response that is filled:
        acknowledgements bound those that have a number.
        """
        ...

    def ack(self, subscriber: int, stream_seq: int, *, monotonic_ns: int | None = None) -> None:
        """Note that a client has processed responses up to here; from now on what it has not is bounded."""
        ...

    def close(self, subscriber: int) -> None:
        """Forget a subscriber."""
        ...

    def drain(self) -> None:
        """End all streams in order: what waits, a Draining record with positions, the end."""
        ...

    def advance(self, wall_ns: int, monotonic_ns: int) -> None:
        """Tell the time although nothing is published: old records leave."""
        ...

    def positions(self, subscriber: int) -> list[tuple[str, str, int, str, int]]:
        """Return (venue, symbol, channel, variant, seq) of each topic of a subscriber."""
        ...

    def subscribers(self, venue: str, symbol: str, channel: int, variant: str) -> int:
        """Return how many subscribers follow a topic."""
        ...

    def head(self, venue: str, symbol: str, channel: int, variant: str) -> int:
        """Return the newest seq of a topic; 0: none."""
        ...

    def ready_fd(self) -> int:
        """Return a descriptor that turns readable when a subscriber of Python has something to take."""
        ...

    def ready(self) -> list[int]:
        """Silence it and return those subscribers."""
        ...

    def cuts_fd(self) -> int:
        """Return a descriptor that turns readable when somebody waits for a CUT snapshot."""
        ...

    def cuts_wanted(self) -> Any:  # noqa: ANN401  the core's own list of topics, passed through
        """Silence it and return the topics, for ``Feed.serve_cuts``."""
        ...

    def stats(self) -> dict[str, int]:
        """Return bounds and fill of the rings, and the subscribers."""
        ...
