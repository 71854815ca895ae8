"""The program ``datafacade``: all verbs, and what every verb does with errors and interrupts."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Sequence

import typer

from datafacade.cli import (
    book,
    budget,
    cache,
    coverage,
    demo,
    funding,
    health,
    instruments,
    klines,
    menu,
    pit,
    populate,
    price,
    record,
    replay,
    serve,
    sources,
    ticker,
    trades,
    version,
    watch,
)
from datafacade.cli.failure import FAILED, INTERRUPTED, failure_of
from datafacade.cli.output import fail
from datafacade.cli.probe import command as probe

ABOUT = "Crypto market data that proves itself: live order books and trades over one gRPC service."
VERBS: tuple[Callable[..., None], ...] = (
    serve.serve,
    watch.watch,
    demo.demo,
    book.book,
    klines.klines,
    trades.trades,
    ticker.ticker,
    funding.funding,
    price.price,
    health.health,
    budget.budget,
    cache.cache,
    sources.sources,
    coverage.coverage,
    instruments.instruments,
    menu.menu,
    populate.populate_cache,
    record.record,
    replay.replay,
    version.version,
)
PROBES: tuple[Callable[..., None], ...] = (probe.data,)
SIM_SETTINGS = {"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": ["--no-help"]}

app = typer.Typer(
    name="datafacade",
    help=ABOUT,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode="rich",
)


snapshots = typer.Typer(
    name="pit",
    help="List, fetch, prove and clean up the stored answers of a directory.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)

probes = typer.Typer(
    name="probe",
    help="Try out what a running service knows of a venue and pair.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)


@app.callback()
def about() -> None:
    """Crypto market data that proves itself: live order books and trades over one gRPC service."""


def sim(context: typer.Context) -> None:
    """Simulate the four venues on loopback, with faults on demand: datafacade sim --help."""
    from datafacade.sim.cli import main as simulate  # late: the other verbs start without it

    raise typer.Exit(simulate(context.args))


def proxy(context: typer.Context) -> None:
    """Break a TCP connection on demand, between a client and a service: datafacade proxy --help."""
    from datafacade.sim.proxy_cli import main as relay  # late: the other verbs start without it

    raise typer.Exit(relay(context.args))


def help_of(verb: Callable[..., None]) -> str:
    """Return a verb's docstring; paragraphs with indented lines keep their lines."""
    paragraphs = inspect.cleandoc(verb.__doc__ or "").split("\n\n")
    return "\n\n".join(f"\b\n{text}" if "\n  " in text else text for text in paragraphs)


for room, verbs in ((app, VERBS), (snapshots, pit.VERBS), (probes, PROBES)):
    for verb in verbs:
        line = (verb.__doc__ or "").partition(".")[0] + "."
        room.command(verb.__name__, help=help_of(verb), short_help=line)(verb)
app.add_typer(probes)
app.add_typer(snapshots)
for witness in (sim, proxy):  # they read their own options
    app.command(context_settings=SIM_SETTINGS, add_help_option=False)(witness)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; return its exit code. No traceback ever reaches the user.

    Args:
        argv: Words behind the program's name; None: those of this process.
    """
    try:
        app(args=None if argv is None else list(argv), prog_name="datafacade")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else FAILED if end.code else 0
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:  # the root of the program
        failure = failure_of(error)
        fail(failure.text, *failure.hints)
        return failure.code
    return 0


def run() -> None:
    """Run the program."""
    sys.exit(main())


if __name__ == "__main__":
    run()
