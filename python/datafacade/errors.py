"""Declare every error of the service, once: fields, not prose. ``serve/status.py`` maps them to gRPC.

Each class is a dataclass, so Rust raises it with positional values (``import_exception!``) and Python reads
fields. ``venue``, ``symbol`` and ``operation`` say where it happened; ``recovery`` says what to do next.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar


@dataclass(eq=False)
class FacadeError(Exception):
    """What every error of the service has in common."""

    recovery: ClassVar[str] = ""  # the next step for whoever reads it; "": there is none

    venue: str = field(default="", kw_only=True)
    symbol: str = field(default="", kw_only=True)
    operation: str = field(default="", kw_only=True)  # what was being done: l2_book, dial, fetch

    @property
    def message(self) -> str:
        """Say what was expected and what was received, without a full stop."""
        return type(self).__name__

    def __str__(self) -> str:
        """Return the message."""
        return self.message


# What the caller did


@dataclass(eq=False)
class InvalidRequest(FacadeError):
    """A field of the request is not what the contract allows."""

    recovery: ClassVar[str] = "correct the named field"

    field_name: str
    problem: str  # what was expected and what was received

    @property
    def message(self) -> str:
        """Name the field first."""
        return f"{self.field_name}: {self.problem}"


@dataclass(eq=False)
class UnknownSymbol(FacadeError):
    """No instrument list of the venues that were asked names this symbol."""

    recovery: ClassVar[str] = "take a symbol from ListInstruments"

    requested: str
    suggestions: tuple[str, ...] = ()  # nearest matches, best first

    @property
    def message(self) -> str:
        """Name the nearest matches if there are any."""
        hint = f", nearest: {', '.join(self.suggestions)}" if self.suggestions else ""
        where = f" on {self.venue}" if self.venue else ""
        return f"unknown symbol {self.requested!r}{where}{hint}"


@dataclass(eq=False)
class NotSupported(FacadeError):
    """The contract has it, this release does not serve it yet."""

    recovery: ClassVar[str] = "leave the field unset or use another call"

    what: str

    @property
    def message(self) -> str:
        """Name what is missing."""
        return f"{self.what} is not served yet"


@dataclass(eq=False)
class QuotaExceeded(FacadeError):
    """The client asks for more than a limit of this service allows."""

    recovery: ClassVar[str] = "ask for less, or raise the limit in the configuration"

    limit_name: str  # hot.max_pairs, server.instruments_max
    limit: int
    requested: int

    @property
    def message(self) -> str:
        """Name the limit and both figures."""
        return f"{self.limit_name} allows {self.limit}, {self.requested} were asked for"


@dataclass(eq=False)
class AggregatorBanned(FacadeError):
    """An aggregator was asked for data that only the venue itself may give."""

    recovery: ClassVar[str] = "ask one of the venues that the authority table allows"

    source: str
    data_kind: str

    @property
    def message(self) -> str:
        """Name the source and what it may not give."""
        return f"{self.source} may not serve {self.data_kind}: exchange-native sources only"


@dataclass(eq=False)
class NotAuthenticated(FacadeError):
    """The call carries no valid credentials."""

    recovery: ClassVar[str] = "send a valid bearer token"


@dataclass(eq=False)
class NotPermitted(FacadeError):
    """The credentials do not reach this far."""

    recovery: ClassVar[str] = "ask for the scope that is named"

    scope: str

    @property
    def message(self) -> str:
        """Name the missing scope."""
        return f"scope {self.scope} is needed"


# What the data are not yet, or no more


@dataclass(eq=False)
class BookNotReady(FacadeError):
    """The book exists and is not LIVE now."""

    recovery: ClassVar[str] = "retry after the delay, or read it unproven with allow_unverified"

    state: str  # SYNCING, RESYNC, STALE, DOWN
    retry_after_ms: int = 1_000

    @property
    def message(self) -> str:
        """Name the state."""
        return f"book of {self.venue}:{self.symbol} is {self.state}, not LIVE"


@dataclass(eq=False)
class BookUnverified(FacadeError):
    """Only a book without proof exists, and the caller did not allow one."""

    recovery: ClassVar[str] = "set allow_unverified to accept it"

    integrity: str  # UNVERIFIABLE, SUSPECT

    @property
    def message(self) -> str:
        """Name the integrity."""
        return f"book of {self.venue}:{self.symbol} is {self.integrity}"


@dataclass(eq=False)
class InsufficientSources(FacadeError):
    """Fewer sources agree than a reconciled value needs."""

    recovery: ClassVar[str] = "wait for more sources or widen the deviation"

    used: int
    needed: int
    evidence: bytes = field(default=b"", kw_only=True)  # an encoded datafacade.v1.Lineage; b"": none

    @property
    def message(self) -> str:
        """Give both counts."""
        return f"{self.used} of {self.needed} needed sources agree"


@dataclass(eq=False)
class LowConfidence(FacadeError):
    """The sources disagree too much."""

    recovery: ClassVar[str] = "read the evidence and choose a source"

    confidence_ratio: float
    needed_ratio: float
    evidence: bytes = field(default=b"", kw_only=True)  # an encoded datafacade.v1.Lineage; b"": none

    @property
    def message(self) -> str:
        """Give both ratios."""
        return f"confidence {self.confidence_ratio:.2f} is below {self.needed_ratio:.2f}"


@dataclass(eq=False)
class SlowReader(FacadeError):
    """The subscriber owes more than its bound."""

    recovery: ClassVar[str] = "resume from the position in the last Gap"

    lag_ms: int

    @property
    def message(self) -> str:
        """Give the lag."""
        return f"reader is {self.lag_ms} ms behind"


@dataclass(eq=False)
class ResumeTooOld(FacadeError):
    """The position is older than what is kept."""

    recovery: ClassVar[str] = "start from a snapshot"

    seq_oldest: int

    @property
    def message(self) -> str:
        """Give the oldest position that is kept."""
        return f"oldest kept seq is {self.seq_oldest}"


@dataclass(eq=False)
class Draining(FacadeError):
    """The service is going down."""

    recovery: ClassVar[str] = "retry on another instance or after the restart"

    retry_after_ms: int = 1_000

    @property
    def message(self) -> str:
        """Say so."""
        return "service is draining"


@dataclass(eq=False)
class PitNotFound(FacadeError):
    """No such snapshot."""

    recovery: ClassVar[str] = "list what there is with datafacade pit ls"

    snapshot_id: str  # or what was asked for instead

    @property
    def message(self) -> str:
        """Name what was asked for."""
        return f"no snapshot {self.snapshot_id}"


@dataclass(eq=False)
class PitExists(FacadeError):
    """Snapshots are immutable: this one is there already."""

    snapshot_id: str

    @property
    def message(self) -> str:
        """Name it."""
        return f"snapshot {self.snapshot_id} exists already"


@dataclass(eq=False)
class PitCorrupt(FacadeError):
    """Stored bytes do not match their hash."""

    recovery: ClassVar[str] = "run datafacade pit verify"

    snapshot_id: str

    @property
    def message(self) -> str:
        """Name it."""
        return f"snapshot {self.snapshot_id} is damaged"


@dataclass(eq=False)
class PitSkipped(FacadeError):
    """So many snapshots wait for the disk that this one was not kept; the answer itself is good."""

    recovery: ClassVar[str] = "ask again, or give the store a faster disk"

    waiting: int
    retry_after_ms: int = 1_000

    @property
    def message(self) -> str:
        """Name the bound."""
        return f"{self.waiting} snapshots wait for the disk already"


@dataclass(eq=False)
class PitFull(FacadeError):
    """There is no room for another snapshot."""

    recovery: ClassVar[str] = "free space, raise pit.bytes_max, or run datafacade pit gc"

    problem: str

    @property
    def message(self) -> str:
        """Name what is full."""
        return f"no room for a snapshot: {self.problem}"


@dataclass(eq=False)
class PitWriteFailed(FacadeError):
    """The disk refused a snapshot; nothing of it is kept."""

    recovery: ClassVar[str] = "look at the disk and at the log; commits go on as soon as it lets them"

    problem: str
    retry_after_ms: int = 1_000

    @property
    def message(self) -> str:
        """Name the problem."""
        return f"snapshot cannot be written: {self.problem}"


@dataclass(eq=False)
class PitUnusable(FacadeError):
    """A directory of snapshots cannot be used now; what is in it may be whole."""

    recovery: ClassVar[str] = "name the directory with --dir, or let this user and its limits use it"

    path: str
    problem: str
    retry_after_ms: int = 1_000

    @property
    def message(self) -> str:
        """Name the place and the problem."""
        return f"snapshots cannot be used: {self.path}: {self.problem}" if self.path else self.problem


# What a venue did


@dataclass(eq=False)
class VenueFailed(FacadeError):
    """A venue did not answer, or answered with nonsense."""

    recovery: ClassVar[str] = "retry, or use another venue"

    problem: str
    retry_after_ms: int = 1_000
    is_final: bool = field(default=False, kw_only=True)  # the same request would fail in the same way again

    @property
    def message(self) -> str:
        """Name the venue and the problem."""
        return f"{self.venue}: {self.problem}"


@dataclass(eq=False)
class VenueRateLimited(FacadeError):
    """A venue's rate limit or ban holds, told by it or predicted by us."""

    recovery: ClassVar[str] = "retry after the delay"

    retry_after_ms: int

    @property
    def message(self) -> str:
        """Name the venue and the wait."""
        return f"{self.venue}: rate limited for {self.retry_after_ms} ms"


