"""11. Predict a picture of your own
=================================

A network that is right on nearly all test pictures often fails on the first photo that you give it.
The photo is dark on white instead of white on black, or the digit is in a corner. In this chapter
we spoil the test digits in these ways, one at a time, measure what each does to the accuracy, and
repair it.
"""

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

import cnnzoo
from cnnzoo.pictures import look, prepare, read_picture
from cnnzoo.prediction import predict_many

DIGIT = 180
train, test = cnnzoo.load_data("digits")
model = cnnzoo.build("mnist_cnn", weights="mnist").eval()

# %%
# One picture
# -----------
# ``cnnzoo.predict`` takes a file, a PIL image or an array of any size, and does everything that
# chapters 1 and 6 did by hand.

digit = test.images[DIGIT, 0].numpy()  # (28, 28), 0 to 255, white on black
answer = cnnzoo.predict(model, digit)
print(answer.label, f"{answer.probability:.4f}")
print("the three most probable:", [(name, round(p, 4)) for name, p in answer.top(3)])
assert answer.label == str(int(test.labels[DIGIT]))

# %%
# Five ways to spoil a picture
# ----------------------------
# Each function takes a digit of 28×28 bytes and returns what a careless photographer would have
# sent. The first of the table changes nothing, to compare with.


def shift(image, pixels):
    """Move the digit down and to the right; what leaves the frame is lost."""
    moved = np.zeros_like(image)
    moved[pixels:, pixels:] = image[:-pixels, :-pixels]
    return moved


def corner(image):
    """Half as large, in the corner at the top left."""
    small = np.zeros_like(image)
    small[:14, :14] = np.asarray(Image.fromarray(image).resize((14, 14)))
    return small


spoil = {
    "as it is": lambda image: image,
    "shift (2, 2)": lambda image: shift(image, 2),
    "shift (4, 4)": lambda image: shift(image, 4),
    "inverted": lambda image: 255 - image,
    "half size": corner,
    "grey paper": lambda image: (180 - image * 0.35).astype(np.uint8),
}

# %%
# From top to bottom, our digit: as it is, shifted by 2 pixels, shifted by 4, inverted, half size in
# a corner, and as pale ink on grey paper. Left what came in, right what the network sees after the
# repair that we are coming to. Above each, the answer and its probability.

figure, axes = plt.subplots(6, 2, figsize=(4, 11), layout="constrained")
for row, change in zip(axes, spoil.values(), strict=True):
    for ax, autofix in zip(row, (False, True), strict=True):
        answer = cnnzoo.predict(model, change(digit), autofix=autofix)
        ax.imshow(answer.image[0], cmap="gray", vmin=0, vmax=255)
        ax.set_title(f"{answer.label}: {answer.probability:.3f}", fontsize=10)
        ax.set_axis_off()

# %%
# What it does to the accuracy
# ----------------------------
# One digit is luck. So we spoil *all* test digits, and count. ``predict_many`` is ``predict`` for a
# list. ``autofix=True`` asks cnnzoo to repair the picture first.


def accuracy(change, autofix):
    pictures = [change(image) for image in test.images[:, 0].numpy()]
    answers = predict_many(model, pictures, autofix=autofix)
    right = [each.index == label for each, label in zip(answers, test.labels.tolist(), strict=True)]
    return sum(right) / len(right)


table = {name: (accuracy(f, False), accuracy(f, True)) for name, f in spoil.items()}
print(f"{'':14} as it came   repaired")
for name, (raw, repaired) in table.items():
    print(f"{name:14} {raw:10.1%} {repaired:10.1%}")

assert table["inverted"][0] < 0.5 < table["inverted"][1]
assert table["shift (4, 4)"][0] < table["shift (4, 4)"][1] - 0.1
assert abs(table["shift (2, 2)"][0] - table["as it is"][0]) < 0.03
assert min(repaired for _, repaired in table.values()) > 0.8

# %%
# In the same order from top to bottom: blue as it came, orange repaired.

figure, ax = plt.subplots(figsize=(5, 4), layout="constrained")
places = np.arange(len(table))
for offset, column, colour in ((-0.2, 0, "C0"), (0.2, 1, "C1")):
    values = [100 * row[column] for row in table.values()]
    bars = ax.barh(places + offset, values, height=0.38, color=colour)
    ax.bar_label(bars, fmt="%.0f", padding=3)
ax.set_yticks(places)
ax.set_yticklabels(["0", "2, 2", "4, 4", "255 − x", "÷ 2", "180 − 0.35 x"])
ax.set_xlim(0, 112)
ax.set_xlabel("%")
ax.invert_yaxis()

