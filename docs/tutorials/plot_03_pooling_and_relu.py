"""3. Pooling and ReLU, and why they commute
=========================================

After a convolution come two small steps. *ReLU* throws away what is negative. *Max-pooling* keeps
the largest of four neighbours. Neither has anything to learn. This chapter shows what they do to
our digit, which pixels win, and why it does not matter which of the two comes first.
"""

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F

import cnnzoo
from cnnzoo.ops import conv_relu_maxpool

DIGIT = 180
train, test = cnnzoo.load_data("digits")
model = cnnzoo.build("mnist_cnn", weights="mnist")
weight, bias = model.conv1.weight.detach(), model.conv1.bias.detach()
x = model.preprocessing(test.images[DIGIT][None])  # (1, 1, 28, 28)
z = F.conv2d(x, weight, bias)  # (1, 32, 26, 26), what the first 32 kernels see
print(tuple(z.shape), "label:", int(test.labels[DIGIT]))

# %%
# ReLU
# ----
#
# The name is short for *rectified linear unit*. The formula is shorter: max(0, z). A positive
# number stays, a negative one becomes 0.

line = torch.linspace(-3, 3, 61)
figure, ax = plt.subplots(figsize=(4, 2.6), layout="constrained")
ax.plot(line, F.relu(line), lw=3)
ax.set(xlabel="z", ylabel="relu(z)")
ax.grid(alpha=0.3)

# %%
# A kernel answers with a positive number where it finds its feature, and with a negative one where
# it finds the opposite. ReLU keeps the finds. We take the same kernel as in chapter 2, the one with
# the largest answer, and show its map before and after.

k = int(z[0].amax(dim=(1, 2)).argmax())
before, after = z[0, k], F.relu(z[0, k])
print(f"kernel {k}: {(before < 0).float().mean():.0%} of its map are negative and become 0")

figure, axes = plt.subplots(1, 2, figsize=(5.2, 2.7), layout="constrained")
limit = float(before.abs().max())
for ax, numbers, name in zip(axes, (before, after), ("z", "relu(z)"), strict=True):
    shown = ax.imshow(numbers, cmap="PuOr_r", vmin=-limit, vmax=limit)
    ax.set(xticks=[], yticks=[])
    ax.set_title(name)
figure.colorbar(shown, ax=axes, shrink=0.7)
assert after.min() == 0

# %%
# Why is it there at all? Without it, two convolutions in a row would be no more than one larger
# convolution: sums of sums are sums. The bend at 0 is what lets a second layer find something new.
# We can watch that. First two kernels one after the other, then one kernel of 5×5 that does both.

torch.manual_seed(0)
kernel1, kernel2 = torch.randn(1, 1, 3, 3), torch.randn(1, 1, 3, 3)
both = F.conv2d(kernel1, kernel2.flip(2, 3), padding=2)  # (1, 1, 5, 5)
in_turn = F.conv2d(F.conv2d(x, kernel1), kernel2)
at_once = F.conv2d(x, both)
print("without ReLU, largest difference:", f"{(in_turn - at_once).abs().max():.5f}")
with_relu = F.conv2d(F.relu(F.conv2d(x, kernel1)), kernel2)
print("with ReLU, largest difference:   ", f"{(with_relu - at_once).abs().max():.5f}")
assert torch.allclose(in_turn, at_once, atol=1e-3)
assert not torch.allclose(with_relu, at_once, atol=1)

# %%
# Max-pooling
# -----------
#
# *Pooling* cuts a map into squares of 2×2 and keeps one number of each. *Max*-pooling keeps the
# largest. By hand:

small = torch.tensor([[1, 5, 0, 2], [3, 2, 1, 1], [0, 0, 7, 4], [2, 1, 6, 8]]).float()
pooled = F.max_pool2d(small[None], 2)[0]
print(small.int().tolist(), "becomes", pooled.int().tolist())
assert pooled.tolist() == [[5, 2], [2, 8]]

# %%
# The map now has half as many rows and half as many columns. If their number is odd, the last one
# has no partner and is dropped:

print("26 becomes", F.max_pool2d(torch.zeros(1, 26, 26), 2).shape[-1])
print("11 becomes", F.max_pool2d(torch.zeros(1, 11, 11), 2).shape[-1])

# %%
# Who wins?
# ---------
#
# PyTorch can say which number won each square. Below is a part of our kernel's map, cut into its
# squares. A pointer leads from the middle of a square to the pixel that won; below it is what is
# left. Where all four are equal, as on bare ground, the first one wins. The place of the winner is
# called the *arg-max*. Chapter 8 shows that learning flows back along these
# pointers and nowhere else.

