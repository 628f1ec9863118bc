"""What `cnnzoo.freeze` did: which layers are one call now, and why the others are not."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class FreezeReport:
    """The report of `cnnzoo.freeze`; prints as text.

    Attributes:
        model: name of the model's class.
        frozen: paths of the layers that are one call now, in order; empty: nothing was frozen.
        left: layers that stay as they were, each with a sentence that says why.
        message: the outcome in a sentence.
        whole: whether nothing of the forward is left beside the one call.
        difference: largest absolute difference to the model's own output for the example.
        largest: largest absolute value of that output.
    """

    model: str
    frozen: tuple[str, ...] = ()
    left: tuple[tuple[str, str], ...] = ()
    message: str = ""
    whole: bool = False
    difference: float | None = None
    largest: float | None = None

    def __str__(self) -> str:
        lines = [f"{self.model}: {self.message}"]
        if self.frozen:
            lines.append("one call: " + " → ".join(self.frozen))
        lines += [f"left: {name}: {why}" for name, why in self.left]
        if self.difference is not None:
            lines.append(
                f"largest difference {self.difference:.1e}, largest output {self.largest:.1e}"
            )
        return "\n".join(lines)
