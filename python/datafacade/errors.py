"""Declare every error of the service, once: fields, not prose. ``serve/status.py`` maps them to gRPC.

Each class is a dataclass, so Rust raises it with positional values (``import_exception!``) and Python reads
fields. ``venue``, ``symbol`` and ``operation`` tell where it happened, ``says`` what it was, ``recovery``
what to do next.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar


@dataclass(eq=False)
class FacadeError(Exception):
    """What every error of the service has in common."""

    says: ClassVar[str] = ""  # the message, with names of fields; "": the name of the class
    recovery: ClassVar[str] = ""  # the next step for whoever reads it; "": there is none

    venue: str = field(default="", kw_only=True)
    symbol: str = field(default="", kw_only=True)
    operation: str = field(default="", kw_only=True)  # what was being done: l2_book, dial, fetch

    @property
    def message(self) -> str:
        """Say what was expected and what was received, without a full stop."""
        return self.says.format_map(vars(self)) or type(self).__name__

    def __str__(self) -> str:
        """Return the message."""
        return self.message


# What the caller did


@dataclass(eq=False)
class InvalidRequest(FacadeError):
    """A field of the request is not what the contract allows."""

    recovery = "correct the named field"
    says = "{field_name}: {problem}"

    field_name: str
    problem: str  # what was expected and what was received


@dataclass(eq=False)
class UnknownSymbol(FacadeError):
    """No instrument list of the venues that were asked names this symbol."""

    recovery = "take a symbol from ListInstruments"

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

    recovery = "leave the field unset or use another call"
    says = "{what} is not served yet"

    what: str


@dataclass(eq=False)
class QuotaExceeded(FacadeError):
    """The client asks for more than a limit of this service allows."""

    recovery = "ask for less, or raise the limit in the configuration"
    says = "{limit_name} allows {limit}, {requested} were asked for"

    limit_name: str  # hot.max_pairs, server.instruments_max
    limit: int
    requested: int


@dataclass(eq=False)
class AggregatorBanned(FacadeError):
    """An aggregator was asked for data that only the venue itself may give."""

    recovery = "ask one of the venues that the authority table allows"
    says = "{source} may not serve {data_kind}: exchange-native sources only"

    source: str
    data_kind: str


@dataclass(eq=False)
class NotAuthenticated(FacadeError):
    """The call carries no valid credentials."""

    recovery = "send a valid bearer token"


@dataclass(eq=False)
class NotPermitted(FacadeError):
    """The credentials do not reach this far."""

    recovery = "ask for the scope that is named"
    says = "scope {scope} is needed"

    scope: str


# What the data are not yet, or no more


@dataclass(eq=False)
class BookNotReady(FacadeError):
    """The book exists and is not LIVE now."""

    recovery = "retry after the delay, or read it unproven with allow_unverified"
    says = "book of {venue}:{symbol} is {state}, not LIVE"

    state: str  # SYNCING, RESYNC, STALE, DOWN
    retry_after_ms: int = 1_000


@dataclass(eq=False)
class BookUnverified(FacadeError):
    """Only a book without proof exists, and the caller did not allow one."""

    recovery = "set allow_unverified to accept it"
    says = "book of {venue}:{symbol} is {integrity}"

    integrity: str  # UNVERIFIABLE, SUSPECT


@dataclass(eq=False)
class InsufficientSources(FacadeError):
    """Fewer sources agree than a reconciled value needs."""

    recovery = "wait for more sources or widen the deviation"
    says = "{used} of {needed} needed sources agree"

    used: int
    needed: int
    evidence: bytes = field(default=b"", kw_only=True)  # an encoded datafacade.v1.Lineage; b"": none


@dataclass(eq=False)
class LowConfidence(FacadeError):
    """The sources disagree too much."""

    recovery = "read the evidence and choose a source"
    says = "confidence {confidence_ratio:.2f} is below {needed_ratio:.2f}"

    confidence_ratio: float
    needed_ratio: float
    evidence: bytes = field(default=b"", kw_only=True)  # an encoded datafacade.v1.Lineage; b"": none


@dataclass(eq=False)
class SlowReader(FacadeError):
    """The subscriber owes more than its bound."""

    recovery = "resume from the position in the last Gap"
    says = "reader is {lag_ms} ms behind"

    lag_ms: int


@dataclass(eq=False)
class ResumeTooOld(FacadeError):
    """The position is older than what is kept."""

    recovery = "start from a snapshot"
    says = "oldest kept seq is {seq_oldest}"

    seq_oldest: int


@dataclass(eq=False)
class Draining(FacadeError):
    """The service is going down."""

    recovery = "retry on another instance or after the restart"
    says = "service is draining"

    retry_after_ms: int = 1_000


@dataclass(eq=False)
class PitNotFound(FacadeError):
    """No such snapshot."""

    recovery = "list what there is with datafacade pit ls"
    says = "no snapshot {snapshot_id}"

    snapshot_id: str  # or what was asked for instead


@dataclass(eq=False)
class PitExists(FacadeError):
    """Snapshots are immutable: this one is there already."""

    says = "snapshot {snapshot_id} exists already"

    snapshot_id: str


@dataclass(eq=False)
class PitCorrupt(FacadeError):
    """Stored bytes do not match their hash."""

    recovery = "run datafacade pit verify"
    says = "snapshot {snapshot_id} is damaged"

    snapshot_id: str


@dataclass(eq=False)
class PitSkipped(FacadeError):
    """So many snapshots wait for the disk that this one was not kept; the answer itself is good."""

    recovery = "ask again, or give the store a faster disk"
    says = "{waiting} snapshots wait for the disk already"

    waiting: int
    retry_after_ms: int = 1_000


@dataclass(eq=False)
class PitFull(FacadeError):
    """There is no room for another snapshot."""

    recovery = "free space, raise pit.bytes_max, or run datafacade pit gc"
    says = "no room for a snapshot: {problem}"

    problem: str


@dataclass(eq=False)
class PitWriteFailed(FacadeError):
    """The disk refused a snapshot; nothing of it is kept."""

    recovery = "look at the disk and at the log; commits go on as soon as it lets them"
    says = "snapshot cannot be written: {problem}"

    problem: str
    retry_after_ms: int = 1_000


@dataclass(eq=False)
class PitUnusable(FacadeError):
    """A directory of snapshots cannot be used now; what is in it may be whole."""

    recovery = "name the directory with --dir, or let this user and its limits use it"

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

    recovery = "retry, or use another venue"
    says = "{venue}: {problem}"

    problem: str
    retry_after_ms: int = 1_000
    is_final: bool = field(default=False, kw_only=True)  # the same request would fail in the same way again
    is_ours: bool = field(default=False, kw_only=True)  # this machine lacked what a call takes


@dataclass(eq=False)
class VenueRateLimited(FacadeError):
    """A venue's rate limit or ban holds, told by it or predicted by us."""

    recovery = "retry after the delay"
    says = "{venue}: rate limited for {retry_after_ms} ms"

    retry_after_ms: int