values, winners = F.max_pool2d(z, 2, return_indices=True)  # a winner's number is row * 26 + column
centre = torch.tensor(np.unravel_index(int(values[0, k].argmax()), (13, 13)))
top, left = (int(min(max(0, c - 2), 13 - 6)) for c in centre)  # 6×6 squares around the largest
rows, columns = winners[0, k] // 26, winners[0, k] % 26

figure, axes = plt.subplots(2, 1, figsize=(4.4, 8.6), layout="constrained")
axes[0].imshow(before, cmap="PuOr_r", vmin=-limit, vmax=limit)
for i in range(top, top + 6):
    for j in range(left, left + 6):
        middle_y, middle_x = 2 * i + 0.5, 2 * j + 0.5
        axes[0].add_patch(
            plt.Rectangle((2 * j - 0.5, 2 * i - 0.5), 2, 2, fill=False, ec="#555555", lw=1)
        )
        axes[0].annotate(
            "",
            xy=(int(columns[i, j]), int(rows[i, j])),
            xytext=(middle_x, middle_y),
            arrowprops={"arrowstyle": "-", "color": "#111111", "shrinkA": 0, "shrinkB": 0},
        )
axes[0].plot(columns.flatten(), rows.flatten(), "o", mfc="white", mec="#111111", ms=5)
axes[0].set(xlim=(2 * left - 0.5, 2 * left + 11.5), ylim=(2 * top + 11.5, 2 * top - 0.5))
axes[1].imshow(values[0, k], cmap="PuOr_r", vmin=-limit, vmax=limit)
axes[1].set(xlim=(left - 0.5, left + 5.5), ylim=(top + 5.5, top - 0.5))
for ax, name in zip(axes, ("z", "max_pool2d(z, 2)"), strict=True):
    ax.set_title(name)

# %%
# Every value of the pooled map is found at the place its pointer leads to:

flat = z.flatten(2)  # (1, 32, 676)
assert torch.equal(flat.gather(2, winners.flatten(2)).view_as(values), values)

_, first = F.max_pool2d(torch.ones(1, 2, 2), 2, return_indices=True)
assert int(first) == 0  # a draw: the first of the four

# %%
# Which one first?
# ----------------
#
# The tutorial that cnnzoo grew out of says: convolution, then ReLU, then pooling. Let us swap the
# last two and compare bit by bit. Floats are stored as 32 *bits*, and ``view(torch.int32)`` reads
# these bits as a whole number, so that not the smallest difference can hide.


def same_bits(a, b):
    return torch.equal(a.view(torch.int32), b.view(torch.int32))


relu_first = F.max_pool2d(F.relu(z), 2)
pool_first = F.relu(F.max_pool2d(z, 2))
assert same_bits(relu_first, pool_first)
print("our digit, 32 maps:", same_bits(relu_first, pool_first))

torch.manual_seed(0)
for size, stride in ((2, 2), (3, 2), (3, 1), (5, 3)):
    noise = torch.randn(100, 8, 20, 20)
    assert same_bits(
        F.max_pool2d(F.relu(noise), size, stride), F.relu(F.max_pool2d(noise, size, stride))
    )
print("4 × 800 random maps, overlapping windows too: the same bits")

# %%
# This is no accident. ReLU never changes the order of two numbers: if a is at least b, then relu(a)
# is at least relu(b). So whoever is the largest of four before ReLU is the largest after it, or all
# four are 0. Two steps that can be swapped are said to *commute*.
#
# It holds for max-pooling only. *Average pooling* takes the mean of the four, and there a large
# negative number pulls the mean down unless ReLU removes it first.

relu_then_mean = F.avg_pool2d(F.relu(z), 2)
mean_then_relu = F.relu(F.avg_pool2d(z, 2))
print(f"average pooling, largest difference: {(relu_then_mean - mean_then_relu).abs().max():.2f}")
assert not torch.allclose(relu_then_mean, mean_then_relu, atol=0.01)

# %%
# And it saves work. ReLU after the pool has a quarter of the numbers to look at.

print("numbers through ReLU:", z.numel(), "before the pool,", values.numel(), "after it")
assert z.numel() == 4 * values.numel()

# %%
# cnnzoo goes further and does all of it in one go: convolution, bias, ReLU and pool, without ever
# writing the large map into memory. Only the last digits may differ, because nine products can be
# added up in more than one order. Chapter 12 measures what that gains.

