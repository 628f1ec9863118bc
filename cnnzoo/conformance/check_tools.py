"""Checks that what one does with a model works on it: features, fuse, export, another precision."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from cnnzoo import ops
from cnnzoo.conformance._check import expect, expect_close, not_applicable
from cnnzoo.conformance._model_case import ModelCase, model_check
from cnnzoo.feature_maps import features
from cnnzoo.fusing import fuse
from cnnzoo.layers import ConvReluMaxPool, implementations

_ROUNDING = 1e-4  # of the greatest logit: a hundred times that of float32


@model_check
def features_at_every_stage(case: ModelCase) -> None:
    """Every stage that the model names has a feature map (N, K, P, Q), in the order they run."""
    model = case.rgb.model
    stages: Any = getattr(model, "stages", None)
    if not stages:
        not_applicable("The model names no stages.")
    order: list[str] = []
    handles = [
        model.get_submodule(path).register_forward_hook(
            lambda module, given, output, stage=stage: order.append(stage)
        )
        for stage, path in stages.items()
    ]
    try:
        maps = features(model, case.rgb.images(2))
    finally:
        for handle in handles:
            handle.remove()
    for stage, each in maps.items():
        expect(
            each.dim() == 4 and len(each) == 2,
            f'Expected a feature map (2, K, P, Q) at the stage "{stage}"; got {tuple(each.shape)}.',
        )
    ran = list(dict.fromkeys(order))
    expect(
        ran == list(stages),
        f"Expected stages in the order they run, {', '.join(ran)}; they are named "
        f"{', '.join(stages)}.",
    )


@model_check
def layer_implementations_agree(case: ModelCase) -> None:
    """With every implementation of conv_relu_maxpool the model has the weights and answers."""
    if "conv_relu_maxpool" not in case.takes:
        not_applicable("The model takes no conv_relu_maxpool.")
    weights = case.rgb.model.state_dict()
    judge = case.around(weights, conv_relu_maxpool="eager").model.eval()
    if not any(isinstance(module, ConvReluMaxPool) for module in judge.modules()):
        return  # it takes the argument and has nothing to exchange
    x = case.rgb.images(2)
    with torch.no_grad():
        wanted = judge(x)
        for name in _runnable():
            other = case.around(weights, conv_relu_maxpool=name).model.eval()
            expect_close(other(x), wanted, 3e-5, f"The logits with conv_relu_maxpool={name!r}")


def _runnable() -> list[str]:
    """List the zoo's own implementations that run here; a stranger's is checked as a layer."""
    missing = {"eager"} | ({"native"} if ops.status().reason else set())
    own = [name for name in implementations("conv_relu_maxpool") if ":" not in name]
    return [name for name in own if name not in missing]


@model_check
def fused_it_answers_the_same(case: ModelCase) -> None:
    """`cnnzoo.fuse` gives a model with the same state dict keys and equal logits."""
    model, x = case.rgb.model, case.rgb.images(2)
    fused = fuse(model)
    expect(
        list(fused.state_dict()) == list(model.state_dict()),
        "Expected the fused model to have the same state dict keys; it has others.",
    )
    with torch.no_grad():
        expect_close(fused.eval()(x), model(x), _ROUNDING, "The logits of the fused model")


@model_check
def float64_works(case: ModelCase) -> None:
    """In float64 the model gives float64 logits, those of float32 but for rounding."""
    x = case.rgb.images(2)
    double = copy.deepcopy(case.rgb.model).double()
    with torch.no_grad():
        wanted, got = case.rgb.model(x), double(x.double())
    expect(got.dtype == torch.float64, f"Expected float64 logits; got {got.dtype}.")
    expect_close(got, wanted, 1e-3, "The logits in float64 and in float32")


@model_check
def exports(case: ModelCase) -> None:
    """`torch.export` writes the model down, and what it wrote gives equal logits."""
    built = case.build(image_size=case.small)
    model, x = built.model.eval(), built.images(2)
    with torch.no_grad():
        program = torch.export.export(model, (x,), strict=False)
        expect_close(_run(program.module(), x), model(x), _ROUNDING, "The exported logits")


def _run(module: nn.Module, x: Tensor) -> Tensor:
    logits: Tensor = module(x)
    return logits
