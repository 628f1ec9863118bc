"""What `test_distributed.py` lets several processes do; each writes what it found.

``torchrun … distributed_cases.py FOLDER CASE …``; the test does the same with one process.
"""

import dataclasses
import os
import signal
import sys
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import cnnzoo
from cnnzoo.train import Callback, run_folder
from cnnzoo.train.guard import Interrupted
from cnnzoo.train.processes import Processes

PLAIN = {"epochs": 2, "lr": 0.02}
EVERYTHING = {
    "epochs": 2,
    "lr": 0.02,
    "scheduler": "one_cycle",
    "accumulate": 2,
    "augment": "shift=2,rotate=10",
    "ema": 0.9,
    "clip_norm": 0.5,
    "hold_out": 0.1,
    "keep_best": True,
    "optimizer": "adamw",
}


class Weights(Callback):
    """Keeps the weights after every step, those that processes hold in pieces too."""

    def __init__(self):
        self.steps = []

    def on_step_end(self, trainer):
        trainer.gather()
        self.steps.append(flat(trainer.model))


class At(Callback):
    """Does something once, after a step of an epoch."""

    def __init__(self, epoch, step, do):
        self.place, self.do = (epoch, step), do

    def on_step_end(self, trainer):
        if (trainer.epoch, trainer.step) == self.place:
            self.do()


def interrupt():
    """Stop in all processes at once."""
    raise Interrupted("Here.")


def flat(model):
    return torch.cat([p.detach().flatten() for p in model.state_dict().values()])


def model_of(seed=7, name="single_layer_cnn"):
    torch.manual_seed(seed)
    return cnnzoo.build(name)


def digits(train=None, test=None):
    """Return the first of the embedded digits; by default all."""
    parts = cnnzoo.load_data("digits")
    return parts.train[:train], parts.test[:test]


def train(world, *, n=(333, 101), model=None, callbacks=(), batch=24, **settings):
    """Train with ``batch`` images a step, however many share it; return what came out."""
    data, test = digits(*n)
    weights = Weights()
    trainer = cnnzoo.Trainer(
        model or model_of(),
        progress=False,
        callbacks=[weights, *callbacks],
        batch_size=batch // world,
        **settings,
    )
    history = trainer.fit(data, test)
    found = trainer.evaluate(test)
    return {
        "steps": torch.stack(weights.steps),
        "final": flat(trainer.model),
        "history": torch.tensor([_numbers(row) for row in history]),
        "labels": found.labels,
        "predictions": found.predictions,
        "confidences": found.confidences,
        "numbers": torch.tensor([found.loss, found.accuracy]),
    }


def _numbers(row):
    """All but the seconds."""
    return [number for number in dataclasses.astuple(row)[:-1] if number is not None]


def as_loader(data, batch_size):
    """Return a DataLoader over an ordinary Dataset of the images."""
    pictures = torch.stack([data[index][0] for index in range(len(data))])
    return DataLoader(TensorDataset(pictures, data.labels), batch_size=batch_size, shuffle=True)


def plain(folder, world, rank):
    return train(world, **PLAIN)


def everything(folder, world, rank):
    return train(world, **EVERYTHING)


def pieces(folder, world, rank):
    """Train in pieces, stop in the middle, go on from the file."""
    settings = EVERYTHING | {"parallel": "fsdp"}
    found = train(world, model=model_of(seed=7 + rank), **settings)  # the first one's counts
    run = folder / "pieces"
    try:
        train(world, out=run, callbacks=[At(1, 2, interrupt)], **settings)
        raise AssertionError("it was to stop")
    except Interrupted:
        trainer = cnnzoo.Trainer.resume(run, progress=False)
    trainer.fit(*digits(333, 101))
    kinds = {type(p).__name__ for p in trainer.trained.parameters()}
    return found | {"resumed": flat(trainer.model), "kinds": sorted(kinds)}


def sizes(folder, world, rank):
    """Train and evaluate on so few images that some processes get none."""
    return {n: train(world, batch=12, epochs=2, lr=0.02, n=(n, n)) for n in (1, 2, 5, 101)}


def other_weights(folder, world, rank):
    """Begin with a model of its own in each process: the first one's counts."""
    return train(world, model=model_of(seed=7 + rank), epochs=1, ema=0.9, lr=0.02)


def batch_norm(folder, world, rank):
    """Its running means go their own way in each process, until they are looked at."""
    torch.manual_seed(7)
    layers = (nn.Conv2d(1, 4, 5), nn.BatchNorm2d(4), nn.MaxPool2d(4), nn.Flatten())
    model = nn.Sequential(*layers, nn.LazyLinear(10))
    model(torch.zeros(2, 1, 28, 28))
    return train(world, model=model, epochs=1, ema=0.5, lr=0.02)


def loader(folder, world, rank):
    data, test = digits(333, 101)
    trainer = cnnzoo.Trainer(model_of(), progress=False, epochs=1, lr=0.02)
    trainer.fit(as_loader(data, 24 // world), test)
    return {"final": flat(trainer.model)}


def dropout(folder, world, rank):
    """What torch draws next, in each process."""
    train(world, epochs=1, n=(20, 20))
    return {"drawn": torch.rand(3)}


def error_of_main(folder, world, rank):
    """Start a run where there are files: only the first process looks."""
    try:
        cnnzoo.Trainer(model_of(), out=folder, progress=False)
    except cnnzoo.CnnzooError as error:
        return {"sentence": str(error)}
    raise AssertionError("the folder is taken")


def polite_end(folder, world, rank):
    """SIGTERM reaches one of them: all stop after the same step, and go on from there."""
    run = folder / "polite"
    settings = {"batch_size": 24 // world, "epochs": 40, "lr": 0.02}
    kill = At(1, 1, lambda: rank == world - 1 and os.kill(os.getpid(), signal.SIGTERM))
    trainer = cnnzoo.Trainer(model_of(), out=run, progress=False, callbacks=[kill], **settings)
    try:
        trainer.fit(*digits(333, 101))
        raise AssertionError("it was to stop")
    except Interrupted:
        place = (trainer.epoch, trainer.step)
    trainer = cnnzoo.Trainer.resume(run, progress=False, epochs=place[0] + 2)
    trainer.fit(*digits(333, 101))
    other = cnnzoo.Trainer(model_of(), progress=False, **settings | {"epochs": place[0] + 2})
    other.fit(*digits(333, 101))
    return {"place": place, "resumed": flat(trainer.model), "undisturbed": flat(other.model)}


def one_dies(folder, world, rank):
    """Train into FOLDER/run; the last process kills itself, the first time it is started."""
    run = folder / "run"
    first = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") == "0"
    die = At(1, 2, lambda: first and rank == world - 1 and os.kill(os.getpid(), signal.SIGKILL))
    return train(world, out=run, model=model_of(), callbacks=[die], checkpoint_steps=1, **PLAIN)


if __name__ == "__main__":
    folder, *cases = sys.argv[1:]
    processes = Processes.join()
    run_folder.draw_plots = lambda *args: None  # takes seconds, and nobody looks
    for case in cases:
        file = Path(folder) / f"{case}-{processes.rank}.pt"
        if not file.exists():  # torchrun may have started this script again
            found = globals()[case](Path(folder), processes.world, processes.rank)
            torch.save(found, file)
