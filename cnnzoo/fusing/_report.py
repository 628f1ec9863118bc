"""What `cnnzoo.fuse` did: site by site, then the whole model's time before and after."""

from __future__ import annotations

import io
from dataclasses import dataclass, field, replace

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Site:
    """A max-pool of the model, and what became of it.

    Attributes:
        name: dotted path of the convolution; of the pool, or of the module it stands in, where
            there is no convolution to name.
        pattern: what was found, for example "conv → batch norm → relu → max-pool".
        fused: modes in which the operator runs: "eval", "train"; empty: not fused.
        reason: why, or why not.
        input_shape: (N, C, H, W) of the example at the convolution; None without one.
    """

    name: str
    pattern: str
    fused: tuple[str, ...]
    reason: str
    input_shape: Shape | None = None


@dataclass(frozen=True)
class FuseReport:
    """The report of `cnnzoo.fuse`; prints as a table.

    Attributes:
        model: name of the model's class.
        sites: every max-pool, in the order of the modules.
        message: the outcome in a sentence.
        before_us: median time of the example in eval mode without gradients, microseconds.
        after_us: likewise of the fused model.
        difference: largest absolute difference of the outputs for the example.
    """

    model: str
    sites: tuple[Site, ...] = field(default_factory=tuple)
    message: str = ""
    before_us: float | None = None
    after_us: float | None = None
    difference: float | None = None

    @property
    def fused(self) -> tuple[Site, ...]:
        """The sites at which the operator runs."""
        return tuple(site for site in self.sites if site.fused)

    @property
    def declined(self) -> tuple[Site, ...]:
        """The sites that stay as they were."""
        return tuple(site for site in self.sites if not site.fused)

    def undone(self, why: str) -> FuseReport:
        """The report after everything was put back, with the reason."""
        sites = tuple(
            replace(site, fused=(), reason=f"Undone: {why}") if site.fused else site
            for site in self.sites
        )
        return replace(self, sites=sites, message=f"Nothing is fused: {why}")

    def __str__(self) -> str:
        from rich import box
        from rich.console import Console
        from rich.table import Table

        lines = [f"{self.model}: {self.message}"]
        if self.before_us is not None and self.after_us is not None:
            lines.append(
                f"{self.before_us:.0f} us before, {self.after_us:.0f} us after "
                f"({self.before_us / self.after_us:.2f} times as fast), "
                f"largest difference {self.difference:.1e}"
            )
        if self.sites:
            table = Table("site", "pattern", "input", "fused", "why", box=box.SIMPLE_HEAD)
            table.columns[0].no_wrap = True
            for site in self.sites:
                shape = "x".join(map(str, site.input_shape or ())) or "-"
                fused = ", ".join(site.fused) or "no"
                table.add_row(site.name, site.pattern, shape, fused, site.reason)
            text = io.StringIO()
            Console(file=text, width=140, highlight=False, markup=False).print(table)
            lines += [line.rstrip() for line in text.getvalue().strip("\n").split("\n")]
        return "\n".join(lines)