@dataclass(eq=False)
class CircuitOpen(FacadeError):
    """Too many failures in a row: the venue is left alone for a while."""

    recovery: ClassVar[str] = "retry after the delay, or use another venue"

    retry_after_ms: int

    @property
    def message(self) -> str:
        """Name the venue and the wait."""
        return f"{self.venue}: circuit open for {self.retry_after_ms} ms"


@dataclass(eq=False)
class DialFailed(FacadeError):
    """A WebSocket connection could not be made."""

    recovery: ClassVar[str] = "check the URL in venues.yaml and the network"

    reason: str  # DNS, TCP, TLS, REFUSED, TIMEOUT, ADDRESS, HTTP
    detail: str
    http_status: int = 0  # 0: no HTTP answer
    retry_after_s: float | None = None  # as the venue told, seconds from now

    @property
    def message(self) -> str:
        """Name the stage that failed."""
        return f"dial failed ({self.reason}): {self.detail}"


# What the operator did


@dataclass(eq=False)
class ConfigError(FacadeError):
    """A configuration file is not what it must be. The text never holds a secret."""

    file: str
    line: int  # from 1; 0: the file as a whole
    key: str  # path with dots; "": the file as a whole
    problem: str

    @property
    def message(self) -> str:
        """Name file, line and key, as a compiler does."""
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.key}: {self.problem}" if self.key else f"{place}: {self.problem}"


