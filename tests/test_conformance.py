"""The checks that plugins run: each sees the mistake it is there for, and pytest finds them."""

import itertools
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

import cnnzoo
from cnnzoo import registry
from cnnzoo.conformance import ConformanceError, checks, subjects
from cnnzoo.data import DataSplits, make_splits
from cnnzoo.layers import ConvReluMaxPool
from cnnzoo.layers.eager import EagerConvReluMaxPool

pytest_plugins = ["pytester"]

CHECKS = {(kind, c.name): c for kind in ("model", "layer", "data set") for c in checks(kind)}
KIND_OF = {"model": registry.models, "layer": registry.layers, "data set": registry.datasets}
unique = itertools.count()


@pytest.fixture(autouse=True)
def own_entries(monkeypatch):
    """What a test registers is gone after it."""
    for shelf in KIND_OF.values():
        shelf.names()  # cnnzoo's own first
        monkeypatch.setattr(shelf, "_entries", dict(shelf._entries))


def check(kind, name, thing, prefix="wrong"):
    """Register a thing and run the check of this name on it."""
    subject = f"{prefix}{next(unique)}"  # a new name: the case of the last one is kept
    KIND_OF[kind].register(subject)(thing)
    CHECKS[kind, name](subject)


class Net(nn.Module):
    """A small network that keeps every promise; the wrong ones below are made of it."""

    def __init__(self, in_channels=3, num_classes=10, image_size=32):
        super().__init__()
        sides = image_size if isinstance(image_size, tuple | list) else [image_size]
        if min(sides) < 2:
            raise cnnzoo.CnnzooError(f"image_size must be at least 2; got {image_size}.")
        self.in_channels, self.image_size = in_channels, image_size
        self.conv = nn.Conv2d(in_channels, 8, 3, padding=1)
        self.body = nn.Conv2d(8, 16, 3, stride=2, padding=1)
        self.fc = nn.Linear(16, num_classes)
        self.stages = {"conv": "conv", "body": "body"}

    def forward(self, x):
        x = self.conv(x).relu()
        return self.fc(self.body(x).relu().mean((2, 3)))


class Doubled(torch.autograd.Function):
    """The identity, with twice its gradient."""

    @staticmethod
    def forward(context, x):
        return x.clone()

    @staticmethod
    def backward(context, gradient):
        return 2 * gradient


class IgnoresClasses(Net):
    def __init__(self, in_channels=3, num_classes=10, image_size=32):
        super().__init__(in_channels, 10, image_size)


class WrongBackward(Net):
    def forward(self, x):
        x = self.conv(x).relu()
        return self.fc(Doubled.apply(self.body(x)).relu().mean((2, 3)))


class CutsTheImages(Net):
    def forward(self, x):
        return super().forward(x.detach())


class UnusedParameter(Net):
    def __init__(self, in_channels=3, num_classes=10, image_size=32):
        super().__init__(in_channels, num_classes, image_size)
        self.spare = nn.Linear(2, 2)


class Noisy(Net):
    def forward(self, x):
        return super().forward(x) + torch.rand(())


class LooksAtTheBatch(Net):
    def forward(self, x):
        return super().forward(x - x.mean())


class HidesState(Net):
    def __init__(self, in_channels=3, num_classes=10, image_size=32):
        super().__init__(in_channels, num_classes, image_size)
        self.offset = torch.rand(num_classes)

    def forward(self, x):
        return super().forward(x) + self.offset


class CrashesWhenSmall(Net):
    def __init__(self, in_channels=3, num_classes=10, image_size=32):
        super().__init__(in_channels, num_classes, max(image_size, 2))
        self.image_size = image_size
        self.window = nn.Conv2d(in_channels, in_channels, 5)

    def forward(self, x):
        return super().forward(self.window(x))


class OnlySquare(Net):
    def __init__(self, in_channels=3, num_classes=10, image_size=32):
        super().__init__(in_channels, num_classes, int(image_size))


class Float32Only(Net):
    def forward(self, x):
        return super().forward(x).float()


class StagesBackwards(Net):
    def __init__(self, in_channels=3, num_classes=10, image_size=32):
        super().__init__(in_channels, num_classes, image_size)
        self.stages = {"body": "body", "conv": "conv"}


