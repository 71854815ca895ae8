"""The program ``datafacade``: all verbs, and what every verb does with errors and interrupts."""

import sys

import typer

from datafacade.cli import replay, serve

EXIT_INTERRUPTED = 130

app = typer.Typer(
    name="datafacade",
    help="Crypto market data that proves itself: live order books, trades and tickers over one gRPC service.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode="markdown",
)
app.command("replay")(replay.replay)
app.command("serve")(serve.serve)


@app.callback()
def main() -> None:
    """Crypto market data that proves itself: live order books, trades and tickers over one gRPC service."""


def run() -> None:
    """Run the program; no traceback ever reaches the user."""
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)


if __name__ == "__main__":
    run()
