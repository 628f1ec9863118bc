"""A model as torch's ExportedProgram, with cnnzoo's operators or decomposed to ATen.

The program is traced without gradients, so that it holds the operator for inference, which keeps
no places. It can be trained on all the same: that operator has autograd.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from cnnzoo.errors import CnnzooError
from cnnzoo.exporting._comparing import brief

# Namespaces that every torch has; `_operator` and `math` are Python's own, for sizes.
_OF_TORCH = {"aten", "prim", "prims", "quantized", "higher_order", "_operator", "math"}


def trace(model: nn.Module, example: Tensor, *, dynamic_batch: bool) -> ExportedProgram:
    """Export ``model``, in evaluation mode, for inputs like ``example``.

    Raises:
        CnnzooError: the model does not take the example, or torch.export cannot follow it.
    """
    name = type(model).__name__
    with torch.no_grad():
        try:
            model(example)
        except CnnzooError:
            raise
        except Exception as error:
            raise CnnzooError(
                f"{name} does not take an input of shape {tuple(example.shape)}: {brief(error)} "
                "Pass example_input= (--input)."
            ) from error
        shapes = None
        if dynamic_batch:
            if len(example) == 1:  # 1 and 0 are taken for constants
                example = torch.cat([example, example])
            shapes = ({0: Dim("batch", min=1)},)
        try:
            return torch.export.export(model, (example,), dynamic_shapes=shapes)
        except Exception as error:
            raise CnnzooError(_reason(name, error, dynamic_batch=dynamic_batch)) from error


def decompose(program: ExportedProgram) -> ExportedProgram:
    """Replace the operators of cnnzoo by convolution, max-pool and ReLU of ATen.

    Raises:
        CnnzooError: operators of another package stay, so that it would be needed.
    """
    table: dict[Any, Callable[..., Any]] = {}
    if any(name.startswith("cnnzoo::") for name in foreign_operators(program)):
        from cnnzoo.ops._operators import FORWARD

        table[FORWARD] = _block
    if table:
        program = program.run_decompositions(table)
    left = foreign_operators(program)
    if left:
        raise CnnzooError(
            f"portable=True leaves operators that torch alone does not have: {', '.join(left)}."
        )
    return program


def foreign_operators(program: ExportedProgram) -> tuple[str, ...]:
    """Return the operators of a program that torch alone does not have, by name."""
    graphs = [m for m in program.graph_module.modules() if isinstance(m, torch.fx.GraphModule)]
    called = [node.target for module in graphs for node in module.graph.nodes]
    operators = [target for target in called if isinstance(target, torch._ops.OpOverload)]
    found = {op._schema.name for op in operators if op.namespace not in _OF_TORCH}
    return tuple(sorted(found))


def _block(x: Tensor, weight: Tensor, bias: Tensor | None, window: list[int]) -> Tensor:
    """What the operator runs where there is no native code; in torch's fastest layout, too."""
    from cnnzoo.ops._reference import compose

    pool = (window[4:6], window[6:8], window[8:10])
    return compose(x, weight, bias, (window[0:2], window[2:4]), pool)  # (N, K, P, Q)


def _reason(name: str, error: Exception, *, dynamic_batch: bool) -> str:
    text = str(error)
    if "data-dependent" in text or "data dependent" in text:
        return (
            f"{name} cannot be exported: its forward decides by values in a tensor (dynamic "
            "control flow). Write the decision with torch.where or torch.cond."
        )
    if dynamic_batch and (
        "onstraint" in text or "specialized" in text or "marked as dynamic" in text
    ):
        return (
            f"{name} cannot be exported for any batch size, since its forward fixes it: pass "
            "dynamic_batch=False (--batch-size N)."
        )
    return f"{name} cannot be exported: torch.export says: {brief(error)}"
