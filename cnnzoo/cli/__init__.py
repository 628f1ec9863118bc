"""The command ``cnnzoo``: one sub-command a file, found by its name.

A file ``verify_resume.py`` here holds a click command called ``command`` and becomes ``cnnzoo
verify-resume``. Heavy imports stand inside the commands, so that ``--help`` is quick. A
`CnnzooError` becomes one sentence and exit code 2; Ctrl-C exits with 130.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
import warnings
from typing import Any

import click

from cnnzoo.errors import CnnzooError, did_you_mean


class _Sentence(click.ClickException):
    exit_code = 2


class _Commands(click.Group):
    """Finds sub-commands by file name and turns expected errors into sentences."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        names = [module.name for module in pkgutil.iter_modules(__path__)]
        return sorted(name.replace("_", "-") for name in names if not name.startswith("_"))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        module = importlib.import_module(f"{__name__}.{cmd_name.replace('-', '_')}")
        command: click.Command = module.command
        command.name = cmd_name
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        known = self.list_commands(ctx)
        if args and args[0] not in known and not args[0].startswith("-"):
            hint = did_you_mean(args[0], known)
            ctx.fail(f'No command "{args[0]}".{hint} There are: {", ".join(known)}.')
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            with warnings.catch_warnings():
                warnings.showwarning = _say_warning
                return super().invoke(ctx)
        except CnnzooError as error:
            raise _Sentence(str(error)) from None
        except KeyboardInterrupt as error:
            click.echo(f"\n{error}" if str(error) else "\nInterrupted.", err=True)
            sys.exit(130)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="cnnzoo")
def main() -> None:
    r"""Small convolutional networks for PyTorch: list, train, evaluate, predict.

    \b
    Examples:
      cnnzoo list "*cnn*"
      cnnzoo train mnist_cnn
      cnnzoo eval runs/mnist_cnn-digits
      cnnzoo predict runs/mnist_cnn-digits photo.png --autofix
    """


def _say_warning(message: Warning | str, *where: Any, **more: Any) -> None:
    """Print a warning as a sentence: its source line says nothing to a person."""
    click.echo(f"Warning: {message}", err=True)
