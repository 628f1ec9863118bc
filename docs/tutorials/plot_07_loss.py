"""7. The loss: how wrong is an answer?
====================================

To improve, a network needs to be told how wrong it is, in one number. This number is the *loss*. It
is small when the answer is good and large when it is bad. This chapter computes the usual one by
hand, and then looks at a famous mistake that never shows an error message: softmax twice.
"""

import math

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F

import cnnzoo

DIGIT = 180
train, test = cnnzoo.load_data("digits")
model = cnnzoo.build("mnist_cnn", weights="mnist").eval()

# %%
# Cross-entropy by hand
# ---------------------
# The network gives ten logits. The softmax makes probabilities of them. Of these only one counts
# for the loss: the probability of the class that is *right*. The loss is minus its natural
# logarithm. This is called *cross-entropy*.

x = model.preprocessing(test.images[DIGIT : DIGIT + 1])
label = int(test.labels[DIGIT])
with torch.no_grad():
    logits = model(x)  # (1, 10)

probability = logits.softmax(1)[0, label].item()
by_hand = -math.log(probability)
by_torch = F.cross_entropy(logits, test.labels[DIGIT : DIGIT + 1]).item()

print(f"the right class is {label}, its probability {probability:.6f}")
print(f"loss by hand {by_hand:.6f}, by PyTorch {by_torch:.6f}")
assert abs(by_hand - by_torch) < 1e-5

# %%
# ``F.cross_entropy`` takes the *logits*. It does the softmax itself. Keep this in mind: it is the
# point of the second half of this chapter.
#
# What if the label were another one? Then the same answer would be a bad one, and the loss large.

for wanted in range(10):
    loss = F.cross_entropy(logits, torch.tensor([wanted])).item()
    print(f"if {wanted} were right: {loss:7.3f}")

# %%
# The curve of minus the logarithm says what a probability costs. A sure and right answer costs
# nothing. A probability of a half costs ln 2. The closer to 0, the steeper: to be *sure and wrong*
# is what costs most.

p = torch.linspace(0.005, 1, 400)
figure, ax = plt.subplots(figsize=(5, 3), layout="constrained")
ax.plot(p, -p.log())
for mark in (0.1, 0.5, 1.0):
    cost = abs(math.log(mark))
    ax.plot(mark, cost, "o", color="C1")
    ax.annotate(f"{cost:.2f}", (mark, cost), (4, 6), textcoords="offset points")
ax.set_xlabel("$p$")
ax.set_ylabel(r"$-\ln p$")
ax.margins(y=0.1)

# %%
# A network that knows nothing gives every class the probability 1/10. Its loss is ln 10. If a new
# network starts at about this value, all is well; if it *stays* there, it learns nothing.

nothing_known = F.cross_entropy(torch.zeros(1, 10), torch.tensor([label])).item()
print(f"knowing nothing: {nothing_known:.4f} = ln 10 = {math.log(10):.4f}")
assert abs(nothing_known - math.log(10)) < 1e-6

# %%
# For a batch, the loss is the average over its pictures.

few = test.take(range(8))
with torch.no_grad():
    each = F.cross_entropy(model(model.preprocessing(few.images)), few.labels, reduction="none")
    batch = F.cross_entropy(model(model.preprocessing(few.images)), few.labels)
print([f"{value:.4f}" for value in each.tolist()], f"average {batch.item():.4f}")
assert abs(each.mean() - batch) < 1e-6

# %%
# The slope
# ---------
# Training asks: which way should each logit move, and how urgently? The answer is the *slope* (the
# *gradient*) of the loss: by how much the loss changes if this logit grows a little. For softmax
# and cross-entropy it is beautifully simple: the probability, minus 1 for the right class.

z = logits.clone().requires_grad_()
F.cross_entropy(z, torch.tensor([label])).backward()

expected = logits.softmax(1)
expected[0, label] -= 1
assert torch.allclose(z.grad, expected, atol=1e-6)

# %%
# So the slope of the right logit lies between −1 and 0. Minus means: the loss falls when this logit
# grows. A wrong answer pulls with a strength of nearly 1, a right one hardly pulls at all.
#
# The mistake: softmax twice
# --------------------------
# Many networks end in a softmax layer, because people like to read probabilities. If such a network
# is trained with PyTorch's cross-entropy, the softmax is applied *twice*. There is no error
# message. It even learns, somehow. What is lost?
#
# The second softmax takes the probabilities for logits. But probabilities lie between 0 and 1, so
# they never differ by more than 1, and the second softmax can never be sure of anything. The best
# that the network can do is to give 1 to the right class and 0 to the nine others. Even then:


def double(z, labels):
    """Cross-entropy of logits (N, K) that went through a softmax before: the mistake."""
    return F.cross_entropy(z.softmax(1), labels)


perfect = torch.zeros(1, 10, dtype=torch.float64)
perfect[0, label] = 1.0  # these are probabilities: a perfect answer
floor = F.cross_entropy(perfect, torch.tensor([label])).item()
print(f"loss of a perfect answer: {floor:.4f}, and ln(e + 9) − 1 = {math.log(math.e + 9) - 1:.4f}")
assert abs(floor - (math.log(math.e + 9) - 1)) < 1e-12
assert round(floor, 3) == 1.461

