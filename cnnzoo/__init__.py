"""A plugin-based zoo of convolutional networks for PyTorch.

>>> import cnnzoo
>>> train, test = cnnzoo.load_data("digits")
>>> model = cnnzoo.build("mnist_cnn")
>>> history = cnnzoo.Trainer(model, epochs=1, progress=False).fit(train, test)
>>> cnnzoo.predict(model, test.images[0]).label in test.classes
True
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cnnzoo.lazy import lazy_names

if TYPE_CHECKING:
    from cnnzoo.building import build as build
    from cnnzoo.data import ImageSet as ImageSet
    from cnnzoo.data import load_data as load_data
    from cnnzoo.errors import CnnzooError as CnnzooError
    from cnnzoo.explanation import explain as explain
    from cnnzoo.exporting import export as export
    from cnnzoo.feature_maps import features as features
    from cnnzoo.freezing import freeze as freeze
    from cnnzoo.fusing import fuse as fuse
    from cnnzoo.layers import ConvReluMaxPool as ConvReluMaxPool
    from cnnzoo.model_file import load as load
    from cnnzoo.model_file import load_model as load_model
    from cnnzoo.model_file import save as save
    from cnnzoo.model_file import save_model as save_model
    from cnnzoo.prediction import predict as predict
    from cnnzoo.registry import list_models as list_models
    from cnnzoo.registry import model_info as model_info
    from cnnzoo.registry import register_dataset as register_dataset
    from cnnzoo.registry import register_layer as register_layer
    from cnnzoo.registry import register_model as register_model
    from cnnzoo.summary import summarize as summarize
    from cnnzoo.swapping import swap as swap
    from cnnzoo.train import Callback as Callback
    from cnnzoo.train import History as History
    from cnnzoo.train import Trainer as Trainer
    from cnnzoo.weights import list_weights as list_weights

# Public name → where it lives. Resolved on first use: `import cnnzoo` loads no torch.
_HOME = {
    "Callback": "cnnzoo.train",
    "CnnzooError": "cnnzoo.errors",
    "ConvReluMaxPool": "cnnzoo.layers",
    "History": "cnnzoo.train",
    "ImageSet": "cnnzoo.data",
    "Trainer": "cnnzoo.train",
    "build": "cnnzoo.building",
    "explain": "cnnzoo.explanation",
    "export": "cnnzoo.exporting",
    "features": "cnnzoo.feature_maps",
    "freeze": "cnnzoo.freezing",
    "fuse": "cnnzoo.fusing",
    "list_models": "cnnzoo.registry",
    "list_weights": "cnnzoo.weights",
    "load": "cnnzoo.model_file",
    "load_data": "cnnzoo.data",
    "load_model": "cnnzoo.model_file",
    "model_info": "cnnzoo.registry",
    "predict": "cnnzoo.prediction",
    "register_dataset": "cnnzoo.registry",
    "register_layer": "cnnzoo.registry",
    "register_model": "cnnzoo.registry",
    "save": "cnnzoo.model_file",
    "save_model": "cnnzoo.model_file",
    "summarize": "cnnzoo.summary",
    "swap": "cnnzoo.swapping",
}
__all__ = list(_HOME)


_find = lazy_names(__name__, _HOME)


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("cnnzoo")
    return _find(name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