class FlatStage(Net):
    def __init__(self, in_channels=3, num_classes=10, image_size=32):
        super().__init__(in_channels, num_classes, image_size)
        self.stages = {"fc": "fc"}


class NoEmptyBatch(Net):
    def forward(self, x):
        return super().forward(x.reshape(len(x), -1).reshape(x.shape))


class LooksAtValues(Net):
    def forward(self, x):
        return super().forward(x if x.sum() > 0 else -x)


class CannotLearn(Net):
    def forward(self, x):
        return super().forward(x) * 1e-6


WRONG = [
    (IgnoresClasses, "grey_images_of_three_classes", r"Expected logits \(3, 3\) .* got \(3, 10\)"),
    (WrongBackward, "gradients_agree_with_finite_differences", "the gradient of .* to be"),
    (CutsTheImages, "rgb_images_of_ten_classes", "a gradient of the images that is not zero"),
    (UnusedParameter, "rgb_images_of_ten_classes", "a gradient for spare.weight; it got none"),
    (Noisy, "evaluation_is_deterministic", "the second call gave others"),
    (LooksAtTheBatch, "evaluation_is_deterministic", "alone and among others"),
    (HidesState, "spec_and_state_dict_rebuild_it", "in no parameter and no buffer"),
    (HidesState, "saved_and_loaded_it_answers_the_same", "equal logits from the saved"),
    (CrashesWhenSmall, "smallest_image_works_and_a_pixel_less_is_a_sentence", "image_size=4 to"),
    (OnlySquare, "other_sizes_work_or_are_refused_in_a_sentence", r"\(32, 40\).* in TypeError"),
    (Float32Only, "float64_works", "Expected float64 logits; got torch.float32"),
    (StagesBackwards, "features_at_every_stage", "in the order they run, conv, body"),
    (FlatStage, "features_at_every_stage", r'at the stage "fc"; got \(2, 10\)'),
    (CannotLearn, "learns_real_digits_by_heart", "Expected the loss on 32 digits to fall below"),
]


@pytest.mark.parametrize(("net", "name", "words"), WRONG, ids=lambda each: str(each)[:40])
def test_a_mistake_is_named_by_its_check(net, name, words):
    with pytest.raises(ConformanceError, match=words) as caught:
        check("model", name, net)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("net", "name"), [(NoEmptyBatch, "batch_of_one_and_of_none"), (LooksAtValues, "exports")]
)
def test_a_crash_is_passed_on(net, name):
    with pytest.raises(Exception, match=r"reshape|data-dependent"):
        check("model", name, net)


def test_a_tool_that_changes_the_model_is_seen(monkeypatch):
    other = Net().eval()
    monkeypatch.setattr("cnnzoo.conformance.check_tools.fuse", lambda model: other)
    with pytest.raises(ConformanceError, match="The logits of the fused model"):
        check("model", "fused_it_answers_the_same", Net)


@pytest.mark.parametrize("name", [name for kind, name in CHECKS if kind == "model"])
def test_a_right_model_passes(name):
    if name == "layer_implementations_agree":
        with pytest.raises(pytest.skip.Exception, match="takes no conv_relu_maxpool"):
            check("model", name, Net)
    else:
        check("model", name, Net)


def fixed():
    """Build for grey images of 20 pixels and ten classes, whatever anybody wants."""
    return Net(1, 10, 20)


@pytest.mark.parametrize(
    "name", ["grey_images_of_three_classes", "learns_real_digits_by_heart", "exports"]
)
def test_a_model_without_arguments_is_checked_for_what_it_is(name):
    check("model", name, fixed)


def test_what_a_model_does_not_take_is_not_asked_of_it():
    with pytest.raises(pytest.skip.Exception, match="takes no image_size"):
        check("model", "other_sizes_work_or_are_refused_in_a_sentence", fixed)


class WithoutBias(EagerConvReluMaxPool):
    def forward(self, x):
        kept, self._parameters["bias"] = self.bias, None
        y = super().forward(x)
        self._parameters["bias"] = kept
        return y


class RefusesPadding(EagerConvReluMaxPool):
    def forward(self, x):
        if self.padding != (0, 0):
            raise cnnzoo.CnnzooError("no padding here.")
        return super().forward(x)


