"""Draw the live table. Pure: a tally and a moment in, something that rich can print out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import groupby
from typing import Final, NamedTuple

from rich import box
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from datafacade.cli.tally import Note, Row, Tally
from datafacade.cli.text import NOTHING, clean, clock, duration, grouped, sparkline
from datafacade.client.book import PROVEN

STATES: Final = {
    "LIVE": ("●", "bold green"),
    "SYNCING": ("◌", "yellow"),
    "EMPTY": ("◌", "dim"),
    "STALE": ("◍", "yellow"),
    "RESYNC": ("◐", "bold magenta"),
    "HALTED": ("■", "cyan"),
    "REJECTED": ("✖", "red"),
    "DOWN": ("✖", "bold red"),
}
PROOFS: Final = {
    "SEQUENCE": "sequence",
    "CHECKSUM": "checksum",
    "SEQUENCE_AND_CHECKSUM": "seq + crc",
    "AUDITED": "audited",
    "UNVERIFIABLE": "unproven",
    "SUSPECT": "suspect",
}
TREND_BARS: Final = 12
GOOD_NS: Final = 5_000_000
SLOW_NS: Final = 100_000_000
FRAME: Final = 4  # columns that the panel takes
SPACE: Final = 2  # columns between two of the table


@dataclass(frozen=True, slots=True, kw_only=True)
class Heading:
    """What stands above and below the table."""

    title: str
    target: str
    running_s: float
    is_connected: bool
    latency_of: str  # what the latency columns measure
    note: str = ""  # one line of the owner


class Moment(NamedTuple):
    """What the cells of one row share."""

    now: float  # seconds, in the clock of the tally
    p50_ns: int
    p99_ns: int


class Column(NamedTuple):
    """One column: the smaller its rank, the longer it stays when the terminal gets narrow."""

    name: str
    width: int
    rank: int
    is_right: bool
    cell: Callable[[Row, Moment], Text]


def board(tally: Tally, heading: Heading, *, now: float, width: int) -> RenderableType:
    """Return the whole picture.

    Args:
        tally: What was counted.
        heading: What stands around it.
        now: The moment, in the clock of the tally, seconds.
        width: Columns of the terminal.
    """
    rows = [tally.rows[key] for key in sorted(tally.rows)]
    parts: list[RenderableType] = [_table(rows, now=now, width=width - FRAME), _totals(rows, heading, now)]
    if tally.notes:
        parts.append(_notes(tally.notes))
    return Panel(
        Group(*parts),
        title=_title(heading),
        title_align="left",
        subtitle=Text(clean(heading.note), style="dim") if heading.note else None,
        subtitle_align="right",
        border_style="blue" if heading.is_connected else "red",
        box=box.ROUNDED,
        padding=(0, 1),
    )


def fitting(columns: Sequence[Column], width: int) -> list[Column]:
    """Return the columns that fit side by side, the less important ones left out first; the first stay."""
    kept = sorted(columns, key=lambda column: column.rank)
    while len(kept) > 1 and sum(column.width + SPACE for column in kept) - SPACE > width:
        kept.pop()
    return [column for column in columns if column in kept]


def _title(heading: Heading) -> Text:
    mark = ("● ", "bold green") if heading.is_connected else ("✖ ", "bold red")
    place = f"  {clean(heading.target)}  {clock(heading.running_s)} "
    return Text.assemble(mark, (clean(heading.title), "bold"), (place, "dim"))


def _table(rows: Sequence[Row], *, now: float, width: int) -> Table:
    shown = fitting(COLUMNS, width)
    table = Table(box=box.SIMPLE_HEAD, expand=True, header_style="dim", pad_edge=False, padding=(0, 1, 0, 0))
    for column in shown:
        justify = "right" if column.is_right else "left"
        table.add_column(column.name, justify=justify, no_wrap=True, min_width=column.width)  # type: ignore[arg-type]
    for _, group in groupby(rows, key=lambda row: row.venue):
        for number, row in enumerate(group):
            moment = Moment(now, *row.latency())
            cells = [column.cell(row, moment) for column in shown]
            table.add_row(Text() if number else cells[0], *cells[1:])
        table.add_section()
    return table


def _state(row: Row, _: Moment) -> Text:
    mark, style = STATES.get(row.state, ("◌", "dim"))
    return Text(f"{mark} {clean(row.state, 10) or 'WAITING'}", style=style)


def _proof(row: Row, _: Moment) -> Text:
    word = PROOFS.get(row.integrity, clean(row.integrity, 10).lower() or NOTHING)
    if row.integrity not in PROVEN:
        return Text(word, style="yellow")
    return Text(f"✔ {word}", style="green" if row.state == "LIVE" else "dim")


def _proofs(row: Row, _: Moment) -> Text:
    count = Text(f"{row.proofs_checked:,}", style="green" if row.proofs_checked else "dim")
    if row.proofs_failed:
        return Text.assemble((f"✖{row.proofs_failed:,} ", "bold red"), count)
    return count


def _spread(row: Row, _: Moment) -> Text:
    return Text(NOTHING if row.spread_bps is None else f"{row.spread_bps:.2f} bp")


def _trend(row: Row, _: Moment) -> Text:
    values = list(row.trend)
    rises = len(values) > 1 and values[-1] >= values[max(0, len(values) - TREND_BARS)]
    return Text(sparkline(values, TREND_BARS).ljust(TREND_BARS), style="green" if rises else "red")


def _last(row: Row, _: Moment) -> Text:
    if row.last_price is None:
        return Text(NOTHING, style="dim")
    mark, style = {"BUY": ("▲", "green"), "SELL": ("▼", "red")}.get(row.last_side, (" ", ""))
    return Text(f"{mark} {grouped(row.last_price)}", style=style)


def _price(price: Decimal | None, style: str) -> Text:
    return Text(grouped(price), style=style)


def _rate(per_s: float) -> Text:
    return Text(f"{per_s:,.1f}", style="" if per_s else "dim")


def _latency(ns: int) -> Text:
    if ns == 0:
        return Text(NOTHING, style="dim")
    return Text(duration(ns), style="green" if ns < GOOD_NS else "yellow" if ns < SLOW_NS else "red")


COLUMNS: Final = (
    Column("venue", 8, 0, False, lambda row, _: Text(clean(row.venue, 16), style="bold")),
    Column("symbol", 8, 1, False, lambda row, _: Text(clean(row.symbol, 16))),
    Column("state", 6, 2, False, _state),
    Column("proven by", 11, 5, False, _proof),
    Column("proofs", 6, 6, True, _proofs),
    Column("bid", 9, 3, True, lambda row, _: _price(row.bid, "green")),
    Column("ask", 9, 4, True, lambda row, _: _price(row.ask, "red")),
    Column("spread", 7, 10, True, _spread),
    Column("trend", TREND_BARS, 14, False, _trend),
    Column("last trade", 11, 13, True, _last),
    Column("trades/s", 8, 12, True, lambda row, moment: _rate(row.trade_rate.per_s(moment.now))),
    Column("updates/s", 9, 11, True, lambda row, moment: _rate(row.update_rate.per_s(moment.now))),
    Column("p50", 7, 8, True, lambda _, moment: _latency(moment.p50_ns)),
    Column("p99", 7, 9, True, lambda _, moment: _latency(moment.p99_ns)),
    Column("gaps", 4, 7, True, lambda row, _: Text(f"{row.gaps:,}", style="bold red" if row.gaps else "dim")),
)


def _totals(rows: Sequence[Row], heading: Heading, now: float) -> Text:
    live = sum(row.state == "LIVE" for row in rows)
    checked, failed = sum(row.proofs_checked for row in rows), sum(row.proofs_failed for row in rows)
    gaps = sum(row.gaps for row in rows)
    updates = sum(row.update_rate.per_s(now) for row in rows)
    trades = sum(row.trade_rate.per_s(now) for row in rows)
    return Text.assemble(
        (f" {live} of {len(rows)} books live", "bold green" if rows and live == len(rows) else "bold yellow"),
        (f"   {checked:,} proofs checked, ", "green"),
        (f"{failed} failed", "bold red" if failed else "green"),
        (f"   {gaps} gaps", "bold red" if gaps else "green"),
        (f"   {updates:,.0f} updates/s, {trades:,.0f} trades/s", "bold"),
        (f"   p50, p99: {heading.latency_of}", "dim"),
    )


def _notes(notes: Iterable[Note]) -> Text:
    lines = Text()
    for note in notes:
        moment = time.strftime("%H:%M:%S", time.localtime(note.ts / 1e9))
        lines.append(f"\n {moment}  ", style="dim")
        lines.append(f"{clean(note.subject, 40)}  ", style="bold")
        lines.append(clean(note.text, 80), style="yellow")
    return lines
