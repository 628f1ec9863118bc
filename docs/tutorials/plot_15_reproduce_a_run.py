"""15. Reproduce a run, bit for bit
================================

You trained a network, and it was good. A year later somebody asks how you did it. Can you do it
again, and get the same network? Not a similar one: the same, down to the last bit of every weight.
In this chapter we do it, interrupt a training by force and let it go on, and look at what breaks
the spell.
"""

import csv
import json
import os
import signal
import struct
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch

import cnnzoo
from cnnzoo.data import sample_order
from cnnzoo.train import replay
from cnnzoo.train.hashes import weights_hash

DIGIT = 180
train, test = cnnzoo.load_data("digits")
folder = Path(tempfile.mkdtemp())

# %%
# Chance, and where it comes from
# -------------------------------
#
# A training is full of chance: the first weights are drawn at random, and so is the order of the
# digits. But a computer does not throw dice. It computes numbers that look like chance, one after
# the other, from a beginning called the *seed*. The same seed gives the same numbers.
#
# To compare two networks, we take their *hash*: a text of 64 letters and digits that is computed
# from all weights. Change one bit of one weight, and the hash is another one. (It is called
# SHA-256.)


def first_weights(seed):
    torch.manual_seed(seed)
    return weights_hash(cnnzoo.build("mnist_cnn").state_dict())


for seed in (0, 0, 1):
    print(f"seed {seed}: {first_weights(seed)[:24]}…")
assert first_weights(0) == first_weights(0)
assert first_weights(0) != first_weights(1)

# %%
# An order that anybody can compute
# ---------------------------------
#
# Chance drawn one number after the other has a weakness. To know the order of epoch 7, you first
# have to draw all that came before it. And if some other part of the program draws one number more,
# everything after it changes.
#
# So in cnnzoo the order of an epoch is a *function* of two numbers: the seed, and the number of the
# epoch. You put in two numbers, and out comes the order. Nothing that happened before matters.

for epoch in (0, 1, 7):
    print(f"epoch {epoch}:", sample_order(len(train), seed=0, epoch=epoch)[:8].tolist())
torch.rand(1000)  # somebody draws a lot of numbers
print("epoch 7:", sample_order(len(train), seed=0, epoch=7)[:8].tolist())

# %%
# Take one digit of the training set, number 180. At which place does it come in the first twelve
# epochs? At another one each time, and we know it before any training begins. (The digit of the
# other chapters has the same number, but in the test set, which is never shuffled.)

places = [
    int((sample_order(len(train), seed=0, epoch=epoch) == DIGIT).nonzero()) for epoch in range(12)
]
figure, ax = plt.subplots(figsize=(5, 2.4), layout="constrained")
ax.stem(range(12), places, basefmt=" ")
ax.set_ylim(0, len(train))
ax.set_xlabel("epoch", family="monospace")
ax.set_xticks(range(12))
ax.grid(axis="y", alpha=0.3)

# %%
# The small random shifts and turns of *augmentation* are functions, too: of the seed, the epoch and
# the position of the batch.
#
# A run and its receipt
# ---------------------
#
# Now we train, in a folder. (In a shell: ``cnnzoo train mnist_cnn --epochs 2 --out RUN``.)


def new_trainer(**more):
    torch.manual_seed(0)
    model = cnnzoo.build("mnist_cnn")
    return cnnzoo.Trainer(model, epochs=2, seed=0, checkpoint_steps=5, progress=False, **more)


run = folder / "run"
trainer = new_trainer(out=run)
print(trainer.fit(train, test))
print(sorted(file.name for file in run.iterdir()))

# %%
# ``receipt.json`` says what the bits of this run depend on: the settings, the data, the machine,
# and which program ran each layer. Then there are the hashes of the weights: of the first ones, of
# those after each epoch, and of the last. Here are parts of it.

receipt = json.loads((run / "receipt.json").read_text())
print("data", receipt["data"]["train"])
for key in ("torch", "cpu", "threads", "implementations"):
    print(key, receipt["sessions"][0][key])
