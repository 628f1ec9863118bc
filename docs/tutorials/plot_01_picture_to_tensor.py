"""1. From picture to tensor
=========================

A network sees no picture. It sees numbers in a box with four sides. This chapter follows one
handwritten digit from a picture to that box. The same digit comes back in every chapter, until a
trained network has named it and you know how.

You need a little Python. Every line of code here can be copied and run, and every number below was
printed when this page was built.
"""

import io

import matplotlib.pyplot as plt
import numpy as np
import torch
from PIL import Image

import cnnzoo

# %%
# The data
# --------
#
# cnnzoo carries a small *data set*: pictures of handwritten digits, each with its *label*, the
# digit that the writer meant. It comes in two parts. The *training set* is what a network learns
# from. The *test set* is kept aside, to find out what the network makes of pictures it has never
# seen.

train, test = cnnzoo.load_data("digits")
print(train)
print(test)

# %%
# The pictures come with scikit-learn, as grids of 8×8 cells. cnnzoo enlarges them to 28×28, the
# size of the well-known MNIST digits, so their strokes are a little broad and soft.
#
# This is the digit we follow. It belongs to the test set.

DIGIT = 180
digit = test.images[DIGIT, 0]  # 28 rows of 28 numbers
label = int(test.labels[DIGIT])
print(digit.shape, digit.dtype, "label:", label)

# %%
# A picture is a grid of numbers
# ------------------------------
#
# In Python, pictures are usually read with the library Pillow, which is imported as ``PIL``. To see
# the whole way, we write our digit into a PNG file (in memory) and open that.

file = io.BytesIO()
Image.fromarray(digit.numpy()).save(file, "PNG")
picture = Image.open(file)
print(picture.mode, picture.size)

# %%
# Mode ``L`` means one number a *pixel*, its brightness: 0 is black, 255 is white. Above is the
# picture, below the part in the frame, with its numbers.

array = np.asarray(picture)
top, left, side = 4, 8, 6
part = array[top : top + side, left : left + side]

figure, (whole, detail) = plt.subplots(2, 1, figsize=(4, 7.2), layout="constrained")
shown = whole.imshow(array, cmap="gray", vmin=0, vmax=255)
whole.add_patch(
    plt.Rectangle((left - 0.5, top - 0.5), side, side, fill=False, ec="tab:orange", lw=2)
)
figure.colorbar(shown, ax=whole, ticks=[0, 64, 128, 192, 255])
detail.imshow(array, cmap="gray", vmin=0, vmax=255)
detail.set(xlim=(left - 0.5, left + side - 0.5), ylim=(top + side - 0.5, top - 0.5))
for (y, x), value in np.ndenumerate(part):
    colour = "#111111" if value > 128 else "#eeeeee"
    detail.text(left + x, top + y, value, ha="center", va="center", color=colour, fontsize=13)

# %%
# Two habits differ here, and mixing them up is a common mistake. Pillow says *width, height*. An
# array says *rows, columns*: first how far down, then how far to the right. With a square picture
# you cannot tell, so look at a strip of it.

strip = picture.crop((0, 0, 28, 20))  # left, top, right, bottom
print("Pillow:", strip.size, " array:", np.asarray(strip).shape)

# %%
# From 0–255 to 0–1
# -----------------
#
# A *byte* holds a whole number from 0 to 255, and a pixel is one byte. A network calculates with
# *floats*, numbers with a fraction. By custom they run from 0 to 1, so we divide by 255.

scaled = array.astype(np.float32) / 255
print("bytes: ", array.min(), "to", array.max(), array.dtype, array.nbytes, "bytes")
print("floats:", scaled.min(), "to", scaled.max(), scaled.dtype, scaled.nbytes, "bytes")

# Nothing is lost on the way: it can be undone exactly.
assert (np.round(scaled * 255) == array).all()

# %%
# A float takes four times the memory. That is why cnnzoo keeps bytes and makes floats only of the
# pictures that are in use.
#
# Why divide at all? A network multiplies every pixel by a *weight* and adds the products up. With
# pixels up to 255, the sums are up to 255 times as large. Here is what an untrained network says
# about our digit. It has learned nothing, so it should be unsure.

