"""Networks as people write them, for the tests of `cnnzoo.fuse`."""

import torch
import torch.nn.functional as F
from torch import nn

import cnnzoo


def stack(*more, channels=16):
    """Conv → ReLU → max-pool, (N, 3, H, W), and what follows."""
    return nn.Sequential(nn.Conv2d(3, channels, 3), nn.ReLU(), nn.MaxPool2d(2), *more)


class Tutorial(nn.Module):
    """PyTorch's beginner's network: functions in the forward, and a view of the pool's output."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 5)
        self.conv2 = nn.Conv2d(16, 32, 5)
        self.fc1 = nn.Linear(32 * 16, 50)
        self.fc2 = nn.Linear(50, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = torch.relu(F.max_pool2d(self.conv2(x), (2, 2)))
        x = x.view(-1, 32 * 16)
        x = F.dropout(F.relu(self.fc1(x)), training=self.training)
        return F.log_softmax(self.fc2(x), dim=1)


class SharedModules(nn.Module):
    """One ReLU and one pool in several places."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3)
        self.conv2 = nn.Conv2d(16, 16, 3)
        self.relu = nn.ReLU(inplace=True)
        self.pool = nn.MaxPool2d(2)
        self.fc = nn.Linear(16 * 36, 10)

    def forward(self, x):
        x = self.pool(self.relu(self.conv1(x)))
        x = self.pool(self.relu(self.conv2(x)))
        return self.relu(self.fc(x.view(x.size(0), -1)))


class ConvTwice(nn.Module):
    """One convolution in two places, only one of them before a pool."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(16, 16, 3, padding=1)

    def forward(self, x):
        return self.conv(F.max_pool2d(self.conv(x).relu(), 2))


class Branching(nn.Module):
    """A forward that torch.fx cannot read, around a Sequential that is viewed."""

    def __init__(self):
        super().__init__()
        self.features = stack(nn.Conv2d(16, 16, 3), nn.ReLU(), nn.MaxPool2d(2))
        self.head = nn.Linear(16 * 36, 10)

    def forward(self, x):
        if x.mean() > 1e9:
            return x
        x = self.features(x)
        return self.head(x.view(x.size(0), -1))


class Block(nn.Module):
    """Convolution, batch norm and ReLU as a module of its own."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(16)

    def forward(self, x):
        return F.relu(self.norm(self.conv(x)), inplace=True)


def with_statistics(model):
    """Give the batch norms something to fold."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(std=0.3)
            module.running_var.uniform_(0.5, 1.5)
            if module.affine:
                nn.init.uniform_(module.weight, -1.0, 1.5)
                nn.init.normal_(module.bias, std=0.3)
    return model


def same_answers(model, x, *, fused=None):
    """Fuse without an example, so that every site is taken; compare in eval mode."""
    fused = cnnzoo.fuse(model) if fused is None else fused
    model.eval()
    fused.eval()
    with torch.no_grad():
        torch.testing.assert_close(fused(x), model(x), rtol=1e-4, atol=1e-5)
    return fused
