"""Data sets, models and losses from elsewhere, as their authors document them."""

import pytest
import torch
import torchvision
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from torchvision import transforms
from torchvision.datasets import ImageFolder

import cnnzoo


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Dark and bright pictures, in a folder each."""
    root = tmp_path_factory.mktemp("pictures")
    generator = torch.Generator().manual_seed(0)
    for name, level in (("dark", 60), ("bright", 190)):
        (root / name).mkdir()
        for number in range(12):
            noise = torch.randint(-50, 50, (32, 32, 3), generator=generator)
            pixels = (level + noise).to(torch.uint8).numpy()
            Image.fromarray(pixels).save(root / name / f"{number}.png")
    return root


@pytest.mark.parametrize("workers", [0, 2])
def test_an_image_folder_with_workers_and_random_transforms(folder, workers):
    transform = transforms.Compose(
        [transforms.RandomHorizontalFlip(), transforms.RandomCrop(24), transforms.ToTensor()]
    )
    data = ImageFolder(folder, transform)
    weights = []
    for _ in range(2):
        torch.manual_seed(1)
        model = nn.Sequential(nn.AvgPool2d(8), nn.Flatten(), nn.Linear(27, 2))
        loader = DataLoader(data, batch_size=8, shuffle=True, num_workers=workers)
        trainer = cnnzoo.Trainer(model, epochs=6, lr=0.5, progress=False)
        history = trainer.fit(loader)
        weights.append(model[2].weight.detach().clone())
    assert history[-1].train_accuracy == 1.0
    assert torch.equal(*weights)
    assert model.classes == ("bright", "dark")


@pytest.mark.parametrize("workers", [0, 2])
def test_pictures_that_are_no_tensors(folder, workers):
    loader = DataLoader(ImageFolder(folder), batch_size=8, shuffle=True, num_workers=workers)
    model = nn.Sequential(nn.AvgPool2d(8), nn.Flatten(), nn.Linear(48, 2))
    with pytest.raises(cnnzoo.CnnzooError, match=r"PIL images needs transform=torchvision\.tr"):
        cnnzoo.Trainer(model, epochs=1, progress=False).fit(loader)


def test_a_torchvision_model(folder):
    data = ImageFolder(folder, transforms.ToTensor())
    model = torchvision.models.squeezenet1_1(num_classes=2)
    trainer = cnnzoo.Trainer(
        model, epochs=3, batch_size=8, optimizer="adamw", lr=1e-3, progress=False
    )
    history = trainer.fit(data, data)
    assert history[-1].train_loss < history[0].train_loss
    assert len(trainer.evaluation.labels) == 24


def test_a_loss_of_ones_own(folder):
    class Brier(nn.Module):
        """Mean squared distance of the probabilities from the truth."""

        def forward(self, logits, labels):
            truth = nn.functional.one_hot(labels, logits.shape[1])
            return (logits.softmax(1) - truth).square().sum(1).mean()

    data = ImageFolder(folder, transforms.ToTensor())
    model = nn.Sequential(nn.AvgPool2d(32), nn.Flatten(), nn.Linear(3, 2))
    trainer = cnnzoo.Trainer(model, epochs=4, lr=1.0, loss=Brier(), progress=False)
    history = trainer.fit(data, data)
    assert 0 < history[-1].test_loss < 0.5


@pytest.mark.parametrize(
    "targets", [torch.rand(8), torch.randint(0, 2, (8, 3))], ids=["regression", "multi-label"]
)
def test_other_tasks_are_refused(targets):
    data = TensorDataset(torch.rand(8, 1, 4, 4), targets)
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 3))
    with pytest.raises(cnnzoo.CnnzooError, match="not what this trainer is for"):
        cnnzoo.Trainer(model, epochs=1, progress=False).fit(data)
