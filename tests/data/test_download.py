import socket

import pytest

from cnnzoo.data import load_data
from cnnzoo.data._download import TIMEOUT, data_root, fetch
from cnnzoo.errors import CnnzooError


@pytest.mark.parametrize(
    ("name", "file", "folder"),
    [
        ("mnist", "train-images-idx3-ubyte.gz", "MNIST/raw"),
        ("fashion_mnist", "t10k-labels-idx1-ubyte.gz", "FashionMNIST/raw"),
        ("cifar10", "cifar-10-python.tar.gz", ""),
    ],
)
def test_without_a_network_the_error_says_what_to_put_where(
    name, file, folder, tmp_path, no_network
):
    with pytest.raises(CnnzooError, match="could not be downloaded") as caught:
        load_data(name, root=tmp_path)
    said = str(caught.value)
    for part in (name, file, str(tmp_path / folder), "https://", '"digits" needs no files'):
        assert part in said
    assert "\n" not in said


@pytest.mark.parametrize("name", ["mnist", "cifar10"])
def test_a_root_that_cannot_be_written_is_an_error_too(name, tmp_path, no_network):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(CnnzooError, match="could not be downloaded"):
        load_data(name, root=tmp_path / "file")


def test_the_root_is_argument_then_environment_then_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("CNNZOO_DATA", raising=False)
    assert data_root(None) == tmp_path / ".cache" / "cnnzoo"
    monkeypatch.setenv("CNNZOO_DATA", "~/sets")
    assert data_root(None) == tmp_path / "sets"
    assert data_root("here") == data_root("here").parent / "here"


def test_silent_connections_are_given_up_and_the_setting_is_put_back(tmp_path):
    seen = []

    def download():
        seen.append(socket.getdefaulttimeout())
        raise TimeoutError("timed out")

    with pytest.raises(CnnzooError, match=r"could not be downloaded \(timed out\)"):
        fetch("mnist", download, tmp_path, ["a.gz"], "https://example.org")
    assert seen == [TIMEOUT]
    assert socket.getdefaulttimeout() is None
