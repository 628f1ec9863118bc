"""6. The forward pass: from pixels to probabilities
=================================================

A picture goes into the network at one end, and ten numbers come out at the other. This journey is
called the *forward pass*. In this chapter one digit makes it slowly, and we stop after every stage
to look. Nothing is learned here: the network is already trained, and only answers.
"""

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F

import cnnzoo
from cnnzoo.weights import find_cards

DIGIT = 180
train, test = cnnzoo.load_data("digits")
model = cnnzoo.build("mnist_cnn", weights="mnist").eval()

# %%
# ``eval()`` tells the network that it is being used, not trained. Some kinds of layers behave
# differently in the two cases. This network has none of them, but the habit is a good one.
#
# The weights were learned from MNIST, a collection of 60,000 handwritten digits. The digits we look
# at are another collection, with other writers. The network has never seen them.
#
# From bytes to numbers
# ---------------------
# The picture is stored in bytes: whole numbers from 0 (black) to 255 (white). The network was
# trained on numbers around zero. So every pixel is divided by 255, then the average pixel of the
# training pictures is subtracted, then the result is divided by their standard deviation (how far
# the pixels usually are from that average). These two numbers travel with the weights.

ready = model.preprocessing
picture = test.images[DIGIT : DIGIT + 1]  # (1, 1, 28, 28): one picture, one channel
x = ready(picture)
print("average", ready.mean[0], " standard deviation", ready.std[0])
print("before:", picture.dtype, int(picture.min()), "to", int(picture.max()))
print(f"after:  {x.dtype} {x.min():.3f} to {x.max():.3f}")

by_hand = (picture / 255 - ready.mean[0]) / ready.std[0]
assert torch.allclose(x, by_hand, atol=1e-5)

# %%
# The slice ``DIGIT : DIGIT + 1`` keeps the first axis. A network always takes a *batch*, a pile of
# pictures, and this is a pile of one. Without that axis cnnzoo refuses, and says what to do:

try:
    model(x[0])
except cnnzoo.CnnzooError as error:
    print(error)

# %%
# Two stages of maps
# ------------------
# ``cnnzoo.features`` runs the network and returns what its stages produce. Each stage is a
# convolution, a ReLU and a pooling. ``torch.no_grad`` tells PyTorch that we only want the answer,
# so that it need not remember how it got there.

with torch.no_grad():
    maps = cnnzoo.features(model, x)

for name, each in maps.items():
    print(name, tuple(each.shape), f"zeros: {(each == 0).float().mean():.0%}")

# %%
# Each stage has 32 maps, one for each kernel. Here are the picture, the first eight maps of
# ``conv1`` (13×13) and the first eight of ``conv2`` (5×5). A bright spot means: here is what my
# kernel looks for.

figure, axes = plt.subplots(5, 4, figsize=(5, 6.4), layout="constrained")
for ax in axes.flat:
    ax.set_axis_off()
axes[0, 0].imshow(picture[0, 0], cmap="gray")
tiles = [*maps["conv1"][0, :8], *maps["conv2"][0, :8]]
for ax, tile in zip(axes[1:].flat, tiles, strict=True):
    ax.imshow(tile, cmap="viridis", vmin=0)
for row, name in ((1, "conv1"), (3, "conv2")):
    axes[row, 0].set_title(name, family="monospace", loc="left")

# %%
# There is no magic in a stage. The same numbers come from PyTorch's own functions, one after the
# other:

conv1 = model.conv1
after_convolution = F.conv2d(x, conv1.weight, conv1.bias)  # (1, 32, 26, 26)
after_relu = F.relu(after_convolution)  # negative numbers become 0
after_pooling = F.max_pool2d(after_relu, 2)  # (1, 32, 13, 13)

assert torch.allclose(after_pooling, maps["conv1"], atol=1e-4)
print(tuple(after_convolution.shape), "→", tuple(after_pooling.shape))

# %%
# Flatten
# -------
# After ``conv2`` there are 32 maps of 5×5 numbers. The next layer wants one long row. Flattening
# writes the maps one behind the other, each of them row by row: 32 · 5 · 5 = 800 numbers. Nothing
# is computed, so we can say where every number went.

flat = maps["conv2"].flatten(1)  # (1, 800)
k, row, column = 7, 2, 3
assert flat.shape == (1, 800)
assert flat[0, k * 25 + row * 5 + column] == maps["conv2"][0, k, row, column]

