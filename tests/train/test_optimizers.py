"""Optimizers by name: torch's own, told the right numbers."""

import copy
import subprocess
import sys

import pytest
import torch
from torch import nn

from cnnzoo.errors import CnnzooError
from cnnzoo.train.optimizers import make_optimizer, optimizers

# What a reader of the table would write by hand; plain, so that it also judges the fused kernels.
BY_HAND = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.8, weight_decay=0.01),
    "adam": lambda p: torch.optim.Adam(p, lr=0.05, betas=(0.8, 0.999), weight_decay=0.01),
    "adamw": lambda p: torch.optim.AdamW(p, lr=0.05, betas=(0.8, 0.999), weight_decay=0.01),
    "nadam": lambda p: torch.optim.NAdam(p, lr=0.05, betas=(0.8, 0.999), weight_decay=0.01),
    "rmsprop": lambda p: torch.optim.RMSprop(p, lr=0.05, momentum=0.8, weight_decay=0.01),
}


def small_model():
    torch.manual_seed(3)
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(8, 3))


def train(model, optimizer, steps=8):
    generator = torch.Generator().manual_seed(1)
    for _ in range(steps):
        optimizer.zero_grad()
        images = torch.randn(4, 1, 4, 4, generator=generator)
        nn.functional.cross_entropy(model(images), torch.tensor([0, 1, 2, 0])).backward()
        optimizer.step()
    return model


def assert_same_weights(one, other):
    torch.testing.assert_close(one.state_dict(), other.state_dict(), rtol=1e-5, atol=1e-6)


def test_every_name_is_judged_here():
    assert set(optimizers()) == {*BY_HAND, "muon"}  # which test_muon.py judges


@pytest.mark.parametrize("name", BY_HAND)
def test_takes_the_steps_of_torch(name):
    model = small_model()
    by_hand = copy.deepcopy(model)
    optimizer = make_optimizer(name, model.parameters(), lr=0.05, momentum=0.8, weight_decay=0.01)
    assert_same_weights(
        train(model, optimizer), train(by_hand, BY_HAND[name](by_hand.parameters()))
    )


def test_nesterov_is_passed_on():
    model = small_model()
    by_hand = copy.deepcopy(model)
    optimizer = make_optimizer("sgd", model.parameters(), lr=0.05, nesterov=True)
    other = torch.optim.SGD(by_hand.parameters(), lr=0.05, momentum=0.9, nesterov=True)
    assert_same_weights(train(model, optimizer), train(by_hand, other))


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw"])
def test_fused_where_torch_can(name):
    assert make_optimizer(name, small_model().parameters(), lr=0.1).defaults["fused"]


@pytest.mark.parametrize("name", ["sgd", "adam"])
def test_not_fused_where_torch_cannot(name):
    """Complex numbers have no fused kernel; the plain one takes the step."""
    weights = [nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2, dtype=torch.complex64))]
    optimizer = make_optimizer(name, weights, lr=0.1)
    assert not optimizer.defaults["fused"]
    for weight in weights:
        weight.grad = torch.ones_like(weight)
    optimizer.step()
    assert all((weight.detach().real < 1).all() for weight in weights)


def test_trying_out_fused_leaves_parameters_and_generators_alone():
    model = small_model()
    before, state = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    make_optimizer("sgd", model.parameters(), lr=0.1, weight_decay=0.1)
    torch.testing.assert_close(model.state_dict(), before, rtol=0, atol=0)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(p.grad is None for p in model.parameters())


def test_sharded_parameters_take_a_step():
    """FSDP's tensors lack some fused kernels: SGD on them must fall back, not raise."""
    code = """
import torch, torch.distributed as dist
from torch.distributed.fsdp import fully_shard
from cnnzoo.train.optimizers import make_optimizer, optimizers
dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
mesh = dist.init_device_mesh("cpu", (1,))
for name in optimizers():
    model = torch.nn.Linear(4, 2)
    fully_shard(model, mesh=mesh)
    optimizer = make_optimizer(name, model.parameters(), lr=0.1)
    model(torch.ones(2, 4)).sum().backward()
    optimizer.step()
    print(name)
dist.destroy_process_group()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.split() == list(optimizers()), done.stderr


@pytest.mark.parametrize(
    ("name", "settings", "sentence"),
    [
        ("adamW2", {}, 'Unknown optimizer "adamW2". Did you mean "adamw"? Known: sgd, adam'),
        ("sgd", {"nesterov": True, "momentum": 0.0}, "momentum, which is 0: set momentum"),
        ("adam", {"nesterov": True}, "setting of sgd; adam has none. nadam is"),
        ("rmsprop", {"nesterov": True}, "setting of sgd; rmsprop has none."),
    ],
)
def test_what_cannot_be_is_said_in_a_sentence(name, settings, sentence):
    with pytest.raises(CnnzooError) as error:
        make_optimizer(name, small_model().parameters(), lr=0.1, **settings)
    assert sentence in str(error.value)


def test_a_model_without_parameters():
    with pytest.raises(CnnzooError, match="nothing to train"):
        make_optimizer("sgd", nn.Flatten().parameters(), lr=0.1)
