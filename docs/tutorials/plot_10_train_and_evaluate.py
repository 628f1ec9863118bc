"""10. Train, evaluate, and look at the mistakes
=============================================

All parts are there: forward pass, loss, backward pass, step. This chapter trains a network from
nothing, asks whether it learned the digits or only learned them *by heart*, and reads its mistakes.
"""

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F

import cnnzoo

DIGIT = 180
train, test = cnnzoo.load_data("digits")
print(len(train), "to train,", len(test), "to test")

# %%
# Two piles of digits
# -------------------
# The *training set* is what the network learns from. The *test set* is kept away from it, and is
# only used to measure. This matters more than anything else in this chapter: a network that has
# seen the questions beforehand can answer by heart.
#
# The loop
# --------
# One walk through all training pictures is an *epoch*. This is the whole of it, in plain PyTorch:

torch.manual_seed(0)
model = cnnzoo.build("mnist_cnn")
optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
loader = train.batches(64, shuffle=True, seed=0)

for epoch in range(3):
    for images, labels in loader.epoch(epoch):
        optimizer.zero_grad()  # forget the gradients of the last batch
        loss = F.cross_entropy(model(images), labels)  # forward
        loss.backward()  # backward
        optimizer.step()  # move the weights
    with torch.no_grad():
        right = model(test.preprocessing(test.images)).argmax(1) == test.labels
    print(f"epoch {epoch + 1}: test accuracy {right.float().mean():.1%}")

# %%
# *Accuracy* is the share of pictures that are answered rightly. The loss is for the network,
# because it has a slope; the accuracy is for us.
#
# ``cnnzoo.Trainer`` does the same, and keeps the record. It starts from the same weights and takes
# the same batches, so it gets the same results, up to rounding.

torch.manual_seed(0)
model = cnnzoo.build("mnist_cnn")
trainer = cnnzoo.Trainer(model, epochs=12, batch_size=64, lr=0.01, momentum=0.9, progress=False)
history = trainer.fit(train, test)
print(history)
assert abs(history[2].test_accuracy - right.float().mean()) < 0.02
assert history[-1].test_accuracy > 0.95

# %%
# The training accuracy is counted *while* the network learns, so in the first epochs it can be
# lower than the test accuracy, which is taken at the end of each epoch.
#
# Too few pictures
# ----------------
# Now the same network with 50 pictures, with 500, and with all. After each epoch we ask it about
# the pictures it was trained on, and about the test set. The *gap* between the two is what was
# learned by heart. A large gap is called *over-fitting*.


class AskTraining(cnnzoo.Callback):
    """After every epoch, note the accuracy on the pictures that were trained on."""

    def __init__(self, pictures):
        self.pictures, self.accuracy = pictures, []

    def on_epoch_end(self, trainer, row):
        self.accuracy.append(trainer.evaluate(self.pictures).accuracy)


mixed = torch.randperm(len(train), generator=torch.Generator().manual_seed(0))
results = {}
for size, epochs in ((50, 40), (500, 12), (len(train), 10)):
    part = train.take(mixed[:size])
    ask = AskTraining(part)
    torch.manual_seed(0)
    small = cnnzoo.Trainer(
        cnnzoo.build("mnist_cnn"), epochs=epochs, batch_size=25, callbacks=[ask], progress=False
    )
    rows = small.fit(part, test)
    tested = [row.test_accuracy for row in rows]
    results[size] = ask.accuracy, tested
    gap = ask.accuracy[-1] - tested[-1]
    print(
        f"{size:5} pictures: training {ask.accuracy[-1]:.1%}, test {tested[-1]:.1%}, gap {gap:.1%}"
    )

gaps = [known[-1] - tested[-1] for known, tested in results.values()]
assert gaps[0] > 0.1 > max(gaps[1:])

# %%
# The dashed line is the accuracy on the pictures that were trained on, the solid line that on the
# test set, the shaded area is the gap. From top to bottom: 50, 500 and all pictures.

