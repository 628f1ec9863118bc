"""8. The backward pass: where the gradient goes
=============================================

The loss says how wrong the network is. Now every one of its weights needs to know which way to
move. The *backward pass* computes this for all of them at once. In this chapter we check it against
plain arithmetic, then watch it choose its way through a pooling, and then look at how little the
fused operator of cnnzoo needs to remember for it.
"""

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F

import cnnzoo

DIGIT = 180
train, test = cnnzoo.load_data("digits")
model = cnnzoo.build("mnist_cnn", weights="mnist").eval()

# %%
# What a gradient is
# ------------------
# Take one weight. Make it a tiny bit larger and look at the loss again. The change of the loss,
# divided by the change of the weight, is the *slope*. If it is positive, the weight should become
# smaller; if it is negative, larger. The *gradient* is the list of the slopes of all weights.
#
# We take a tiny network, so that we can try this with every weight: one convolution, and a linear
# layer for three classes, on pictures of 6×6 random numbers. It computes in ``float64``, with about
# 16 digits, because we are going to look at very small differences.

torch.manual_seed(0)
tiny = cnnzoo.build("single_layer_cnn", image_size=6, num_classes=3).double()
x = torch.randn(5, 1, 6, 6, dtype=torch.float64)  # five random pictures
labels = torch.tensor([0, 1, 2, 0, 1])
count = sum(parameter.numel() for parameter in tiny.parameters())
print(count, "weights")


def loss_now():
    return F.cross_entropy(tiny(x), labels)


# %%
# One weight, by hand. We nudge it by ``h`` up and down, and divide. This is called a *finite
# difference*.

weight = tiny.conv1.weight.data
h = 1e-5
place = (0, 0, 1, 1)  # the middle of the first kernel
before = weight[place].item()
with torch.no_grad():
    weight[place] = before + h
    above = loss_now().item()
    weight[place] = before - h
    below = loss_now().item()
    weight[place] = before
by_hand = (above - below) / (2 * h)
print(f"loss {above:.12f} above, {below:.12f} below: slope {by_hand:.8f}")

# %%
# PyTorch finds the same number in another way. During the forward pass it writes down what was
# computed. ``backward()`` reads these notes from the end to the beginning, and multiplies the
# slopes of the steps: if A changes B twice as much, and B changes C three times as much, then A
# changes C six times as much. This is the *chain rule*. The results are in ``.grad``.

loss_now().backward()
by_torch = tiny.conv1.weight.grad[place].item()
print(f"slope by backward(): {by_torch:.8f}")
assert abs(by_hand - by_torch) < 1e-8

# %%
# All of them
# -----------
# Now every single weight: two forward passes for each, against one backward pass for all.

by_hand, by_torch = [], []
with torch.no_grad():
    for parameter in tiny.parameters():
        flat = parameter.data.view(-1)
        for i in range(len(flat)):
            before = flat[i].item()
            flat[i] = before + h
            above = loss_now().item()
            flat[i] = before - h
            below = loss_now().item()
            flat[i] = before
            by_hand.append((above - below) / (2 * h))
        by_torch += parameter.grad.view(-1).tolist()

worst = max(abs(a - b) for a, b in zip(by_hand, by_torch, strict=True))
print(f"{len(by_hand)} slopes, {2 * len(by_hand)} forward passes, largest difference {worst:.1e}")
assert len(by_hand) == count
assert worst < 1e-8

# %%
# Each dot is a weight: across, the slope by hand; up, the slope by ``backward()``. All lie on the
# diagonal.

figure, ax = plt.subplots(figsize=(4, 4), layout="constrained")
ax.axline((0, 0), slope=1, color="gray", lw=1)
ax.plot(by_hand, by_torch, ".", alpha=0.6)
ax.set_xlabel(r"$(L(w+h) - L(w-h))\,/\,2h$")
ax.set_ylabel("w.grad", family="monospace")
ax.set_aspect("equal")

# %%
# Our tiny network has a few hundred weights. How many has the network for digits?

weights = sum(parameter.numel() for parameter in model.parameters())
print(f"{weights:,} weights, by hand {2 * weights:,} forward passes for one step")

# %%
# The backward pass finds all these slopes for about the price of two forward passes.
#
# Through the arg-max
# -------------------
# How does a gradient get through a max-pooling? The pooling looks at four squares and keeps the
# largest. Nudge one of the other three, and nothing happens: the maximum stays the same. So their
# slope is 0. Nudge the largest, and the result moves with it, one to one. So all of the gradient
# goes to the square that won, the *arg-max*.
#
# Here is a sheet of 4×4 numbers, pooled to 2×2. The gradient that arrives at the four results is 1,
# 2, 3 and 4, so that we can see where each of them goes.

