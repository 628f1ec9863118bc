"""2. What a convolution sees
==========================

The first layers of a network look at a picture through a small window. This chapter slides such a
window by hand over a sheet of 5×5 numbers, where you can check every step on paper. Then a trained
window slides over our digit.
"""

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F

import cnnzoo

# %%
# By hand
# -------
#
# The sheet below is a tiny picture of the digit 1. The *kernel* is a window of 3×3 *weights*. A
# *convolution* puts the kernel on the upper left corner of the sheet. It multiplies each number of
# the sheet by the weight on top of it, and adds the nine products up. That gives one number of the
# result. Then the kernel moves one column to the right, and so on, row by row.

sheet = np.array(
    [
        [0, 0, 1, 0, 0],
        [0, 1, 1, 0, 0],
        [0, 0, 1, 0, 0],
        [0, 0, 1, 0, 0],
        [0, 1, 1, 1, 0],
    ]
)
kernel = np.array(
    [
        [-1, 0, 1],
        [-1, 0, 1],
        [-1, 0, 1],
    ]
)


def convolve(sheet, kernel):
    k = len(kernel)
    size = len(sheet) - k + 1  # so often does the window fit
    result = np.zeros((size, size), sheet.dtype)
    for y in range(size):
        for x in range(size):
            window = sheet[y : y + k, x : x + k]
            result[y, x] = (window * kernel).sum()
    return result


result = convolve(sheet, kernel)
print(result)

# %%
# Here are the nine products of the first window, and of its neighbour to the right. Check them.


def written_out(y, x):
    for i in range(3):
        pairs = zip(sheet[y + i, x : x + 3], kernel[i], strict=True)
        products = " + ".join(f"{pixel}·({weight})" for pixel, weight in pairs)
        print("+" if i else " ", products)
    print("=", result[y, x])


written_out(0, 0)
written_out(0, 1)

# %%
# Sheet, kernel, result. The frames mark one window and the number it gives.


def draw_numbers(ax, numbers, limit, form="{:g}", size=13):
    """Draw each number in a cell: orange is positive, purple negative."""
    shown = ax.imshow(numbers, cmap="PuOr_r", vmin=-limit, vmax=limit)
    for (y, x), value in np.ndenumerate(np.asarray(numbers)):
        red, green, blue, _ = shown.cmap(shown.norm(value))
        colour = "#111111" if 0.3 * red + 0.6 * green + 0.1 * blue > 0.5 else "#eeeeee"
        text = form.format(value).replace("-", "−")
        ax.text(x, y, text, ha="center", va="center", color=colour, fontsize=size)
    ax.set(xticks=[], yticks=[])


def frame(ax, y, x, high=1, wide=1, colour="tab:blue"):
    ax.add_patch(plt.Rectangle((x - 0.5, y - 0.5), wide, high, fill=False, ec=colour, lw=3))


figure, axes = plt.subplots(
    1, 3, figsize=(5.2, 2.6), layout="constrained", gridspec_kw={"width_ratios": [5, 3, 3]}
)
for ax, numbers, name in zip(axes, (sheet, kernel, result), ("5×5", "3×3", "3×3"), strict=True):
    draw_numbers(ax, numbers, 3)
    ax.set_title(name)
frame(axes[0], 0, 2, 3, 3)
frame(axes[2], 0, 2)

# %%
# The result has a meaning. This kernel subtracts what is on its left from what is on its right. It
# gives 3 on the left of the stroke, where dark turns to bright, and −3 on the right, where bright
# turns to dark. It finds *vertical edges*, and their direction is the sign.
#
# PyTorch does the same, for many pictures and many kernels at once.

theirs = F.conv2d(torch.tensor(sheet)[None, None].float(), torch.tensor(kernel)[None, None].float())
assert torch.equal(theirs[0, 0], torch.tensor(result).float())
assert result[0].tolist() == [3, -1, -3]

# %%
# (In mathematics, a convolution turns the kernel upside down and left to right first. In neural
# networks nobody does: the weights are learned, and they would be learned turned.)
#
# Three kernels on the digit
# --------------------------
#
# The same on our digit, with three kernels: the one for vertical edges, the same turned for
# *horizontal edges*, and a *blur*, the mean of nine neighbours. What a kernel makes of a picture is
# called a *feature map*: it is bright where the picture has the feature that the kernel looks for.