print("initial", receipt["weights"]["initial"][:24])
print("final  ", receipt["weights"]["final"][:24])
assert receipt["weights"]["initial"] == first_weights(0)
assert receipt["weights"]["final"] == weights_hash(trainer.model.state_dict())

# %%
# ``steps.csv`` has the loss of every step, with all its digits.

with (run / "steps.csv").open() as file:
    rows = list(csv.DictReader(file))
losses = [float(row["loss"]) for row in rows]
for row in rows[:3]:
    print(row)

# %%
# Once more
# ---------
#
# ``replay`` trains the run again and compares: every loss, the weights after every epoch, and the
# last ones. At the first difference it stops. (In a shell: ``cnnzoo replay RUN``. It exits with
# status 1 if anything differs, so that it can be a test.)

again = replay(run, train, test)
print(again.sentence)
assert again.identical
assert again.steps == len(losses)

# %%
# Killed, and still the same
# --------------------------
#
# A training that takes days will be interrupted some day. So cnnzoo saves a *checkpoint* after
# every epoch, and, as we asked above, after every five steps: the weights, all that the optimizer
# remembers, and where the run was. It is written so that at any moment there is a whole one: first
# to another file, which then takes the place of the old one in one go.
#
# We try it. This program trains as we did, but in the middle of the second epoch it kills itself,
# as if the power had failed. ``SIGKILL`` is the signal that no program can answer: there is no time
# to save anything.

program = """
import os, signal, sys

import torch

import cnnzoo


class PowerCut(cnnzoo.Callback):
    def on_step_end(self, trainer):
        if trainer.epoch == 1 and trainer.step == 13:
            os.kill(os.getpid(), signal.SIGKILL)


train, test = cnnzoo.load_data("digits")
torch.manual_seed(0)
model = cnnzoo.build("mnist_cnn")
trainer = cnnzoo.Trainer(
    model,
    epochs=2,
    seed=0,
    checkpoint_steps=5,
    out=sys.argv[1],
    callbacks=[PowerCut()],
    progress=False,
)
trainer.fit(train, test)
"""
killed = folder / "killed"
same_threads = os.environ | {"OMP_NUM_THREADS": str(torch.get_num_threads())}
ended = subprocess.run([sys.executable, "-c", program, str(killed)], env=same_threads, check=False)
print("ended by signal", -ended.returncode)
print(sorted(file.name for file in killed.iterdir()))
assert ended.returncode == -signal.SIGKILL

# %%
# No receipt, no ``steps.csv``: this run has not ended. ``resume`` lets it go on. (In a shell:
# ``cnnzoo train --resume RUN``.)

resumed = cnnzoo.Trainer.resume(killed, progress=False)
print("goes on after step", resumed.step, "of epoch", resumed.epoch + 1)
assert (resumed.epoch, resumed.step) == (1, 10)
resumed.fit(train, test)

with (killed / "steps.csv").open() as file:
    losses_of_killed = [float(row["loss"]) for row in csv.DictReader(file)]
print("losses equal:", losses_of_killed == losses)
print("killed     ", weights_hash(resumed.model.state_dict())[:24])
print("undisturbed", receipt["weights"]["final"][:24])
assert losses_of_killed == losses
assert weights_hash(resumed.model.state_dict()) == receipt["weights"]["final"]

# %%
# The steps 11 to 13 were lost in the power cut and were done again, and came out the same.
#
# One try proves little. ``cnnzoo verify-resume mnist_cnn`` trains once in peace, and once killed
# three times at random moments, some of them in the middle of writing a file. Then it compares
# every bit of both.
#
# What breaks it
# --------------
#
# First: other data. We make one pixel of one digit a tiny bit brighter. No eye could see it. The
# hash of the data does.

images = train.images.clone()
images[0, 0, 14, 14] ^= 1
other = cnnzoo.data.ImageSet(
    images, train.labels, train.classes, train.preprocessing, name="digits", split="train"
)
altered = replay(run, other, test)
print(altered.sentence)
assert not altered.identical

# %%
# Second: another order of additions. Computers round after every addition, so it matters what is
# added first.

