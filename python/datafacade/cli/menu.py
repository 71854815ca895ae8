"""``datafacade menu``: choose what to see; ``d`` is the state of the data facade, every figure live."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.text import Text

from datafacade.cli.ask import TARGET_DEFAULT, Json, Target, ask
from datafacade.cli.budget import breakers_table, budgets_table
from datafacade.cli.failure import CallFailed, failure_of
from datafacade.cli.output import fail, out, print_table, write_json
from datafacade.cli.panels import (
    Status,
    cache_table,
    freshness_table,
    sources_table,
    status_of,
    venues_table,
)
from datafacade.cli.text import clean, clock

NS_PER_S: Final = 1_000_000_000
Commands = Mapping[str, str]  # what it does by what is typed
Show = Callable[[Console, Status, Commands], None]


def menu(
    context: typer.Context,
    once: Annotated[
        bool, typer.Option("--once", help="Show the status and end; so without a terminal.")
    ] = False,
    target: Target = TARGET_DEFAULT,
    as_json: Json = False,
) -> None:
    """Choose what to see of a running service: the status of the data facade and more.

    Examples:
      datafacade menu               # then d, and q to leave
      datafacade menu --once        # the status at once
      datafacade menu --json

    Exit codes: 0 left, or shown; 1 no service answers (without a terminal or with --once).
    """
    if as_json:
        write_json(ask(target, status_of).values())
        return
    console = out()
    commands = commands_of(context)
    if once or not (sys.stdin.isatty() and console.is_terminal):
        show_status(console, ask(target, status_of), commands)
        return
    _choose(console, target, commands)


def _choose(console: Console, target: str, commands: Commands) -> None:
    """Show what is chosen until somebody leaves; a service that is away is told and may come back."""
    while True:
        console.print(Text.assemble(("\ndatafacade", "bold"), (f"   {clean(target)}", "dim")))
        for key, (title, _) in ENTRIES.items():
            console.print(f"  {key}) {title}", markup=False)
        console.print("  q) Quit", markup=False)
        try:
            key = console.input("> ").strip().lower()
        except EOFError:
            return
        if key in ("q", "quit"):
            return
        if key not in ENTRIES:
            console.print(Text(f"expected one of {', '.join((*ENTRIES, 'q'))}", style="yellow"))
            continue
        try:
            ENTRIES[key][1](console, ask(target, status_of), commands)
        except CallFailed as error:
            failure = failure_of(error)
            fail(failure.text, *failure.hints)


def show_status(console: Console, status: Status, commands: Commands) -> None:
    """Print all panels, one below the other."""
    uptime = clock(status.health.uptime_ns / NS_PER_S)
    console.print(Text(f"Data Facade Status   version {clean(status.health.version, 32)}, up {uptime}"))
    console.print("\n📊 Venue Health", style="bold")
    print_table(console, venues_table(status.health))
    console.print("💾 Cache Performance", style="bold")
    print_table(console, cache_table(status.cache))
    console.print("🔄 Data Freshness", style="bold")
    print_table(console, freshness_table(status.health))
    show_budgets(console, status, commands)
    console.print("💡 Available Commands", style="bold")
    for name, purpose in commands.items():
        console.print(Text.assemble(f"  {name:<32}", (purpose, "dim")))
    for warning in status.health.warnings:
        console.print(Text(f"warning: {clean(warning, 64)}", style="yellow"))


def show_budgets(console: Console, status: Status, _commands: Commands) -> None:
    """Print budgets and breakers."""
    console.print("⏱️  Rate Limiting Status", style="bold")
    print_table(console, budgets_table(status.health))
    print_table(console, breakers_table(status.health))


def show_sources(console: Console, status: Status, _commands: Commands) -> None:
    """Print who gave what."""
    console.print("Sources", style="bold")
    print_table(console, sources_table(status.sources))


ENTRIES: Final[Mapping[str, tuple[str, Show]]] = MappingProxyType(
    {
        "d": ("Data Facade Status", show_status),
        "b": ("Budgets and Breakers", show_budgets),
        "s": ("Sources", show_sources),
    }
)


def commands_of(context: typer.Context) -> Commands:
    """Return the program's verbs as they are typed, with what each does."""
    root = context.find_root()
    return dict(_commands(root.command, root.info_name or "datafacade"))


def _commands(command: Any, typed: str) -> Iterator[tuple[str, str]]:  # noqa: ANN401  the parser's own kind
    verbs = getattr(command, "commands", None)
    if verbs is None:
        yield typed, command.get_short_help_str(limit=100)
        return
    for name, verb in verbs.items():
        yield from _commands(verb, f"{typed} {name}")
