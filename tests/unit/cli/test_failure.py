"""Every error leaves as a few lines and an exit code: 1 it did not work, 2 what was given makes no sense."""

import pytest

from datafacade.cli.failure import CallFailed, ProgramFailed, UsageError, failure_of
from datafacade.client import BookNotReady, BookUnverified, ServerUnavailable, UnknownSymbol
from datafacade.errors import AddressTaken, ConfigError, VenueFailed
from datafacade.errors import UnknownSymbol as UnknownHere


def test_a_service_that_does_not_run_is_named_with_how_to_start_one() -> None:
    failure = failure_of(CallFailed("127.0.0.1:50051", ServerUnavailable("connection refused")))
    assert failure.code == 1
    assert "127.0.0.1:50051" in failure.text
    assert any("datafacade serve" in hint for hint in failure.hints)


def test_of_what_grpc_says_only_the_cause_is_told() -> None:
    told = "failed to connect to all addresses; last error: UNKNOWN: ipv4:127.0.0.1:1: Connection refused"
    failure = failure_of(CallFailed("127.0.0.1:1", ServerUnavailable(told)))
    assert failure.text == "no service answers at 127.0.0.1:1: connection refused"
    told = "errors resolving x.invalid:1: [field:hostname lookup error: x.invalid:1: Domain name not found]"
    failure = failure_of(CallFailed("x.invalid:1", ServerUnavailable(told)))
    assert failure.text == "no service answers at x.invalid:1: domain name not found"


def test_an_unknown_symbol_brings_near_matches() -> None:
    error = UnknownSymbol("unknown", "UNKNOWN_SYMBOL", venue="kraken", suggestions=("BTC-USD", "ETH-USD"))
    failure = failure_of(CallFailed("x", error))
    assert failure.hints == ("did you mean:  BTC-USD, ETH-USD", "see all:  datafacade instruments kraken")


def test_near_matches_are_not_said_twice() -> None:
    error = UnknownSymbol("unknown symbol, nearest: BTC-USD", "UNKNOWN_SYMBOL", suggestions=("BTC-USD",))
    assert not any("did you mean" in hint for hint in failure_of(CallFailed("x", error)).hints)


def test_a_book_that_is_not_ready_says_when_to_ask_again() -> None:
    failure = failure_of(CallFailed("x", BookNotReady("is SYNCING", retry_after_s=1.0)))
    assert failure.hints == ("ask again in 1 s",)


def test_an_unproven_book_names_the_option_that_accepts_it() -> None:
    failure = failure_of(CallFailed("x", BookUnverified("is UNVERIFIABLE", "BOOK_UNVERIFIED")))
    assert any("--allow-unverified" in hint for hint in failure.hints)


def test_a_taken_port_names_the_address_and_a_way_out() -> None:
    failure = failure_of(AddressTaken("127.0.0.1:50051"))
    assert (failure.code, "127.0.0.1:50051" in failure.text) == (1, True)
    assert any("--port 0" in hint for hint in failure.hints)


@pytest.mark.proves("ROW-H10")
def test_a_bad_configuration_names_file_line_and_key() -> None:
    failure = failure_of(ConfigError("own/service.yaml", 12, "hot.max_pairs", "expected an integer"))
    assert failure == (2, "own/service.yaml:12: hot.max_pairs: expected an integer", ())


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageError("--out: expected NAME.dfcap.zst"), 2),
        (ProgramFailed("the simulator ended"), 1),
        (UnknownHere("FOO", ("BTC-USD",), venue="kraken"), 1),
        (VenueFailed("no answer", venue="okx"), 1),
        (FileNotFoundError(2, "No such file or directory", "x.dfcap.zst"), 2),
        (OSError("no route"), 1),
    ],
)
def test_exit_codes(error: Exception, code: int) -> None:
    failure = failure_of(error)
    assert failure.code == code
    assert failure.text
    assert "Traceback" not in failure.text


def test_what_nobody_expected_has_a_traceback_only_when_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise ZeroDivisionError("division by zero")

    def tell() -> str:
        try:
            broken()
        except ZeroDivisionError as error:
            return failure_of(error).text
        return ""

    monkeypatch.delenv("DATAFACADE_TRACE", raising=False)
    assert tell() == "unexpected ZeroDivisionError: division by zero"
    monkeypatch.setenv("DATAFACADE_TRACE", "1")
    assert "in broken" in tell()


def test_remote_text_cannot_steer_the_terminal() -> None:
    error = UnknownSymbol("\x1b[2Jgone", suggestions=("\x1b]0;title\x07BTC",))
    failure = failure_of(CallFailed("x", error))
    assert failure.text == "gone"
    assert failure.hints == ("did you mean:  BTC",)
