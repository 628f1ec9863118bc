"""The table of a network's layers, with totals."""

from __future__ import annotations

from dataclasses import dataclass, field

Shape = tuple[int, ...]


@dataclass
class LayerCost:
    """One call of one layer.

    Attributes:
        name: dotted path of the module.
        kind: its class.
        output: shape of its output; ``None`` where that is no tensor, or it was not called.
        parameters: its own; 0 where an earlier line has them.
        macs: multiply-adds of this call, whole batch.
        activation_bytes: what its output takes; 0 where it writes into its input or views it.
    """

    name: str
    kind: str
    output: Shape | None = None
    parameters: int = 0
    macs: int = 0
    activation_bytes: int = 0


@dataclass(frozen=True)
class Summary:
    """The layers of a model, in the order they run, with totals.

    Attributes:
        input: shape of the batch.
        layers: modules without children, and others that hold parameters or compute themselves.
        stages: name of a stage → shape of its feature map (N, K, P, Q); for a model that names
            none, the last module of each height and width.
    """

    input: Shape
    layers: list[LayerCost] = field(default_factory=list)
    stages: dict[str, Shape] = field(default_factory=dict)

    @property
    def parameters(self) -> int:
        """Number of parameters, each counted once."""
        return sum(layer.parameters for layer in self.layers)

    @property
    def macs(self) -> int:
        """Multiply-adds of a forward pass of the whole batch."""
        return sum(layer.macs for layer in self.layers)

    @property
    def activation_bytes(self) -> int:
        """Bytes of all outputs together; what functions between layers write is not in it."""
        return sum(layer.activation_bytes for layer in self.layers)

    def steps(self) -> list[tuple[str, Shape]]:
        """Name and shape of what a picture of the network shows, the batch left out.

        The input, the stages, and the linear layers behind them.
        """
        ends = [
            (each.name, each.output)
            for each in self.layers
            if each.output and len(each.output) == 2 and each.kind.endswith("Linear")
        ]
        return [
            (name, shape[1:])
            for name, shape in [("input", self.input), *self.stages.items(), *ends]
        ]

    def __str__(self) -> str:
        rows = [("layer", "kind", "output", "parameters", "MACs", "activations")]
        for each in self.layers:
            output = "x".join(map(str, each.output)) if each.output else "-"
            counts = (each.parameters, each.macs, each.activation_bytes)
            rows.append((each.name, each.kind, output, *(f"{n:,}" for n in counts)))  # type: ignore[arg-type]
        totals = (self.parameters, self.macs, self.activation_bytes)
        rows.append(("total", "", "", *(f"{n:,}" for n in totals)))  # type: ignore[arg-type]
        widths = [max(len(row[i]) for row in rows) for i in range(6)]
        return "\n".join(
            "  ".join(
                cell.ljust(w) if i < 3 else cell.rjust(w)
                for i, (cell, w) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in rows
        )
