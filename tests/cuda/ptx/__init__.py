"""Runs nvcc's PTX on numpy: what a kernel computes, and what it must not do, without a GPU.

    module = ptx.parse(text)                       # strict: what it does not know raises
    device = ptx.Device()
    x = device.upload(array)                       # a 64-bit address, in an allocation of its own
    y = device.allocate(nbytes)                    # uninitialised
    device.launch(module["kernel"], grid, block, ptx.pack(module["kernel"], x, y))
    device.download(y, "f4", shape)

Faults (`ptx.Fault`): an access outside an allocation, a misaligned one, a read of a register or a
byte that nobody wrote, two threads at one byte without a barrier between them, a barrier that some
threads never reach, a warp operation without the lanes its mask names, `cp.async` bytes used before
the wait. Read in this order: `numbers`, `parser`, `decode`, `wave`, `memory`, `device`; the
instructions are in the files named after what they do. Semantics are those of NVIDIA's "Parallel
Thread Execution ISA", version 9.0.

What it does not model: time, caches, the order in which other threads see writes beyond barriers,
and the approximate instructions (`rcp.approx` and the like), which it refuses.
"""

from ptx.device import Device as Device
from ptx.device import pack as pack
from ptx.errors import Fault as Fault
from ptx.errors import UnknownPtxError as UnknownPtxError
from ptx.parser import parse as parse