# %%
# Two linear layers
# -----------------
# A *linear layer* makes each of its outputs from all of its inputs: multiply every input by a
# weight of its own, add everything up, add a bias. ``fc1`` makes 100 numbers from the 800, again
# followed by a ReLU. ``fc2`` makes 10 from the 100.

with torch.no_grad():
    hidden = F.relu(flat @ model.fc1.weight.T + model.fc1.bias)  # (1, 100)
    logits = hidden @ model.fc2.weight.T + model.fc2.bias  # (1, 10)
    answer = model(x)

assert torch.allclose(logits, answer, atol=1e-4)
print(f"of the 100 numbers of fc1, {int((hidden > 0).sum())} are not zero")
for digit, logit in enumerate(answer[0]):
    print(digit, f"{logit:8.3f}")

# %%
# We did every step by hand and got what ``model(x)`` gives.
#
# The ten numbers are called *logits*. There is one for each class, here the digits 0 to 9. The
# largest one is the answer. Logits may be negative, and they do not sum to anything in particular:
# only their differences matter.
#
# Softmax
# -------
# To read logits as probabilities, take the exponential of each, which makes it positive, then
# divide by the sum, which makes the sum 1. This is the *softmax*.

exponentials = answer[0].exp()
probabilities = exponentials / exponentials.sum()

assert torch.allclose(probabilities, answer[0].softmax(0))
assert abs(probabilities.sum().item() - 1) < 1e-5

winner = int(probabilities.argmax())
print(f"answer {winner} with probability {probabilities[winner]:.4f}")
print("on the label stands", int(test.labels[DIGIT]))
assert winner == int(test.labels[DIGIT])

# %%
# Left the logits, right the probabilities. The softmax turns a lead of a few units into near
# certainty, because every unit multiplies by e, about 2.7.

figure, (left, right) = plt.subplots(1, 2, figsize=(5, 3), layout="constrained", sharey=True)
colours = ["C1" if digit == winner else "C0" for digit in range(10)]
left.barh(range(10), answer[0], color=colours)
right.barh(range(10), probabilities, color=colours)
left.set_yticks(range(10))
left.set_xlabel("$z$")
right.set_xlabel("$p$")
left.invert_yaxis()

# %%
# Adding the same number to all ten logits changes nothing, because the softmax divides it out
# again.

shifted = (answer[0] + 5).softmax(0)
assert torch.allclose(shifted, probabilities, atol=1e-6)

# %%
# Many pictures at once
# ---------------------
# A batch makes the same journey in one go. Its pictures do not influence each other: every one gets
# the answer that it gets alone. (The last digits may differ, because the sums are taken in another
# order.) Batches are used because a computer is far busier, and so far faster, with many pictures.

few = test.take(range(8))
with torch.no_grad():
    together = model(ready(few.images))  # (8, 10)
    alone = torch.cat([model(ready(few.images[i : i + 1])) for i in range(8)])

print(tuple(together.shape))
assert torch.allclose(together, alone, atol=1e-4)

# %%
# Above each picture: the answer and its probability.

figure, axes = plt.subplots(2, 4, figsize=(5, 3), layout="constrained")
for ax, image, row in zip(axes.flat, few.images, together.softmax(1), strict=True):
    ax.imshow(image[0], cmap="gray")
    ax.set_title(f"{int(row.argmax())}: {row.max():.3f}", fontsize=10)
    ax.set_axis_off()

# %%
# And this is how often the network is right on all test pictures of this collection:

with torch.no_grad():
    right_answers = model(ready(test.images)).argmax(1) == test.labels
card = find_cards("mnist", "mnist_cnn")[0]  # what is known of the bundled weights
print(f"{right_answers.float().mean():.1%} of {len(test)} are right here")
print(
    f"{card.accuracy['mean']:.1%} of {card.data['test']['samples']:,} on MNIST's own test pictures"
)
assert right_answers.float().mean() < card.accuracy["mean"]

# %%
# Why is it right less often here? These digits were scanned in another way, with only 8×8 cells,
# and enlarged afterwards: their strokes are broader and softer than the ones the network learned
# from. Chapters 10 and 11 come back to this.
#
# What to try
# -----------
# - Change ``DIGIT`` and follow another picture. Which ones get a low probability?
# - Multiply all logits by 0.5 before the softmax. Does the answer change? Does the probability?
# - Leave ``ready`` out and give the network ``picture.float()``, values from 0 to 255. What happens
#   to the logits?
#
# The next chapter asks how wrong an answer is: :doc:`plot_07_loss`.
