"""Say what went wrong in a few lines, and with which exit code. No traceback unless asked for."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from datafacade.cli.text import clean
from datafacade.client import ClientError, ServerUnavailable
from datafacade.errors import AddressTaken, ConfigError, FacadeError

FAILED: Final = 1
USAGE: Final = 2  # also: bad configuration, not a capture
INTERRUPTED: Final = 130
TRACE: Final = "DATAFACADE_TRACE"  # environment: show tracebacks
OUTPUT_MAX: Final = 2_000  # signs shown of what another program wrote


class UsageError(Exception):
    """What was given makes no sense; the message says what was expected."""


class ProgramFailed(Exception):
    """A program that a command started went wrong; the message says which and how."""


class CallFailed(Exception):
    """A service could not be asked, or refused."""

    def __init__(self, target: str, error: ClientError) -> None:
        super().__init__(str(error))
        self.target = target
        self.error = error


class Failure(NamedTuple):
    """What the user is told."""

    code: int
    text: str
    hints: tuple[str, ...] = ()


def failure_of(error: Exception) -> Failure:
    """Return what to say about an error."""
    for kinds, tell in _TELLERS:
        if isinstance(error, kinds):
            return tell(error)
    return _unexpected(error)


def _call(failed: CallFailed) -> Failure:
    error = failed.error
    if isinstance(error, ServerUnavailable):
        hints = ("start one:      datafacade serve", "or try it out:  datafacade demo")
        reason = error.message.rpartition(": ")[2].strip("]").lower()  # gRPC wraps it in its own words
        return Failure(FAILED, f"no service answers at {clean(failed.target)}: {clean(reason)}", hints)
    return Failure(FAILED, clean(str(error)), _advice(error))


def _advice(error: ClientError) -> tuple[str, ...]:
    near = _near(error.suggestions) if "nearest" not in error.message else ()
    wait = (f"ask again in {error.retry_after_s:g} s",) if error.retry_after_s else ()
    unproven = ("accept it without proof:  --allow-unverified",) if error.reason == "BOOK_UNVERIFIED" else ()
    recovery = clean(error.metadata.get("recovery", ""))
    if error.reason == "UNKNOWN_SYMBOL":
        near = (*near, f"see all:  datafacade instruments {clean(error.venue, 32) or 'VENUE'}")
    told = (*near, *wait, *unproven)
    return told or ((recovery,) if recovery else ())


def _near(suggestions: tuple[str, ...]) -> tuple[str, ...]:
    names = ", ".join(clean(name, 64) for name in suggestions)
    return (f"did you mean:  {names}",) if names else ()


def _taken(error: AddressTaken) -> Failure:
    return Failure(FAILED, clean(str(error)), ("take another port:  --port 0  (0: any free one)",))


def _facade(error: FacadeError) -> Failure:
    return Failure(FAILED, clean(str(error)), (error.recovery,) if error.recovery else ())


def _system(error: OSError) -> Failure:
    if error.filename is None:
        return Failure(FAILED, clean(str(error)))
    reason = (error.strerror or type(error).__name__).lower()
    return Failure(USAGE, f"{clean(str(error.filename))}: {clean(reason)}")


def _unexpected(error: Exception) -> Failure:
    if os.environ.get(TRACE):
        return Failure(FAILED, "".join(traceback.format_exception(error)))
    text = f"unexpected {type(error).__name__}: {clean(str(error))}"
    return Failure(FAILED, text, (f"see where:  {TRACE}=1 datafacade ...",))


_TELLERS: Final[tuple[tuple[type[Exception], Callable[[Any], Failure]], ...]] = (
    (CallFailed, _call),
    (ConfigError, lambda error: Failure(USAGE, clean(str(error)))),
    (AddressTaken, _taken),
    (FacadeError, _facade),
    (UsageError, lambda error: Failure(USAGE, clean(str(error)))),
    (ProgramFailed, lambda error: Failure(FAILED, clean(str(error), OUTPUT_MAX))),
    (OSError, _system),
)
