"""Any shape that the operator covers, and any layout: what its properties are tested on."""

import torch
from hypothesis import strategies as st


@st.composite
def problems(draw):
    """Sizes that fit together, with tails in every direction."""
    channels = st.one_of(st.integers(1, 4), st.sampled_from([8, 15, 16, 17, 31, 32, 33, 40, 65]))
    kernel = draw(st.tuples(st.integers(1, 5), st.integers(1, 5)))
    stride = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    padding = draw(st.tuples(st.integers(0, 3), st.integers(0, 3)))
    pool = draw(st.one_of(st.just((2, 2)), st.just((3, 3)), st.tuples(*[st.integers(1, 4)] * 2)))
    pool_stride = draw(st.one_of(st.none(), st.tuples(st.integers(1, 4), st.integers(1, 4))))
    pool_padding = draw(st.tuples(st.integers(0, pool[0] // 2), st.integers(0, pool[1] // 2)))
    size = []
    for k, s, p, q, e in zip(kernel, stride, padding, pool, pool_padding, strict=True):
        least = max(1, k - 2 * p, s * (q - 2 * e - 1) + k - 2 * p)
        size.append(draw(st.integers(least, least + 14)))
    shapes = {
        "n": draw(st.integers(0, 4)),
        "c": draw(channels),
        "k": draw(channels),
        "size": size,
        "kernel": kernel,
    }
    sizes = {
        "stride": stride,
        "padding": padding,
        "pool_size": pool,
        "pool_stride": pool_stride,
        "pool_padding": pool_padding,
    }
    return shapes, sizes


def laid_out(tensor, layout):
    """The same numbers in other strides."""
    if layout == "channels_last":
        return tensor.contiguous(memory_format=torch.channels_last)
    if layout == "part of a larger one":
        larger = torch.full([size + 3 for size in tensor.shape], torch.nan, dtype=tensor.dtype)
        part = larger[tuple(slice(1, 1 + size) for size in tensor.shape)]
        return part.copy_(tensor)
    if layout == "backwards":
        return tensor.permute(3, 1, 2, 0).contiguous().permute(3, 1, 2, 0)
    return tensor


LAYOUTS = st.sampled_from(["plain", "channels_last", "part of a larger one", "backwards"])