torch.manual_seed(0)
untrained = cnnzoo.build("mnist_cnn")
with torch.no_grad():
    for name, pixels in (("0 to 1", scaled), ("0 to 255", array.astype(np.float32))):
        probabilities = untrained(torch.tensor(pixels)[None, None]).softmax(dim=1)
        print(f"{name:>9}: most probable class {probabilities.max():.1%}")
assert probabilities.max() > 0.9

# %%
# Fed with bytes, it is sure of its answer before it has seen a single example. Training then has
# to begin by undoing that. (Chapters 6 and 7 explain the percentages.)
#
# Most training goes one step further. It subtracts the *mean* of all training pixels, then divides
# by their *standard deviation*, which says how far pixels usually are from the mean. Afterwards the
# numbers lie around 0, and their usual distance from it is 1. A data set knows both numbers, and
# taking one item of it does all of this.

image, same_label = test[DIGIT]
by_hand = (scaled - test.mean[0]) / test.std[0]
print(f"mean {test.mean[0]:.4f}, standard deviation {test.std[0]:.4f}")
print(f"now from {image.min():.2f} to {image.max():.2f}")
assert np.allclose(image[0], by_hand, atol=1e-5)
assert same_label == label

# %%
# The picture has not changed. Only the numbers beside the bars have.

figure, axes = plt.subplots(1, 3, figsize=(5, 2.3), layout="constrained")
for ax, pixels in zip(axes, (array, scaled, image[0]), strict=True):
    shown = ax.imshow(pixels, cmap="gray")
    ends = [float(pixels.min()), float(pixels.max())]
    figure.colorbar(shown, ax=ax, location="bottom", ticks=ends, format="%.3g")
    ax.set(xticks=[], yticks=[])

# %%
# Four axes: n, c, y, x
# ---------------------
#
# A *tensor* is PyTorch's box of numbers. A picture needs two axes: ``y`` counts the rows from the
# top, ``x`` the columns from the left. Two more come in front of them.
#
# - ``c`` is the *channel*. A grey picture has one, a colour picture three: red, green and blue.
# - ``n`` is the number of the picture in a *batch*. A network takes several pictures at once,
#   because that is much faster than one after the other.
#
# So a batch has the shape (N, C, H, W): number of pictures, channels, height, width. Capital
# letters say how many there are, small ones say which.

x = torch.stack([test[i][0] for i in range(DIGIT, DIGIT + 4)])
print(x.shape)
print("picture 0, channel 0, row 12, column 14:", f"{x[0, 0, 12, 14]:.3f}")

# %%
# A model checks this. One picture without the axis ``n`` is refused, and the message says what to
# type: ``x[None]`` adds an axis of length one in front.

try:
    untrained(image)
except cnnzoo.CnnzooError as error:
    print(error)
print(untrained(image[None]).shape)

# %%
# To see the channels, let us write four digits in coloured ink. Each row is one picture: first as
# you see it, then its channels red, green and blue as the network gets them.

inks = torch.tensor([[255, 90, 30], [60, 200, 255], [250, 220, 40], [90, 255, 120]]) / 255
grey = test.images[DIGIT : DIGIT + 4].float() / 255  # (4, 1, 28, 28)
coloured = grey * inks[:, :, None, None]  # (4, 3, 28, 28)

figure, axes = plt.subplots(4, 4, figsize=(5, 5.4), layout="constrained")
for n, row in enumerate(axes):
    row[0].imshow(coloured[n].permute(1, 2, 0))  # matplotlib wants the channel last
    row[0].set_title(f"x[{n}]", fontsize=11)
    for c in range(3):
        row[c + 1].imshow(coloured[n, c], cmap="gray", vmin=0, vmax=1)
        row[c + 1].set_title(f"x[{n}, {c}]", fontsize=11)
for ax in axes.flat:
    ax.set_axis_off()

# %%
# When axes are mixed up
# ----------------------
#
# Pillow and NumPy put the channel last: [y, x, c]. PyTorch wants it first: [c, y, x]. Three ways of
# getting there all give the shape (3, 28, 28), and only one is right.

