"""What the tests of the operators share: the native library, or a reason to skip."""

import os

import pytest
import torch

from cnnzoo.ops import _native


@pytest.fixture(scope="session")
def native():
    """Return the native library; where it is missing skip, or fail where it is required."""
    status = _native.status()
    if not status.available:
        if os.environ.get("CNNZOO_REQUIRE_NATIVE", "0") not in ("", "0"):
            pytest.fail(f"CNNZOO_REQUIRE_NATIVE is set, but {status.reason}")
        pytest.skip(str(status.reason))
    return _native.library()


def pytest_generate_tests(metafunc):
    """`isa`: once with each instruction set that this machine runs."""
    if "isa" in metafunc.fixturenames:
        names = _native.status().isas or (None,)
        metafunc.parametrize("isa", names, indirect=True)


@pytest.fixture
def isa(request, native):
    """Run the test on this instruction set."""
    before = native.current_isa()
    _native.set_isa(request.param)
    yield request.param
    _native.set_isa(before)


@pytest.fixture
def threads():
    """Return torch.set_num_threads, undone afterwards."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.fixture
def environment(monkeypatch):
    """Return a function that sets environment variables of the native library and reads them."""

    def set_them(**variables):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        _native.reload()

    for name in ("CNNZOO_KERNEL", "CNNZOO_NATIVE", "CNNZOO_REQUIRE_NATIVE"):
        monkeypatch.delenv(name, raising=False)
    _native.reload()
    yield set_them
    monkeypatch.undo()
    _native.reload()
