"""9. Optimizers and learning rates
================================

Every weight knows its slope. How far should it go? The *learning rate* answers, and it is the one
setting that decides most often whether a network learns at all. In this chapter we try several,
first on a curve that can be computed by hand, then on the network, and then meet the *optimizers*:
recipes for turning slopes into steps.
"""

import math

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F

import cnnzoo
from cnnzoo.train.optimizers import make_optimizer, optimizers

train, test = cnnzoo.load_data("digits")

# %%
# One weight in a bowl
# --------------------
# Let there be a single weight ``w``, and let the loss be ``w² / 2``: a bowl with its bottom at 0.
# The slope at ``w`` is ``w``. One step of *gradient descent* is
#
#   new ``w`` = ``w`` − learning rate · slope
#
# In this bowl each step multiplies ``w`` by 1 − rate. So we know beforehand what will happen. A
# small rate creeps. A rate of 1 arrives in one step. Above 1 it jumps over the bottom to the other
# side, and still comes closer. Above 2 every jump lands higher than it started: it *explodes*.

rates = (0.1, 0.5, 1.0, 1.8, 2.1)
paths = {}
for rate in rates:
    w, path = 1.0, [1.0]
    for _ in range(12):
        slope = w
        w = w - rate * slope
        path.append(w)
    paths[rate] = path
    print(f"rate {rate}: after 12 steps w = {w:+.4f}")
    assert math.isclose(w, (1 - rate) ** 12, abs_tol=1e-12)

# %%
# The same start at five rates: across are the steps, up is the weight.

figure, ax = plt.subplots(figsize=(5, 3.6), layout="constrained")
for (rate, path), mark in zip(paths.items(), ("o-", "s-", "^-", "d--", "x--"), strict=True):
    ax.plot(range(13), path, mark, ms=5, lw=1.2, label=f"lr = {rate}")
ax.axhline(0, color="gray", ls=":")
ax.set_xlabel("step", family="monospace")
ax.set_ylabel("$w$")
ax.legend(prop={"family": "monospace", "size": 8}, loc="lower left")
ax.grid(alpha=0.3)

# %%
# The last two in their bowl, 1.8 above and 2.1 below. The same jumping from wall to wall goes down
# in one case and up in the other.

figure, axes = plt.subplots(2, 1, figsize=(5, 4), layout="constrained", sharex=True)
curve = torch.linspace(-3.5, 3.5, 200)
for ax, rate, colour in zip(axes, (1.8, 2.1), ("C3", "C4"), strict=True):
    ax.plot(curve, curve**2 / 2, color="gray", lw=1)
    ax.plot(paths[rate], [w * w / 2 for w in paths[rate]], "o-", color=colour, ms=4, lw=1)
    ax.plot(1, 0.5, "o", color=colour, ms=9)  # the start
axes[1].set_xlabel("$w$")
axes[1].margins(x=0.02)

# %%
# A network is not one bowl but a landscape with as many directions as it has weights, some steep
# and some flat. The steepest of them decides when a rate explodes.
#
# The network at five rates
# -------------------------
# Now measured: the tutorial's network, five times, from the same starting weights and with the same
# pictures in the same order. Only the rate differs. This is the whole training loop: for every
# batch forget the old gradients, forward, loss, backward, step.


def learn(rate, epochs=4):
    torch.manual_seed(0)  # the same starting weights
    model = cnnzoo.build("mnist_cnn")
    optimizer = torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9)
    losses = []
    for epoch in range(epochs):
        for images, labels in train.batches(64, shuffle=True, seed=0).epoch(epoch):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(images), labels)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    return losses


measured = {rate: learn(rate) for rate in (0.0001, 0.001, 0.01, 0.1, 1.0)}
for rate, losses in measured.items():
    last = sum(losses[-10:]) / 10
    print(f"rate {rate:<6}: first {losses[0]:.2f}, largest {max(losses):.3g}, last ten {last:.3g}")

finals = {rate: sum(losses[-10:]) / 10 for rate, losses in measured.items()}
assert finals[0.01] < finals[0.001] < finals[0.0001]
assert max(measured[1.0]) > 100 * measured[1.0][0]  # it explodes

# %%
# Across are the steps, up is the loss of each batch. The upward scale is logarithmic: each of its
# large marks is ten times the one below. The dotted line is ln 10, the loss of knowing nothing. The
# line of rate 1 leaves the picture at the top.

figure, ax = plt.subplots(figsize=(5, 4), layout="constrained")
for rate, losses in measured.items():
    ax.plot(range(1, len(losses) + 1), losses, label=f"{rate:g}", lw=1.3)
ax.axhline(math.log(10), color="gray", ls=":")
ax.set_yscale("log")
ax.set_ylim(0.01, 100)
ax.set_xlabel("step", family="monospace")
ax.set_ylabel("loss", family="monospace")
ax.legend(
    title="lr", ncols=5, fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 1), frameon=False
)
ax.grid(alpha=0.3)

# %%
# The rates 0.0001 and 0.001 learn, but slowly: they would get there with more epochs. 0.01 is good.
# 0.1 is too large for the beginning: the loss jumps up first, and it takes a while to recover. A
# rate of 1 throws the weights so far away that the network is destroyed. Its loss comes down again,
# but only to that of knowing nothing.
#
# If the loss stops being a number, ``cnnzoo.Trainer`` ends the run and says what to look at:

torch.manual_seed(0)
try:
    cnnzoo.Trainer(cnnzoo.build("mnist_cnn"), lr=1e6, epochs=1, progress=False).fit(train)