figure, axes = plt.subplots(3, 1, figsize=(5, 6), layout="constrained", sharey=True)
axes[-1].set_xlabel("epoch", family="monospace")
for ax, (size, (known, tested)) in zip(axes, results.items(), strict=True):
    epochs = range(1, len(known) + 1)
    ax.plot(epochs, known, "--", color="C0")
    ax.plot(epochs, tested, "-", color="C1")
    ax.fill_between(epochs, tested, known, color="C1", alpha=0.25)
    ax.set_title(f"N = {size:,}", fontsize=10, loc="left")
    ax.set_ylim(0, 1.05)
    ax.set_ylabel("accuracy", family="monospace")
    ax.xaxis.get_major_locator().set_params(integer=True)

# %%
# All three answer nearly every question of their own pile. Only the test set tells them apart: 50
# pictures are far too few.
#
# On these digits 500 are nearly as good as all. Be careful with that: both piles were written by
# the same 13 people, so the test asks about familiar hands. With new writers the gap would be
# larger.
#
# More pictures are the best cure for over-fitting. When there are no more, one can make new ones
# from the old by shifting and turning them a little: ``Trainer(…, augment="shift=2,rotate=10")``.
#
# Learning nonsense by heart
# --------------------------
# How much can this network learn by heart? We give 300 pictures *random* labels. There is nothing
# to understand: a 3 may be called 8, and the next 3 may be called 0. It can only be memorised.

nonsense = train.take(mixed[:300])
random_labels = torch.randint(10, (300,), generator=torch.Generator().manual_seed(1))
nonsense = cnnzoo.ImageSet(
    nonsense.images, random_labels, nonsense.classes, nonsense.preprocessing, name="nonsense"
)
ask = AskTraining(nonsense)
torch.manual_seed(0)
memory = cnnzoo.Trainer(
    cnnzoo.build("mnist_cnn"),
    epochs=40,
    batch_size=30,
    optimizer="adam",
    lr=0.002,
    callbacks=[ask],
    progress=False,
)
rows = memory.fit(nonsense, test)
print(f"the 300 random labels: {ask.accuracy[-1]:.1%} right")
print(f"the test set:          {rows[-1].test_accuracy:.1%} right, guessing gives 10%")
assert ask.accuracy[-1] > 0.95
assert rows[-1].test_accuracy < 0.3

# %%
# Dashed are the random labels, solid is the test set, dotted is guessing.

figure, ax = plt.subplots(figsize=(5, 3), layout="constrained")
epochs = range(1, len(rows) + 1)
ax.plot(epochs, ask.accuracy, "--", color="C0")
ax.plot(epochs, [row.test_accuracy for row in rows], "-", color="C1")
ax.axhline(0.1, color="gray", ls=":")
ax.set_ylim(0, 1.05)
ax.set_xlabel("epoch", family="monospace")
ax.set_ylabel("accuracy", family="monospace")
ax.grid(alpha=0.3)

# %%
# It learned nonsense nearly perfectly. So a good training accuracy proves nothing. The test set
# does.
#
# The confusion matrix
# --------------------
# An accuracy is one number. The *confusion matrix* says which digit was taken for which. Each row
# is a true digit, each column an answer. On the diagonal are the right answers; everything beside
# it is a mistake.
#
# We look at two networks: the one trained above on these digits, and the bundled one that was
# trained on MNIST and has never seen this kind of picture.

bundled = cnnzoo.build("mnist_cnn", weights="mnist").eval()


def ask_all(network):
    """Return the probabilities (N, 10) of all test pictures, with the network's own scaling."""
    with torch.no_grad():
        return network(network.preprocessing(test.images)).softmax(1)


def matrix_of(probabilities):
    cells = test.labels * 10 + probabilities.argmax(1)
    return torch.bincount(cells, minlength=100).view(10, 10)


here, mnist = ask_all(trainer.model.eval()), ask_all(bundled)
for name, probabilities in (("trained on these digits", here), ("trained on MNIST", mnist)):
    matrix = matrix_of(probabilities)
    correct = int(matrix.diagonal().sum())
    print(f"{name}: {correct} of {len(test)} right, {correct / len(test):.1%}")
    assert matrix.sum() == len(test)