sheet = torch.tensor(
    [[1.0, 7.0, 2.0, 0.0], [4.0, 3.0, 5.0, 6.0], [-1.0, -2.0, 8.0, 1.0], [-5.0, -3.0, 2.0, 9.0]]
)
sheet = sheet.view(1, 1, 4, 4).requires_grad_()
result = F.max_pool2d(F.relu(sheet), 2)
arriving = torch.tensor([[1.0, 2.0], [3.0, 4.0]]).view(1, 1, 2, 2)
result.backward(arriving)

print("numbers\n", sheet.detach()[0, 0])
print("pooled\n", result.detach()[0, 0])
print("gradient\n", sheet.grad[0, 0])

expected = torch.zeros(4, 4)
expected[0, 1], expected[1, 3], expected[3, 3] = 1, 2, 4
assert torch.equal(sheet.grad[0, 0], expected)

# %%
# Left the numbers, right the gradient. Of every square of four, one gets everything and the other
# three stay 0. The square at the bottom left gets nothing at all: its numbers are all negative, the
# ReLU made them 0, and a small nudge does not change that.

figure, axes = plt.subplots(1, 2, figsize=(5, 2.6), layout="constrained")
for ax, values, colours in (
    (axes[0], sheet.detach()[0, 0], "PuOr_r"),
    (axes[1], sheet.grad[0, 0], "Oranges"),
):
    limit = 18.0 if ax is axes[0] else 8.0  # pale colours, so that the numbers can be read
    ax.imshow(values, cmap=colours, vmin=-limit if ax is axes[0] else 0, vmax=limit)
    for row in range(4):
        for column in range(4):
            number = f"{values[row, column]:g}"
            ax.text(column, row, number, ha="center", va="center", color="#222222", fontsize=12)
    for edge in (-0.5, 1.5, 3.5):
        ax.axhline(edge, color="#555555", lw=2)
        ax.axvline(edge, color="#555555", lw=2)
    ax.set_axis_off()

# %%
# The same in the trained network, on our digit, a 3. The network knows it already, so there would
# be hardly anything to correct, and all slopes would be tiny. To see something, we claim that it is
# an 8. Now the network is "wrong", and the gradient says what would have to change.
#
# We run the first stage by hand, so that we can ask for the gradient right after the convolution,
# before ReLU and pooling.

picture = model.preprocessing(test.images[DIGIT : DIGIT + 1])
label = torch.tensor([8])  # what we claim
assert test.labels[DIGIT] == 3  # what it is

convolved = F.conv2d(picture, model.conv1.weight, model.conv1.bias)  # (1, 32, 26, 26)
convolved.retain_grad()
pooled = F.max_pool2d(F.relu(convolved), 2)  # (1, 32, 13, 13)
rest = F.relu(model.fc1(model.conv2(pooled).flatten(1)))
F.cross_entropy(model.fc2(rest), label).backward()

gradient = convolved.grad[0]  # (32, 26, 26)
squares = gradient.unfold(1, 2, 2).unfold(2, 2, 2).reshape(32, 13, 13, 4)
receivers = (squares != 0).sum(-1)  # how many of the four get something
print(f"{(gradient != 0).float().mean():.1%} of the {gradient.numel():,} places get a gradient")
assert receivers.max() == 1  # never two in one square

# %%
# Left a map after the convolution, right its gradient: single dots, at most one in each square of
# four. Purple is negative, orange is positive, white is zero. The map is the one that gets the
# most.

busiest = int(gradient.abs().sum((1, 2)).argmax())
figure, axes = plt.subplots(1, 2, figsize=(5, 2.6), layout="constrained")
for ax, values in ((axes[0], convolved.detach()[0, busiest]), (axes[1], gradient[busiest])):
    limit = values.abs().max()
    ax.imshow(values, cmap="PuOr_r", vmin=-limit, vmax=limit)
    ax.set_axis_off()

# %%
# What has to be remembered
# -------------------------
# To go backward, the forward pass must keep some notes. PyTorch's separate layers keep the map
# after the convolution and ReLU, and for each pooled number its position as a whole number of 8
# bytes.
#
# The fused operator of cnnzoo computes convolution, ReLU and pooling in one go. It keeps the input,
# the weights, and a single byte (``uint8``) for each pooled number: its *place*. 0, 1, 2, 3 say
# which square of four won; 255 says that the result is 0 and nothing will flow.