@dataclass(eq=False)
class AddressTaken(FacadeError):
    """Another program listens where the service wants to."""

    recovery: ClassVar[str] = "stop the other program or choose another port"

    address: str  # host:port

    @property
    def message(self) -> str:
        """Name the address."""
        return f"cannot listen on {self.address}: address in use"


@dataclass(eq=False)
class DataDirInUse(FacadeError):
    """Another service uses the data directory."""

    recovery: ClassVar[str] = "stop that service, or give this one another --data-dir (none: memory only)"

    path: str
    pid: int  # 0: it did not say

    @property
    def message(self) -> str:
        """Name the directory and who has it."""
        holder = f"pid {self.pid}" if self.pid else "another process"
        return f"data directory {self.path} is in use by {holder}"


@dataclass(eq=False)
class DataDirUnusable(FacadeError):
    """The data directory cannot be made, read or written."""

    recovery: ClassVar[str] = "choose another with --data-dir (none: memory only)"

    path: str
    problem: str

    @property
    def message(self) -> str:
        """Name the file and the problem."""
        return f"data directory cannot be used: {self.path}: {self.problem}"


@dataclass(eq=False)
class RecordingFailed(FacadeError):
    """A capture could not be written."""

    recovery: ClassVar[str] = "free space on the disk or choose another file"

    problem: str

    @property
    def message(self) -> str:
        """Name the problem."""
        return f"capture cannot be written: {self.problem}"
