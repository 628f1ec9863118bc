"""Runs to be killed, as functions that another process can import: data, model and settings.

``SCENARIOS[name]()`` gives the model, the training data, the test data and the settings. Between
them they have everything that a checkpoint could forget.
"""

import random
import resource
import signal

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

import cnnzoo
import cnnzoo.train.trainer  # so that a server which imports this file has all of it
from cnnzoo.cli._killed import arm
from cnnzoo.train import run_folder


class Shaky(Dataset):
    """Pictures changed at random by each of the three generators that transforms draw from."""

    def __init__(self, image_set):
        self.images = image_set.preprocessing(image_set.images)
        self.labels = image_set.labels

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        shift = random.randrange(-2, 3)
        image = self.images[index].roll(shift, 2) * np.random.uniform(0.9, 1.1)
        return image + 0.05 * torch.randn_like(image), self.labels[index]


def dropout_net():
    torch.manual_seed(3)
    return nn.Sequential(
        nn.Conv2d(1, 4, 5, 4), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Dropout(0.5),
        nn.Linear(144, 10),
    )  # fmt: skip


def of_the_zoo():
    train, test = cnnzoo.load_data("digits")
    torch.manual_seed(0)
    model = cnnzoo.build("single_layer_cnn")
    settings = {
        "epochs": 3,
        "batch_size": 8,
        "accumulate": 2,
        "optimizer": "adamw",
        "lr": 0.003,
        "scheduler": "one_cycle",
        "augment": "shift=2,rotate=10",
        "ema": 0.9,
        "clip_norm": 1.0,
        "hold_out": 0.1,
        "keep_best": True,
        "checkpoint_steps": 3,
    }
    return model, train[:160], test[:40], settings


def with_dropout():
    train, test = cnnzoo.load_data("digits")
    settings = {"epochs": 3, "batch_size": 16, "lr": 0.05, "checkpoint_steps": 3}
    return dropout_net(), Shaky(train[:160]), Shaky(test[:40]), settings


def with_workers():
    model, train, test, settings = with_dropout()
    loader = DataLoader(
        train, batch_size=16, shuffle=True, num_workers=2, multiprocessing_context="fork"
    )
    return model, loader, test, {**settings, "epochs": 2, "scheduler": "cosine"}


SCENARIOS = {each.__name__: each for each in (of_the_zoo, with_dropout, with_workers)}


def go_on(name, run, moment=None, most=None):
    """Start or resume a run, as a person would.

    It dies at ``moment`` if there is one; and if there is ``most``, (steps, bytes), in the middle
    of writing the first file that is longer, after so many steps.
    """
    torch.set_num_threads(1)
    run_folder.draw_plots = lambda *args: None  # two seconds, and nothing of it is read again
    model, train, test, settings = SCENARIOS[name]()
    if moment:
        arm(moment, run)
    if (run / "checkpoint.pt").is_file():
        trainer = cnnzoo.Trainer.resume(run, model, progress=False)
    else:
        trainer = cnnzoo.Trainer(model, out=run, progress=False, **settings)
    # In every run, because the receipt names it.
    trainer.callbacks.insert(0, DiesInAWrite(*most or (0, 0)))
    trainer.fit(train, test)


class DiesInAWrite(cnnzoo.Callback):
    """Lets the system kill the process inside the write() that makes a file too long.

    After so many steps; 0: never.
    """

    def __init__(self, steps, size):
        self.steps, self.size = steps, size

    def on_step_end(self, trainer):
        self.steps -= 1
        if not self.steps:
            signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            resource.setrlimit(resource.RLIMIT_FSIZE, (self.size, self.size))
