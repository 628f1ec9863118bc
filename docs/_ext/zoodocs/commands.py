"""``.. zoo-commands::`` writes the reference of the command line, from click itself.

A command is a section with an anchor ``command-NAME``: usage, what it does, arguments and options
with their defaults, examples. Whatever ``cnnzoo NAME --help`` says stands here as well.
"""

from __future__ import annotations

import inspect

import click
from sphinx.application import Sphinx

from zoodocs import rst
from zoodocs.tables import Generated


def commands() -> str:
    from cnnzoo.cli import main

    top = click.Context(main, info_name="cnnzoo")
    return "\n".join(_section(top, name) for name in main.list_commands(top))


def _section(top: click.Context, name: str) -> str:
    command = top.command.get_command(top, name)  # type: ignore[attr-defined]
    context = click.Context(command, info_name=name, parent=top)
    pieces = " ".join(command.collect_usage_pieces(context))
    parts = [
        f".. _command-{name}:\n",
        rst.heading(f"cnnzoo {name}", "-"),
        rst.block(f"cnnzoo {name} {pieces}", "text"),
        _prose(command.help or ""),
    ]
    rows = [
        row
        for parameter in command.get_params(context)
        if "--help" not in parameter.opts and (row := _row(parameter, context)) is not None
    ]
    if rows:
        parts.append(rst.table(["option", "what it does"], rows, widths=[35, 65]))
    examples = _examples(command.epilog or "")
    if examples:
        parts += ["Examples:\n", rst.block(examples, "console")]
    return "\n".join(parts)


def _prose(text: str) -> str:
    r"""Paragraphs; what click leaves unwrapped (``\b``) stays as it is."""
    paragraphs = inspect.cleandoc(text).split("\n\n")
    done = []
    for each in paragraphs:
        if each.startswith("\b"):
            done.append(rst.block(each.removeprefix("\b\n"), "text"))
        else:
            done.append(rst.words(" ".join(each.split())) + "\n")
    return "\n".join(done)


def _row(parameter: click.Parameter, context: click.Context) -> list[str] | None:
    if isinstance(parameter, click.Option):
        record = parameter.get_help_record(context)
        return [rst.code(record[0]), rst.words(record[1])] if record else None
    words = "required" if parameter.required else "may be left out"
    return [rst.code(parameter.make_metavar(context)), words]


def _examples(epilog: str) -> str:
    lines = inspect.cleandoc(epilog.replace("\b", "")).split("\n")
    return "\n".join(line.strip() for line in lines if line.strip() not in ("", "Examples:"))


def setup(app: Sphinx) -> None:
    write = staticmethod(commands)
    app.add_directive("zoo-commands", type("Commands", (Generated,), {"write": write}))
