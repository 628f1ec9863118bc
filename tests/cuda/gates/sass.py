"""Opcodes of the machine code, by `cuobjdump`."""

from __future__ import annotations

import functools
import re
import shutil
import subprocess
import sysconfig
from collections import Counter
from pathlib import Path

_FUNCTION = re.compile(r"^\s*Function : (\S+)")
_OPCODE = re.compile(r"^\s*/\*[0-9a-f]{4,}\*/\s+(?:@!?U?P\w+\s+)?([A-Z][A-Z0-9]*)")


@functools.cache
def cuobjdump() -> Path | None:
    """The toolkit's, or that of the package nvidia-cuda-cuobjdump, which goes with nvdisasm."""
    beside = sorted(Path(sysconfig.get_path("purelib")).glob("nvidia/cu*/bin/cuobjdump"))
    found = shutil.which("cuobjdump") or (beside and shutil.which(str(beside[-1])))
    return Path(found) if found else None


def opcodes(cubin: Path) -> dict[str, Counter[str]]:
    """Kernel → opcode → how often it stands in the code, without modifiers."""
    program = cuobjdump()
    assert program is not None, "ask cuobjdump() first"
    folder = {"PATH": f"{program.parent}:/usr/bin:/bin"}  # nvdisasm lies beside it
    command = [str(program), "-sass", str(cubin)]
    done = subprocess.run(command, capture_output=True, text=True, env=folder, check=True)
    found: dict[str, Counter[str]] = {}
    kernel = ""
    for line in done.stdout.splitlines():
        if match := _FUNCTION.match(line):
            kernel = match[1]
            found[kernel] = Counter()
        elif match := _OPCODE.match(line):
            found[kernel][match[1]] += 1
    return found
