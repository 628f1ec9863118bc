"""`cnnzoo.freeze`: the longest run of layers of a model as one operator, for inference.

torch.fx writes the model's forward down as a graph. The longest run of conv → ReLU → max-pool,
linear and ReLU in it (`_chains`) becomes one call with packed weights (`_stages`). Around it the
rest of the graph stays as it was (`_frozen`).
"""

from __future__ import annotations

from cnnzoo.freezing._frozen import FrozenModule, freeze
from cnnzoo.freezing._report import FreezeReport

__all__ = ["FreezeReport", "FrozenModule", "freeze"]
