"""Lets oneDNN's bfloat16 kernels and cnnzoo's take turns on the same threads, and compares bits.

    python alternate.py ROUNDS

oneDNN configures tiles as it needs them and so does cnnzoo: whoever trusted a configuration that
the other left behind would compute something else, or stop with an illegal instruction. Run it
with CNNZOO_ISA=amx on a processor that has AMX, where oneDNN uses it too.
"""

import sys

import torch

from cnnzoo.ops import conv_relu_maxpool


def main(rounds: int) -> None:
    torch.manual_seed(0)
    torch.set_num_threads(2)
    x = torch.randn(8, 32, 13, 13).bfloat16()
    weight = torch.randn(32, 32, 3, 3).mul(0.1).bfloat16()
    bias = torch.randn(32).bfloat16()
    left, right = torch.randn(256, 256).bfloat16(), torch.randn(256, 256).bfloat16()

    def ours() -> list[torch.Tensor]:
        leaves = [tensor.clone().requires_grad_() for tensor in (x, weight, bias)]
        y = conv_relu_maxpool(*leaves, implementation="native")
        y.sum().backward()
        return [y.detach(), *(leaf.grad for leaf in leaves)]

    def theirs() -> list[torch.Tensor]:
        with torch.no_grad():
            return [torch.conv2d(x, weight, bias), left @ right]

    first = [ours(), theirs()]
    for turn in range(rounds):
        again = [ours(), theirs()]
        for whose, before, now in zip(("cnnzoo", "oneDNN"), first, again, strict=True):
            for number, (a, b) in enumerate(zip(before, now, strict=True)):
                if not torch.equal(a, b):
                    sys.exit(f"turn {turn}: {whose}'s result {number} is not what it was at first")
    print(f"{rounds} turns: the same bits")


if __name__ == "__main__":
    main(int(sys.argv[1]))
