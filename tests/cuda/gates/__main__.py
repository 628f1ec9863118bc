"""`python -m gates`, from tests/cuda or with it on the path: one table of what the kernels take.

python -m gates [--architecture 80] [--budget]
"""

from __future__ import annotations

import argparse
import sys

import ptx
from rich.console import Console
from rich.table import Table

from gates import budget, build, work
from gates.occupancy import Launch, occupancy
from gates.resources import Resources, readable, resources

EXECUTED = 80  # whose PTX is executed for the figures of work, unless asked


def main(arguments: list[str] | None = None) -> int:
    """Print the table, or the budget that the kernels keep."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--architecture", type=int, choices=build.ARCHITECTURES, default=EXECUTED,
                        help="whose PTX is executed")  # fmt: skip
    parser.add_argument("--budget", action="store_true", help="print budget.toml as it would be")
    options = parser.parse_args(arguments)
    if build.nvcc() is None:
        print("nvcc is neither on the PATH nor below $CUDA_HOME: nothing to report.")
        return 2
    built = build.build()
    found = resources(built)
    if options.budget:
        print(budget.written(found), end="")
        return 0
    kernels: dict[str, ptx.parser.Kernel] = {}
    for path in built.ptx(options.architecture):
        kernels |= ptx.parse(path.read_text())
    works = {each.kernel: each for each in work.measure(built.library, kernels, EXECUTED)}
    Console(width=None if sys.stdout.isatty() else 150).print(table(found, works))
    return 0


def table(found: list[Resources], works: dict[str, work.Work]) -> Table:
    """A row for each kernel and architecture."""
    launches = [
        Launch(each.architecture, each.registers, works[each.kernel].threads, each.shared,
               works[each.kernel].shared)
        for each in found if each.kernel in works
    ]  # fmt: skip
    fits = iter(occupancy(launches))
    shown = Table(title="CUDA kernels: compiled and emulated, never timed", title_justify="left")
    shown.add_column("kernel")
    for name in ("arch.", "registers", "shared, B", "occupancy", "useful FMAs", "bytes / floor"):
        shown.add_column(name, justify="right")
    shown.add_column("on the layer")
    last = ""
    for each in found:
        name, one = readable(each.kernel), works.get(each.kernel)
        row = [name if name != last else "", f"sm_{each.architecture}", str(each.registers)]
        if one is None:
            row += [str(each.shared), "–", "–", "–", "never launched"]
        else:
            share = f"{one.useful / one.executed:.0%}" if one.executed else "–"
            row += [f"{each.shared + one.shared:,}", f"{next(fits):.0%}"]
            row += [share, f"{one.moved / one.floor:.1f}", one.layer] if name != last else [""] * 3
        shown.add_row(*row)
        last = name
    return shown


if __name__ == "__main__":
    sys.exit(main())
