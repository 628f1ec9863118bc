"""Losses by name against their formulas, written out sample by sample."""

import math

import pytest
import torch

from cnnzoo.errors import CnnzooError
from cnnzoo.train.losses import losses, make_loss


def cross_entropy(row, label, smoothing):
    """−Σ target × log softmax, the target being one-hot with a share spread over all classes."""
    total = sum(math.exp(x) for x in row)
    targets = [smoothing / len(row) + (1 - smoothing) * (k == label) for k in range(len(row))]
    return -sum(t * math.log(math.exp(x) / total) for t, x in zip(targets, row, strict=True))


def multi_margin(row, label):
    others = (max(0.0, 1 - row[label] + x) for k, x in enumerate(row) if k != label)
    return sum(others) / len(row)


SAMPLE = {
    "cross_entropy": lambda row, label: cross_entropy(row, label, 0.0),
    "nll": lambda row, label: -row[label],
    "multi_margin": multi_margin,
}


@pytest.fixture
def batch():
    torch.manual_seed(5)
    return torch.randn(7, 4, requires_grad=True), torch.tensor([0, 1, 2, 3, 3, 1, 0])


def mean_of(sample, logits, labels):
    rows = zip(logits.tolist(), labels.tolist(), strict=True)
    return sum(sample(row, label) for row, label in rows) / len(labels)


def test_every_name_is_judged_here():
    assert set(losses()) == set(SAMPLE)


@pytest.mark.parametrize("name", losses())
def test_is_the_mean_of_the_formula(name, batch):
    loss = make_loss(name)(*batch)
    assert loss.shape == ()
    assert loss.item() == pytest.approx(mean_of(SAMPLE[name], *batch), rel=1e-5)
    loss.backward()
    assert batch[0].grad.abs().sum() > 0


@pytest.mark.parametrize("smoothing", [0.1, 0.5])
def test_label_smoothing(batch, smoothing):
    loss = make_loss("cross_entropy", label_smoothing=smoothing)(*batch)
    expected = mean_of(lambda row, label: cross_entropy(row, label, smoothing), *batch)
    assert loss.item() == pytest.approx(expected, rel=1e-5)


def test_nll_of_log_probabilities_is_cross_entropy(batch):
    logits, labels = batch
    found = make_loss("nll")(logits.log_softmax(1), labels)
    torch.testing.assert_close(found, make_loss("cross_entropy")(logits, labels))


@pytest.mark.parametrize(
    ("name", "smoothing", "sentence"),
    [
        ("crossentropy", 0.0, 'Unknown loss "crossentropy". Did you mean "cross_entropy"? Known:'),
        ("nll", 0.1, "label_smoothing is a setting of cross_entropy; nll has none."),
        ("multi_margin", 0.1, "multi_margin has none."),
        ("cross_entropy", 1.0, "from 0 to below 1; got 1.0"),
        ("cross_entropy", -0.1, "from 0 to below 1; got -0.1"),
        ("cross_entropy", math.nan, "from 0 to below 1; got nan"),
    ],
)
def test_what_cannot_be_is_said_in_a_sentence(name, smoothing, sentence):
    with pytest.raises(CnnzooError) as error:
        make_loss(name, label_smoothing=smoothing)
    assert sentence in str(error.value)
