"""``cnnzoo verify-resume``: prove that a killed run ends with the same bits."""

from __future__ import annotations

import itertools
import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import click

from cnnzoo.cli import _data
from cnnzoo.cli._killed import Moment
from cnnzoo.cli._output import json_option, print_json, print_table
from cnnzoo.errors import CnnzooError

_EXAMPLES = """\b
Examples:
  cnnzoo verify-resume mnist_cnn
  cnnzoo verify-resume lenet5 --data mnist --root DIR --epochs 1 --kills 5 --seed 3
"""


@dataclass(frozen=True)
class Kill:
    """One kill: where, and what the run went on from."""

    number: int
    where: str
    goes_on_from: str
    equal_losses: int


@click.command(epilog=_EXAMPLES)
@click.argument("name", metavar="MODEL")
@_data.data_options
@click.option("--epochs", type=click.IntRange(min=1), default=2, show_default=True)
@click.option("--kills", type=click.IntRange(min=1), default=3, show_default=True)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option(
    "--checkpoint-steps",
    type=click.IntRange(min=0),
    default=5,
    show_default=True,
    help="Steps between two checkpoints within an epoch; 0: none.",
)
@json_option
@click.pass_context
def command(
    context: click.Context,
    name: str,
    data: str | None,
    root: str | None,
    data_options: tuple[str, ...],
    epochs: int,
    kills: int,
    seed: int,
    checkpoint_steps: int,
    as_json: bool,
) -> None:
    """Train MODEL once in peace and once killed again and again, and compare every bit.

    The second run dies by SIGKILL at random steps and in the middle of writing, and goes on each
    time with ``cnnzoo train --resume``. The exit status is 0 if both end with the same weights,
    optimizer and history, and 1 if not; the folders are kept then.
    """
    from cnnzoo.registry import model_info

    model_info(name)
    if not hasattr(signal, "SIGKILL"):
        raise CnnzooError("verify-resume kills with SIGKILL, which this system does not have.")
    folder = Path(tempfile.mkdtemp(prefix="cnnzoo-verify-"))
    start = ["train", name, "--epochs", str(epochs), "--seed", str(seed), "--quiet"]
    start += ["--checkpoint-steps", str(checkpoint_steps)]
    start += ["--data", data] if data else []
    start += ["--root", root] if root else []
    start += [word for pair in data_options for word in ("--data-set", pair)]
    told = [] if as_json else [click.echo]
    for say in told:
        say("Training once in peace …")
    _finish([*start, "--out", str(folder / "whole")])
    done = []
    for number in range(1, kills + 1):
        done.append(_kill(start, folder, number, kills, random.Random(f"{seed} {number}")))
        for say in told:
            say(f"Killed {done[-1].where}.")
    _finish(_next(start, folder / "killed"))
    difference = compare_runs(folder / "whole", folder / "killed")
    if as_json:
        kept = str(folder) if difference else None
        print_json({"kills": [vars(each) for each in done], "difference": difference, "kept": kept})
    else:
        print_table(
            ["kill", "died", "goes on from", "losses until there"],
            [
                (each.number, each.where, each.goes_on_from, f"{each.equal_losses} equal")
                for each in done
            ],
        )
        click.echo(
            f"The runs differ: {difference}. Both are kept in {folder}."
            if difference
            else "identical: weights, optimizer, random states, every loss, history and receipt"
        )
    if not difference:
        shutil.rmtree(folder)
    context.exit(1 if difference else 0)


def compare_runs(one: Path, other: Path) -> str | None:
    """Say where two run folders differ, times and pictures left aside; ``None`` if nowhere.

    Raises:
        CnnzooError: one of them holds no run that has ended.
    """
    from cnnzoo.train.checkpoint import load_checkpoint
    from cnnzoo.train.comparing import first_difference
    from cnnzoo.train.history import History

    first, second = (load_checkpoint(run / "checkpoint.pt") for run in (one, other))
    if found := first_difference(first, second):
        return f"checkpoint.pt, {found}"
    for name in ("model.safetensors", "receipt.json", "steps.csv", "config.json"):
        if (one / name).read_bytes() != (other / name).read_bytes():
            return name
    histories = (History.from_csv(run / "history.csv") for run in (one, other))
    first_rows, second_rows = ([vars(row) for row in history] for history in histories)
    if found := first_difference(first_rows, second_rows):
        return f"history.csv, {found}"
    return None


def _kill(start: list[str], folder: Path, number: int, kills: int, chance: random.Random) -> Kill:
    """Let the run go on until a random moment, and look at what is left."""
    from cnnzoo.train.step_trace import StepTrace

    run = folder / "killed"
    whole = StepTrace.read_csv(folder / "whole" / "steps.csv")
    begun = len(_trace_of(run))
    left = len(whole) - begun
    # Leaves steps to the kills that follow. Every second one dies while something is written.
    steps = chance.randint(min(1, left), -(-left // (kills - number + 1)))
    moment = Moment(steps, chance.randint(1, 15) if number % 2 == 0 or not steps else 0)
    line = ["-m", "cnnzoo.cli._killed", str(moment), str(run), *_next(start, run)]
    ended = _run(line)
    if ended.returncode != -signal.SIGKILL:
        raise CnnzooError(f"The run ended by itself ({ended.returncode}): {_last(ended.stderr)}")
    told = json.loads(_last(ended.stderr))
    epoch, step, _ = whole[max(begun + told["steps"], 1) - 1]
    where = f"after step {step} of epoch {epoch}" if begun + told["steps"] else "before any step"
    where += f", before {told['before']}" if told["before"] else ""
    trace = _trace_of(run)
    pairs = zip(trace, whole, strict=False)
    equal = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))
    from_ = f"step {trace[-1][1]} of epoch {trace[-1][0]}" if trace else "the beginning"
    return Kill(number, where, from_, equal)


def _trace_of(run: Path) -> list[tuple[int, int, float]]:
    """Return the losses that the checkpoint of a run knows."""
    from cnnzoo.train.checkpoint import load_checkpoint

    if not (run / "checkpoint.pt").is_file():
        return []
    trace = load_checkpoint(run / "checkpoint.pt")["callbacks"]["RunFolder"]["recorder"]["trace"]
    places, losses = trace["places"].tolist(), trace["losses"].tolist()
    return [(epoch, step, loss) for (epoch, step), loss in zip(places, losses, strict=True)]


def _next(start: list[str], run: Path) -> list[str]:
    """Return what a person would type now."""
    if (run / "checkpoint.pt").is_file():
        return ["train", "--resume", str(run), "--quiet"]
    return [*start, "--out", str(run)]


def _finish(line: list[str]) -> None:
    ended = _run(["-m", "cnnzoo", *line])
    if ended.returncode:
        raise CnnzooError(_last(ended.stderr).removeprefix("Error: "))


def _run(line: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *line], capture_output=True, text=True, check=False)


def _last(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else "it said nothing"
