"""Weights from paths and addresses, and every way in which such a file can be wrong."""

import hashlib
import pickle

import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from safetensors.torch import load_file, save_file

import cnnzoo
from cnnzoo.cli import main
from cnnzoo.errors import CnnzooError


def address(path, digest=None):
    digest = digest or hashlib.sha256(path.read_bytes()).hexdigest()
    return f"{path.as_uri()}#sha256={digest}"


def same(model, other):
    return all(torch.equal(v, other.state_dict()[k]) for k, v in model.state_dict().items())


def test_paths_of_all_kinds(saved, tmp_path, monkeypatch):
    path, model = saved
    run = tmp_path / "run"
    run.mkdir()
    (run / "model.safetensors").write_bytes(path.read_bytes())
    monkeypatch.chdir(tmp_path)
    for weights in (path, str(path), run, str(run), "mine.safetensors", "run"):
        loaded = cnnzoo.build("lenet5", weights=weights)
        assert same(loaded, model), weights
        assert loaded.classes == ("a", "b", "c")


def test_a_download_is_kept_under_its_hash(saved, cache):
    path, model = saved
    where = address(path)
    assert same(cnnzoo.build("lenet5", weights=where), model)
    (kept,) = cache.iterdir()
    assert kept.name == f"{where[-64:]}.safetensors"
    kept.write_bytes(b"damaged")
    assert same(cnnzoo.build("lenet5", weights=where), model), "fetched again"
    path.unlink()
    assert same(cnnzoo.build("lenet5", weights=address(path, where[-64:].upper())), model)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda a: a.partition("#")[0], "needs the SHA-256 of its file"),
        (lambda a: a[:-1], "needs the SHA-256 of its file"),
        (lambda a: a.replace("sha256", "md5"), "needs the SHA-256 of its file"),
        (lambda a: a[:-64] + 64 * "0", "is not the file that was meant: its SHA-256 is"),
        (lambda a: a.replace("mine", "yours"), "could not be downloaded"),
        (lambda a: a.replace("file:", "http:"), "by https only"),
        (lambda a: a.replace("file:", "ftp:"), "by https only"),
    ],
)
def test_addresses_that_are_refused(saved, cache, change, sentence):
    with pytest.raises(CnnzooError, match=sentence) as caught:
        cnnzoo.build("lenet5", weights=change(address(saved[0])))
    assert "\n" not in str(caught.value)
    assert not cache.exists() or not list(cache.iterdir()), "nothing unchecked is kept"


def test_a_download_of_no_weights_is_refused_too(tmp_path, cache):
    (tmp_path / "x.safetensors").write_bytes(b"something else")
    with pytest.raises(CnnzooError, match="no readable safetensors"):
        cnnzoo.build("lenet5", weights=address(tmp_path / "x.safetensors"))


class MakesAFile:
    """A pickle that writes a file when it is read."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, "w")


def test_a_pickle_is_never_read(tmp_path, cache):
    mark, evil = tmp_path / "executed", tmp_path / "evil.safetensors"
    pickle.loads(pickle.dumps(MakesAFile(mark))).close()
    assert mark.exists(), "the pickle does what it is feared for"
    mark.unlink()
    for write in (
        lambda: evil.write_bytes(pickle.dumps(MakesAFile(mark))),
        lambda: torch.save({"weight": MakesAFile(mark)}, evil),
        lambda: torch.save({"w": MakesAFile(mark)}, evil, _use_new_zipfile_serialization=False),
    ):
        write()
        for weights in (evil, address(evil)):
            with pytest.raises(CnnzooError, match=r"pickled files .* are not read here"):
                cnnzoo.build("lenet5", weights=weights)
        with pytest.raises(CnnzooError, match="pickled files"):
            cnnzoo.load(evil)
        assert not mark.exists()


WRONG = {
    "missing": (lambda p, r: p.unlink(), "No model at"),
    "a name too long": (lambda p, r: None, "No model at"),
    "a folder": (lambda p, r: (p.unlink(), p.mkdir()), "No model at"),
    "empty": (lambda p, r: p.write_bytes(b""), "no readable safetensors"),
    "cut": (lambda p, r: p.write_bytes(p.read_bytes()[:-10]), "may be truncated"),
    "cut in the header": (lambda p, r: p.write_bytes(p.read_bytes()[:100]), "may be truncated"),
    "longer": (lambda p, r: p.write_bytes(p.read_bytes() + b"more"), "no readable safetensors"),
    "endless header": (lambda p, r: p.write_bytes(b"\xff" * 100), "no readable safetensors"),
    "no JSON": (
        lambda p, r: p.write_bytes((8).to_bytes(8, "little") + b"{header}" + bytes(80)),
        "no readable safetensors",
    ),
    "of somebody else": (lambda p, r: save_file(load_file(p), p), "not written by cnnzoo"),
    "entry no JSON": (lambda p, r: r(p, header="{"), "is no JSON"),
    "entry too deep": (lambda p, r: r(p, header="[" * 100_000), "is no JSON"),
    "entry a list": (lambda p, r: r(p, header="[1]"), "another version"),
    "no spec": (lambda p, r: r(p, spec=None), "does not say which model"),
    "strange spec": (lambda p, r: r(p, spec={"model": 3}), "is a string"),
    "unknown model": (lambda p, r: r(p, spec={"model": "lenet6"}), 'Did you mean "lenet5"'),
    "another model": (lambda p, r: r(p, spec={"model": "mnist_cnn"}), 'of the model "mnist_cnn"'),
    "unknown argument": (
        lambda p, r: r(p, spec={"model": "lenet5", "arguments": {"x": 1}}),
        'no argument "x"',
    ),
    "too large": (
        lambda p, r: r(p, spec={"model": "lenet5", "arguments": {"num_classes": 10**14}}),
        "cannot be built as",
    ),
    "missing key": (
        lambda p, r: r(p, weights={k: v for k, v in load_file(p).items() if k != "fc1.bias"}),
        "missing: fc1.bias",
    ),
    "extra key": (lambda p, r: r(p, weights=load_file(p) | {"x": torch.ones(2)}), "unknown: x"),
    "another shape": (
        lambda p, r: r(p, weights=load_file(p) | {"fc1.bias": torch.ones(2)}),
        r"of another shape: fc1.bias (2 for 120)",
    ),
    "other weights": (
        lambda p, r: r(p, weights={f"w{n}": torch.ones(n) for n in range(5)}),
        "and 7 more; unknown: w0, w1, w2 and 2 more",
    ),
    "strange classes": (lambda p, r: r(p, classes=3), "must list its classes"),
    "strange preprocessing": (lambda p, r: r(p, preprocessing={"mean": []}), "was altered"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_wrong_files_get_one_sentence(kind, saved, rewrite, tmp_path):
    path, _ = saved
    damage, sentence = WRONG[kind]
    damage(path, rewrite)
    if kind == "a name too long":
        path = path.with_stem("x" * 5000)
    with pytest.raises(CnnzooError) as caught:
        cnnzoo.build("lenet5", weights=path)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)
    Image.new("L", (28, 28)).save(tmp_path / "x.png")
    line = ["predict", "--model", "lenet5", "--weights", str(path), str(tmp_path / "x.png")]
    shown = CliRunner().invoke(main, line)
    assert shown.exit_code == 2
    assert sentence in shown.stderr
    assert "Traceback" not in shown.output
