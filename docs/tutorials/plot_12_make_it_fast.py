"""12. Make it fast
================

The network works. Now it should take less time. We measure where the time goes, find out why it
goes there, and look at what cnnzoo does about it: it computes several layers in one go. First we
check that the answers stay the same, then we time it.

Every time on this page was measured when the page was built, on the machine that the first lines of
output name. Yours will give other numbers.
"""

import os
import statistics
import subprocess
import sys
import time

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from torch import nn

import cnnzoo
from cnnzoo.machine import cpu_model

DIGIT = 180
train, test = cnnzoo.load_data("digits")
model = cnnzoo.build("mnist_cnn", weights="mnist")

threads = torch.get_num_threads()
torch.set_num_threads(1)  # one core, so that it is easier to compare
print(cpu_model())
print("torch", torch.__version__, "with", torch.get_num_threads(), "thread")

# %%
# Where the time goes
# -------------------
#
# Before you make a program faster, find out what it spends its time on. ``fit(profile=True)`` holds
# a clock beside the training loop. We train the network built of PyTorch's own layers, which cnnzoo
# calls ``eager``.


def profiled(implementation):
    torch.manual_seed(0)
    network = cnnzoo.build("mnist_cnn", conv_relu_maxpool=implementation)
    trainer = cnnzoo.Trainer(network, epochs=2, progress=False)
    trainer.fit(train, profile=True)
    return trainer.profile


eager = profiled("eager")
print(eager.table())

# %%
# Read the column ``share``. ``data`` is the making of the batches, ``step`` is the optimizer. Most
# of the time goes into ``forward`` and ``backward``: chapters 6 and 8. So this is where something
# can be won. A faster way to read pictures would win next to nothing here.

seconds = eager.to_json()["seconds"]
share = (seconds["forward"] + seconds["backward"]) / sum(seconds.values())
print(f"forward and backward: {share:.0%}")
assert share > 0.5

# %%
# And inside of these two? The network has two blocks of convolution, ReLU and max-pooling, and two
# linear layers. We time one batch of 128 digits through each of the four.

batch = model.preprocessing(test.images[:128])  # (128, 1, 28, 28)
plain = cnnzoo.build("mnist_cnn", conv_relu_maxpool="eager")
plain.load_state_dict(model.state_dict())


def milliseconds(run):
    start = time.perf_counter()
    run()
    return (time.perf_counter() - start) * 1000


x = batch
with torch.no_grad():
    for name in ("conv1", "conv2", "fc1", "fc2"):
        layer = getattr(plain, name)
        x = x.flatten(1) if name == "fc1" else x
        layer(x)  # once to warm up
        took = statistics.median(milliseconds(lambda layer=layer, x=x: layer(x)) for _ in range(9))
        print(f"{name:<6}{took:8.2f} ms   {tuple(x.shape)}")
        x = layer(x)

# %%
# The two blocks take nearly everything. The linear layers have most of the weights, but each weight
# works once for a picture. A weight of a convolution works at every place of the picture.
#
# What memory has to do with it
# -----------------------------
#
# A block is three calls: ``conv2d``, ``relu``, ``max_pool2d``. Each call reads its whole input from
# memory and writes its whole output back. Between the calls lies the map after the convolution, and
# it is large. We count its bytes. A ``float32`` has four.

n, k = len(batch), model.conv1.out_channels
read_in = batch.numel() * 4
big = n * k * 26 * 26 * 4  # the map after the convolution
small = n * k * 13 * 13 * 4  # after the pooling
print(f"input {read_in:>12,} bytes")
print(f"map   {big:>12,} bytes")
print(f"pooled{small:>12,} bytes")
assert plain.conv1.conv_size((28, 28)) == (26, 26)

# %%
# The map is made, goes to memory, comes back for the ReLU, goes to memory again, and comes back for
# the pooling, which throws three of four numbers away. It is the same map, and it passes through
# memory four times. All that is wanted in the end is ``pooled``.
#
# The *fused* operator of cnnzoo does the three steps for a small piece of the picture at a time.
# The numbers of that piece stay inside the processor. Only the pooled ones are written. It also
# writes the *place* of chapter 8, one byte for each pooled number, which the way back needs.

moved = {
    "conv2d": read_in + big,
    "relu": big + big,
    "max_pool2d": big + small + small * 2,  # the positions are whole numbers of 8 bytes
    "conv_relu_maxpool": read_in + small + small // 4,
}
separate = sum(moved[name] for name in ("conv2d", "relu", "max_pool2d"))
for name, count in moved.items():
    print(f"{name:<18}{count / 1e6:7.1f} MB")
print(f"three calls: {separate / 1e6:.1f} MB, {separate / moved['conv_relu_maxpool']:.0f} times")
assert separate > 10 * moved["conv_relu_maxpool"]

figure, ax = plt.subplots(figsize=(5, 2.4), layout="constrained")
ax.barh(list(moved), [count / 1e6 for count in moved.values()], color=["tab:orange"] * 3 + ["C0"])
ax.set_yticks(range(4), list(moved), family="monospace")
ax.set_xlabel("MB")
ax.invert_yaxis()

