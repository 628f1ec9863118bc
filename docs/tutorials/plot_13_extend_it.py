"""13. Add something of your own
=============================

cnnzoo is made to be extended. A layer, a model, a data set: each is one function or class with one
line above it that gives it a name. From then on everything in cnnzoo can use it. This chapter has
five recipes. The first four run on this page. The fifth is for those who want to teach the fast
code a new processor.
"""

import re
import sys
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

import cnnzoo
from cnnzoo.data import make_splits

DIGIT = 180
train, test = cnnzoo.load_data("digits")
model = cnnzoo.build("mnist_cnn", weights="mnist")
picture = model.preprocessing(test.images[DIGIT : DIGIT + 1])

# %%
# First recipe: a layer
# ---------------------
#
# Convolution, ReLU and max-pooling together are one layer in cnnzoo. It has several
# *implementations*: different programs for the same answer. Here is another one, close to
# chapter 2. It takes the picture once for each cell of the kernel, shifted by a pixel, multiplies
# it by that cell, and adds it all up.
#
# Your class derives from ``cnnzoo.ConvReluMaxPool``, which has the weights and the checks. You
# write ``forward`` and nothing else. The line with ``@`` is called a *decorator*: it puts the class
# on the list, under the name ``shifted``.


@cnnzoo.register_layer("conv_relu_maxpool.shifted")
class ShiftedConvReluMaxPool(cnnzoo.ConvReluMaxPool):
    """One shifted copy of the picture for each cell of the kernel."""

    def forward(self, x):
        """Map (N, C, H, W) to (N, K, P, Q)."""
        if self.groups != 1:
            raise cnnzoo.CnnzooError(f"shifted is for groups=1, got {self.groups}: try 'auto'.")
        height, width = self.conv_size((x.shape[2], x.shape[3]))
        down, right = self.padding
        x = F.pad(x, (right, right, down, down))
        total = 0
        for i in range(self.kernel_size[0]):
            for j in range(self.kernel_size[1]):
                top, left = i * self.dilation[0], j * self.dilation[1]
                copy = x[:, :, top :: self.stride[0], left :: self.stride[1]]
                copy = copy[:, :, :height, :width]
                total = total + torch.einsum("nchw,kc->nkhw", copy, self.weight[:, :, i, j])
        if self.bias is not None:
            total = total + self.bias[:, None, None]
        return F.max_pool2d(F.relu(total), self.pool_size, self.pool_stride, self.pool_padding)


# %%
# Is it right? ``cnnzoo.swap`` puts it into a model in place of the old layers, with the same
# weights. Before that, it compares the answers and the gradients of both on random numbers.

swapped = cnnzoo.swap(cnnzoo.build("mnist_cnn", weights="mnist"), conv_relu_maxpool="shifted")
print(swapped)
with torch.no_grad():
    print("before:", int(model(picture).argmax()), " after:", int(swapped(picture).argmax()))
    assert torch.allclose(swapped(picture), model(picture), atol=1e-4)

# %%
# Does that check notice anything? Here is the same layer with a mistake: the bias is forgotten.


@cnnzoo.register_layer("conv_relu_maxpool.forgetful")
class ForgetfulConvReluMaxPool(cnnzoo.ConvReluMaxPool):
    """Has a mistake in it, to see it found."""

    def forward(self, x):
        """Map (N, C, H, W) to (N, K, P, Q)."""
        x = F.conv2d(x, self.weight, None, self.stride, self.padding, self.dilation, self.groups)
        return F.max_pool2d(F.relu(x), self.pool_size, self.pool_stride, self.pool_padding)


refusal = None
try:
    cnnzoo.swap(swapped, conv_relu_maxpool="forgetful")
except cnnzoo.CnnzooError as error:
    refusal = str(error)
    print(refusal)
assert "Nothing was swapped" in refusal
assert isinstance(swapped.conv1, ShiftedConvReluMaxPool)

# %%
# Second recipe: a model
# ----------------------
#
# A model is anything that PyTorch calls a module. Write a function that builds it, or a class. The
# arguments should have these names, so that the model can be built for pictures of another size:
# ``in_channels``, ``num_classes``, ``image_size``.
#
# It returns *logits*, one number for each class, and no softmax: chapter 7 says why.


