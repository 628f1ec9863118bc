"""Muon against the singular value decomposition it stands in for."""

import pytest
import torch

import cnnzoo
from cnnzoo.train.muon import Muon, orthogonal
from cnnzoo.train.optimizers import make_optimizer


def exactly(matrix):
    u, _, vh = torch.linalg.svd(matrix, full_matrices=False)
    return u @ vh


@pytest.mark.parametrize("shape", [(5, 5), (32, 9), (10, 100), (32, 288)], ids=str)
def test_the_nearest_orthogonal_matrix(shape):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(1)).double()
    found = orthogonal(matrix, 5)
    u, _, vh = torch.linalg.svd(matrix, full_matrices=False)
    core = u.T @ found @ vh.T  # the same singular vectors: nothing beside the diagonal
    values = core.diagonal()
    torch.testing.assert_close(core, values.diag(), atol=1e-8, rtol=0)
    assert values[:-1].min() > 0.6  # the last one of a square matrix may be tiny
    assert values.max() < 1.3
    assert (exactly(matrix) - found).norm() < 0.4 * exactly(matrix).norm()


def test_steps_by_hand():
    generator = torch.Generator().manual_seed(2)
    kernel = torch.nn.Parameter(torch.randn(4, 2, 3, 3, generator=generator))
    bias = torch.nn.Parameter(torch.randn(4, generator=generator))
    by_hand = [kernel.detach().clone(), bias.detach().clone()]
    momenta = [torch.zeros_like(each) for each in by_hand]
    optimizer = Muon([kernel, bias], lr=0.1, momentum=0.6)
    for _ in range(3):
        grads = [torch.randn(each.shape, generator=generator) for each in by_hand]
        kernel.grad, bias.grad = (each.clone() for each in grads)
        optimizer.step()
        for index, grad in enumerate(grads):
            momenta[index] = 0.6 * momenta[index] + grad
            ahead = grad + 0.6 * momenta[index]
            if index:
                by_hand[1] = by_hand[1] - 0.1 * 0.1 * ahead
            else:
                change = orthogonal(ahead.reshape(4, 18), 3).reshape(4, 2, 3, 3)
                by_hand[0] = by_hand[0] * (2 / by_hand[0].norm()) - 0.1 * change
    torch.testing.assert_close(kernel.detach(), by_hand[0])
    torch.testing.assert_close(bias.detach(), by_hand[1])


def test_nothing_to_go_by_changes_nothing_to_nan():
    weight = torch.nn.Parameter(torch.zeros(3, 4))
    frozen = torch.nn.Parameter(torch.ones(3))
    weight.grad = torch.zeros(3, 4)
    Muon([weight, frozen], lr=0.1).step()
    assert torch.equal(weight, torch.zeros(3, 4))
    assert torch.equal(frozen, torch.ones(3))


def test_by_name_and_through_a_checkpoint(digits, make_model, tmp_path):
    settings = {"optimizer": "muon", "lr": 0.1, "momentum": 0.6, "progress": False}
    whole = make_model()
    history = cnnzoo.Trainer(whole, epochs=2, **settings).fit(*digits)
    assert history[-1].test_accuracy > 0.85
    cnnzoo.Trainer(make_model(), epochs=1, out=tmp_path / "run", **settings).fit(digits[0])
    again = cnnzoo.Trainer.resume(tmp_path / "run", epochs=2, progress=False)
    again.fit(digits[0])
    for one, other in zip(whole.parameters(), again.model.parameters(), strict=True):
        assert torch.equal(one, other)


def test_refusals():
    parameters = [torch.nn.Parameter(torch.ones(2, 2))]
    with pytest.raises(cnnzoo.CnnzooError, match="weight_decay would do nothing"):
        make_optimizer("muon", parameters, lr=0.1, weight_decay=0.1)
    with pytest.raises(cnnzoo.CnnzooError, match="nesterov is a setting of sgd"):
        make_optimizer("muon", parameters, lr=0.1, nesterov=True)