DIGIT = 180
train, test = cnnzoo.load_data("digits")
grey = test.images[DIGIT].float() / 255  # (1, 28, 28), from 0 to 1
print("label:", int(test.labels[DIGIT]))

right = torch.tensor(kernel).float()
by_hand = torch.stack([right, right.T, torch.full((3, 3), 1 / 9)])[:, None]  # (3, 1, 3, 3)
maps = F.conv2d(grey[None], by_hand)[0]  # (3, 26, 26)

figure, axes = plt.subplots(2, 4, figsize=(5.2, 2.9), layout="constrained")
axes[0, 0].set_axis_off()
axes[1, 0].imshow(grey[0], cmap="gray")
for i, ax in enumerate(axes[0, 1:]):
    draw_numbers(ax, by_hand[i, 0] * (9 if i == 2 else 1), 3, size=11)
axes[0, 3].set_title("× 1/9", fontsize=11)
for i, ax in enumerate(axes[1, 1:]):
    ax.imshow(maps[i], cmap="PuOr_r", vmin=-maps[i].abs().max(), vmax=maps[i].abs().max())
for ax in axes[1]:
    ax.set(xticks=[], yticks=[])

# %%
# A trained kernel
# ----------------
#
# Nobody designs kernels any more. Training finds them. ``mnist_cnn`` is the network that we follow
# through all chapters; it comes with weights that were trained on MNIST, 60,000 digits from other
# hands than ours. Its first layer has 32 kernels of 3×3.

model = cnnzoo.build("mnist_cnn", weights="mnist")
weight, bias = model.conv1.weight.detach(), model.conv1.bias.detach()
print("weights:", tuple(weight.shape), " biases:", tuple(bias.shape))

# %%
# The network gets the pixels as it got them in training: scaled, the mean subtracted, divided by
# the standard deviation (chapter 1). These numbers of the training data travel with the weights.

x = model.preprocessing(test.images[DIGIT][None])  # (1, 1, 28, 28)
print(f"ground {x.min():.2f}, brightest ink {x.max():.2f}")

# %%
# We take the kernel and the place that give the largest number of all, and calculate that number by
# hand: window times kernel, nine products, their sum. At the end the *bias* is added, one more
# learned number for each kernel, which moves the whole map up or down.

z = F.conv2d(x, weight, bias)[0].detach()  # (32, 26, 26)
k, row, column = np.unravel_index(int(z.argmax()), z.shape)
window = x[0, 0, row : row + 3, column : column + 3]
products = window * weight[k, 0]
total = products.sum() + bias[k]
print(f"kernel {k}, row {row}, column {column}:")
print(f"sum of nine products {products.sum():.4f} + bias {bias[k]:.4f} = {total:.4f}")
assert torch.isclose(total, z[k, row, column], atol=1e-4)

figure, axes = plt.subplots(3, 1, figsize=(3.4, 9), layout="constrained")
limit = float(max(products.abs().max(), window.abs().max()))
for ax, numbers, name in zip(
    axes, (window, weight[k, 0], products), ("window", "kernel", "window * kernel"), strict=True
):
    draw_numbers(ax, numbers, limit if name != "kernel" else weight[k].abs().max(), "{:.2f}")
    ax.set_title(name)

# %%
# The window lies here, and this is the whole feature map of that kernel.

figure, axes = plt.subplots(1, 2, figsize=(5.2, 2.8), layout="constrained")
axes[0].imshow(x[0, 0], cmap="gray")
frame(axes[0], row, column, 3, 3, "tab:orange")
axes[1].imshow(z[k], cmap="PuOr_r", vmin=-z[k].abs().max(), vmax=z[k].abs().max())
frame(axes[1], row, column)
for ax, name in zip(axes, ("x[0, 0]", f"z[{k}]"), strict=True):
    ax.set_title(name)

# %%
# How channels are summed
# -----------------------
#
# The second layer gets 32 maps instead of one picture. How does a kernel look at 32 maps? It has 32
# sheets of weights, one for each map. Each sheet slides over its own map and gives a *partial map*.
# The 32 partial maps are added up, place by place, and that sum (with the bias) is *one* map of the
# second layer.

