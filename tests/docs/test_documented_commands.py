"""A command that stands in the docs exists, with every option it is shown with."""

import re
import shlex

import click
import pytest
from documents import ROOT, command_lines, pages

from cnnzoo.cli import main

PLACEHOLDER = re.compile(r"^[A-Z][A-Z_./]*$|…|\.\.\.|\*")  # DIR, RUN, PATH.onnx


def wrong_with(words):
    """Return what click says of a command line of ours; an empty string where it is right."""
    try:
        arguments = [word for word in shlex.split(words) if word not in ("…", "...")]
    except ValueError as error:
        return str(error)
    top = click.Context(main, info_name="cnnzoo")
    if arguments[0].startswith("-"):
        return "" if arguments[0] in ("--help", "-h", "--version") else "no such option"
    name = arguments[0]
    if PLACEHOLDER.search(name):
        return ""
    command = main.get_command(top, name)
    if command is None:
        return f"no command {name}"
    context = click.Context(command, info_name=name, parent=top)
    try:
        values, left, _ = command.make_parser(context).parse_args(list(arguments[1:]))
    except click.UsageError as error:
        return error.format_message()
    if left:
        return f"what is {' '.join(left)}?"
    for parameter in command.params:
        value = values.get(parameter.name)
        if not isinstance(parameter.type, click.Choice) or not isinstance(value, str):
            continue
        if value not in parameter.type.choices and not PLACEHOLDER.search(value):
            return f"{parameter.name} is none of {', '.join(parameter.type.choices)}"
    return ""


@pytest.mark.parametrize("page", pages(), ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_exist(page):
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    wrong = []
    for line, program, words in command_lines(page):
        if program == "make":
            problem = "" if words.split()[0] in targets else "no such target"
        else:
            problem = wrong_with(words)
        if problem:
            wrong.append(f"{page.name}:{line}: {program} {words}: {problem}")
    assert not wrong, "\n".join(wrong)


def test_a_wrong_command_is_seen(tmp_path):
    assert wrong_with("train mnist_cnn --data mnist --root DIR --epochs 2") == ""
    assert "--epoch" in wrong_with("train mnist_cnn --epoch-count 2")
    assert wrong_with("trian mnist_cnn") == "no command trian"
    assert wrong_with("list --kind animals").startswith("kind is none of")
    assert wrong_with("list a b").startswith("what is b")


def test_commands_are_found(tmp_path):
    total = [each for page in pages() for each in command_lines(page)]
    assert len(total) > 40
    page = ROOT / "docs/many_machines.md"  # continued lines, and torchrun in front
    assert any("--checkpoint-steps 50 --out RUN" in words for _, _, words in command_lines(page))