# %%
# Not all of these bytes travel the whole way: a processor keeps what it used last in a small memory
# of its own, the *cache*. A map of this size does not fit into the fast part of it.
#
# What is kept for the way back
# -----------------------------
#
# In training, the forward pass keeps notes for the backward pass. The three calls keep the map and
# the positions. The fused operator keeps the places, and the pictures that it was given anyway.
# ``cnnzoo.explain`` counts the bytes, and says for every layer what runs and why.

print(cnnzoo.explain(model, batch_size=128, repeats=5))

# %%
# ``native`` is compiled C++ code, and the name behind it is the instruction set that it uses: the
# part of the processor that computes with many numbers at once. Where cnnzoo was installed without
# a compiler, you read ``reference`` here, the same operator written in PyTorch, and the reason why.
#
# Now both ways side by side.

ours, theirs = (cnnzoo.explain(each, batch_size=128, repeats=5) for each in (model, plain))
for one, other in zip(ours, theirs, strict=True):
    print(
        f"{one.name}: kept {one.kept_bytes:>9,} bytes, separate layers {other.kept_bytes:>11,}, "
        f"{one.kept_bytes / other.kept_bytes:.1%}"
    )

# The map and the positions; and one byte for each pooled number.
assert theirs[0].kept_bytes >= big + small * 2
if cnnzoo.ops.status().available:
    assert ours[0].kept_bytes * 10 < theirs[0].kept_bytes
    assert ours[1].kept_bytes * 10 < theirs[1].kept_bytes

# %%
# The same answers first
# ----------------------
#
# A fast wrong answer is worth nothing. So before we time anything, we compare: the logits of all
# test digits, and all gradients for one batch.

pictures = model.preprocessing(test.images)
labels = test.labels[:128]
with torch.no_grad():
    fused_logits, plain_logits = model(pictures), plain(pictures)
print("largest logit     ", f"{plain_logits.abs().max():.1f}")
print("largest difference", f"{(fused_logits - plain_logits).abs().max():.1e}")
assert (fused_logits - plain_logits).abs().max() < 1e-5 * plain_logits.abs().max()
assert torch.equal(fused_logits.argmax(1), plain_logits.argmax(1))


def gradient(network):
    network.zero_grad(set_to_none=True)
    F.cross_entropy(network(batch), labels).backward()
    return torch.cat([parameter.grad.flatten() for parameter in network.parameters()])


fused_gradient, plain_gradient = gradient(model), gradient(plain)
difference = (fused_gradient - plain_gradient).norm() / plain_gradient.norm()
print("gradients differ by", f"{difference:.1e} of their length")
assert difference < 1e-3

# %%
# Why is the difference not exactly 0? A computer rounds after every addition. Add the same numbers
# in another order, and the last digit may change. Both orders are equally right.
#
# Then the time
# -------------
#
# How do you time two things fairly? Not one after the other: the machine may be busy with something
# else just then. We take turns, many times, and compare the *medians*: the time in the middle, when
# all are sorted. One slow moment does not move it. We also give the *quartiles*: half of all times
# lie between them. Where the quartiles of two things overlap widely, do not believe the medians.


def take_turns(candidates, rounds=25):
    times = {name: [] for name in candidates}
    for run in candidates.values():
        run()  # to warm up
    for _ in range(rounds):
        for name, run in candidates.items():
            times[name].append(milliseconds(run))
    return times


def show(times):
    for name, each in times.items():
        low, middle, high = statistics.quantiles(each, n=4)
        print(f"  {name:<9} median {middle:8.3f} ms   quartiles {low:8.3f} to {high:8.3f}")
    first, second = (statistics.median(each) for each in times.values())
    print(f"  {' / '.join(times)} = {first / second:.1f}")


def forward_and_backward(layer, x):
    def run():
        y = layer(x)
        y.backward(torch.ones_like(y))

    return run


after_first = model.conv1(batch).detach()  # what reaches the second block
block_times = {}
for name, given in (("conv1", batch), ("conv2", after_first.requires_grad_())):
    candidates = {"eager": getattr(plain, name), "auto": getattr(model, name)}
    runs = {key: forward_and_backward(layer, given) for key, layer in candidates.items()}
    block_times[name] = take_turns(runs)
    print(f"{name}, forward and backward, {len(batch)} digits")
    show(block_times[name])

# %%
# The whole training step, with the linear layers, the loss and the optimizer:


def training_step(network):
    optimizer = torch.optim.SGD(network.parameters(), lr=0.0)  # 0: the weights stay

    def run():
        optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(network(batch), labels).backward()
        optimizer.step()

    return run


step_times = take_turns({"eager": training_step(plain), "auto": training_step(model)})
print(f"mnist_cnn, training step, {len(batch)} digits")
show(step_times)