@cnnzoo.register_model("thrifty_cnn")
def thrifty_cnn(in_channels: int = 1, num_classes: int = 10, image_size: int = 28):
    """A convolution, the mean over each map, and a linear layer."""
    if image_size < 5:
        raise cnnzoo.CnnzooError(f"thrifty_cnn needs images of at least 5×5; got {image_size}.")
    return nn.Sequential(
        nn.Conv2d(in_channels, 16, 5, stride=2),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),  # (N, 32, 1, 1), whatever the size was
        nn.Flatten(),
        nn.Linear(32, num_classes),
    )


# %%
# Now it can be built by its name, with all that this brings: keywords are checked, a recipe
# (``spec``) goes into every file, and ``cnnzoo.summarize`` lists its layers.

torch.manual_seed(0)
thrifty = cnnzoo.build("thrifty_cnn")
print(thrifty.spec)
print(cnnzoo.summarize(thrifty, (1, 28, 28)))

message = None
try:
    cnnzoo.build("thrifty_cnn", image_sice=28)
except cnnzoo.CnnzooError as error:
    message = str(error)
    print(message)
assert "image_size" in message

# %%
# And it can be trained and kept, like all others.

trainer = cnnzoo.Trainer(
    thrifty, epochs=8, batch_size=32, optimizer="adam", lr=0.01, progress=False
)
print(trainer.fit(train, test))
print(cnnzoo.predict(thrifty, test.images[DIGIT]).label)
assert trainer.history[-1].test_accuracy > 0.6

# %%
# The mean over each map is why it needs so few weights: it asks how much of something there is in
# the picture, and not where. For digits this is hard, since a 6 and a 9 have the same parts.
#
# If the file ``my_models.py`` has this function in it, ``import my_models`` is enough, and the name
# is there. For ``cnnzoo train`` on the command line to find it too, it goes into a package: the
# fourth recipe.
#
# Third recipe: a data set
# ------------------------
#
# A data set is a function that returns pictures and labels in two parts, to train and to test.
# Pictures are whole numbers from 0 to 255, of type ``uint8``, in the shape (N, C, H, W) or, if they
# are grey, (N, H, W). ``make_splits`` checks all of it.
#
# Ours is drawn by the computer: bars that lie, stand, or lean, each at a random place.

CLASSES = ("lying", "standing", "leaning")


@cnnzoo.register_dataset("bars")
def bars(root=None, seed=0):
    """Lying, standing and leaning bars, 300 + 90 grey 28×28."""
    random = np.random.default_rng(seed)
    return make_splits("bars", CLASSES, draw_bars(300, random), draw_bars(90, random))


def draw_bars(count, random):
    """Return pictures (count, 28, 28) and labels (count,)."""
    labels = np.arange(count) % 3
    pictures = random.integers(0, 60, (count, 28, 28))  # a noisy ground
    rows, columns = np.mgrid[:28, :28]
    for picture, label in zip(pictures, labels, strict=True):
        row, column = random.integers(8, 20, 2)
        across = (rows - row, columns - column, (rows - row + columns - column) * 0.7)[label]
        along = (columns - column, rows - row, (rows - row - columns + column) * 0.7)[label]
        picture[(abs(across) < 2) & (abs(along) < 8)] = 255
    return pictures.astype(np.uint8), labels


bars_train, bars_test = cnnzoo.load_data("bars", seed=1)
print(bars_train)
assert (len(bars_train), len(bars_test)) == (300, 90)

figure, axes = plt.subplots(2, 6, figsize=(5.4, 1.9), layout="constrained")
for ax, image in zip(axes.flat, bars_train.images[:, 0], strict=False):
    ax.imshow(image, cmap="gray", vmin=0, vmax=255)
    ax.set_axis_off()

# %%
# Our model has never heard of bars. It is built for three classes, and trained as before.

