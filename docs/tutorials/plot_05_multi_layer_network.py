"""5. The multi-layer network, line by line
========================================

Now two convolutions, one after the other, and two linear layers: ``mnist_cnn``, the network of the
original tutorial. We follow the shapes from line to line. Then we look at a famous number in that
tutorial, ``4*4*50``, which is right by accident.
"""

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from torch import nn

import cnnzoo
from cnnzoo.layers import count_windows

DIGIT = 180
train, test = cnnzoo.load_data("digits")
label = int(test.labels[DIGIT])
model = cnnzoo.build("mnist_cnn", weights="mnist")
print(model)

# %%
# The shapes, line by line
# ------------------------
#
# One digit goes in. Each line does one thing. Compare the shape it prints with what you expect.

x = model.preprocessing(test.images[DIGIT][None])
print("x         ", tuple(x.shape))

with torch.no_grad():
    h = F.conv2d(x, model.conv1.weight, model.conv1.bias)
    print("conv2d    ", tuple(h.shape))
    h = F.relu(h)
    print("relu      ", tuple(h.shape))
    h = F.max_pool2d(h, 2)
    print("max_pool2d", tuple(h.shape))
    h = F.conv2d(h, model.conv2.weight, model.conv2.bias)
    print("conv2d    ", tuple(h.shape))
    h = F.relu(h)
    print("relu      ", tuple(h.shape))
    h = F.max_pool2d(h, 2)
    print("max_pool2d", tuple(h.shape))
    h = h.flatten(1)
    print("flatten   ", tuple(h.shape))
    h = F.relu(F.linear(h, model.fc1.weight, model.fc1.bias))
    print("linear    ", tuple(h.shape))
    logits = F.linear(h, model.fc2.weight, model.fc2.bias)
    print("linear    ", tuple(logits.shape))
    assert torch.allclose(logits, model(x), atol=1e-3)

print("largest logit:", int(logits.argmax()), " label:", label)
assert int(logits.argmax()) == label

# %%
# It only ever saw MNIST. How good is it on all of our test digits, which other people wrote with
# another pen?

with torch.no_grad():
    answers = model(model.preprocessing(test.images)).argmax(dim=1)
accuracy = float((answers == test.labels).float().mean())
print(f"{accuracy:.1%} of {len(test)} are right")
assert 0.9 < accuracy < 0.985

# %%
# On MNIST's own test digits, it errs less than once in 100 times. Here it errs several times as
# often. Our digits were enlarged from 8×8, so their strokes are broad and soft, and the network has
# never seen such digits. Remember it when you use a network on pictures of your own.
#
# The staircase
# -------------
#
# The side of the maps goes down like a staircase: 28, 26, 13, 11, 5. Two rules make the steps. A
# convolution of 3×3 without padding takes away 2, since (n − 3) / 1 + 1 = n − 2. A pool of 2×2
# halves, rounded down, since (n − 2) / 2 + 1 = n / 2. Both are the formula of chapter 2.


def size_after(n, k, p=0, s=1):
    return (n + 2 * p - k) // s + 1


sides, rules = [28], [""]
for layer in (model.conv1, model.conv2):
    conv = layer.kernel_size[0], layer.stride[0]
    pool = layer.pool_size[0], layer.pool_stride[0]
    for k, s in (conv, pool):
        rules.append(f"({sides[-1]} − {k}) // {s} + 1")
        sides.append(size_after(sides[-1], k, s=s))
print(sides)
assert sides == [28, 26, 13, 11, 5]

figure, ax = plt.subplots(figsize=(4.2, 5.4), layout="constrained")
top = 0
for side, rule, channels in zip(sides, rules, (1, 32, 32, 32, 32), strict=True):
    ax.add_patch(plt.Rectangle((0, top), side, side, fc="tab:blue", ec="tab:gray", alpha=0.7))
    text = f"{channels}×{side}×{side}" + (f"\n{side} = {rule}" if rule else "")
    ax.text(31, top + side / 2, text, va="center", fontsize=11)
    top += max(side, 8) + 3
ax.set(xlim=(-1, 75), ylim=(top, -1), aspect="equal")
ax.set_axis_off()

# %%
# (``//`` divides and rounds down.) The last step is rounded: 11 has no half. The eleventh row and
# column of the maps are computed and then dropped by the pool.
#
# At the end there are 32 maps of 5×5. Flattened, that is a row of 800 numbers, and so ``fc1`` has
# 800 inputs.

