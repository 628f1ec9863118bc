"""4. The single-layer network
===========================

We put the pieces together: a convolution, ReLU, pooling, and at the end a layer that decides. That
is the smallest convolutional network there is, and it learns our digits in seconds. Afterwards we
look inside.
"""

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F

import cnnzoo

DIGIT = 180
train, test = cnnzoo.load_data("digits")
label = int(test.labels[DIGIT])

# %%
# The plan
# --------
#
# ``cnnzoo.build`` makes a model by its name. A new model has random weights. With the same *seed*,
# the same random numbers come again, so that your numbers will be those on this page, or very
# close.

torch.manual_seed(0)
model = cnnzoo.build("single_layer_cnn")
print(model)

# %%
# The model has two layers. The first one, ``conv1``, is convolution, bias, ReLU and max-pooling in
# one. We go through it step by step with one batch of eight digits and write down the shapes.

x = torch.stack([test[i][0] for i in range(8)])
print("x         ", tuple(x.shape))
z = F.conv2d(x, model.conv1.weight, model.conv1.bias)
print("conv2d    ", tuple(z.shape), "  28 − 3 + 1 = 26")
a = F.relu(z)
print("relu      ", tuple(a.shape))
maps = F.max_pool2d(a, 2)
print("max_pool2d", tuple(maps.shape), "  26 / 2 = 13")
features = maps.flatten(1)
print("flatten   ", tuple(features.shape), "          32 · 13 · 13 = 5408")
logits = F.linear(features, model.fc1.weight, model.fc1.bias)
print("linear    ", tuple(logits.shape))

assert torch.allclose(logits, model(x), atol=1e-4)  # the model does the same

# %%
# *Flatten* writes the 32 maps of a picture into one long row. The *linear layer* ``fc1`` multiplies
# each of these numbers by a weight and adds them up, once for each of the ten digits. Its ten
# results are called *logits*. The largest wins.
#
# What is there to learn? Everything in ``model.parameters()``. Let us count.

for name, parameter in model.named_parameters():
    print(f"{name:<14}{tuple(parameter.shape)!s:<16}{parameter.numel():>6,}")
total = sum(parameter.numel() for parameter in model.parameters())
print(f"{'':<30}{total:>6,}")

assert model.conv1.weight.numel() + model.conv1.bias.numel() == 32 * (1 * 3 * 3) + 32
assert model.fc1.weight.numel() + model.fc1.bias.numel() == 5408 * 10 + 10

# %%
# Nearly all of them sit in the linear layer. The convolution uses its few weights again at every
# place of the picture. That is its trick: what an edge looks like has to be learned once only.

conv_share = (32 * 9 + 32) / total
print(f"share of the convolution: {conv_share:.1%}")
assert conv_share < 0.01

# %%
# Train it
# --------
#
# We keep a copy of the kernels to compare with later. Then a ``Trainer`` does the work, with the
# settings of the original tutorial: mini-batches of 64, and steps with learning rate 0.01 and
# momentum 0.9. Chapters 7 to 9 explain these words. Eight *epochs* are eight passes through the
# training set.

untrained = model.conv1.weight.detach().clone()
trainer = cnnzoo.Trainer(model, epochs=8, batch_size=64, lr=0.01, momentum=0.9, progress=False)
history = trainer.fit(train, test)
print(history)

# %%
# *Accuracy* is the share of the pictures that were answered right. *Loss* says how far the answers
# were from right; chapter 7 is about it. Both are noted after every epoch, for the training set and
# for the test set.

epochs = [row.epoch for row in history]
figure, (upper, lower) = plt.subplots(2, 1, figsize=(4.4, 5), layout="constrained")
for ax, what in ((upper, "loss"), (lower, "accuracy")):
    for part, style in (("train", "o-"), ("test", "s--")):
        name = f"{part}_{what}"
        ax.plot(epochs, [getattr(row, name) for row in history], style, label=name)
    ax.legend(fontsize=9)
    ax.set_xticks(epochs)
    ax.grid(alpha=0.3)
upper.set_yscale("log")

seconds = sum(row.seconds for row in history)
print(f"test accuracy {history[-1].test_accuracy:.1%} after {seconds:.1f} s")
assert history[-1].test_accuracy > 0.9

# %%
# Remember that the test digits here were probably written by the people who wrote the training
# digits. With digits from unknown hands, expect less.
#
# And our digit?

answer = cnnzoo.predict(model, test.images[DIGIT])
print(answer)
for name, probability in answer.top(3):
    print(f"{name}: {probability:.4f}")
assert answer.index == label

# %%
# Its 32 kernels
# --------------
#
# Orange weights are positive, purple ones negative. Above are the kernels before training, below
# the same ones after it.

