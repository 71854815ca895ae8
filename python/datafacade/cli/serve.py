"""``datafacade serve``: the service itself, live venues by default."""

import asyncio
import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from datafacade.app import run_service
from datafacade.config import load_config
from datafacade.errors import AddressTaken, ConfigError

EXIT_FAILED = 1
EXIT_CONFIG = 2


class EdgeName(StrEnum):
    """The two gRPC servers."""

    RUST = "rust"
    GRPCIO = "grpcio"


def serve(
    config: Annotated[
        Path | None, typer.Option(help="Folder of YAML files that override the packaged ones, file by file.")
    ] = None,
    host: Annotated[str, typer.Option(help="Loopback address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0: a free one.")] = 50051,
    edge: Annotated[EdgeName, typer.Option(help="The server: rust, or grpcio as the reference.")] = EdgeName.RUST,
    dev: Annotated[bool, typer.Option("--dev", help="Serve reflection, for grpcurl and the like.")] = False,
) -> None:
    """Serve market data over gRPC until SIGTERM or Ctrl-C.

    Examples:

        datafacade serve

        datafacade serve --config ./config --port 0 --dev

    Exit codes: 0 stopped in order, 1 the port is taken, 2 the configuration is wrong (file, line, key).
    """
    try:
        settings = load_config(config)
        asyncio.run(
            run_service(settings, host=host, port=port, edge=edge.value, dev=dev, ready=announce),
        )
    except ConfigError as error:
        typer.echo(f"datafacade: {error}", err=True)
        raise typer.Exit(EXIT_CONFIG) from None
    except AddressTaken as error:
        typer.echo(f"datafacade: {error}", err=True)
        raise typer.Exit(EXIT_FAILED) from None


def announce(addresses: Sequence[str]) -> None:
    """Tell whoever started us where clients can connect: one line on stdout."""
    sys.stdout.write(f"serving on {', '.join(addresses)}\n")
    sys.stdout.flush()