# %%
# ``trainer.evaluation`` holds the same, counted during training.

assert torch.equal(trainer.evaluation.confusion, matrix_of(here))

# %%
# Above the network trained on these digits, below the one trained on MNIST. Rows are the true
# digits, columns the answers.

figure, axes = plt.subplots(2, 1, figsize=(5, 9.4), layout="constrained")
for ax, probabilities in zip(axes, (here, mnist), strict=True):
    matrix = matrix_of(probabilities)
    shares = matrix / matrix.sum(1, keepdim=True)
    ax.imshow(shares.sqrt(), cmap="Blues", vmin=0, vmax=1)  # the root makes small numbers visible
    for row, column in matrix.nonzero().tolist():
        ink = "white" if shares[row, column] > 0.3 else "#222222"
        number = f"{int(matrix[row, column])}"
        ax.text(column, row, number, ha="center", va="center", color=ink)
    ax.set_xticks(range(10))
    ax.set_yticks(range(10))
    ax.xaxis.tick_top()

# %%
# Start with the largest number off the diagonal. Which two digits are they? Here is what the
# bundled network confuses most often.

matrix = matrix_of(mnist)
off = matrix - torch.diag(matrix.diagonal())
true, taken = divmod(int(off.argmax()), 10)
print(f"{true} taken for {taken}, {off.max()} times")

# %%
# A cell of the matrix is a pile of pictures. This is the pile of that cell, the most certain
# mistake first. Above each picture: true digit → answer, and the probability of the answer. Would
# you have read them rightly?


def show(chosen, probabilities):
    sure, answers = probabilities.max(1)
    chosen = chosen[sure[chosen].argsort(descending=True)][:12]  # the most certain ones
    rows = -(-len(chosen) // 4)
    _, axes = plt.subplots(rows, 4, figsize=(5, 1.65 * rows), layout="constrained", squeeze=False)
    for ax in axes.flat:
        ax.set_axis_off()
    for ax, i in zip(axes.flat, chosen.tolist(), strict=False):
        ax.imshow(test.images[i, 0], cmap="gray")
        ax.set_title(f"{test.labels[i]} → {answers[i]}\n{sure[i]:.3f}", fontsize=9)


in_cell = (test.labels == true) & (mnist.argmax(1) == taken)
show(in_cell.nonzero().flatten(), mnist)

# %%
# The worst mistakes
# ------------------
# A mistake is worst when the network was sure of it. These are the worst of all cells.

show((mnist.argmax(1) != test.labels).nonzero().flatten(), mnist)

# %%
# A high probability is no promise. It says how sure the network is *if* the picture is like those
# it learned from. These pictures are not quite like MNIST's.
#
# Is the network at least more careful when it is wrong?

for name, probabilities in (("trained on these digits", here), ("trained on MNIST", mnist)):
    sure, answers = probabilities.max(1)
    good = answers == test.labels
    print(
        f"{name}: average probability {sure[good].mean():.3f} when right, "
        f"{sure[~good].mean():.3f} when wrong"
    )
    assert sure[good].mean() > sure[~good].mean()

# %%
# It is. So a low probability is a useful warning, even if a high one is no proof.
#
# And our own digit? Both networks get it right:

for probabilities in (here, mnist):
    best = int(probabilities[DIGIT].argmax())
    print(best, f"{probabilities[DIGIT, best]:.4f}")
    assert best == int(test.labels[DIGIT])

# %%
# What to try
# -----------
# - Train on 50 pictures with ``augment="shift=2,rotate=10"``. How much of the gap closes?
# - Show the pictures of another cell of the confusion matrix.
# - Give *half* of the training pictures random labels. How good is the test accuracy, and does it
#   fall again when the network trains longer?
#
# The next chapter brings a picture of your own: :doc:`plot_11_your_own_picture`.