trained = model.conv1.weight.detach()
limit = float(torch.maximum(untrained.abs().max(), trained.abs().max()))
figure, axes = plt.subplots(
    9,
    8,
    figsize=(5, 5.6),
    layout="constrained",
    gridspec_kw={"height_ratios": [2] * 4 + [1] + [2] * 4},
)
for ax in axes[4]:
    ax.set_axis_off()  # a gap
for k in range(32):
    for row, weights in ((k // 8, untrained), (5 + k // 8, trained)):
        ax = axes[row, k % 8]
        ax.imshow(weights[k, 0], cmap="PuOr_r", vmin=-limit, vmax=limit)
        ax.set(xticks=[], yticks=[])
        if k % 8 == 0:
            ax.set_ylabel(k, rotation=0, labelpad=10, va="center")

# %%
# You can still recognise most of them. Here is how far the weights have moved, compared with their
# size:


def change(new, old):
    return float((new - old).norm() / old.norm())


torch.manual_seed(0)
at_first = cnnzoo.build("single_layer_cnn")  # the same seed: the same weights as at the start
print(f"kernels moved by {change(trained, untrained):.0%} of their size")
print(f"linear layer by  {change(model.fc1.weight.detach(), at_first.fc1.weight.detach()):.0%}")
assert torch.equal(at_first.conv1.weight, untrained)
assert change(trained, untrained) < change(model.fc1.weight.detach(), at_first.fc1.weight.detach())

# %%
# The linear layer has moved further. Does the network need trained kernels at all? We can ask:
# train the same network again and forbid its first layer to change.

at_first.conv1.requires_grad_(False)
frozen = cnnzoo.Trainer(at_first, epochs=8, batch_size=64, lr=0.01, momentum=0.9, progress=False)
print(f"test accuracy with random kernels: {frozen.fit(train, test)[-1].test_accuracy:.1%}")
assert torch.equal(at_first.conv1.weight, untrained)
assert 0.85 < frozen.history[-1].test_accuracy < history[-1].test_accuracy

# %%
# It does worse, but not by much, with kernels that know nothing about digits. Among 32 random
# kernels some happen to be useful, and the linear layer learns to read them. That works for an easy
# task and a single layer. Do not count on it elsewhere.
#
# What they see
# -------------
#
# ``cnnzoo.features`` runs a model and returns the maps of its stages. These are the 32 maps of our
# digit after ReLU and pooling.

image = model.preprocessing(test.images[DIGIT][None])
with torch.no_grad():
    maps = cnnzoo.features(model, image)["conv1"][0]  # (32, 13, 13)

figure, axes = plt.subplots(4, 8, figsize=(5.2, 3.1), layout="constrained")
for k, ax in enumerate(axes.flat):
    ax.imshow(maps[k], cmap="viridis", vmin=0, vmax=float(maps.max()))
    ax.set(xticks=[], yticks=[])
    ax.set_title(k, fontsize=8, pad=2)
print("maps that are 0 everywhere:", int((maps.amax(dim=(1, 2)) == 0).sum()))

# %%
# Some show the strokes, some their left or right edges, some the ground.
#
# What speaks for a 3?
# --------------------
#
# A logit is a sum of 5,408 products and a bias. We can leave the products where they come from: 32
# maps of 13×13. Adding up the 32 maps gives one picture for each digit. Orange is where the digit
# in the picture speaks *for* that answer, purple is where it speaks *against* it. The sum of the
# picture, with the bias, is the logit, which stands beside the digit's number.

weights = model.fc1.weight.detach().view(10, 32, 13, 13)
evidence = (weights * maps).sum(dim=1)  # (10, 13, 13)
with torch.no_grad():
    logits = model(image)[0]
assert torch.allclose(evidence.sum(dim=(1, 2)) + model.fc1.bias.detach(), logits, atol=1e-3)

limit = float(evidence.abs().max()) / 2  # so that weak colours show, too
figure, axes = plt.subplots(2, 5, figsize=(5.2, 2.8), layout="constrained")
for digit, ax in enumerate(axes.flat):
    ax.imshow(evidence[digit], cmap="PuOr_r", vmin=-limit, vmax=limit)
    ax.set(xticks=[], yticks=[])
    ax.set_title(f"{digit}: {logits[digit]:+.1f}".replace("-", "−"), fontsize=10)
assert int(logits.argmax()) == label

# %%
# The bare command
# ----------------
#
# The same training from a terminal, with pictures of curves and mistakes in a folder:
#
# .. code-block:: bash
#
#    cnnzoo train single_layer_cnn --epochs 8 --out runs/single
#
# What to try
# -----------
#
# - Train for 40 epochs. How far do the kernels move then? Can you still recognise them?
# - Look at ``evidence`` of a digit that the model gets wrong.
# - Train with ``lr=1.0``. Chapter 9 explains what you see.
#
# Next: :doc:`plot_05_multi_layer_network`.
