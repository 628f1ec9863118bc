"""``cnnzoo demo``: draw a digit in the browser and look into the network."""

from __future__ import annotations

from pathlib import Path

import click

_EXAMPLES = """\b
Examples:
  cnnzoo demo
  cnnzoo demo runs/mnist_cnn-digits
  cnnzoo demo --port 0 --no-open
"""


@click.command(epilog=_EXAMPLES)
@click.argument("runs", nargs=-1, type=click.Path(path_type=Path), metavar="[RUN]…")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8000,
    show_default=True,
    help="Port to listen on; 0 takes a free one.",
)
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Address to listen on; 0.0.0.0 lets others on your network in, a phone for example.",
)
@click.option("--open/--no-open", "open_browser", default=True, help="Open the page [default].")
def command(runs: tuple[Path, ...], port: int, host: str, open_browser: bool) -> None:
    """Show a page on which you draw a digit and look into the network.

    Networks of your own, from folders RUN, come first; those that cnnzoo brings follow. Nothing
    leaves this machine.
    """
    from cnnzoo.demo import bundled, from_run, serve
    from cnnzoo.demo.serving import check_installed

    check_installed()
    networks = [from_run(run) for run in runs] + bundled()
    try:
        serve(networks, host=host, port=port, open_browser=open_browser, say=click.echo)
    except KeyboardInterrupt:
        click.echo("\nThe demo has ended.")
