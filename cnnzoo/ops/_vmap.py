"""What `torch.func.vmap` does with the operators: one call if it can, else one an example."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


def rule(name: str) -> Callable[..., tuple[Any, Any]]:
    """The batching rule of one operator, for `torch.library.register_vmap`."""

    def batched(info: Any, in_dims: tuple[int | None, ...], *args: Any) -> tuple[Any, Any]:
        operator = getattr(torch.ops.cnnzoo, name).default
        mapped = [isinstance(dim, int) for dim in in_dims]  # a list argument has a list of None
        if mapped[0] and not any(mapped[1:]) and "backward" not in name:
            # A batch of batches of images is a batch of images: (B, N, C, H, W) → (B N, C, H, W).
            x = args[0].movedim(in_dims[0], 0)
            out = operator(x.flatten(0, 1), *args[1:])
            sizes = (info.batch_size, x.shape[1])
            if isinstance(out, Tensor):
                return out.unflatten(0, sizes), 0
            return tuple(one.unflatten(0, sizes) for one in out), (0,) * len(out)

        outs = [
            operator(
                *(
                    arg.select(dim, example) if is_mapped else arg
                    for arg, dim, is_mapped in zip(args, in_dims, mapped, strict=True)
                )
            )
            for example in range(info.batch_size)
        ]
        if isinstance(outs[0], Tensor):
            return torch.stack(outs), 0
        return tuple(torch.stack(one) for one in zip(*outs, strict=True)), (0,) * len(outs[0])

    return batched