torch.manual_seed(0)
for_bars = cnnzoo.build("thrifty_cnn", num_classes=len(CLASSES))
trainer = cnnzoo.Trainer(
    for_bars, epochs=3, batch_size=16, optimizer="adam", lr=0.01, progress=False
)
print(trainer.fit(bars_train, bars_test))
answer = cnnzoo.predict(for_bars, bars_test.images[0])
print("says", answer.label, "and it is", CLASSES[bars_test.labels[0]])
assert trainer.history[-1].test_accuracy > 0.8

# %%
# For bars, it does not matter where they are, so the mean is just right.
#
# Pictures that lie in folders need no function at all: put those of each class into a folder with
# its name, and take ``cnnzoo.load_data("folder", root="my_pictures")``. And pictures that are in
# memory already become a data set by ``cnnzoo.data.ImageSet.from_tensors(images, labels)``.
#
# Fourth recipe: a package
# ------------------------
#
# You want to give your model to others. They should type ``pip install leafzoo``, and cnnzoo should
# know it: a *plugin*. A plugin is an ordinary Python package with two more lines, which say "when
# cnnzoo looks for more, import this". Here are its two files.

package = {
    "pyproject.toml": """\
[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[project]
name = "leafzoo"
version = "1.0"
dependencies = ["cnnzoo"]

[project.entry-points."cnnzoo.plugins"]
leafzoo = "leafzoo"
""",
    "leafzoo.py": '''\
"""Importing this registers a model."""

from torch import nn

from cnnzoo import register_model


@register_model("leaf_net")
def leaf_net(in_channels: int = 1, num_classes: int = 10, image_size: int = 28):
    """A linear layer on the pixels, to compare others with."""
    return nn.Sequential(nn.Flatten(), nn.Linear(in_channels * image_size**2, num_classes))
''',
}
folder = Path(tempfile.mkdtemp())
for name, text in package.items():
    (folder / name).write_text(text)
    print(f"--- {name}")
    print(text)

# %%
# In a shell, ``pip install .`` in that folder does the rest. It would put ``leafzoo.py`` where
# Python finds it, and write down the two lines in a folder beside it. This page must not change
# your Python, so we do the same by hand, in a temporary place, and take it back at the end.
#
# cnnzoo looks for plugins once, when a name is first asked for. This page has asked for many names
# already, so ``forget`` tells it to look again. A new program would not need that line.

notes = folder / "leafzoo-1.0.dist-info"
notes.mkdir()
(notes / "METADATA").write_text("Metadata-Version: 2.1\nName: leafzoo\nVersion: 1.0\n")
(notes / "entry_points.txt").write_text("[cnnzoo.plugins]\nleafzoo = leafzoo\n")

sys.path.insert(0, str(folder))  # until here it was what pip does
cnnzoo.plugins.forget()
found = cnnzoo.list_models("leafzoo:*")
leaf = cnnzoo.build("leafzoo:leaf_net", num_classes=3)
sys.path.remove(str(folder))
cnnzoo.plugins.forget()

print(found)
print(leaf)
assert found == ["leafzoo:leaf_net"]

# %%
# The name of the package stands before the name of the model, so that two packages may both have a
# ``leaf_net``. A plugin that fails to import does no harm: cnnzoo goes on without it, and
# ``cnnzoo plugins`` shows why.
#
# :doc:`/reference/example_plugin` is a complete package with a model, a layer, a data set and
# tests. Copy it and change the names. ``pytest --cnnzoo-conformance leafzoo:`` runs the checks on
# it that all of cnnzoo's own models have to pass.
#
# Fifth recipe: a new kind of processor
# -------------------------------------
#
# The fast code is written in C++. Most of it does not know for which processor it is. It works with
# a *vector*: a few numbers that the processor adds or multiplies at once. How many they are, and
# what the commands are called, depends on the *instruction set*. Those that this cnnzoo knows, and
# this processor has, best first:

status = cnnzoo.ops.status()
print("in use:", status.isa, " all:", ", ".join(status.isas) or status.reason)