# %%
# The network was shown white digits in the middle of a black page, and this is all that it knows. A
# convolution does not care where something is, but the linear layers behind it do: they have a
# weight of their own for every place. And black and white are not two colours to it, they are
# numbers with different signs.
#
# There are two ways out. One is to train with such pictures. These weights were trained on digits
# that had been shifted by up to 2 pixels at random (``augment="shift=2"``), so a shift by 2 does
# nothing to them, and a shift by 4 does. The other way is to bring every picture into the form that
# the network knows. This is what ``autofix`` does.
#
# Warnings by name
# ----------------
# Even without ``autofix``, cnnzoo looks at each picture and says what is unlike the training
# pictures. Each warning has a name for programs and a sentence for people.

for name, change in spoil.items():
    answer = cnnzoo.predict(model, change(digit), autofix=True)
    print(f"{name}:")
    for warning in answer.warnings:
        print(f"    {warning}" + (" (repaired)" if warning.name in answer.fixed else ""))

# %%
# A warning is not an error: the picture gets its answer in any case.

for name, warning in (("inverted", "inverted"), ("grey paper", "low_contrast")):
    found = [each.name for each in cnnzoo.predict(model, spoil[name](digit)).warnings]
    assert warning in found
small = [each.name for each in cnnzoo.predict(model, corner(digit)).warnings]
assert "too_small" in small
assert "off_centre" in small

# %%
# Each repair
# -----------
# ``cnnzoo.pictures`` has the steps one by one. ``read_picture`` turns anything into bytes, ``look``
# names what is odd, ``prepare`` makes the network's input. The repairs answer the warnings:
#
# - ``inverted``: every pixel becomes 255 minus itself.
# - ``low_contrast``: the paper becomes black and the strongest ink white.
# - ``too_small``, ``too_large``, ``aspect``: the digit is cut out, and scaled to 20 pixels.
# - ``off_centre``: its centre of mass (the point where it would balance) goes to the middle.
#
# MNIST's own pictures were made in this way: 20 pixels high, centred by mass, in a frame of 28×28.
#
# Now a picture as a phone would send it: 320×240, dark ink on paper, light from one side, some
# noise, and the digit somewhere at the left. We make it from our digit.

rng = np.random.default_rng(0)
ink = np.asarray(Image.fromarray(digit).resize((110, 110), Image.Resampling.BICUBIC)) / 255
photo = np.full((240, 320), 0.8) + np.linspace(-0.12, 0.12, 320)  # light from the right
photo[70:180, 40:150] -= 0.45 * ink
photo += rng.normal(0, 0.01, photo.shape)
path = Path(tempfile.mkdtemp()) / "photo.png"
Image.fromarray((photo.clip(0, 1) * 255).astype(np.uint8)).save(path)

picture = read_picture(path)
for warning in look(picture, model.preprocessing):
    print(warning)
print()
for autofix in (False, True):
    repaired = cnnzoo.predict(model, path, autofix=autofix)
    print(f"autofix={autofix}: {repaired.label} ({repaired.probability:.1%})")

assert repaired.label == str(int(test.labels[DIGIT]))
assert {"inverted", "low_contrast", "off_centre"} <= set(repaired.fixed)

# %%
# Left the photo, in the middle what the network sees without a repair, right with it.

figure, axes = plt.subplots(
    1, 3, figsize=(5, 2), layout="constrained", gridspec_kw={"width_ratios": [4, 3, 3]}
)
seen = [prepare(picture, model.preprocessing, autofix=fix).image[0] for fix in (False, True)]
for ax, shown in zip(axes, [picture.pixels[..., 0], *seen], strict=True):
    ax.imshow(shown, cmap="gray", vmin=0, vmax=255)
    ax.set_axis_off()

# %%
# The repairs are rules, not magic. They expect one digit, darker or lighter than a plain ground.
# Two digits, a ruled page, or a shadow across the ink will fool them. Then look at
# ``answer.image``: it is what the network saw, and a person sees at once what went wrong.

blank = cnnzoo.predict(model, np.full((100, 100), 200, np.uint8))
print([warning.name for warning in blank.warnings], f"{blank.label} {blank.probability:.2f}")
assert [warning.name for warning in blank.warnings] == ["blank"]

# %%
# An empty page gets an answer, too: the network has no way to say "nothing". Only the warning
# tells.
#
# What to try
# -----------
# - Write a digit on paper, photograph it, and give its file to ``cnnzoo.predict``. Or draw one with
#   the mouse: ``cnnzoo demo``.
# - Turn the digits by 20 degrees (``Image.rotate``) and measure again. There is no repair for this.
# - Train a network with ``augment="shift=4"`` on the digits. How does the table change?
#
# The network works. The next chapter makes it fast: :doc:`plot_12_make_it_fast`.
