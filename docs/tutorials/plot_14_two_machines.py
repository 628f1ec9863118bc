"""14. Train on two machines
=========================

When one machine is not enough, several can share a training. Each takes a part of every batch. In
this chapter we first do their work by hand, in one program, to see that nothing is lost. Then we
start two real programs that train together, and compare their weights with those of one program
that works alone, step by step.
"""

import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F

import cnnzoo
from cnnzoo.data import sample_order

DIGIT = 180
train, test = cnnzoo.load_data("digits")
model = cnnzoo.build("mnist_cnn", weights="mnist")

# %%
# A batch, shared by two
# ----------------------
#
# A program that is running is called a *process*. Let two processes train the same network. Each
# has its own copy of the weights, all data, and a number: 0 or 1, its *rank*. In every step each
# takes 64 digits. Together that is a batch of 128.
#
# Who takes which digit? They could talk about it, but they need not. The order of an epoch follows
# from the seed and the number of the epoch, so both know it. Of every batch, process 0 takes the
# first, the third, the fifth … and process 1 the others.

order = sample_order(len(train), seed=0, epoch=0)
print("the first of the epoch:", order[:8].tolist())
loaders = [train.batches(64, shuffle=True, seed=0, rank=rank, world=2) for rank in (0, 1)]
(images_0, labels_0), (images_1, labels_1) = (next(iter(loader)) for loader in loaders)
print("labels for process 0:", labels_0[:4].tolist(), " for process 1:", labels_1[:4].tolist())
assert torch.equal(labels_0, train.labels[order[0:128:2]])
assert torch.equal(labels_1, train.labels[order[1:128:2]])

# %%
# The first digits of the epoch. Those in blue go to process 0, those in orange to process 1.

figure, axes = plt.subplots(3, 8, figsize=(5.4, 2.2), layout="constrained")
for position, ax in enumerate(axes.flat):
    colour = (np.array([0.1, 0.45, 0.9]), np.array([1.0, 0.6, 0.1]))[position % 2]
    ink = train.images[order[position], 0].numpy()[..., None] / 255
    ax.imshow(ink * colour)
    ax.set_axis_off()

# %%
# In an epoch, each digit goes to exactly one of them. When the digits run out, the last batch is
# smaller, and sometimes one process gets a digit less than the other. Nobody is counted twice.

sizes = [[len(labels) for _, labels in loader] for loader in loaders]
print("process 0:", sizes[0][-3:], " process 1:", sizes[1][-3:], " together:", sum(map(sum, sizes)))
assert sum(map(sum, sizes)) == len(train)

# %%
# The average of the gradients
# ----------------------------
#
# Each process makes the forward and the backward pass with its own 64 digits. So each gets another
# gradient. If each took its own step, the two networks would drift apart. So before the step, they
# tell each other their gradients, and both take the average of the two. Both begin with the same
# weights, both take the same step, so both end with the same weights.
#
# And the average of the two is the gradient of all 128 digits. The loss is a mean over digits, and
# the mean of 128 numbers is the mean of the means of its two halves. Let us check this with our
# network.


def gradient(images, labels):
    model.zero_grad(set_to_none=True)
    F.cross_entropy(model(images), labels).backward()
    return torch.cat([parameter.grad.flatten() for parameter in model.parameters()])


own_0, own_1 = gradient(images_0, labels_0), gradient(images_1, labels_1)
whole = gradient(torch.cat([images_0, images_1]), torch.cat([labels_0, labels_1]))
average = (own_0 + own_1) / 2


def difference(one, other):
    return float((one - other).norm() / other.norm())


print(f"process 0 alone, against the whole batch: {difference(own_0, whole):.2f}")
print(f"process 1 alone, against the whole batch: {difference(own_1, whole):.2f}")
print(f"the average,     against the whole batch: {difference(average, whole):.1e}")
assert difference(own_0, whole) > 0.05
assert difference(average, whole) < 1e-5

# %%
# The numbers say how long the difference is, as a part of the gradient's length. Alone, each is far
# off. The average is right up to rounding.
#
# This way of sharing is called *data parallel*: everybody has the whole network and a part of the
# data. PyTorch has it under the name ``DistributedDataParallel``, in short DDP, and cnnzoo uses
# that. DDP does not wait for the end of the backward pass: as soon as the gradients of the last
# layers are there, they can travel, while the first layers are still being computed.
#
# Two real processes
# ------------------
#
# Now for real. This is a program as you would write it for one process. Nothing in it says how many
# there will be. All processes run all of it. After each step it keeps a copy of the weights, so
# that we can compare. In a program of yours, you need no ``KeepWeights``.

program = '''
import sys

import torch

import cnnzoo


class KeepWeights(cnnzoo.Callback):
    """Remember the weights after every step."""

    def __init__(self):
        self.kept = []

    def on_step_end(self, trainer):
        state = trainer.model.state_dict()
        self.kept.append(torch.cat([value.flatten().clone() for value in state.values()]))


batch_size, file = int(sys.argv[1]), sys.argv[2]
train, test = cnnzoo.load_data("digits")
torch.manual_seed(0)
model = cnnzoo.build("mnist_cnn")
keep = KeepWeights()
trainer = cnnzoo.Trainer(
    model, epochs=2, batch_size=batch_size, lr=0.01, callbacks=[keep], progress=False
)
history = trainer.fit(train, test)
rank, world = trainer.processes.rank, trainer.processes.world
result = {"steps": keep.kept, "rank": rank, "world": world, "test": history[-1].test_accuracy}
torch.save(result, f"{file}-{rank}.pt")
'''
folder = Path(tempfile.mkdtemp())
(folder / "program.py").write_text(program)