# %%
# Each has one file of C++, ``csrc/cpu/isa_NAME.cpp`` in the sources of cnnzoo. To add one, you copy
# ``isa_scalar.cpp``, which runs everywhere, and fill it in. Nothing else needs to be changed: the
# file is found by its name. Let us read it. (If you have installed cnnzoo without its sources,
# there is nothing to read, and nothing is printed.)

sources = Path(cnnzoo.__file__).resolve().parents[1] / "csrc/cpu"
files = sorted(sources.glob("isa_*.cpp"))


def show(pattern, count=40):
    """Print the lines of isa_scalar.cpp from the first that matches, to the next empty one."""
    lines = (sources / "isa_scalar.cpp").read_text().splitlines() if files else []
    start = next((i for i, line in enumerate(lines) if re.search(pattern, line)), len(lines))
    for line in lines[start : start + count]:
        if not line:
            break
        print(line)


show("NAME =")

# %%
# Four facts. ``NAME`` is what users type. ``RANK`` says which is preferred where a processor has
# several: the highest. ``LANES`` is how many numbers of 32 bits a vector has. ``ACCUMULATORS`` is
# how many vectors the innermost loop adds up at the same time, and it depends on how many registers
# (places for a vector inside the processor) there are.
#
# Here are those facts of all the files that are there.

facts = [dict(re.findall(r"constexpr .*?(\w+) = \"?(\w+)\"?;", f.read_text())) for f in files]
for each in sorted(facts, key=lambda each: int(each["RANK"])):
    print("  ".join(f"{key} {each[key]:<7}" for key in ("NAME", "RANK", "LANES", "ACCUMULATORS")))

# %%
# Then come the types of a vector, of a comparison's result (``Mask``), and of the places
# (``Labels``); and the question whether this processor has the instruction set at all.

show("typedef float Vec")
show("bool supported")

# %%
# And then some twenty-five small functions, a line or a few each: load, store, add, multiply and
# add, compare. ``store(p, v, n)`` writes the first ``n`` numbers and not a byte more.

show("inline Vec zero")
print()
show("inline Vec pick")

# %%
# The last line of the file takes in the algorithm itself, which is the same for all.

show("kernels.inl")

# %%
# So the steps are:
#
# 1. Copy ``csrc/cpu/isa_scalar.cpp`` to ``csrc/cpu/isa_mine.cpp``, and change the four facts, the
#    types and the functions. ``isa_avx2.cpp`` shows how to ask for a special instruction set.
# 2. Run ``sh tests/csrc/run.sh plain 2000``. It compares every instruction set with a slow and
#    obvious program, on 2,000 random layers. Then ``sh tests/csrc/run.sh asan``, which looks for
#    writes beyond the end of memory.
# 3. Build: ``pip install -e .``
# 4. Measure: ``cnnzoo tune mnist_cnn`` writes a file, and ``CNNZOO_CHOICES=choices.json`` in front
#    of a command makes use of it. cnnzoo takes nothing by faith. As long as nobody has measured
#    that the new code is faster, it goes on with PyTorch.
#
# We did not build a new one for this page: a compiler takes longer than the page may. But we can
# run those that are there, one after the other, and compare each with PyTorch's own layers.

layer = model.conv1
with torch.no_grad():
    expected = F.max_pool2d(F.relu(F.conv2d(picture, layer.weight, layer.bias)), 2)
    for isa in status.isas:
        cnnzoo.ops.set_isa(isa)
        y = cnnzoo.ops.conv_relu_maxpool(
            picture, layer.weight, layer.bias, pool_size=2, implementation="native"
        )
        difference = (y - expected).abs().max() / expected.abs().max()
        print(f"{isa:<8} largest difference {difference:.1e}")
        assert difference < 1e-5
if status.isa:
    cnnzoo.ops.set_isa(status.isa)

# %%
# What to try
# -----------
#
# - Let ``thrifty_cnn`` learn the digits with ``nn.MaxPool2d(2)`` and a larger linear layer in place
#   of the mean. How good does it get?
# - Add a fourth class to the bars. Which lines have to change?
# - Break ``shifted`` in some small way: start a loop at 1. Does ``cnnzoo.swap`` notice?
#
# Next: :doc:`plot_14_two_machines`.
