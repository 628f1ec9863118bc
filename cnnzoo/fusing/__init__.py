"""`cnnzoo.fuse`: conv → ReLU → max-pool of anybody's model through the fused operator.

The modules of a model stay as they are, weights and names with them. What changes is the `forward`
of the module in which the three meet: torch.fx writes it down as a graph, and there one call of the
operator takes the place of the three (`_sites`, `_graph`). The new forward is the method of a class
of the same name made for the occasion (`_forward`).
"""

from __future__ import annotations

from cnnzoo.fusing._fuse import fuse
from cnnzoo.fusing._report import FuseReport, Site

__all__ = ["FuseReport", "Site", "fuse"]
