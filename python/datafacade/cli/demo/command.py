"""``datafacade demo``: simulator, service and client in one terminal."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple

import typer

from datafacade.cli.ask import Json
from datafacade.cli.demo.children import first_of
from datafacade.cli.demo.listener import Listener
from datafacade.cli.demo.stage import Stage, staged
from datafacade.cli.demo.truth import Delay
from datafacade.cli.failure import FAILED, INTERRUPTED, ProgramFailed, UsageError
from datafacade.cli.output import err, out, remark, write_json
from datafacade.cli.pairs import usual_pairs
from datafacade.cli.screen import Screen, on_interrupt
from datafacade.client import Client, ClientError

VENUES: Final = ("binance", "okx", "coinbase", "kraken")
CHANNELS: Final = ("book", "trades", "top")
FROM_VENUE: Final = "from the venue's send to here"
SEED: Final = 7
PROGRESS_S: Final = 5.0
BLAME_S: Final = 1.0  # a broken stream is told sooner than the end of the program behind it
CATCH_UP_S: Final = 2.0  # the log comes ten times a second


def demo(
    seconds: Annotated[
        float | None, typer.Option(min=1, help="End by itself after so long; else at Ctrl-C.")
    ] = None,
    as_json: Json = False,
    seed: Annotated[int, typer.Option(help="Seed of the simulated markets, and of the storm.")] = SEED,
    storm: Annotated[
        float | None,
        typer.Option("--chaos", min=15, metavar="SECONDS", help="Break everything for so long, then judge."),
    ] = None,
    load: Annotated[
        float | None,
        typer.Option(
            "--warm", min=1, metavar="SECONDS", help="Ask for cached answers for so long, then judge."
        ),
    ] = None,
    snapshots: Annotated[
        int | None,
        typer.Option(
            "--pit", min=1, metavar="N", help="Take N snapshots; a JSON line each when it is on the disk."
        ),
    ] = None,
    directory: Annotated[
        Path | None, typer.Option("--dir", help="With --pit: where the snapshots go; it may hold some.")
    ] = None,
    keep: Annotated[
        Path | None, typer.Option(help="With --chaos: keep all logs in this folder, which must be new.")
    ] = None,
) -> None:
    """Watch live books of four simulated venues prove themselves.

    Starts the simulator and the service on free ports of this machine, compares each book with what the
    simulator says is true, and stops both at the end. No network is needed.

    With --chaos a fast, a slow and a crashing client read while venues, lines and clients break at random
    and the service is killed twice. Then all that they were told is compared with the truth, and each of ten
    invariants is judged; docs/integrity.md says how.

    With --warm 20 clients ask for 200 cold keys at once, then for 5,000 keys (in less than a minute: for
    fewer), popular ones more often, while the simulated venues enforce their limits. Each answer is compared
    with the truth, the budgets that Health shows with the simulator's ledger; docs/rest.md says how.

    With --pit N snapshots are taken into --dir DIR; killed at any moment, each that was named is whole:
    see datafacade pit get ID --dir DIR and datafacade pit verify --dir DIR.

    Examples:
      datafacade demo                        # a live table until Ctrl-C
      datafacade demo --seconds 20 --json    # ends by itself; figures for a program
      datafacade demo --chaos 60 --seed 3    # a minute of faults; PASS or FAIL, and why
      datafacade demo --warm 60 --seed 3     # a minute of questions; hit rate, budgets, wrong answers
      datafacade demo --pit 1000 --dir DIR   # {"id": "..."} for each, then {"snapshots": 1000}

    Exit codes: 0 time over or Ctrl-C, 1 a part did not run, a book differed from the truth, or FAIL.
    """
    if sum(chosen is not None for chosen in (storm, load, snapshots)) > 1:
        raise UsageError("--chaos, --warm and --pit are different demos; expected one of them")
    if (snapshots is None) != (directory is None):
        raise UsageError("--pit N and --dir DIR belong together; received one of them")
    if snapshots is not None and directory is not None:
        photograph(snapshots, directory, seed)
        return
    if load is not None:
        inquire(load, seed, as_json=as_json)
        return
    if storm is not None:
        endure(storm, seed, keep, as_json=as_json)
        return
    outcome = asyncio.run(perform(seconds=seconds, is_quiet=as_json, seed=seed))
    if outcome is None:
        return
    if as_json:
        write_json(outcome.report)
    is_equality_due = as_json and seconds is not None  # else Ctrl-C may come before the first comparison
    if outcome.has_differed or (is_equality_due and not outcome.report["books_equal_truth"]):
        raise typer.Exit(FAILED)


def endure(seconds: float, seed: int, keep: Path | None, *, as_json: bool) -> None:
    """Run a storm and tell its verdict.

    Raises:
        UsageError: The folder for the logs is not new.
        typer.Exit: The verdict is FAIL, or there is none.
    """
    if keep is not None and keep.exists():
        raise UsageError(f"{keep} exists; expected a new folder for the logs")
    from datafacade.cli.demo import chaos  # late: a service starts a fifth sooner without checker and proxy

    outcome = asyncio.run(chaos.perform(seconds=seconds, seed=seed, keep=keep))
    if outcome is None:
        raise typer.Exit(INTERRUPTED)
    if as_json:
        write_json(outcome.report())
    else:
        out().print(outcome.text(), markup=False)
    if not outcome.passes:
        err().print(outcome.evidence(), markup=False, soft_wrap=True)
        raise typer.Exit(FAILED)


def photograph(snapshots: int, directory: Path, seed: int) -> None:
    """Take snapshots and name each.

    Raises:
        UsageError: The directory is no place for them.
        typer.Exit: It was interrupted before all were there.
    """
    from datafacade.cli.demo import pit  # late, likewise

    if not asyncio.run(pit.perform(snapshots, directory, seed=seed)):
        raise typer.Exit(INTERRUPTED)


def inquire(seconds: float, seed: int, *, as_json: bool) -> None:
    """Ask for cached answers and tell what came of it.

    Raises:
        typer.Exit: Something does not hold, or there is no verdict.
    """
    from datafacade.cli.demo import warm  # late, likewise

    outcome = asyncio.run(warm.perform(seconds=seconds, seed=seed))
    if outcome is None:
        raise typer.Exit(INTERRUPTED)
    if as_json:
        write_json(outcome.report())
    else:
        out().print(outcome.text(), markup=False)
    broken = outcome.broken()
    if broken:
        err().print("\n".join(broken), markup=False, soft_wrap=True)
        raise typer.Exit(FAILED)


class Outcome(NamedTuple):
    """What a demo showed."""

    report: dict[str, Any]
    has_differed: bool  # a book was not as the simulator says


async def perform(*, seconds: float | None, is_quiet: bool, seed: int) -> Outcome | None:
    """Run all parts; return what they showed, or None if it was interrupted before all parts ran.

    Raises:
        ProgramFailed: A part did not start, or ended early.
    """
    stop, begun = asyncio.Event(), asyncio.Event()
    with contextlib.ExitStack() as signals:

        def hear_user() -> None:
            signals.enter_context(on_interrupt(stop.set))

        async def play() -> Outcome | None:
            async with staged(seed) as stage:
                begun.set()
                if is_quiet:
                    show = _count(stage, seconds, stop)
                else:
                    show = _draw(stage, seconds, seed, stop, hear_user)
                return await _blaming(stage, show)

        async def leave() -> None:
            await stop.wait()
            if begun.is_set():
                await asyncio.Event().wait()  # whoever shows ends by itself

        hear_user()
        return await first_of(play(), leave())


async def _blaming(stage: Stage, show: Coroutine[Any, Any, Outcome]) -> Outcome:
    """Run ``show``; if it fails because a program ended, say that.

    Raises:
        ProgramFailed: A program ended early, or the service refuses something.
    """
    try:
        return await first_of(show, *(child.ended() for child in stage.children))
    except (ProgramFailed, ClientError):
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(BLAME_S):
                await first_of(*(child.ended() for child in stage.children))
        raise


async def _draw(
    stage: Stage, seconds: float | None, seed: int, stop: asyncio.Event, hear_user: Callable[[], None]
) -> Outcome:
    """Show the live table; return what it showed."""

    async def show() -> None:
        await screen.run(out(), seconds=seconds)  # with a handler of its own for Ctrl-C
        hear_user()

    async def interrupted() -> None:
        await stop.wait()  # before the screen's handler was there

    def took(delay: Delay) -> None:
        screen.tally.row(delay.venue, delay.symbol).latencies_ns.append(delay.ns)

    pairs = usual_pairs(VENUES)
    listener = Listener(dict(pairs), on_delay=took)
    async with Client(stage.target) as client:
        subscription = client.subscribe(*pairs[0], CHANNELS)
        for venue, symbols in pairs[1:]:
            subscription.add(venue, symbols, CHANNELS)
        screen = Screen(
            subscription,
            title="datafacade demo",
            target=f"four simulated venues, seed {seed}, through the service at {stage.target}",
            latency_of=FROM_VENUE,
            before_frame=lambda: verdict(listener),
        )
        await _listened(listener, stage, first_of(show(), interrupted()))
        remark(verdict(listener))
        return Outcome(listener.report(await client.health()), listener.truth.has_differed)


async def _count(stage: Stage, seconds: float | None, stop: asyncio.Event) -> Outcome:
    """Count without a picture, and tell how it goes on stderr; return what it showed."""

    async def over() -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await stop.wait()

    async def tell() -> None:
        started = time.monotonic()
        await listener.is_first_live.wait()
        remark(f"first live book after {time.monotonic() - started:.1f} s")
        while True:
            await asyncio.sleep(PROGRESS_S)
            remark(f"{listener.live()} books live; {verdict(listener)}")

    listener = Listener(dict(usual_pairs(VENUES)))
    await _listened(listener, stage, first_of(over(), tell()))
    remark(verdict(listener))
    async with Client(stage.target) as client:
        return Outcome(listener.report(await client.health()), listener.truth.has_differed)


async def _listened(listener: Listener, stage: Stage, show: Coroutine[Any, Any, None]) -> None:
    """Listen and judge while ``show`` runs, then judge what has come."""

    async def follow() -> None:
        await first_of(show, listener.listen(stage.target))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CATCH_UP_S):
                await listener.settled()

    await first_of(follow(), listener.read_log(stage.log))


def verdict(listener: Listener) -> str:
    """Return in one line how the books compare with the truth."""
    truth = listener.truth
    if truth.is_equal:
        return (
            f"all {len(truth.books)} books equal the simulator's truth in {truth.comparisons:,} comparisons"
        )
    wrong = [" ".join(pair) for pair, book in truth.books.items() if book.differing or book.unknown]
    if wrong:
        return f"DIFFERENT FROM THE SIMULATOR'S TRUTH: {', '.join(wrong)}"
    compared = sum(bool(book.compared) for book in truth.books.values())
    return f"{compared} of {len(truth.books)} books compared with the simulator's truth so far"