class WrongGradient(EagerConvReluMaxPool):
    def forward(self, x):
        return Doubled.apply(super().forward(x))


class TooLarge(EagerConvReluMaxPool):
    def output_size(self, size):
        return size


class Extra(EagerConvReluMaxPool):
    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.scale = nn.Parameter(torch.ones(()))


class NoEmptyLayer(EagerConvReluMaxPool):
    def forward(self, x):
        if not len(x):
            raise RuntimeError("nothing here")
        return super().forward(x)


@pytest.mark.parametrize(
    ("layer", "name", "words"),
    [
        (WithoutBias, "agrees_with_torchs_modules", "The output for"),
        (WithoutBias, "a_model_can_use_it", "The logits"),
        (RefusesPadding, "agrees_with_torchs_modules", "no padding here"),
        (WrongGradient, "agrees_with_torchs_modules", "The gradient of the input"),
        (WrongGradient, "agrees_or_refuses", "The gradient of the input"),
        (WrongGradient, "a_model_can_use_it", "The gradient of"),
        (TooLarge, "agrees_with_torchs_modules", "Expected output_size to say"),
        (Extra, "is_a_conv_relu_maxpool", "'bias', 'scale'"),
        (nn.Conv2d, "is_a_conv_relu_maxpool", "derived from cnnzoo.ConvReluMaxPool"),
        (NoEmptyLayer, "takes_any_batch_and_layout", "nothing here"),
    ],
)
def test_a_mistake_in_a_layer_is_seen(layer, name, words):
    with pytest.raises(Exception, match=words):
        check("layer", name, layer, prefix="conv_relu_maxpool.wrong")


def test_a_layer_may_refuse_what_networks_seldom_use():
    class NoBias(EagerConvReluMaxPool):
        def forward(self, x):
            if self.bias is None:
                raise cnnzoo.CnnzooError("a bias is needed.")
            return super().forward(x)

    for name in ("agrees_or_refuses", "agrees_with_torchs_modules"):
        check("layer", name, NoBias, prefix="conv_relu_maxpool.right")
    with pytest.raises(pytest.skip.Exception, match='no checks of the role "attention"'):
        check("layer", "is_a_conv_relu_maxpool", ConvReluMaxPool, prefix="attention.some")


def splits(seed=0, **changes):
    random = np.random.default_rng(seed)
    train, test = (
        (random.integers(0, 256, (n, 1, 6, 5), np.uint8), np.arange(n) % 3) for n in (40, 20)
    )
    return make_splits("drawn", list("abc"), changes.get("train", train), changes.get("test", test))


def drawn(root=None):
    """Drawn at random, for a test of the checks."""
    return splits()


def unseeded(root=None):
    return splits(seed=None)


def own_statistics(root=None):
    train, test = splits()
    return DataSplits(train, cnnzoo.ImageSet.from_tensors(test.images, test.labels, train.classes))


def leaking(root=None):
    train, _ = splits()
    return splits(test=(train.images[:20].numpy(), train.labels[:20].numpy()))


def no_root(folder="here"):
    """Drawn at random, for a test of the checks."""
    return splits()


def two(root=None):
    return 1, 2


@pytest.mark.parametrize(
    ("data", "name", "words"),
    [
        (unseeded, "is_the_same_every_time", "draw them from a fixed seed"),
        (own_statistics, "statistics_are_the_training_sets", "statistics of the training images"),
        (own_statistics, "keeps_the_contract", 'to be called "test"; it is "all"'),
        (leaking, "no_image_is_in_both_parts", "20 of 20 are"),
        (no_root, "has_a_summary_and_takes_a_root", "Expected an argument root=None"),
        (two, "keeps_the_contract", "must return DataSplits"),
        (drawn, "both_loaders_agree", "The loaders differ"),
    ],
)
def test_a_mistake_in_a_data_set_is_seen(data, name, words, monkeypatch):
    if data is drawn:  # what reads the images is the zoo's own: nothing but a patch can break it
        words = "the same images and labels from both loaders"
        monkeypatch.setattr(cnnzoo.ImageSet, "__getitems__", lambda self, indices: [self[0]] * 7)
    with pytest.raises(Exception, match=words):
        check("data set", name, data)


