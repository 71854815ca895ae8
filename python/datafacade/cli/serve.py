"""``datafacade serve``: the service itself, live venues by default."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from datafacade.cli.ask import Json
from datafacade.cli.output import write_json

ConfigDir = Annotated[
    Path | None,
    typer.Option("--config", metavar="DIR", help="Folder of YAML files; each replaces the packaged one."),
]


class EdgeName(StrEnum):
    """The two gRPC servers."""

    RUST = "rust"
    GRPCIO = "grpcio"


def serve(
    config: ConfigDir = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on; loopback by default.")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port, 50051 by default; 0: a free one.")
    ] = None,
    metrics_port: Annotated[
        int | None,
        typer.Option(
            "--metrics-port",
            min=0,
            max=65535,
            help="Of /metrics for Prometheus on 127.0.0.1; 50052 by default.",
        ),
    ] = None,
    data_dir: Annotated[
        str | None,
        typer.Option(
            "--data-dir", metavar="DIR", help="Journal and ledger, kept over restarts; none: memory only."
        ),
    ] = None,
    edge: Annotated[EdgeName, typer.Option(help="The server; grpcio is the reference.")] = EdgeName.RUST,
    dev: Annotated[bool, typer.Option("--dev", help="Serve reflection, for grpcurl.")] = False,
    insecure_public: Annotated[
        bool, typer.Option("--insecure-public", help="Allow an address that others can reach, without TLS.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Serve live market data over gRPC until Ctrl-C or SIGTERM.

    Logs are JSON lines on stderr; once requests are answered, stdout says where.

    What clients resume from after a crash is kept in a data directory that one service uses at a time:
    --data-dir, else data.dir of service.yaml, else DATAFACADE_DATA_DIR, else the user's state directory
    ($XDG_STATE_HOME/datafacade, or ~/.local/state/datafacade).

    Prometheus finds the figures of Health at http://127.0.0.1:50052/metrics (--metrics-port; with another
    --port than the configured one there is no page unless it is asked for).

    Examples:
      datafacade serve                      # the real venues
      datafacade serve --port 0 --dev       # a free port, with reflection
      datafacade serve --config ./config    # own venues.yaml, service.yaml

    Exit codes: 0 stopped in order, 1 the port or the data directory cannot be had, 2 the configuration is
    wrong (file, line, key).
    """
    # Until the service listens to signals the system ends the process, also where a shell had SIGINT ignored.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from datafacade.config import load_config

    settings = load_config(config)  # first: a bad file is told before the service is even loaded (row H10)
    from datafacade.app import serve as run  # late: the other verbs start without it

    def ready(addresses: Sequence[str]) -> None:
        if as_json:
            write_json({"addresses": list(addresses), "pid": os.getpid()})
            return
        sys.stdout.write(f"serving on {', '.join(addresses)}\n")
        sys.stdout.flush()

    run(
        settings,
        host=host,
        port=port,
        metrics_port=metrics_port,
        data_dir=data_dir,
        edge=edge.value,
        dev=dev,
        insecure_public=insecure_public,
        ready=ready,
    )
