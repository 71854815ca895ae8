"""Draw the live table. Pure: a tally and a moment in, something that rich can print out."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import groupby
from typing import Final

from rich import box
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from datafacade.cli.tally import Row, Tally
from datafacade.cli.text import NOTHING, clean, clock, duration, grouped, sparkline

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
WIDE: Final = 118  # columns of the terminal from which on everything is shown
TREND_BARS: Final = 16
GOOD_NS: Final = 5_000_000
SLOW_NS: Final = 100_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Heading:
    """What stands above and below the table."""

    title: str
    target: str
    running_s: float
    is_connected: bool
    latency_of: str  # what the latency column measures
    note: str = ""  # one line of the owner


def board(tally: Tally, heading: Heading, *, now: float, width: int) -> RenderableType:
    """Return the whole picture.

    Args:
        tally: What was counted.
        heading: What stands around it.
        now: The moment, in the clock of the tally, seconds.
        width: Columns of the terminal.
    """
    rows = [tally.rows[key] for key in sorted(tally.rows)]
    parts: list[RenderableType] = [_table(rows, now=now, is_wide=width >= WIDE), _totals(rows, heading, now)]
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


def _title(heading: Heading) -> Text:
    mark = ("● ", "bold green") if heading.is_connected else ("✖ ", "bold red")
    return Text.assemble(
        mark,
        (clean(heading.title), "bold"),
        (f"  {clean(heading.target)}  {clock(heading.running_s)} ", "dim"),
    )


def _table(rows: Sequence[Row], *, now: float, is_wide: bool) -> Table:
    table = Table(box=box.SIMPLE_HEAD, expand=True, header_style="dim", pad_edge=False, padding=(0, 1))
    for name in ("venue", "symbol", "state", "proven by"):
        table.add_column(name, no_wrap=True)
    for name in ("checks", "bid", "ask", "spread"):
        table.add_column(name, justify="right", no_wrap=True)
    if is_wide:
        table.add_column("trend", no_wrap=True)
        table.add_column("last trade", justify="right", no_wrap=True)
    for name in ("trades/s", "updates/s", "p50", "p99", "gaps"):
        table.add_column(name, justify="right", no_wrap=True)
    for _, group in groupby(rows, key=lambda row: row.venue):
        for number, row in enumerate(group):
            table.add_row(*_cells(row, number == 0, now=now, is_wide=is_wide))
        table.add_section()
    return table


def _cells(row: Row, is_first: bool, *, now: float, is_wide: bool) -> list[Text]:
    mark, style = STATES.get(row.state, ("◌", "dim"))
    p50, p99 = row.latency()
    cells = [
        Text(clean(row.venue, 16) if is_first else "", style="bold"),
        Text(clean(row.symbol, 16)),
        Text(f"{mark} {clean(row.state, 10) or 'WAITING'}", style=style),
        _proof(row),
        Text(f"{row.proofs_checked:,}", style="red" if row.proofs_failed else "green"),
        _price(row.bid, "green"),
        _price(row.ask, "red"),
        Text(NOTHING if row.spread_bps is None else f"{row.spread_bps:.2f} bp"),
    ]
    if is_wide:
        cells += [_trend(row), _last(row)]
    rates = [row.trade_rate.per_s(now), row.update_rate.per_s(now)]
    cells += [Text(f"{rate:,.1f}", style="" if rate else "dim") for rate in rates]
    cells += [_latency(p50), _latency(p99), Text(str(row.gaps), style="bold red" if row.gaps else "dim")]
    return cells


def _proof(row: Row) -> Text:
    word = PROOFS.get(row.integrity, clean(row.integrity, 12).lower() or NOTHING)
    if row.proofs_failed:
        return Text(f"✖ {row.proofs_failed} failed", style="bold red")
    is_proven = row.integrity in PROOFS and row.integrity not in ("UNVERIFIABLE", "SUSPECT")
    if not is_proven:
        return Text(word, style="yellow")
    return Text(f"✔ {word}", style="green" if row.state == "LIVE" else "dim")


def _price(price: Decimal | None, style: str) -> Text:
    return Text(grouped(price), style=style)


def _trend(row: Row) -> Text:
    values = list(row.trend)
    bars = sparkline(values, TREND_BARS)
    rises = len(values) > 1 and values[-1] >= values[max(0, len(values) - TREND_BARS)]
    return Text(bars.ljust(TREND_BARS), style="green" if rises else "red")


def _last(row: Row) -> Text:
    if row.last_price is None:
        return Text(NOTHING, style="dim")
    mark, style = {"BUY": ("▲", "green"), "SELL": ("▼", "red")}.get(row.last_side, (" ", ""))
    return Text(f"{mark} {grouped(row.last_price)}", style=style)


def _latency(ns: int) -> Text:
    if ns == 0:
        return Text(NOTHING, style="dim")
    return Text(duration(ns), style="green" if ns < GOOD_NS else "yellow" if ns < SLOW_NS else "red")


def _totals(rows: Sequence[Row], heading: Heading, now: float) -> Text:
    live = sum(row.state == "LIVE" for row in rows)
    checked, failed = sum(row.proofs_checked for row in rows), sum(row.proofs_failed for row in rows)
    gaps = sum(row.gaps for row in rows)
    updates = sum(row.update_rate.per_s(now) for row in rows)
    trades = sum(row.trade_rate.per_s(now) for row in rows)
    return Text.assemble(
        (f"{live} of {len(rows)} books live", "bold green" if rows and live == len(rows) else "bold yellow"),
        ("   ", ""),
        (f"{checked:,} proofs checked, ", "green"),
        (f"{failed} failed", "bold red" if failed else "green"),
        (f"   {gaps} gaps", "bold red" if gaps else "green"),
        (f"   {updates:,.0f} updates/s   {trades:,.0f} trades/s", "bold"),
        (f"   p50, p99: {heading.latency_of}", "dim"),
    )


def _notes(notes: Iterable[tuple[float, str, str]]) -> Text:
    lines = Text()
    for at_s, topic, text in notes:
        moment = time.strftime("%H:%M:%S", time.localtime(at_s)) if at_s else "        "
        lines.append(f"\n{moment}  ", style="dim")
        lines.append(f"{clean(topic, 40)}  ", style="bold")
        lines.append(clean(text, 80), style="yellow")
    return lines