# %%
# Every dot is one measurement, the lines are the medians. From left to right: the first block, the
# second block, the whole step. The axis is logarithmic: each line of the grid is ten times the one
# below it.

figure, axes = plt.subplots(1, 3, figsize=(6, 3), layout="constrained", sharey=True)
every = {"conv1": block_times["conv1"], "conv2": block_times["conv2"], "mnist_cnn": step_times}
for ax, (name, times) in zip(axes, every.items(), strict=True):
    for (implementation, each), colour in zip(times.items(), ("tab:orange", "C0"), strict=True):
        ax.plot(each, ".", color=colour, alpha=0.7, label=implementation)
        ax.axhline(statistics.median(each), color=colour, lw=1)
    ax.set_title(name, family="monospace")
    ax.set_yscale("log")
    ax.set_xticks([])
axes[0].set_ylabel("ms")
axes[2].legend(loc="lower right", prop={"family": "monospace"})
for ax in axes:
    ax.grid(axis="y", alpha=0.3)

# %%
# Where the native code runs, the first block gains most. It has only nine products for each number
# of its map, so most of its time went into moving numbers. In the second block each number takes
# 288 products, and more of its time is real arithmetic. :doc:`/reference/benchmarks` has the
# careful measurements, with PyTorch at its best and with other programs.
#
# Somebody else's network
# -----------------------
#
# So far we built the network from layers of cnnzoo. But here is one as it is found everywhere, with
# PyTorch's own layers. It does not know cnnzoo, and it pools before the ReLU. (Chapter 3 says why
# the order does not matter.) Its names are those of our network, so that it can take our weights.


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 3)
        self.conv2 = nn.Conv2d(32, 32, 3)
        self.fc1 = nn.Linear(800, 100)
        self.fc2 = nn.Linear(100, 10)

    def forward(self, x):
        x = F.relu(F.max_pool2d(self.conv1(x), 2))
        x = F.relu(F.max_pool2d(self.conv2(x), 2))
        x = F.relu(self.fc1(x.flatten(1)))
        return self.fc2(x)


net = Net().eval()
net.load_state_dict(model.state_dict())

# %%
# ``cnnzoo.fuse`` reads what ``forward`` does, finds the convolutions that lead to a pooling, and
# lets the fused operator take their place. With an example it also compares the answers and the
# times, and leaves everything as it was where nothing is won.

fused = cnnzoo.fuse(net, batch)
report = fused.fuse_report
print(report.message)
for site in report.sites:
    print(f"  {site.name}: {site.pattern}; fused in: {', '.join(site.fused) or 'no mode'}")
if report.before_us:
    print(f"before {report.before_us:.0f} µs, after {report.after_us:.0f} µs")
    print(f"largest difference {report.difference:.1e}")

# %%
# The network that was given is not changed. The new one shares its weights, and gives our digit the
# same answer.

with torch.no_grad():
    picture = pictures[DIGIT : DIGIT + 1]
    print("before:", int(net(picture).argmax()), " after:", int(fused(picture).argmax()))
    assert int(net(picture).argmax()) == int(fused(picture).argmax()) == int(test.labels[DIGIT])
    assert torch.allclose(net(pictures), fused(pictures), atol=1e-3)
assert fused.conv1.weight is net.conv1.weight

# %%
# From the command line, ``cnnzoo fuse tv:vgg16 --input 3,224,224`` does the same with a network of
# torchvision.
#
# Switching it off
# ----------------
#
# When something looks wrong, the first question is: is it the fast code? There is a switch for the
# whole program, an environment variable. ``CNNZOO_KERNEL=reference`` sends everything through
# PyTorch. Here it is in a program of its own.

said = subprocess.run(
    [sys.executable, "-m", "cnnzoo", "explain", "mnist_cnn", "--batch-size", "8"],
    env=os.environ | {"CNNZOO_KERNEL": "reference", "OMP_NUM_THREADS": "1"},
    capture_output=True,
    text=True,
    check=True,
).stdout
print(said)
assert "native (" not in said
assert "CNNZOO_KERNEL=reference" in said

# %%
# For one model in a running program, ``cnnzoo.swap`` exchanges the layers and keeps the weights. It
# compares the old and the new layer first, and refuses where they differ.

swapped = cnnzoo.swap(cnnzoo.build("mnist_cnn", weights="mnist"), conv_relu_maxpool="reference")
with torch.no_grad():
    print("same answers:", torch.equal(swapped(pictures).argmax(1), fused_logits.argmax(1)))
    assert torch.equal(swapped(pictures).argmax(1), fused_logits.argmax(1))

torch.set_num_threads(threads)  # as it was

# %%
# What to try
# -----------
#
# - Time the blocks with a batch of 1 and of 1,024. Is the gain the same?
# - Leave out ``torch.set_num_threads(1)``. How much faster is the step with all your cores?
# - Fuse a network of your own. If a block is not fused, print ``fused.fuse_report`` and read why.
#
# Next: :doc:`plot_13_extend_it`.