options = [1, 1, 0, 0, 2, 2, 2, 2, 0, 0]  # stride, padding, pool, stride and padding of the pool
with torch.no_grad():
    output, places = torch.ops.cnnzoo.conv_relu_maxpool_train(
        picture, model.conv1.weight, model.conv1.bias, options
    )
print(tuple(places.shape), places.dtype, "values:", places.unique().tolist())
assert places.dtype == torch.uint8
assert torch.equal(places == 255, output == 0)

# %%
# The places of the same map as above. The four colours are the four places, empty is 255. Where all
# four squares are equal and positive, as on a plain ground, the first one wins: place 0.

figure, ax = plt.subplots(figsize=(4, 3.2), layout="constrained")
shown = places[0, busiest].float()
shown[shown == 255] = float("nan")
drawn = ax.imshow(shown, cmap=plt.get_cmap("viridis", 4), vmin=-0.5, vmax=3.5)
figure.colorbar(drawn, ticks=[0, 1, 2, 3])
ax.tick_params(left=False, bottom=False, labelleft=False, labelbottom=False)

# %%
# These bytes are enough to send every gradient where it belongs. We rebuild the gradient after the
# convolution from the places alone, and get what PyTorch computed with its larger notes.

pooled_gradient = torch.autograd.grad(
    F.cross_entropy(
        model.fc2(F.relu(model.fc1(model.conv2(start := output.requires_grad_()).flatten(1)))),
        label,
    ),
    start,
)[0]  # (1, 32, 13, 13)

rebuilt = torch.zeros(32, 13, 13, 4)
alive = places[0] != 255
where = places[0].long().clamp(max=3)
rebuilt.scatter_(3, where[..., None], (pooled_gradient[0] * alive)[..., None])
assert (rebuilt - squares).abs().max() < 1e-4 * squares.abs().max()

# %%
# How many bytes do both ways keep? PyTorch can be asked: it calls a function of ours with
# everything that it puts aside for the backward pass.


def bytes_kept(compute):
    kept = {}

    def keep(tensor):
        kept[tensor.data_ptr()] = tensor.numel() * tensor.element_size()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        compute()
    return sum(kept.values())


batch = model.preprocessing(test.images[:64])
weight, bias = model.conv1.weight, model.conv1.bias
given = batch.numel() * batch.element_size()
separate = bytes_kept(lambda: F.max_pool2d(F.relu(F.conv2d(batch, weight, bias)), 2))
fused = given + weight.numel() * 4 + places[0].numel() * len(batch)
print(f"64 pictures themselves: {given:>10,} bytes")
print(f"separate layers keep:   {separate:>10,} bytes")
print(f"the fused operator:     {fused:>10,} bytes, {fused / separate:.1%} of that")
assert fused < separate / 10

# %%
# Less to write and to read again is less time. Chapter 12 measures how much.
#
# Are its gradients the same? We compare the fused layer with PyTorch's separate ones, on our digit.


def gradients_with(implementation):
    same = cnnzoo.build("mnist_cnn", conv_relu_maxpool=implementation)
    same.load_state_dict(model.state_dict())
    F.cross_entropy(same(picture), label).backward()
    return torch.cat([parameter.grad.flatten() for parameter in same.parameters()])


fused_gradient, separate_gradient = gradients_with("auto"), gradients_with("eager")
difference = (fused_gradient - separate_gradient).abs().max() / separate_gradient.abs().max()
print(f"{len(fused_gradient):,} slopes, largest relative difference {difference:.1e}")
assert difference < 1e-4

# %%
# The gradient of the picture
# ---------------------------
# The way back does not have to end at the weights. It can go on to the pixels, and then it says
# which pixels matter: where would a little more ink make the loss grow (orange) or fall (purple)?
# Remember that we asked for an 8. So purple is where a little more ink would make the 3 more of an
# 8 in the eyes of the network.

asked = picture.clone().requires_grad_()
F.cross_entropy(model(asked), label).backward()

figure, axes = plt.subplots(1, 2, figsize=(5, 2.6), layout="constrained")
axes[0].imshow(test.images[DIGIT, 0], cmap="gray")
limit = asked.grad.abs().max()
axes[1].imshow(asked.grad[0, 0], cmap="PuOr_r", vmin=-limit, vmax=limit)
for ax in axes:
    ax.set_axis_off()

# %%
# What to try
# -----------
# - Compute the finite differences with ``h = 1e-2`` and with ``h = 1e-12``. Both are worse. Why?
# - Let two squares of the 4×4 sheet be equal and the largest. Which one gets the gradient?
# - Claim that the digit is a 5, or a 9: which pixels would have to change now?
#
# Now every weight knows its slope. The next chapter takes the step: :doc:`plot_09_optimizers`.