# %%
# One process alone is started with ``python program.py``. Two are started by ``torchrun``, which
# comes with PyTorch. (Its other name is ``python -m torch.distributed.run``.) It runs the same
# program twice, and tells each its rank. They meet at an address and a *port*. The address
# 127.0.0.1 means "this machine", and a port is like the number of a door in it.
#
# The process alone takes 128 digits a step, the two take 64 each.

with socket.socket() as probe:  # a port that nobody uses just now
    probe.bind(("127.0.0.1", 0))
    port = probe.getsockname()[1]

alone = [sys.executable, "program.py", "128", "alone"]
torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
torchrun += ["--master-addr", "127.0.0.1", "--master-port", str(port)]
together = [*torchrun, "program.py", "64", "together"]
one_thread = os.environ | {"OMP_NUM_THREADS": "1"}  # each of them
running = [
    subprocess.Popen(
        command,
        cwd=folder,
        env=one_thread,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    for command in (alone, together)
]
for process in running:
    said, complained = process.communicate(timeout=300)
    assert process.returncode == 0, complained

found = {file.stem: torch.load(file) for file in sorted(folder.glob("*.pt"))}
for name, result in found.items():
    print(
        f"{name:<11} rank {result['rank']} of {result['world']}, {len(result['steps'])} steps, ",
        end="",
    )
    print(f"test accuracy {result['test']:.4f}")
assert set(found) == {"alone-0", "together-0", "together-1"}

# %%
# Step by step
# ------------
#
# First, the two processes with each other. Their weights are equal to the last bit, after every
# step: both added the same numbers.

steps = {name: torch.stack(result["steps"]) for name, result in found.items()}
assert torch.equal(steps["together-0"], steps["together-1"])
print("the two processes: equal,", tuple(steps["together-0"].shape), "(steps, weights)")

# %%
# Then the two together with the one alone. Here are the largest differences between any two of the
# weights, for some of the steps. The second column is how far the weights have come from where they
# began, to compare with.

apart = (steps["together-0"] - steps["alone-0"]).abs().amax(1)
torch.manual_seed(0)
begin = torch.cat([value.flatten() for value in cnnzoo.build("mnist_cnn").state_dict().values()])
moved = (steps["alone-0"] - begin).abs().amax(1)
for step in (0, 1, 5, 11, 17, 23):
    print(f"step {step + 1:>2}: apart {apart[step]:.1e}, moved {moved[step]:.1e}")
assert apart.max() < 1e-4
assert moved[-1] > 100 * apart.max()
assert abs(found["alone-0"]["test"] - found["together-0"]["test"]) < 0.01

# %%
# They are the same weights up to rounding: the gradients were added up in another order. Orange is
# how far the weights have moved, blue is how far the two ways are apart.

figure, ax = plt.subplots(figsize=(5, 3), layout="constrained")
numbers = range(1, len(apart) + 1)
ax.semilogy(numbers, moved, "-o", ms=3, color="tab:orange")
ax.semilogy(numbers, apart.clamp(min=1e-12), "-o", ms=3, color="C0")
ax.set_ylim(1e-10, 1)
ax.set_ylabel(r"$\max\,|\Delta w|$")
ax.set_xlabel("step", family="monospace")
ax.grid(alpha=0.3)

# %%
# Two machines
# ------------
#
# Two machines are no different from two processes, except that they have to find each other. You
# start the same command on both. One of the machines is the first. Its address goes into the
# command on both, and so does a port, which has to be open to the other. Only ``--node-rank``
# differs.
#
# .. code-block:: sh
#
#    # on the first machine, whose address is 10.77.0.1
#    torchrun --nnodes 2 --nproc-per-node 1 --node-rank 0 --master-addr 10.77.0.1 \
#        --master-port 29500 -m cnnzoo train mnist_cnn --epochs 2 --out RUN
#
#    # on the second
#    torchrun --nnodes 2 --nproc-per-node 1 --node-rank 1 --master-addr 10.77.0.1 \
#        --master-port 29500 -m cnnzoo train mnist_cnn --epochs 2 --out RUN
#
# This page was built on one machine, so these two commands did not run here. The messages between
# the two processes above took the same way that they take between machines, through a network
# connection, only that both its ends were here.
#
# When does it pay?
# -----------------
#
# In every step all gradients travel. So much data per step, in each direction:

count = sum(parameter.numel() for parameter in model.parameters())
print(f"{count:,} gradients of 4 bytes: {count * 4 / 1e6:.2f} MB a step")

# %%
# That is little. But a step of this small network takes a few thousandths of a second, and the
# processes have to meet once in every step. So for this network, one process with two cores is
# faster than two processes on the same two cores. Sharing pays for larger networks, and for more
# cores than one machine has. :doc:`/many_machines` has all the details.
#
# Two things to know:
#
# - *Batch norm*, which some networks have, looks at the mean of a batch. Each process only sees its
#   own part, so such a network trains as with the smaller batch.
# - When one process dies, the others cannot go on alone. They notice it, and end with a sentence
#   that says so. The run goes on from its last *checkpoint*: the next chapter.
#
# What to try
# -----------
#
# - Give the two processes 128 digits each, and compare with one that takes 128. Which is more like
#   which, and why?
# - Start three processes with a batch of 43. How large is the last batch of each?
# - Kill one of the two in the middle of a longer training, with ``kill -9``. What does the other
#   one say?
#
# Next: :doc:`plot_15_reproduce_a_run`.