fused = conv_relu_maxpool(x, weight, bias, pool_size=2)
print(f"largest value {fused.max():.1f}, difference {(fused - relu_first).abs().max():.7f}")
assert torch.allclose(fused, relu_first, atol=1e-4)

# %%
# Move the digit
# --------------
#
# Pooling is said to make a network care less about the exact place of things. Let us see what is
# true about that. We move our digit to the right by one pixel and by two. There is black all around
# it, so nothing is lost at the edge.

moved = {shift: torch.roll(x, shift, dims=3) for shift in range(5)}
maps = {shift: F.conv2d(each, weight, bias) for shift, each in moved.items()}
pools = {shift: F.relu(F.max_pool2d(each, 2)) for shift, each in maps.items()}

# The digit moves by a pixel, the map moves by a pixel and does not change otherwise.
assert torch.allclose(maps[1][..., 1:], maps[0][..., :-1], atol=1e-4)
# By two pixels: so does the pooled map, by one.
assert torch.allclose(pools[2][..., 1:], pools[0][..., :-1], atol=1e-4)

figure, axes = plt.subplots(2, 3, figsize=(5.2, 3.7), layout="constrained")
for shift in range(3):
    for ax, numbers in zip(axes[:, shift], (maps[shift], pools[shift]), strict=True):
        ax.imshow(F.relu(numbers[0, k]), cmap="viridis", vmin=0, vmax=limit)
        ax.set(xticks=[], yticks=[])
    axes[0, shift].set_title(f"x + {shift}")

# %%
# Above the maps after ReLU, below them the pooled maps. A convolution follows the digit exactly.
# The pooled map follows exactly when the digit moves by two pixels, which is one of its squares.
# When it moves by one, some winners stay within their squares and others leave them.
#
# How much of the maps stays in its place? We compare them with the unmoved ones, place by place:
# 100 % would mean that nothing changed. We do it before the first pool, after it, and after the
# second layer with its own pool.


def share_that_stays(a, b):
    return float(torch.minimum(a, b).sum() / torch.maximum(a, b).sum())


with torch.no_grad():
    second = {shift: cnnzoo.features(model, each)["conv2"] for shift, each in moved.items()}
for shift in range(1, 5):
    unpooled = share_that_stays(F.relu(maps[shift]), F.relu(maps[0]))
    once, twice = (share_that_stays(each[shift], each[0]) for each in (pools, second))
    print(f"moved by {shift}: {unpooled:.0%}, pooled once {once:.0%}, twice {twice:.0%}")
    assert unpooled < once < unpooled + 0.2

# %%
# So pooling softens a small move, a little. It does not make the network blind to it, as is often
# said. It also makes moves *smaller* for the layers behind it: two pixels in the picture are one
# pixel in the pooled map.
#
# What does the whole network say? Here is the probability that it gives to the right digit while
# the digit wanders to the left (negative numbers) and to the right.

shifts = list(range(-6, 7))
wandering = torch.cat([torch.roll(x, shift, dims=3) for shift in shifts])
with torch.no_grad():
    answers = model(wandering).softmax(dim=1)
probabilities = answers[:, int(test.labels[DIGIT])]
for shift, probability, answer in zip(shifts, probabilities, answers.argmax(dim=1), strict=True):
    print(f"moved by {shift:+d}: {probability:.3f}, answer {answer}")
right = dict(zip(shifts, (answers.argmax(dim=1) == test.labels[DIGIT]).tolist(), strict=True))
assert all(right[shift] for shift in range(-2, 3))
assert min(probabilities[0], probabilities[-1]) < probabilities.max()

figure, ax = plt.subplots(figsize=(5, 2.8), layout="constrained")
ax.plot(shifts, probabilities, marker="o")
ax.set(xlabel="x", ylabel="p", ylim=(-0.05, 1.05), xticks=shifts)
ax.grid(alpha=0.3)

# %%
# It bears moves much better than its maps do, and gets less sure towards the edge. That is not the
# work of pooling alone. It was learned, too: these weights were trained with digits that were moved
# at random by up to two pixels. Chapter 11 measures this with all test digits, and repairs pictures
# that are off centre.
#
# What to try
# -----------
#
# - Move the digit up and down instead: ``dims=2``.
# - Make ``pools`` with ``F.avg_pool2d`` instead. Of which pool does more stay in its place?
# - Find a 2×2 square in which two numbers are equally large. Which one does ``return_indices``
#   name?
#
# Next: :doc:`plot_04_single_layer_network`.