@dataclass(eq=False)
class CircuitOpen(FacadeError):
    """Too many failures in a row: the venue is left alone for a while."""

    recovery = "retry after the delay, or use another venue"
    says = "{venue}: circuit open for {retry_after_ms} ms"

    retry_after_ms: int


@dataclass(eq=False)
class DialFailed(FacadeError):
    """A WebSocket connection could not be made."""

    recovery = "check the URL in venues.yaml and the network"
    says = "dial failed ({reason}): {detail}"

    reason: str  # DNS, TCP, TLS, REFUSED, TIMEOUT, ADDRESS, HTTP
    detail: str
    http_status: int = 0  # 0: no HTTP answer
    retry_after_s: float | None = None  # as the venue told, seconds from now


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

    recovery = "stop the other program or choose another port"
    says = "cannot listen on {address}: address in use"

    address: str  # host:port


@dataclass(eq=False)
class DataDirInUse(FacadeError):
    """Another service uses the data directory."""

    recovery = "stop that service, or give this one another --data-dir (none: memory only)"

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

    recovery = "choose another with --data-dir (none: memory only)"
    says = "data directory cannot be used: {path}: {problem}"

    path: str
    problem: str


@dataclass(eq=False)
class RecordingFailed(FacadeError):
    """A capture could not be written."""

    recovery = "free space on the disk or choose another file"
    says = "capture cannot be written: {problem}"

    problem: str