print(sides[-1] * sides[-1] * 32, model.fc1.in_features)
assert model.fc1.in_features == 5 * 5 * 32 == 800

# %%
# The number that is right by accident
# ------------------------------------
#
# In the original tutorial, another number stands in this place: ``4*4*50``. But nothing in this
# network is 4×4, and nothing has 50 channels! It runs all the same, because 4·4·50 is 800, too.

assert 4 * 4 * 50 == 5 * 5 * 32

# %%
# The number fits another network: with kernels of 5×5 instead of 3×3, and 50 maps in the second
# layer, it would be right.

n = 28
for k, s in ((5, 1), (2, 2), (5, 1), (2, 2)):
    n = size_after(n, k, s=s)
print("kernels of 5×5:", n, "·", n, "· 50 =", n * n * 50)
assert n == 4

# %%
# So what harm is done? As long as nothing changes, none. But the reader learns something wrong, and
# the first change breaks the program. Here is the network as it is often written.


class Typed(nn.Module):
    """The numbers are typed by hand."""

    def __init__(self, maps=32):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 3)
        self.conv2 = nn.Conv2d(32, maps, 3)
        self.fc1 = nn.Linear(4 * 4 * 50, 100)
        self.fc2 = nn.Linear(100, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = x.view(-1, 4 * 4 * 50)
        return self.fc2(F.relu(self.fc1(x)))


print("28×28:", tuple(Typed()(torch.zeros(8, 1, 28, 28)).shape))

# %%
# First change: pictures of 32×32. The staircase is 32, 30, 15, 13, 6 now, and each picture gives
# 32·6·6 = 1,152 numbers instead of 800.

try:
    Typed()(torch.zeros(8, 1, 32, 32))
except RuntimeError as error:
    print(error)

# %%
# The message speaks of 9,216 numbers, eight times 1,152, that cannot be cut into rows of 800. It
# does not say where the 800 comes from. This is the luckier case, because there is a message at
# all.
#
# Second change: 64 maps. Each picture gives 5·5·64 = 1,600 numbers, two rows of 800.

wrong = Typed(maps=64)(torch.zeros(8, 1, 28, 28))
print("8 pictures in,", len(wrong), "answers out")
assert len(wrong) == 16

# %%
# No error. ``view(-1, …)`` may choose the number of rows itself, and so each picture became two,
# each made of half of its maps. In training, the loss then complains that 16 answers do not fit 8
# labels. When predicting, nobody complains.
#
# ``flatten(1)`` keeps the first axis as it is. With it, the same mistake is found at once:

try:
    F.linear(torch.zeros(8, 64, 5, 5).flatten(1), torch.zeros(100, 800))
except RuntimeError as error:
    print(error)

# %%
# Derive sizes, do not type them
# ------------------------------
#
# A better program calculates the 800 from the layers before it. cnnzoo counts the windows of each
# layer, with the formula above:

after_conv = count_windows((28, 28), kernel=(3, 3), stride=(1, 1), padding=(0, 0), dilation=(1, 1))
print("after the convolution:", after_conv, " the same:", model.conv1.conv_size((28, 28)))
print("after the whole layer:", model.conv1.output_size((28, 28)))

# %%
# (*Dilation* spreads the kernel's weights apart; 1 means not at all.) So the network can be built
# for any picture, and ``fc1`` follows:

for size in (28, 32, 64):
    print(f"{size}×{size}: fc1 takes {cnnzoo.build('mnist_cnn', image_size=size).fc1.in_features}")
assert cnnzoo.build("mnist_cnn", image_size=32).fc1.in_features == 6 * 6 * 32

# %%
# If the picture is too small, a table says where it is used up.

try:
    cnnzoo.build("mnist_cnn", image_size=8)
except cnnzoo.CnnzooError as error:
    print(error)

# %%
# PyTorch has another way: ``nn.LazyLinear(100)`` looks at its first input and makes its weights
# then. That saves the formula, but until then nobody knows how many weights the model has.
#
# What does it cost?
# ------------------
#
# ``cnnzoo.summarize`` lists the layers with their shapes and what they cost. A *MAC* is one
# multiplication with its addition. *Activations* are the bytes of the results.

summary = cnnzoo.summarize(model)
print(summary)

# %%
# From a terminal, ``cnnzoo info mnist_cnn`` prints this table, and ``cnnzoo info mnist_cnn --input
# 1,32,32 --picture net.png`` does so for other pictures and draws the network.
#
# The numbers are worth a look. The second convolution does most of the work. The first linear layer
# holds most of the parameters.

costs = {layer.name: layer for layer in summary.layers}
assert costs["conv1"].parameters == 32 * (1 * 3 * 3) + 32
assert costs["conv2"].parameters == 32 * (32 * 3 * 3) + 32
assert costs["fc1"].parameters == 800 * 100 + 100
assert costs["fc2"].parameters == 100 * 10 + 10
assert max(costs.values(), key=lambda layer: layer.macs).name == "conv2"
assert max(costs.values(), key=lambda layer: layer.parameters).name == "fc1"

figure, axes = plt.subplots(2, 1, figsize=(4.2, 4.6), layout="constrained")
for ax, what in zip(axes, ("parameters", "macs"), strict=True):
    ax.bar(list(costs), [getattr(layer, what) for layer in costs.values()])
    ax.set_title(what, fontsize=11)
    ax.ticklabel_format(axis="y", style="sci", scilimits=(3, 3))

# %%
# What the two layers see
# -----------------------
#
# The maps of the first layer still look like the digit. Those of the second are small and show
# parts of it: a corner here, the end of a stroke there.

with torch.no_grad():
    maps = cnnzoo.features(model, x)  # both stages
figure, axes = plt.subplots(8, 8, figsize=(5, 5.2), layout="constrained")
for start, stage in ((0, "conv1"), (4, "conv2")):
    for k in range(32):
        ax = axes[start + k // 8, k % 8]
        ax.imshow(maps[stage][0, k], cmap="viridis", vmin=0, vmax=float(maps[stage].max()))
        ax.set(xticks=[], yticks=[])
print({stage: tuple(found.shape) for stage, found in maps.items()})

# %%
# How much of the picture does one number of the second layer depend on? Walk back: a pool of 2 sees
# 2×2, the convolution before it 4×4, the pool before that 8×8, and the first convolution 10×10.
# This is called the *receptive field*. (It is no accident that 10×10 is also the smallest picture
# the network accepts: one number must be left.)
#
# We check it by asking which pixels *can* change one number. Chapter 8 explains gradients; here it
# is enough that the gradient is not 0 where a pixel matters. All weights are 1 and the pools take
# the mean, so that nothing hides.

page = torch.zeros(1, 1, 28, 28, requires_grad=True)
ones = torch.ones(1, 1, 3, 3)
out = F.avg_pool2d(F.conv2d(F.avg_pool2d(F.conv2d(page, ones), 2), ones), 2)
out[0, 0, 2, 3].backward()
rows, columns = page.grad[0, 0].nonzero().unbind(1)
print(f"rows {rows.min()} to {rows.max()}, columns {columns.min()} to {columns.max()}")
assert rows.max() - rows.min() + 1 == 10
assert (rows.min(), columns.min()) == (4 * 2, 4 * 3)  # each step to the right is four pixels

# %%
# The three numbers of the second layer that are largest on our digit, and what they look at:

best = maps["conv2"][0].flatten(1).max(dim=1)
strongest = best.values.argsort(descending=True)[:3].tolist()
figure, axes = plt.subplots(2, 3, figsize=(5.2, 3.7), layout="constrained")
for k, (above, below) in zip(strongest, axes.T, strict=True):
    row, column = divmod(int(best.indices[k]), 5)
    above.imshow(maps["conv2"][0, k], cmap="viridis", vmin=0, vmax=float(maps["conv2"].max()))
    above.add_patch(
        plt.Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, ec="tab:orange", lw=3)
    )
    above.set_title(f"conv2[{k}]", fontsize=11)
    below.imshow(x[0, 0], cmap="gray")
    below.add_patch(
        plt.Rectangle((4 * column - 0.5, 4 * row - 0.5), 10, 10, fill=False, ec="tab:orange", lw=3)
    )
    for ax in (above, below):
        ax.set(xticks=[], yticks=[])

# %%
# What to try
# -----------
#
# - Which other layers give 800? Find sizes and channels with the same product, and try them in
#   ``Typed``.
# - Add ``padding=1`` to both convolutions of ``Typed``. What does the staircase look like, and what
#   must the number be?
# - Run ``cnnzoo info resnet20`` and look for the places where the maps get smaller.
#
# Next: :doc:`plot_06_forward_pass`.