inner = cnnzoo.features(model, x, at="conv1")["conv1"].detach()  # (1, 32, 13, 13)
weight2, bias2 = model.conv2.weight.detach(), model.conv2.bias.detach()
print("maps:", tuple(inner.shape), " kernels:", tuple(weight2.shape))

z2 = F.conv2d(inner, weight2, bias2)[0]  # (32, 11, 11)
f = int(z2.amax(dim=(1, 2)).argmax())  # the filter with the largest number
sheets = weight2[f][:, None]  # (32, 1, 3, 3)
partial = F.conv2d(inner, sheets, groups=32)[0]  # each sheet on its own map: (32, 11, 11)
assert torch.allclose(partial.sum(dim=0) + bias2[f], z2[f], atol=1e-3)

figure, axes = plt.subplots(4, 8, figsize=(5.2, 3.1), layout="constrained")
limit = float(partial.abs().max())
for c, ax in enumerate(axes.flat):
    ax.imshow(partial[c], cmap="PuOr_r", vmin=-limit, vmax=limit)
    ax.set(xticks=[], yticks=[])
    ax.set_title(c, fontsize=8, pad=2)

# %%
# Orange speaks for the feature, purple against it, white says nothing. At the place where the sum
# is largest, these are the shares of the 32 maps, sorted, and below them the sum of all.

place = np.unravel_index(int(z2[f].argmax()), z2[f].shape)
shares = partial[:, place[0], place[1]]
order = shares.argsort(descending=True)
most = order[:3].tolist()
print(f"filter {f}, row {place[0]}, column {place[1]}: {z2[f].max():.2f}")
print("largest shares:", ", ".join(f"map {c}: {shares[c]:.2f}" for c in most))
print(f"positive shares {shares[shares > 0].sum():.2f}, negative {shares[shares < 0].sum():.2f}")

figure, (bars, whole) = plt.subplots(2, 1, figsize=(4.4, 5.6), layout="constrained")
colours = ["tab:orange" if share > 0 else "tab:purple" for share in shares[order]]
bars.bar(range(32), shares[order], color=colours)
bars.axhline(0, lw=0.8, color="gray")
bars.set_xticks(range(0, 32, 3), [int(c) for c in order[::3]])
limit = float(z2[f].abs().max())
shown = whole.imshow(z2[f], cmap="PuOr_r", vmin=-limit, vmax=limit)
figure.colorbar(shown, ax=whole)
whole.set_title(f"partial.sum(0) + bias[{f}]", fontsize=10)
frame(whole, *place)

# %%
# A few maps decide. Many others hardly matter at this place: eight of the 32 shares make up more
# than half of all that is added and subtracted.

sizes = shares.abs().sort(descending=True).values
assert sizes[:8].sum() > sizes.sum() / 2

# %%
#
# Stride and padding
# ------------------
#
# Two more numbers say how the window moves. The *stride* is how many pixels it moves at a time. The
# *padding* is how many rows and columns of zeros are put around the picture first. With a picture
# of n pixels a side, a kernel of k, padding p and stride s, the result has
#
# .. code-block:: text
#
#    (n + 2p − k) / s + 1    rounded down
#
# pixels a side. Here is why. There are n + 2p pixels to stand on. The window's first place needs k
# of them. Each further step needs s more. Let us check the formula against PyTorch.


def size_after(n, k, p=0, s=1):
    return (n + 2 * p - k) // s + 1


for n in range(5, 30):
    for k_size in (1, 3, 5):
        for p in (0, 1, 2):
            for s in (1, 2, 3):
                nothing = torch.zeros(1, 1, n, n), torch.zeros(1, 1, k_size, k_size)
                real = F.conv2d(*nothing, stride=s, padding=p)
                assert real.shape[-1] == size_after(n, k_size, p, s)

for p, s in ((0, 1), (1, 1), (0, 2), (1, 2)):
    print(f"n = 28, k = 3, p = {p}, s = {s}: {size_after(28, 3, p, s)}")

