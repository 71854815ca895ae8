"""``datafacade price``: one price of several sources: who was used, who was dropped, and why."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from datafacade.cli.ask import TARGET_DEFAULT, Json, Symbol, Target, ask
from datafacade.cli.failure import CallFailed, UsageError
from datafacade.cli.output import err, out, print_table, table_of, write_json
from datafacade.cli.provenance import provenance_line
from datafacade.cli.text import NOTHING, clean, full, span
from datafacade.cli.values import values
from datafacade.client import Client, Price, Source


def price(
    symbol: Symbol,
    sources: Annotated[
        list[str] | None, typer.Option("--source", "-s", help="Repeatable; as configured by default.")
    ] = None,
    method: Annotated[
        str, typer.Option("--method", "-m", help="trimmed_median or trimmed_mean; as configured if empty.")
    ] = "",
    native: Annotated[bool, typer.Option("--native", help="Venues only, no aggregator.")] = False,
    target: Target = TARGET_DEFAULT,
    as_json: Json = False,
) -> None:
    """Print one price of several sources: who was used, who was dropped, and why.

    Examples:
      datafacade price BTC-USD
      datafacade price ETH-USD --native --json
      datafacade price BTC-USD -s kraken -s coinbase --method trimmed_mean

    Exit codes: 0 printed, 1 no service, unknown symbol, or the sources do not make a price (then
    what each said is printed).
    """

    async def question(client: Client) -> Price:
        try:
            return await client.price(symbol, sources=sources or (), method=method, is_native_only=native)
        except ValueError as error:
            raise UsageError(str(error)) from None

    try:
        found = ask(target, question)
    except CallFailed as failed:
        _show_evidence(failed.error.evidence, as_json=as_json)
        raise
    if as_json:
        write_json(values(found))
        return
    _show(found)


def _show(found: Price) -> None:
    console = out()
    console.print(
        Text.assemble(
            (f"{clean(found.symbol, 40)}  {full(found.price)}", "bold"),
            f"   confidence {found.confidence_ratio:.0%}, deviation {found.deviation_ratio:.4%}",
            (f"   {method_text(found)}", "dim"),
        )
    )
    print_table(console, sources_table(found.quotes))
    for rate in found.conversions:
        pair = f"1 {clean(rate.source_currency, 16)} = {rate.rate:f} {clean(rate.target_currency, 16)}"
        console.print(Text(f"converted: {pair}, told by {clean(rate.source, 32)}"))
    if found.volume_24h is not None:
        console.print(Text(f"volume 24 h: {full(found.volume_24h)}"))
    for warning in found.warnings:
        console.print(Text(f"warning: {clean(warning, 64)}", style="yellow"))
    console.print(provenance_line(found.provenance), soft_wrap=True)


def method_text(found: Price) -> str:
    """Return how the price was made."""
    method = clean(found.method, 32).lower().replace("_", " ")
    least = f"{found.confidence_ratio_min:.0%}"
    return (
        f"{method} of {len(found.used)} of {len(found.quotes)} sources, at least {found.sources_min};"
        f" outliers beyond {found.deviation_ratio_max:.2%}, confidence at least {least}"
    )


def sources_table(quotes: Iterable[Source]) -> Table:
    """Return what each source said, and what became of it."""
    table = table_of("source", "", "", ">price", ">quoted in", ">age", ">at most", ">took", ">volume 24 h")
    for quote in quotes:
        fate = "used" if quote.is_used else f"dropped: {clean(quote.reason, 32).lower().replace('_', ' ')}"
        table.add_row(
            Text(clean(quote.source, 32), style="bold"),
            Text("aggregator" if quote.is_aggregator else "venue", style="dim"),
            Text(fate, style="green" if quote.is_used else "yellow"),
            full(quote.price),
            Text(clean(quote.quote, 16) or NOTHING),
            _span(quote.age_ns),
            _span(quote.age_ns_max),
            _span(quote.latency_ns),
            full(quote.volume_24h),
        )
    return table


def _span(ns: int | None) -> str:
    return NOTHING if ns is None else span(ns)


def _show_evidence(evidence: tuple[Source, ...], *, as_json: bool) -> None:
    """Show what the sources said that did not make a price."""
    if not evidence:
        return
    if as_json:
        write_json({"price": None, "quotes": values(evidence)})
    else:
        print_table(err(), sources_table(evidence))
