"""Ask a running service something from a command."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

import typer

from datafacade.cli.failure import CallFailed
from datafacade.client import TARGET, Client, ClientError

T = TypeVar("T")

Target = Annotated[
    str, typer.Option("--target", "-t", envvar="DATAFACADE_TARGET", help="The service, host:port.")
]
Venue = Annotated[str, typer.Argument(help="As kraken or binance-usdm.")]
Venues = Annotated[list[str] | None, typer.Option("--venue", "-v", help="Repeatable; all by default.")]
Symbol = Annotated[str, typer.Argument(help="Any spelling: BTC-USD, BTCUSDT, XBT/USD.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
TARGET_DEFAULT = TARGET


def ask(target: str, question: Callable[[Client], Awaitable[T]]) -> T:
    """Return what a question to a service answers.

    Raises:
        CallFailed: The service is not there, or refuses.
    """

    async def put() -> T:
        async with Client(target) as client:
            return await question(client)

    try:
        return asyncio.run(put())
    except ClientError as error:
        raise CallFailed(target, error) from None
