"""What the tests of exporting share: models with their images, and other people's loaders."""

import functools
import os
import subprocess
import sys

import torch

import cnnzoo

MODELS = ("mnist_cnn", "single_layer_cnn", "lenet5", "resnet20")

# Runs an exported file in a process in which cnnzoo cannot be imported.
WITHOUT_CNNZOO = """
import sys, torch

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "cnnzoo":
            raise ModuleNotFoundError("cnnzoo is not installed here")

sys.meta_path.insert(0, Absent())
path, images, answers = sys.argv[1:]
x = torch.load(images)
if path.endswith(".aoti.pt2"):
    run = torch._inductor.aoti_load_package(path)
else:
    run = torch.export.load(path).module()
with torch.no_grad():
    torch.save([run(x[:1]), run(x[:7])], answers)
assert not [name for name in sys.modules if name.split(".")[0] == "cnnzoo"]
"""


@functools.cache
def trained(name):
    """A model in evaluation mode whose outputs depend on all of it, and 7 images for it."""
    if name == "resnet20":
        torch.manual_seed(0)
        model = cnnzoo.build(name)
        with torch.no_grad():
            for module in model.modules():  # new ones would leave everything as it is
                if isinstance(module, torch.nn.BatchNorm2d):
                    module.running_mean.uniform_(-0.5, 0.5)
                    module.running_var.uniform_(0.5, 2)
        return model.eval(), torch.randn(7, 3, 32, 32)
    model = cnnzoo.build(name, weights="mnist")
    return model, model.preprocessing(cnnzoo.load_data("digits").test.images[100:107])


def run_without_cnnzoo(path, x, folder):
    """Return the finished process, and the answers for x[:1] and x[:7] where there are any."""
    torch.save(x, folder / "images.pt")
    command = [sys.executable, "-c", WITHOUT_CNNZOO, path, "images.pt", "answers.pt"]
    done = subprocess.run(
        list(map(str, command)),
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": ""},
    )
    answers = folder / "answers.pt"
    return done, torch.load(answers) if answers.exists() else None


def assert_answers(run, model, x, batches=(1, 7)):
    """Assert that ``run`` and the model agree, for each batch size."""
    for count in batches:
        with torch.no_grad():
            torch.testing.assert_close(run(x[:count]), model(x[:count]), rtol=1e-4, atol=1e-5)