last = coloured[0].permute(1, 2, 0).contiguous()  # [y, x, c], as Pillow would give it
attempts = {
    "permute(2, 0, 1)": last.permute(2, 0, 1),
    "permute(2, 1, 0)": last.permute(2, 1, 0),
    "reshape(3, 28, 28)": last.reshape(3, 28, 28),
}
figure, axes = plt.subplots(1, 3, figsize=(5, 2.1), layout="constrained")
for ax, (name, attempt) in zip(axes, attempts.items(), strict=True):
    assert attempt.shape == (3, 28, 28)
    ax.imshow(attempt.permute(1, 2, 0))
    ax.set_title(name, fontsize=10)
    ax.set_axis_off()

# %%
# The first moves the channel to the front, as it should. The second swaps rows and columns as well:
# the digit lies on its side, mirrored. The third only cuts the same row of numbers in other places,
# so that neighbours are torn apart.
#
# No error message comes. The shape is right each time, and a network would train on the wrong
# picture, only worse. So after loading data, look at it.
#
# cnnzoo refuses what it can recognise:

try:
    cnnzoo.ImageSet.from_tensors(np.zeros((2, 28, 28, 3), np.uint8), [0, 1])
except cnnzoo.CnnzooError as error:
    print(error)

# %%
# Batches
# -------
#
# Training goes through the training set in small portions, the *mini-batches*. Sixty-four pictures
# are usual. The network takes a step after each portion instead of one step after all pictures, and
# so learns sooner.

loader = train.batches(64, shuffle=True, seed=0)
sizes = [len(labels) for images, labels in loader]
print(len(loader), "batches of", sizes[0], "pictures, the last of", sizes[-1])
assert sum(sizes) == len(train)  # nobody is left out, nobody comes twice

# %%
# One pass through all batches is an *epoch*. The order is shuffled anew for every epoch: otherwise
# the network would learn from the order, too. It is not left to chance, though. The same seed and
# the same epoch give the same order, on any machine.

for epoch in (0, 1, 0):
    loader.set_epoch(epoch)
    images, labels = next(iter(loader))
    print(f"epoch {epoch}: {tuple(images.shape)} {labels[:12].tolist()} …")

# %%
# A data set of cnnzoo is an ordinary PyTorch data set as well, so PyTorch's own ``DataLoader``
# gives the same batches.

images, labels = next(iter(torch.utils.data.DataLoader(train, batch_size=64)))
ours, our_labels = next(iter(train.batches(64)))
assert torch.equal(images, ours)
assert torch.equal(labels, our_labels)

# %%
# Look at random samples
# ----------------------
#
# Before any training, look at pictures picked at random, with their labels. Wrong labels, swapped
# axes and empty pictures show at once.

picked = torch.randperm(len(train), generator=torch.Generator().manual_seed(0))[:24]
figure, axes = plt.subplots(4, 6, figsize=(5.6, 4.6), layout="constrained")
for ax, i in zip(axes.flat, picked.tolist(), strict=True):
    ax.imshow(train.images[i, 0], cmap="gray")
    ax.set_title(int(train.labels[i]), fontsize=12)
    ax.set_axis_off()

# %%
# ``cnnzoo.plots.samples(train.images, train.labels)`` draws such a sheet in one call, and every
# training run leaves one in its folder.
#
# It also pays to count how often each digit occurs. If one class made up nine tenths of the
# pictures, a network that always says that class would be right nine times in ten.

counts = torch.bincount(train.labels)
print(counts.tolist())
assert counts.max() < 1.2 * counts.min()  # well balanced

# %%
# What to try
# -----------
#
# - Set ``DIGIT`` to another number and run everything again.
# - Take a photo of a digit on paper, open it with ``Image.open``, and print its mode and size. What
#   does ``.convert("L").resize((28, 28))`` make of it? What is black and what is white?
# - Build a batch of 8 pictures and swap its axes ``n`` and ``c`` with ``permute(1, 0, 2, 3)``. What
#   does ``untrained`` say to it?
#
# Next: :doc:`plot_02_convolution`.