@pytest.mark.parametrize("name", [name for kind, name in CHECKS if kind == "data set"])
def test_a_right_data_set_passes(name):
    check("data set", name, drawn, prefix="right")


def test_missing_files_are_said():
    def missing(root=None):
        raise cnnzoo.CnnzooError("the files are not there.")

    with pytest.raises(ConformanceError, match=r"CNNZOO_DATA names\. It says: the files are not"):
        check("data set", "keeps_the_contract", missing)


def test_random_numbers_of_the_caller_are_left_alone():
    before = torch.get_rng_state()
    CHECKS["model", "grey_images_of_three_classes"]("single_layer_cnn")
    assert torch.equal(torch.get_rng_state(), before)


def test_names_patterns_and_aliases():
    def names(pattern):
        return [each.name for each in subjects(pattern)]

    assert names("MNIST_*,digits") == ["mnist_cnn", "digits"]
    assert names("sklearn_digits") == ["digits"]
    assert names(["conv_relu_maxpool.e*", "mnist_cnn", "mnist_cnn"]) == [
        "conv_relu_maxpool.eager",
        "mnist_cnn",
    ]
    with pytest.raises(cnnzoo.CnnzooError, match='Did you mean "mnist_cnn"'):
        subjects("mnist_cn")
    with pytest.raises(cnnzoo.CnnzooError, match="Say what to check"):
        subjects(" , ")


OPTION = "--cnnzoo-conformance"


def test_pytest_collects_the_checks_by_itself(pytester):
    result = pytester.runpytest(OPTION, "mnist_cnn,digits", "-k", "batch or contract", "-v")
    result.assert_outcomes(passed=2, deselected=len(CHECKS) - 5 - 2)
    result.stdout.fnmatch_lines(
        [
            "*model mnist_cnn::batch_of_one_and_of_none PASSED*",
            "*data set digits::keeps_the_contract PASSED*",
        ]
    )
    listed = pytester.runpytest(OPTION, "single_layer_cnn", "--collect-only", "-q")
    listed.stdout.fnmatch_lines(["conformance of model single_layer_cnn::exports"])


def test_alone_beside_other_tests_and_not_at_all(pytester):
    pytester.makepyfile("def test_own(): pass")
    few = ("-k", "own or batch")
    pytester.runpytest(OPTION, "mnist_cnn", *few).assert_outcomes(
        passed=1, deselected=len(checks("model")) - 1
    )
    beside = pytester.runpytest(".", OPTION, "mnist_cnn", *few)
    beside.assert_outcomes(passed=2, deselected=len(checks("model")) - 1)
    pytester.runpytest().assert_outcomes(passed=1)
    pytester.makeini(f"[pytest]\naddopts = {OPTION} mnist_cnn")
    pytester.runpytest(*few).assert_outcomes(passed=2, deselected=len(checks("model")) - 1)


def test_failures_are_sentences(pytester):
    subject = f"classless{next(unique)}"
    cnnzoo.register_model(subject)(IgnoresClasses)
    result = pytester.runpytest(OPTION, subject, "-k", "grey or batch")
    result.assert_outcomes(passed=1, failed=1, deselected=len(checks("model")) - 2)
    result.stdout.fnmatch_lines(
        [
            f"{subject} was expected to keep: Grey images and three classes: logits (N, 3)*",
            "Expected logits (3, 3) of a model built with num_classes=3; got (3, 10).",
        ]
    )
    result.stdout.no_fnmatch_line("*Traceback*")
    unknown = pytester.runpytest(OPTION, "mnist_cn")
    assert unknown.ret == pytest.ExitCode.USAGE_ERROR
    unknown.stderr.fnmatch_lines(['*is called "mnist_cn". Did you mean "mnist_cnn"?*'])


def test_without_the_option_nothing_is_imported():
    code = (
        "import sys, pytest, cnnzoo.conformance.plugin\n"
        "pytest.main(['--collect-only', '-q', '-p', 'no:cacheprovider', 'nothing'])\n"
        "print(sorted({'torch', 'numpy', 'cnnzoo.registry'} & set(sys.modules)))"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert printed.stdout.splitlines()[-1] == "[]"