except cnnzoo.CnnzooError as error:
    print(error)

# %%
# How to choose? Try powers of ten, for a few epochs each. Take the largest rate that goes down
# calmly, or one somewhat below it.
#
# Momentum
# --------
# Real landscapes have valleys: steep across, flat along. Gradient descent jumps from one wall to
# the other and hardly moves along the valley. *Momentum* helps. The step is no longer the slope
# alone, but a running sum of the slopes: each step keeps a part of the last one, nine tenths in the
# runs above, half in the picture below. Across the valley the slopes change sign and cancel. Along
# it they add up, like a ball that rolls.
#
# Our valley is ``(x² + 25 y²) / 2``, twenty-five times steeper across than along. Both start at the
# same point with the same rate.


def roll(momentum, steps=60, rate=0.07):
    position = torch.tensor([9.0, 2.0])
    optimizer = torch.optim.SGD([position.requires_grad_()], lr=rate, momentum=momentum)
    trail = [position.detach().clone()]
    for _ in range(steps):
        optimizer.zero_grad()
        ((position[0] ** 2 + 25 * position[1] ** 2) / 2).backward()
        optimizer.step()
        trail.append(position.detach().clone())
    return torch.stack(trail)  # (steps + 1, 2)


plain, ball = roll(0.0), roll(0.5)
for name, trail in (("without", plain), ("with", ball)):
    print(f"{name} momentum: {trail[-1].norm():.4f} from the bottom after 60 steps")
assert ball[-1].norm() < plain[-1].norm() / 5

# %%
# The rings are places of equal height, the bottom is in the middle. Above without momentum: it
# jumps across the valley and creeps along it. Below with momentum: it crosses fewer times, goes
# along the valley in great strides, and is at the bottom much sooner.

x, y = torch.meshgrid(torch.linspace(-5, 10, 120), torch.linspace(-2.5, 2.5, 80), indexing="xy")
figure, axes = plt.subplots(2, 1, figsize=(5, 4.4), layout="constrained", sharex=True)
for ax, trail, colour, number in ((axes[0], plain, "C0", 0), (axes[1], ball, "C1", 0.5)):
    ax.contour(
        x, y, (x**2 + 25 * y**2) / 2, levels=[1, 5, 15, 30, 50], colors="gray", linewidths=0.7
    )
    ax.plot(trail[:, 0], trail[:, 1], "o-", color=colour, ms=3, lw=1)
    ax.set_title(f"momentum = {number}", fontsize=10, loc="left", family="monospace")

# %%
# Optimizers by name
# ------------------
# Plain steps with momentum are called *SGD*, stochastic gradient descent; stochastic, because every
# batch is a random sample of the pictures. There are others:

print(optimizers())

# %%
# *Adam* keeps, for each weight, an average of its slope and of the slope's square, and divides one
# by the root of the other. So every weight moves about as far as every other, however steep its own
# direction is. It forgives a badly chosen rate, and is a good first choice for a new problem.
#
# *Muon* looks at all weights of a layer together, as a table. It changes the step so that no
# direction of that table dominates. It often needs fewest passes over the data.
#
# Each one wants a learning rate of its own: compare optimizers only at rates that suit them. These
# three are trained on the digits, from the same start.

histories = {}
for name, rate, momentum in (("sgd", 0.01, 0.9), ("adam", 0.002, 0.9), ("muon", 0.1, 0.6)):
    torch.manual_seed(0)
    trainer = cnnzoo.Trainer(
        cnnzoo.build("mnist_cnn"),
        optimizer=name,
        lr=rate,
        momentum=momentum,
        epochs=8,
        progress=False,
    )
    histories[name] = trainer.fit(train, test)
    rows = histories[name]
    print(
        f"{name:5} lr {rate:<6} after epoch 1: {rows[0].test_accuracy:.1%}"
        f"   after epoch 8: {rows[-1].test_accuracy:.1%}"
    )
    assert rows[-1].test_accuracy > 0.9

# %%
# Across are the epochs, up is the training loss, again on a logarithmic scale.

figure, ax = plt.subplots(figsize=(5, 3.4), layout="constrained")
for (name, rows), mark in zip(histories.items(), ("o-", "s--", "^:"), strict=True):
    ax.plot([row.epoch for row in rows], [row.train_loss for row in rows], mark, label=name)
ax.set_yscale("log")
ax.set_xlabel("epoch", family="monospace")
ax.set_ylabel("train_loss", family="monospace")
ax.legend(prop={"family": "monospace"})
ax.grid(alpha=0.3)

# %%
# One run of each is an anecdote, not a proof: another seed can change the order of the test
# accuracies, which differ by a few pictures. The losses differ more clearly.
#
# You can make an optimizer yourself and step it by hand, as in ``learn`` above:

model = cnnzoo.build("mnist_cnn")
optimizer = make_optimizer("adam", model.parameters(), lr=0.002)
print(type(optimizer).__name__)

# %%
# Or let the rate itself change: large in the beginning, to get far, and small in the end, to
# settle. This is a *schedule*; ``cnnzoo.Trainer(model, scheduler="one_cycle", lr=0.05)`` is one.
#
# What to try
# -----------
# - At which rate does the network begin to explode, between 0.01 and 1? Halve the gap a few times.
# - In ``roll``, set the momentum to 0.95, then to 0.99. When does it become too much?
# - Train Adam with SGD's rate, and SGD with Adam's.
#
# The next chapter trains in earnest and looks at what was learned:
# :doc:`plot_10_train_and_evaluate`.