one, two = (0.1 + 0.2) + 0.3, 0.1 + (0.2 + 0.3)
print(one, two)
assert one != two

# %%
# A number is kept in 64 bits. The first 48 of both are equal. Here are the last 16, and those in an
# orange frame are different.

bits = [f"{int.from_bytes(struct.pack('>d', number), 'big'):064b}" for number in (one, two)]
shown = np.array([[int(bit) for bit in row] for row in bits])
differ = int((shown[0] != shown[1]).sum())
print("bits that differ:", differ)
assert (shown[0, :48] == shown[1, :48]).all()

figure, ax = plt.subplots(figsize=(5, 0.9), layout="constrained")
last = shown[:, 48:]
ax.imshow(last, cmap="Blues", vmin=0, vmax=3)
for row, column in np.ndindex(last.shape):
    ax.text(column, row, last[row, column], ha="center", va="center", color="#222222")
for place in np.flatnonzero(last[0] != last[1]):
    ax.add_patch(plt.Rectangle((place - 0.45, -0.45), 0.9, 1.9, fill=False, ec="tab:orange", lw=3))
ax.set_axis_off()

# %%
# Which order is taken depends on the program that computes. PyTorch's own layers are right as well,
# but add up in another order than the fused operator. So we train with them, from the same first
# weights. ``replay`` tells where the first difference is. Before, it warns that something is not as
# it was.

torch.manual_seed(0)
eager = cnnzoo.build("mnist_cnn", conv_relu_maxpool="eager")
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    changed = replay(run, train, test, model=eager)
for warning in said:
    print("warning:", warning.message)
print(changed.sentence)
assert not changed.identical

# %%
# A last bit is next to nothing. But each step builds on the one before, so the difference grows.
# Here is how far the losses of the two are apart, step by step. Where a step has no dot, they are
# equal.


class KeepLosses(cnnzoo.Callback):
    def __init__(self):
        self.kept = []

    def on_step_end(self, trainer):
        self.kept.append(float(trainer.last_loss))


torch.manual_seed(0)
eager = cnnzoo.build("mnist_cnn", conv_relu_maxpool="eager")
keep = KeepLosses()
cnnzoo.Trainer(eager, epochs=2, seed=0, callbacks=[keep], progress=False).fit(train)
apart = np.abs(np.array(keep.kept) - np.array(losses))
print(f"largest difference of a loss: {apart.max():.1e}, and the losses themselves:")
print([round(loss, 3) for loss in (losses[0], losses[-1])])
assert apart.max() > 0

figure, ax = plt.subplots(figsize=(5, 3), layout="constrained")
steps = np.arange(1, len(apart) + 1)
ax.semilogy(steps[apart > 0], apart[apart > 0], ".")
ax.set_xlabel("step", family="monospace")
ax.set_ylabel(r"$|L - L^\prime|$")
ax.grid(alpha=0.3)

# %%
# Both networks are equally good. They are not the same.
#
# All that can change the order of additions is on the receipt:
#
# - *Another processor*, with another instruction set.
# - *Another number of threads*. cnnzoo's operator gives the same bits with any number. PyTorch's
#   own layers, such as the linear ones here, do not promise it. So ``replay`` takes the number of
#   the receipt.
# - *Another version* of PyTorch.
# - *A graphics processor* (GPU). On some of them, even the same program gives other bits each time.
#
# So the promise is: the same machine, the same versions, the same settings, the same bits. On
# another machine you get a network that is as good, and nobody can promise more.
# :doc:`/reproducing` has the details.
#
# What to try
# -----------
#
# - Write ``seed=1`` into ``new_trainer``, but leave ``torch.manual_seed(0)``. Is the first loss the
#   same as before? And the first weights?
# - Open ``receipt.json`` of a run of your own. Which of its lines would be different on the machine
#   of a friend?
# - Run ``cnnzoo verify-resume single_layer_cnn``, and read when it was killed.
#
# This was the last chapter. You have followed one digit from its pixels to the answer, and from the
# mistake back to the weights. Now take a network of your own: ``cnnzoo demo`` shows it at work,
# and :doc:`/reference/index` has everything that this course left out.
