"""Any shape, any layout, any special number: every instruction set is exactly right.

CNNZOO_EXAMPLES=20000 makes it a deep run; it prints how many cases it saw.
"""

import os
from collections import Counter

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cnnzoo.ops import _native, conv_relu_maxpool
from tests.ops.oracle import assert_same, integers, judged
from tests.ops.problems import LAYOUTS, laid_out, problems

EXAMPLES = int(os.environ.get("CNNZOO_EXAMPLES", "60"))
seen = Counter()


@pytest.fixture(scope="module", autouse=True)
def count(request):
    yield
    if seen and EXAMPLES > 60:
        with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
            print(f"\n{sum(seen.values())} cases, of them: {dict(seen)}")


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=EXAMPLES == 60,  # a quick run is the same everywhere; a deep one goes elsewhere
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    problem=problems(),
    x_layout=LAYOUTS,
    grad_layout=LAYOUTS,
    bias=st.booleans(),
    specials=st.sampled_from([0, 0, 1, 4]),
    zeros=st.booleans(),
    seed=st.integers(0, 2**16),
)
def test_exact(native, problem, x_layout, grad_layout, bias, specials, zeros, seed):
    shapes, sizes = problem
    generator = torch.Generator().manual_seed(seed)
    x = integers(generator, shapes["n"], shapes["c"], *shapes["size"], most=1 if zeros else 3)
    weight = integers(generator, shapes["k"], shapes["c"], *shapes["kernel"])
    bias = integers(generator, shapes["k"], most=9) if bias else None
    specials = specials if x.numel() else 0
    for number in (torch.nan, torch.inf, -torch.inf):
        x.view(-1)[torch.randint(0, max(x.numel(), 1), (specials,), generator=generator)] = number
    grad_y = integers(generator, *judged(x, weight, bias, **sizes)[0].shape)
    want = judged(x, weight, bias, grad_y, **sizes)
    # A NaN in x meets the weight's gradient only where it won; elsewhere PyTorch takes it times 0.
    comparable = 2 if specials else len(want)

    seen["with NaN and infinities" if specials else "finite"] += 1
    x, grad_y = laid_out(x, x_layout), laid_out(grad_y, grad_layout)
    before = native.current_isa()
    try:
        for isa in native.isas():
            _native.set_isa(isa)
            leaves = [t.detach().requires_grad_() for t in (x, weight, bias) if t is not None]
            y = conv_relu_maxpool(*leaves, implementation="native", **sizes)
            got = [y.detach(), *torch.autograd.grad(y, leaves, grad_y)]
            assert_same(got[:comparable], want[:comparable])
            with torch.no_grad():
                inferred = conv_relu_maxpool(x, weight, bias, implementation="native", **sizes)
            assert_same([inferred], want[:1])
    finally:
        _native.set_isa(before)
