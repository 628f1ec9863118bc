"""What bfloat16 is judged by: float64 on the rounded operands, and torch's order of rounding.

Where all sums are whole numbers below 2^24 an answer is exact, and `judged` has it to the bit.
Elsewhere float32 sums are off by a little, so that the convolution lies between two bfloat16
numbers: `Between` asks that the output, the places and the gradients agree with something in there.
"""

import torch
import torch.nn.functional as F

from cnnzoo.ops import _reference

LEAST = 2.0**-126  # of the normal numbers: dot products may take what is smaller for 0


def rounded(tensor):
    """To bfloat16 and back, by way of float32, in which it was summed."""
    return tensor.float().bfloat16().double()


class _Round(torch.autograd.Function):
    @staticmethod
    def forward(ctx, tensor):
        return rounded(tensor)

    @staticmethod
    def backward(ctx, grad):
        return grad


def judged(x, weight, bias, grad_y, *, pool_size=2, pool_stride=None, pool_padding=0, **conv):
    """The answers in float64, y and the gradients, where every sum is exact in float32."""
    leaves = [t.detach().double().contiguous() for t in (x, weight, bias) if t is not None]
    leaves = [leaf.requires_grad_() for leaf in leaves]
    y = F.relu(_Round.apply(F.conv2d(*leaves, **conv)))
    y = F.max_pool2d(y, pool_size, pool_stride, pool_padding)
    grads = torch.autograd.grad(y, leaves, torch.ones_like(y) if grad_y is None else grad_y)
    return [y.detach(), *(rounded(grad) for grad in grads)]


class Between:
    """The least and the largest that each value of the convolution may be, in bfloat16."""

    def __init__(self, x, weight, bias, window):
        self.window = window
        self.x, self.weight = x.double(), weight.double()
        self.terms = weight[0].numel() + 1
        bias = None if bias is None else bias.double()
        exact = self._convolve(self.x, self.weight, bias)
        of_bias = None if bias is None else bias.abs()
        slack = self._convolve(self.x.abs(), self.weight.abs(), of_bias) * self.terms * 2.0**-23
        ones = torch.ones_like(self.x), torch.ones_like(self.weight)
        slack += LEAST * self._convolve(ones[0], self.weight.abs(), None)
        slack += LEAST * (self._convolve(self.x.abs(), ones[1], None) + self.terms)
        self.low = self._windows(rounded(exact - slack))
        self.high = self._windows(rounded(exact + slack))  # (N, K, P, Q, positions)

    def holds(self, y, place):
        """Assert that output and places can come from such a convolution, by torch's order."""
        y = y.double()
        assert (self.low.amax(-1).relu() <= y).all()
        assert (y <= self.high.amax(-1).relu()).all()
        dead = place == _reference.DEAD
        assert torch.equal(dead, y <= 0)
        won = place.long().masked_fill(dead, 0)[..., None]
        highest = self.high.gather(-1, won)
        earlier = torch.arange(self.low.shape[-1]) < won
        lost = torch.where(earlier, self.low < highest, self.low <= highest).all(-1)
        assert (lost | dead).all(), "another position comes first"
        value = (self.low.gather(-1, won)[..., 0] <= y) & (y <= highest[..., 0])
        assert (value | dead).all(), "y is another position's"

    def differentiates(self, grads, grad_y, place):
        """Assert gradients: sums in float32 over these places, rounded once."""

        def backward(*tensors):
            return _reference.backward(*tensors, place, self.window, True, True)

        want = backward(grad_y.double(), self.x, self.weight)
        sums = backward(grad_y.double().abs(), self.x.abs(), self.weight.abs())
        most = max(grad_y[:, 0].numel(), self.weight[:, 0].numel(), 1)
        for got, right, size in zip(grads, want, sums, strict=True):
            # AMX takes 16 digits of what overlapping windows sum up.
            slack = 2.0**-8 * right.abs() + 2.0**-16 * size
            slack += most * (2.0**-23 * size + LEAST * (1 + size))
            assert ((got.double() - right).abs() <= slack).all()

    def _convolve(self, x, weight, bias):
        return F.conv2d(x, weight, bias, self.window[0:2], self.window[2:4])

    def _windows(self, conv):
        *_, pool_h, pool_w, step_h, step_w, edge_h, edge_w = self.window
        padded = F.pad(conv, (edge_w, edge_w, edge_h, edge_h), value=-torch.inf)
        return padded.unfold(2, pool_h, step_h).unfold(3, pool_w, step_w).flatten(4)
