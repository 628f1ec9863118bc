"""The same bits for any number of threads, from several threads at once, and after a fork."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from cnnzoo.ops import conv_relu_maxpool
from tests.ops.oracle import WINDOW, with_gradients

# N, C, H, W, K, R, S: more images than threads, fewer, and one image to share.
SHAPES = [
    (9, 1, 28, 28, 32, 3, 3),
    (5, 32, 13, 13, 32, 3, 3),
    (2, 3, 33, 40, 17, 5, 5),
    (1, 20, 30, 9, 40, 3, 3),
]


def answers(shape, seed=0):
    n, c, h, w, k, r, s = shape
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, c, h, w, generator=generator)
    weight = torch.randn(k, c, r, s, generator=generator)
    bias = torch.randn(k, generator=generator)
    return with_gradients(conv_relu_maxpool, x, weight, bias, implementation="native")


def same_bits(one, other):
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_same_bits_for_any_number_of_threads(isa, threads, shape):
    threads(1)
    alone = answers(shape)
    assert same_bits(alone, answers(shape))
    for number in (2, 3, 7, 16):
        threads(number)
        assert same_bits(alone, answers(shape)), f"{number} threads"


def test_several_python_threads(native):
    work = [(shape, seed) for seed in range(4) for shape in SHAPES]
    want = [answers(*one) for one in work]
    with ThreadPoolExecutor(4) as pool:
        got = list(pool.map(lambda one: answers(*one), work * 2))
    for one, other in zip(got, want * 2, strict=True):
        assert same_bits(one, other)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_after_a_fork(native, threads):
    # OpenMP's threads stay behind in the parent: a child that waited for them would hang.
    threads(2)
    x, weight = torch.randn(9, 8, 20, 20), torch.randn(16, 8, 3, 3)
    grad_y = torch.randn(9, 16, 9, 9)

    def numbers():
        # Nothing here is PyTorch's: its own operators would hang.
        y, place = torch.ops.cnnzoo.conv_relu_maxpool_train(x, weight, None, WINDOW)
        grads = torch.ops.cnnzoo.conv_relu_maxpool_backward(
            grad_y, x, weight, place, WINDOW, True, True
        )
        return [t.numpy().tobytes() for t in (y, place, *grads)]

    want = numbers()
    child = os.fork()
    if child == 0:
        signal.alarm(30)
        os._exit(0 if numbers() == want else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert numbers() == want  # and the parent works on


class Answers(Dataset):
    def __len__(self):
        return 2

    def __getitem__(self, index):
        return answers(SHAPES[1], seed=index)[0]


def test_in_a_data_loader_worker(native, threads):
    threads(2)
    want = torch.stack([answers(SHAPES[1], seed)[0] for seed in (0, 1)])
    loader = DataLoader(Answers(), batch_size=2, num_workers=1, multiprocessing_context="fork")
    (got,) = list(loader)
    assert torch.equal(got, want)