# %%
# This is a *floor*: with ten classes and two softmaxes, the loss can never fall below 1.461. With
# logits, as it should be, the loss of ever better answers goes to 0.
#
# Now look at a network that is *confidently wrong*. One wrong class has the logit 10, all others
# have 0. How hard does each loss pull at the logit of the right class?


def slope_of_right(loss_function, right, wrong):
    """Slope of the loss for class 0, the right one, where class 1 has the logit ``wrong``."""
    z = torch.zeros(1, 10, dtype=torch.float64)
    z[0, 0], z[0, 1] = right, wrong
    z.requires_grad_()
    loss_function(z, torch.tensor([0])).backward()
    return z.grad[0, 0].item()


once = slope_of_right(F.cross_entropy, 0, 10)
twice = slope_of_right(double, 0, 10)
print(f"softmax once:  {once:.5f}")
print(f"softmax twice: {twice:.5f}")
assert round(once, 5) == -0.99995
assert round(twice, 5) == -0.00005
assert 15_000 < once / twice < 25_000

# %%
# The right loss pulls with nearly full strength, the double softmax about twenty thousand times
# more weakly. It can hardly get the network out of a bad conviction.
#
# Both losses as curves: the right logit goes from −10 to 10, the nine others are 0. Above the loss
# :math:`L`, below its slope. The blue line is softmax once, the orange line softmax twice, and the
# dotted line is the floor.

right_logits = torch.linspace(-10, 10, 201, dtype=torch.float64)
many = torch.zeros(201, 10, dtype=torch.float64)
many[:, 0] = right_logits
zeros = torch.zeros(201, dtype=torch.long)

figure, (top, bottom) = plt.subplots(2, 1, figsize=(5, 5), layout="constrained", sharex=True)
for function, colour, dash in ((F.cross_entropy, "C0", "-"), (double, "C1", "--")):
    z = many.clone().requires_grad_()
    losses = torch.stack([function(z[i : i + 1], zeros[:1]) for i in range(201)])
    losses.sum().backward()
    top.plot(right_logits, losses.detach(), color=colour, ls=dash)
    bottom.plot(right_logits, z.grad[:, 0], color=colour, ls=dash)
top.axhline(floor, color="gray", ls=":")
top.annotate(f"{floor:.3f}", (-10, floor), va="bottom")
top.set_ylabel("$L$")
bottom.set_ylabel(r"$\partial L\,/\,\partial z$")
bottom.set_xlabel("$z$")
bottom.margins(x=0.02)

# %%
# Both curves, measured
# ---------------------
# Does it matter in practice? We train the same network twice on the 1,442 training digits: the same
# starting weights, the same order of pictures, the same settings. Only the loss differs.


def run(loss_function):
    torch.manual_seed(0)  # the same starting weights
    fresh = cnnzoo.build("mnist_cnn")
    trainer = cnnzoo.Trainer(fresh, loss=loss_function, epochs=12, seed=0, progress=False)
    return trainer.fit(train, test)


print(len(train), "training digits")
correct = run(F.cross_entropy)
mistaken = run(double)

print("epoch   once: loss, test accuracy   twice: loss, test accuracy")
for a, b in zip(correct, mistaken, strict=True):
    print(
        f"{a.epoch:5}   {a.train_loss:10.3f} {a.test_accuracy:14.1%}"
        f"   {b.train_loss:11.3f} {b.test_accuracy:14.1%}"
    )

# %%
# Blue is softmax once, orange is softmax twice, dotted is the floor.

figure, (top, bottom) = plt.subplots(2, 1, figsize=(5, 5), layout="constrained", sharex=True)
for history, colour, dash in ((correct, "C0", "-"), (mistaken, "C1", "--")):
    epochs = [row.epoch for row in history]
    top.plot(epochs, [row.train_loss for row in history], dash, color=colour, marker="o")
    bottom.plot(epochs, [row.test_accuracy for row in history], dash, color=colour, marker="o")
top.axhline(floor, color="gray", ls=":")
top.set_ylabel("train_loss", family="monospace")
bottom.set_ylabel("test_accuracy", family="monospace")
bottom.set_xlabel("epoch", family="monospace")

assert min(row.train_loss for row in mistaken) > floor
assert correct[-1].train_loss < 0.5 < mistaken[-1].train_loss
assert correct[2].test_accuracy > mistaken[2].test_accuracy + 0.05

# %%
# The double softmax learns late and slowly, and its loss hangs above the floor, whatever the
# network does. This is how you recognise it: with ten classes, the loss comes to rest somewhere
# between 1.46 and ln 10, although many answers are right.
#
# The cure is to leave the softmax out of the network. All models of cnnzoo return logits. Where
# people want to read probabilities, ``cnnzoo.predict`` applies the softmax, once, at the very end.

answer = cnnzoo.predict(model, test.images[DIGIT])
print(answer.label, f"{answer.probability:.4f}", f"sum {sum(answer.probabilities.values()):.6f}")

# %%
# What to try
# -----------
# - Compute the floor for 2 classes, and for 1,000. When is the mistake worst?
# - Give ``run`` more epochs. Does the double softmax catch up?
# - Use ``loss="nll"`` and a network that ends in ``log_softmax``: this is a correct pair, too. Why?
#
# The next chapter follows the slope backwards through the network: :doc:`plot_08_backward_pass`.