# %%
# With a 3×3 kernel, a padding of 1 keeps the size, and a stride of 2 halves it. The same trained
# kernel on our digit, four times:

figure, axes = plt.subplots(2, 2, figsize=(5.4, 5.4), layout="constrained")
for ax, (p, s) in zip(axes.flat, ((0, 1), (1, 1), (0, 2), (1, 2)), strict=True):
    moved = F.conv2d(x, weight[k][None], bias[k][None], stride=s, padding=p)[0, 0]
    ax.imshow(moved, cmap="PuOr_r", vmin=-z[k].abs().max(), vmax=z[k].abs().max())
    ax.set_title(f"p = {p}, s = {s}: {len(moved)}×{len(moved)}")

# %%
# With p = 1 the border of the map differs from the rest of the ground. Padding adds zeros, and zero
# stands for the *mean* brightness here, while black is a negative number (see above). So the zeros
# are like a grey frame around the picture, and a kernel that looks for edges sees one.

padded = F.conv2d(x, weight[k][None], bias[k][None], padding=1)[0, 0]
print(f"ground at the border {padded[0, 1]:.3f}, further inside {padded[1, 1]:.3f}")
assert x.min() < 0
assert not torch.isclose(padded[0, 1], padded[1, 1])

# %%
# How often is each pixel used?
# -----------------------------
#
# A window of 3×3 with stride 1 covers a pixel in the middle nine times: it stands once in each of
# the nine places of the window. A pixel in the corner is covered once. We count, on a picture of
# 8×8.


def count_uses(n, k, p, s):
    uses = np.zeros((n, n), int)
    for top in range(-p, n + p - k + 1, s):
        for left in range(-p, n + p - k + 1, s):
            uses[max(top, 0) : top + k, max(left, 0) : left + k] += 1
    return uses


figure, axes = plt.subplots(2, 2, figsize=(5.4, 5.8), layout="constrained")
for ax, (p, s) in zip(axes.flat, ((0, 1), (1, 1), (0, 2), (1, 2)), strict=True):
    uses = count_uses(8, 3, p, s)
    ax.imshow(uses, cmap="viridis", vmin=0, vmax=9)
    for (y, column_), value in np.ndenumerate(uses):
        colour = "#111111" if value > 5 else "#eeeeee"
        ax.text(column_, y, value, ha="center", va="center", color=colour, fontsize=11)
    ax.set(xticks=[], yticks=[])
    ax.set_title(f"p = {p}, s = {s}")

# %%
# There is a formula for it, too. Look at one direction only. The window numbered j begins at pixel
# j·s − p. It covers pixel i if it begins at i or before, but not more than k − 1 before. So j runs
#
# .. code-block:: text
#
#    from  max(0, (i + p − k + 1) / s rounded up)
#    to    min(windows − 1, (i + p) / s rounded down)
#
# and the number of uses is the number of these j, for rows times for columns.


def uses_along(n, k, p, s):
    i = np.arange(n)
    first = np.maximum(0, -((k - 1 - p - i) // s))  # −(−a // s) is a / s rounded up
    last = np.minimum(size_after(n, k, p, s) - 1, (i + p) // s)
    return np.maximum(0, last - first + 1)


for n in (5, 8, 28):
    for p in (0, 1):
        for s in (1, 2, 3):
            along = uses_along(n, 3, p, s)
            assert (np.outer(along, along) == count_uses(n, 3, p, s)).all()
print("p = 0, s = 2:", uses_along(8, 3, 0, 2))
print("p = 1, s = 1:", uses_along(8, 3, 1, 1))

# %%
# Two things to remember. Without padding, pixels at the border count for less. And with a stride of
# 2, the last row and column of a picture with an even side may never be looked at: the last number
# of the first line above is 0.

assert uses_along(8, 3, 0, 2)[-1] == 0
assert uses_along(28, 3, 0, 2)[-1] == 0

# %%
# What to try
# -----------
#
# - Put your own numbers into ``sheet`` and ``kernel``. Calculate the result on paper first.
# - Which kernel leaves a picture as it is? Which one moves it by one pixel?
# - Which padding keeps the size of a picture with a 5×5 kernel? Ask ``size_after``.
#
# Next: :doc:`plot_03_pooling_and_relu`.
