"""What the tests of the families share: random statistics, sizes of the stages."""

import torch
from torch import nn

import cnnzoo


def with_random_statistics(model):
    """Give batch norm statistics and weights of its own, as training would: all are seen then."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.8, 1.2)
            nn.init.uniform_(module.weight, 0.8, 1.2)
            nn.init.normal_(module.bias, std=0.1)
    return model


def with_weights_of(judge, name, **arguments):
    """Build a model with the state of another: same names, same shapes, nothing left over."""
    with torch.device("meta"):  # its own weights would be drawn for nothing
        model = cnnzoo.build(name, **arguments)
    # the judge trains on its own copy
    state = {key: value.clone() for key, value in judge.state_dict().items()}
    model.load_state_dict(state, strict=True, assign=True)
    return model


def parameters(name, **arguments):
    """Count the parameters without drawing them."""
    with torch.device("meta"):
        return sum(p.numel() for p in cnnzoo.build(name, **arguments).parameters())


def stage_sizes(model):
    """Return the (K, P, Q) of every stage for one image."""
    sizes = {}
    for stage, path in model.stages.items():
        model.get_submodule(path).register_forward_hook(
            lambda module, given, output, stage=stage: sizes.update(
                {stage: tuple(output.shape[1:])}
            )
        )
    with torch.no_grad():
        model.eval()(torch.randn(1, model.in_channels, *model.image_size))
    return sizes
